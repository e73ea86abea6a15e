//! A snapshot from the folder's index, and into it.

use std::sync::Arc;

use courier_core::disk::Disk;

use super::names::Names;
use super::snapshot::{Access, Gates, Saved, Snapshot};
use crate::folder::FolderPath;
use crate::index::{self, FolderIndex};
use crate::scan::Gate;
use crate::writer::Writer;

/// Writes the index of a large folder that was just opened, if it would help the next
/// one who opens it: see [`Snapshot::wants_index`]. It may fail, and then there is none.
pub async fn save_index(disk: &Disk, snapshot: &Snapshot, writer: &Writer) {
    if let Some(index) = snapshot.to_index() {
        index::save(disk, &snapshot.folder, &index, writer).await;
    }
}

/// Messages from which on a folder has an index: below, to read the directory is as
/// quick.
const INDEXED: usize = if cfg!(test) { 3 } else { 1000 };

impl Snapshot {
    /// Whether the folder is large and at rest, and its index was missing or out of date
    /// when it was opened.
    #[must_use]
    pub fn wants_index(&self) -> bool {
        let lasts = |gate: Gate| gate.lasting().is_some();
        let at_rest = self
            .gates
            .is_some_and(|gates| lasts(gates.new) && lasts(gates.cur));
        self.unindexed && at_rest && self.len() >= INDEXED
    }

    /// Its index is being written: nobody else need do it.
    pub fn mark_indexed(&mut self) {
        self.unindexed = false;
    }

    /// The folder as it was when the index was written; a look must follow.
    pub(super) fn of_index(folder: FolderPath, access: Access, index: FolderIndex) -> Self {
        Self {
            validity: index.validity,
            next: index.next,
            names: Arc::new(Names::of_index(&index.records, index.names)),
            keywords: Arc::new(index.table),
            orphans: Arc::new(index.orphans),
            dead: Arc::new(index.dead),
            gates: Some(Gates {
                new: Gate::of_lasting(index.new),
                cur: Gate::of_lasting(index.cur),
                list: Some(index.list),
                keywords: index.keywords.map(Gate::of_lasting),
            }),
            ..Self::unopened(folder, access)
        }
    }

