//! Several clients on one mailbox, in any interleaving: each believes every line it gets,
//! and must end up with what is there.

use std::sync::Arc;

use courier_core::time::Millis;
use courier_imap::grammar::mailbox_name::MailboxName;
use courier_imap::session::settings::Settings;
use courier_imap::session::{Session, Transport};
use courier_imap::testing::{Connection, Mailboxes};
use proptest::prelude::*;

/// What a client makes of the answers.
struct Client {
    connection: Connection,
    /// By sequence number: UID and flags, as far as they were told.
    messages: Vec<(Option<u32>, Option<String>)>,
    idle: bool,
}

impl Client {
    fn new(mailboxes: &mut Mailboxes) -> Self {
        let session = Session::preauthenticated(Arc::new(Settings::default()), Transport::Tls);
        let connection = Connection::new(session);
        let mut client = Self {
            connection,
            messages: Vec::new(),
            idle: false,
        };
        client.command(mailboxes, "SELECT INBOX");
        client.command(mailboxes, "FETCH 1:* (UID FLAGS)");
        client
    }

    fn command(&mut self, mailboxes: &mut Mailboxes, command: &str) {
        if self.idle {
            self.idle = false;
            let text = self.connection.exchange(mailboxes, b"DONE\r\n");
            self.read(&text, "DONE");
        }
        self.idle = command == "IDLE";
        let text = self
            .connection
            .exchange(mailboxes, format!("t {command}\r\n").as_bytes());
        assert!(!self.connection.is_closed());
        self.read(&text, command);
        if !self.idle {
            let text = String::from_utf8_lossy(&text).into_owned();
            assert_eq!(
                text.lines().filter(|line| line.starts_with("t ")).count(),
                1,
                "{text}"
            );
            assert!(text.lines().last().unwrap().starts_with("t "), "{text}");
        }
    }

    /// The host has noticed that something changed.
    fn wake(&mut self, mailboxes: &mut Mailboxes) {
        self.connection.session().changed();
        let text = self.connection.exchange(mailboxes, b"");
        self.read(&text, "IDLE");
    }

    fn read(&mut self, text: &[u8], command: &str) {
        let numbers_stay = ["FETCH", "STORE", "SEARCH"]
            .iter()
            .any(|c| command.starts_with(c));
        for line in String::from_utf8_lossy(text).lines() {
            let Some((number, rest)) = line
                .strip_prefix("* ")
                .and_then(|rest| rest.split_once(' '))
                .and_then(|(number, rest)| Some((number.parse::<usize>().ok()?, rest)))
            else {
                continue;
            };
            if rest == "EXPUNGE" {
                // RFC 3501 §7.4.1
                assert!(!numbers_stay, "EXPUNGE during {command}");
                assert!(number >= 1 && number <= self.messages.len(), "{line}");
                self.messages.remove(number - 1);
            } else if rest == "EXISTS" {
                if command.starts_with("SELECT") {
                    self.messages.clear();
                }
                assert!(
                    number >= self.messages.len(),
                    "{line} after {}",
                    self.messages.len()
                );
                self.messages.resize(number, (None, None));
            } else if let Some(items) = rest.strip_prefix("FETCH (") {
                let message = self
                    .messages
                    .get_mut(number - 1)
                    .expect("a message that exists");
                let items = items.strip_suffix(')').unwrap_or(items);
                let uid = items
                    .split("UID ")
                    .nth(1)
                    .map(|rest| rest.split(' ').next().unwrap().parse::<u32>().unwrap());
                if let Some(uid) = uid {
                    assert!(
                        message.0.is_none_or(|old| old == uid),
                        "{line}: was {message:?}"
                    );
                    message.0 = Some(uid);
                }
                if let Some(flags) = items.split("FLAGS (").nth(1) {
                    let flags = flags.split(')').next().unwrap().replace("\\Recent", "");
                    let mut flags: Vec<&str> = flags.split_whitespace().collect();
                    flags.sort_unstable();
                    message.1 = Some(flags.join(" "));
                }
            }
        }
    }

