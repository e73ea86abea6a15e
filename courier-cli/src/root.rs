//! Giving up root: after binding, before the first thread and the first client.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::{DumpableBehavior, Gid, Uid};

/// Becomes the owner of the mailboxes (`ROOT/home`) for good, if we are root.
///
/// A root that was made by root stays root's (`cli.md`): then nothing is given up,
/// and the answer says so. Must be called while the process has one thread.
///
/// # Errors
/// If the owner cannot be found out, or if the system refuses.
pub fn give_up(home: &Path) -> io::Result<Identity> {
    // Secrets stay out of core dumps (reliability.md section 5).
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let running = rustix::process::geteuid();
    if !running.is_root() {
        return Ok(Identity::Unprivileged);
    }
    let owner = fs::metadata(home)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", home.display())))?;
    if owner.uid() == 0 {
        return Ok(Identity::Root);
    }
    let (uid, gid) = (Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()));
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
