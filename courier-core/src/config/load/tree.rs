//! What lies in a configuration directory.
//!
//! Many sites link files of one configuration to those of another, so symbolic links
//! are followed here, as Courier does; nobody but the administrator can make one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::file::{ConfigFile, DirectoryRule, Standing};
use super::super::finding::Findings;
use super::super::registry::{self, Kind, ShellFile};
use super::whole;
use crate::disk::{Disk, DiskErrorKind, FileKind, Listing, Op, Outcome, Reply};
use crate::time::Timestamp;

/// The longest file that is read, in octets.
const MAX_FILE: u64 = 16 << 20;

/// A directory: what names are there, and what is in the files that are read.
#[derive(Debug)]
pub(super) struct Tree {
    path: PathBuf,
    names: BTreeMap<String, Entry>,
    /// A file has one; a directory as many as there are in it.
    contents: BTreeMap<String, Vec<ConfigFile>>,
    /// Files with passwords that everybody may read.
    exposed: Vec<String>,
}

/// What a name in a directory stands for, links followed.
#[derive(Debug)]
struct Entry {
    kind: FileKind,
    /// Where it is.
    path: PathBuf,
}

impl Tree {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// The contents of a file, or of the files in a directory.
    pub(super) fn files(&self, name: &str) -> &[ConfigFile] {
        self.contents.get(name).map_or(&[], Vec::as_slice)
    }

    /// The contents of a file.
    pub(super) fn file(&self, name: &str) -> Option<&ConfigFile> {
        self.files(name).first()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    pub(super) fn exposed(&self) -> &[String] {
        &self.exposed
    }

    /// The shell files that no service of ours reads yet.
    pub(super) fn shells(&self) -> impl Iterator<Item = (&str, ShellFile)> {
        self.names()
            .filter_map(|name| match registry::file(name)?.kind {
                Kind::Shell(ShellFile::Esmtpd | ShellFile::Imapd | ShellFile::Pop3d) => None,
                Kind::Shell(kind) => Some((name, kind)),
                _ => None,
            })
    }
}

/// What a directory that is not there means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IfMissing {
    /// Something is wrong.
    Error,
    /// There is nothing to be read.
    Empty,
}

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("{}", told(.0))]
    Disk(DiskErrorKind),
    #[error("it is longer than 16 MiB")]
    TooLong,
}

impl ReadError {
    pub(super) fn is(&self, kind: DiskErrorKind) -> bool {
        matches!(self, Self::Disk(found) if *found == kind)
    }
}

fn told(kind: &DiskErrorKind) -> String {
    match kind {
        DiskErrorKind::NotRegular => {
            "it is not a regular file, or a symbolic link that leads nowhere".to_owned()
        }
        _ => kind.to_string(),
    }
}

/// Reads a directory with all of its files that some part looks into.
pub(super) async fn read(
    disk: &Disk,
    path: &Path,
    if_missing: IfMissing,
    findings: &mut Findings,
) -> Tree {
    let mut tree = Tree {
        path: path.to_path_buf(),
        names: names(disk, path, if_missing, findings).await,
        contents: BTreeMap::new(),
        exposed: Vec::new(),
    };
    let known: Vec<(String, Kind)> = tree
        .names()
        .filter_map(|name| Some((name.to_owned(), registry::file(name)?.kind)))
        .collect();
    tree.read_files(disk, &known, findings).await;
    for (name, kind) in &known {
        if let (Kind::ListOrDirectory(rule), true) = (kind, tree.is_directory(name)) {
            let files = directory(disk, &path.join(name), *rule, findings).await;
            tree.contents.insert(name.clone(), files);
        }
    }
    tree.look_at_secrets(disk, &known, findings).await;
    tree
}

impl Tree {
    fn is_directory(&self, name: &str) -> bool {
        self.names
            .get(name)
            .is_some_and(|entry| entry.kind == FileKind::Directory)
    }

    /// Where a name is shown to be, and where it is.
    fn file_of(&self, name: &str) -> FileOf {
        let shown = self.path.join(name);
        let real = match self.names.get(name) {
            Some(entry) => entry.path.clone(),
            None => shown.clone(),
        };
        FileOf { shown, real }
    }

    async fn read_files(&mut self, disk: &Disk, known: &[(String, Kind)], findings: &mut Findings) {
        let wanted: Vec<&String> = known
            .iter()
            .filter(|(name, kind)| match kind {
                Kind::OneLine(_) | Kind::List | Kind::Shell(_) | Kind::Rc(_) => true,
                Kind::ListOrDirectory(_) => !self.is_directory(name),
                Kind::Other | Kind::Secret | Kind::Marker | Kind::Compiled(_) => false,
            })
            .map(|(name, _)| name)
            .collect();
        let files = wanted.iter().map(|name| self.file_of(name)).collect();
        let files = read_all(disk, files, findings).await;
        for (name, file) in wanted.into_iter().zip(files) {
            if let Some(file) = file {
                self.contents.insert(name.clone(), vec![file]);
            }
        }
    }

    async fn look_at_secrets(
        &mut self,
        disk: &Disk,
        known: &[(String, Kind)],
        findings: &mut Findings,
    ) {
        let secret = |kind: &Kind| matches!(kind, Kind::Secret | Kind::Rc(_));
        for (name, _) in known.iter().filter(|(_, kind)| secret(kind)) {
            let file = self.file_of(name);
            match disk.stat(&file.real).await {
                Ok(meta) if meta.mode & 0o004 != 0 => self.exposed.push(name.clone()),
                Ok(_) => {}
                Err(error) => findings.error(&whole(&file.shown), error.kind.to_string()),
            }
        }
    }
}

