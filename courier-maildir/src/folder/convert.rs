//! From modified UTF-7 to UTF-8: folders, subscriptions and filter rules of a maildir
//! from before Courier-IMAP 5.0 (`maildirmake --checkutf8`, `--convutf8`).
//!
//! What is not ASCII can be no modified UTF-7 and stays as it is, so a conversion that
//! was cut off is finished by another.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError, DiskErrorKind, Durability, FileKind, Op, Reply};

use super::change::rename_all;
use super::{FolderError, FolderName, is_missing};
use crate::modified_utf7;
use crate::tree::BATCH;

/// A name that is to become another, both in IMAP's form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renaming {
    /// As it is.
    pub from: String,
    /// As it will be.
    pub to: String,
}

/// What a file would be in UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// The names that change, in file order, up to the end or to the first that cannot
    /// be read.
    pub changes: Vec<Renaming>,
    /// The new text.
    pub text: Result<Vec<u8>, ConvertError>,
}

/// Why names cannot be converted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// Nobody knows what the name means, or no folder may be called so.
    #[error("{0}: does not appear to be valid modified-UTF7")]
    Name(String),
    /// Two folders would have one name.
    #[error("{from}: there is a folder {to} already")]
    Taken {
        /// The folder that would be renamed.
        from: String,
        /// The name it would get.
        to: String,
    },
    /// Not a recipe of filter rules, or the statement of a rule is not where the rule
    /// says.
    #[error("no filter rules that can be changed")]
    Recipe,
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A folder was not renamed.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// Says which folders of a maildir have another name in UTF-8, in the order of the
/// directory. Changes nothing.
///
/// # Errors
/// When a name is neither modified UTF-7 nor UTF-8, or two would be the same.
pub async fn renamings(disk: &Disk, maildir: &Path) -> Result<Vec<Renaming>, ConvertError> {
    let listing = match disk.list(maildir).await {
        Ok(listing) => listing,
        Err(error) if is_missing(error.kind) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let hidden: Vec<_> = listing
        .iter()
        .filter(|(name, kind)| {
            name.starts_with(b".") && matches!(kind, FileKind::Directory | FileKind::Unknown)
        })
        .map(|(name, _)| name.to_vec())
        .collect();
    let mut taken: HashSet<Vec<u8>> = listing.iter().map(|(name, _)| name.to_vec()).collect();
    let mut found = Vec::new();
    for names in hidden.chunks(BATCH) {
        let cur = |name: &Vec<u8>| Op::Stat(place(maildir, name).join("cur"));
        let stats = disk.run(names.iter().map(cur).collect()).await;
        for (name, stat) in names.iter().zip(stats) {
            match stat {
                Ok(Reply::Meta(meta)) if meta.kind == FileKind::Directory => {}
                Err(error)
                    if !is_missing(error.kind) && error.kind != DiskErrorKind::Permission =>
                {
                    return Err(error.into());
                }
                _ => continue,
            }
            let shown = format!("INBOX{}", String::from_utf8_lossy(name));
            let text = std::str::from_utf8(name).ok();
            let to = text.and_then(in_utf8);
            let to = to.ok_or_else(|| ConvertError::Name(shown.clone()))?;
            if to.len() > FolderName::LENGTH_LIMIT {
                return Err(ConvertError::Name(shown));
            }
            if to.as_bytes() != name.as_slice() {
                let to_shown = format!("INBOX{to}");
                if !taken.insert(to.into_bytes()) {
                    return Err(ConvertError::Taken {
                        from: shown,
                        to: to_shown,
                    });
                }
                found.push(Renaming {
                    from: shown,
                    to: to_shown,
                });
            }
        }
    }
    Ok(found)
}

/// A name with each of its levels in UTF-8; nothing if one is not modified UTF-7 or
/// would reach beyond its level.
fn in_utf8(name: &str) -> Option<String> {
    if !name.is_ascii() {
        return Some(name.to_owned());
    }
    let levels = name.split('.').map(|level| {
        modified_utf7::decode_loosely(level).filter(|text| {
            !text
                .chars()
                .any(|c| matches!(c, '.' | '/') || c.is_control())
        })
    });
    levels
        .collect::<Option<Vec<_>>>()
        .map(|levels| levels.join("."))
}

/// Says what `courierimapsubscribed` would be in UTF-8.
#[must_use]
pub fn subscriptions(octets: &[u8]) -> Converted {
    let mut converted = Converted {
        changes: Vec::new(),
        text: Ok(Vec::new()),
    };
    let mut text = Vec::new();
    for line in octets
        .split(|&octet| octet == b'\n')
        .filter(|line| !line.is_empty())
    {
        match converted.convert(line) {
            Ok(name) => text.extend_from_slice(name.as_bytes()),
            Err(error) => {
                converted.text = Err(error);
                return converted;
            }
        }
        text.push(b'\n');
    }
    converted.text = Ok(text);
    converted
}

impl Converted {
    fn convert(&mut self, name: &[u8]) -> Result<String, ConvertError> {
        let shown = || String::from_utf8_lossy(name).into_owned();
        let from = std::str::from_utf8(name).map_err(|_| ConvertError::Name(shown()))?;
        let to = in_utf8(from).ok_or_else(|| ConvertError::Name(shown()))?;
        if to != from {
            self.changes.push(Renaming {
                from: from.to_owned(),
                to: to.clone(),
            });
        }
        Ok(to)
    }
}

/// Says what a recipe of filter rules would be with its folders in UTF-8. Each rule
/// names its folder in a comment and delivers to it further down.
#[must_use]
pub fn recipe(octets: &[u8]) -> Converted {
    let mut converted = Converted {
        changes: Vec::new(),
        text: Err(ConvertError::Recipe),
    };
    converted.text = convert_recipe(octets, &mut converted);
    converted
}

fn convert_recipe(octets: &[u8], converted: &mut Converted) -> Result<Vec<u8>, ConvertError> {
    let first = octets.split(|&octet| octet == b'\n').next();
    let first = first.unwrap_or_default().trim_ascii_end();
    if !matches!(first, b"#MFMAILDROP=1" | b"#MFMAILDROP=2") {
        return Err(ConvertError::Recipe);
    }
    let mut text = Vec::with_capacity(octets.len());
    // What the statement of the rule must deliver to, before and afterwards.
    let mut pending: Option<(String, String)> = None;
    for line in octets.split_inclusive(|&octet| octet == b'\n') {
        if let Some(folder) = line.strip_prefix(b"##Folder:") {
            if pending.is_some() {
                return Err(ConvertError::Recipe);
            }
            let folder = folder.trim_ascii_end();
            let below = folder
                .strip_prefix(b"INBOX.")
                .or_else(|| folder.strip_prefix(b"."));
            if let Some(below) = below.filter(|below| !below.is_empty()) {
                let from = [b"INBOX.".as_slice(), below].concat();
                let to = converted.convert(&from)?;
                let to = to.strip_prefix("INBOX").unwrap_or(&to);
                text.extend_from_slice(b"##Folder:");
                text.extend_from_slice(to.as_bytes());
                text.push(b'\n');
                let from = format!(".{}", String::from_utf8_lossy(below));
                if from != to {
                    pending = Some((from, to.to_owned()));
                }
                continue;
            }
        } else if let Some((from, to)) = &pending
            && let Some(line) = redirect(line, from, to)
        {
            text.extend_from_slice(line.as_bytes());
            pending = None;
            continue;
        }
        text.extend_from_slice(line);
    }
    match pending {
        None => Ok(text),
        Some(_) => Err(ConvertError::Recipe),
    }
}

/// A statement that delivers to one folder, delivering to another.
fn redirect(line: &[u8], from: &str, to: &str) -> Option<String> {
    let line = std::str::from_utf8(line).ok()?.trim_end();
    let statement = line.trim_start();
    if !statement.starts_with("to \"") && !statement.starts_with("cc \"") {
        return None;
    }
    let path = line.strip_suffix("/.\"")?;
    let (maildir, folder) = path.rsplit_once('/')?;
    let plain: String = folder
        .chars()
        .filter(|&character| character != '\\')
        .collect();
    (plain == from).then(|| format!("{maildir}/{to}/.\"\n"))
}

/// The name under which the new text of a file waits.
#[must_use]
pub fn new_file(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

/// Writes the new text of a file beside it, durably, with its permissions; whoever
/// calls gives it the owner as well.
///
/// # Errors
/// What the disk says.
pub async fn prepare(disk: &Disk, file: &Path, text: Vec<u8>, mode: u32) -> Result<(), DiskError> {
    let fresh = new_file(file);
    match disk.one(Op::Unlink(fresh.clone())).await {
        Err(error) if error.kind != DiskErrorKind::NotFound => Err(error),
        _ => disk.create(&fresh, text, mode, Durability::Synced).await,
    }
}

/// Renames folders, all or none of them, durably.
///
/// # Errors
/// What the disk says; the folders then have their old names.
pub async fn rename_folders(
    disk: &Disk,
    maildir: &Path,
    renamings: &[Renaming],
) -> Result<(), ConvertError> {
    let directory = |name: &str| maildir.join(name.strip_prefix("INBOX").unwrap_or(name));
    let moves: Vec<_> = renamings
        .iter()
        .map(|renaming| (directory(&renaming.from), directory(&renaming.to)))
        .collect();
    if moves.is_empty() {
        return Ok(());
    }
    Ok(rename_all(disk, &moves, &[maildir]).await?)
}

/// Puts the text that was [prepared](prepare) in place of the old one, durably.
///
/// # Errors
/// What the disk says.
pub async fn replace_file(disk: &Disk, file: &Path) -> Result<(), DiskError> {
    let rename = Op::Rename {
        from: new_file(file),
        to: file.to_path_buf(),
    };
    disk.one(rename).await?;
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    disk.one(Op::SyncDir(directory.to_path_buf()))
        .await
        .map(drop)
}

fn place(maildir: &Path, name: &[u8]) -> PathBuf {
    maildir.join(OsStr::from_bytes(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use courier_core::disk::{self, DiskTask};
    use courier_core::testing::{MemDisk, Promises, crash_everywhere, fail_everywhere};
    use proptest::prelude::*;

    const SUBSCRIBED: &str = "/m/courierimapsubscribed";

    fn maildir(folders: &[&str]) -> MemDisk {
        let mut disk = MemDisk::new();
        for folder in folders {
            disk.plant_file(format!("/m/.{folder}/cur/1.x:2,"), b"mail");
        }
        disk.plant_file(SUBSCRIBED, b"INBOX.&AOk-\n");
        disk
    }

    fn found(folders: &[&str]) -> Result<Vec<String>, ConvertError> {
        let task = disk::task(|disk| async move { renamings(&disk, Path::new("/m")).await });
        let mut found: Vec<_> = maildir(folders)
            .run(task)?
            .into_iter()
            .map(|renaming| format!("{}>{}", renaming.from, renaming.to))
            .collect();
        found.sort();
        Ok(found)
    }

    #[test]
    fn folders_are_found_that_have_another_name() {
        let folders = ["x", "&AOk-", "r&-d", "a.&AOk-.b", "a..b&AOk-", "é"];
        let error = found(&folders).expect_err("two would be one");
        assert!(matches!(error, ConvertError::Taken { .. }), "{error}");
        assert_eq!(
            found(&folders[..5]),
            Ok(vec![
                "INBOX.&AOk->INBOX.é".into(),
                "INBOX.a.&AOk-.b>INBOX.a.é.b".into(),
                "INBOX.a..b&AOk->INBOX.a..bé".into(),
                "INBOX.r&-d>INBOX.r&d".into(),
            ])
        );
        assert_eq!(found(&["é", "x"]), Ok(Vec::new()));
    }

    #[test]
    fn a_name_that_means_nothing_or_would_leave_its_level_stops_it() {
        for name in ["r&d", "&2D0-", "&AC4-", "a&AC8-b", "x&AAA-"] {
            let error = found(&["&AOk-", name]).expect_err("stops");
            assert_eq!(error, ConvertError::Name(format!("INBOX.{name}")));
        }
    }

    #[test]
    fn subscriptions_keep_their_order() {
        let converted = subscriptions("INBOX\nshared.&AOk-.b\n\nINBOX.é\nINBOX.R&-D".as_bytes());
        assert_eq!(converted.changes.len(), 2);
        assert_eq!(
            converted.text.expect("converted"),
            "INBOX\nshared.é.b\nINBOX.é\nINBOX.R&D\n".as_bytes()
        );
        let converted = subscriptions(b"INBOX.&AOk-\nINBOX.a&b\nINBOX.&AOk-\n");
        assert_eq!(converted.changes.len(), 1);
        assert_eq!(converted.text, Err(ConvertError::Name("INBOX.a&b".into())));
    }

    #[test]
    fn a_recipe_delivers_where_its_rules_say() {
        let old = "#MFMAILDROP=2\n##Op:anymessage\n##Folder:INBOX.&AOk-\n##Name:a\n\n\nif ((1))\n{\n   \
                   to \"./Maildir/.&AOk-/.\"\n}\n";
        let converted = recipe(old.as_bytes());
        let new = old.replace("INBOX.&AOk-", ".é").replace("/.&AOk-", "/.é");
        assert_eq!(converted.text.expect("converted"), new.as_bytes());
        assert_eq!(converted.changes.len(), 1);
        for foreign in [
            "",
            "foo\n",
            "#MFMAILDROP=3\n",
            "#MFMAILDROP=2\n##Folder:.&AOk-\nto \"x\"\n",
        ] {
            assert_eq!(recipe(foreign.as_bytes()).text, Err(ConvertError::Recipe));
        }
        for folder in [".", "!a@b", "*no", "+auto days=1"] {
            let text = format!("#MFMAILDROP=2\n##Folder:{folder}\n   to \"./Maildir/.\"\n");
            assert_eq!(recipe(text.as_bytes()).text, Ok(text.into_bytes()));
        }
    }

    fn converting(promises: Promises<()>) -> DiskTask<'static, Result<(), ConvertError>> {
        disk::task(|disk| async move {
            let maildir = Path::new("/m");
            let found = renamings(&disk, maildir).await?;
            let old = disk.read(Path::new(SUBSCRIBED), 0..1000).await?;
            let text = subscriptions(&old).text?;
            prepare(&disk, Path::new(SUBSCRIBED), text, 0o600).await?;
            rename_folders(&disk, maildir, &found).await?;
            replace_file(&disk, Path::new(SUBSCRIBED)).await?;
            promises.make(());
            Ok(())
        })
    }

    #[test]
    fn a_conversion_that_was_cut_off_is_finished_by_another() {
        let start = maildir(&["&AOk-", "&AOk-.b"]);
        let whole = |disk: &MemDisk| {
            let mail = |folder: &str| disk.contents(format!("/m/{folder}/cur/1.x:2,")).is_some();
            assert_ne!(mail(".é"), mail(".&AOk-"), "{}", disk.show());
            let text = disk.contents(SUBSCRIBED).expect("never gone");
            let new = "INBOX.é\n".as_bytes();
            assert!(text == new || text == b"INBOX.&AOk-\n");
            mail(".é") && mail(".é.b") && text == new
        };
        crash_everywhere(&start, converting, |disk, promises| {
            assert!(whole(disk) || promises.is_empty(), "{}", disk.show());
            disk.run(converting(Promises::new())).expect("finished");
            assert!(whole(disk), "{}", disk.show());
        });
        fail_everywhere(&start, converting, |disk, given, _| {
            assert!(whole(disk) || given.is_err(), "{}", disk.show());
            disk.run(converting(Promises::new())).expect("finished");
            assert!(whole(disk), "{}", disk.show());
        });
    }

    proptest! {
        #[test]
        fn a_conversion_is_done_once(text in "([&A-Za-z.,+-]{0,8}\n){0,4}") {
            if let Ok(new) = subscriptions(text.as_bytes()).text {
                let again = subscriptions(&new);
                // `R&D` can be read once only.
                prop_assert!(again.text.is_err() || new.is_ascii() || again.text == Ok(new));
            }
        }

        #[test]
        fn noise_is_read_without_harm(octets: Vec<u8>) {
            let _ = subscriptions(&octets);
            let _ = recipe(&octets);
            let _ = recipe(&[b"#MFMAILDROP=2\n##Folder:.".as_slice(), &octets].concat());
        }

        #[test]
        fn no_name_reaches_beyond_its_level(name in "[&A-Za-z.,+-]{0,20}") {
            if let Some(new) = in_utf8(&name) {
                prop_assert_eq!(new.matches('.').count(), name.matches('.').count());
                prop_assert!(!new.contains('/'));
            }
        }
    }
}
