//! What the disk damages is told apart from a torn batch, set aside and reported
//! once, and the rest is used.

use std::collections::BTreeSet;

use super::*;
use crate::testing::MemDisk;

/// Messages that wait, in several segments, after an orderly end.
fn filled() -> (MemDisk, Vec<MessageId>) {
    let mut disk = MemDisk::new();
    let mut journal = open(&mut disk);
    let mut accepted = Vec::new();
    for number in 0..12 {
        accepted.push(accept(
            &mut disk,
            &mut journal,
            number,
            2000 + number as usize,
        ));
    }
    let half = Entry::outcome(accepted[3], 0, Progress::Waiting, &b"later"[..]);
    append(&mut disk, &mut journal, vec![half]);
    disk.run(disk::task(|disk| async move { journal.close(&disk).await }));
    assert!(disk.names("/spool/segments").len() > 3);
    (disk, accepted)
}

fn flip(disk: &MemDisk, path: &str, at: usize) -> MemDisk {
    let mut disk = disk.clone();
    let mut octets = disk.contents(path).unwrap();
    octets[at] ^= 0x10;
    disk.carry_out(&Op::Unlink(path.into())).unwrap();
    disk.plant_file(path, &octets);
    disk
}

/// Opens a damaged journal; the messages that are there must be whole.
fn open_damaged(disk: &mut MemDisk, accepted: &[MessageId]) -> (Journal, Vec<Damage>) {
    let (journal, damage) = try_open(disk).unwrap();
    for (number, &id) in (0..).zip(accepted) {
        if journal.message(id).is_some() {
            assert_eq!(
                content(disk, &journal, id),
                text(number, 2000 + number as usize)
            );
            assert_eq!(
                envelope(disk, &journal, id),
                format!("envelope {number}").as_bytes()
            );
        }
    }
    (journal, damage)
}

fn lost(journal: &Journal, accepted: &[MessageId]) -> Vec<MessageId> {
    let lost = accepted.iter().filter(|id| journal.message(**id).is_none());
    lost.copied().collect()
}

#[test]
fn any_octet_may_change_and_at_most_its_record_is_lost() {
    let (disk, accepted) = filled();
    let mut hit = BTreeSet::new();
    for name in disk.names("/spool/segments") {
        let path = format!("/spool/segments/{name}");
        let length = disk.contents(&path).unwrap().len();
        for at in (0..length).step_by(61) {
            let mut disk = flip(&disk, &path, at);
            let (mut journal, damage) = open_damaged(&mut disk, &accepted);
            let lost = lost(&journal, &accepted);
            assert!(lost.len() <= 1, "{path} {at}: {lost:?}");
            if !lost.is_empty() {
                assert_eq!(damage.len(), 1, "{path} {at}: {lost:?} without a word");
            }
            for damage in &damage {
                assert_eq!(damage.kind, DamageKind::Records);
                assert_eq!(damage.path, Path::new(&path));
                assert!(damage.range.contains(&(at as u64)), "{at}: {damage:?}");
                let saved = disk.contents(damage.saved.as_ref().unwrap()).unwrap();
                assert_eq!(saved.len() as u64, damage.range.end - damage.range.start);
            }
            hit.extend(lost);
            if at % 20 == 0 {
                let next = accept(&mut disk, &mut journal, 99, 100);
                assert!(next > *accepted.last().unwrap());
                // The next start has nothing new to say.
                let journal = reopen(&mut disk, journal);
                assert!(journal.message(next).is_some());
            }
        }
    }
    assert_eq!(hit.len(), accepted.len(), "each message was hit once");
}

#[test]
fn damage_is_said_in_a_sentence() {
    let (disk, accepted) = filled();
    let mut disk = flip(&disk, "/spool/segments/00000001", 5000);
    let (journal, damage) = open_damaged(&mut disk, &accepted);
    assert_eq!(
        damage[0].to_string(),
        "octets 4168 to 6264 of /spool/segments/00000001 are damaged; \
         set aside as /spool/damaged/1-00000001-4168"
    );
    assert_eq!(lost(&journal, &accepted), [accepted[0]]);
    // No id that was lost is given again.
    assert!(journal.numbers().reserve().id().0 > 1 << 32);
}

