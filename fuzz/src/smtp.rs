//! A session of the SMTP server: any input, in any cut.
//!
//! The host answers from the input itself, so that refusals and challenges are tried
//! too. What must hold: the session comes to rest or closes; the same input in other
//! pieces gives the same replies and the same messages; what waits to be written is
//! bounded; content has no CR LF and ends in LF; its size is what was announced; no
//! message is committed twice or without a recipient.

use std::sync::Arc;

use courier_core::account::sasl::Verdict;
use courier_core::time::Millis;
use courier_smtp::content::{DataReader, End, Transparency};
use courier_smtp::extension::Keywords;
use courier_smtp::reply::{Refusal, Reply};
use courier_smtp::server::{
    Answer, BareNewline, Dialect, Expanded, Lookup, Mechanisms, Nul, Outcome, Output, Replies,
    Server, Settings, Step, Tls, Transport, Verified,
};

/// The first octet chooses the settings, the second how the host answers and how the
/// input is cut; the rest is what the client sends.
pub fn run(input: &[u8]) {
    let [mode, answers, said @ ..] = input else {
        return;
    };
    let whole = talk(*mode, *answers, [said]);
    let single = talk(*mode, *answers, said.chunks(1));
    assert_eq!(whole, single, "octet by octet");
    let size = usize::from(*answers % 7) + 2;
    let pieces = talk(*mode, *answers, said.chunks(size));
    assert_eq!(whole, pieces, "in pieces of {size}");
    message(said, size);
}

/// The input as the data of a message: what is content, and where it ends, must be what
/// the plain words of smtp.md 1.1 say, octet by octet.
fn message(input: &[u8], size: usize) {
    let mut reader = DataReader::new(Transparency::Dots);
    let (mut content, mut octets, mut used) = (Vec::new(), 0, 0);
    let mut end = End::NotYet;
    for piece in input.chunks(size) {
        let data = reader.read(piece);
        content.extend(data.content.flatten());
        octets += data.octets;
        used += data.consumed;
        end = data.end;
        if end == End::Found {
            break;
        }
    }
    let (mut expected, mut counted, mut rest, mut line_start) = (Vec::new(), 0, input, true);
    let found = loop {
        if line_start && let Some(after) = rest.strip_prefix(b".\r\n") {
            rest = after;
            break End::Found;
        }
        if line_start {
            rest = rest.strip_prefix(b".").unwrap_or(rest);
        }
        let crs = rest.iter().take_while(|&&octet| octet == b'\r').count();
        let Some((run, after)) = rest.split_at_checked(crs + 1) else {
            rest = b"";
            break End::NotYet;
        };
        line_start = crs > 0 && run.ends_with(b"\n");
        expected.extend_from_slice(if line_start { b"\n" } else { run });
        counted += run.len() as u64;
        rest = after;
    };
    assert_eq!(
        (end, used),
        (found, input.len() - rest.len()),
        "the end of the message"
    );
    assert_eq!(
        content.escape_ascii().to_string(),
        expected.escape_ascii().to_string()
    );
    assert_eq!(octets, counted);
}

fn settings(mode: u8) -> Settings {
    let mut settings = Settings::new("mx.example.com");
    if mode & 1 != 0 {
        settings.dialect = Dialect::Lmtp;
    }
    if mode & 2 != 0 {
        settings.keywords = Keywords::ALL;
    }
    if mode & 4 != 0 {
        settings.tls = Tls::Offered;
    }
    if mode & 8 != 0 {
        let both = vec!["PLAIN".to_owned(), "LOGIN".to_owned()];
        settings.mechanisms = Mechanisms {
            plain: both.clone(),
            tls: both,
        };
    }
    if mode & 16 != 0 {
        settings.limits.message = Some(40);
    }
    if mode & 32 != 0 {
        settings.vrfy = Lookup::On;
        settings.expn = Lookup::On;
    }
    if mode & 64 != 0 {
        settings.bare_newline = BareNewline::Reject;
        settings.nul = Nul::Reject;
    }
    settings.limits.command_line = 100;
    settings.limits.auth_line = 200;
    settings
}

/// What can be seen from outside, and does not depend on how the input was cut.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    replies: String,
    messages: Vec<Vec<u8>>,
    closed: bool,
}

