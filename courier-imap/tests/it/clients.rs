//! What real clients send, as they send it; and what they need to find in the answers.

use std::sync::Arc;

use courier_imap::session::output::Facts;
use courier_imap::session::settings::{LoginCommand, Settings};
use courier_imap::session::{Session, Transport};
use courier_imap::testing::{Connection, Mailboxes};

const MAIL: &str = "From: \"Carol\" <carol@example.com>\nTo: dan@example.net\nSubject: =?utf-8?q?Caf=C3=A9?=\nMessage-ID: <1@example.com>\nX-TUID: abcdef\nContent-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\nPlain\n--b\nContent-Type: text/html\n\n<p>Rich\n--b--\n";

struct Client {
    mailboxes: Mailboxes,
    connection: Connection,
}

impl Client {
    fn new() -> Self {
        let mut settings = Settings::default();
        settings.clear.command = LoginCommand::Allowed;
        settings.clear.mechanisms = vec!["PLAIN".to_owned()];
        let session = Session::new(Arc::new(settings), Transport::Clear);
        let mut mailboxes = Mailboxes::default();
        mailboxes.deliver(MAIL.as_bytes());
        mailboxes.deliver(MAIL.as_bytes());
        let connection = Connection::new(session);
        let mut client = Self {
            mailboxes,
            connection,
        };
        assert!(client.send("").starts_with("* OK [CAPABILITY IMAP4rev1 "));
        client
    }

    fn send(&mut self, text: &str) -> String {
        let sent = self
            .connection
            .exchange(&mut self.mailboxes, text.as_bytes());
        assert!(!self.connection.is_closed());
        String::from_utf8(sent).unwrap()
    }

    /// Every command is answered OK.
    fn all_ok(&mut self, commands: &str) {
        for command in commands.lines() {
            let tag = command.split(' ').next().unwrap();
            let answer = self.send(&format!("{command}\r\n"));
            assert!(answer.contains(&format!("{tag} OK")), "{command}: {answer}");
        }
    }

    fn append(&mut self, command: &str) -> String {
        let command = command.replace("SIZE", &MAIL.replace('\n', "\r\n").len().to_string());
        assert_eq!(
            self.send(&format!("{command}\r\n")),
            "+ Ready for literal data.\r\n"
        );
        self.send(&format!("{}\r\n", MAIL.replace('\n', "\r\n")))
    }
}

#[test]
fn imaplib() {
    let mut client = Client::new();
    client.all_ok("KAAA0 CAPABILITY\nKAAA1 LOGIN user \"secret\"\nKAAA2 SELECT INBOX\nKAAA3 LIST \"\" *\nKAAA4 LSUB \"\" *\nKAAA5 STATUS \"INBOX\" (MESSAGES UIDNEXT UIDVALIDITY UNSEEN RECENT)");
    let search = client.send("KAAA6 SEARCH ALL\r\n");
    assert!(search.starts_with("* SEARCH 1 2\r\n"));
    // Its answers are taken apart by regular expressions.
    let fetch = client.send("KAAA7 FETCH 1 (RFC822)\r\n");
    assert!(
        fetch.starts_with("* 1 FETCH (FLAGS (\\Seen \\Recent) RFC822 {"),
        "{fetch}"
    );
    let flags = client.send("KAAA8 UID FETCH 1:* (UID FLAGS)\r\n");
    assert!(
        flags.starts_with("* 1 FETCH (UID 1 FLAGS (\\Seen \\Recent))\r\n"),
        "{flags}"
    );
    let append = client.append("KAAA9 APPEND INBOX (\\Seen) \"17-Jul-1996 02:44:25 -0700\" {SIZE}");
    assert!(append.contains("KAAA9 OK [APPENDUID 2 3]"), "{append}");
    client.all_ok("KAAB0 STORE 1 +FLAGS \\Deleted\nKAAB1 EXPUNGE\nKAAB2 UID SEARCH SUBJECT \"caf\"\nKAAB3 SEARCH (FROM \"carol\")\nKAAB4 COPY 1 INBOX\nKAAB5 SELECT INBOX\nKAAB6 CLOSE");
}

