//! Changing the keywords of messages.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use courier_core::disk::{Disk, DiskError, DiskErrorKind, Durability, FileKind, Op, Piece};

use super::list::print_change;
use super::{DIRECTORY, KeywordTable, SetId};
use crate::folder::{FolderPath, is_missing};
use crate::replace::{is_absent, temporary};
use crate::tree::BATCH;
use crate::writer::Writer;

/// Says that messages, by their base names, have these keywords now; durable. Gives
/// the places in `changes` of those for which another change is waiting to be merged:
/// [load](super::load()) the keywords, and say again what they should be.
///
/// # Errors
/// What the disk says; some changes may have been made then.
pub(crate) async fn update(
    disk: &Disk,
    folder: &FolderPath,
    changes: &[(Vec<u8>, SetId)],
    table: &KeywordTable,
    writer: &Writer,
) -> Result<Vec<usize>, DiskError> {
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let mut sets: BTreeMap<&[u16], Vec<usize>> = BTreeMap::new();
    for (place, (_, set)) in changes.iter().enumerate() {
        sets.entry(table.numbers(*set)).or_default().push(place);
    }
    let mut waiting = Vec::new();
    for places in sets.values() {
        // One file for all messages with the same keywords; a file cannot have names
        // without limit.
        for places in places.chunks(BATCH) {
            let set = places.first().and_then(|&place| changes.get(place));
            let text = print_change(table, set.map_or(SetId::EMPTY, |(_, set)| *set));
            let bases = places.iter().filter_map(|&place| {
                let (base, _) = changes.get(place)?;
                Some((place, base.as_slice()))
            });
            waiting.extend(link_all(disk, folder, text, bases, writer).await?);
        }
    }
    let directory = folder.file(DIRECTORY);
    disk.one(Op::SyncDir(directory)).await?;
    Ok(waiting)
}

/// Writes the file of a change and links it to the name of each message; gives those
/// whose name was taken.
async fn link_all(
    disk: &Disk,
    folder: &FolderPath,
    text: Vec<u8>,
    bases: impl Iterator<Item = (usize, &[u8])> + Clone,
    writer: &Writer,
) -> Result<Vec<usize>, DiskError> {
    let directory = folder.file(DIRECTORY);
    let fresh = directory.join(format!(".tmp.{}", writer.unique_name()));
    let create = Op::Create {
        path: fresh.clone(),
        content: vec![Piece::Octets(text.into())],
        mode: writer.mode,
        durability: Durability::Synced,
    };
    if let Err(error) = disk.one(create.clone()).await {
        if !is_missing(error.kind) && !is_absent(error.kind) {
            return Err(error);
        }
        make_directory(disk, folder, writer).await?;
        disk.one(create).await?;
    }
    let links = bases.clone().map(|(_, base)| Op::Link {
        from: fresh.clone(),
        to: directory.join(OsStr::from_bytes(base)),
    });
    let outcomes = disk.run(links.collect()).await;
    disk.one(Op::Unlink(fresh.clone())).await.ok();
    let mut waiting = Vec::new();
    for ((place, _), outcome) in bases.zip(outcomes) {
        match outcome {
            Ok(_) => {}
            Err(error) if error.kind == DiskErrorKind::Exists => waiting.push(place),
            Err(error) => return Err(error),
        }
    }
    Ok(waiting)
}

/// Makes the directory. What stands in its place and is none goes to `tmp`, where it
/// is purged in time.
async fn make_directory(
    disk: &Disk,
    folder: &FolderPath,
    writer: &Writer,
) -> Result<(), DiskError> {
    let path = folder.file(DIRECTORY);
    if let Ok(meta) = disk.stat(&path).await
        && meta.kind != FileKind::Directory
    {
        let aside = Op::Rename {
            from: path.clone(),
            to: temporary(&folder.tmp(), writer),
        };
        disk.one(aside).await?;
    }
    // Courier: whoever may look into the folder may read its keywords.
    let mode = match disk.stat(folder.path()).await {
        Ok(meta) => meta.mode & 0o777,
        Err(_) => writer.directory_mode(),
    };
    let mkdir = Op::Mkdir { path, mode };
    match disk.one(mkdir).await {
        Err(error) if error.kind != DiskErrorKind::Exists => Err(error),
        _ => disk
            .one(Op::SyncDir(folder.path().to_path_buf()))
            .await
            .map(drop),
    }
}
