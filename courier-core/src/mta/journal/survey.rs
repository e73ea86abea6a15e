//! Which segments there are, and which of them make up the log.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::segment::{BLOCK, FirstBlock, Health, Segment, SegmentHeader, Segments, number};
use super::{Damage, DamageKind, Directories, OpenError, Options};
use crate::disk::{Disk, DiskError, DiskErrorKind, Meta, Op, Reply};

/// Files that are looked at in one batch.
pub(super) const FILES_AT_ONCE: usize = 256;

/// A segment as it was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) segment: Segment,
    pub(super) header: SegmentHeader,
}

/// What there is in the directory of the segments.
pub(super) struct Survey {
    /// Segments with a header, by epoch.
    pub(super) found: Vec<Found>,
    /// Those without, ready or to be removed.
    pub(super) segments: Segments,
    pub(super) damaged: Vec<Damage>,
}

pub(super) async fn survey(
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
                _ => return Err(odd_reply(path).into()),
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
        let usable = options.shortest()..=options.segment;
        if !usable.contains(&meta.length) || !meta.length.is_multiple_of(BLOCK) {
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
pub(super) struct Chain {
    /// From the oldest to the newest.
    pub(super) log: Vec<Found>,
    /// Epochs of those that are not there.
    pub(super) missing: Vec<u64>,
    /// What the log does not count, by epoch: not needed any more, or never durable.
    pub(super) others: Vec<(u64, Segment)>,
}

/// Follows the log from its newest segment back to the oldest that it counts.
pub(super) fn chain(mut found: Vec<Found>, tail: u64) -> Chain {
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

/// A driver that answers something else than was asked is broken.
fn odd_reply(path: &Path) -> DiskError {
    DiskError {
        action: "look at",
        path: path.to_path_buf(),
        kind: DiskErrorKind::Io,
    }
}