struct Host {
    server: Server,
    now: Millis,
    /// Decides the answers, one after the other.
    dice: u32,
    /// Every CR and LF that the client sends belongs to a CRLF.
    plain_lines: bool,
    /// Recipients of the open transaction.
    recipients: usize,
    content: Vec<u8>,
    seen: Seen,
}

fn talk<'a, P>(mode: u8, answers: u8, pieces: P) -> Seen
where
    P: IntoIterator<Item = &'a [u8]>,
    P::IntoIter: Clone,
{
    let pieces = pieces.into_iter();
    let said = pieces.clone().collect::<Vec<_>>().concat();
    let ends = said.windows(2).filter(|pair| pair == b"\r\n").count();
    let marks = said
        .iter()
        .filter(|&&octet| octet == b'\r' || octet == b'\n');
    let transport = match mode & 128 {
        0 => Transport::Plain,
        _ => Transport::Tls,
    };
    let mut host = Host {
        server: Server::new(Arc::new(settings(mode)), transport),
        now: Millis(0),
        dice: u32::from(answers),
        plain_lines: marks.count() == 2 * ends,
        recipients: 0,
        content: Vec::new(),
        seen: Seen::default(),
    };
    let mut buffer: Vec<u8> = Vec::new();
    host.settle(&mut buffer);
    for piece in pieces {
        if host.seen.closed {
            break;
        }
        buffer.extend_from_slice(piece);
        host.settle(&mut buffer);
        // Only a line that is not over may wait to be read.
        assert!(buffer.len() <= 201, "{} octets are not read", buffer.len());
    }
    host.seen
}

impl Host {
    /// Polls until the session rests; pauses pass in no time.
    fn settle(&mut self, buffer: &mut Vec<u8>) {
        let mut used = 0;
        let input = std::mem::take(buffer);
        for _ in 0..1_000_000 {
            let rest = input.get(used..).unwrap_or_default();
            let Step { consumed, output } = self.server.poll(self.now, rest);
            assert!(consumed <= rest.len());
            used += consumed;
            match output {
                Output::Wait { deadline } => {
                    // The pause after a failed login is the only one in these settings.
                    if deadline - self.now <= Millis::from_secs(5) && deadline > self.now {
                        self.now = deadline;
                        continue;
                    }
                    assert!(deadline > self.now, "waits for the past");
                    *buffer = input.get(used..).unwrap_or_default().to_vec();
                    return;
                }
                Output::Close => {
                    self.seen.closed = true;
                    return;
                }
                output => self.carry_out(output),
            }
            if self.seen.closed {
                return;
            }
        }
        panic!("the session does not come to rest");
    }

    fn carry_out(&mut self, output: Output<'_>) {
        match output {
            Output::Write => {
                let some = self.server.pending().len().div_ceil(2);
                assert!(some > 0 && self.server.pending().len() <= 65536);
                let written = self.server.pending().get(..some).unwrap_or_default();
                self.seen
                    .replies
                    .extend(written.iter().copied().map(char::from));
                self.server.wrote(some);
            }
            // What is dropped here depends on what was there: the end of this test.
            Output::StartTls => self.seen.closed = true,
            Output::Sender { token, sender } => {
                (self.recipients, self.content) = (0, Vec::new());
                assert!(
                    sender.smtputf8 || sender.path.mailbox().is_none_or(|m| m.to_ascii().is_some())
                );
                let answer = self.answer();
                self.server.sender(token, answer);
            }
            Output::Recipient { token, .. } => {
                let answer = self.answer();
                self.recipients += usize::from(answer == Answer::Accept);
                self.server.recipient(token, answer);
            }
            Output::Data { token } => {
                assert!(self.recipients > 0, "nobody is to get the message");
                let answer = self.answer();
                self.server.data(token, answer);
            }
            Output::Body(content) => content.append_to(&mut self.content),
            Output::Commit {
                token,
                octets,
                replies,
            } => {
                let outcome = self.commit(octets, replies);
                self.server.committed(token, outcome);
            }
            Output::Abort(_) => (self.recipients, self.content) = (0, Vec::new()),
            Output::Authenticate { token, .. } | Output::Respond { token, .. } => {
                let verdict = match self.roll() % 5 {
                    0 => Verdict::Accepted,
                    1 => Verdict::Refused,
                    2 => Verdict::Malformed,
                    3 => Verdict::Unavailable,
                    _ => Verdict::Challenge(b"more".to_vec()),
                };
                self.server.authenticated(token, verdict);
            }
            Output::Verify { token, argument } => {
                self.server.verified(token, Verified::Known(argument))
            }
            Output::Expand { token, argument } => {
                self.server
                    .expanded(token, Expanded::Members(vec![argument; 3]));
            }
            Output::Wait { .. } | Output::Close => unreachable!("dealt with by settle"),
        }
    }