    /// What the index says of the folder; nothing while it is not at rest.
    pub(super) fn to_index(&self) -> Option<FolderIndex> {
        let gates = self.gates.filter(|_| self.saved == Saved::Yes)?;
        let (records, names) = self.names.to_index()?;
        Some(FolderIndex {
            validity: self.validity,
            next: self.next,
            new: gates.new.lasting()?,
            cur: gates.cur.lasting()?,
            keywords: gates.keywords.and_then(Gate::lasting),
            list: gates.list?,
            table: (*self.keywords).clone(),
            orphans: self.orphans.to_vec(),
            dead: self.dead.to_vec(),
            records,
            names,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use courier_core::disk::{self, DiskTask, Op};
    use courier_core::testing::{MemDisk, Promises, crash_everywhere, fail_everywhere};
    use courier_core::time::Millis;

    use super::*;
    use crate::mailbox::{MailboxError, open};
    use crate::writer::tests::writer;

    const INDEX: &str = "/m/.courier-index";

    fn folder() -> MemDisk {
        let mut disk = MemDisk::new();
        plant(&mut disk);
        disk
    }

    fn plant(disk: &mut MemDisk) {
        disk.plant_directory("/m/tmp");
        for name in ["new/4.x", "cur/1.x,S=4:2,S", "cur/2.x:2,ab", "cur/3.x:2,"] {
            disk.plant_file(format!("/m/{name}"), name.as_bytes());
        }
        disk.plant_file("/m/courierimapkeywords/3.x", b"word\n");
        disk.plant_file("/m/courierimapkeywords/9.x", b"orphan\n");
    }

    fn at_rest(disk: &mut MemDisk) {
        disk.sync_all();
        disk.advance(Millis::from_secs(60));
    }

    /// The folder, opened twice: it has an index.
    fn indexed() -> MemDisk {
        let mut disk = folder();
        for _ in 0..2 {
            opened(&mut disk);
            at_rest(&mut disk);
        }
        assert!(disk.contents(INDEX).is_some());
        disk
    }

    fn opening(disk: &MemDisk) -> DiskTask<'static, Result<Snapshot, MailboxError>> {
        let mut writer = writer(disk.now());
        writer.process += u32::try_from(disk.counts().batches).expect("few");
        disk::task(|disk| async move {
            let folder = FolderPath::inbox("/m");
            let snapshot = open(&disk, &folder, Access::ReadWrite, &writer).await?;
            if snapshot.wants_index() {
                save_index(&disk, &snapshot, &writer).await;
            }
            Ok(snapshot)
        })
    }

    fn opened(disk: &mut MemDisk) -> Vec<String> {
        let task = opening(disk);
        shown(&disk.run(task).expect("opened"))
    }

    fn shown(snapshot: &Snapshot) -> Vec<String> {
        let line = |message: crate::mailbox::Message<'_>| {
            let words: Vec<_> = message.keywords().map(|word| word.as_str()).collect();
            let name = message.name().octets().escape_ascii().to_string();
            format!("{} {name} {}", message.uid(), words.join(" "))
        };
        snapshot.messages().map(line).collect()
    }

    #[test]
    fn a_folder_with_an_index_is_opened_without_a_look_into_it() {
        let mut disk = indexed();
        let listings = |disk: &mut MemDisk| {
            let mut task = opening(disk);
            let (mut step, mut listings) = (task.start(), Vec::new());
            loop {
                match step {
                    courier_core::task::Step::Done(result) => {
                        return (shown(&result.expect("opened")), listings);
                    }
                    courier_core::task::Step::Ask(batch) => {
                        let outcomes = batch.iter().map(|op| {
                            if let Op::List(path) = op {
                                listings.push(path.display().to_string());
                            }
                            disk.carry_out(op)
                        });
                        let outcomes = outcomes.collect();
                        step = task.next(outcomes);
                    }
                }
            }
        };
        let (there, listed) = listings(&mut disk);
        assert_eq!(listed, ["/m/tmp"]);
        let lines = [
            "1 1.x,S=4:2,S ",
            "2 2.x:2,ab ",
            "3 3.x:2, word",
            "4 4.x:2, ",
        ];
        assert_eq!(there, lines);
        let before = disk.contents(INDEX);
        disk.plant_file("/m/cur/9.x:2,", b"9");
        let (there, listed) = listings(&mut disk);
        assert_eq!(there.last().map(String::as_str), Some("5 9.x:2, orphan"));
        assert!(listed.contains(&"/m/cur".to_owned()));
        at_rest(&mut disk);
        opened(&mut disk);
        assert_ne!(disk.contents(INDEX), before, "written anew");
    }

    #[test]
    fn an_index_that_is_wrong_does_not_matter() {
        let good = indexed();
        let expected = opened(&mut good.clone());
        let octets = good.contents(INDEX).expect("an index");
        let mut wrong: Vec<Vec<u8>> = (0..octets.len())
            .step_by(7)
            .flat_map(|at| {
                let mut flipped = octets.clone();
                flipped[at] ^= 4;
                [octets[..at].to_vec(), flipped]
            })
            .collect();
        wrong.push(vec![0; octets.len()]);
        for text in wrong {
            let mut disk = good.clone();
            disk.plant_file(INDEX, &text);
            assert_eq!(opened(&mut disk), expected);
        }
        let mut disk = good.clone();
        disk.carry_out(&Op::Unlink(INDEX.into())).expect("removed");
        disk.plant_file(format!("{INDEX}/inside"), b"x");
        assert_eq!(opened(&mut disk), expected);
        // That of another folder.
        let mut other = MemDisk::new();
        other.plant_file("/before/all", b"so that inodes differ");
        plant(&mut other);
        other.plant_file("/m/cur/0.x:2,", b"0");
        let alone = opened(&mut other.clone());
        other.plant_file(INDEX, &octets);
        assert_eq!(opened(&mut other), alone);
    }

    #[test]
    fn no_crash_leaves_an_index_that_says_what_is_not_so() {
        type Deed = fn(&mut MemDisk);
        let deeds: [Deed; 3] = [
            |_| {},
            |disk| {
                let (from, to) = ("/m/cur/3.x:2,".into(), "/m/cur/3.x:2,F".into());
                disk.carry_out(&Op::Rename { from, to }).expect("renamed");
                disk.advance(Millis::from_secs(9));
                disk.plant_file("/m/cur/8.x:2,", b"8");
            },
            |disk| {
                disk.carry_out(&Op::Unlink("/m/cur/1.x,S=4:2,S".into()))
                    .expect("removed");
            },
        ];
        for deed in deeds {
            let mut start = indexed();
            deed(&mut start);
            start.advance(Millis::from_secs(60));
            let at = start.clone();
            let task = move |_: Promises<()>| opening(&at);
            let check = |disk: &mut MemDisk| {
                disk.advance(Millis::from_secs(200));
                let with = opened(&mut disk.clone());
                disk.carry_out(&Op::Unlink(INDEX.into())).ok();
                let without = opened(disk);
                assert_eq!(with, without, "{}", disk.show());
                let names: BTreeMap<_, _> = with
                    .iter()
                    .filter_map(|line| line.split_once(' '))
                    .collect();
                assert_eq!(names.len(), disk.names("/m/cur").len());
            };
            crash_everywhere(&start, &task, |disk, _| check(disk));
            fail_everywhere(&start, &task, |disk, _, _| check(disk));
        }
    }
}
