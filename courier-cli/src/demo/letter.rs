//! The message that Ann writes.

use std::sync::Arc;

use courier_core::address::{AddressError, ForwardPath, ReversePath};
use courier_core::message::date::DateTime;
use courier_smtp::client::Delivery;
use courier_smtp::parameter::{Recipient, Sender};

use super::{DemoError, on_the_wire};
use crate::clock;
use crate::random;

/// A message with its envelope.
#[derive(Debug)]
pub(super) struct Letter {
    delivery: Delivery,
    wire: Vec<u8>,
}

impl Letter {
    pub(super) fn new(from: &str, to: &str, domain: &str) -> Result<Self, AddressError> {
        let sender = ReversePath::parse(format!("<{from}>").as_bytes())?;
        let recipient = ForwardPath::parse(format!("<{to}>").as_bytes())?;
        let time = clock::unix_now();
        let date = DateTime { time, offset: 0 };
        let id = u64::from_ne_bytes(random::array());
        let stored = format!(
            "From: Ann <{from}>\n\
             To: Bob <{to}>\n\
             Subject: Hello, Bob\n\
             Date: {date}\n\
             Message-ID: <{id:016x}@{domain}>\n\
             \n\
             Dear Bob,\n\
             \n\
             if you can read this, the post works.\n\
             .. and lines that begin with dots arrive as they were written.\n\
             \n\
             Yours, Ann\n"
        );
        Ok(Self {
            wire: on_the_wire(stored.as_bytes()),
            delivery: Delivery {
                sender: Sender::new(sender),
                recipients: vec![Recipient::new(recipient)],
                content: Arc::new(stored.into_bytes()),
            },
        })
    }

    /// What is handed in.
    pub(super) fn delivery(&self) -> Delivery {
        self.delivery.clone()
    }

    /// Whether a message is this one: its text unchanged, below the fields that
    /// servers put on top.
    pub(super) fn check(&self, by: &'static str, got: &[u8]) -> Result<(), DemoError> {
        let on_top = got.strip_suffix(self.wire.as_slice());
        let on_top = on_top.map(String::from_utf8_lossy);
        match on_top {
            Some(fields) if fields.is_empty() || fields.ends_with("\r\n") => Ok(()),
            _ => Err(DemoError::Differs {
                by,
                got: String::from_utf8_lossy(got).into_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fields_may_be_added_and_only_on_top() {
        let letter =
            Letter::new("ann@demo.example", "bob@demo.example", "demo.example").expect("addresses");
        let wire = String::from_utf8(letter.wire.clone()).expect("text");
        let check = |got: &str| letter.check("test", got.as_bytes()).is_ok();
        assert!(check(&wire));
        assert!(check(&format!("Return-Path: <>\r\n{wire}")));
        for wrong in [
            format!("X{wire}"),
            format!("{wire}\r\n"),
            wire.replace("\r\n", "\n"),
            wire.replace(".. and", ". and"),
            String::new(),
        ] {
            assert!(!check(&wrong), "{wrong:?}");
        }
    }
}
