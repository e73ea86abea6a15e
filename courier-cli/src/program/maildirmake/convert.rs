//! `--checkutf8` and `--convutf8`.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, lchown};
use std::path::{Path, PathBuf};

use courier_core::disk::{self, Disk, DiskError, DiskErrorKind};
use courier_maildir::folder::convert::{
    ConvertError, Converted, Renaming, new_file, prepare, recipe, rename_folders, renamings,
    replace_file, subscriptions,
};
use courier_maildir::subscription;

use super::super::reason;
use super::Refusal;
use crate::disk::StdDisk;

/// Whether anything is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// New texts are left beside the old ones.
    Check,
    /// They take their places.
    Convert,
}

/// Converts what can be converted, or says what would be.
pub(super) fn run(mode: Mode, maildir: &Path, rules: Option<&Path>) -> Result<(), Refusal> {
    let disk = StdDisk::new(1);
    say(&format!("Checking {}:", maildir.display()));
    let place = maildir.to_owned();
    let found = disk.run(disk::task(
        |disk| async move { renamings(&disk, &place).await },
    ));
    let found = found.map_err(|error| match error {
        ConvertError::Name(_) | ConvertError::Taken { .. } => {
            Refusal::Failed(format!("Error: {error}"))
        }
        ConvertError::Disk(error) => failed(&error),
        error => Refusal::Failed(error.to_string()),
    })?;
    let mut fresh = Vec::new();
    let result = texts(&disk, maildir, rules, &mut fresh)
        .and_then(|()| rename_all(&disk, mode, maildir, &found));
    if result.is_err() {
        for (file, _) in &fresh {
            fs::remove_file(new_file(file)).ok();
        }
    }
    result?;
    // The namesake names the subscriptions first.
    for (file, shown) in fresh.iter().rev() {
        if mode == Mode::Check {
            say(&format!("Verified {shown}"));
            continue;
        }
        say(&format!("Updating {shown}"));
        let file = file.clone();
        let replaced = disk.run(disk::task(|disk| async move {
            replace_file(&disk, &file).await
        }));
        replaced.map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Prepares the new texts of the filter rules and of the subscriptions.
fn texts(
    disk: &StdDisk,
    maildir: &Path,
    rules: Option<&Path>,
    fresh: &mut Vec<(PathBuf, String)>,
) -> Result<(), Refusal> {
    if let Some(rules) = rules
        // A directory is no recipe, which is said of it further down.
        && let Some(octets) = read(disk, rules).unwrap_or_else(|_| Some(Vec::new()))
    {
        let converted = recipe(&octets);
        for change in &converted.changes {
            say(&format!(
                "Mail filter to {} updated to {}",
                change.from, change.to
            ));
        }
        let shown = rules.display().to_string();
        match converted.text {
            // The namesake goes on without what it did not write itself.
            Err(ConvertError::Recipe) => {
                writeln!(io::stderr(), "Error: cannot load {shown}").ok();
            }
            text => {
                let text =
                    text.map_err(|error| Refusal::Failed(format!("Error: {shown}: {error}")))?;
                write_new(disk, rules, text)?;
                fresh.push((rules.to_owned(), shown));
            }
        }
    }
    let subscribed = maildir.join(subscription::FILE);
    if let Some(octets) = read(disk, &subscribed)? {
        let Converted { changes, text } = subscriptions(&octets);
        for change in &changes {
            say(&format!(
                "Subscription to {} changed to {}",
                change.from, change.to
            ));
        }
        let text = text
            .map_err(|error| Refusal::Failed(format!("Error: {}: {error}", subscription::FILE)))?;
        write_new(disk, &subscribed, text)?;
        let shown = subscribed.display().to_string();
        fresh.push((subscribed, shown));
    }
    Ok(())
}

fn rename_all(
    disk: &StdDisk,
    mode: Mode,
    maildir: &Path,
    found: &[Renaming],
) -> Result<(), Refusal> {
    for renaming in found {
        say(&format!("Rename {} to {}", renaming.from, renaming.to));
    }
    if mode == Mode::Check {
        return Ok(());
    }
    let (place, found) = (maildir.to_owned(), found.to_vec());
    let renamed = disk.run(disk::task(|disk| async move {
        rename_folders(&disk, &place, &found).await
    }));
    renamed.map_err(|error| Refusal::Failed(format!("FATAL ERROR RENAMING: {error}")))
}

/// The text of a file; nothing if there is none. The recipe may be linked from
/// elsewhere by whoever calls.
fn read(disk: &StdDisk, file: &Path) -> Result<Option<Vec<u8>>, Refusal> {
    let file = file.to_owned();
    let read = async move |disk: Disk| {
        let file = disk.resolve(&file).await?;
        disk.read(&file, 0..LIMIT).await
    };
    match disk.run(disk::task(read)) {
        Ok(octets) => Ok(Some(octets)),
        Err(error) if error.kind == DiskErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(&error)),
    }
}

/// Writes the new text of a file with the permissions and for the owner of the old one.
fn write_new(disk: &StdDisk, file: &Path, text: Vec<u8>) -> Result<(), Refusal> {
    let facts = fs::metadata(file);
    let facts = facts.map_err(|error| Refusal::Failed(format!("{}: {error}", file.display())))?;
    let (place, mode) = (file.to_owned(), facts.mode() & 0o777);
    let prepared = disk.run(disk::task(|disk| async move {
        prepare(&disk, &place, text, mode).await
    }));
    prepared.map_err(|error| failed(&error))?;
    let fresh = new_file(file);
    let owned = fs::symlink_metadata(&fresh).and_then(|made| {
        match (made.uid(), made.gid()) == (facts.uid(), facts.gid()) {
            true => Ok(()),
            false => lchown(&fresh, Some(facts.uid()), Some(facts.gid())),
        }
    });
    owned.map_err(|error| {
        fs::remove_file(&fresh).ok();
        Refusal::Failed(format!("{}: {error}", fresh.display()))
    })
}

fn failed(error: &DiskError) -> Refusal {
    Refusal::Failed(reason::of(error.path.display(), error))
}

fn say(line: &str) {
    writeln!(io::stdout(), "{line}").ok();
}

/// Octets of a file; more than any recipe or list of subscriptions has.
const LIMIT: u64 = 64 << 20;
