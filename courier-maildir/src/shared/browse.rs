//! The virtual shared folders: who is behind a name, and what of it one may see.

use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError, DiskErrorKind, FileKind};

use super::index::{Entry, Index, Names, Target};
use crate::acl::{self, AclError, Rights};
use crate::folder::{self, FolderError, FolderName, FolderNameError, is_missing};
use crate::writer::Writer;

/// The index of an account, and how its names are written.
#[derive(Debug, Clone)]
pub struct Shared {
    /// The file; Courier's is `IMAP_SHAREDINDEXFILE`, with the account's option
    /// `sharedgroup` behind it.
    pub index: PathBuf,
    /// How names become levels.
    pub names: Names,
}

/// A folder of another account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The identifier of the owner: `user=` and the name of the group that the account
    /// stands in, or [`VENDOR`] at the top.
    pub owner: String,
    /// What the index says.
    pub entry: Entry,
    /// The account's maildir.
    pub maildir: PathBuf,
    /// The folder in it.
    pub folder: FolderName,
}

/// A shared folder that one may see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visible {
    /// Its name behind `#shared.`; the INBOX of an account is the account's own name.
    pub name: String,
    /// Whose it is.
    pub found: Found,
    /// What one may do in it.
    pub rights: Rights,
}

/// The owner of accounts that stand in no group.
pub const VENDOR: &str = "vendor=courier.internal";

/// Levels of groups; an index that leads to itself ends there.
pub const DEPTH_LIMIT: usize = 16;

/// Octets of an index.
pub const LIMIT: u64 = 64 << 20;

