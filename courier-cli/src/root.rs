//! Giving up root: after binding, before the first thread and the first client.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, lchown};
use std::path::Path;

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
    let home = &layout.home;
    let owner = fs::metadata(home)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", home.display())))?;
    if owner.uid() == 0 {
        return Ok(Identity::Root);
    }
    let (uid, gid) = (Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()));
    if layout.root.is_some() {
        give_away(layout.var(), owner.uid(), owner.gid())?;
        give_away(layout.share(), owner.uid(), owner.gid())?;
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
        uid: owner.uid(),
        gid: owner.gid(),
    })
}

/// Gives a directory of a root, and all that is in it, to the user who serves.
fn give_away(directory: &Path, uid: u32, gid: u32) -> io::Result<()> {
    let named = |path: &Path, error: io::Error| {
        io::Error::new(error.kind(), format!("{}: {error}", path.display()))
    };
    let mut left = vec![directory.to_path_buf()];
    while let Some(path) = left.pop() {
        let is_directory = match fs::symlink_metadata(&path) {
            Ok(meta) => meta.is_dir(),
            // The journal's files come and go.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(named(&path, error)),
        };
        lchown(&path, Some(uid), Some(gid)).map_err(|error| named(&path, error))?;
        if is_directory {
            let entries = fs::read_dir(&path).map_err(|error| named(&path, error))?;
            for entry in entries {
                left.push(entry.map_err(|error| named(&path, error))?.path());
            }
        }
    }
    Ok(())
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