#[test]
fn a_segment_without_headers_is_set_aside_whole() {
    let (mut disk, accepted) = filled();
    for at in [100, 2048] {
        disk = flip(&disk, "/spool/segments/00000002", at);
    }
    let whole = disk.contents("/spool/segments/00000002").unwrap();
    let (mut journal, damage) = open_damaged(&mut disk, &accepted);
    let kinds: Vec<DamageKind> = damage.iter().map(|damage| damage.kind).collect();
    assert_eq!(
        kinds,
        [DamageKind::Header, DamageKind::Segment { epoch: 2 }]
    );
    let saved = damage[0].saved.as_ref().unwrap();
    assert_eq!(disk.contents(saved).unwrap(), whole);
    assert!((1..=5).contains(&lost(&journal, &accepted).len()));
    accept(&mut disk, &mut journal, 99, 8000);
    accept(&mut disk, &mut journal, 99, 8000);
    reopen(&mut disk, journal);
}

#[test]
fn a_segment_that_is_gone_is_missed_once() {
    let (mut disk, accepted) = filled();
    disk.carry_out(&Op::Unlink("/spool/segments/00000002".into()))
        .unwrap();
    let (journal, damage) = open_damaged(&mut disk, &accepted);
    assert_eq!(damage.len(), 1);
    assert_eq!(damage[0].kind, DamageKind::Segment { epoch: 2 });
    assert!((1..=5).contains(&lost(&journal, &accepted).len()));
    reopen(&mut disk, journal);
}

#[test]
fn a_cut_segment_gives_what_is_left() {
    let (disk, accepted) = filled();
    for length in [0, 100, 4096, 4200, 9000, 13_000] {
        let mut disk = disk.clone();
        let path = PathBuf::from("/spool/segments/00000001");
        disk.carry_out(&Op::Truncate { path, length }).unwrap();
        let (journal, damage) = open_damaged(&mut disk, &accepted);
        assert!(!damage.is_empty(), "{length}");
        assert!(
            (1..=5).contains(&lost(&journal, &accepted).len()),
            "{length}"
        );
        reopen(&mut disk, journal);
    }
}

#[test]
fn the_lost_file_of_a_large_message_is_reported() {
    for (cut, full) in [(true, false), (false, false), (false, true)] {
        let mut disk = MemDisk::new();
        let mut journal = open(&mut disk);
        let large = journal.numbers().reserve();
        let (id, path) = (large.id(), large.path().to_path_buf());
        disk.plant_file(&path, &[7; 5000]);
        let content = Content::Large(large.of_length(5000));
        let results = append(
            &mut disk,
            &mut journal,
            vec![
                Entry::message(&b"big envelope"[..], 1, content),
                mail(1, 10, 1),
            ],
        );
        let other = id_of(&results[1]);
        drop((journal, results));
        disk.release_locks();
        disk.set_capacity(full.then_some(0));
        if cut {
            let path = path.clone();
            disk.carry_out(&Op::Truncate { path, length: 4999 })
                .unwrap();
        } else {
            disk.carry_out(&Op::Unlink(path)).unwrap();
        }
        let (mut journal, mut damage) = try_open(&mut disk).unwrap();
        assert_eq!(damage.len(), 1);
        assert_eq!(damage[0].kind, DamageKind::Large { id });
        if full {
            assert_eq!(damage[0].saved, None);
            disk.set_capacity(None);
            damage = maintain(&mut disk, &mut journal).damage;
        }
        let saved = disk.contents(damage[0].saved.as_ref().unwrap()).unwrap();
        assert!(saved.windows(12).any(|window| window == b"big envelope"));
        assert_eq!(ids(&journal), [other.0]);
        reopen(&mut disk, journal);
    }
}

