//! What lies in `new` and `cur`, gathered name by name, each message once.

use std::path::PathBuf;

use courier_core::disk::{Disk, Op, Outcome, Reply};

use super::names::{Entry, Names, Place, Slots, print_of};
use crate::flags::Flags;
use crate::folder::FolderPath;
use crate::name::{Name, NameError};
use crate::tree::BATCH;
use crate::uid_list::Uid;
use crate::writer::Writer;

/// The messages of a folder as the directories show them.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(super) names: Names,
    slots: Slots,
    /// Second names of messages that were found already.
    doubles: Vec<Double>,
    /// Names that no list can carry.
    unlisted: Vec<(Place, Box<[u8]>)>,
}

#[derive(Debug)]
struct Double {
    /// Which message has a second name.
    at: usize,
    place: Place,
    name: Box<[u8]>,
}

/// How what was found answers to the UIDs that are known.
#[derive(Debug, Default)]
pub(super) struct Joined {
    /// UIDs, ascending, and where their messages are.
    pub(super) known: Vec<(Uid, usize)>,
    /// Messages without a UID, in the order in which they get one.
    pub(super) fresh: Vec<usize>,
    /// Fingerprints of the keys of UIDs whose message is gone.
    pub(super) dead: Vec<u32>,
}

impl Found {
    /// With room for about as many messages as are known.
    pub(super) fn like(known: &Names) -> Self {
        let octets = known.length() + known.len() * LONGER;
        Self {
            names: Names::with_capacity(known.len(), octets),
            slots: Slots::with_capacity(known.len()),
            ..Self::default()
        }
    }

    /// Takes in a directory entry. It may be shown twice.
    pub(super) fn see(&mut self, place: Place, octets: &[u8]) {
        let name = match Name::parse(octets) {
            Ok(name) => name,
            Err(NameError::Hidden) => return,
            Err(_) => {
                let unlisted = (place, octets.into());
                if !self.unlisted.contains(&unlisted) {
                    self.unlisted.push(unlisted);
                }
                return;
            }
        };
        let key = name.key();
        let print = print_of(key);
        match self.names.find_key(&self.slots, key, print) {
            None => self.add(name, print, place),
            Some(at) if self.is(at, place, octets) => {}
            Some(at) => self.doubles.push(Double {
                at,
                place,
                name: octets.into(),
            }),
        }
    }

    /// Takes in a message of a snapshot whose directory has not changed.
    pub(super) fn see_again(&mut self, names: &Names, entry: &Entry) {
        self.add(names.name(entry), entry.print(), entry.place);
    }

    fn add(&mut self, name: Name<'_>, print: u32, place: Place) {
        if let Some(at) = self.names.push_printed(name, print, place) {
            self.slots.insert(at, print);
        }
    }

    fn is(&self, at: usize, place: Place, octets: &[u8]) -> bool {
        let entry = self.names.entries.get(at);
        entry.is_some_and(|entry| entry.place == place && self.names.octets(entry) == octets)
    }

    /// Marks a message that this look brought from `new` to `cur`.
    pub(super) fn mark_moved(&mut self, octets: &[u8]) {
        let Ok(name) = Name::parse(octets) else {
            return;
        };
        let at = self.find_name(name);
        if let Some(entry) = at.and_then(|at| self.names.entries.get_mut(at)) {
            entry.moved = true;
        }
    }

    /// Whether each of these messages was found.
    pub(super) fn has_all(&self, known: &Names) -> bool {
        known
            .entries
            .iter()
            .all(|entry| self.find(known, entry).is_some())
    }

    fn find(&self, known: &Names, entry: &Entry) -> Option<usize> {
        let key = known.name(entry).key();
        self.names.find_key(&self.slots, key, entry.print())
    }

