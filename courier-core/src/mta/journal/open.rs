//! Opening a journal: its lock, its files, and what is in them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::append::MODE;
use super::maintain::Novelty;
use super::record::ContentLength;
use super::recover::{self, Recovery};
use super::segment::{BLOCK, FirstBlock, Health, Segment, SegmentHeader, Segments, number};
use super::{Active, Damage, DamageKind, Directories, Journal, MessageId, Numbers, Options};
use crate::disk::{
    Disk, DiskError, DiskErrorKind, Durability, FileKind, LockId, Meta, Octets, Op, Outcome, Reply,
};

/// Permissions of the journal's directories.
const DIRECTORY_MODE: u32 = 0o700;
/// Files that are looked at in one batch.
const FILES_AT_ONCE: usize = 256;
/// Segments are between these lengths.
const SHORTEST: u64 = 4 * BLOCK;
const LONGEST: u64 = 1 << 30;
/// Zeroes that are written from one place in memory.
const ZEROES: usize = 1 << 16;
/// Ids that are left out when some may have been lost with damaged records.
const LEAP: u64 = 1 << 32;

/// Why a journal cannot be opened. Nothing of it is lost by that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another server owns the journal and did not let go in time.
    #[error(
        "the journal is in use, {} is locked by process {process}: stop it first",
        path.display()
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The other process; 0 if it does not say.
        process: u32,
    },
    /// The journal was written by a later version of this software.
    #[error(
        "{} is of version {version} of the journal, which this server does not read: \
         start the newer one",
        path.display()
    )]
    Version {
        /// The segment.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// [`Options::segment`] is not possible.
    #[error("segments cannot have {0} octets: 16 KiB to 1 GiB, a multiple of 4096")]
    SegmentLength(u64),
    /// The disk says no. A sector that cannot be read is such a case: copy the file
    /// away as far as it goes, fill it up with zeroes and put it in its place; then
    /// the rest is used and the gap reported.
    #[error("cannot open the journal")]
    Disk(
        #[from]
        #[source]
        DiskError,
    ),
}

/// A segment as it was found.
#[derive(Debug)]
struct Found {
    segment: Segment,
    header: SegmentHeader,
}

impl Journal {
    /// Opens the journal in a directory, whose parent must exist, and makes it if it
    /// is not there. Reads the whole log, though never more than a mebibyte at once.
    /// Gives what was found damaged since the last start.
    ///
    /// # Errors
    /// See [`OpenError`]; opening may be tried again at any time.
    pub async fn open(
        disk: &Disk,
        directory: PathBuf,
        options: Options,
    ) -> Result<(Self, Vec<Damage>), OpenError> {
        let length = options.segment;
        if !(SHORTEST..=LONGEST).contains(&length) || !length.is_multiple_of(BLOCK) {
            return Err(OpenError::SegmentLength(length));
        }
        let directories = Directories::new(directory);
        let id = lock(disk, &directories, &options).await?;
        let opened = Self::open_locked(disk, directories, options, id).await;
        if opened.is_err() {
            // If it cannot be given back, it ends with the process.
            drop(disk.one(Op::Unlock(id)).await);
        }
        opened
    }

