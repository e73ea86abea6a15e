//! Homes and maildirs of new accounts.
//!
//! Root may be at work in directories that belong to the mail user, who could put a
//! symbolic link into the way; so the way is walked directory by directory, and
//! below the homes no link is followed then.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use courier_core::account::naming::AccountName;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

/// Why a home or maildir cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// A name such as `a/b`, or that of an account for all names below a domain.
    #[error("{0} cannot be the name of a directory; give another by --home")]
    Name(AccountName),
    /// `ROOT/home` is missing.
    #[error("{}: no such directory; make the root with courier init", .0.display())]
    NoHomes(PathBuf),
    /// A path that is relative or climbs up.
    #[error("{}: the path must be absolute and without ..", .0.display())]
    Path(PathBuf),
    /// Something else has the name.
    #[error("{}: in the way, and not a directory", .0.display())]
    InTheWay(PathBuf),
    /// The system says no.
    #[error("cannot make {}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// What it says.
        source: io::Error,
    },
}

/// Whom new files of accounts are given to: the owner of the homes, if we are root
/// and it is somebody else.
pub(super) fn owner_to_give(homes: &Path) -> io::Result<Option<(u32, u32)>> {
    let facts = fs::metadata(homes)?;
    let gives = rustix::process::geteuid().is_root() && facts.uid() != 0;
    Ok(gives.then(|| (facts.uid(), facts.gid())))
}

/// Makes what is missing of a home and its maildir; durable once it returns.
pub(super) fn make(homes: &Path, home: &Path, maildir: &Path) -> Result<(), HomeError> {
    let owner = owner_to_give(homes).map_err(|_| HomeError::NoHomes(homes.to_path_buf()))?;
    let way = Way { homes, owner };
    // Nothing is made if the rest of it cannot be.
    for path in [home, maildir] {
        steps(path)?;
    }
    way.ensure(home)?;
    for part in ["tmp", "new", "cur"] {
        way.ensure(&maildir.join(part))?;
    }
    Ok(())
}

struct Way<'a> {
    homes: &'a Path,
    owner: Option<(u32, u32)>,
}

impl Way<'_> {
    fn ensure(&self, path: &Path) -> Result<(), HomeError> {
        let failed = |path: &Path, errno: Errno| match errno {
            Errno::NOTDIR | Errno::LOOP => HomeError::InTheWay(path.to_path_buf()),
            errno => HomeError::Io {
                path: path.to_path_buf(),
                source: errno.into(),
            },
        };
        let mut walked = PathBuf::from("/");
        let mut here = open(CWD, Path::new("/"), OFlags::PATH).map_err(|e| failed(&walked, e))?;
        for name in steps(path)? {
            walked.push(name);
            let next = self.step(&here, Path::new(name), &walked);
            here = next.map_err(|errno| failed(&walked, errno))?;
        }
        Ok(())
    }

    /// Enters a directory, or makes it.
    fn step(&self, here: &OwnedFd, name: &Path, walked: &Path) -> Result<OwnedFd, Errno> {
        let is_theirs = walked.starts_with(self.homes) && walked != self.homes;
        let flags = match self.owner {
            Some(_) if is_theirs => OFlags::PATH | OFlags::NOFOLLOW,
            _ => OFlags::PATH,
        };
        match open(here, name, flags) {
            Err(Errno::NOENT) => {}
            entered => return entered,
        }
        match rustix::fs::mkdirat(here, name, Mode::RWXU) {
            Ok(()) => {}
            Err(Errno::EXIST) => return open(here, name, flags),
            Err(errno) => return Err(errno),
        }
        let made = open(here, name, OFlags::RDONLY | OFlags::NOFOLLOW)?;
        if let Some((uid, gid)) = self.owner {
            // What was put in the place of the directory that root just made is not root's.
            if rustix::fs::fstat(&made)?.st_uid != 0 {
                return Err(Errno::LOOP);
            }
            let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
            rustix::fs::fchown(&made, Some(uid), Some(gid))?;
        }
        let parent = open(here, Path::new("."), OFlags::RDONLY)?;
        rustix::fs::fsync(parent)?;
        Ok(made)
    }
}

