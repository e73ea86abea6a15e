//! Messages by name, in one arena: a hundred thousand of them cost no allocation each.

use std::sync::Arc;

use crate::index::Record;
use crate::keywords::SetId;
use crate::name::{Key, Name};
use crate::uid_list::{Uid, UidList};

/// In which directory of a folder a message lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// `new`: no reader has seen it.
    New,
    /// `cur`.
    Cur,
}

/// One message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// 0 while it has none.
    uid: u32,
    /// The low half of its key's fingerprint.
    print: u32,
    start: u32,
    length: u16,
    base: u16,
    pub(super) place: Place,
    /// This look brought it from `new` to `cur`.
    pub(super) moved: bool,
    pub(super) keywords: SetId,
}

/// Messages and the arena of their names. A clone shares the names that were sealed.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    sealed: Arc<Vec<u8>>,
    /// Names that came since.
    arena: Vec<u8>,
    pub(super) entries: Vec<Entry>,
}

impl Entry {
    pub(super) fn uid(&self) -> Option<Uid> {
        Uid::new(self.uid)
    }

    pub(super) fn with_uid(mut self, uid: Uid) -> Self {
        self.uid = uid.get();
        self
    }

    pub(super) fn print(&self) -> u32 {
        self.print
    }
}

/// The low half of a key's fingerprint.
pub(super) fn print_of(key: Key<'_>) -> u32 {
    let [a, b, c, d, ..] = key.fingerprint().to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

impl Names {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Octets in memory.
    pub(super) fn octets_held(&self) -> usize {
        let entries = self.entries.capacity() * size_of::<Entry>();
        self.sealed.capacity() + self.arena.capacity() + entries
    }

    /// Lets clones share the names, where most of them came since the last time.
    pub(super) fn seal(&mut self) {
        if self.sealed.is_empty() {
            self.arena.shrink_to_fit();
            self.sealed = Arc::new(std::mem::take(&mut self.arena));
        }
    }

    /// No message, but room for so many with names of so many octets in all.
    pub(super) fn with_capacity(messages: usize, octets: usize) -> Self {
        Self {
            arena: Vec::with_capacity(octets),
            entries: Vec::with_capacity(messages),
            ..Self::default()
        }
    }

    /// The messages of a UID list, with their base names.
    pub(super) fn of_list(list: UidList) -> Self {
        let (arena, lines) = list.into_parts();
        let entries = lines.into_iter().map(|(uid, start, length)| {
            let from = start as usize;
            let base = arena.get(from..from + usize::from(length));
            Entry {
                uid: uid.get(),
                print: print_of(Key::of_base(base.unwrap_or_default())),
                start,
                length,
                base: length,
                place: Place::Cur,
                moved: false,
                keywords: SetId::EMPTY,
            }
        });
        let entries = entries.collect();
        Self {
            entries,
            arena,
            ..Self::default()
        }
    }

    /// The messages of an index.
    pub(super) fn of_index(records: &[Record], names: Vec<u8>) -> Self {
        let entries = records.iter().map(|record| Entry {
            uid: record.uid.get(),
            print: record.print,
            start: record.start,
            length: record.length,
            base: record.base,
            place: match record.in_new {
                true => Place::New,
                false => Place::Cur,
            },
            moved: false,
            keywords: record.set,
        });
        Self {
            entries: entries.collect(),
            sealed: Arc::new(names),
            ..Self::default()
        }
    }

    /// What an index says of the messages, and their names; nothing if some have no UID.
    pub(super) fn to_index(&self) -> Option<(Vec<Record>, Vec<u8>)> {
        let mut names = Vec::with_capacity(self.length());
        let records = self.entries.iter().map(|entry| {
            let start = u32::try_from(names.len()).ok()?;
            names.extend_from_slice(self.octets(entry));
            Some(Record {
                uid: entry.uid()?,
                print: entry.print,
                start,
                length: entry.length,
                base: entry.base,
                set: entry.keywords,
                in_new: entry.place == Place::New,
            })
        });
        let records = records.collect::<Option<Vec<_>>>()?;
        Some((records, names))
    }

    /// Octets of all names.
    pub(super) fn length(&self) -> usize {
        self.sealed.len() + self.arena.len()
    }

    /// Adds a message without a UID; gives its place among the entries. Nothing for
    /// names past 4 GiB in all.
    pub(super) fn push(&mut self, name: Name<'_>, place: Place) -> Option<usize> {
        self.push_printed(name, print_of(name.key()), place)
    }

    /// As [`Self::push`], where the fingerprint is known.
    pub(super) fn push_printed(
        &mut self,
        name: Name<'_>,
        print: u32,
        place: Place,
    ) -> Option<usize> {
        let entry = self.store(name, print)?;
        self.entries.push(Entry { place, ..entry });
        Some(self.entries.len() - 1)
    }

    /// Gives a message another name of the same key.
    pub(super) fn rename(&mut self, at: usize, name: Name<'_>, place: Place) {
        let print = self.entries.get(at).map_or(0, Entry::print);
        let Some(stored) = self.store(name, print) else {
            return;
        };
        if let Some(entry) = self.entries.get_mut(at) {
            entry.start = stored.start;
            entry.length = stored.length;
            entry.base = stored.base;
            entry.place = place;
        }
    }

    fn store(&mut self, name: Name<'_>, print: u32) -> Option<Entry> {
        let entry = Entry {
            uid: 0,
            print,
            start: u32::try_from(self.sealed.len() + self.arena.len()).ok()?,
            length: u16::try_from(name.octets().len()).ok()?,
            base: u16::try_from(name.base().len()).ok()?,
            place: Place::Cur,
            moved: false,
            keywords: SetId::EMPTY,
        };
        self.arena.extend_from_slice(name.octets());
        Some(entry)
    }

    /// The whole name of an entry.
    pub(super) fn octets(&self, entry: &Entry) -> &[u8] {
        self.stored(entry, entry.length)
    }

    fn stored(&self, entry: &Entry, length: u16) -> &[u8] {
        let (start, length) = (entry.start as usize, usize::from(length));
        let name = match start.checked_sub(self.sealed.len()) {
            None => self.sealed.get(start..start + length),
            Some(start) => self.arena.get(start..start + length),
        };
        name.unwrap_or_default()
    }

    /// The base name of an entry.
    pub(super) fn base(&self, entry: &Entry) -> &[u8] {
        self.stored(entry, entry.base)
    }

    /// The name of an entry, taken apart.
    pub(super) fn name(&self, entry: &Entry) -> Name<'_> {
        Name::of_parts(self.octets(entry), self.base(entry))
    }

    /// Where the entry with a UID stands; the entries must be in ascending order.
    pub(super) fn find(&self, uid: Uid) -> Option<usize> {
        let uid = uid.get();
        self.entries
            .binary_search_by_key(&uid, |entry| entry.uid)
            .ok()
    }

    /// Where an entry of this key stands, by a table made of all entries.
    pub(super) fn find_key(&self, slots: &Slots, key: Key<'_>, print: u32) -> Option<usize> {
        slots.find(print, |at| {
            let entry = self.entries.get(at);
            entry.is_some_and(|entry| Key::of_base(self.base(entry)) == key)
        })
    }
}

