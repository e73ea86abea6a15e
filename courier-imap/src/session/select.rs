//! SELECT and EXAMINE (RFC 3501 §6.3.1, §6.3.2).

use super::output::{Opened, Output, Refusal};
use super::reply::{MailboxNews, Reply};
use super::{Answer, Core, Job, Mailbox, Progress};
use crate::grammar::command::Access;
use crate::grammar::flag::{Flag, Flags};
use crate::grammar::mailbox_name::MailboxName;
use crate::grammar::response::{self, Recent};
use crate::view::View;

#[derive(Debug)]
pub(super) struct Select {
    mailbox: MailboxName,
    access: Access,
    asked: bool,
}

impl Select {
    pub(super) fn new(mailbox: MailboxName, access: Access) -> Self {
        let asked = false;
        Self {
            mailbox,
            access,
            asked,
        }
    }
}

impl Job for Select {
    fn run(&mut self, core: &mut Core) -> Progress {
        if !std::mem::replace(&mut self.asked, true) {
            let (mailbox, access) = (self.mailbox.clone(), self.access);
            return core.ask(|token| Output::Select(token, mailbox, access));
        }
        let Opened { snapshot, access } = match core.take_answer() {
            Some(Answer::Selected(Ok(opened))) => opened,
            Some(Answer::Selected(Err(refusal))) => return Progress::Done(Reply::refused(refusal)),
            _ => return Progress::Done(Reply::refused(Refusal::ServerBug)),
        };
        let access = if self.access == Access::ReadOnly {
            Access::ReadOnly
        } else {
            access
        };
        let view = View::new(snapshot);
        tell(core.out.text(), &view, access);
        core.mailbox = Some(Mailbox {
            name: self.mailbox.clone(),
            view,
            access,
            refreshed: core.now,
        });
        // What happens from here on is told later.
        core.attention = false;
        let code = match access {
            Access::ReadWrite => "READ-WRITE",
            Access::ReadOnly => "READ-ONLY",
        };
        Progress::Done(Reply::ok("Ok").with_code(code).with_news(MailboxNews::None))
    }
}

/// Courier's order, and what RFC 3501 has besides: UNSEEN and UIDNEXT.
fn tell(out: &mut Vec<u8>, view: &View, access: Access) {
    tell_keywords(out, view, access);
    let mut line = |before: &[u8], number: u64, after: &[u8]| {
        out.extend_from_slice(before);
        response::number(out, number);
        out.extend_from_slice(after);
    };
    line(b"* ", view.len() as u64, b" EXISTS\r\n");
    line(b"* ", view.recent() as u64, b" RECENT\r\n");
    line(
        b"* OK [UIDVALIDITY ",
        view.uid_validity().0.get().into(),
        b"] Ok\r\n",
    );
    if let Some(index) = view.first_unseen() {
        line(b"* OK [UNSEEN ", index as u64 + 1, b"] Ok\r\n");
    }
    line(b"* OK [UIDNEXT ", view.uid_next().get().into(), b"] Ok\r\n");
}

/// FLAGS and PERMANENTFLAGS: when a mailbox is opened, and when keywords have come up.
pub(super) fn tell_keywords(out: &mut Vec<u8>, view: &View, access: Access) {
    let all: Flags = Flag::ALL.into_iter().collect();
    out.extend_from_slice(b"* FLAGS ");
    response::flags(out, all, Recent::Yes, view.keywords());
    if access == Access::ReadOnly {
        out.extend_from_slice(b"\r\n* OK [PERMANENTFLAGS ()] No permanent flags permitted\r\n");
        return;
    }
    out.extend_from_slice(b"\r\n* OK [PERMANENTFLAGS (\\*");
    for flag in Flag::ALL {
        out.push(b' ');
        out.extend_from_slice(flag.as_str().as_bytes());
    }
    for keyword in view.keywords() {
        out.push(b' ');
        out.extend_from_slice(keyword.as_str().as_bytes());
    }
    out.extend_from_slice(b")] Limited\r\n");
}
