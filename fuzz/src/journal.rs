//! Recovery of the spool journal over arbitrary octets in one of its segments: the
//! rest of the log survives, nothing is read without bound, and a second start finds
//! what the first one did.
//!
//! The first four octets of the data say where the others go: the segment, the offset
//! (two octets, little-endian), and whether the file ends behind them (odd) or goes on.

use std::path::Path;
use std::sync::OnceLock;

use courier_core::disk;
use courier_core::mta::journal::{
    Appended, Content, Entry, Journal, MessageId, OpenError, Options, Progress,
};
use courier_core::testing::MemDisk;

/// Octets of the first block of a segment, which holds its headers.
const BLOCK: u64 = 4096;

/// A message of the log, and where its content stands.
struct Message {
    id: MessageId,
    segment: usize,
    end: u64,
    content: Vec<u8>,
}

/// A journal as `kill -9` left it.
struct World {
    disk: MemDisk,
    segments: Vec<String>,
    messages: Vec<Message>,
}

fn options() -> Options {
    Options {
        segment: 6 * BLOCK,
        key: 0x5eed,
        ..Options::default()
    }
}

fn open(disk: &mut MemDisk) -> Result<(Journal, usize), OpenError> {
    disk.release_locks();
    let opened = disk.run(disk::task(|disk| async move {
        Journal::open(&disk, "/spool".into(), options()).await
    }));
    opened.map(|(journal, damage)| (journal, damage.len()))
}

fn append(disk: &mut MemDisk, journal: &mut Journal, entry: Entry) -> Appended {
    let results = disk.run(disk::task(|disk| async move {
        journal.append(&disk, vec![entry]).await
    }));
    match results.into_iter().next() {
        Some(Ok(appended)) => appended,
        other => panic!("the model's disk refuses nothing: {other:?}"),
    }
}

fn accept(disk: &mut MemDisk, journal: &mut Journal, content: &[u8]) -> (MessageId, String, u64) {
    let entry = Entry::message(&b"envelope"[..], 2, Content::Octets(content.into()));
    match append(disk, journal, entry) {
        Appended::Message { id, location } => {
            let path = location.path().to_string_lossy().into_owned();
            (id, path, location.range().end)
        }
        other => panic!("a message was appended, not {other:?}"),
    }
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let mut disk = MemDisk::new();
        let Ok((mut journal, 0)) = open(&mut disk) else {
            panic!("an empty journal opens")
        };
        let (mut segments, mut messages): (Vec<String>, Vec<Message>) = (Vec::new(), Vec::new());
        for number in 0..8_u8 {
            let length = 900 * usize::from(number % 4) + 10;
            let content = vec![b'a' + number; length];
            let (id, path, end) = accept(&mut disk, &mut journal, &content);
            if segments.last() != Some(&path) {
                segments.push(path);
            }
            let segment = segments.len() - 1;
            messages.push(Message {
                id,
                segment,
                end,
                content,
            });
            let half = Entry::outcome(id, 1, Progress::Settled, &b"delivered"[..]);
            append(&mut disk, &mut journal, half);
        }
        assert!(segments.len() > 2);
        disk.sync_all();
        World {
            disk,
            segments,
            messages,
        }
    })
}

/// Puts the octets in a segment and starts.
///
/// # Panics
/// If a message is lost that the octets did not touch, or a property does not hold.
pub fn run(data: &[u8]) {
    let Some((&[segment, low, high, end], octets)) = data.split_first_chunk::<4>() else {
        return;
    };
    let world = world();
    let segment = usize::from(segment) % world.segments.len();
    let Some(path) = world.segments.get(segment) else {
        return;
    };
    let mut disk = world.disk.clone();
    let mut whole = disk.contents(path).unwrap_or_default();
    let from = usize::from(u16::from_le_bytes([low, high])) % whole.len();
    let touched = place(&mut whole, from, octets, end % 2 == 1);
    disk.plant_file(path, &whole);
    disk.reset_counts();
    let (mut journal, _) = match open(&mut disk) {
        Ok(opened) => opened,
        Err(OpenError::Version { .. }) if from < 4096 => return,
        Err(error) => panic!("{error:?}"),
    };
    let files = world.segments.len() as u64 + 1;
    assert!(disk.counts().read < 8 * files * (6 * BLOCK + data.len() as u64));
    if touched >= BLOCK {
        check(world, &disk, &journal, segment, touched);
    }
    let found: Vec<MessageId> = journal.messages().map(|message| message.id()).collect();
    let (next, ..) = accept(&mut disk, &mut journal, b"next");
    assert!(!found.contains(&next));
    let Ok((journal, 0)) = open(&mut disk) else {
        panic!("damage is reported once")
    };
    let again: Vec<MessageId> = journal.messages().map(|message| message.id()).collect();
    assert_eq!(again, [found, vec![next]].concat());
}

/// Overwrites octets, and says where the first of them is that changed.
fn place(whole: &mut Vec<u8>, from: usize, octets: &[u8], cut: bool) -> u64 {
    let before = whole.clone();
    let length = whole.len().max(from + octets.len());
    whole.resize(length, 0);
    for (slot, octet) in whole.iter_mut().skip(from).zip(octets) {
        *slot = *octet;
    }
    if cut {
        whole.truncate(from + octets.len());
    }
    let same = before.iter().zip(whole.iter()).take_while(|(a, b)| a == b);
    same.count() as u64
}

/// Every message before the change is there as it was, and also those in later
/// segments; what is there beyond is as it was, too.
fn check(world: &World, disk: &MemDisk, journal: &Journal, segment: usize, touched: u64) {
    for message in &world.messages {
        let untouched = message.segment != segment || message.end <= touched;
        let there = journal.location(message.id);
        // Of the newest segment the last batch may seem torn, but not one before it.
        assert!(there.is_some() || !untouched, "{} is lost", message.id);
        if let Some(location) = there {
            let octets = disk
                .contents(Path::new(location.path()))
                .unwrap_or_default();
            let range = location.range();
            let skip = usize::try_from(range.start).unwrap_or(usize::MAX);
            let octets = octets.iter().skip(skip).take(message.content.len());
            assert!(
                octets.eq(&message.content),
                "{} is not as it was",
                message.id
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    #[test]
    fn the_corpus_is_survived() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/journal");
        let mut count = 0;
        for entry in std::fs::read_dir(corpus).unwrap() {
            super::run(&std::fs::read(entry.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count >= 10, "the corpus is in {corpus}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn noise_is_survived(at: [u8; 4], octets in prop::collection::vec(any::<u8>(), 0..6000)) {
            super::run(&[&at[..], &octets].concat());
        }

        #[test]
        fn parts_of_the_log_in_the_wrong_place_are_survived(
            at: [u8; 4],
            from in 0..20_000_usize,
            length in 0..9000_usize,
        ) {
            let world = super::world();
            let path = &world.segments[usize::from(at[1]) % world.segments.len()];
            let octets = world.disk.contents(path).unwrap();
            let part = octets.iter().copied().skip(from).take(length);
            super::run(&at.into_iter().chain(part).collect::<Vec<u8>>());
        }
    }
}