    fn commit(&mut self, octets: u64, replies: Replies) -> Outcome {
        let content = std::mem::take(&mut self.content);
        let recipients = std::mem::take(&mut self.recipients);
        assert!(recipients > 0, "committed twice, or to nobody");
        assert!(content.is_empty() || content.ends_with(b"\n"));
        assert!(
            !content.windows(2).any(|pair| pair == b"\r\n"),
            "CR LF in content"
        );
        let size = content.len() as u64;
        assert!(octets >= size, "{octets} octets became {size}");
        if self.plain_lines {
            let lines = content.iter().filter(|&&octet| octet == b'\n').count() as u64;
            assert_eq!(octets, size + lines, "lost, or counted twice");
        }
        self.seen.messages.push(content);
        let reply = |roll| match roll % 3 {
            0 => Reply::ok("Ok."),
            1 => Refusal::disk_full().into(),
            _ => Refusal::filtered("no\r\nand no").into(),
        };
        match replies {
            Replies::One => Outcome::All(reply(self.roll())),
            Replies::PerRecipient => {
                Outcome::Each((0..recipients).map(|_| reply(self.roll())).collect())
            }
        }
    }

    fn answer(&mut self) -> Answer {
        match self.roll() % 5 {
            0 => Answer::Refuse(Refusal::unknown_user()),
            _ => Answer::Accept,
        }
    }

    fn roll(&mut self) -> u32 {
        self.dice = self.dice.wrapping_mul(1_103_515_245).wrapping_add(12_345);
        self.dice >> 16
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// Of these odd sessions are made.
    const WORDS: [&str; 44] = [
        "EHLO a\r\n",
        "LHLO a\r\n",
        "HELO a",
        "MAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\n",
        "MAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n",
        "MAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\nBDAT 12 LAST\r\n",
        "MAIL FROM:<> EXDATA\r\nRCPT TO:<b@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n",
        "MAIL FROM:<a@example.net>",
        "MAIL FROM:<>\r\n",
        "MAIL FROM:<a@example.net> EXDATA\r\n",
        "RCPT TO:<b@example.com>\r\n",
        "RCPT TO:<c@example.com>\r\n",
        "RCPT TO:<\"d\"@example.com>",
        " SIZE=30",
        " SMTPUTF8",
        " NOTIFY=NEVER",
        " ORCPT=rfc822;x+2B\r\n",
        "DATA\r\n",
        "DATA\r\n",
        "BDAT 5\r\n",
        "BDAT 8 LAST\r\n",
        "BDAT 0 LAST\r\n",
        "AUTH PLAIN AGEAYg==\r\n",
        "AUTH LOGIN\r\n",
        "AGEAYg==\r\n",
        "*\r\n",
        "STARTTLS\r\n",
        "VRFY x\r\n",
        "EXPN x\r\n",
        "RSET\r\n",
        "NOOP\r\n",
        "HELP\r\n",
        "QUIT\r\n",
        "GET / HTTP/1.1\r\n",
        ".\r\n",
        "..",
        ".",
        "\r\n",
        "\r",
        "\n",
        "\0",
        "text\r\n",
        "é",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn any_session_holds(
            mode: u8,
            answers: u8,
            greeting in 0usize..3,
            words in proptest::collection::vec(0usize..WORDS.len(), 0..60),
        ) {
            let said: String = [greeting].iter().chain(&words).map(|&word| WORDS[word]).collect();
            super::run(&[&[mode, answers], said.as_bytes()].concat());
        }
    }

    #[test]
    fn the_corpus_holds() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/smtp");
        let mut messages = 0;
        for entry in std::fs::read_dir(folder).expect("the corpus") {
            let mut seed = std::fs::read(entry.expect("an entry").path()).expect("a seed");
            for answers in 0..8 {
                seed[1] = answers;
                super::run(&seed);
                messages += super::talk(seed[0], answers, [&seed[2..]]).messages.len();
            }
        }
        assert!(messages > 10, "the corpus in {folder} sends mail");
    }
}
