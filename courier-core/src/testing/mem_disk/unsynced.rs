//! What a crash may lose: the changes that were not synced, and the states of the
//! disk that any choice among them leaves.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::pages::Pages;
use super::tree::{Contents, Edit, Inode, Name, Tree};
use crate::disk::Octets;
use crate::time::Timestamp;

/// Up to this number of unsynced changes every subset of them is tried.
const EVERY_SUBSET: usize = 12;
/// Up to this number of crashes every fate of every write is tried as well.
const EVERY_FATE: usize = 1 << EVERY_SUBSET;
/// How many crashes are drawn at random where not all are tried.
const SAMPLES: usize = 256;
/// Pieces of a gathered write at whose borders it is torn.
const TORN_PIECES: usize = 8;
/// Octets that a disk writes at once, and parts of a write at whose sectors it is torn.
const SECTOR: usize = 512;
const TORN_SECTORS: usize = 4;

/// A change of a file.
#[derive(Debug, Clone)]
pub(super) enum DataChange {
    Write { offset: u64, pieces: Vec<Octets> },
    Length(u64),
    Modified(Timestamp),
}

/// A change of directory entries that survives whole or not at all.
#[derive(Debug, Clone)]
struct EntryChange {
    edits: Vec<Edit>,
    time: Timestamp,
}

/// What becomes of a change in a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Lost,
    Kept,
    /// Only so many octets of a write.
    Head(usize),
    /// All but so many octets of a write.
    Tail(usize),
    /// All pieces of a gathered write but this.
    Without(usize),
    /// The new length of the file, but zeroes.
    Zeroes,
    /// The new length of the file, but what the disk held there before.
    Garbage,
}

/// The changes that were not synced, in the order in which they were made.
#[derive(Debug, Clone, Default)]
pub(super) struct Unsynced {
    data: BTreeMap<Inode, Vec<(DataChange, Timestamp)>>,
    entries: Vec<EntryChange>,
}

impl Unsynced {
    pub(super) fn count(&self) -> usize {
        self.entries.len() + self.data.values().map(Vec::len).sum::<usize>()
    }

    pub(super) fn data(&mut self, inode: Inode, change: DataChange, time: Timestamp) {
        self.data.entry(inode).or_default().push((change, time));
    }

    pub(super) fn entries(&mut self, edits: Vec<Edit>, time: Timestamp) {
        self.entries.push(EntryChange { edits, time });
    }

    /// The changes of a file reach the disk.
    pub(super) fn flush_data(&mut self, inode: Inode, durable: &mut Tree) {
        for (change, time) in self.data.remove(&inode).unwrap_or_default() {
            apply(durable, inode, &change, time);
        }
    }

    /// The changes of a file never reach the disk, as after a failed sync.
    pub(super) fn drop_data(&mut self, inode: Inode) {
        self.data.remove(&inode);
    }

    /// The entries of a directory reach the disk, and with them what a rename did
    /// in another directory. Changes of one name never overtake each other.
    pub(super) fn flush_entries(&mut self, directory: Inode, durable: &mut Tree) {
        let mut names: BTreeSet<(Inode, Name)> = BTreeSet::new();
        let mut flushed = Vec::new();
        let mut kept = Vec::new();
        for change in self.entries.drain(..).rev() {
            let named = |edit: &Edit| {
                edit.directory == directory
                    || names.contains(&(edit.directory, Name::clone(&edit.name)))
            };
            if change.edits.iter().any(named) {
                let edits = change.edits.iter();
                names.extend(edits.map(|edit| (edit.directory, Name::clone(&edit.name))));
                flushed.push(change);
            } else {
                kept.push(change);
            }
        }
        kept.reverse();
        self.entries = kept;
        for change in flushed.iter().rev() {
            durable.edit(&change.edits, change.time);
        }
    }

    /// The states that a crash may leave: see [`super::MemDisk::crashes`].
    pub(super) fn crashes(&self, durable: &Tree, seed: u64) -> impl Iterator<Item = Tree> {
        let choices: Vec<Vec<Fate>> = self.choices(durable);
        let plan = Plan::new(&choices, seed);
        plan.map(move |fates| self.survive(durable, &choices, &fates))
    }

