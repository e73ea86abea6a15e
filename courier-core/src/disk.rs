//! File operations as values: what a task asks of the world's disks.
//!
//! A task hands out a batch of [`Op`]s by [`Disk::run`] and gets one [`Outcome`]
//! for each, in order. Operations of one batch are independent: a driver may
//! carry them out in any order, at the same time, or merge their syncs with those
//! of other tasks. Order exists only between batches. An operation says what must
//! be durable; what it does not say may be lost in a crash.
//!
//! Drivers: `StdDisk` in `courier-cli`; `MemDisk` and `FaultDisk` in
//! [`crate::testing`].

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::task::{Ask, Task};
use crate::time::{Millis, Timestamp};

/// Octets shared without a copy.
pub type Octets = Arc<[u8]>;

/// Whether an operation's data must survive a crash before its outcome is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// May be lost until a later sync.
    Volatile,
    /// File contents and size are synced (`fdatasync`); directory entries are not:
    /// see [`Op::SyncDir`].
    Synced,
}

/// A piece of what [`Op::Create`] writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// These octets.
    Octets(Octets),
    /// A range of another file, copied by the driver without passing through the task.
    File {
        /// The file to copy from.
        path: PathBuf,
        /// The octets to copy; all of them must be there, or the operation fails.
        range: Range<u64>,
    },
}

/// One file operation, close to a system call. Paths are never followed through a
/// symbolic link in their last component; who wants to, asks by [`Op::Resolve`] where
/// it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Op {
    /// Makes a new file (`O_CREAT|O_EXCL|O_NOFOLLOW`) with these contents.
    /// Fails with [`DiskErrorKind::Exists`] if the name is taken. On any other
    /// error nothing is left under the name. Gives [`Reply::Meta`] of the new file.
    Create {
        /// Name of the file.
        path: PathBuf,
        /// Contents, in order.
        content: Vec<Piece>,
        /// Permission bits.
        mode: u32,
        /// Whether the contents are synced before the outcome.
        durability: Durability,
    },
    /// Makes a new file of `length` zero octets with its blocks allocated, synced.
    /// Fails as [`Op::Create`].
    Allocate {
        /// Name of the file.
        path: PathBuf,
        /// Length in octets.
        length: u64,
        /// Permission bits.
        mode: u32,
    },
    /// Adds octets at the end of an existing file by one `O_APPEND` write.
    Append {
        /// The file.
        path: PathBuf,
        /// What to add.
        octets: Octets,
        /// Whether the data is synced before the outcome.
        durability: Durability,
    },
    /// Writes into an existing file at an offset, the pieces one after the other.
    WriteAt {
        /// The file.
        path: PathBuf,
        /// Where the first octet goes.
        offset: u64,
        /// What to write, gathered.
        octets: Vec<Octets>,
        /// Whether the data is synced before the outcome.
        durability: Durability,
    },
    /// Syncs a file's contents and size.
    Sync(PathBuf),
    /// Syncs a directory: its entries survive a crash from here on.
    SyncDir(PathBuf),
    /// Renames; a file of the new name is replaced.
    Rename {
        /// Old name.
        from: PathBuf,
        /// New name.
        to: PathBuf,
    },
    /// Gives a file a second name; fails if that is taken.
    Link {
        /// A name it has.
        from: PathBuf,
        /// The name it gets.
        to: PathBuf,
    },
    /// Makes a symbolic link; fails if the name is taken.
    Symlink {
        /// Where it leads; nothing needs to be there.
        target: PathBuf,
        /// Name of the link.
        path: PathBuf,
    },
    /// Where a symbolic link leads, as it says it. Gives [`Reply::Path`]; of what is no
    /// link, `EINVAL`.
    ReadLink(PathBuf),
    /// Removes a name of a file.
    Unlink(PathBuf),
    /// Makes a directory; its parent must exist.
    Mkdir {
        /// Name of the directory.
        path: PathBuf,
        /// Permission bits.
        mode: u32,
    },
    /// Removes an empty directory.
    Rmdir(PathBuf),
    /// Lists a directory without `.` and `..`. Gives [`Reply::Listing`].
    List(PathBuf),
    /// What a name stands for, links not followed. Gives [`Reply::Meta`].
    Stat(PathBuf),
    /// Where a name leads when every symbolic link is followed, the last component
    /// too, as `realpath(3)`; something must be there. Gives [`Reply::Path`]. For
    /// files of the administrator, who may link them; never for those of a user.
    Resolve(PathBuf),
    /// Reads a range of a regular file; shorter at its end. Gives [`Reply::Octets`].
    Read {
        /// The file.
        path: PathBuf,
        /// The octets wanted.
        range: Range<u64>,
    },
    /// Cuts or extends (with zeroes) a file.
    Truncate {
        /// The file.
        path: PathBuf,
        /// New length in octets.
        length: u64,
    },
    /// Sets the time of last modification.
    SetModified {
        /// The file.
        path: PathBuf,
        /// The new time.
        time: Timestamp,
    },
    /// Takes an exclusive lock (`flock`) on an existing file, waiting at most this
    /// long; held until [`Op::Unlock`] or the driver's end. Gives [`Reply::Lock`],
    /// or [`DiskErrorKind::Busy`].
    Lock {
        /// The file.
        path: PathBuf,
        /// How long to wait for another holder.
        patience: Millis,
    },
    /// Gives a lock back.
    Unlock(LockId),
    /// Waits; for procedures that must look again later.
    Pause(Millis),
}

