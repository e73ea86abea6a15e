//! The file's octets.

use courier_core::time::Timestamp;

use crate::keywords::{Keyword, KeywordTable, SetId};
use crate::name::{Name, hash};
use crate::scan::Stamp;
use crate::uid_list::{ListStamp, Uid, UidValidity};

/// What the file says.
#[derive(Debug, Clone)]
pub struct FolderIndex {
    pub(crate) validity: UidValidity,
    pub(crate) next: Uid,
    pub(crate) new: Stamp,
    pub(crate) cur: Stamp,
    pub(crate) keywords: Option<Stamp>,
    pub(crate) list: ListStamp,
    pub(crate) table: KeywordTable,
    pub(crate) orphans: Vec<(Box<[u8]>, SetId)>,
    /// Fingerprints of the keys that the list has without a message.
    pub(crate) dead: Vec<u32>,
    pub(crate) records: Vec<Record>,
    pub(crate) names: Vec<u8>,
}

/// A message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(crate) uid: Uid,
    pub(crate) print: u32,
    pub(crate) start: u32,
    pub(crate) length: u16,
    pub(crate) base: u16,
    pub(crate) set: SetId,
    pub(crate) in_new: bool,
}

/// The last octet is the version.
const MAGIC: [u8; 8] = *b"CourIdx\x01";
const HEAD: usize = 16;
const RECORD: usize = 24;

impl FolderIndex {
    /// The file's octets; nothing for what it cannot hold.
    #[must_use]
    pub fn encode(&self) -> Option<Vec<u8>> {
        let length = self.records.len() * RECORD + self.names.len();
        let mut text = Text(Vec::with_capacity(length + 4096));
        text.0.extend_from_slice(&MAGIC);
        text.0.extend_from_slice(&[0; 8]);
        text.u32(self.validity.get());
        text.u32(self.next.get());
        text.stamp(Some(self.new));
        text.stamp(Some(self.cur));
        text.stamp(self.keywords);
        text.u64(self.list.inode);
        text.u64(self.list.length);
        text.time(self.list.modified);
        text.u32(0);
        for count in [
            self.records.len(),
            self.names.len(),
            self.dead.len(),
            self.table.words().len(),
            self.table.sets().len(),
            self.orphans.len(),
        ] {
            text.u32(u32::try_from(count).ok()?);
        }
        for record in &self.records {
            text.u32(record.uid.get());
            text.u32(record.print);
            text.u32(record.start);
            text.u16(record.length);
            text.u16(record.base);
            text.u32(record.set.number());
            text.u32(u32::from(record.in_new));
        }
        self.dead.iter().for_each(|&print| text.u32(print));
        for word in self.table.words() {
            text.u16(u16::try_from(word.as_str().len()).ok()?);
            text.0.extend_from_slice(word.as_str().as_bytes());
        }
        for set in self.table.sets() {
            text.u16(u16::try_from(set.len()).ok()?);
            set.iter().for_each(|&number| text.u16(number));
        }
        for (base, set) in &self.orphans {
            text.u16(u16::try_from(base.len()).ok()?);
            text.u32(set.number());
            text.0.extend_from_slice(base);
        }
        text.0.extend_from_slice(&self.names);
        let sum = Self::checksum(&text.0)?;
        text.0.get_mut(8..HEAD)?.copy_from_slice(&sum);
        Some(text.0)
    }

    /// What the octets 8 to 16 of a file must be; nothing if it is shorter.
    #[must_use]
    pub fn checksum(octets: &[u8]) -> Option<[u8; 8]> {
        octets.get(HEAD..).map(|body| hash(body).to_le_bytes())
    }

    /// Reads the file; nothing if it is not what [`encode`](Self::encode) makes of a
    /// folder that there can be.
    #[must_use]
    pub fn decode(octets: &[u8]) -> Option<Self> {
        let (head, body) = octets.split_at_checked(HEAD)?;
        let (magic, sum) = head.split_at_checked(8)?;
        if magic != MAGIC || sum != hash(body).to_le_bytes() {
            return None;
        }
        let mut input = Input(body);
        let (validity, next) = (UidValidity::new(input.u32()?)?, Uid::new(input.u32()?)?);
        let (new, cur) = (input.stamp()?, input.stamp()?);
        let keywords = Some(input.stamp()?).filter(|stamp| stamp.inode != 0);
        let list = ListStamp {
            inode: input.u64()?,
            length: input.u64()?,
            modified: input.time()?,
        };
        input.u32()?;
        let [messages, names, dead, words, sets, orphans] = [(); 6].map(|()| input.u32());
        let records = input.take((messages? as usize).checked_mul(RECORD)?)?;
        let dead = input.take((dead? as usize).checked_mul(4)?)?;
        let dead = dead.chunks_exact(4).filter_map(|print| Input(print).u32());
        let dead = dead.collect();
        let table = input.table(words? as usize, sets? as usize)?;
        let known = table.sets().len();
        let mut waiting = Vec::new();
        for _ in 0..orphans? {
            let length = input.u16()?;
            let set = SetId::of_number(input.u32()?, known)?;
            waiting.push((input.take(usize::from(length))?.into(), set));
        }
        let names = input.take(names? as usize)?.to_vec();
        let records = read_records(records, &names, next, known)?;
        input.0.is_empty().then_some(Self {
            validity,
            next,
            new,
            cur,
            keywords,
            list,
            table,
            orphans: waiting,
            dead,
            records,
            names,
        })
    }
}