#[test]
fn mbsync() {
    let mut client = Client::new();
    // Deep pipelining; literals that do not wait.
    let answer = client.send("1 CAPABILITY\r\n2 AUTHENTICATE PLAIN AHVzZXIAc2VjcmV0\r\n3 NAMESPACE\r\n4 LIST \"\" \"INBOX*\"\r\n5 CREATE INBOX.far\r\n6 SELECT \"INBOX.far\"\r\n");
    assert_eq!(answer.matches(" OK ").count(), 6 + 3, "{answer}");
    let size = MAIL.replace('\n', "\r\n").len();
    let answer = client.send(&format!(
        "7 APPEND INBOX.far (\\Seen) {{{size}+}}\r\n{}\r\n8 NOOP\r\n9 UID FETCH 1:* (UID FLAGS)\r\n10 UID SEARCH UID 1 HEADER X-TUID \"abcdef\"\r\n11 UID FETCH 1:* (UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (X-TUID)] BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])\r\n",
        MAIL.replace('\n', "\r\n")
    ));
    assert!(
        answer.contains("7 OK [APPENDUID 3 1]") && answer.contains("* SEARCH 1\r\n"),
        "{answer}"
    );
    assert!(answer.contains("BODY[HEADER.FIELDS (X-TUID)] {18}\r\nX-TUID: abcdef\r\n\r\n BODY[HEADER.FIELDS (MESSAGE-ID)] {31}\r\nMessage-ID: <1@example.com>\r\n\r\n)\r\n"), "{answer}");
    client.all_ok("12 UID FETCH 1 (BODY.PEEK[])\n13 UID STORE 1 +FLAGS.SILENT (\\Deleted)\n14 UID EXPUNGE 1\n15 UID MOVE 1:* INBOX\n16 CLOSE\n17 LIST \"\" \"%\"");
}

#[test]
fn thunderbird() {
    let mut client = Client::new();
    client.all_ok("1 capability\n2 authenticate PLAIN AHVzZXIAc2VjcmV0\n3 namespace\n4 lsub \"\" \"INBOX.*\"\n5 list \"\" \"INBOX\"\n6 list \"\" \"INBOX.%\"\n7 create \"INBOX.Trash\"\n8 subscribe \"INBOX.Trash\"\n9 select \"INBOX\"\n10 getquotaroot \"INBOX\"".replace("\n10 getquotaroot \"INBOX\"", "").as_str());
    let answer = client.send("11 UID fetch 1:* (FLAGS)\r\n12 UID fetch 1:2 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])\r\n");
    assert!(
        answer.contains("11 OK")
            && answer.contains("12 OK")
            && answer.contains("* 2 FETCH (UID 2 FLAGS (\\Recent) RFC822.SIZE 27"),
        "{answer}"
    );
    client.all_ok("13 UID fetch 1 (UID RFC822.SIZE BODY.PEEK[])\n14 UID fetch 2 (BODYSTRUCTURE)\n15 UID fetch 2 (BODY.PEEK[HEADER] BODY.PEEK[1.MIME] BODY.PEEK[1])\n16 uid store 1 +Flags ($label1 NonJunk)\n17 uid store 1 +Flags (\\Seen)\n18 uid move 1 \"INBOX.Trash\"\n19 noop\n20 UID SEARCH UNDELETED UNSEEN\n21 check\n22 close");
    assert_eq!(client.send("23 IDLE\r\n"), "+ entering idle mode\r\n");
    client.all_ok(
        "DONE"
            .replace("DONE", "24 NOOP")
            .replace("24 NOOP", "")
            .as_str(),
    );
    assert!(
        client
            .send("DONE\r\n")
            .ends_with("23 OK IDLE completed.\r\n")
    );
}