    /// The state after a crash in which every change has the first of its fates
    /// (is lost), or the second (is kept).
    pub(super) fn crash_all(&self, durable: &Tree, kept: bool) -> Tree {
        let choices = self.choices(durable);
        self.survive(durable, &choices, &vec![usize::from(kept); choices.len()])
    }

    /// The possible fates of each change: first the files', then the entries'.
    fn choices(&self, durable: &Tree) -> Vec<Vec<Fate>> {
        let data = self.data.iter().flat_map(|(&inode, changes)| {
            let length = durable.length(inode);
            changes.iter().map(move |(change, _)| fates(change, length))
        });
        let entries = self.entries.iter().map(|_| vec![Fate::Lost, Fate::Kept]);
        data.chain(entries).collect()
    }

    fn survive(&self, durable: &Tree, choices: &[Vec<Fate>], picked: &[usize]) -> Tree {
        let mut tree = durable.clone();
        let mut fates = choices
            .iter()
            .zip(picked)
            .map(|(fates, &pick)| fates.get(pick).copied().unwrap_or(Fate::Lost));
        for (&inode, changes) in &self.data {
            for (change, time) in changes {
                let fate = fates.next().unwrap_or(Fate::Lost);
                befall(&mut tree, inode, change, fate, *time);
            }
        }
        for change in &self.entries {
            if fates.next() == Some(Fate::Kept) {
                tree.edit(&change.edits, change.time);
            }
        }
        tree.prune();
        tree
    }
}

/// What may become of a change of a file whose durable part has this length.
fn fates(change: &DataChange, durable: u64) -> Vec<Fate> {
    let mut fates = vec![Fate::Lost, Fate::Kept];
    if let DataChange::Write { offset, pieces } = change {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        let mut cuts = BTreeSet::from([length / 2]);
        // Between sectors, on the whole way.
        let sectors = (1..TORN_SECTORS).map(|part| length * part / TORN_SECTORS);
        cuts.extend(sectors.map(|cut| cut - cut % SECTOR));
        let mut end = 0;
        for piece in pieces.iter().take(TORN_PIECES) {
            end += piece.len();
            cuts.insert(end);
        }
        cuts.retain(|&cut| cut > 0 && cut < length);
        fates.extend(
            cuts.iter()
                .flat_map(|&cut| [Fate::Head(cut), Fate::Tail(cut)]),
        );
        if pieces.len() > 2 {
            fates.extend((1..pieces.len().min(TORN_PIECES) - 1).map(Fate::Without));
        }
        if offset + length as u64 > durable {
            fates.extend([Fate::Zeroes, Fate::Garbage]);
        }
    }
    fates
}

/// Carries a change out whole.
pub(super) fn apply(tree: &mut Tree, inode: Inode, change: &DataChange, time: Timestamp) {
    befall(tree, inode, change, Fate::Kept, time);
}

fn befall(tree: &mut Tree, inode: Inode, change: &DataChange, fate: Fate, time: Timestamp) {
    let Some(node) = tree.node_mut(inode) else {
        return;
    };
    let Contents::File(pages) = &mut node.contents else {
        if let (DataChange::Modified(time), Fate::Kept) = (change, fate) {
            node.modified = *time;
        }
        return;
    };
    match (change, fate) {
        (_, Fate::Lost) => return,
        (DataChange::Modified(time), _) => {
            node.modified = *time;
            return;
        }
        (DataChange::Length(length), _) => pages.set_length(*length),
        (DataChange::Write { offset, pieces }, _) => write(pages, *offset, pieces, fate),
    }
    node.modified = time;
    node.changed = time;
}

