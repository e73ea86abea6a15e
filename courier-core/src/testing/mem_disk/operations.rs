//! What each operation does to the model.

use std::ops::Range;

use super::*;

type Effect = Result<(Reply, Flush), DiskErrorKind>;

impl MemDisk {
    /// What an operation does before anything is synced.
    pub(in crate::testing) fn effects(&mut self, op: &Op) -> Effect {
        let done = |flush| Ok((Reply::Done, flush));
        match op {
            Op::Create {
                path,
                content,
                mode,
                durability,
            } => self.create(path, content, *mode, *durability),
            Op::Allocate { path, length, mode } => self.allocate(path, *length, *mode),
            Op::Append {
                path,
                octets,
                durability,
            } => {
                let end = self.cached.file(path)?.1.length();
                self.write(path, end, &[Octets::clone(octets)], *durability)
            }
            Op::WriteAt {
                path,
                offset,
                octets,
                durability,
            } => self.write(path, *offset, octets, *durability),
            Op::Sync(path) => done(Flush::Data(self.cached.existing(path)?.0)),
            Op::SyncDir(path) => done(Flush::Entries(self.cached.directory(path)?.0)),
            Op::Rename { from, to } => self.rename(from, to),
            Op::Link { from, to } => self.link(from, to),
            Op::Symlink { target, path } => {
                let place = self.free_place(path)?;
                let inode = self.add_node(Contents::Link(target.clone()), 0o777);
                self.edit(vec![place.stands_for(Some(inode))]);
                done(Flush::Nothing)
            }
            Op::ReadLink(path) => match &self.cached.existing(path)?.1.contents {
                Contents::Link(target) => Ok((Reply::Path(target.clone()), Flush::Nothing)),
                _ => Err(DiskErrorKind::Other(22)), // EINVAL
            },
            Op::Unlink(path) => self.unlink(path),
            Op::Mkdir { path, mode } => self.mkdir(path, *mode),
            Op::Rmdir(path) => self.rmdir(path),
            Op::List(path) => self.list(path),
            Op::Stat(path) => {
                let (inode, node) = self.cached.existing(path)?;
                Ok((Reply::Meta(node.meta(inode)), Flush::Nothing))
            }
            Op::Resolve(path) => Ok((Reply::Path(self.cached.resolve(path)?), Flush::Nothing)),
            Op::Read { path, range } => self.read(path, range),
            Op::Truncate { path, length } => self.truncate(path, *length),
            Op::SetModified { path, time } => {
                let inode = self.cached.existing(path)?.0;
                self.change(inode, DataChange::Modified(*time));
                done(Flush::Nothing)
            }
            Op::Lock { path, patience } => self.lock(path, *patience),
            Op::Unlock(id) => {
                let held = self.locks.remove(id);
                held.ok_or(DiskErrorKind::NotFound)?;
                done(Flush::Nothing)
            }
            Op::Pause(time) => {
                self.advance(*time);
                done(Flush::Nothing)
            }
        }
    }

    /// The sync that an operation asks for.
    pub(in crate::testing) fn flush(&mut self, flush: Flush) {
        match flush {
            Flush::Nothing => {}
            Flush::Data(inode) => {
                self.counts.syncs += 1;
                self.unsynced.flush_data(inode, &mut self.durable);
            }
            Flush::Entries(inode) => {
                self.counts.directory_syncs += 1;
                self.unsynced.flush_entries(inode, &mut self.durable);
            }
        }
    }

    /// A sync fails, or a close: the data that the operation was about stays in the
    /// cache but never reaches the disk. Of entries nobody knows whether they do.
    pub(in crate::testing) fn fail_flush(&mut self, flush: Flush, op: &Op) {
        match flush {
            Flush::Entries(_) => {}
            Flush::Data(inode) => self.unsynced.drop_data(inode),
            Flush::Nothing => {
                if let Ok((inode, _)) = self.cached.file(op.path()) {
                    self.unsynced.drop_data(inode);
                }
            }
        }
    }

    fn create(
        &mut self,
        path: &Path,
        content: &[Piece],
        mode: u32,
        durability: Durability,
    ) -> Effect {
        let place = self.free_place(path)?;
        let mut pieces = Vec::with_capacity(content.len());
        for piece in content {
            pieces.push(match piece {
                Piece::Octets(octets) => Octets::clone(octets),
                Piece::File { path, range } => {
                    let octets = self.cached.file(path)?.1.read(range.clone());
                    if octets.len() as u64 != range.end.saturating_sub(range.start) {
                        return Err(DiskErrorKind::Io);
                    }
                    octets.into()
                }
            });
        }
        self.claim(length_of(&pieces))?;
        let inode = self.add_node(Contents::File(Pages::default()), mode);
        self.edit(vec![place.stands_for(Some(inode))]);
        self.write_pieces(inode, 0, &pieces);
        let flush = match durability {
            Durability::Volatile => Flush::Nothing,
            Durability::Synced => Flush::Data(inode),
        };
        self.reply_meta(inode, flush)
    }