    async fn open_locked(
        disk: &Disk,
        directories: Directories,
        options: Options,
        lock: LockId,
    ) -> Result<(Self, Vec<Damage>), OpenError> {
        make_directories(disk, &directories).await?;
        let Survey {
            found,
            mut segments,
            damaged,
        } = survey(disk, &directories, &options).await?;
        let newest = found.last().map_or(0, |found| found.header.epoch);
        let tail = match found.last() {
            Some(Found { segment, header }) => {
                // What a killed process wrote may be in the cache only.
                let path = segment.path.to_path_buf();
                disk.one(Op::Sync(path)).await?;
                recover::tail(disk, &segment.path, header, segment.length).await?
            }
            None => 0,
        };
        let Chain {
            log,
            missing,
            others,
        } = chain(found, tail);
        let last_epoch = log.last().map_or(0, |found| found.header.epoch);
        let sound = |found: &&Found| found.segment.health == Health::Sound;
        let last = log.last().filter(sound).map(|found| Active {
            epoch: found.header.epoch,
            key: found.header.key,
            end: 0,
            fresh: None,
            length: found.segment.length,
        });
        let recovery = read_log(disk, &log).await?;
        for found in log {
            segments.log.insert(found.header.epoch, found.segment);
        }
        segments.retired = others;
        let mut damages: Vec<(u64, Damage)> = Vec::new();
        damages.extend(damaged.into_iter().map(|damage| (newest, damage)));
        let missing = missing.into_iter();
        damages.extend(missing.map(|epoch| (epoch, missing_segment(&directories, epoch))));
        for (epoch, range) in recovery.losses {
            if let Some(path) = segments.path(epoch) {
                damages.push((epoch, damaged_records(path, range)));
            }
        }
        let leap = if damages.is_empty() { 0 } else { LEAP };
        let next = recovery.next.0.max(1).saturating_add(leap);
        let mut journal = Self {
            options,
            numbers: Numbers {
                next: Arc::new(AtomicU64::new(next)),
                directory: directories.big.clone().into(),
            },
            directories,
            lock,
            segments,
            live: recovery.live,
            active: None,
            next_epoch: newest + 1,
            last_epoch,
            next_sequence: recovery.sequence.max(1),
            durable_tail: recovery.tail,
            waiting: 0,
            finished: Vec::new(),
            unsaved: Vec::new(),
        };
        journal.count_live();
        if let Some(last) = last {
            journal
                .resume(disk, last, recovery.end, recovery.torn)
                .await?;
        }
        damages.extend(journal.match_large_files(disk).await?);
        let reported = journal.set_all_aside(disk, damages).await;
        let active = journal.active.as_ref().map(|active| active.epoch);
        journal.segments.retire(active);
        journal.segments.reclaim(journal.durable_tail);
        Ok((journal, reported))
    }

    /// Goes on where the log ends. What a torn batch left there is zeroed first, since
    /// one day a record of it might stand just behind the last one that counts.
    async fn resume(
        &mut self,
        disk: &Disk,
        last: Active,
        end: u64,
        torn: Range<u64>,
    ) -> Result<(), DiskError> {
        let path = self
            .segments
            .path(last.epoch)
            .ok_or_else(|| self.closed())?;
        let torn = torn.start..torn.end.min(last.length);
        if !torn.is_empty() {
            let zeroes: Octets = vec![0; ZEROES].into();
            let length = usize::try_from(torn.end - torn.start).unwrap_or(usize::MAX);
            let mut octets = vec![Octets::clone(&zeroes); length / ZEROES];
            octets.push(vec![0; length % ZEROES].into());
            disk.one(Op::WriteAt {
                path: path.to_path_buf(),
                offset: torn.start,
                octets,
                durability: Durability::Synced,
            })
            .await?;
        }
        self.active = Some(Active { end, ..last });
        Ok(())
    }

    fn count_live(&mut self) {
        for message in self.live.values() {
            self.segments.need(message.segment, 1);
            self.waiting += message.record_length();
        }
    }

    /// Finds the files of large messages, and removes those that nobody needs.
    async fn match_large_files(&mut self, disk: &Disk) -> Result<Vec<(u64, Damage)>, DiskError> {
        let listing = disk.list(&self.directories.big).await?;
        let names: BTreeSet<&[u8]> = listing.iter().map(|(name, _)| name).collect();
        let mut wanted: Vec<(MessageId, u64, u64)> = Vec::new();
        for (&id, message) in &mut self.live {
            if let ContentLength::Large(length) = message.content {
                message.large = Some(self.directories.big.join(id.to_string()).into());
                wanted.push((id, length, message.segment));
            }
        }
        let kept: BTreeSet<String> = wanted.iter().map(|(id, ..)| id.to_string()).collect();
        let is_kept = |name: &[u8]| std::str::from_utf8(name).is_ok_and(|name| kept.contains(name));
        let leftover = names.iter().filter(|name| !is_kept(name));
        let leftover = leftover.map(|name| self.directories.big.join(OsStr::from_bytes(name)));
        for part in leftover.collect::<Vec<_>>().chunks(FILES_AT_ONCE) {
            // What cannot be removed now is found again at the next start.
            drop(
                disk.run(part.iter().cloned().map(Op::Unlink).collect())
                    .await,
            );
        }
        let mut damages = Vec::new();
        for part in wanted.chunks(FILES_AT_ONCE) {
            let stats = part
                .iter()
                .map(|(id, ..)| Op::Stat(self.large_path(*id).to_path_buf()));
            let outcomes = disk.run(stats.collect()).await;
            for (&(id, length, epoch), outcome) in part.iter().zip(outcomes) {
                if !is_whole(outcome, length)? {
                    damages.push((epoch, self.lost_file(id, length)));
                }
            }
        }
        Ok(damages)
    }

