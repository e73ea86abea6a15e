//! Giving up root: after binding, before the first thread and the first client.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Gid, Resource, Uid};

use crate::layout::Layout;

/// Becomes the owner of the mailboxes (`home`) for good, if we are root. What changes
/// under way (`var`) and the certificates are given to that owner before.
///
/// A root that was made by root stays root's (`cli.md`): then nothing is given up,
/// and the answer says so. Must be called while the process has one thread.
///
/// # Errors
/// If the owner cannot be found out, or if the system refuses.
pub fn give_up(layout: &Layout) -> io::Result<Identity> {
    // Secrets stay out of core dumps (reliability.md section 5).
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let running = rustix::process::geteuid();
    if !running.is_root() {
        return Ok(Identity::Unprivileged);
    }
    let Some(owner) = mail_user(layout)? else {
        return Ok(Identity::Root);
    };
    let Owner { uid, gid } = owner;
    if layout.root.is_some() {
        owner.take_all(layout.var())?;
        owner.take_all(layout.share())?;
    }
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    if rustix::thread::set_thread_uid(Uid::ROOT).is_ok() {
        return Err(io::Error::other(
            "root was given up, but could be had again",
        ));
    }
    Ok(Identity::Became {
        uid: uid.as_raw(),
        gid: gid.as_raw(),
    })
}

/// Becomes the owner of a maildir for good, if we are root and it is somebody else's:
/// what is made there is theirs then, and no link of theirs leads root astray. Must be
/// called while the process has one thread.
///
/// # Errors
/// If there is no such directory, or if the system refuses.
pub fn become_owner(maildir: &Path) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let facts = fs::symlink_metadata(maildir)?;
    if facts.uid() == 0 {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(facts.uid()), Gid::from_raw(facts.gid()));
    rustix::thread::set_thread_groups(&[])?;
    rustix::thread::set_thread_res_gid(gid, gid, gid)?;
    rustix::thread::set_thread_res_uid(uid, uid, uid)?;
    Ok(())
}

/// Gives what root has made in a root's `var` and `share` to the owner of its
/// mailboxes, whose server it must be able to read it.
///
/// # Errors
/// If the owner cannot be found out, or if the system refuses.
pub fn hand_over(layout: &Layout, made: &[PathBuf]) -> io::Result<()> {
    if layout.root.is_none() || !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let Some(owner) = mail_user(layout)? else {
        return Ok(());
    };
    let theirs = |path: &&PathBuf| {
        [layout.var(), layout.share()]
            .iter()
            .any(|top| path.starts_with(top))
    };
    for path in made.iter().filter(theirs) {
        match open(CWD, path, OFlags::PATH) {
            Ok(file) => owner.take(&file).map_err(|error| named(path, &error))?,
            Err(errno) => return Err(named(path, &errno.into())),
        }
    }
    Ok(())
}

/// The owner of the mailboxes, unless it is root.
fn mail_user(layout: &Layout) -> io::Result<Option<Owner>> {
    let home = &layout.home;
    let facts = fs::metadata(home).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            let text = format!("{}: {error}; courier init makes it", home.display());
            io::Error::new(error.kind(), text)
        }
        _ => named(home, &error),
    })?;
    Ok((facts.uid() != 0).then(|| Owner {
        uid: Uid::from_raw(facts.uid()),
        gid: Gid::from_raw(facts.gid()),
    }))
}

/// Who serves once root is given up.
#[derive(Debug, Clone, Copy)]
struct Owner {
    uid: Uid,
    gid: Gid,
}

impl Owner {
    /// Becomes the owner of a directory of a root, and of all that is in it.
    ///
    /// Whoever served before may have left links there, to make root give away what is
    /// not theirs: so nothing is reached by its path, and nothing that has another
    /// name elsewhere is given.
    fn take_all(self, directory: &Path) -> io::Result<()> {
        // The administrator may have linked the directory itself.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let top = rustix::fs::openat(CWD, directory, flags, Mode::empty())
            .map_err(|errno| named(directory, &errno.into()))?;
        let mut left = vec![(directory.to_path_buf(), top)];
        while let Some((path, directory)) = left.pop() {
            let failed = |error: io::Error| named(&path, &error);
            self.take(&directory).map_err(failed)?;
            for entry in Dir::read_from(&directory).map_err(|e| failed(e.into()))? {
                let entry = entry.map_err(|errno| failed(errno.into()))?;
                let name = Path::new(OsStr::from_bytes(entry.file_name().to_bytes()));
                if name == Path::new(".") || name == Path::new("..") {
                    continue;
                }
                let path = path.join(name);
                match self.take_entry(&directory, name) {
                    Ok(Some(below)) => left.push((path, below)),
                    Ok(None) => {}
                    Err(error) => return Err(named(&path, &error)),
                }
            }
        }
        Ok(())
    }

