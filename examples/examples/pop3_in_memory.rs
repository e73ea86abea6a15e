//! A list of things to do as a mailbox: read by POP3, and a message that is deleted is
//! a thing done.
//!
//! ```sh
//! cargo run -p courier-examples --example pop3_in_memory
//! ```
//!
//! `courier-pop3` holds the protocol: numbers, marks, dots, time-outs. What is here is
//! a host: it says who may log in, makes the messages up, and takes note of deletions.

use std::error::Error;
use std::sync::Arc;

use courier_core::account::sasl::Verdict;
use courier_core::message::wire::{Encoding, length};
use courier_core::time::Millis;
use courier_pop3::listing::{HeaderOctets, Listing, MessageNumber};
use courier_pop3::session::{
    ClearPasswords, Opened, Output, RetrieveError, Session, Settings, Step, Transport,
};

struct ToDo {
    things: Vec<&'static str>,
}

impl ToDo {
    /// A thing to do, as a message.
    fn message(&self, number: MessageNumber) -> Option<Vec<u8>> {
        let thing = self.things.get(number.index())?;
        let message = format!("From: Me <me@example.com>\nSubject: {thing}\n\nPlease.\n");
        Some(message.into_bytes())
    }

    /// What a client sees of all messages when it logs in.
    fn listing(&self) -> Result<Listing, Box<dyn Error>> {
        let mut listing = Listing::new();
        for thing in &self.things {
            let number = MessageNumber::new(u32::try_from(listing.len())? + 1);
            let message = number
                .and_then(|number| self.message(number))
                .unwrap_or_default();
            let octets = length(&message, Encoding::Crlf);
            let unique = thing.replace(' ', "-");
            listing.push(octets, &unique, HeaderOctets::Ascii)?;
        }
        Ok(listing)
    }

    /// Serves one connection: what the client sends, to the end, gives what it gets.
    fn serve(&mut self, client: &[u8]) -> Result<String, Box<dyn Error>> {
        let settings = Settings {
            clear_passwords: ClearPasswords::Allowed, // here no wire can be tapped
            ..Settings::default()
        };
        let mut session = Session::new(Arc::new(settings), Transport::Plain);
        let (mut input, mut sent) = (client, Vec::new());
        loop {
            let Step { consumed, output } = session.poll(Millis(0), input);
            input = input.get(consumed..).unwrap_or_default();
            match output {
                Output::Write => {
                    sent.extend_from_slice(session.pending());
                    session.wrote(session.pending().len());
                }
                // A message, in pieces that are ready for the wire.
                Output::Send(segment) => sent.extend(segment.pieces(0).flatten()),
                Output::Login {
                    token,
                    user,
                    password,
                } => {
                    let verdict = match (user.as_str(), password.expose()) {
                        ("me", b"secret") => Verdict::Accepted,
                        _ => Verdict::Refused,
                    };
                    session.authenticated(token, verdict);
                }
                Output::Open { token } => {
                    session.opened(token, Opened::Maildrop(self.listing()?));
                }
                Output::Retrieve { token, number, .. } => {
                    let message = self.message(number).ok_or(RetrieveError::Gone);
                    session.retrieved(token, message.map(|message| Arc::new(message) as _));
                }
                Output::Delete { token, numbers } => {
                    for number in numbers.into_iter().rev() {
                        self.things.remove(number.index());
                    }
                    session.deleted(token, 0); // none of them is left
                }
                Output::Wait { .. } | Output::Close(_) => break,
                // Only settings that offer TLS, SASL and a back end lead here.
                other => unreachable!("{other:?}"),
            }
        }
        Ok(String::from_utf8(sent)?)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut list = ToDo {
        things: vec!["Water the plants", "Call Grandma", "Learn to juggle"],
    };
    let client = b"USER me\r\nPASS secret\r\nUIDL\r\nRETR 2\r\nDELE 2\r\nQUIT\r\n";
    let sent = list.serve(client)?;
    print!("{sent}");
    println!("\nstill to do: {}", list.things.join(", "));

    assert!(sent.contains("2 Call-Grandma\r\n"));
    assert!(sent.contains("Subject: Call Grandma\r\n\r\nPlease.\r\n.\r\n"));
    assert_eq!(list.things, ["Water the plants", "Learn to juggle"]);

    // A client that does not say QUIT deletes nothing (RFC 1939 section 6).
    list.serve(b"USER me\r\nPASS secret\r\nDELE 1\r\n")?;
    assert_eq!(list.things.len(), 2);
    let stranger = list.serve(b"USER me\r\nPASS guess\r\nLIST\r\n")?;
    assert!(!stranger.contains("plants"), "{stranger}");
    Ok(())
}

#[test]
fn the_example_is_right() -> Result<(), Box<dyn Error>> {
    main()
}
