//! Delivering messages into maildirs, many at a time.
//!
//! Each message is written into `tmp` and synced, then linked into `new`; then each
//! `new` is synced once for all that came into it. Nothing appears in `new` that is
//! not whole and durable, and no message is reported delivered before its name is
//! durable too.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError, DiskErrorKind, Durability, Op};

use crate::content::Content;
use crate::folder::{FolderPath, ensure, is_missing};
use crate::name::{Key, Name, Sizes, UniqueName};
use crate::scan::list_quiet;
use crate::writer::Writer;

/// One message for one folder.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Where it goes.
    pub folder: FolderPath,
    /// Its name: the same in each attempt.
    pub name: UniqueName,
    /// Its text.
    pub content: Content,
    /// Whether an earlier attempt may have come through.
    pub attempt: Attempt,
    /// What to do when the folder is not there.
    pub absent: Absent,
}

/// Whether a message may have been delivered before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// It was not.
    First,
    /// It was tried and failed, or its outcome was never recorded: look for it first.
    Repeated,
}

/// What to do when a folder is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// Refuse the message.
    Refuse,
    /// Make the folder, and the maildir, but not the directory that is in.
    Create,
}

/// A message that is in its folder, durably.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Its base name.
    pub base: String,
    /// When it got there.
    pub when: When,
}

/// When a message was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// By this attempt.
    Now,
    /// By an earlier one; nothing was done.
    Earlier,
}

/// Why a message was not delivered; nothing of it is left.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// The folder is not there.
    #[error("{} is not a maildir; create it first", path.display())]
    NoMaildir {
        /// Its directory.
        path: PathBuf,
    },
    /// There is no room for the message by the quota.
    #[error("{} is over its quota", maildir.display())]
    OverQuota {
        /// The maildir.
        maildir: PathBuf,
    },
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// A message that its host has written into `tmp` of a folder and synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Where it goes.
    pub folder: FolderPath,
    /// Its name.
    pub name: UniqueName,
    /// What was written.
    pub sizes: Sizes,
    /// Where it is.
    pub tmp: PathBuf,
}

/// Gives a message that is written its name in `new`, durably. Its file in `tmp` is
/// gone afterwards, come what may.
///
/// # Errors
/// What the disk says; nothing is left of the message then.
pub async fn publish(disk: &Disk, written: Written) -> Result<Delivered, DeliveryError> {
    let base = written.name.base(written.sizes);
    let job = Job {
        new: written.folder.in_new(base.as_bytes()),
        base,
        tmp: written.tmp,
        delivery: Delivery {
            folder: written.folder,
            name: written.name,
            content: Content::default(),
            attempt: Attempt::First,
            absent: Absent::Refuse,
        },
        state: State::Written,
    };
    let mut jobs = [job];
    link(disk, &mut jobs).await;
    sync(disk, &mut jobs).await;
    let [job] = jobs;
    job.outcome()
}

/// Looks for messages that an earlier attempt may have delivered, and makes sure that
/// they are durable; nothing is delivered. Gives those that are there.
pub(crate) async fn earlier(disk: &Disk, batch: Vec<Delivery>) -> Vec<Option<Delivered>> {
    let mut jobs: Vec<Job> = batch.into_iter().map(Job::new).collect();
    find_earlier(disk, &mut jobs).await;
    let found = |job: &Job| matches!(job.state, State::Found(_));
    let mut there: Vec<bool> = jobs.iter().map(found).collect();
    sync(disk, &mut jobs).await;
    there.reverse();
    let outcomes = jobs.into_iter().map(|job| match there.pop() {
        Some(true) => job.outcome().ok(),
        _ => None,
    });
    outcomes.collect()
}

/// Delivers messages, and gives the outcome of each, in order. Those that cannot be
/// delivered do not hold up the others.
pub async fn deliver(
    disk: &Disk,
    batch: Vec<Delivery>,
    writer: &Writer,
) -> Vec<Result<Delivered, DeliveryError>> {
    let mut jobs: Vec<Job> = batch.into_iter().map(Job::new).collect();
    find_earlier(disk, &mut jobs).await;
    write(disk, &mut jobs, writer).await;
    link(disk, &mut jobs).await;
    sync(disk, &mut jobs).await;
    jobs.into_iter().map(Job::outcome).collect()
}

/// A delivery on its way.
struct Job {
    delivery: Delivery,
    base: String,
    tmp: PathBuf,
    new: PathBuf,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Waiting,
    Written,
    /// Under this name in `new`; not durable before that is synced.
    Linked,
    /// Found in this directory; not durable before that is synced.
    Found(PathBuf),
    Failed(DeliveryError),
}

impl Job {
    fn new(delivery: Delivery) -> Self {
        let base = delivery.name.base(delivery.content.sizes());
        Self {
            tmp: delivery.folder.tmp().join(&base),
            new: delivery.folder.in_new(base.as_bytes()),
            base,
            delivery,
            state: State::Waiting,
        }
    }

    fn create(&self, writer: &Writer) -> Op {
        Op::Create {
            path: self.tmp.clone(),
            content: self.delivery.content.pieces().to_vec(),
            mode: writer.mode,
            durability: Durability::Synced,
        }
    }

    fn outcome(self) -> Result<Delivered, DeliveryError> {
        let when = match self.state {
            State::Linked => When::Now,
            State::Found(_) => When::Earlier,
            State::Failed(error) => return Err(error),
            State::Waiting | State::Written => {
                // The driver gave too few outcomes.
                let op = Op::Stat(self.new);
                return Err(op.error(DiskErrorKind::Io).into());
            }
        };
        Ok(Delivered {
            base: self.base,
            when,
        })
    }
}

