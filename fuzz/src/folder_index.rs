//! The index of a folder, as a file that anybody may have written.
//!
//! Whatever is read as one is written back alike, also where the checksum is made right
//! for it; and with any index a folder opens with the messages that are there.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a fuzz body says by a panic what does not hold"
)]

use courier_core::disk;
use courier_core::testing::MemDisk;
use courier_maildir::folder::FolderPath;
use courier_maildir::index::FolderIndex;
use courier_maildir::mailbox::{Access, open};
use courier_maildir::name::HostName;
use courier_maildir::writer::Writer;

/// Takes any file.
pub fn run(input: &[u8]) {
    read(input);
    let mut octets = input.to_vec();
    if let Some(sum) = FolderIndex::checksum(&octets) {
        octets[..8].copy_from_slice(b"CourIdx\x01");
        octets[8..16].copy_from_slice(&sum);
        read(&octets);
    }
    folder(&octets);
}

fn read(octets: &[u8]) {
    if let Some(index) = FolderIndex::decode(octets) {
        let written = index.encode().expect("as long as it was");
        let again = FolderIndex::decode(&written).expect("our own");
        assert_eq!(again.encode(), Some(written));
    }
}

fn folder(index: &[u8]) {
    let mut disk = MemDisk::new();
    for directory in ["/m/tmp", "/m/new"] {
        disk.plant_directory(directory);
    }
    disk.plant_file("/m/cur/1.a:2,S", b"..\n");
    disk.plant_file("/m/.courier-index", index);
    let writer = Writer::new(disk.now(), 100, HostName::new("mx"), 0o600);
    let folder = FolderPath::inbox("/m");
    let task =
        disk::task(|disk| async move { open(&disk, &folder, Access::ReadWrite, &writer).await });
    let snapshot = disk.run(task).expect("a folder opens");
    let names: Vec<_> = snapshot
        .messages()
        .map(|message| message.name().octets().to_vec())
        .collect();
    assert_eq!(names, [b"1.a:2,S".to_vec()]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    #[test]
    fn the_corpus_holds_an_index() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/folder_index/one");
        let mut octets = std::fs::read(path).unwrap();
        super::run(&octets);
        let sum = super::FolderIndex::checksum(&octets).unwrap();
        octets[8..16].copy_from_slice(&sum);
        assert!(super::FolderIndex::decode(&octets).is_some());
    }

    proptest! {
        #[test]
        fn noise_is_read_without_harm(data in proptest::collection::vec(0_u8..4, 0..400)) {
            super::run(&data);
        }
    }
}
