//! Inodes and names: one state of a file system.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::pages::Pages;
use crate::disk::{DiskErrorKind, FileKind, Meta};
use crate::time::Timestamp;

/// Number of a file.
pub(super) type Inode = u64;
/// Name of a directory entry.
pub(super) type Name = Arc<[u8]>;

pub(super) const ROOT: Inode = 1;
/// Symbolic links followed in the directories of one path.
const LINKS_FOLLOWED: usize = 8;
const LONGEST_NAME: usize = 255;

#[derive(Debug, Clone)]
pub(super) enum Contents {
    File(Pages),
    Directory(BTreeMap<Name, Inode>),
    Link(PathBuf),
    Other,
}

#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) contents: Contents,
    /// Number of names.
    pub(super) links: u64,
    pub(super) mode: u32,
    pub(super) modified: Timestamp,
    pub(super) changed: Timestamp,
}

/// Where a path leads: an entry of a directory, taken or not.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) directory: Inode,
    pub(super) name: Name,
    pub(super) inode: Option<Inode>,
}

/// What becomes of a link in the last component of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastLink {
    Kept,
    Followed,
}

/// One change of one directory entry: what the name stands for afterwards.
#[derive(Debug, Clone)]
pub(super) struct Edit {
    pub(super) directory: Inode,
    pub(super) name: Name,
    pub(super) inode: Option<Inode>,
}

