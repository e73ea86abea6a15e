//! `maildirfilterconfig`: whether there are filter rules, and where.

use std::path::{Path, PathBuf};

use courier_core::disk::{Disk, DiskError, DiskErrorKind};

use super::print::{MAILBOT, Places};

/// The file's name, in a maildir or in the configuration directory.
pub const FILE: &str = "maildirfilterconfig";

/// Where the recipe is, and what stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The recipe, seen from the maildir.
    pub recipe: PathBuf,
    /// What it is printed with.
    pub places: Places,
}

impl Config {
    /// Reads the file; nothing if it does not name a recipe, or a maildir that cannot
    /// stand in one. Later lines count, text that is no setting is passed over.
    #[must_use]
    pub fn parse(octets: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(octets).ok()?;
        let (mut recipe, mut maildir) = ("", "./Maildir");
        for line in text.lines() {
            match line.split_once('=') {
                Some(("MAILDIRFILTER", path)) => recipe = path.trim_end(),
                Some(("MAILDIR", path)) => maildir = path.trim_end(),
                _ => {}
            }
        }
        let good = !recipe.is_empty() && !recipe.contains(char::is_control);
        good.then_some(())?;
        Some(Self {
            recipe: recipe.into(),
            places: Places::new(maildir, MAILBOT)?,
        })
    }
}

/// Looks into the maildir, then into the system's file. Nothing if neither names a
/// recipe: there are no filter rules then.
///
/// # Errors
/// What the disk says.
pub async fn config(
    disk: &Disk,
    maildir: &Path,
    system: Option<&Path>,
) -> Result<Option<Config>, DiskError> {
    let own = maildir.join(FILE);
    for path in [Some(own.as_path()), system].into_iter().flatten() {
        match disk.read(path, 0..LIMIT).await {
            Ok(octets) => return Ok(Config::parse(&octets)),
            Err(error) if error.kind == DiskErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

const LIMIT: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use courier_core::disk;
    use courier_core::testing::MemDisk;

    #[test]
    fn a_recipe_must_be_named() {
        let config = Config::parse(b"# x\nMAILDIRFILTER=../.mailfilter\nMAILDIR=./Mail\n");
        let expected = Config {
            recipe: "../.mailfilter".into(),
            places: Places::new("./Mail", "/usr/bin/mailbot").expect("places"),
        };
        assert_eq!(config, Some(expected));
        for text in [
            "",
            "MAILDIR=./Maildir\n",
            "MAILDIRFILTER=\n",
            "MAILDIRFILTER=a\u{1}\n",
        ] {
            assert_eq!(Config::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn the_maildirs_own_file_comes_first() {
        let mut disk = MemDisk::new();
        disk.plant_file("/etc/maildirfilterconfig", b"MAILDIRFILTER=a\n");
        let look = |disk: &mut MemDisk| {
            let system = Path::new("/etc/maildirfilterconfig");
            let task =
                disk::task(
                    |disk| async move { config(&disk, Path::new("/m"), Some(system)).await },
                );
            let config = disk.run(task).expect("read");
            config.map(|config| config.recipe)
        };
        assert_eq!(look(&mut disk), Some("a".into()));
        disk.plant_file("/m/maildirfilterconfig", b"MAILDIRFILTER=b\n");
        assert_eq!(look(&mut disk), Some("b".into()));
    }
}