fn read_records(records: &[u8], names: &[u8], next: Uid, sets: usize) -> Option<Vec<Record>> {
    let mut last = 0;
    let read = records.chunks_exact(RECORD).map(|record| {
        let mut input = Input(record);
        let record = Record {
            uid: Uid::new(input.u32()?).filter(|uid| uid.get() > last && *uid < next)?,
            print: input.u32()?,
            start: input.u32()?,
            length: input.u16()?,
            base: input.u16()?,
            set: SetId::of_number(input.u32()?, sets)?,
            in_new: input.u32()? != 0,
        };
        last = record.uid.get();
        let start = record.start as usize;
        let name = names.get(start..start + usize::from(record.length))?;
        let whole = Name::parse(name).is_ok_and(|name| name.base().len() == record.base.into());
        whole.then_some(record)
    });
    read.collect()
}

struct Text(Vec<u8>);

impl Text {
    fn u16(&mut self, number: u16) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn u32(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn time(&mut self, time: Timestamp) {
        self.0.extend_from_slice(&time.seconds.to_le_bytes());
        self.u32(time.nanos);
    }

    fn stamp(&mut self, stamp: Option<Stamp>) {
        self.u64(stamp.map_or(0, |stamp| stamp.inode));
        self.time(stamp.map(|stamp| stamp.modified).unwrap_or_default());
        self.time(stamp.map(|stamp| stamp.changed).unwrap_or_default());
    }
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(front)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*front)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn time(&mut self) -> Option<Timestamp> {
        Some(Timestamp {
            seconds: self.array().map(i64::from_le_bytes)?,
            nanos: self.u32()?,
        })
    }

    fn stamp(&mut self) -> Option<Stamp> {
        Some(Stamp {
            inode: self.u64()?,
            modified: self.time()?,
            changed: self.time()?,
        })
    }

    /// The keywords; each must get the number that it had.
    fn table(&mut self, words: usize, sets: usize) -> Option<KeywordTable> {
        let mut table = KeywordTable::default();
        for number in 0..words {
            let length = self.u16()?;
            let word = std::str::from_utf8(self.take(usize::from(length))?).ok()?;
            let got = table.take(&Keyword::parse(word).ok()?)?;
            (usize::from(got) == number).then_some(())?;
        }
        for number in 0..sets {
            let length = self.u16()?;
            let numbers = (0..length).map(|_| self.u16());
            let numbers: Vec<u16> = numbers.collect::<Option<_>>()?;
            let known = numbers.iter().all(|&word| usize::from(word) < words);
            let got = known.then(|| table.intern(numbers))?;
            (got.number() as usize == number).then_some(())?;
        }
        Some(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn index(names: &[String], words: &[String]) -> FolderIndex {
        let stamp = |inode| Stamp {
            inode,
            modified: Timestamp {
                seconds: -7,
                nanos: 9,
            },
            changed: Timestamp::default(),
        };
        let mut table = KeywordTable::default();
        let numbers: Vec<u16> = words
            .iter()
            .filter_map(|word| table.take(&Keyword::parse(word).ok()?))
            .collect();
        let set = table.intern(numbers);
        let (mut records, mut arena) = (Vec::new(), Vec::new());
        for (name, uid) in names.iter().zip(1..) {
            let parsed = Name::parse(name.as_bytes()).expect("a name");
            records.push(Record {
                uid: Uid::new(uid * 3).expect("not 0"),
                print: uid,
                start: u32::try_from(arena.len()).expect("short"),
                length: u16::try_from(name.len()).expect("short"),
                base: u16::try_from(parsed.base().len()).expect("short"),
                set,
                in_new: uid % 2 == 0,
            });
            arena.extend_from_slice(name.as_bytes());
        }
        FolderIndex {
            validity: UidValidity::MIN,
            next: Uid::new(u32::MAX).expect("not 0"),
            new: stamp(5),
            cur: stamp(6),
            keywords: (!words.is_empty()).then(|| stamp(7)),
            list: ListStamp {
                inode: 8,
                length: 9,
                modified: Timestamp::default(),
            },
            table,
            orphans: vec![(b"orphan"[..].into(), set)],
            dead: vec![1, 2],
            records,
            names: arena,
        }
    }

    proptest! {
        #[test]
        fn an_index_is_read_back(
            names in proptest::collection::vec("[!-9;-~&&[^./]]{1,9}(:2,[A-T]{0,3})?", 0..9),
            words in proptest::collection::vec("[a-z]{1,4}", 0..4),
        ) {
            let octets = index(&names, &words).encode().expect("short");
            let again = FolderIndex::decode(&octets).expect("our own");
            prop_assert_eq!(again.encode(), Some(octets));
            prop_assert_eq!(again.records.len(), names.len());
        }

        #[test]
        fn damage_is_seen(at: proptest::sample::Index, bit in 0..8, cut: bool) {
            let names = ["1.a:2,S".to_owned(), "2.b".to_owned()];
            let mut octets = index(&names, &["word".to_owned()]).encode().expect("short");
            let at = at.index(octets.len());
            match cut {
                true => octets.truncate(at),
                false => octets[at] ^= 1_u8 << bit,
            }
            prop_assert!(FolderIndex::decode(&octets).is_none());
        }

        #[test]
        fn what_says_too_much_is_refused(mut body: Vec<u8>, counts: [u8; 6]) {
            // A checksum that is right, for a body that is not.
            body.resize(8 + 128, 1);
            body.extend(counts.iter().flat_map(|count| [*count, 0, 0, 0]));
            let sum = hash(&body).to_le_bytes();
            let octets = [&MAGIC, &sum, body.as_slice()].concat();
            if let Some(index) = FolderIndex::decode(&octets) {
                prop_assert_eq!(index.records.len(), 0);
            }
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let names = ["1.a".to_owned(), "2.b".to_owned()];
        let mut index = index(&names, &[]);
        index.names[1] = b'/';
        let octets = index.encode().expect("short");
        assert!(FolderIndex::decode(&octets).is_none());
    }
}