impl Place {
    /// The change after which the name stands for this.
    pub(super) fn stands_for(self, inode: Option<Inode>) -> Edit {
        Edit {
            directory: self.directory,
            name: self.name,
            inode,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Tree {
    nodes: BTreeMap<Inode, Arc<Node>>,
}

impl Tree {
    pub(super) fn new(now: Timestamp) -> Self {
        let root = Node {
            contents: Contents::Directory(BTreeMap::new()),
            links: 1,
            mode: 0o755,
            modified: now,
            changed: now,
        };
        Self {
            nodes: BTreeMap::from([(ROOT, Arc::new(root))]),
        }
    }

    pub(super) fn node(&self, inode: Inode) -> Option<&Node> {
        self.nodes.get(&inode).map(Arc::as_ref)
    }

    pub(super) fn node_mut(&mut self, inode: Inode) -> Option<&mut Node> {
        self.nodes.get_mut(&inode).map(Arc::make_mut)
    }

    pub(super) fn add_node(&mut self, inode: Inode, node: Node) {
        self.nodes.insert(inode, Arc::new(node));
    }

    /// Finds where a path leads. A link in the last component is not followed.
    pub(super) fn find(&self, path: &Path) -> Result<Place, DiskErrorKind> {
        let mut walk = self.way(path, LastLink::Kept)?;
        walk.pop().ok_or(DiskErrorKind::NotFound)
    }

    /// The path without links and dots to what a path leads to.
    pub(super) fn resolve(&self, path: &Path) -> Result<PathBuf, DiskErrorKind> {
        let walk = self.way(path, LastLink::Followed)?;
        if walk.last().is_none_or(|place| place.inode.is_none()) {
            return Err(DiskErrorKind::NotFound);
        }
        let names = walk.iter().map(|place| OsStr::from_bytes(&place.name));
        Ok(names.collect())
    }

    /// The entries on the way of a path, from the root on.
    fn way(&self, path: &Path, last: LastLink) -> Result<Vec<Place>, DiskErrorKind> {
        let mut walk = vec![Place {
            directory: ROOT,
            name: Name::from(&b"/"[..]),
            inode: Some(ROOT),
        }];
        let mut links = LINKS_FOLLOWED;
        let mut steps: Vec<Vec<u8>> = Vec::new();
        push_components(&mut steps, path)?;
        loop {
            let step = steps.pop();
            let follows = last == LastLink::Followed && self.is_link(walk.last());
            if step.is_none() && !follows {
                return Ok(walk);
            }
            let here = walk.last().and_then(|place| place.inode);
            let here = here.ok_or(DiskErrorKind::NotFound)?;
            let node = self.node(here).ok_or(DiskErrorKind::NotFound)?;
            match (&node.contents, step) {
                (Contents::Directory(entries), Some(step)) => match step.as_slice() {
                    b"/" => walk.truncate(1),
                    b".." => walk.truncate((walk.len() - 1).max(1)),
                    name => walk.push(Place {
                        directory: here,
                        name: Name::from(name),
                        inode: entries.get(name).copied(),
                    }),
                },
                (Contents::Link(target), step) => {
                    links = links.checked_sub(1).ok_or(DiskErrorKind::NotRegular)?;
                    steps.extend(step);
                    push_components(&mut steps, target)?;
                    walk.pop();
                }
                _ => return Err(DiskErrorKind::NotADirectory),
            }
        }
    }

    fn is_link(&self, place: Option<&Place>) -> bool {
        let node = place.and_then(|place| self.node(place.inode?));
        node.is_some_and(|node| matches!(node.contents, Contents::Link(_)))
    }

    /// The node a path leads to.
    pub(super) fn existing(&self, path: &Path) -> Result<(Inode, &Node), DiskErrorKind> {
        let inode = self.find(path)?.inode.ok_or(DiskErrorKind::NotFound)?;
        let node = self.node(inode).ok_or(DiskErrorKind::NotFound)?;
        Ok((inode, node))
    }

    /// The regular file a path leads to.
    pub(super) fn file(&self, path: &Path) -> Result<(Inode, &Pages), DiskErrorKind> {
        let (inode, node) = self.existing(path)?;
        match &node.contents {
            Contents::File(pages) => Ok((inode, pages)),
            Contents::Directory(_) => Err(DiskErrorKind::IsADirectory),
            Contents::Link(_) | Contents::Other => Err(DiskErrorKind::NotRegular),
        }
    }

    /// The directory a path leads to.
    pub(super) fn directory(
        &self,
        path: &Path,
    ) -> Result<(Inode, &BTreeMap<Name, Inode>), DiskErrorKind> {
        let (inode, node) = self.existing(path)?;
        match &node.contents {
            Contents::Directory(entries) => Ok((inode, entries)),
            Contents::Link(_) => Err(DiskErrorKind::NotRegular),
            Contents::File(_) | Contents::Other => Err(DiskErrorKind::NotADirectory),
        }
    }

    /// Changes entries; those of a directory that is not there are passed over.
    pub(super) fn edit(&mut self, edits: &[Edit], now: Timestamp) {
        for edit in edits {
            let Some(node) = self.node_mut(edit.directory) else {
                continue;
            };
            (node.modified, node.changed) = (now, now);
            let Contents::Directory(entries) = &mut node.contents else {
                continue;
            };
            let former = match edit.inode {
                Some(inode) => entries.insert(Name::clone(&edit.name), inode),
                None => entries.remove(&edit.name),
            };
            if let Some(child) = former.and_then(|inode| self.node_mut(inode)) {
                child.links = child.links.saturating_sub(1);
                child.changed = now;
            }
            if let Some(child) = edit.inode.and_then(|inode| self.node_mut(inode)) {
                child.links += 1;
                child.changed = now;
            }
        }
    }

    /// Whether `inode` is `directory` or stands somewhere below it.
    pub(super) fn is_below(&self, inode: Inode, directory: Inode) -> bool {
        self.reachable(directory).contains(&inode)
    }

    /// Forgets what no name leads to.
    pub(super) fn prune(&mut self) {
        let reachable = self.reachable(ROOT);
        self.nodes.retain(|inode, _| reachable.contains(inode));
    }

    fn reachable(&self, from: Inode) -> BTreeSet<Inode> {
        let mut seen = BTreeSet::from([from]);
        let mut open = vec![from];
        while let Some(inode) = open.pop() {
            if let Some(Contents::Directory(entries)) = self.node(inode).map(|n| &n.contents) {
                open.extend(entries.values().filter(|&&child| seen.insert(child)));
            }
        }
        seen
    }

    /// Length of a regular file; 0 of anything else.
    pub(super) fn length(&self, inode: Inode) -> u64 {
        match self.node(inode).map(|node| &node.contents) {
            Some(Contents::File(pages)) => pages.length(),
            _ => 0,
        }
    }

    /// Octets of all files together.
    pub(super) fn octets(&self) -> u64 {
        self.nodes.keys().map(|&inode| self.length(inode)).sum()
    }

    /// Forgets a file that has no name left.
    pub(super) fn forget(&mut self, inode: Inode) {
        if self.node(inode).is_some_and(|node| node.links == 0) {
            self.nodes.remove(&inode);
        }
    }

    /// Every name with what it stands for, from the root down.
    pub(super) fn walk(&self) -> Vec<(PathBuf, &Node)> {
        let mut found = Vec::new();
        let mut open = vec![(PathBuf::from("/"), ROOT)];
        while let Some((path, inode)) = open.pop() {
            let Some(node) = self.node(inode) else {
                continue;
            };
            if let Contents::Directory(entries) = &node.contents {
                for (name, &child) in entries.iter().rev() {
                    open.push((path.join(OsStr::from_bytes(name)), child));
                }
            }
            found.push((path, node));
        }
        found
    }
}

impl Node {
    pub(super) fn kind(&self) -> FileKind {
        match self.contents {
            Contents::File(_) => FileKind::File,
            Contents::Directory(_) => FileKind::Directory,
            Contents::Link(_) => FileKind::Link,
            Contents::Other => FileKind::Other,
        }
    }

    pub(super) fn meta(&self, inode: Inode) -> Meta {
        Meta {
            kind: self.kind(),
            length: match &self.contents {
                Contents::File(pages) => pages.length(),
                Contents::Directory(_) => 4096,
                Contents::Link(target) => target.as_os_str().len() as u64,
                Contents::Other => 0,
            },
            mode: self.mode,
            links: self.links,
            inode,
            device: 1,
            uid: 1000,
            gid: 1000,
            modified: self.modified,
            changed: self.changed,
        }
    }
}

/// Puts the components of a path on a stack, the first one on top.
fn push_components(steps: &mut Vec<Vec<u8>>, path: &Path) -> Result<(), DiskErrorKind> {
    for component in path.components().rev() {
        let step = component.as_os_str().to_os_string().into_vec();
        match component {
            Component::CurDir => continue,
            Component::Normal(_) if step.len() > LONGEST_NAME || step.contains(&0) => {
                return Err(DiskErrorKind::BadName);
            }
            _ => steps.push(step),
        }
    }
    Ok(())
}
