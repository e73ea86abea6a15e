//! What counts: folders, and the names of the messages in them.

use std::path::{Component, Path};

use crate::folder::FolderPath;

/// The folder that nobody is charged for. Courier has the name built in: it does not
/// follow `IMAP_TRASHFOLDERNAME`.
pub const TRASH: &str = ".Trash";

/// Whether mail in the directory of a folder is free.
#[must_use]
pub fn is_exempt(folder: &Path) -> bool {
    folder.components().next_back() == Some(Component::Normal(TRASH.as_ref()))
}

/// Whether an entry of a maildir is a folder whose mail counts. It need not be marked as
/// one; `.trash` and `.Trash.old` count.
pub(super) fn is_counted_folder(name: &[u8]) -> bool {
    name.starts_with(b".") && !matches!(name, b"." | b"..") && name != TRASH.as_bytes()
}

/// Whether the message of this name counts. Who is marked as trashed does not; the mark
/// is a `T` in the capitals that follow the first `:2,`, in `new` as well.
pub(crate) fn is_counted(name: &[u8]) -> bool {
    if name.starts_with(b".") {
        return false;
    }
    let Some(at) = memchr::memmem::find(name, b":2,") else {
        return true;
    };
    let letters = name.get(at + 3..).unwrap_or_default();
    let mut capitals = letters
        .iter()
        .take_while(|octet| octet.is_ascii_uppercase());
    !capitals.any(|&letter| letter == b'T')
}

/// The size that a name tells: the `,S=` nearest to the first colon. Without digits it
/// says 0.
pub(crate) fn size(name: &[u8]) -> Option<u64> {
    let end = memchr::memchr(b':', name).unwrap_or(name.len());
    let base = name.get(..end)?;
    let at = memchr::memmem::rfind(base, b",S=")?;
    let digits = base.get(at + 3..)?.iter();
    let mut digits = digits.map_while(|octet| char::from(*octet).to_digit(10));
    digits.try_fold(0_u64, |sum, digit| {
        sum.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// Whether the mail of a folder counts.
pub(crate) fn counts(folder: &FolderPath) -> bool {
    folder.path() == folder.maildir() || !is_exempt(folder.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_trash_itself_is_free() {
        for free in [".Trash", "Maildir/.Trash", "Maildir/.Trash/", "./.Trash"] {
            assert!(is_exempt(Path::new(free)), "{free}");
        }
        for charged in ["Maildir", ".trash", "M/.Trash.old", "M/Trash", "M/.Trash/x"] {
            assert!(!is_exempt(Path::new(charged)), "{charged}");
        }
        let is_counted = |name: &str| is_counted_folder(name.as_bytes());
        assert!(is_counted(".a") && is_counted(".Trash.x") && is_counted(".trash"));
        assert!(!is_counted(".Trash") && !is_counted("new") && !is_counted(".."));
    }

    #[test]
    fn trashed_messages_are_free() {
        for name in ["x", "x:2,", "x:2,S", "x:2,aT", "x:2,S,T", "x:1,T", "T:2,1T"] {
            assert!(is_counted(name.as_bytes()), "{name}");
        }
        for name in ["x:2,T", "x:2,ST", "x:2,STa", "x:1:2,T", ".x", "x:2,T:2,S"] {
            assert!(!is_counted(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn sizes_are_told_by_names() {
        let size = |name: &str| size(name.as_bytes());
        assert_eq!(size("x,S=500,S=7:2,S"), Some(7));
        assert_eq!(size("x,S=500,W=510"), Some(500));
        assert_eq!(size("x,S=:2,"), Some(0));
        assert_eq!(size("x:2,,S=9"), None);
        assert_eq!(size("x"), None);
        assert_eq!(size("x,S=99999999999999999999"), None);
    }
}
