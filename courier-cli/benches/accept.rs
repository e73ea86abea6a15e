//! Durable accepts per second through the spool, with 1, 16 and 64 sessions that wait
//! for their answers, beside the least that any group commit must do on the same disk:
//! one write and one sync for all who wait, and nothing else.
#![expect(
    clippy::expect_used,
    reason = "a bench that cannot go on has nothing to measure"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use courier_cli::disk::StdDisk;
use courier_cli::spool::{Spool, Text};
use courier_core::address::{ForwardPath, Mailbox, ReversePath};
use courier_core::disk::Octets;
use courier_core::envelope::{Channel, Envelope, Notify, QueueId, Recipient, Source};
use courier_core::mta::journal::{Entry, Options, Progress};
use courier_core::time::UnixSeconds;
use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use tokio::runtime::{self, Runtime};
use tokio::sync::oneshot;

/// Sessions that send one message after the other, each when it has its answer.
const WRITERS: [u64; 3] = [1, 16, 64];
/// Octets of a message.
const LENGTH: usize = 4096;
/// Octets of the bare log's file; when it is full it begins anew.
const BARE_LENGTH: u64 = 64 << 20;

fn accept(c: &mut Criterion) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("threads");
    let (spool, _) = Spool::open(
        &folder.path().join("journal"),
        &StdDisk::new(16),
        Options::default(),
    )
    .expect("open");
    let bare = BareLog::start(&folder.path().join("bare")).expect("a log");
    let mut group = c.benchmark_group("durable accepts");
    group
        .throughput(Throughput::Elements(1))
        .sample_size(20)
        .measurement_time(Duration::from_secs(6));
    for writers in WRITERS {
        measure(&mut group, &runtime, "bare log", writers, {
            let bare = bare.clone();
            let message: Octets = vec![b'x'; LENGTH].into();
            move || {
                let (bare, message) = (bare.clone(), Arc::clone(&message));
                async move { bare.append(message).await }
            }
        });
        measure(&mut group, &runtime, "spool", writers, {
            let spool = spool.clone();
            let (envelope, message) = (envelope(), Octets::from(vec![b'x'; LENGTH]));
            move || {
                let (spool, envelope, message) =
                    (spool.clone(), envelope.clone(), Arc::clone(&message));
                async move {
                    let text = Text::Short(spool.reserve(), message);
                    let accepted = spool.accept(&envelope, text).await.expect("room");
                    // A delivery settles it, or the log would only grow.
                    let settled = Entry::outcome(accepted.id, 0, Progress::Settled, vec![b'y'; 60]);
                    spool.record(vec![settled]);
                }
            }
        });
    }
    group.finish();
    spool.stop();
}

/// Has `writers` sessions append as many messages together as criterion asks for.
fn measure<F>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    runtime: &Runtime,
    name: &str,
    writers: u64,
    append: impl Fn() -> F + Clone + Send + 'static,
) where
    F: Future<Output = ()> + Send,
{
    group.bench_function(BenchmarkId::new(name, writers), |b| {
        b.iter_custom(|messages| {
            let begun = Instant::now();
            let sessions: Vec<_> = (0..writers)
                .map(|session| {
                    let share = messages / writers + u64::from(session < messages % writers);
                    let append = append.clone();
                    runtime.spawn(async move {
                        for _ in 0..share {
                            append().await;
                        }
                    })
                })
                .collect();
            runtime.block_on(async {
                for session in sessions {
                    session.await.expect("a session");
                }
            });
            begun.elapsed()
        });
    });
}

fn envelope() -> Envelope {
    let mailbox = |text: &[u8]| Mailbox::parse(text).expect("an address");
    let id = QueueId {
        number: 1,
        time: 1_795_621_435,
        process: 1,
    };
    let sender = ReversePath::Mailbox(mailbox(b"sender@client.example"));
    let source = Source::new(Channel::Smtp);
    let mut envelope = Envelope::new(id, sender, source, UnixSeconds(1_795_621_435));
    envelope.recipients.push(Recipient {
        path: ForwardPath::Mailbox(mailbox(b"ann@example.com")),
        notify: Notify::default(),
        orcpt: None,
    });
    envelope
}

type Waiting = (Octets, oneshot::Sender<()>);

/// A group commit and nothing else: no envelope, no checksum, no recovery.
#[derive(Clone)]
struct BareLog(Sender<Waiting>);

impl BareLog {
    fn start(path: &Path) -> io::Result<Self> {
        fs::write(
            path,
            vec![0; usize::try_from(BARE_LENGTH).expect("a small file")],
        )?;
        let file = OpenOptions::new().write(true).open(path)?;
        file.sync_all()?;
        let (requests, ready) = mpsc::channel();
        thread::spawn(move || Self::write(&file, &ready).expect("a disk"));
        Ok(Self(requests))
    }

    async fn append(&self, message: Octets) {
        let (answer, answered) = oneshot::channel();
        self.0.send((message, answer)).expect("a writer");
        answered.await.expect("an answer");
    }

    fn write(file: &File, ready: &Receiver<Waiting>) -> io::Result<()> {
        let mut at = 0;
        while let Ok(first) = ready.recv() {
            let batch: Vec<_> = [first].into_iter().chain(ready.try_iter()).collect();
            let slices: Vec<_> = batch
                .iter()
                .map(|(message, _)| IoSlice::new(message))
                .collect();
            let length: u64 = slices.iter().map(|slice| slice.len() as u64).sum();
            if at + length > BARE_LENGTH {
                at = 0;
            }
            assert_eq!(rustix::io::pwritev(file, &slices, at)? as u64, length);
            file.sync_data()?;
            at += length;
            for (_, answer) in batch {
                answer.send(()).expect("a session");
            }
        }
        Ok(())
    }
}

criterion_group!(benches, accept);
criterion_main!(benches);