    fn allocate(&mut self, path: &Path, length: u64, mode: u32) -> Effect {
        let place = self.free_place(path)?;
        self.claim(length)?;
        let inode = self.add_node(Contents::File(Pages::default()), mode);
        self.edit(vec![place.stands_for(Some(inode))]);
        self.change(inode, DataChange::Length(length));
        self.reply_meta(inode, Flush::Data(inode))
    }

    fn reply_meta(&self, inode: Inode, flush: Flush) -> Effect {
        let node = self.cached.node(inode).ok_or(DiskErrorKind::Io)?;
        Ok((Reply::Meta(node.meta(inode)), flush))
    }

    fn write(
        &mut self,
        path: &Path,
        offset: u64,
        pieces: &[Octets],
        durability: Durability,
    ) -> Effect {
        let (inode, pages) = self.cached.file(path)?;
        let end = offset
            .checked_add(length_of(pieces))
            .ok_or(DiskErrorKind::Other(27))?; // EFBIG
        self.claim(end.saturating_sub(pages.length()))?;
        self.write_pieces(inode, offset, pieces);
        let flush = match durability {
            Durability::Volatile => Flush::Nothing,
            Durability::Synced => Flush::Data(inode),
        };
        Ok((Reply::Done, flush))
    }

    fn write_pieces(&mut self, inode: Inode, offset: u64, pieces: &[Octets]) {
        let length = length_of(pieces);
        if length > 0 {
            self.counts.written += length;
            self.change(
                inode,
                DataChange::Write {
                    offset,
                    pieces: pieces.to_vec(),
                },
            );
        }
    }

    fn read(&mut self, path: &Path, range: &Range<u64>) -> Effect {
        let octets = self.cached.file(path)?.1.read(range.clone());
        self.counts.read += octets.len() as u64;
        Ok((Reply::Octets(octets), Flush::Nothing))
    }

    fn truncate(&mut self, path: &Path, length: u64) -> Effect {
        let (inode, pages) = self.cached.file(path)?;
        self.claim(length.saturating_sub(pages.length()))?;
        self.change(inode, DataChange::Length(length));
        Ok((Reply::Done, Flush::Nothing))
    }

    fn mkdir(&mut self, path: &Path, mode: u32) -> Effect {
        let place = self.free_place(path)?;
        let inode = self.add_node(Contents::Directory(BTreeMap::new()), mode);
        self.edit(vec![place.stands_for(Some(inode))]);
        Ok((Reply::Done, Flush::Nothing))
    }

    fn rename(&mut self, from: &Path, to: &Path) -> Effect {
        let old = self.cached.find(from)?;
        let inode = old.inode.ok_or(DiskErrorKind::NotFound)?;
        let new = self.cached.find(to)?;
        let is_directory = |inode| {
            let node = self.cached.node(inode);
            node.is_some_and(|node| node.kind() == FileKind::Directory)
        };
        if new.inode == Some(inode) {
            return Ok((Reply::Done, Flush::Nothing)); // rename(2): two names of one file
        }
        if is_directory(inode) && self.cached.is_below(new.directory, inode) {
            return Err(DiskErrorKind::Other(22)); // EINVAL
        }
        if let Some(replaced) = new.inode {
            match (is_directory(inode), is_directory(replaced)) {
                (true, false) => return Err(DiskErrorKind::NotADirectory),
                (false, true) => return Err(DiskErrorKind::IsADirectory),
                (true, true) if !self.cached.directory(to)?.1.is_empty() => {
                    return Err(DiskErrorKind::NotEmpty);
                }
                _ => {}
            }
        }
        let replaced = new.inode;
        self.edit(vec![old.stands_for(None), new.stands_for(Some(inode))]);
        self.release(replaced);
        Ok((Reply::Done, Flush::Nothing))
    }

    fn link(&mut self, from: &Path, to: &Path) -> Effect {
        let (inode, node) = self.cached.existing(from)?;
        if node.kind() == FileKind::Directory {
            return Err(DiskErrorKind::Permission);
        }
        let place = self.free_place(to)?;
        self.edit(vec![place.stands_for(Some(inode))]);
        Ok((Reply::Done, Flush::Nothing))
    }

    fn unlink(&mut self, path: &Path) -> Effect {
        let place = self.cached.find(path)?;
        let inode = place.inode.ok_or(DiskErrorKind::NotFound)?;
        let node = self.cached.node(inode).ok_or(DiskErrorKind::NotFound)?;
        if node.kind() == FileKind::Directory {
            return Err(DiskErrorKind::IsADirectory);
        }
        self.edit(vec![place.stands_for(None)]);
        self.release(Some(inode));
        Ok((Reply::Done, Flush::Nothing))
    }

