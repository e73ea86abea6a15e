//! Reading and writing the file, for the folder's own user only.

use courier_core::disk::{Disk, Durability, Op};

use super::{FILE, FolderIndex};
use crate::folder::FolderPath;
use crate::replace::temporary;
use crate::writer::Writer;

/// Octets of an index that is read: some ten million messages.
const LENGTH_LIMIT: u64 = 1 << 31;

/// What the index says, if there is one that can be believed.
pub(crate) async fn load(disk: &Disk, folder: &FolderPath) -> Option<FolderIndex> {
    let octets = disk.read(&folder.file(FILE), 0..LENGTH_LIMIT).await.ok()?;
    FolderIndex::decode(&octets)
}

/// Writes the index. It may fail, or be lost in a crash: then there is none.
pub(crate) async fn save(disk: &Disk, folder: &FolderPath, index: &FolderIndex, writer: &Writer) {
    let Some(octets) = index.encode() else {
        return;
    };
    // Names that a crash takes away must not be in it: a directory may show the same
    // stamp afterwards.
    let syncs = [folder.new_dir(), folder.cur()].map(Op::SyncDir);
    if disk.run(syncs.into()).await.iter().any(Result::is_err) {
        return;
    }
    let fresh = temporary(&folder.tmp(), writer);
    let created = disk.create(&fresh, octets, writer.mode, Durability::Volatile);
    let to = folder.file(FILE);
    let from = fresh.clone();
    if created.await.is_err() || disk.one(Op::Rename { from, to }).await.is_err() {
        disk.one(Op::Unlink(fresh)).await.ok();
    }
}