/// Why a shared folder was not found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SharedError {
    /// No index has the name, or it is that of a group.
    #[error("there is no shared folder of this name")]
    NotFound,
    /// An index is longer than [`LIMIT`].
    #[error("the index {} is longer than {LIMIT} octets", path.display())]
    TooLong {
        /// The index.
        path: PathBuf,
    },
    /// What follows the account's name can be no folder.
    #[error(transparent)]
    Name(#[from] FolderNameError),
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Finds who is behind a name, which is given without `#shared.`: groups, an account
/// and a folder of it, with dots between them. Says nothing of rights.
///
/// # Errors
/// When nobody is, or an index cannot be read.
pub async fn find(disk: &Disk, shared: &Shared, name: &str) -> Result<Found, SharedError> {
    let (mut file, mut owner, mut rest) = (shared.index.clone(), VENDOR.to_owned(), name);
    for _ in 0..DEPTH_LIMIT {
        let (level, below) = match rest.split_once('.') {
            Some((level, below)) => (level, Some(below)),
            None => (rest, None),
        };
        let index = load(disk, &file).await?;
        let entry = index
            .find(level, shared.names)
            .ok_or(SharedError::NotFound)?;
        match (&entry.target, below) {
            (Target::Group(group), Some(below)) => {
                file = beside(&file, group);
                owner = format!("user={}", entry.name);
                rest = below;
            }
            (Target::Group(_), None) => break,
            (Target::Account { home, maildir, .. }, below) => {
                let folder = match below {
                    Some(below) => FolderName::inbox().join(below)?,
                    None => FolderName::inbox(),
                };
                return Ok(Found {
                    owner,
                    entry: entry.clone(),
                    maildir: home.join(maildir),
                    folder,
                });
            }
        }
    }
    Err(SharedError::NotFound)
}

/// The folders of others that one may see: with the right `l`. `own` is one's own
/// maildir, which is not among them; `me` tells one's identifiers before a folder of an
/// owner, as [`acl::member`] does. Accounts that cannot be looked into are left out.
///
/// # Errors
/// When the first index cannot be read.
pub async fn list(
    disk: &Disk,
    shared: &Shared,
    own: &Path,
    me: impl Fn(&str) -> Vec<Vec<u8>> + Send,
    writer: &Writer,
) -> Result<Vec<Visible>, SharedError> {
    let own = identity(disk, own).await.ok().flatten();
    let mut visible = Vec::new();
    let top = Group {
        file: shared.index.clone(),
        owner: VENDOR.to_owned(),
        prefix: String::new(),
        above: Vec::new(),
    };
    let mut index = load(disk, &top.file).await?;
    let mut todo = Vec::new();
    let mut at = Some(top);
    while let Some(group) = at {
        for entry in &index.entries {
            let name = format!("{}{}", group.prefix, shared.names.level(&entry.name));
            match &entry.target {
                Target::Group(file) => todo.extend(group.below(file, &entry.name, &name)),
                Target::Account { home, maildir, .. } => {
                    let found = Found {
                        owner: group.owner.clone(),
                        entry: entry.clone(),
                        maildir: home.join(maildir),
                        folder: FolderName::inbox(),
                    };
                    let there = identity(disk, &found.maildir).await.ok().flatten();
                    if there.is_some() && there != own {
                        let me = me(&group.owner);
                        visible.extend(look(disk, &name, &found, &me, writer).await);
                    }
                }
            }
        }
        at = None;
        while let Some(next) = todo.pop() {
            if let Ok(read) = load(disk, &next.file).await {
                (index, at) = (read, Some(next));
                break;
            }
        }
    }
    visible.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(visible)
}

struct Group {
    file: PathBuf,
    owner: String,
    prefix: String,
    /// The indexes that lead here.
    above: Vec<PathBuf>,
}

impl Group {
    /// A group that this one names; nothing if that leads back to itself.
    fn below(&self, file: &Path, name: &str, level: &str) -> Option<Self> {
        let file = beside(&self.file, file);
        let above: Vec<_> = self.above.iter().chain([&self.file]).cloned().collect();
        let fits = above.len() < DEPTH_LIMIT && !above.contains(&file);
        fits.then(|| Self {
            file,
            owner: format!("user={name}"),
            prefix: format!("{level}."),
            above,
        })
    }
}

/// The folders of one account that one may see. One whose list cannot be read is not
/// seen.
async fn look(
    disk: &Disk,
    name: &str,
    account: &Found,
    me: &[Vec<u8>],
    writer: &Writer,
) -> Vec<Visible> {
    let Ok(folders) = folder::list(disk, &account.maildir).await else {
        return Vec::new();
    };
    let mut visible = Vec::new();
    for folder in folders {
        let list: Result<_, AclError> =
            acl::read(disk, &account.maildir, &folder.name, writer).await;
        let Ok(list) = list else { continue };
        let rights = list.compute(me);
        if rights.contains(b'l') {
            let below = folder.name.below(&FolderName::inbox());
            visible.push(Visible {
                name: below.map_or(name.to_owned(), |below| format!("{name}.{below}")),
                found: Found {
                    folder: folder.name.clone(),
                    ..account.clone()
                },
                rights,
            });
        }
    }
    visible
}

/// The device and the number of a maildir that can be listed.
async fn identity(disk: &Disk, maildir: &Path) -> Result<Option<(u64, u64)>, FolderError> {
    // The administrator may link an account's maildir.
    let path = disk.resolve(maildir).await?;
    let meta = disk.stat(&path).await?;
    disk.stat(&path.join("cur")).await?;
    Ok((meta.kind == FileKind::Directory).then_some((meta.device, meta.inode)))
}

async fn load(disk: &Disk, path: &Path) -> Result<Index, SharedError> {
    let octets = match disk.resolve(path).await {
        Ok(path) => disk.read(&path, 0..LIMIT + 1).await?,
        Err(error) if is_missing(error.kind) || error.kind == DiskErrorKind::Permission => {
            return Err(SharedError::NotFound);
        }
        Err(error) => return Err(error.into()),
    };
    if octets.len() as u64 > LIMIT {
        let path = path.to_path_buf();
        return Err(SharedError::TooLong { path });
    }
    Ok(Index::parse(&octets))
}

/// A file in the directory of an index.
fn beside(index: &Path, file: &Path) -> PathBuf {
    index.parent().unwrap_or(Path::new("")).join(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acl::member;
    use crate::writer::tests::writer;
    use courier_core::disk;
    use courier_core::testing::MemDisk;

    /// Two accounts in a group and one outside; each has the folder `a`.
    fn world() -> MemDisk {
        let mut disk = MemDisk::new();
        disk.plant_file(
            "/etc/index",
            b"carl.x\t7\t7\t/home/carl\nsales\t*\tindexsales\nloop\t*\tindex\n",
        );
        disk.plant_file(
            "/etc/indexsales",
            b"ann\t7\t7\t/home/ann\nbob\t7\t7\t/home/bob\t./mail\ngone\t7\t7\t/home/gone\n",
        );
        for maildir in ["carl/Maildir", "ann/Maildir", "bob/mail"] {
            for folder in ["", "/.a"] {
                for inner in ["tmp", "new", "cur"] {
                    disk.plant_directory(format!("/home/{maildir}{folder}/{inner}"));
                }
            }
        }
        disk.plant_file("/home/carl/Maildir/.a/courierimapacl", b"anyone lr\n");
        disk.plant_file("/home/bob/mail/courierimapacl", b"owner la\nuser=ann l\n");
        disk
    }

    fn shared() -> Shared {
        Shared {
            index: "/etc/index".into(),
            names: Names::Blanks,
        }
    }

    #[test]
    fn a_name_leads_to_an_account_and_its_owner() {
        let mut disk = world();
        let mut find = |name: &'static str| {
            let found = disk::task(|disk| async move { find(&disk, &shared(), name).await });
            let found = disk.run(found)?;
            let maildir = found.maildir.display();
            Ok(format!("{} {maildir} {}", found.owner, found.folder))
        };
        let expected = format!("{VENDOR} /home/carl/./Maildir INBOX");
        assert_eq!(find("carl x"), Ok(expected));
        let expected = "user=sales /home/bob/./mail INBOX.a.b".to_owned();
        assert_eq!(find("sales.bob.a.b"), Ok(expected));
        for name in ["", "carl", "sales", "sales.x", "loop.loop.loop", "x.y", "."] {
            assert_eq!(find(name), Err(SharedError::NotFound), "{name}");
        }
        let long = Err(SharedError::NotFound);
        assert_eq!(
            find(
                "loop.loop.loop.loop.loop.loop.loop.loop.loop.loop.loop.loop.loop.loop.loop.loop.loop.sales.bob"
            ),
            long
        );
        assert!(matches!(find("carl x..a"), Err(SharedError::Name(_))));
        assert!(matches!(find("carl x.../a"), Err(SharedError::Name(_))));
    }

    #[test]
    fn what_one_may_look_up_is_listed_but_not_ones_own() {
        let mut disk = world();
        disk.plant_file(
            "/etc/index",
            b"carl.x\t7\t7\t/home/carl\nsales\t*\tindexsales\n",
        );
        let writer = writer(disk.now());
        let mut listed = |me: &'static str, own: &'static str| {
            let writer = writer.clone();
            let task = disk::task(|disk| async move {
                let me = move |owner: &str| member(me, owner, ["staff"]);
                list(&disk, &shared(), Path::new(own), me, &writer).await
            });
            let listed = disk.run(task).expect("listed");
            let line = |visible: &Visible| format!("{}={}", visible.name, visible.rights);
            listed.iter().map(line).collect::<Vec<_>>()
        };
        let ann = ["carl x.a=lr", "sales.bob=l", "sales.bob.a=l"];
        assert_eq!(listed("ann", "/home/ann/Maildir"), ann);
        assert_eq!(listed("carl", "/home/carl/Maildir"), [""; 0]);
    }
}