    fn lost_file(&self, id: MessageId, length: u64) -> Damage {
        Damage {
            kind: DamageKind::Large { id },
            path: self.large_path(id).to_path_buf(),
            range: 0..length,
            saved: None,
        }
    }

    /// Sets damages aside, and gives those that are new.
    async fn set_all_aside(&mut self, disk: &Disk, damages: Vec<(u64, Damage)>) -> Vec<Damage> {
        let mut reported = Vec::new();
        for (epoch, mut damage) in damages {
            let saved = self.set_aside(disk, epoch, &mut damage).await;
            if let DamageKind::Large { id } = damage.kind
                && let Some(message) = self.live.remove(&id)
            {
                self.left_its_place(&message);
            }
            match saved {
                Ok(Novelty::Known) => {}
                Ok(Novelty::New) => reported.push(damage.clone()),
                Err(_) => {
                    // The segment is needed until the damage has been saved.
                    self.segments.need(epoch, 1);
                    self.unsaved.push((epoch, damage.clone()));
                    reported.push(damage.clone());
                }
            }
            if damage.kind == DamageKind::Header && damage.saved.is_some() {
                self.segments.discarded.push(damage.path.into());
            }
        }
        reported
    }
}

/// Takes the lock of the journal, and says in its file whose it is.
async fn lock(
    disk: &Disk,
    directories: &Directories,
    options: &Options,
) -> Result<LockId, OpenError> {
    let root = directories.root.clone();
    let mode = DIRECTORY_MODE;
    unless_there(disk.one(Op::Mkdir { path: root, mode }).await)?;
    let path = directories.root.join("lock");
    let made = disk
        .create(&path, Vec::new(), MODE, Durability::Volatile)
        .await;
    unless_there(made.map(|()| Reply::Done))?;
    let locked = disk
        .one(Op::Lock {
            path: path.clone(),
            patience: options.patience,
        })
        .await;
    let id = match locked {
        Ok(Reply::Lock(id)) => id,
        Err(error) if error.kind == DiskErrorKind::Busy => {
            let holder = disk.read(&path, 0..16).await.unwrap_or_default();
            let holder = std::str::from_utf8(&holder).unwrap_or_default();
            let process = holder.trim().parse().unwrap_or(0);
            return Err(OpenError::Locked { path, process });
        }
        other => return Err(other.err().unwrap_or_else(|| no_lock(&path)).into()),
    };
    let owner = format!("{:<15}\n", options.process).into_bytes();
    // The number only serves a message; a full disk must not hinder the start.
    drop(
        disk.one(Op::WriteAt {
            path,
            offset: 0,
            octets: vec![owner.into()],
            durability: Durability::Synced,
        })
        .await,
    );
    Ok(id)
}

fn no_lock(path: &Path) -> DiskError {
    DiskError {
        action: "lock",
        path: path.to_path_buf(),
        kind: DiskErrorKind::Io,
    }
}

fn unless_there(outcome: Outcome) -> Result<(), DiskError> {
    match outcome {
        Err(error) if error.kind != DiskErrorKind::Exists => Err(error),
        _ => Ok(()),
    }
}

/// Makes the directories, and their names durable: also those that an earlier
/// process made and did not live to sync.
async fn make_directories(disk: &Disk, directories: &Directories) -> Result<(), DiskError> {
    let Directories {
        root,
        segments,
        big,
        damaged,
    } = directories;
    let mode = DIRECTORY_MODE;
    let made = [segments, big, damaged].map(|path| Op::Mkdir {
        path: path.clone(),
        mode,
    });
    for outcome in disk.run(made.to_vec()).await {
        unless_there(outcome)?;
    }
    let parent = root.parent().unwrap_or(root).to_path_buf();
    let synced = [&parent, root, segments, big].map(|path| Op::SyncDir(path.clone()));
    for outcome in disk.run(synced.to_vec()).await {
        outcome?;
    }
    Ok(())
}

/// What there is in the directory of the segments.
struct Survey {
    /// Segments with a header, by epoch.
    found: Vec<Found>,
    /// Those without, ready or to be removed.
    segments: Segments,
    damaged: Vec<Damage>,
}

