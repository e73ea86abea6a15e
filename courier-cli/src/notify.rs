//! Change notification: one inotify instance for the whole process.
//!
//! Whoever watches a folder is told that it may have changed; what has, it looks for
//! itself. Where the system cannot notify, or has too many watches, folders are
//! looked at once a minute.

use std::collections::HashMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use inotify::{Inotify, WatchDescriptor, WatchMask, Watches};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

/// Tells sessions of changes in the folders they watch. A clone is the same.
#[derive(Debug, Clone)]
pub struct Notifier {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    /// `None` where the system cannot notify.
    watches: Option<Watches>,
    directories: HashMap<WatchDescriptor, Directory>,
}

/// A watched directory, and who watches it.
#[derive(Debug)]
struct Directory {
    told: watch::Sender<()>,
    watchers: usize,
}

impl Notifier {
    /// Starts to listen, on the runtime that this is called on.
    #[must_use]
    pub fn start() -> Self {
        let (watches, events) = match Inotify::init() {
            Ok(inotify) => (Some(inotify.watches()), Some(inotify)),
            Err(error) => {
                tracing::warn!(error = %error, "NO CHANGE NOTIFICATION");
                (None, None)
            }
        };
        let notifier = Self {
            shared: Arc::new(Mutex::new(Shared {
                watches,
                directories: HashMap::new(),
            })),
        };
        if let Some(events) = events {
            let shared = Arc::clone(&notifier.shared);
            tokio::spawn(async move {
                if let Err(error) = listen(events, &shared).await {
                    tracing::error!(error = %error, "NO MORE CHANGE NOTIFICATION");
                }
            });
        }
        notifier
    }

    /// Watches a folder until the answer is dropped.
    #[must_use]
    pub fn watch(&self, folder: &Path) -> Watching {
        let mut shared = lock(&self.shared);
        let mut watching = Watching {
            shared: Arc::clone(&self.shared),
            descriptors: Vec::new(),
            changes: Vec::new(),
        };
        make_keywords(folder);
        let names = ["new", "cur", KEYWORDS];
        let mut paths: Vec<_> = names
            .iter()
            .map(|name| (folder.join(name), ENTRIES))
            .collect();
        paths.push((folder.to_owned(), ITSELF));
        for (path, mask) in paths {
            if let Ok((descriptor, changes)) = shared.add(&path, mask) {
                watching.descriptors.push(descriptor);
                watching.changes.push(changes);
            }
        }
        drop(shared);
        watching
    }
}

impl Shared {
    fn add(
        &mut self,
        path: &Path,
        mask: WatchMask,
    ) -> io::Result<(WatchDescriptor, watch::Receiver<()>)> {
        let watches = self.watches.as_mut().ok_or(io::ErrorKind::Unsupported)?;
        // The same directory gives the same descriptor.
        let descriptor = watches.add(path, mask | WatchMask::ONLYDIR)?;
        let directory = self.directories.entry(descriptor.clone());
        let directory = directory.or_insert_with(|| Directory {
            told: watch::Sender::new(()),
            watchers: 0,
        });
        directory.watchers += 1;
        Ok((descriptor, directory.told.subscribe()))
    }

    fn remove(&mut self, descriptor: &WatchDescriptor) {
        let Some(directory) = self.directories.get_mut(descriptor) else {
            return;
        };
        directory.watchers -= 1;
        if directory.watchers == 0 {
            self.directories.remove(descriptor);
            if let Some(watches) = &mut self.watches {
                // It may have gone with its directory.
                watches.remove(descriptor.clone()).ok();
            }
        }
    }

    fn tell(&self, descriptor: &WatchDescriptor) {
        if let Some(directory) = self.directories.get(descriptor) {
            directory.told.send_replace(());
        }
    }

    fn tell_all(&self) {
        for directory in self.directories.values() {
            directory.told.send_replace(());
        }
    }
}

/// Makes the directory of the keywords where there is none yet, as Courier does: its
/// first file would not be noticed otherwise.
fn make_keywords(folder: &Path) {
    let path = folder.join(KEYWORDS);
    if path.symlink_metadata().is_ok() {
        return;
    }
    let mode = folder.join("cur").symlink_metadata().map(|m| m.mode());
    let mut builder = DirBuilder::new();
    builder.mode(mode.map_or(0o700, |mode| mode & 0o777));
    // In a folder that may not be written to, nobody here sets a keyword.
    builder.create(path).ok();
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn listen(events: Inotify, shared: &Mutex<Shared>) -> io::Result<()> {
    let mut ready = register(events)?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let mut guard = ready.readable_mut().await?;
        let read = guard.try_io(|inotify| {
            let events = inotify.get_mut().read_events(&mut buffer)?;
            let shared = lock(shared);
            for event in events {
                match event.mask.contains(inotify::EventMask::Q_OVERFLOW) {
                    true => shared.tell_all(),
                    false => shared.tell(&event.wd),
                }
            }
            Ok(())
        });
        if let Ok(read) = read {
            read?;
        }
    }
}

#[expect(unsafe_code, reason = "registering with the runtime is unsafe")]
fn register(events: Inotify) -> io::Result<AsyncFd<Inotify>> {
    // SAFETY: the descriptor is owned by `events`, which `AsyncFd` owns in turn; nobody
    // closes or replaces it before both are dropped.
    let registered = unsafe { AsyncFd::register_with_interest(events, Interest::READABLE) };
    Ok(registered?)
}

/// A folder that is being watched.
#[derive(Debug)]
pub struct Watching {
    shared: Arc<Mutex<Shared>>,
    descriptors: Vec<WatchDescriptor>,
    changes: Vec<watch::Receiver<()>>,
}

impl Watching {
    /// Waits until the folder may have changed.
    pub async fn changed(&mut self) {
        let patience = match self.changes.len() {
            0..4 => POLL,
            _ => SELDOM,
        };
        // They live until one is ready: one that is dropped wakes nobody.
        let mut all: Vec<_> = self
            .changes
            .iter_mut()
            .map(|changes| Box::pin(changes.changed()))
            .collect();
        let told = std::future::poll_fn(|context| {
            let ready = all
                .iter_mut()
                .any(|changed| changed.as_mut().poll(context).is_ready());
            if ready {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        tokio::time::timeout(patience, told).await.ok();
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut shared = lock(&self.shared);
        for descriptor in &self.descriptors {
            shared.remove(descriptor);
        }
    }
}

/// Where keywords are.
const KEYWORDS: &str = "courierimapkeywords";
/// What tells of messages and keywords.
const ENTRIES: WatchMask = WatchMask::CREATE
    .union(WatchMask::DELETE)
    .union(WatchMask::MOVED_FROM)
    .union(WatchMask::MOVED_TO);
/// What tells that the folder has another name, or is gone.
const ITSELF: WatchMask = WatchMask::MOVE_SELF.union(WatchMask::DELETE_SELF);
/// How often a folder is looked at that cannot be watched.
const POLL: Duration = Duration::from_secs(60);
/// How often one is looked at that can.
const SELDOM: Duration = Duration::from_secs(3600);
/// Octets of events that are read at once.
const BUFFER: usize = 16 << 10;