/// A lock held through a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockId(pub u64);

/// What a successful operation gives.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reply {
    /// Nothing but success.
    Done,
    /// What a name stands for.
    Meta(Meta),
    /// The names in a directory.
    Listing(Listing),
    /// Octets that were read.
    Octets(Vec<u8>),
    /// Where a name leads.
    Path(PathBuf),
    /// A lock that was taken.
    Lock(LockId),
}

/// The outcome of one operation.
pub type Outcome = Result<Reply, DiskError>;

/// What a directory entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A FIFO, socket or device.
    Other,
    /// The directory does not say; [`Op::Stat`] does.
    Unknown,
}

/// Facts about a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// What it is.
    pub kind: FileKind,
    /// Length in octets.
    pub length: u64,
    /// Permission bits.
    pub mode: u32,
    /// Number of names.
    pub links: u64,
    /// Number of the file in its file system.
    pub inode: u64,
    /// The file system.
    pub device: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last change of the contents.
    pub modified: Timestamp,
    /// Last change of contents, names or permissions.
    pub changed: Timestamp,
}

/// The names in a directory, in one arena, in the directory's own order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    arena: Vec<u8>,
    entries: Vec<(u32, FileKind)>,
}

impl Listing {
    /// Adds a name; names past 4 GiB in all are dropped.
    pub fn push(&mut self, name: &[u8], kind: FileKind) {
        if let Ok(end) = u32::try_from(self.arena.len() + name.len()) {
            self.arena.extend_from_slice(name);
            self.entries.push((end, kind));
        }
    }

    /// Number of names.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the directory is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every name with its kind.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], FileKind)> {
        let mut start = 0;
        self.entries.iter().map(move |&(end, kind)| {
            let end = end as usize;
            let name = self.arena.get(start..end).unwrap_or_default();
            start = end;
            (name, kind)
        })
    }
}

/// Why an operation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot {action} {}: {kind}", path.display())]
pub struct DiskError {
    /// The operation, as a verb: `create`, `sync`, …
    pub action: &'static str,
    /// The file it was about.
    pub path: PathBuf,
    /// What the system said.
    pub kind: DiskErrorKind,
}

