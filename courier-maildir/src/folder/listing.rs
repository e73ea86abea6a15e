//! Which folders there are.

use std::collections::BTreeMap;
use std::path::Path;

use courier_core::disk::{Disk, DiskErrorKind, FileKind, Op, Reply};

use super::{Encoding, FolderError, FolderName, FolderPath, is_missing};

/// A folder that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its name.
    pub name: FolderName,
    /// Its directory.
    pub path: FolderPath,
}

/// The folders of a maildir, INBOX first, the others by name, from one read of the
/// directory. A directory without `cur` is no folder; nor is a symbolic link.
///
/// # Errors
/// What the disk says.
pub async fn list(disk: &Disk, maildir: &Path) -> Result<Vec<Folder>, FolderError> {
    let (mut found, mut old) = (BTreeMap::new(), Vec::new());
    for (directory, kind) in disk.list(maildir).await?.iter() {
        if !matches!(kind, FileKind::Directory | FileKind::Unknown) {
            continue;
        }
        let text = std::str::from_utf8(directory).unwrap_or_default();
        let path = FolderPath::new(maildir, text);
        match FolderName::from_directory(directory) {
            Some((name, Encoding::Utf8)) => drop(found.insert(name, path)),
            Some((name, Encoding::ModifiedUtf7)) => old.push((name, text.to_owned(), path)),
            None => {}
        }
    }
    for (name, directory, path) in old {
        // Of two directories that mean the same, the older form goes by its letters.
        let name = match found.contains_key(&name) {
            true => FolderName::from_letters(&directory),
            false => Some(name),
        };
        found.extend(name.map(|name| (name, path)));
    }
    let stats = found.values().map(|path| Op::Stat(path.cur()));
    let stats = disk.run(stats.collect()).await;
    let inbox = Folder {
        name: FolderName::inbox(),
        path: FolderPath::inbox(maildir),
    };
    let mut folders = vec![inbox];
    for ((name, path), stat) in found.into_iter().zip(stats) {
        match stat {
            Ok(Reply::Meta(meta)) if meta.kind == FileKind::Directory => {
                folders.push(Folder { name, path });
            }
            Ok(_) => {}
            Err(error) if is_missing(error.kind) || error.kind == DiskErrorKind::Permission => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(folders)
}

/// Where a folder is.
///
/// # Errors
/// [`FolderError::NotFound`], or what the disk says.
pub async fn locate(
    disk: &Disk,
    maildir: &Path,
    name: &FolderName,
) -> Result<FolderPath, FolderError> {
    for encoding in [Encoding::Utf8, Encoding::ModifiedUtf7] {
        let path = FolderPath::new(maildir, &name.directory(encoding));
        // The last component is looked at without following a link, so ask for both.
        let stats = vec![Op::Stat(path.path().to_path_buf()), Op::Stat(path.cur())];
        let mut found = 0;
        for stat in disk.run(stats).await {
            match stat {
                Ok(Reply::Meta(meta)) if meta.kind == FileKind::Directory => found += 1,
                Ok(_) => {}
                Err(error) if is_missing(error.kind) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if found == 2 {
            return Ok(path);
        }
    }
    Err(FolderError::NotFound(name.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use courier_core::disk;
    use courier_core::testing::MemDisk;

    fn maildir() -> MemDisk {
        let mut disk = MemDisk::new();
        for directory in [
            "cur",
            ".b/cur",
            ".a.b/cur",
            ".&AOk-/cur",
            ".x/new",
            ".é.y/cur",
        ] {
            disk.plant_directory(format!("/m/{directory}"));
        }
        disk.plant_file("/m/.hidden", b"");
        disk.plant_link("/m/.link", "/m/.b");
        disk
    }

    fn names(disk: &mut MemDisk) -> Vec<String> {
        let task = disk::task(|disk| async move { list(&disk, Path::new("/m")).await });
        let folders = disk.run(task).expect("a list");
        folders
            .iter()
            .map(|folder| folder.name.to_string())
            .collect()
    }

    #[test]
    fn folders_are_listed_by_one_read_and_one_batch() {
        let mut disk = maildir();
        let expected = ["INBOX", "INBOX.a.b", "INBOX.b", "INBOX.é", "INBOX.é.y"];
        assert_eq!(names(&mut disk), expected);
        assert_eq!(disk.counts().batches, 2);
    }

    #[test]
    fn no_directory_hides_another() {
        let mut disk = maildir();
        disk.plant_directory("/m/.é/cur");
        let expected = [
            "INBOX",
            "INBOX.&AOk-",
            "INBOX.a.b",
            "INBOX.b",
            "INBOX.é",
            "INBOX.é.y",
        ];
        assert_eq!(names(&mut disk), expected);
    }

    #[test]
    fn a_folder_is_found_in_either_encoding() {
        let mut disk = maildir();
        let mut locate = |name: &str| {
            let name = FolderName::parse(name).expect("a name");
            let task =
                disk::task(|disk| async move { locate(&disk, Path::new("/m"), &name).await });
            disk.run(task).map(|path| path.path().display().to_string())
        };
        assert_eq!(locate("INBOX").as_deref(), Ok("/m"));
        assert_eq!(locate("INBOX.é").as_deref(), Ok("/m/.&AOk-"));
        assert_eq!(locate("INBOX.a.b").as_deref(), Ok("/m/.a.b"));
        for name in ["INBOX.x", "INBOX.link", "INBOX.hidden", "INBOX.a"] {
            let error = locate(name).expect_err("no folder");
            assert_eq!(error.to_string(), format!("there is no folder {name}"));
        }
    }
}