    /// Everything it knows is true.
    fn agrees(&self, mailboxes: &Mailboxes) {
        let there = mailboxes.list(&MailboxName::inbox());
        assert_eq!(self.messages.len(), there.len());
        for (known, now) in self.messages.iter().zip(there) {
            assert!(
                known.0.is_none_or(|uid| uid == now.uid.get()),
                "{known:?} is {now:?}"
            );
            let mut flags: Vec<String> = now
                .flags
                .iter()
                .map(|flag| flag.as_str().to_owned())
                .collect();
            flags.extend(now.keywords.iter().map(ToString::to_string));
            flags.sort_unstable();
            // A silent STORE is known to the client, which this model does not compute.
            if let Some(known) = &known.1 {
                assert_eq!(known, &flags.join(" "), "UID {}", now.uid.get());
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Action {
    Command(usize, String),
    Deliver,
    Wake(usize),
    Sleep(usize),
}

const CLIENTS: usize = 3;

fn action() -> impl Strategy<Value = Action> {
    let set = prop_oneof![
        Just("1:*".to_owned()),
        Just("*".to_owned()),
        (1_u32..12).prop_map(|n| n.to_string()),
        (1_u32..12, 1_u32..12).prop_map(|(a, b)| format!("{a}:{b}")),
    ];
    let command = (set, 0_u8..16).prop_map(|(set, kind)| match kind {
        0 => "NOOP".to_owned(),
        1 => format!("FETCH {set} (UID FLAGS)"),
        2 => format!("UID FETCH {set} FLAGS"),
        3 => format!("STORE {set} +FLAGS (\\Deleted)"),
        4 => format!("STORE {set} -FLAGS (\\Deleted k)"),
        5 => format!("UID STORE {set} FLAGS (\\Flagged k)"),
        6 => "EXPUNGE".to_owned(),
        7 => format!("UID EXPUNGE {set}"),
        8 => format!("COPY {set} INBOX"),
        9 => format!("UID MOVE {set} INBOX"),
        10 => format!("MOVE {set} INBOX"),
        11 => format!("SEARCH {set} DELETED"),
        12 => format!("FETCH {set} RFC822.TEXT"),
        13 => "IDLE".to_owned(),
        14 => "CHECK".to_owned(),
        _ => "SELECT INBOX".to_owned(),
    });
    prop_oneof![
        8 => (0..CLIENTS, command).prop_map(|(client, command)| Action::Command(client, command)),
        2 => Just(Action::Deliver),
        2 => (0..CLIENTS).prop_map(Action::Wake),
        1 => (0..CLIENTS).prop_map(Action::Sleep),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn views_stay_consistent_under_any_interleaving(actions in proptest::collection::vec(action(), 1..60)) {
        let mut mailboxes = Mailboxes::default();
        for n in 0..4 {
            mailboxes.deliver(format!("Subject: {n}\n\nbody\n").as_bytes());
        }
        let mut clients: Vec<Client> = (0..CLIENTS).map(|_| Client::new(&mut mailboxes)).collect();
        for action in &actions {
            match action {
                Action::Command(client, command) => {
                    // A mailbox that doubles for ever would be a slow test.
                    let size = mailboxes.list(&MailboxName::inbox()).len();
                    if size < 60 || !command.starts_with("COPY") {
                        clients[*client].command(&mut mailboxes, command);
                    }
                }
                Action::Deliver => {
                    mailboxes.deliver(b"Subject: new\n\nbody\n");
                }
                Action::Wake(client) => clients[*client].wake(&mut mailboxes),
                Action::Sleep(client) => clients[*client].connection.sleep(Millis::from_secs(2)),
            }
        }
        for client in &mut clients {
            client.command(&mut mailboxes, "NOOP");
            client.agrees(&mailboxes);
            client.command(&mut mailboxes, "FETCH 1:* (UID FLAGS)");
            client.agrees(&mailboxes);
        }
    }

    /// RFC822.SIZE is the length of BODY[], and the pieces of BODY[] make up the whole.
    #[test]
    fn sizes_and_pieces_agree(
        text in "(a|b|\n|\r\n|Subject: x\n|\n\n|\\.){0,40}",
        cut in 1_usize..30,
    ) {
        let mut mailboxes = Mailboxes::default();
        mailboxes.deliver(b"one\n");
        mailboxes.deliver(text.as_bytes());
        let mut client = Client::new(&mut mailboxes);
        let mut fetch = |items: &str| {
            let text = client.connection.exchange(&mut mailboxes, format!("t FETCH 2 {items}\r\n").as_bytes());
            String::from_utf8(text).unwrap()
        };
        let literal = |text: &str| {
            let (size, rest) = text.split_once('{').unwrap().1.split_once("}\r\n").unwrap();
            rest.get(..size.parse::<usize>().unwrap()).unwrap().to_owned()
        };
        let whole = literal(&fetch("BODY.PEEK[]"));
        let expected = format!("* 2 FETCH (RFC822.SIZE {})\r\n", whole.len());
        prop_assert!(fetch("RFC822.SIZE").starts_with(&expected));
        let header = literal(&fetch("BODY.PEEK[HEADER]"));
        let body = literal(&fetch("BODY.PEEK[TEXT]"));
        prop_assert_eq!(header + &body, whole.clone());
        let mut joined = String::new();
        for at in (0..whole.len() + cut).step_by(cut) {
            joined.push_str(&literal(&fetch(&format!("BODY.PEEK[]<{at}.{cut}>"))));
        }
        prop_assert_eq!(joined, whole);
    }
}