/// The errors that procedures tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum DiskErrorKind {
    /// `ENOENT`
    #[error("no such file or directory")]
    NotFound,
    /// `EEXIST`
    #[error("the name is taken")]
    Exists,
    /// `ENOSPC`
    #[error("no space left on the device")]
    NoSpace,
    /// `EDQUOT`
    #[error("the file system quota is used up")]
    Quota,
    /// `EIO`, and a write that stayed short
    #[error("input/output error")]
    Io,
    /// `EMFILE`, `ENFILE`
    #[error("too many open files")]
    TooManyFiles,
    /// `EACCES`, `EPERM`, `EROFS`
    #[error("permission denied")]
    Permission,
    /// `ENOTDIR`
    #[error("not a directory")]
    NotADirectory,
    /// `EISDIR`
    #[error("is a directory")]
    IsADirectory,
    /// `ENOTEMPTY`
    #[error("the directory is not empty")]
    NotEmpty,
    /// `ELOOP`: a symbolic link where none is allowed; also FIFOs, sockets and
    /// devices where a regular file is due
    #[error("not a regular file")]
    NotRegular,
    /// `EXDEV`
    #[error("on another file system")]
    CrossDevice,
    /// `ESTALE`
    #[error("the file was replaced on its server")]
    Stale,
    /// `ENAMETOOLONG`, or a name with NUL
    #[error("the name is not possible")]
    BadName,
    /// A lock that another holds
    #[error("locked by another process")]
    Busy,
    /// Anything else, by its number in `errno(3)`
    #[error("system error {0}")]
    Other(i32),
}

/// The handle by which a task reaches a disk.
#[derive(Clone)]
pub struct Disk {
    ask: Ask<Vec<Op>, Vec<Outcome>>,
}

/// A procedure on files, to be run by a driver.
pub type DiskTask<'a, T> = Task<'a, Vec<Op>, Vec<Outcome>, T>;

/// Prepares a procedure on files.
///
/// ```
/// use courier_core::disk::{self, Durability};
/// use courier_core::testing::MemDisk;
/// use std::path::Path;
///
/// let mut world = MemDisk::new();
/// let task = disk::task(|disk| async move {
///     disk.create(Path::new("/greeting"), b"hello".to_vec(), 0o600, Durability::Synced).await?;
///     disk.read(Path::new("/greeting"), 1..4).await
/// });
/// assert_eq!(world.run(task), Ok(b"ell".to_vec()));
/// ```
pub fn task<'a, P, F, T>(procedure: P) -> DiskTask<'a, T>
where
    P: FnOnce(Disk) -> F,
    F: Future<Output = T> + Send + 'a,
{
    Task::new(|ask| procedure(Disk { ask }))
}

impl Disk {
    /// Hands out independent operations; their outcomes come back in order.
    pub async fn run(&self, batch: Vec<Op>) -> Vec<Outcome> {
        if batch.is_empty() {
            return Vec::new();
        }
        self.ask.ask(batch).await
    }

