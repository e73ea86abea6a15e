//! The trace field that a message gets in front when it is taken in.

use std::fmt;
use std::net::IpAddr;

use crate::envelope::QueueId;
use crate::message::date::DateTime;
use crate::time::UnixSeconds;

/// Who handed a message over, for the `Received` field (RFC 5321 §4.4).
#[derive(Debug, Clone)]
pub struct Received<'a> {
    /// The name the client gave itself, already harmless (smtp.md 1.3).
    pub helo: &'a str,
    /// The client's address.
    pub client: IpAddr,
    /// SASL mechanism and login.
    pub login: Option<(&'a str, &'a str)>,
    /// TLS version and cipher suite.
    pub tls: Option<(&'a str, &'a str)>,
    /// Our name.
    pub by: &'a str,
    /// The protocol word of RFC 3848.
    pub protocol: &'a str,
    /// The queue id.
    pub id: QueueId,
    /// When the message came in.
    pub at: UnixSeconds,
}

impl fmt::Display for Received<'_> {
    /// The whole field, lines ended by bare LF, in Courier's layout, which filters
    /// and users' recipes match (mta.md 4).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Received: from {} ([{}])", self.helo, self.client)?;
        let mut notes = Vec::new();
        if let Some((mechanism, login)) = self.login {
            notes.push(format!("AUTH: {mechanism} {login}"));
        }
        if let Some((version, suite)) = self.tls {
            notes.push(format!("TLS: {version},{}bits,{suite}", key_bits(suite)));
        }
        if !notes.is_empty() {
            writeln!(f, "  ({})", notes.join(", "))?;
        }
        writeln!(f, "  by {} with {}", self.by, self.protocol)?;
        let date = DateTime {
            time: self.at,
            offset: 0,
        };
        writeln!(f, "  id {}; {date}", self.id)
    }
}

/// Bits of the key that a cipher suite's name tells.
fn key_bits(suite: &str) -> u32 {
    if suite.contains("AES_128") { 128 } else { 256 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_looks_like_couriers() {
        let mut received = Received {
            helo: "client.example.net",
            client: IpAddr::from([192, 0, 2, 1]),
            login: None,
            tls: None,
            by: "mx.example.com",
            protocol: "ESMTP",
            id: QueueId {
                number: 0x9B_809F,
                time: 0x6B07_023C,
                process: 0xD5,
            },
            at: UnixSeconds(1_795_621_435),
        };
        assert_eq!(
            received.to_string(),
            "Received: from client.example.net ([192.0.2.1])\n  by mx.example.com with ESMTP\n  \
             id 00000000009B809F.000000006B07023C.000000D5; Wed, 25 Nov 2026 15:43:55 +0000\n"
        );
        received.login = Some(("PLAIN", "ann@example.com"));
        received.tls = Some(("TLSv1.3", "TLS13_AES_128_GCM_SHA256"));
        let second = received.to_string();
        let second = second.lines().nth(1).expect("a line");
        let notes =
            "  (AUTH: PLAIN ann@example.com, TLS: TLSv1.3,128bits,TLS13_AES_128_GCM_SHA256)";
        assert_eq!(second, notes);
    }
}
