//! Segments with any records: nothing panics, nothing is read without bound, and a
//! second start finds what the first did.

use proptest::prelude::*;

use super::gather::Record;
use super::record::{COUNTED, ContentLength, HEADER, Header, Kind, Prefix, record_length};
use super::segment::{BLOCK, SegmentHeader};
use super::*;

const KEY: u64 = 7;

/// A record whose checksums hold, or one that is damaged; what it says is anything.
#[derive(Debug, Clone)]
struct Odd {
    header: Header,
    payload: Vec<u8>,
    /// How many octets follow before the next record.
    gap: usize,
    damaged: bool,
}

/// Mostly numbers that fit together, sometimes any.
fn number() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![8 => 0..8_u64, 1 => 0..COUNTED / 2, 1 => Just(COUNTED / 2)]
}

fn prefix() -> impl Strategy<Value = (Prefix, usize)> {
    let id = number().prop_map(MessageId);
    let progress = prop::sample::select(vec![Progress::Waiting, Progress::Settled]);
    prop_oneof![
        (number(), id.clone(), prop_oneof![0..4_u32, any::<u32>()]).prop_map(
            |(tail, next, records)| (
                Prefix::Commit {
                    tail,
                    next,
                    records
                },
                0
            )
        ),
        (
            id.clone(),
            prop_oneof![0..4_u32, any::<u32>()],
            0..50_u32,
            prop_oneof![
                (0..3000_u32).prop_map(ContentLength::Here),
                number().prop_map(ContentLength::Large),
            ]
        )
            .prop_map(|(id, recipients, envelope, content)| {
                let here = match content {
                    ContentLength::Here(length) => length,
                    ContentLength::Large(_) => 0,
                };
                let prefix = Prefix::Message {
                    id,
                    recipients,
                    envelope,
                    content,
                };
                (prefix, (envelope + here) as usize)
            }),
        (
            id,
            prop_oneof![0..4_u32, any::<u32>()],
            progress,
            0..40_usize
        )
            .prop_map(|(id, recipient, progress, length)| {
                (
                    Prefix::Outcome {
                        id,
                        recipient,
                        progress,
                    },
                    length,
                )
            }),
    ]
}

fn odd() -> impl Strategy<Value = Odd> {
    let numbers = (number(), prop_oneof![0..4_u32, any::<u32>()]);
    let gap = prop_oneof![4 => Just(0_usize), 1 => 0..5000_usize];
    (prefix(), numbers, gap, prop::bool::weighted(0.1)).prop_map(
        |((prefix, rest), (sequence, place), gap, damaged)| {
            let mut payload = Vec::new();
            prefix.print(&mut payload);
            payload.resize(payload.len() + rest, b'x');
            let header = Header {
                kind: prefix.kind(),
                epoch: 0,
                sequence,
                place,
                length: u32::try_from(payload.len()).unwrap(),
                sum: checksum::Checksum::of(0, &payload),
            };
            Odd {
                header,
                payload,
                gap,
                damaged,
            }
        },
    )
}

/// A segment of these records; those with a number below 4 are counted up.
fn segment(header: &SegmentHeader, records: &[Odd]) -> Vec<u8> {
    let mut octets = header.print();
    let mut sequence = header.first;
    for record in records {
        let mut printed = record.header;
        printed.epoch = header.epoch;
        if printed.sequence < 4 {
            printed.sequence = sequence;
            printed.place = if printed.kind == Kind::Commit {
                0
            } else {
                printed.place
            };
        }
        sequence = (printed.sequence + 1).min(COUNTED - 1);
        octets.extend(printed.print(header.key));
        octets.extend(&record.payload);
        if record.damaged {
            *octets.last_mut().unwrap() ^= 1;
        }
        let end =
            record_length(record.payload.len() as u64) - (HEADER + record.payload.len()) as u64;
        octets.resize(octets.len() + usize::try_from(end).unwrap() + record.gap, 0);
    }
    octets.resize(octets.len().next_multiple_of(8), 0);
    octets
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn any_records_are_read_with_patience(
        segments in prop::collection::vec(
            ([number(), number(), number(), number(), number()], prop::collection::vec(odd(), 0..12)),
            0..4,
        ),
    ) {
        let mut disk = MemDisk::new();
        disk.plant_directory("/spool/segments");
        let mut length = 0;
        for (file, ([epoch, first, previous, tail, next], records)) in segments.iter().enumerate() {
            let header = SegmentHeader {
                epoch: *epoch,
                key: KEY,
                first: *first,
                previous: *previous,
                tail: *tail,
                next: MessageId(*next),
                length: SHORT,
            };
            let mut octets = segment(&header, records);
            if file % 2 == 0 {
                octets.resize(usize::try_from(SHORT).unwrap(), 0);
            }
            length += octets.len() as u64;
            disk.plant_file(format!("/spool/segments/{:08}", file + 1), &octets);
        }
        disk.reset_counts();
        let (mut journal, _) = try_open(&mut disk).unwrap();
        // Each segment is read about twice, and again behind each damage.
        let read = disk.counts().read;
        prop_assert!(read <= 8 * (length + BLOCK), "{read} of {length}");
        let found = ids(&journal);
        for &id in &found {
            let id = MessageId(id);
            prop_assert!(journal.message(id).unwrap().left() > 0);
            envelope(&mut disk, &journal, id);
            outcomes(&mut disk, &journal, id);
        }
        let next = accept(&mut disk, &mut journal, 1, 10);
        prop_assert!(!found.contains(&next.0));
        maintain(&mut disk, &mut journal);
        drop(journal);
        disk.release_locks();
        let (journal, _) = try_open(&mut disk).unwrap();
        prop_assert!(journal.message(next).is_some());
    }
}

#[test]
fn records_are_laid_out_as_the_tests_think() {
    let record = Record {
        entry: None,
        prefix: Prefix::Outcome {
            id: MessageId(1),
            recipient: 0,
            progress: Progress::Settled,
        },
        octets: [b"abc"[..].into(), Octets::default()],
    };
    assert_eq!(record.length(), record_length(19));
}