/// Looks for messages that an earlier attempt may have delivered. A reader may have
/// moved them from `new` to `cur`, so that is looked at after.
async fn find_earlier(disk: &Disk, jobs: &mut [Job]) {
    let mut folders: HashMap<FolderPath, Vec<usize>> = HashMap::new();
    for (number, job) in jobs.iter().enumerate() {
        if job.delivery.attempt == Attempt::Repeated {
            let folder = job.delivery.folder.clone();
            folders.entry(folder).or_default().push(number);
        }
    }
    for (folder, numbers) in folders {
        let mut wanted: HashMap<u64, usize> = HashMap::new();
        for &number in &numbers {
            if let Some(job) = jobs.get(number) {
                wanted.insert(Key::of_base(job.base.as_bytes()).fingerprint(), number);
            }
        }
        for directory in [folder.new_dir(), folder.cur()] {
            let found = list_quiet(disk, &directory, |octets| {
                let Ok(name) = Name::parse(octets) else {
                    return;
                };
                let Some(&number) = wanted.get(&name.key().fingerprint()) else {
                    return;
                };
                if let Some(job) = jobs.get_mut(number)
                    && Key::of_base(job.base.as_bytes()) == name.key()
                {
                    job.state = State::Found(directory.clone());
                }
            })
            .await;
            match found {
                Err(error) if !is_missing(error.kind) => {
                    for &number in &numbers {
                        if let Some(job) = jobs.get_mut(number)
                            && job.state == State::Waiting
                        {
                            job.state = State::Failed(error.clone().into());
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

/// Writes the messages into `tmp`.
async fn write(disk: &Disk, jobs: &mut [Job], writer: &Writer) {
    let mut pending: Vec<&mut Job> = jobs
        .iter_mut()
        .filter(|job| job.state == State::Waiting)
        .collect();
    let creates = pending.iter().map(|job| job.create(writer)).collect();
    let outcomes = disk.run(creates).await;
    let mut prepared = BTreeSet::new();
    for (job, outcome) in pending.iter_mut().zip(outcomes) {
        let again = match outcome {
            Ok(_) => {
                job.state = State::Written;
                continue;
            }
            // Left of an earlier attempt, and perhaps not whole: the name is ours.
            Err(error) if error.kind == DiskErrorKind::Exists => {
                disk.one(Op::Unlink(job.tmp.clone())).await.map(drop)
            }
            Err(error) if is_missing(error.kind) => match job.delivery.absent {
                Absent::Refuse => {
                    let path = job.delivery.folder.path().to_path_buf();
                    job.state = State::Failed(DeliveryError::NoMaildir { path });
                    continue;
                }
                Absent::Create if prepared.insert(job.delivery.folder.path().to_path_buf()) => {
                    ensure(disk, &job.delivery.folder, writer).await
                }
                Absent::Create => Ok(()),
            },
            Err(error) => Err(error),
        };
        let outcome = match again {
            Ok(()) => disk.one(job.create(writer)).await.map(drop),
            Err(error) => Err(error),
        };
        job.state = match outcome {
            Ok(()) => State::Written,
            Err(error) => State::Failed(error.into()),
        };
    }
}

/// Gives the messages their names in `new`.
async fn link(disk: &Disk, jobs: &mut [Job]) {
    let mut written: Vec<&mut Job> = jobs
        .iter_mut()
        .filter(|job| job.state == State::Written)
        .collect();
    let links = written.iter().map(|job| Op::Link {
        from: job.tmp.clone(),
        to: job.new.clone(),
    });
    let outcomes = disk.run(links.collect()).await;
    for (job, outcome) in written.iter_mut().zip(outcomes) {
        job.state = match outcome {
            Ok(_) => State::Linked,
            Err(error) => match error.kind {
                // The same arrival, journal id and recipient: it is this message.
                DiskErrorKind::Exists => State::Found(job.delivery.folder.new_dir()),
                // Not every file system knows links.
                DiskErrorKind::CrossDevice
                | DiskErrorKind::Permission
                | DiskErrorKind::Other(_) => {
                    let (from, to) = (job.tmp.clone(), job.new.clone());
                    match disk.one(Op::Rename { from, to }).await {
                        Ok(_) => State::Linked,
                        Err(error) => State::Failed(error.into()),
                    }
                }
                _ => State::Failed(error.into()),
            },
        };
    }
}

/// Makes the names durable and clears `tmp`.
async fn sync(disk: &Disk, jobs: &mut [Job]) {
    let directory = |job: &Job| match &job.state {
        State::Linked => Some(job.delivery.folder.new_dir()),
        State::Found(directory) => Some(directory.clone()),
        _ => None,
    };
    let directories: BTreeSet<PathBuf> = jobs.iter().filter_map(directory).collect();
    let syncs = directories.iter().cloned().map(Op::SyncDir).collect();
    let outcomes = disk.run(syncs).await;
    let failed: HashMap<&Path, DiskError> = directories
        .iter()
        .zip(outcomes)
        .filter_map(|(path, outcome)| Some((path.as_path(), outcome.err()?)))
        .collect();
    let mut unlinks = Vec::new();
    for job in jobs.iter_mut() {
        // An earlier attempt may have left the file there as well.
        unlinks.push(Op::Unlink(job.tmp.clone()));
        let error = directory(job).and_then(|path| failed.get(path.as_path()));
        if let Some(error) = error {
            if job.state == State::Linked {
                unlinks.push(Op::Unlink(job.new.clone()));
            }
            job.state = State::Failed(error.clone().into());
        }
    }
    disk.run(unlinks).await;
}