    /// Carries out one operation.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn one(&self, op: Op) -> Outcome {
        let (action, path) = (op.action(), op.path().to_path_buf());
        self.run(vec![op]).await.pop().unwrap_or(Err(DiskError {
            action,
            path,
            kind: DiskErrorKind::Io,
        }))
    }

    /// [`Op::Create`] with octets in memory.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn create(
        &self,
        path: &Path,
        octets: Vec<u8>,
        mode: u32,
        durability: Durability,
    ) -> Result<(), DiskError> {
        let content = vec![Piece::Octets(octets.into())];
        let path = path.to_path_buf();
        self.one(Op::Create {
            path,
            content,
            mode,
            durability,
        })
        .await
        .map(drop)
    }

    /// [`Op::Read`].
    ///
    /// # Errors
    /// What the disk says.
    pub async fn read(&self, path: &Path, range: Range<u64>) -> Result<Vec<u8>, DiskError> {
        match self
            .one(Op::Read {
                path: path.to_path_buf(),
                range,
            })
            .await?
        {
            Reply::Octets(octets) => Ok(octets),
            _ => Err(Self::wrong_reply("read", path)),
        }
    }

    /// [`Op::Stat`].
    ///
    /// # Errors
    /// What the disk says.
    pub async fn stat(&self, path: &Path) -> Result<Meta, DiskError> {
        match self.one(Op::Stat(path.to_path_buf())).await? {
            Reply::Meta(meta) => Ok(meta),
            _ => Err(Self::wrong_reply("stat", path)),
        }
    }

    /// [`Op::Resolve`].
    ///
    /// # Errors
    /// What the disk says.
    pub async fn resolve(&self, path: &Path) -> Result<PathBuf, DiskError> {
        match self.one(Op::Resolve(path.to_path_buf())).await? {
            Reply::Path(path) => Ok(path),
            _ => Err(Self::wrong_reply("resolve", path)),
        }
    }

    /// [`Op::ReadLink`].
    ///
    /// # Errors
    /// What the disk says.
    pub async fn read_link(&self, path: &Path) -> Result<PathBuf, DiskError> {
        match self.one(Op::ReadLink(path.to_path_buf())).await? {
            Reply::Path(target) => Ok(target),
            _ => Err(Self::wrong_reply("read link", path)),
        }
    }

    /// [`Op::List`].
    ///
    /// # Errors
    /// What the disk says.
    pub async fn list(&self, path: &Path) -> Result<Listing, DiskError> {
        match self.one(Op::List(path.to_path_buf())).await? {
            Reply::Listing(listing) => Ok(listing),
            _ => Err(Self::wrong_reply("list", path)),
        }
    }

    /// A driver that answers `Stat` with a listing is broken; say it as an I/O error.
    fn wrong_reply(action: &'static str, path: &Path) -> DiskError {
        DiskError {
            action,
            path: path.to_path_buf(),
            kind: DiskErrorKind::Io,
        }
    }
}

impl Op {
    /// The operation as a verb, for messages.
    #[must_use]
    pub fn action(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Allocate { .. } => "allocate",
            Self::Append { .. } => "append to",
            Self::WriteAt { .. } => "write",
            Self::Sync(_) => "sync",
            Self::SyncDir(_) => "sync directory",
            Self::Rename { .. } => "rename",
            Self::Link { .. } => "link",
            Self::Symlink { .. } => "make link",
            Self::ReadLink(_) => "read link",
            Self::Unlink(_) => "remove",
            Self::Mkdir { .. } => "make directory",
            Self::Rmdir(_) => "remove directory",
            Self::List(_) => "list",
            Self::Stat(_) => "stat",
            Self::Resolve(_) => "resolve",
            Self::Read { .. } => "read",
            Self::Truncate { .. } => "truncate",
            Self::SetModified { .. } => "set the time of",
            Self::Lock { .. } => "lock",
            Self::Unlock(_) => "unlock",
            Self::Pause(_) => "pause",
        }
    }

    /// The file the operation is about; of two, the one it is found by; empty for
    /// [`Op::Unlock`] and [`Op::Pause`].
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Create { path, .. }
            | Self::Allocate { path, .. }
            | Self::Append { path, .. }
            | Self::WriteAt { path, .. }
            | Self::Sync(path)
            | Self::SyncDir(path)
            | Self::Rename { from: path, .. }
            | Self::Link { from: path, .. }
            | Self::Symlink { path, .. }
            | Self::ReadLink(path)
            | Self::Unlink(path)
            | Self::Mkdir { path, .. }
            | Self::Rmdir(path)
            | Self::List(path)
            | Self::Stat(path)
            | Self::Resolve(path)
            | Self::Read { path, .. }
            | Self::Truncate { path, .. }
            | Self::SetModified { path, .. }
            | Self::Lock { path, .. } => path,
            Self::Unlock(_) | Self::Pause(_) => Path::new(""),
        }
    }

    /// The error that this operation failed in this way.
    #[must_use]
    pub fn error(&self, kind: DiskErrorKind) -> DiskError {
        DiskError {
            action: self.action(),
            path: self.path().to_path_buf(),
            kind,
        }
    }
}
