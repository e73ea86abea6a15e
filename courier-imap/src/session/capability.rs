//! CAPABILITY, ENABLE, ID and NAMESPACE: what we are.

use super::output::Output;
use super::reply::Reply;
use super::settings::{Expunged, StartTls};
use super::{Core, Standing, Transport};
use crate::grammar::command::IdPair;
use crate::grammar::response;

/// What works in every session. Nothing is announced that does not.
const CAPABILITIES: &str =
    "IMAP4rev1 LITERAL+ SASL-IR UIDPLUS CHILDREN NAMESPACE IDLE ID ENABLE UNSELECT MOVE";

impl Core {
    /// The capabilities in the present state (RFC 3501 §7.2.1), parted by blanks.
    pub(super) fn capabilities(&self) -> String {
        let mut text = CAPABILITIES.to_owned();
        if self.settings.expunged == Expunged::ToTrash {
            text.push_str(" XMAGICTRASH");
        }
        if self.standing == Standing::Known {
            return text;
        }
        if self.may_start_tls() {
            text.push_str(" STARTTLS");
        }
        if !self.may_use_login() {
            text.push_str(" LOGINDISABLED");
        }
        for mechanism in &self.logins().mechanisms {
            text.push_str(" AUTH=");
            text.push_str(mechanism);
        }
        text
    }

    pub(super) fn may_start_tls(&self) -> bool {
        self.transport == Transport::Clear
            && self.standing == Standing::Stranger
            && self.settings.starttls == StartTls::Offered
    }

    pub(super) fn capability(&mut self) -> Reply {
        let capabilities = self.capabilities();
        self.out.write("* CAPABILITY ");
        self.out.write(&capabilities);
        self.out.write("\r\n");
        Reply::ok("CAPABILITY completed.")
    }

    /// RFC 5161. There is nothing yet that a client would have to switch on.
    pub(super) fn enable(&mut self) -> Reply {
        self.out.write("* ENABLED\r\n");
        Reply::ok("ENABLE completed.")
    }

    /// RFC 2342: the folders of one's own stand below INBOX.
    pub(super) fn namespace(&mut self) -> Reply {
        self.out
            .write("* NAMESPACE ((\"INBOX.\" \".\")) NIL NIL\r\n");
        Reply::ok("NAMESPACE completed.")
    }

    /// RFC 2971
    pub(super) fn id(&mut self, pairs: &[IdPair<'_>]) -> Reply {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let client = pairs
            .iter()
            .map(|(field, value)| (text(field), value.as_deref().map(text)));
        self.question = Some(Output::ClientId(client.collect()));
        let out = self.out.text();
        out.extend_from_slice(b"* ID ");
        if self.settings.id.is_empty() {
            out.extend_from_slice(b"NIL");
        }
        for (index, (field, value)) in self.settings.id.iter().enumerate() {
            out.push(if index == 0 { b'(' } else { b' ' });
            response::string(out, field.as_bytes());
            out.push(b' ');
            response::string(out, value.as_bytes());
        }
        if !self.settings.id.is_empty() {
            out.push(b')');
        }
        out.extend_from_slice(b"\r\n");
        Reply::ok("ID completed.")
    }
}