#[test]
fn damage_that_cannot_be_set_aside_keeps_its_segment() {
    let (disk, accepted) = filled();
    let mut disk = flip(&disk, "/spool/segments/00000001", 5000);
    disk.set_capacity(Some(0));
    let (mut journal, damage) = open_damaged(&mut disk, &accepted);
    assert_eq!(damage.len(), 1);
    assert_eq!(damage[0].saved, None);
    assert!(
        damage[0]
            .to_string()
            .ends_with("not set aside yet, make space on the disk")
    );
    disk.set_capacity(None);
    let rest: Vec<Entry> = journal
        .messages()
        .map(|message| settled(message.id(), 0))
        .collect();
    append(&mut disk, &mut journal, rest);
    let before = disk.contents("/spool/segments/00000001").unwrap();
    for number in 0..20 {
        let id = accept(&mut disk, &mut journal, number, 5000);
        append(&mut disk, &mut journal, vec![settled(id, 0)]);
    }
    assert_eq!(disk.contents("/spool/segments/00000001"), Some(before));
    let maintenance = maintain(&mut disk, &mut journal);
    assert_eq!(maintenance.damage.len(), 1);
    assert!(
        disk.contents(maintenance.damage[0].saved.as_ref().unwrap())
            .is_some()
    );
    settle_down(&mut disk, &mut journal);
    reopen(&mut disk, journal);
}

#[test]
fn damage_is_found_before_it_is_copied_forward() {
    let mut disk = MemDisk::new();
    let mut journal = open(&mut disk);
    let old = accept(&mut disk, &mut journal, 7, 2500);
    let location = journal.location(old).unwrap();
    let (path, at) = (location.path().to_path_buf(), location.range().start);
    drop(location);
    let octets = vec![b"X"[..].into()];
    let durability = disk::Durability::Synced;
    let write = Op::WriteAt {
        path,
        offset: at,
        octets,
        durability,
    };
    disk.carry_out(&write).unwrap();
    let mut damage = Vec::new();
    for number in 0..40 {
        let id = accept(&mut disk, &mut journal, number, 5000);
        append(&mut disk, &mut journal, vec![settled(id, 0)]);
        damage.extend(maintain(&mut disk, &mut journal).damage);
    }
    assert_eq!(damage.len(), 1, "{damage:?}");
    assert_eq!(journal.message(old).map(|message| message.id()), None);
    let saved = disk.contents(damage[0].saved.as_ref().unwrap()).unwrap();
    assert!(saved.windows(10).any(|window| window == b"envelope 7"));
}

#[test]
fn a_message_cannot_look_like_a_record() {
    // What would prove that a torn batch had been durable, as the content of a
    // message in it; only who knows the segment's key can write that.
    let (right, wrong) = (|key| key, |key| key ^ 1);
    assert!(opened_with_forged_record(wrong).is_empty());
    assert!(!opened_with_forged_record(right).is_empty());
}

fn opened_with_forged_record(key: fn(u64) -> u64) -> Vec<Damage> {
    let mut disk = MemDisk::new();
    let mut journal = open(&mut disk);
    accept(&mut disk, &mut journal, 0, 100);
    let active = journal.active.as_ref().unwrap();
    let forged = record::Header {
        kind: record::Kind::Commit,
        epoch: active.epoch,
        sequence: journal.next_sequence + 9,
        place: 0,
        length: 0,
        sum: 0,
    };
    let octets: Octets = forged.print(key(active.key)).repeat(40).into();
    let entry = Entry::message(&b"envelope"[..], 1, Content::Octets(octets));
    let victim = id_of(&append(&mut disk, &mut journal, vec![entry])[0]);
    drop(journal);
    disk.release_locks();
    let commit = 2 * 4096;
    let octets = disk.contents("/spool/segments/00000001").unwrap();
    assert_eq!(octets[commit..commit + 4], record::MAGIC);
    let mut disk = flip(&disk, "/spool/segments/00000001", commit);
    let record = commit + 72;
    disk = flip(&disk, "/spool/segments/00000001", record);
    let (journal, damage) = try_open(&mut disk).unwrap();
    assert!(journal.message(victim).is_none());
    damage
}