async fn survey(
    disk: &Disk,
    directories: &Directories,
    options: &Options,
) -> Result<Survey, OpenError> {
    let mut survey = Survey {
        found: Vec::new(),
        segments: Segments::default(),
        damaged: Vec::new(),
    };
    let listing = disk.list(&directories.segments).await?;
    let names = listing
        .iter()
        .filter_map(|(name, _)| Some((number(name)?, OsStr::from_bytes(name))));
    let mut files: Vec<(u32, PathBuf)> = names
        .map(|(number, name)| (number, directories.segments.join(name)))
        .collect();
    files.sort();
    survey.segments.last_number = files.last().map_or(0, |(number, _)| *number);
    for part in files.chunks(FILES_AT_ONCE) {
        let ops = part.iter().flat_map(|(_, path)| {
            let (path, range) = (path.clone(), 0..BLOCK);
            [Op::Stat(path.clone()), Op::Read { path, range }]
        });
        let mut outcomes = disk.run(ops.collect()).await.into_iter();
        for (_, path) in part {
            let (meta, block) = match (outcomes.next(), outcomes.next()) {
                (Some(Ok(Reply::Meta(meta))), Some(Ok(Reply::Octets(block)))) => (meta, block),
                (Some(Err(error)), _) | (_, Some(Err(error))) => return Err(error.into()),
                _ => return Err(no_lock(path).into()),
            };
            survey.classify(path, meta, &block, options)?;
        }
    }
    survey.found.sort_by_key(|found| found.header.epoch);
    Ok(survey)
}

impl Survey {
    fn classify(
        &mut self,
        path: &Path,
        meta: Meta,
        block: &[u8],
        options: &Options,
    ) -> Result<(), OpenError> {
        let mut segment = Segment::new(path, meta.length);
        if meta.length != options.segment {
            segment.health = Health::Closed;
        }
        match FirstBlock::parse(block) {
            FirstBlock::Header(header) => {
                segment.key = header.key;
                self.found.push(Found { segment, header });
            }
            FirstBlock::Unused if segment.health == Health::Sound => {
                self.segments.free.push(segment);
            }
            FirstBlock::Unused => self.segments.discarded.push(segment.path),
            FirstBlock::Damaged => self.damaged.push(Damage {
                kind: DamageKind::Header,
                path: path.to_path_buf(),
                range: 0..meta.length,
                saved: None,
            }),
            FirstBlock::Version(version) => {
                let path = path.to_path_buf();
                return Err(OpenError::Version { path, version });
            }
        }
        Ok(())
    }
}

/// The segments that make up the log.
struct Chain {
    /// From the oldest to the newest.
    log: Vec<Found>,
    /// Epochs of those that are not there.
    missing: Vec<u64>,
    /// What the log does not count, by epoch: not needed any more, or never durable.
    others: Vec<(u64, Segment)>,
}

/// Follows the log from its newest segment back to the oldest that it counts.
fn chain(mut found: Vec<Found>, tail: u64) -> Chain {
    let mut chain = Chain {
        log: Vec::new(),
        missing: Vec::new(),
        others: Vec::new(),
    };
    let Some(newest) = found.pop() else {
        return chain;
    };
    let mut due = newest.header.previous;
    chain.log.push(newest);
    while let Some(candidate) = found.pop() {
        let epoch = candidate.header.epoch;
        if epoch < tail || epoch > due {
            chain.others.push((epoch, candidate.segment));
            continue;
        }
        if epoch < due {
            chain.missing.push(due);
        }
        due = candidate.header.previous;
        chain.log.push(candidate);
    }
    if due != 0 && due >= tail {
        chain.missing.push(due);
    }
    chain.log.reverse();
    chain
}

async fn read_log(disk: &Disk, log: &[Found]) -> Result<Recovery, DiskError> {
    let mut recovery = Recovery::default();
    for (at, found) in log.iter().enumerate() {
        let next = log.get(at + 1).map(|next| next.header);
        // Of a segment before one that is missing the end is not known.
        let next = next.filter(|next| next.previous == found.header.epoch);
        let until = next.map(|next| next.first);
        let Found { segment, header } = found;
        let length = segment.length;
        recovery
            .read(disk, &segment.path, header, length, until)
            .await?;
    }
    Ok(recovery)
}

/// Whether a large message's file is there and as long as it should be.
fn is_whole(stat: Outcome, length: u64) -> Result<bool, DiskError> {
    match stat {
        Ok(Reply::Meta(meta)) => Ok(meta.kind == FileKind::File && meta.length == length),
        Ok(_) => Ok(false),
        Err(error) if error.kind == DiskErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn missing_segment(directories: &Directories, epoch: u64) -> Damage {
    Damage {
        kind: DamageKind::Segment { epoch },
        path: directories.segments.clone(),
        range: 0..0,
        saved: None,
    }
}

fn damaged_records(path: &Path, range: Range<u64>) -> Damage {
    Damage {
        kind: DamageKind::Records,
        path: path.to_path_buf(),
        range,
        saved: None,
    }
}