/// The directories on the way of an absolute path that does not climb.
fn steps(path: &Path) -> Result<Vec<&OsStr>, HomeError> {
    let wrong = || HomeError::Path(path.to_path_buf());
    let mut components = path.components();
    if components.next() != Some(Component::RootDir) {
        return Err(wrong());
    }
    components
        .map(|component| match component {
            Component::Normal(name) => Ok(name),
            _ => Err(wrong()),
        })
        .collect()
}

fn open(here: impl AsFd, name: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(here, name, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn home_and_maildir_are_made_and_what_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let homes = folder.path().join("home");
        fs::create_dir(&homes).unwrap();
        let home = homes.join("example.com/ann");
        let maildir = home.join("Maildir");
        make(&homes, &home, &maildir).unwrap();
        for part in ["", "Maildir", "Maildir/tmp", "Maildir/new", "Maildir/cur"] {
            assert_eq!(mode(&home.join(part)), 0o700, "{part}");
        }
        fs::write(maildir.join("new/1"), "mail").unwrap();
        fs::remove_dir(maildir.join("tmp")).unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o750)).unwrap();
        make(&homes, &home, &maildir).unwrap();
        assert!(maildir.join("tmp").is_dir() && maildir.join("new/1").exists());
        assert_eq!(mode(&home), 0o750);
    }

    #[test]
    fn what_is_in_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let homes = folder.path().join("home");
        let missing = make(&homes, &homes.join("a"), &homes.join("a/Maildir"));
        assert!(matches!(missing, Err(HomeError::NoHomes(_))));
        fs::create_dir_all(homes.join("a")).unwrap();
        fs::write(homes.join("a/Maildir"), "an mbox").unwrap();
        let error = make(&homes, &homes.join("a"), &homes.join("a/Maildir")).unwrap_err();
        assert!(matches!(error, HomeError::InTheWay(path) if path.ends_with("a/Maildir")));
        for path in ["relative", "/tmp/../etc/x"] {
            let error = make(&homes, Path::new(path), &homes.join("b/Maildir")).unwrap_err();
            assert!(matches!(error, HomeError::Path(_)), "{error}");
        }
        let climbing = homes.join("c/../../Maildir");
        let error = make(&homes, &homes.join("c"), &climbing).unwrap_err();
        assert!(matches!(error, HomeError::Path(_)), "{error}");
        assert!(!homes.join("c").exists(), "nothing is left of what failed");
    }

    #[test]
    fn root_follows_no_link_in_what_is_another_users() {
        if !rustix::process::geteuid().is_root() {
            return; // only root can give files away
        }
        let folder = tempfile::tempdir().unwrap();
        let (homes, victim) = (folder.path().join("home"), folder.path().join("victim"));
        fs::create_dir(&homes).unwrap();
        fs::create_dir(&victim).unwrap();
        symlink(&victim, homes.join("example.com")).unwrap();
        std::os::unix::fs::chown(&homes, Some(4321), Some(4322)).unwrap();
        let home = homes.join("example.com/ann");
        let error = make(&homes, &home, &home.join("Maildir")).unwrap_err();
        assert!(matches!(error, HomeError::InTheWay(_)), "{error}");
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
        let home = homes.join("example.net/ann");
        make(&homes, &home, &home.join("Maildir")).unwrap();
        for path in [
            homes.join("example.net"),
            home.clone(),
            home.join("Maildir/cur"),
        ] {
            let facts = fs::metadata(&path).unwrap();
            assert_eq!(
                (facts.uid(), facts.gid()),
                (4321, 4322),
                "{}",
                path.display()
            );
        }
    }
}