fn write(pages: &mut Pages, offset: u64, pieces: &[Octets], fate: Fate) {
    let former = pages.length();
    let (mut at, mut done) = (offset, 0);
    for (number, piece) in pieces.iter().enumerate() {
        let cut = |cut: usize| cut.saturating_sub(done).min(piece.len());
        let range = match fate {
            Fate::Head(octets) => 0..cut(octets),
            Fate::Tail(octets) => cut(octets)..piece.len(),
            Fate::Without(hole) if hole == number => 0..0,
            Fate::Zeroes | Fate::Garbage => 0..0,
            _ => 0..piece.len(),
        };
        if !range.is_empty() {
            let from = at + range.start as u64;
            pages.write(from, piece.get(range).unwrap_or_default());
        }
        at += piece.len() as u64;
        done += piece.len();
    }
    if !matches!(fate, Fate::Head(_)) && pages.length() < at {
        pages.set_length(at);
    }
    if fate == Fate::Garbage {
        let new: Vec<u8> = (former.max(offset)..at).map(noise).collect();
        pages.write(former.max(offset), &new);
    }
}

/// What a disk held before: anything.
fn noise(at: u64) -> u8 {
    (mix(at) & 0xff) as u8
}

/// A fixed function that looks random (splitmix64).
pub(super) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Which crashes are tried: numbers of fates, one a change.
struct Plan {
    /// Number of fates of each change.
    fates: Vec<usize>,
    stages: Vec<Stage>,
}

/// A kind of crash, and the number of the next one of it.
enum Stage {
    /// Every combination of all fates, or only of the first two.
    Every {
        only_two: bool,
        next: usize,
        end: usize,
    },
    /// All changes up to one survive, as on a disk that keeps their order.
    Prefix { next: usize },
    /// One change alone is lost, or survives alone.
    Single { next: usize },
    /// Drawn at random.
    Random { state: u64, left: usize },
}

impl Plan {
    fn new(choices: &[Vec<Fate>], seed: u64) -> Self {
        let fates: Vec<usize> = choices.iter().map(Vec::len).collect();
        let all = fates.iter().try_fold(1_usize, |all, &n| {
            all.checked_mul(n).filter(|&a| a <= EVERY_FATE)
        });
        let random = Stage::Random {
            state: seed,
            left: SAMPLES,
        };
        // The last stage is taken first.
        let stages = if let Some(end) = all {
            vec![Stage::Every {
                only_two: false,
                next: 0,
                end,
            }]
        } else if fates.len() <= EVERY_SUBSET {
            let end = 1 << fates.len();
            vec![
                random,
                Stage::Every {
                    only_two: true,
                    next: 0,
                    end,
                },
            ]
        } else {
            vec![random, Stage::Single { next: 0 }, Stage::Prefix { next: 0 }]
        };
        Self { fates, stages }
    }

    /// From how many numbers one is tried where there are too many changes.
    fn stride(&self) -> usize {
        self.fates.len() / SAMPLES + 1
    }
}

impl Iterator for Plan {
    type Item = Vec<usize>;

    fn next(&mut self) -> Option<Vec<usize>> {
        let stride = self.stride();
        loop {
            let picked = match self.stages.last_mut()? {
                Stage::Every {
                    only_two,
                    next,
                    end,
                } => (*next < *end).then(|| {
                    let mut rest = *next;
                    *next += 1;
                    let digits = self.fates.iter().map(|&fates| {
                        let base = if *only_two { 2 } else { fates };
                        let digit = rest % base;
                        rest /= base;
                        digit
                    });
                    digits.collect()
                }),
                Stage::Prefix { next } => (*next <= self.fates.len()).then(|| {
                    let kept = *next;
                    *next += stride;
                    (0..self.fates.len())
                        .map(|at| usize::from(at < kept))
                        .collect()
                }),
                Stage::Single { next } => (*next < 2 * self.fates.len()).then(|| {
                    let (one, others) = (*next / 2, *next % 2);
                    *next += stride;
                    let fates = 0..self.fates.len();
                    fates
                        .map(|at| if at == one { 1 - others } else { others })
                        .collect()
                }),
                Stage::Random { state, left } => left.checked_sub(1).map(|rest| {
                    *left = rest;
                    let draw = self.fates.iter().map(|&fates| {
                        *state = mix(*state);
                        // Half of the writes are torn, the others lost or kept whole.
                        let among = if *state & 1 == 0 { 2 } else { fates as u64 };
                        usize::try_from((*state >> 1) % among).unwrap_or(0)
                    });
                    draw.collect()
                }),
            };
            match picked {
                Some(picked) => return Some(picked),
                None => self.stages.pop(),
            };
        }
    }
}