    fn rmdir(&mut self, path: &Path) -> Effect {
        if !self.cached.directory(path)?.1.is_empty() {
            return Err(DiskErrorKind::NotEmpty);
        }
        let place = self.cached.find(path)?;
        if place.inode == Some(ROOT) {
            return Err(DiskErrorKind::Permission);
        }
        self.edit(vec![place.stands_for(None)]);
        Ok((Reply::Done, Flush::Nothing))
    }

    fn list(&self, path: &Path) -> Effect {
        let (_, entries) = self.cached.directory(path)?;
        let mut names: Vec<_> = entries.iter().collect();
        // A directory's order is that of a hash, not that of the alphabet.
        names.sort_by_cached_key(|(name, _)| name.iter().fold(0, |h, &b| mix(h ^ u64::from(b))));
        let mut listing = Listing::default();
        for (name, &inode) in names {
            let node = self.cached.node(inode);
            listing.push(name, node.map_or(FileKind::Unknown, Node::kind));
        }
        Ok((Reply::Listing(listing), Flush::Nothing))
    }

    fn lock(&mut self, path: &Path, patience: Millis) -> Effect {
        let (inode, _) = self.cached.file(path)?;
        let deadline = later(self.clock, patience);
        let held: Vec<Option<Timestamp>> = (self.locks.values())
            .filter(|lock| lock.inode == inode)
            .map(|lock| lock.until)
            .filter(|until| until.is_none_or(|until| until > self.clock))
            .collect();
        if held
            .iter()
            .any(|until| until.is_none_or(|until| until > deadline))
        {
            self.clock = deadline;
            return Err(DiskErrorKind::Busy);
        }
        self.clock = held.into_iter().flatten().max().unwrap_or(self.clock);
        let now = self.clock;
        self.locks
            .retain(|_, lock| lock.until.is_none_or(|until| until > now));
        let id = self.add_lock(Lock { inode, until: None });
        Ok((Reply::Lock(id), Flush::Nothing))
    }

    pub(super) fn add_lock(&mut self, lock: Lock) -> LockId {
        self.last_lock += 1;
        let id = LockId(self.last_lock);
        self.locks.insert(id, lock);
        id
    }

    /// The place of a name that is not taken.
    fn free_place(&self, path: &Path) -> Result<Place, DiskErrorKind> {
        let place = self.cached.find(path)?;
        match place.inode {
            Some(_) => Err(DiskErrorKind::Exists),
            None => Ok(place),
        }
    }

    pub(super) fn add_node(&mut self, contents: Contents, mode: u32) -> Inode {
        self.last_inode += 1;
        let node = Node {
            links: 0,
            mode,
            modified: self.clock,
            changed: self.clock,
            contents,
        };
        let empty = match &node.contents {
            Contents::File(_) => Contents::File(Pages::default()),
            other => other.clone(),
        };
        let fresh = Node {
            contents: empty,
            ..node.clone()
        };
        self.durable.add_node(self.last_inode, fresh);
        self.cached.add_node(self.last_inode, node);
        self.last_inode
    }

    fn edit(&mut self, edits: Vec<Edit>) {
        self.cached.edit(&edits, self.clock);
        self.unsynced.entries(edits, self.clock);
    }

    fn change(&mut self, inode: Inode, change: DataChange) {
        let former = self.cached.length(inode);
        unsynced::apply(&mut self.cached, inode, &change, self.clock);
        self.used = (self.used + self.cached.length(inode)).saturating_sub(former);
        self.unsynced.data(inode, change, self.clock);
    }

    /// Claims space for a file that grows.
    fn claim(&self, more: u64) -> Result<(), DiskErrorKind> {
        match self.capacity {
            Some(capacity) if more > 0 && self.used.saturating_add(more) > capacity => {
                Err(DiskErrorKind::NoSpace)
            }
            _ => Ok(()),
        }
    }

    /// Frees a file that has lost its last name.
    fn release(&mut self, inode: Option<Inode>) {
        if let Some(inode) = inode
            && let Some(node) = self.cached.node(inode)
            && node.links == 0
        {
            self.used = self.used.saturating_sub(self.cached.length(inode));
            self.cached.forget(inode);
        }
    }
}

fn length_of(pieces: &[Octets]) -> u64 {
    pieces.iter().map(|piece| piece.len() as u64).sum()
}

pub(super) fn later(time: Timestamp, passes: Millis) -> Timestamp {
    let nanos = u64::from(time.nanos) + passes.0 % 1000 * 1_000_000;
    let seconds = passes.0 / 1000 + nanos / 1_000_000_000;
    Timestamp {
        seconds: time.seconds.saturating_add_unsigned(seconds),
        nanos: u32::try_from(nanos % 1_000_000_000).unwrap_or(0),
    }
}
