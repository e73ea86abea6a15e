//! A mail server in memory: an SMTP session whose socket is a `Vec`, and whose mailboxes
//! are a map.
//!
//! ```sh
//! cargo run -p courier-examples --example smtp_in_memory
//! ```
//!
//! `courier-smtp` holds the protocol; what is here is all that a host adds: who the
//! users are, where their mail is kept, and a loop.

use std::collections::BTreeMap;
use std::sync::Arc;

use courier_core::time::Millis;
use courier_smtp::Server;
use courier_smtp::parameter::Recipient;
use courier_smtp::reply::{Refusal, Reply};
use courier_smtp::server::{Answer, Outcome, Output, Settings, Step, Transport};

/// The users of one domain and their messages.
struct Mailboxes {
    domain: &'static str,
    messages: BTreeMap<&'static str, Vec<Vec<u8>>>,
}

impl Mailboxes {
    fn new(domain: &'static str, users: [&'static str; 2]) -> Self {
        Self {
            domain,
            messages: users.map(|user| (user, Vec::new())).into(),
        }
    }

    /// The user a recipient stands for; or what its sender is told.
    fn find(&self, recipient: &Recipient) -> Result<&'static str, Refusal> {
        let mailbox = recipient.path.mailbox().ok_or_else(Refusal::unknown_user)?;
        if mailbox.domain().as_str() != self.domain {
            return Err(Refusal::relaying_denied());
        }
        let found = self.messages.get_key_value(mailbox.local().as_str());
        found
            .map(|(user, _)| *user)
            .ok_or_else(Refusal::unknown_user)
    }

    fn deliver(&mut self, message: &[u8], users: &[&'static str]) -> usize {
        for user in users {
            self.messages
                .entry(user)
                .or_default()
                .push(message.to_vec());
        }
        self.messages.values().map(Vec::len).sum()
    }

    /// Serves one connection: what the client sends, to the end, gives what it gets.
    fn serve(&mut self, settings: &Arc<Settings>, client: &[u8]) -> String {
        let mut session = Server::new(Arc::clone(settings), Transport::Plain);
        let (mut input, mut replies) = (client, Vec::new());
        let (mut users, mut message) = (Vec::new(), Vec::new());
        loop {
            let Step { consumed, output } = session.poll(Millis(0), input);
            match output {
                Output::Write => {
                    let ready = session.pending();
                    replies.extend_from_slice(ready);
                    session.wrote(ready.len());
                }
                Output::Sender { token, .. } => {
                    users.clear();
                    session.sender(token, Answer::Accept);
                }
                Output::Recipient { token, recipient } => match self.find(&recipient) {
                    Ok(user) => {
                        users.push(user);
                        session.recipient(token, Answer::Accept);
                    }
                    Err(refusal) => session.recipient(token, Answer::Refuse(refusal)),
                },
                Output::Data { token } => {
                    message.clear();
                    session.data(token, Answer::Accept);
                }
                // Slices of `client`, dots and line ends put right: the one copy is ours.
                Output::Body(content) => content.append_to(&mut message),
                Output::Commit { token, .. } => {
                    let id = self.deliver(&message, &users);
                    session.committed(token, Outcome::All(Reply::ok(format!("Ok. {id}"))));
                }
                Output::Abort(_) => message.clear(),
                Output::Wait { .. } => break, // a socket would be read here; ours is empty
                Output::Close => break,
                // Only settings that offer TLS, logins and look-ups lead here.
                other => unreachable!("{other:?}"),
            }
            input = input.get(consumed..).unwrap_or_default();
        }
        String::from_utf8_lossy(&replies).into_owned()
    }
}

const CONVERSATION: &str = "\
EHLO laptop.example.net
MAIL FROM:<jane@example.net>
RCPT TO:<joe@example.com>
RCPT TO:<anne@example.com>
RCPT TO:<nobody@example.com>
RCPT TO:<joe@elsewhere.example>
DATA
From: Jane <jane@example.net>
Subject: lunch

Noon at the harbour?
..and bring a hat.
.
MAIL FROM:<>
RSET
QUIT
";

fn main() {
    let settings = Arc::new(Settings::new("mx.example.com"));
    let mut mailboxes = Mailboxes::new("example.com", ["anne", "joe"]);
    let client = CONVERSATION.replace('\n', "\r\n");

    let replies = mailboxes.serve(&settings, client.as_bytes());
    println!("{replies}");
    for (user, messages) in &mailboxes.messages {
        println!("{user} has {} message(s)", messages.len());
    }

    let refused: Vec<&str> = replies
        .lines()
        .filter(|line| line.starts_with('5'))
        .collect();
    assert_eq!(
        refused,
        ["550 5.1.1 User unknown", "513 5.7.1 Relaying denied."]
    );
    let lunch = "From: Jane <jane@example.net>\nSubject: lunch\n\n\
                 Noon at the harbour?\n.and bring a hat.\n";
    for user in ["anne", "joe"] {
        assert_eq!(mailboxes.messages.get(user), Some(&vec![lunch.into()]));
    }
    assert!(replies.ends_with("221 2.0.0 Bye.\r\n"));
}

#[test]
fn the_example_is_right() {
    main();
}
