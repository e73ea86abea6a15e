//! What lies in a configuration directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::file::{ConfigFile, DirectoryRule, Standing};
use super::super::finding::Findings;
use super::super::registry::{self, Kind, ShellFile};
use super::whole;
use crate::disk::{Disk, DiskErrorKind, FileKind, Op, Outcome, Reply};
use crate::time::Timestamp;

/// The longest file that is read, in octets.
const MAX_FILE: u64 = 16 << 20;

/// A directory: what names are there, and what is in the files that are read.
#[derive(Debug)]
pub(super) struct Tree {
    path: PathBuf,
    names: BTreeMap<String, FileKind>,
    /// A file has one; a directory as many as there are in it.
    contents: BTreeMap<String, Vec<ConfigFile>>,
    /// Files with passwords that everybody may read.
    exposed: Vec<String>,
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
            "it is not a regular file (symbolic links are not followed)".to_owned()
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
        self.names.get(name) == Some(&FileKind::Directory)
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
        let paths = wanted.iter().map(|name| self.path.join(name)).collect();
        let files = read_all(disk, paths, findings).await;
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
            let path = self.path.join(name);
            match disk.stat(&path).await {
                Ok(meta) if meta.mode & 0o004 != 0 => self.exposed.push(name.clone()),
                Ok(_) => {}
                Err(error) => findings.error(&whole(&path), error.kind.to_string()),
            }
        }
    }
}

/// Reads one file.
pub(super) async fn read_file(disk: &Disk, path: &Path) -> Result<Vec<u8>, ReadError> {
    taken(disk.one(read_op(path)).await)
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
    paths: Vec<PathBuf>,
    findings: &mut Findings,
) -> Vec<Option<ConfigFile>> {
    let batch = paths.iter().map(|path| read_op(path)).collect();
    let outcomes = disk.run(batch).await;
    let mut files = Vec::new();
    for (path, outcome) in paths.iter().zip(outcomes) {
        files.push(match taken(outcome) {
            Ok(octets) => Some(ConfigFile::new(path, octets)),
            Err(error) => {
                findings.error(&whole(path), format!("the file is not read: {error}"));
                None
            }
        });
    }
    files
}

/// The names in a directory, sorted, and what they stand for.
async fn names(
    disk: &Disk,
    path: &Path,
    if_missing: IfMissing,
    findings: &mut Findings,
) -> BTreeMap<String, FileKind> {
    let listing = match disk.list(path).await {
        Ok(listing) => listing,
        Err(error) if (error.kind, if_missing) == (DiskErrorKind::NotFound, IfMissing::Empty) => {
            return BTreeMap::new();
        }
        Err(error) => {
            let text = format!("the directory is not read: {}", error.kind);
            findings.error(&whole(path), text);
            return BTreeMap::new();
        }
    };
    let mut names = BTreeMap::new();
    let mut unknown = Vec::new();
    for (name, kind) in listing.iter() {
        match std::str::from_utf8(name) {
            Ok(name) if kind == FileKind::Unknown => unknown.push(name.to_owned()),
            Ok(name) => drop(names.insert(name.to_owned(), kind)),
            Err(_) => findings.note(
                &whole(path),
                format!(
                    "{} is no name of a setting, it is not UTF-8",
                    String::from_utf8_lossy(name)
                ),
            ),
        }
    }
    for name in unknown {
        // If this fails, so will reading the file.
        let kind = disk.stat(&path.join(&name)).await.map(|meta| meta.kind);
        names.insert(name, kind.unwrap_or(FileKind::Unknown));
    }
    names
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
    for (name, kind) in &names {
        if *kind == FileKind::Directory {
            continue;
        }
        let file = path.join(name);
        match rule.standing(name) {
            Standing::Read => wanted.push(file),
            Standing::Skip => {}
            Standing::Refuse => findings.error(
                &whole(&file),
                "a package manager left this file; merge it into its original and remove it",
            ),
            Standing::UnlessNewer => {
                let original = name.strip_suffix(".dist").unwrap_or_default();
                let original = modified(disk, &path.join(original)).await;
                if original.is_none() || original <= modified(disk, &file).await {
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

async fn modified(disk: &Disk, path: &Path) -> Option<Timestamp> {
    disk.stat(path).await.ok().map(|meta| meta.modified)
}