/// A file by two paths: that by which the administrator knows it, and that without
/// links.
struct FileOf {
    shown: PathBuf,
    real: PathBuf,
}

/// Reads one file.
pub(super) async fn read_file(disk: &Disk, path: &Path) -> Result<Vec<u8>, ReadError> {
    match taken(disk.one(read_op(path)).await) {
        Err(error) if error.is(DiskErrorKind::NotRegular) => match disk.resolve(path).await {
            Ok(real) => taken(disk.one(read_op(&real)).await),
            Err(_) => Err(error),
        },
        read => read,
    }
}

fn read_op(path: &Path) -> Op {
    let path = path.to_path_buf();
    let range = 0..MAX_FILE + 1;
    Op::Read { path, range }
}

fn taken(outcome: Outcome) -> Result<Vec<u8>, ReadError> {
    match outcome {
        Ok(Reply::Octets(octets)) if octets.len() as u64 > MAX_FILE => Err(ReadError::TooLong),
        Ok(Reply::Octets(octets)) => Ok(octets),
        Ok(_) => Err(ReadError::Disk(DiskErrorKind::Io)),
        Err(error) => Err(ReadError::Disk(error.kind)),
    }
}

/// Reads files at once; those that cannot be read are reported.
async fn read_all(
    disk: &Disk,
    files: Vec<FileOf>,
    findings: &mut Findings,
) -> Vec<Option<ConfigFile>> {
    let batch = files.iter().map(|file| read_op(&file.real)).collect();
    let outcomes = disk.run(batch).await;
    let mut read = Vec::new();
    for (FileOf { shown, .. }, outcome) in files.iter().zip(outcomes) {
        read.push(match taken(outcome) {
            Ok(octets) => Some(ConfigFile::new(shown, octets)),
            Err(error) => {
                findings.error(&whole(shown), format!("the file is not read: {error}"));
                None
            }
        });
    }
    read
}

/// The names in a directory, sorted, and what they stand for.
async fn names(
    disk: &Disk,
    path: &Path,
    if_missing: IfMissing,
    findings: &mut Findings,
) -> BTreeMap<String, Entry> {
    let (path_of_it, listing) = match list(disk, path).await {
        Ok(listed) => listed,
        Err(kind) if (kind, if_missing) == (DiskErrorKind::NotFound, IfMissing::Empty) => {
            return BTreeMap::new();
        }
        Err(kind) => {
            let text = format!("the directory is not read: {kind}");
            findings.error(&whole(path), text);
            return BTreeMap::new();
        }
    };
    let mut names = BTreeMap::new();
    for (name, kind) in listing.iter() {
        let Ok(name) = std::str::from_utf8(name) else {
            let name = String::from_utf8_lossy(name);
            let text = format!("{name} is no name of a setting, it is not UTF-8");
            findings.note(&whole(path), text);
            continue;
        };
        let path = path_of_it.join(name);
        names.insert(name.to_owned(), Entry { kind, path });
    }
    for entry in names.values_mut() {
        look_closer(disk, entry).await;
    }
    names
}

/// Lists a directory; gives where it is, too.
async fn list(disk: &Disk, path: &Path) -> Result<(PathBuf, Listing), DiskErrorKind> {
    match disk.list(path).await {
        Ok(listing) => Ok((path.to_path_buf(), listing)),
        // A link, or one to nothing.
        Err(error) if error.kind == DiskErrorKind::NotRegular => {
            let real = disk.resolve(path).await.map_err(|_| error.kind)?;
            let listing = disk.list(&real).await.map_err(|error| error.kind)?;
            Ok((real, listing))
        }
        Err(error) => Err(error.kind),
    }
}

/// Finds out what a link leads to, and what it is that a directory does not say. If
/// this fails, so will reading the file.
async fn look_closer(disk: &Disk, entry: &mut Entry) {
    if entry.kind == FileKind::Unknown
        && let Ok(meta) = disk.stat(&entry.path).await
    {
        entry.kind = meta.kind;
    }
    if entry.kind == FileKind::Link
        && let Ok(path) = disk.resolve(&entry.path).await
    {
        let kind = disk.stat(&path).await.map(|meta| meta.kind);
        entry.kind = kind.unwrap_or(FileKind::Unknown);
        entry.path = path;
    }
}

/// The files of a directory that stands for a list, in the order of their names.
async fn directory(
    disk: &Disk,
    path: &Path,
    rule: DirectoryRule,
    findings: &mut Findings,
) -> Vec<ConfigFile> {
    let names = names(disk, path, IfMissing::Error, findings).await;
    let mut wanted = Vec::new();
    for (name, entry) in &names {
        if entry.kind == FileKind::Directory {
            continue;
        }
        let file = path.join(name);
        match rule.standing(name) {
            Standing::Read => wanted.push(FileOf {
                shown: file,
                real: entry.path.clone(),
            }),
            Standing::Skip => {}
            Standing::Refuse => findings.error(
                &whole(&file),
                "a package manager left this file; merge it into its original and remove it",
            ),
            Standing::UnlessNewer => {
                let original = name.strip_suffix(".dist").unwrap_or_default();
                let original = modified(disk, names.get(original)).await;
                if original.is_none() || original <= modified(disk, Some(entry)).await {
                    findings.error(
                        &whole(&file),
                        "newer than the file it is the model of; look what has changed, and touch that",
                    );
                }
            }
        }
    }
    let files = read_all(disk, wanted, findings).await;
    files.into_iter().flatten().collect()
}

async fn modified(disk: &Disk, entry: Option<&Entry>) -> Option<Timestamp> {
    let meta = disk.stat(&entry?.path).await;
    meta.ok().map(|meta| meta.modified)
}
