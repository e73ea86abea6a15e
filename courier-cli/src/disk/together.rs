//! Many new files, made durable by one sync of their file system.
//!
//! A sync of a file costs the device two or three writes and a flush, however small the
//! file; a sync of the file system brings all new files, which lie side by side, there
//! by a few writes and one flush. It also has to wait for what others have written. So
//! it is for many files, where it is known to do what it says, and not for a while
//! after it took long.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use courier_core::disk::{Durability, Meta, Op, Outcome, Piece, Reply};

use super::{create, error};

/// When files are made together.
#[derive(Debug, Default)]
pub(super) struct Together {
    not_before: Mutex<Option<Instant>>,
}

/// What is asked for by an [`Op::Create`] that is to be durable.
struct Wanted<'a> {
    path: &'a Path,
    content: &'a [Piece],
    mode: u32,
}

impl<'a> Wanted<'a> {
    fn of(op: &'a Op) -> Option<Self> {
        match op {
            Op::Create {
                path,
                content,
                mode,
                durability: Durability::Synced,
            } => Some(Self {
                path,
                content,
                mode: *mode,
            }),
            _ => None,
        }
    }
}

/// Whether an operation could be carried out together with others.
pub(super) fn is_suited(op: &Op) -> bool {
    Wanted::of(op).is_some()
}

impl Together {
    /// Makes files, if there are enough of them, all of them suited, and if this is the
    /// time and the place.
    pub(super) fn carry_out(&self, ops: &[&Op]) -> Option<Vec<Outcome>> {
        if ops.len() < LEAST || !tells_of_errors() || self.rests() {
            return None;
        }
        let wanted: Vec<Wanted<'_>> = ops.iter().copied().filter_map(Wanted::of).collect();
        let directory = wanted.first()?.path.parent()?;
        if wanted.len() < ops.len() || !is_known(directory) {
            return None;
        }
        let made = self.make(&wanted).into_iter().zip(ops);
        let outcomes = made.map(|(made, op)| match made {
            Ok(meta) => Ok(Reply::Meta(meta)),
            Err(error) => Err(op.error(error::kind(&error))),
        });
        Some(outcomes.collect())
    }

    fn rests(&self) -> bool {
        let not_before = self.not_before.lock();
        let not_before = *not_before.unwrap_or_else(PoisonError::into_inner);
        not_before.is_some_and(|time| Instant::now() < time)
    }

    fn make(&self, wanted: &[Wanted<'_>]) -> Vec<io::Result<Meta>> {
        // The descriptor was opened before anything was written, so whatever fails to
        // be written back is told to it.
        let mut first: Option<(File, u64)> = None;
        let mut made: Vec<io::Result<Meta>> = Vec::with_capacity(wanted.len());
        for Wanted {
            path,
            content,
            mode,
        } in wanted
        {
            let new = create::write_new(path, content, *mode, Durability::Volatile);
            made.push(new.and_then(|(file, meta)| match &first {
                None => {
                    first = Some((file, meta.device));
                    Ok(meta)
                }
                Some((_, device)) if meta.device == *device => Ok(meta),
                // It is elsewhere.
                Some(_) => kept(path, file.sync_all()).map(|()| meta),
            }));
        }
        let Some((file, device)) = first else {
            return made;
        };
        let Err(error) = self.sync(&file) else {
            return made;
        };
        for (made, wanted) in made.iter_mut().zip(wanted) {
            if made.as_ref().is_ok_and(|meta| meta.device == device) {
                *made = kept(wanted.path, Err(copy(&error))).and(Err(copy(&error)));
            }
        }
        made
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        let begun = Instant::now();
        rustix::fs::syncfs(file)?;
        if begun.elapsed() > LONG {
            let not_before = self.not_before.lock();
            *not_before.unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + REST);
        }
        Ok(())
    }
}