/// A hash table of places in a list that is kept elsewhere.
#[derive(Debug, Default)]
pub(super) struct Slots {
    /// A fingerprint above and a place plus one below, or 0. As many as a power of two,
    /// at most half of them taken.
    slots: Vec<u64>,
    taken: usize,
}

impl Slots {
    /// A table with room for so many.
    pub(super) fn with_capacity(count: usize) -> Self {
        let slots = (count.max(4) * 2).next_power_of_two();
        Self {
            slots: vec![0; slots],
            taken: 0,
        }
    }

    /// The place among those with this fingerprint that is the right one.
    fn find(&self, print: u32, mut is_it: impl FnMut(usize) -> bool) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut at = print as usize & mask;
        loop {
            let (there, place) = parts(self.slots.get(at).copied()?);
            let place = place.checked_sub(1)? as usize;
            if there == print && is_it(place) {
                return Some(place);
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds a place.
    pub(super) fn insert(&mut self, place: usize, print: u32) {
        if (self.taken + 1) * 2 > self.slots.len() {
            let mut larger = Self::with_capacity(self.slots.len());
            for &slot in self.slots.iter().filter(|slot| **slot != 0) {
                larger.put(slot);
            }
            *self = larger;
        }
        if let Ok(place) = u32::try_from(place + 1) {
            self.put(u64::from(print) << 32 | u64::from(place));
        }
    }

    fn put(&mut self, value: u64) {
        let Some(mask) = self.slots.len().checked_sub(1) else {
            return;
        };
        let mut at = parts(value).0 as usize & mask;
        while let Some(slot) = self.slots.get_mut(at) {
            if *slot == 0 {
                *slot = value;
                self.taken += 1;
                return;
            }
            at = (at + 1) & mask;
        }
    }
}

/// The fingerprint and the place in a slot.
fn parts(slot: u64) -> (u32, u32) {
    #[expect(clippy::cast_possible_truncation, reason = "each half is taken")]
    let halves = ((slot >> 32) as u32, slot as u32);
    halves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_key_among_many() {
        let (mut names, mut slots) = (Names::default(), Slots::with_capacity(0));
        for number in 0..10_000 {
            let text = format!("{number}.x,S={number}:2,S");
            let name = Name::parse(text.as_bytes()).expect("a name");
            let at = names.push(name, Place::Cur).expect("room");
            slots.insert(at, names.entries[at].print());
        }
        for number in 0..10_000 {
            let text = format!("{number}.x,W=1:2,T");
            let key = Name::parse(text.as_bytes()).expect("a name").key();
            assert_eq!(names.find_key(&slots, key, print_of(key)), Some(number));
        }
        let key = Key::of_base(b"10000.x");
        assert_eq!(names.find_key(&slots, key, print_of(key)), None);
        let renamed = Name::parse(b"7.x:2,F").expect("a name");
        names.rename(7, renamed, Place::New);
        assert_eq!(names.octets(&names.entries[7]), b"7.x:2,F");
    }
}
