//! The procedure: through the source, message by message.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError, DiskErrorKind, FileKind, Meta, Op, Reply};
use courier_core::time::Timestamp;

use super::letter::{State, take_state};
use super::maildir::FolderKeywords;
use super::mbox::{Event, Quoting, Splitter, Start};
use super::mh::{self, SEQUENCES, Sequences};
use super::present::CHUNK;
use super::target::{Pending, Spool, Target};
use super::{ImportError, Place, Refusal, Report, Summary};
use crate::content::{Content, LastLine, Lines};
use crate::flags::Flags;
use crate::folder::{FolderName, FolderPath, list};
use crate::keywords::Keyword;
use crate::name::{Name, NameError};
use crate::replace::is_absent;
use crate::scan::list_kinds;
use crate::tree::BATCH;
use crate::writer::Writer;

/// What a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One file of many messages.
    Mbox(Quoting),
    /// A maildir with its folders.
    Maildir,
    /// A directory of numbered files, and of such directories.
    Mh,
}

/// An import.
#[derive(Debug, Clone, Copy)]
pub struct Import<'a> {
    /// What the source is.
    pub format: Format,
    /// The source.
    pub source: &'a Path,
    /// The maildir into which it goes.
    pub maildir: &'a Path,
    /// The folder that gets what stands at the top of the source; folders of the
    /// source go below.
    pub folder: &'a FolderName,
}