/// A file that could not be synced is taken away again.
fn kept(path: &Path, synced: io::Result<()>) -> io::Result<()> {
    if synced.is_err() {
        fs::remove_file(path).ok();
    }
    synced
}

fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => error.kind().into(),
    }
}

/// Whether the kernel tells a sync of a file system what could not be written: Linux
/// does since 5.8.
fn tells_of_errors() -> bool {
    static TELLS: OnceLock<bool> = OnceLock::new();
    *TELLS.get_or_init(|| {
        let system = rustix::system::uname();
        is_recent(&system.release().to_string_lossy())
    })
}

fn is_recent(release: &str) -> bool {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= (5, 8),
        _ => false,
    }
}

/// Whether the file system of a directory is one whose sync as a whole is durable. Of
/// FUSE, for one, the server behind it would not even be told.
fn is_known(directory: &Path) -> bool {
    rustix::fs::statfs(directory).is_ok_and(|facts| {
        let kind = u32::try_from(facts.f_type).unwrap_or(0);
        [EXT4, XFS].contains(&kind)
    })
}

/// Magic numbers of `statfs(2)`.
const EXT4: u32 = 0xef53;
const XFS: u32 = 0x5846_5342;
/// Fewer files are synced one by one.
const LEAST: usize = 8;
/// A sync of the file system that takes so long waits for what others have written.
const LONG: Duration = Duration::from_millis(250);
/// How long files are synced one by one then.
const REST: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn ops(folder: &Path, count: usize) -> Vec<Op> {
        let op = |number| Op::Create {
            path: folder.join(format!("{number}")),
            content: vec![Piece::Octets(b"text"[..].into())],
            mode: 0o640,
            durability: Durability::Synced,
        };
        (0..count).map(op).collect()
    }

    #[test]
    fn releases_are_compared_by_number() {
        assert!(
            ["5.8.0", "5.10.0-9-amd64", "6.1", "10.0.1"]
                .iter()
                .all(|r| is_recent(r))
        );
        assert!(
            !["5.7.19", "4.19.0-5-amd64", "", "x.y"]
                .iter()
                .any(|r| is_recent(r))
        );
    }

    #[test]
    fn many_files_are_made_and_one_that_is_there_is_left() {
        let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        fs::write(folder.path().join("3"), b"old").unwrap();
        let ops = ops(folder.path(), LEAST);
        let refs: Vec<&Op> = ops.iter().collect();
        let wanted: Vec<_> = ops.iter().filter_map(Wanted::of).collect();
        let made = Together::default().make(&wanted);
        for (number, made) in made.iter().enumerate() {
            let text = fs::read(folder.path().join(number.to_string())).unwrap();
            match number {
                3 => {
                    let error = made.as_ref().unwrap_err();
                    assert_eq!(
                        (error.kind(), &*text),
                        (io::ErrorKind::AlreadyExists, &b"old"[..])
                    );
                }
                _ => {
                    let meta = made.as_ref().unwrap();
                    assert_eq!((meta.mode, meta.length, &*text), (0o640, 4, &b"text"[..]));
                }
            }
        }
        let few: Vec<&Op> = refs.iter().take(LEAST - 1).copied().collect();
        assert!(Together::default().carry_out(&few).is_none());
        let other = Op::SyncDir(folder.path().to_path_buf());
        let mixed: Vec<&Op> = refs.iter().copied().chain([&other]).collect();
        assert!(Together::default().carry_out(&mixed).is_none());
    }

    #[test]
    fn after_a_long_sync_there_is_a_rest() {
        let together = Together::default();
        assert!(!together.rests());
        *together.not_before.lock().unwrap() = Some(Instant::now() + REST);
        let folder = tempfile::tempdir().unwrap();
        let ops = ops(folder.path(), LEAST);
        assert!(
            together
                .carry_out(&ops.iter().collect::<Vec<_>>())
                .is_none()
        );
        assert!(!folder.path().join("0").exists());
    }
}
