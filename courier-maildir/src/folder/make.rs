//! Making a maildir or a folder as `maildirmake` does: a new one, with permissions of
//! the caller's choice.

use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError, Durability, Op, Piece};

use super::FOLDER_MARK;

/// The permissions of a maildir or a folder that is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Of its directory.
    pub directory: u32,
    /// Of `tmp`, `new` and `cur`.
    pub inside: u32,
    /// Whether it is a folder of the maildir above, with the file that says so.
    pub marked: bool,
}

impl Shape {
    /// A maildir, for its owner alone or with a directory that others may enter.
    #[must_use]
    pub const fn maildir(directory: u32) -> Self {
        Self {
            directory,
            inside: 0o700,
            marked: false,
        }
    }

    /// A folder whose messages are shared by these permissions. Nobody but the owner
    /// makes or removes what lies beside `tmp`, `new` and `cur`.
    #[must_use]
    pub const fn folder(permissions: u32) -> Self {
        Self {
            directory: permissions & !0o022,
            inside: permissions,
            marked: true,
        }
    }
}

/// The words by which a folder is shared (`maildirmake -s`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Others may read.
    Read,
    /// Others may write.
    Write,
    /// Only the group may.
    Group,
}

impl Share {
    /// The permissions that a list of words gives. Courier: the words, between commas
    /// or blanks, count by their first letters and one after the other, so `group`
    /// takes from others what came before it, and other words mean nothing.
    #[must_use]
    pub fn permissions(words: &str) -> u32 {
        words
            .split([',', ' '])
            .filter_map(|word| match word.bytes().next()? {
                b'r' => Some(Self::Read),
                b'w' => Some(Self::Write),
                b'g' => Some(Self::Group),
                _ => None,
            })
            .fold(0o755, |permissions, word| match word {
                Self::Read => 0o755,
                Self::Write => 0o1777,
                Self::Group => permissions & !0o007,
            })
    }
}

/// Makes a maildir or a folder that is not there yet; its parent must be. Durable.
/// Until `cur` is there nobody takes it for one.
///
/// # Errors
/// What the disk says; what was made is gone again then, as far as the disk lets us.
pub async fn make(disk: &Disk, path: &Path, shape: Shape) -> Result<(), DiskError> {
    let mut made = Vec::new();
    let result = build(disk, path, shape, &mut made).await;
    if result.is_err() {
        while let Some(undo) = made.pop() {
            disk.one(undo).await.ok();
        }
    }
    result
}

async fn build(
    disk: &Disk,
    path: &Path,
    shape: Shape,
    made: &mut Vec<Op>,
) -> Result<(), DiskError> {
    directory(disk, path.to_path_buf(), shape.directory, made).await?;
    directory(disk, path.join("tmp"), shape.inside, made).await?;
    directory(disk, path.join("new"), shape.inside, made).await?;
    if shape.marked {
        let mark = path.join(FOLDER_MARK);
        disk.one(Op::Create {
            path: mark.clone(),
            content: Vec::<Piece>::new(),
            mode: 0o600,
            durability: Durability::Volatile,
        })
        .await?;
        made.push(Op::Unlink(mark));
    }
    disk.one(Op::SyncDir(path.to_path_buf())).await?;
    directory(disk, path.join("cur"), shape.inside, made).await?;
    let above = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    };
    for directory in [path, above] {
        disk.one(Op::SyncDir(directory.to_path_buf())).await?;
    }
    Ok(())
}

async fn directory(
    disk: &Disk,
    path: PathBuf,
    mode: u32,
    made: &mut Vec<Op>,
) -> Result<(), DiskError> {
    let mkdir = Op::Mkdir {
        path: path.clone(),
        mode,
    };
    disk.one(mkdir).await?;
    made.push(Op::Rmdir(path));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use courier_core::disk::{self, DiskErrorKind, DiskTask};
    use courier_core::testing::{MemDisk, Promises, crash_everywhere, fail_everywhere};

    #[test]
    fn words_count_by_their_first_letter_and_in_their_order() {
        let cases = [
            ("", 0o755),
            ("read", 0o755),
            ("write", 0o1777),
            ("w", 0o1777),
            ("group,write", 0o1777),
            ("write,group", 0o1770),
            ("read,group", 0o750),
            ("write,read,g", 0o750),
            ("read write", 0o1777),
            ("xyz", 0o755),
            (",g,", 0o750),
            ("write,group,write,", 0o1777),
        ];
        for (words, expected) in cases {
            assert_eq!(Share::permissions(words), expected, "{words}");
        }
    }

    fn making(promises: Promises<()>) -> DiskTask<'static, Result<(), DiskError>> {
        disk::task(|disk| async move {
            make(&disk, Path::new("/m/.a"), Shape::folder(0o1777)).await?;
            promises.make(());
            Ok(())
        })
    }

    fn start() -> MemDisk {
        let mut disk = MemDisk::new();
        disk.plant_directory("/m/cur");
        disk
    }

    fn is_whole(disk: &MemDisk) -> bool {
        disk.names("/m/.a") == ["cur", "maildirfolder", "new", "tmp"]
    }

    #[test]
    fn a_folder_is_whole_or_none() {
        crash_everywhere(&start(), making, |disk, promises| {
            let seen = disk.names("/m/.a").contains(&"cur".to_owned());
            assert_eq!(seen, is_whole(disk), "{}", disk.show());
            assert!(seen || promises.is_empty(), "{}", disk.show());
        });
        fail_everywhere(&start(), making, |disk, given, _| {
            let seen = disk.names("/m/.a").contains(&"cur".to_owned());
            assert!(is_whole(disk) || !seen, "{}", disk.show());
            assert!(given.is_err() || is_whole(disk), "{}", disk.show());
        });
    }

    #[test]
    fn what_is_there_stays_as_it_is() {
        let mut disk = start();
        disk.plant_file("/m/.a/file", b"x");
        let given = disk.run(making(Promises::new()));
        assert_eq!(given.expect_err("there").kind, DiskErrorKind::Exists);
        assert_eq!(disk.names("/m/.a"), ["file"]);
        let given = disk.run(disk::task(|disk| async move {
            make(&disk, Path::new("/none/m"), Shape::maildir(0o700)).await
        }));
        assert_eq!(given.expect_err("no parent").kind, DiskErrorKind::NotFound);
    }
}