    /// Becomes the owner of an entry; gives it back if it is a directory.
    fn take_entry(self, directory: &OwnedFd, name: &Path) -> io::Result<Option<OwnedFd>> {
        match open(directory, name, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(below) => return Ok(Some(below)),
            Err(Errno::NOTDIR | Errno::LOOP) => {}
            // The journal's files come and go.
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        }
        match open(directory, name, OFlags::PATH) {
            Ok(file) => self.take(&file).map(|()| None),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    fn take(self, file: &OwnedFd) -> io::Result<()> {
        let facts = rustix::fs::fstat(file)?;
        if (facts.st_uid, facts.st_gid) == (self.uid.as_raw(), self.gid.as_raw()) {
            return Ok(());
        }
        if FileType::from_raw_mode(facts.st_mode) != FileType::Directory && facts.st_nlink > 1 {
            return Err(io::Error::other(
                "not given to the owner of the mailboxes, for it has other names elsewhere; remove it",
            ));
        }
        let (uid, gid) = (Some(self.uid), Some(self.gid));
        Ok(rustix::fs::chownat(
            file,
            "",
            uid,
            gid,
            AtFlags::EMPTY_PATH,
        )?)
    }
}

/// Opens what really has this name, no link.
fn open(directory: impl AsFd, name: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::empty())
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// As many descriptors as the system lets us have.
pub fn raise_file_limit() {
    let mut limit = rustix::process::getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If not, there are as many as there were.
    rustix::process::setrlimit(Resource::Nofile, limit).ok();
}

/// Who the process is after [`give_up`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// It was never root.
    Unprivileged,
    /// The mailboxes are root's, so it stays root.
    Root,
    /// It was root and is now the owner of the mailboxes.
    Became {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{chown, symlink};

    const NOBODY: u32 = 4321;

    /// A root whose mailboxes are somebody's; only root can make one.
    fn root_of_another() -> Option<(tempfile::TempDir, Layout)> {
        let folder = tempfile::tempdir().expect("a folder");
        let layout = Layout::in_root(folder.path());
        for path in [layout.var(), layout.share(), &layout.home] {
            fs::create_dir(path).expect("made");
        }
        let is_root = rustix::process::geteuid().is_root();
        is_root.then(|| {
            chown(&layout.home, Some(NOBODY), Some(NOBODY)).expect("given");
            (folder, layout)
        })
    }

    fn owner(path: &Path) -> u32 {
        fs::symlink_metadata(path).expect("there").uid()
    }

    #[test]
    fn what_init_makes_later_is_the_servers_too() {
        let Some((folder, layout)) = root_of_another() else {
            return;
        };
        let (pem, other) = (layout.share().join("server.pem"), folder.path().join("me"));
        for path in [&pem, &other] {
            fs::write(path, "").expect("written");
        }
        hand_over(&layout, &[pem.clone(), other.clone()]).expect("given");
        assert_eq!((owner(&pem), owner(&other)), (NOBODY, 0));
    }

    #[test]
    fn everything_below_is_given_and_nothing_beside_it() {
        let Some((folder, layout)) = root_of_another() else {
            return;
        };
        let (secret, outside) = (folder.path().join("secret"), folder.path().join("outside"));
        let inner = layout.var().join("a/b/file");
        fs::create_dir_all(layout.var().join("a/b")).expect("made");
        fs::create_dir(&outside).expect("made");
        for path in [&secret, &inner, &outside.join("file")] {
            fs::write(path, "").expect("written");
        }
        symlink(&secret, layout.var().join("link")).expect("linked");
        symlink(&outside, layout.var().join("a/directory")).expect("linked");
        let owner_of_mail = mail_user(&layout).expect("known").expect("not root");
        owner_of_mail.take_all(layout.var()).expect("given");
        assert_eq!((owner(layout.var()), owner(&inner)), (NOBODY, NOBODY));
        assert_eq!(owner(&layout.var().join("link")), NOBODY);
        for path in [&secret, &outside, &outside.join("file")] {
            assert_eq!(owner(path), 0, "{}", path.display());
        }
        // A second name is the one link that cannot be told from the file itself.
        fs::hard_link(&secret, layout.var().join("a/hard")).expect("linked");
        let refused = owner_of_mail.take_all(layout.var()).expect_err("refused");
        assert!(
            refused.to_string().contains("var/a/hard: not given"),
            "{refused}"
        );
        assert_eq!(owner(&secret), 0);
    }
}