/// Adds the messages of a source that are not there yet; those counted as added are
/// durable. `report` hears of the others, and how far it got.
///
/// # Errors
/// When the source is not what it should be, or nothing more can be added.
pub async fn import(
    disk: &Disk,
    import: Import<'_>,
    writer: &Writer,
    report: &mut (dyn FnMut(Report<'_>) + Send),
) -> Result<Summary, ImportError> {
    let mut target = Target::new(disk, import.maildir, writer, report);
    match import.format {
        Format::Mbox(quoting) => mbox(&mut target, import, quoting).await?,
        Format::Maildir => maildir(&mut target, import).await?,
        Format::Mh => mh(&mut target, import).await?,
    }
    target.flush().await?;
    Ok(target.summary)
}

/// A message of an mbox file as it comes.
struct Current {
    start: Start,
    text: Vec<u8>,
    spooled: Option<(Spool, State)>,
}

/// Events that were shown, to be dealt with one after the other.
enum Shown {
    Begin(Start),
    Text(Vec<u8>),
    End,
}

fn remember(shown: &mut Vec<Shown>, event: Event<'_>) {
    match (event, shown.last_mut()) {
        (Event::Begin(start), _) => shown.push(Shown::Begin(start)),
        (Event::Text(text), Some(Shown::Text(before))) => before.extend_from_slice(text),
        (Event::Text(text), _) => shown.push(Shown::Text(text.to_vec())),
        (Event::End, _) => shown.push(Shown::End),
    }
}

async fn mbox(
    target: &mut Target<'_>,
    import: Import<'_>,
    quoting: Quoting,
) -> Result<(), ImportError> {
    let (disk, source) = (target.disk, import.source);
    let meta = disk.stat(source).await?;
    if meta.kind != FileKind::File {
        return Err(not_this(source, "a file"));
    }
    target.summary.length = Some(meta.length);
    target.open(import.folder).await?;
    let mut splitter = Some(Splitter::new(quoting));
    let mut current = None;
    while let Some(mut splitting) = splitter.take() {
        let at = target.summary.read;
        let octets = disk.read(source, at..at + CHUNK).await?;
        target.summary.read += octets.len() as u64;
        let mut shown = Vec::new();
        if octets.is_empty() {
            splitting.finish(|event| remember(&mut shown, event));
        } else {
            splitting.feed(&octets, |event| remember(&mut shown, event));
            splitter = Some(splitting);
        }
        drop(octets);
        for event in shown {
            match event {
                Shown::Begin(start) => {
                    current = Some(Current {
                        start,
                        text: Vec::new(),
                        spooled: None,
                    });
                }
                Shown::Text(text) => {
                    if let Some(current) = &mut current {
                        current.push(target, &text).await?;
                    }
                }
                Shown::End => {
                    if let Some(current) = current.take() {
                        current.end(target, source).await?;
                    }
                }
            }
        }
        (target.report)(Report::Progress(&target.summary));
    }
    Ok(())
}

impl Current {
    async fn push(&mut self, target: &mut Target<'_>, text: &[u8]) -> Result<(), ImportError> {
        self.text.extend_from_slice(text);
        if self.text.len() as u64 >= CHUNK {
            self.spill(target).await?;
        }
        Ok(())
    }

    async fn spill(&mut self, target: &mut Target<'_>) -> Result<(), DiskError> {
        let (spool, _) = self.spooled.get_or_insert_with(|| {
            let state = take_state(&mut self.text);
            (target.spool(), state)
        });
        let text = std::mem::take(&mut self.text);
        let written = spool.write(target.disk, text, target.writer).await;
        if written.is_err() {
            target.disk.one(Op::Unlink(spool.path.clone())).await.ok();
        }
        written
    }

    async fn end(mut self, target: &mut Target<'_>, source: &Path) -> Result<(), ImportError> {
        let place = Place {
            path: source.to_path_buf(),
            within: Some((self.start.offset, self.start.line)),
        };
        if self.spooled.is_some() {
            self.spill(target).await?;
        }
        let (content, state, spool) = match self.spooled {
            Some((spool, state)) => (spool.content(), state, Some(spool.path)),
            None => {
                let state = take_state(&mut self.text);
                (Content::default().octets(self.text), state, None)
            }
        };
        let refusal = match self.start.date {
            None => Some(Refusal::BeforeFirst),
            Some(_) if content.sizes().file == 0 => Some(Refusal::Empty),
            Some(_) => None,
        };
        if refusal.is_some() || state.internal {
            if let Some(spool) = spool {
                target.disk.one(Op::Unlink(spool)).await.ok();
            }
            if let Some(refusal) = refusal {
                target.refuse(&place, &refusal);
            }
            return Ok(());
        }
        let date = self.start.date.map(|seconds| Timestamp {
            seconds: seconds.0,
            nanos: 0,
        });
        let pending = Pending {
            content,
            flags: state.flags,
            keywords: state.keywords,
            date,
            place,
            spool,
        };
        target.add(pending).await
    }
}

async fn maildir(target: &mut Target<'_>, import: Import<'_>) -> Result<(), ImportError> {
    let (disk, source) = (target.disk, import.source);
    let cur = disk.stat(&source.join("cur")).await;
    if !cur.is_ok_and(|meta| meta.kind == FileKind::Directory) {
        return Err(not_this(source, "a maildir"));
    }
    for folder in list(disk, source).await? {
        let name = match folder.name.below(&FolderName::inbox()) {
            None => Ok(import.folder.clone()),
            Some(below) => import.folder.join(below),
        };
        match name {
            Ok(name) => {
                target.open(&name).await?;
                maildir_folder(target, &folder.path).await?;
            }
            Err(error) => target.refuse(&file(folder.path.path()), &error.into()),
        }
    }
    Ok(())
}

async fn maildir_folder(target: &mut Target<'_>, folder: &FolderPath) -> Result<(), ImportError> {
    let disk = target.disk;
    let keywords = FolderKeywords::load(disk, folder).await?;
    let mut found: Vec<(Vec<u8>, PathBuf)> = Vec::new();
    for directory in [folder.new_dir(), folder.cur()] {
        let mut names = Vec::new();
        let listed = list_kinds(disk, &directory, |name, _| names.push(name.to_vec())).await;
        match listed {
            Err(error) if !is_absent(error.kind) => return Err(error.into()),
            _ => {}
        }
        names.sort();
        names.dedup();
        for name in names {
            let path = directory.join(OsStr::from_bytes(&name));
            match Name::parse(&name) {
                Ok(_) => found.push((name, path)),
                Err(NameError::Hidden) => {}
                Err(error) => target.refuse(&file(&path), &error.into()),
            }
        }
    }
    found.sort_by(|(a, _), (b, _)| match (Name::parse(a), Name::parse(b)) {
        (Ok(a), Ok(b)) => a.arrival_order(b),
        _ => a.cmp(b),
    });
    let of = |name: &Vec<u8>| match Name::parse(name) {
        Ok(name) => keywords.of(name),
        Err(_) => (Flags::NONE, Vec::new()),
    };
    files(target, &found, of).await
}

async fn mh(target: &mut Target<'_>, import: Import<'_>) -> Result<(), ImportError> {
    let disk = target.disk;
    if disk.stat(import.source).await?.kind != FileKind::Directory {
        return Err(not_this(import.source, "a directory"));
    }
    let mut waiting = vec![(import.source.to_path_buf(), import.folder.clone())];
    while let Some((directory, name)) = waiting.pop() {
        let sequences = match disk.read(&directory.join(SEQUENCES), 0..16 << 20).await {
            Ok(octets) => Sequences::parse(&octets),
            Err(error) if is_absent(error.kind) => Sequences::default(),
            Err(error) => return Err(error.into()),
        };
        let (mut messages, mut others) = (Vec::new(), Vec::new());
        for (entry, kind) in disk.list(&directory).await?.iter() {
            let path = directory.join(OsStr::from_bytes(entry));
            match mh::number(entry) {
                Some(number) => messages.push((number, path)),
                None if !entry.starts_with(b".") => others.push((entry.to_vec(), path, kind)),
                None => {}
            }
        }
        messages.sort();
        target.open(&name).await?;
        files(target, &messages, |&number| {
            (sequences.flags(number), Vec::new())
        })
        .await?;
        others.sort_by(|a, b| b.0.cmp(&a.0)); // the last is taken first
        for (entry, path, kind) in others {
            let is_directory = match kind {
                FileKind::Unknown => {
                    let stat = disk.stat(&path).await;
                    stat.is_ok_and(|meta| meta.kind == FileKind::Directory)
                }
                kind => kind == FileKind::Directory,
            };
            if is_directory {
                // A dot would begin another level.
                let level = String::from_utf8_lossy(&entry).replace('.', "_");
                match name.join(&level) {
                    Ok(name) => waiting.push((path, name)),
                    Err(error) => target.refuse(&file(&path), &error.into()),
                }
            }
        }
    }
    Ok(())
}

/// Adds messages that are a file each.
async fn files<K>(
    target: &mut Target<'_>,
    found: &[(K, PathBuf)],
    state: impl Fn(&K) -> (Flags, Vec<Keyword>),
) -> Result<(), ImportError> {
    for found in found.chunks(BATCH) {
        let stats = found.iter().map(|(_, path)| Op::Stat(path.clone()));
        let stats = target.disk.run(stats.collect()).await;
        for ((key, path), stat) in found.iter().zip(stats) {
            let place = file(path);
            match read_file(target.disk, path, stat).await {
                Ok(Some((content, date))) => {
                    target.summary.read += content.sizes().file;
                    let (flags, keywords) = state(key);
                    let pending = Pending {
                        content,
                        flags,
                        keywords,
                        date: Some(date),
                        place,
                        spool: None,
                    };
                    target.add(pending).await?;
                }
                Ok(None) => {}
                Err(refusal) => target.refuse(&place, &refusal),
            }
        }
    }
    Ok(())
}

/// A message's content and date; nothing if it is gone meanwhile.
async fn read_file(
    disk: &Disk,
    path: &Path,
    stat: Result<Reply, DiskError>,
) -> Result<Option<(Content, Timestamp)>, Refusal> {
    let meta: Meta = match stat {
        Ok(Reply::Meta(meta)) => meta,
        Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error.into()),
        _ => return Ok(None),
    };
    if meta.kind != FileKind::File {
        return Err(Refusal::NotRegular);
    }
    if meta.length == 0 {
        return Err(Refusal::Empty);
    }
    let mut octets = disk.read(path, 0..CHUNK).await?;
    if octets.len() as u64 == meta.length {
        return Ok(Some((Content::default().octets(octets), meta.modified)));
    }
    // A long one is copied by the driver; here its lines are counted.
    let (mut at, mut bare, mut last) = (0, 0, LastLine::Ended);
    let mut after_return = false;
    while !octets.is_empty() {
        at += octets.len() as u64;
        let lines = Lines::of(&octets);
        // A line feed at the front may belong to a carriage return before.
        bare += lines.bare - u64::from(after_return && octets.first() == Some(&b'\n'));
        last = lines.last;
        after_return = octets.last() == Some(&b'\r');
        octets = disk.read(path, at..at + CHUNK).await?;
    }
    let content = Content::default().file(path, 0..at, Lines { bare, last });
    Ok(Some((content, meta.modified)))
}

fn file(path: &Path) -> Place {
    Place {
        path: path.to_path_buf(),
        within: None,
    }
}

fn not_this(path: &Path, expected: &'static str) -> ImportError {
    ImportError::NotThis {
        path: path.to_path_buf(),
        expected,
    }
}