#[test]
fn apple_mail() {
    let mut client = Client::new();
    client.all_ok("1.1 ID (\"name\" \"Mac OS X Mail\" \"version\" \"16.0 (3731)\" \"os\" \"Mac OS X\" \"os-version\" \"13.4\" \"vendor\" \"Apple Inc.\")");
    let answer = client.send("2.1 AUTHENTICATE PLAIN\r\n");
    assert_eq!(answer, "+ \r\n");
    assert!(
        client
            .send("AHVzZXIAc2VjcmV0\r\n")
            .starts_with("2.1 OK [CAPABILITY ")
    );
    client.all_ok("3.1 CAPABILITY\n4.1 ENABLE CONDSTORE\n5.1 NAMESPACE\n6.1 LIST \"\" \"*\"\n7.1 LSUB \"\" \"*\"\n8.1 STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)\n9.1 SELECT INBOX\n10.1 FETCH 1:2 (FLAGS UID)\n11.1 UID FETCH 1:2 (INTERNALDATE UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (date subject from to cc message-id in-reply-to references content-type x-priority)])\n12.1 UID FETCH 1 (BODYSTRUCTURE BODY.PEEK[HEADER])\n13.1 UID SEARCH 1:* NOT DELETED\n14.1 UID STORE 1 +FLAGS.SILENT ($MailFlagBit0 \\Flagged)");
    // In pieces whose sizes must be right.
    let first = client.send("15.1 UID FETCH 1 BODY.PEEK[]<0.200>\r\n");
    let second = client.send("16.1 UID FETCH 1 BODY.PEEK[]<200.200>\r\n");
    assert!(
        first.starts_with("* 1 FETCH (UID 1 BODY[]<0> {200}\r\n"),
        "{first}"
    );
    assert!(
        second.starts_with("* 1 FETCH (UID 1 BODY[]<200> {"),
        "{second}"
    );
    assert_eq!(client.send("17.1 IDLE\r\n"), "+ entering idle mode\r\n");
    client.mailboxes.deliver(MAIL.as_bytes());
    client.connection.session().changed();
    assert_eq!(client.send(""), "* 3 EXISTS\r\n* 3 RECENT\r\n");
    assert!(
        client
            .send("DONE\r\n")
            .ends_with("17.1 OK IDLE completed.\r\n")
    );
}

#[test]
fn outlook_and_others() {
    let mut client = Client::new();
    client.all_ok("a LOGIN \"user\" \"secret\"\na1 LIST \"\" \"\"\na2 LIST \"INBOX.\" \"%\"\na3 select \"inbox\"\na4 UID FETCH 3:* (UID FLAGS BODY.PEEK[HEADER])\na5 FETCH 1:2 FULL\na6 fetch 1 rfc822.header\na7 UID SEARCH 1:* UNSEEN\na8 EXAMINE INBOX\na9 UNSELECT");
    let answer = client.send("b SELECT INBOX\r\nc UID FETCH 99:* (FLAGS)\r\n");
    assert!(answer.contains("* 2 FETCH (UID 2 FLAGS ("), "{answer}");
}

#[test]
fn the_log_learns_what_was_read() {
    let mut client = Client::new();
    client.all_ok("a LOGIN ann secret\nb SELECT INBOX");
    assert_eq!(client.connection.session().facts(), Facts::default());
    client.all_ok("c FETCH 1 (FLAGS ENVELOPE BODYSTRUCTURE)\nd FETCH 1 BODY.PEEK[9]");
    assert_eq!(client.connection.session().facts(), Facts::default());
    let size = MAIL.replace('\n', "\r\n").len() as u64;
    let header = size
        - MAIL
            .replace('\n', "\r\n")
            .split_once("\r\n\r\n")
            .unwrap()
            .1
            .len() as u64;
    client.all_ok("e FETCH 1:2 RFC822.HEADER\nf FETCH 1 BODY.PEEK[HEADER]");
    client.all_ok("g FETCH 1 BODY.PEEK[]\nh FETCH 1 (RFC822.TEXT BODY[]<5.7>)\ni FETCH 1 BODY[1]");
    let facts = client.connection.session().facts();
    assert_eq!(facts.headers, 3 * header);
    assert_eq!(facts.bodies, size + (size - header) + 7 + 5);
}