    /// Finds the messages of known UIDs, which must ascend. `passed` tells of a UID
    /// that may not be used although its message is there.
    pub(super) fn join(&self, known: &Names, passed: impl Fn(Uid) -> bool) -> Joined {
        let mut joined = Joined {
            known: Vec::with_capacity(known.len()),
            ..Joined::default()
        };
        let mut taken = vec![false; self.names.len()];
        for entry in &known.entries {
            let uid = entry.uid().filter(|&uid| !passed(uid));
            let found = uid.zip(self.find(known, entry));
            match found.and_then(|(uid, at)| Some((uid, at, taken.get_mut(at)?))) {
                Some((uid, at, taken)) if !*taken => {
                    *taken = true;
                    joined.known.push((uid, at));
                }
                _ => joined.dead.push(entry.print()),
            }
        }
        let fresh = (0..)
            .zip(taken)
            .filter(|(_, taken)| !taken)
            .map(|(at, _)| at);
        let fresh = fresh.filter_map(|at: usize| {
            let base = self.names.base(self.names.entries.get(at)?);
            Some((Name::of_parts(base, base).arrival(), base, at))
        });
        let mut fresh: Vec<_> = fresh.collect();
        fresh.sort_unstable();
        joined.fresh = fresh.into_iter().map(|(_, _, at)| at).collect();
        joined
    }

    /// Looks at the messages that have two names. Mostly somebody renamed a file while
    /// the directory was read, and only one of them is left. Two files with the same
    /// key are two messages: one gets another name, if `writer` is given.
    pub(super) async fn settle(
        &mut self,
        disk: &Disk,
        folder: &FolderPath,
        writer: Option<&Writer>,
    ) {
        let doubles = std::mem::take(&mut self.doubles);
        for doubles in doubles.chunks(BATCH / 2) {
            let stats = doubles.iter().flat_map(|double| {
                let first = self.path(folder, double.at);
                [first, path(folder, double.place, &double.name)].map(Op::Stat)
            });
            let stats = disk.run(stats.collect()).await;
            for (double, stats) in doubles.iter().zip(stats.chunks(2)) {
                let [first, second] = stats else { continue };
                let name = Name::parse(&double.name).ok();
                match (inode(first), inode(second), name) {
                    (None, Some(_), Some(name)) => self.names.rename(double.at, name, double.place),
                    (Some(first), Some(second), _) if first != second => {
                        if let Some(writer) = writer {
                            self.rename(disk, folder, double.place, &double.name, writer)
                                .await;
                        }
                    }
                    _ => {}
                }
            }
        }
        if let Some(writer) = writer {
            for (place, name) in std::mem::take(&mut self.unlisted) {
                self.rename(disk, folder, place, &name, writer).await;
            }
        }
    }

    /// Number of messages.
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    /// The name of a message.
    pub(crate) fn name(&self, at: usize) -> Option<Name<'_>> {
        self.names
            .entries
            .get(at)
            .map(|entry| self.names.name(entry))
    }

    /// Which message has a name of this key.
    pub(crate) fn find_name(&self, name: Name<'_>) -> Option<usize> {
        let key = name.key();
        self.names.find_key(&self.slots, key, print_of(key))
    }

    /// All messages in the order of their arrival.
    pub(crate) fn in_order(&self) -> Vec<usize> {
        self.join(&Names::default(), |_| false).fresh
    }

    /// The file of a message.
    pub(crate) fn path(&self, folder: &FolderPath, at: usize) -> PathBuf {
        let entry = self.names.entries.get(at);
        entry.map_or_else(PathBuf::new, |entry| {
            path(folder, entry.place, self.names.octets(entry))
        })
    }

    /// Gives a file a name that is certainly its own.
    async fn rename(
        &mut self,
        disk: &Disk,
        folder: &FolderPath,
        place: Place,
        old: &[u8],
        writer: &Writer,
    ) {
        let mut name = writer.unique_name().to_string().into_bytes();
        if place == Place::Cur {
            let info = memchr::memmem::rfind(old, b":2,").and_then(|at| old.get(at + 3..));
            let flags = Flags::parse(info.unwrap_or_default());
            name.extend_from_slice(format!(":2,{flags}").as_bytes());
        }
        let rename = Op::Rename {
            from: path(folder, place, old),
            to: path(folder, place, &name),
        };
        if disk.one(rename).await.is_ok() {
            self.see(place, &name);
        }
    }
}

/// Octets by which a name is longer than what the list has of it.
const LONGER: usize = 8;

pub(super) fn path(folder: &FolderPath, place: Place, name: &[u8]) -> PathBuf {
    match place {
        Place::New => folder.in_new(name),
        Place::Cur => folder.in_cur(name),
    }
}

fn inode(outcome: &Outcome) -> Option<u64> {
    match outcome {
        Ok(Reply::Meta(meta)) => Some(meta.inode),
        _ => None,
    }
}
