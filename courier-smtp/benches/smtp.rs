//! What a session costs: taking commands apart, and carrying a message through.

use std::hint::black_box;
use std::sync::Arc;

use courier_core::time::Millis;
use courier_smtp::command::Command;
use courier_smtp::content::{DataReader, Transparency};
use courier_smtp::extension::Keywords;
use courier_smtp::parameter::{Recipient, Sender};
use courier_smtp::reply::{Charset, Reply};
use courier_smtp::server::{Answer, Outcome, Output, Server, Settings, Step, Transport};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const MAIL: &[u8] = b"MAIL FROM:<jane.doe@mail.example.net> SIZE=48231 BODY=8BITMIME";
const RCPT: &[u8] = b"RCPT TO:<joe.public@example.com> NOTIFY=FAILURE,DELAY";

fn commands(c: &mut Criterion) {
    let mut group = c.benchmark_group("command");
    group.throughput(Throughput::Elements(1));
    group.bench_function("MAIL, borrowed", |b| {
        b.iter(|| Command::parse(black_box(MAIL)));
    });
    group.bench_function("RCPT, borrowed", |b| {
        b.iter(|| Command::parse(black_box(RCPT)));
    });
    group.bench_function("MAIL, judged", |b| {
        b.iter(|| match Command::parse(black_box(MAIL)) {
            Ok(Command::Mail(argument)) => Sender::parse(argument, Keywords::STANDARD).ok(),
            _ => None,
        });
    });
    group.bench_function("RCPT, judged", |b| {
        b.iter(|| match Command::parse(black_box(RCPT)) {
            Ok(Command::Rcpt(argument)) => {
                Recipient::parse(argument, Keywords::STANDARD, Charset::Ascii).ok()
            }
            _ => None,
        });
    });
    group.finish();
}

/// A message of so many octets in wire form, with the end mark: lines of text as in mail,
/// or lines that all begin with a stuffed dot.
fn wire(size: usize, line: &str) -> Vec<u8> {
    let mut wire = line.repeat(size / line.len()).into_bytes();
    wire.extend_from_slice(b".\r\n");
    wire
}

const TEXT: &str =
    "The quick brown fox jumps over the lazy dog, and again, and then once more. .\r\n";
const DOTS: &str = "..\r\n";

fn data(c: &mut Criterion) {
    let mut group = c.benchmark_group("data");
    for (name, line) in [("text", TEXT), ("dots", DOTS)] {
        let wire = wire(64 * 1024, line);
        let mut spool = Vec::with_capacity(wire.len());
        group.throughput(Throughput::Bytes(wire.len() as u64));
        group.bench_function(format!("read {name}"), |b| {
            b.iter(|| {
                DataReader::new(Transparency::Dots)
                    .read(black_box(&wire))
                    .octets
            });
        });
        group.bench_function(format!("read and copy {name}"), |b| {
            b.iter(|| {
                spool.clear();
                let data = DataReader::new(Transparency::Dots).read(black_box(&wire));
                data.content.append_to(&mut spool);
            });
        });
    }
    group.finish();
}

/// A session that has greeted, and a host that accepts everything.
struct Host {
    server: Server,
    spool: Vec<u8>,
}

impl Host {
    fn new() -> Self {
        let mut settings = Settings::new("mx.example.com");
        settings.limits.transactions = u32::MAX;
        let mut host = Self {
            server: Server::new(Arc::new(settings), Transport::Plain),
            spool: Vec::new(),
        };
        host.read(b"EHLO client.example.net\r\n");
        host
    }

    fn read(&mut self, input: &[u8]) {
        let mut rest = input;
        loop {
            let Step { consumed, output } = self.server.poll(Millis(0), rest);
            rest = rest.get(consumed..).unwrap_or_default();
            match output {
                Output::Write => self.server.wrote(self.server.pending().len()),
                Output::Sender { token, .. } => self.server.sender(token, Answer::Accept),
                Output::Recipient { token, .. } => self.server.recipient(token, Answer::Accept),
                Output::Data { token } => self.server.data(token, Answer::Accept),
                Output::Body(content) => content.append_to(&mut self.spool),
                Output::Commit { token, .. } => {
                    self.spool.clear();
                    self.server.committed(token, Outcome::All(Reply::ok("Ok.")));
                }
                Output::Wait { .. } => return,
                other => unreachable!("{other:?}"),
            }
        }
    }
}

fn sessions(c: &mut Criterion) {
    let mut group = c.benchmark_group("session");
    let envelope = b"MAIL FROM:<jane.doe@mail.example.net> SIZE=48231\r\n\
                     RCPT TO:<joe.public@example.com>\r\nDATA\r\n";
    let mut host = Host::new();
    for size in [4 * 1024, 256 * 1024] {
        let wire = wire(size, TEXT);
        group.throughput(Throughput::Bytes(wire.len() as u64));
        group.bench_function(format!("a message of {} KiB", size / 1024), |b| {
            b.iter(|| {
                host.read(envelope);
                wire.chunks(16 * 1024).for_each(|chunk| host.read(chunk));
            });
        });
    }
    group.throughput(Throughput::Elements(1));
    let mut settings = Settings::new("mx.example.com");
    settings.limits.transactions = u32::MAX;
    settings.limits.idle_commands = u32::MAX;
    host.server = Server::new(Arc::new(settings), Transport::Plain);
    group.bench_function("NOOP", |b| b.iter(|| host.read(black_box(b"NOOP\r\n"))));
    group.finish();
}

criterion_group!(benches, commands, data, sessions);
criterion_main!(benches);
