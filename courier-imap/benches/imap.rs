//! Commands, and answers about a mailbox of 100,000 messages.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::Arc;

use courier_core::time::{Millis, UnixSeconds};
use courier_imap::grammar::command::Request;
use courier_imap::grammar::flag::{Flag, Flags};
use courier_imap::grammar::framing::{Frame, Framer, Limits};
use courier_imap::grammar::response::Recent;
use courier_imap::session::output::{Opened, Output};
use courier_imap::session::settings::Settings;
use courier_imap::session::{Session, Transport};
use courier_imap::view::{Changes, Message, Snapshot, Uid, UidValidity};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// What clients send all day.
const COMMANDS: &str = "a1 NOOP\r\n\
    a2 UID FETCH 1:* (FLAGS)\r\n\
    a3 FETCH 12 (UID RFC822.SIZE FLAGS BODY.PEEK[])\r\n\
    a4 UID STORE 4711 +FLAGS.SILENT (\\Seen)\r\n\
    a5 SELECT \"INBOX.Sent\"\r\n\
    a6 STATUS INBOX (MESSAGES UNSEEN UIDNEXT)\r\n\
    a7 UID SEARCH UNSEEN UNDELETED\r\n\
    a8 IDLE\r\n\
    a9 UID FETCH 100:105,107 (ENVELOPE BODYSTRUCTURE)\r\n\
    b0 LIST \"\" \"*\"\r\n";

fn commands(c: &mut Criterion) {
    let mut group = c.benchmark_group("commands");
    group.throughput(Throughput::Elements(10));
    group.bench_function("frame and parse", |b| {
        b.iter(|| {
            let mut framer = Framer::default();
            let mut rest = COMMANDS.as_bytes();
            while !rest.is_empty() {
                let (count, frame) = framer.next(rest, Limits::COMMAND);
                if let Frame::Command(line) = frame {
                    let request = Request::parse(&line);
                    assert!(
                        black_box(&request)
                            .as_ref()
                            .is_ok_and(|r| r.command.is_ok())
                    );
                }
                rest = rest.get(count..).unwrap_or_default();
            }
        });
    });
    group.finish();
}

fn snapshot() -> Snapshot {
    let uid = |n| Uid::new(n).unwrap_or(Uid(NonZeroU32::MIN));
    let mut snapshot = Snapshot::new(UidValidity(NonZeroU32::MIN), uid(200_001));
    snapshot.reserve(100_000);
    for n in 1..=100_000 {
        let seen = Flags::NONE.with(Flag::Seen);
        let message = Message {
            uid: uid(2 * n),
            flags: if n % 3 == 0 { Flags::NONE } else { seen },
            keywords: Vec::new(),
            recent: Recent::No,
            size: Some(4000),
            date: Some(UnixSeconds(1_700_000_000)),
        };
        assert!(snapshot.push(&message).is_ok());
    }
    snapshot
}

/// Runs a session with a host that knows no changes, until it waits.
fn drive(session: &mut Session, mut input: &[u8]) -> usize {
    let mut sent = 0;
    loop {
        let step = session.poll(Millis(0), input);
        input = input.get(step.consumed..).unwrap_or_default();
        match step.output {
            Output::Write => {
                let count = black_box(session.pending()).len();
                sent += count;
                session.wrote(count);
            }
            Output::Select(token, _, access) => {
                let snapshot = snapshot();
                session.selected(token, Ok(Opened { snapshot, access }));
            }
            Output::Refresh(token) => session.refreshed(token, Ok(Changes::default())),
            Output::Wait { .. } => return sent,
            other => panic!("{other:?}"),
        }
    }
}

fn answers(c: &mut Criterion) {
    let mut group = c.benchmark_group("100,000 messages");
    group
        .throughput(Throughput::Elements(100_000))
        .sample_size(20);
    let settings = Arc::new(Settings::default());
    let mut session = Session::preauthenticated(settings, Transport::Tls);
    drive(&mut session, b"s SELECT INBOX\r\n");
    for (name, command) in [
        ("FETCH FLAGS", "a UID FETCH 1:* (FLAGS)\r\n"),
        ("FETCH FAST", "a FETCH 1:* FAST\r\n"),
        ("SEARCH UNSEEN", "a SEARCH UNSEEN\r\n"),
        (
            "UID SEARCH by date and size",
            "a UID SEARCH SINCE 1-Jan-2023 LARGER 100 NOT DELETED\r\n",
        ),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| drive(&mut session, command.as_bytes()));
        });
    }
    group.bench_function("SELECT", |b| {
        b.iter(|| drive(&mut session, b"s SELECT INBOX\r\n"));
    });
    group.finish();
}

criterion_group!(benches, commands, answers);
criterion_main!(benches);
