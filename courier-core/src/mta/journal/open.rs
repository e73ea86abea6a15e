//! Opening a journal: its lock, its files, and what is in them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::record::ContentLength;
use super::recover::{self, Recovery};
use super::segment::{BLOCK, Health, SegmentHeader};
use super::space::MODE;
use super::survey::{FILES_AT_ONCE, Found, chain, survey};
use super::{Active, Damage, DamageKind, Directories, Journal, MessageId, Numbers, Options};
use crate::disk::{
    Disk, DiskError, DiskErrorKind, Durability, FileKind, LockId, Octets, Op, Outcome, Reply,
};

/// Permissions of the journal's directories.
const DIRECTORY_MODE: u32 = 0o700;
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
        let survey = survey(disk, &directories, &options).await?;
        let (newest, tail) = newest(disk, &survey.found).await?;
        let chain = chain(survey.found, tail);
        let recovery = read_log(disk, &chain.log).await?;
        let last = chain
            .log
            .last()
            .map(|last| (last.header, last.segment.health));
        let mut segments = survey.segments;
        segments.retired = chain.others;
        for Found { segment, header } in chain.log {
            segments.log.insert(header.epoch, segment);
        }
        let mut damages: Vec<(u64, Damage)> = Vec::new();
        damages.extend(survey.damaged.into_iter().map(|damage| (newest, damage)));
        let missing = chain.missing.into_iter();
        damages.extend(missing.map(|epoch| (epoch, missing_segment(&directories, epoch))));
        for (epoch, range) in recovery.losses {
            damages.extend(
                segments
                    .path(epoch)
                    .map(|path| (epoch, damaged(path, range))),
            );
        }
        let leap = if damages.is_empty() { 0 } else { LEAP };
        let next = recovery.next.0.max(1).saturating_add(leap);
        let mut journal = Self {
            options,
            numbers: Numbers::new(next, &directories.big),
            directories,
            lock,
            segments,
            live: recovery.live,
            active: None,
            next_epoch: newest + 1,
            last_epoch: last.map_or(0, |(header, _)| header.epoch),
            next_sequence: recovery.sequence.max(1),
            durable_tail: recovery.tail,
            waiting: 0,
            finished: Vec::new(),
            unsaved: Vec::new(),
        };
        journal.count_live();
        if let Some((header, Health::Sound)) = last {
            journal
                .resume(disk, &header, recovery.end, recovery.torn)
                .await?;
        }
        damages.extend(journal.match_large_files(disk).await?);
        let reported = journal.set_all_aside(disk, damages).await;
        journal.remove_discarded(disk).await;
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
        last: &SegmentHeader,
        end: u64,
        torn: Range<u64>,
    ) -> Result<(), DiskError> {
        let segment = self.segments.log.get(&last.epoch);
        let segment = segment.ok_or_else(|| self.closed())?;
        let (path, length) = (&segment.path, segment.length);
        let torn = torn.start..torn.end.min(length);
        if !torn.is_empty() {
            let zeroes: Octets = vec![0; ZEROES].into();
            let octets = usize::try_from(torn.end - torn.start).unwrap_or(usize::MAX);
            let mut pieces = vec![Octets::clone(&zeroes); octets / ZEROES];
            pieces.push(vec![0; octets % ZEROES].into());
            disk.one(Op::WriteAt {
                path: path.to_path_buf(),
                offset: torn.start,
                octets: pieces,
                durability: Durability::Synced,
            })
            .await?;
        }
        self.active = Some(Active {
            epoch: last.epoch,
            key: last.key,
            end,
            fresh: None,
            length,
        });
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
        let mut wanted: Vec<(MessageId, u64)> = Vec::new();
        for (&id, message) in &mut self.live {
            if let ContentLength::Large(length) = message.content {
                message.large = Some(self.directories.big.join(id.to_string()).into());
                wanted.push((id, length));
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
            for (&(id, length), outcome) in part.iter().zip(outcomes) {
                if !is_whole(outcome, length)? {
                    damages.extend(self.lost_file(id));
                }
            }
        }
        Ok(damages)
    }

    fn lost_file(&self, id: MessageId) -> Option<(u64, Damage)> {
        let message = self.live.get(&id)?;
        let path = self.segments.path(message.segment)?;
        let damage = Damage {
            kind: DamageKind::Large { id },
            path: path.to_path_buf(),
            range: message.offset..message.offset + message.record_length(),
            saved: None,
        };
        Some((message.segment, damage))
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

/// Epoch of the newest segment, and of the oldest one that it still counts.
async fn newest(disk: &Disk, found: &[Found]) -> Result<(u64, u64), DiskError> {
    let Some(Found { segment, header }) = found.last() else {
        return Ok((0, 0));
    };
    // What a killed process wrote may be in the cache only.
    disk.one(Op::Sync(segment.path.to_path_buf())).await?;
    let tail = recover::tail(disk, &segment.path, header, segment.length).await?;
    Ok((header.epoch, tail))
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

fn damaged(path: &Path, range: Range<u64>) -> Damage {
    Damage {
        kind: DamageKind::Records,
        path: path.to_path_buf(),
        range,
        saved: None,
    }
}
