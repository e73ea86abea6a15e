//! `.courier-index`: what a look into a large folder found, so that the next one need
//! not read the directories (maildir.md section 20).
//!
//! It is a cache. It holds the stamps of the directories, the UID list and the keywords
//! that it was made from, and is believed while they are the same; whoever finds it
//! missing, damaged or out of date reads the folder itself. Other programs pass over a
//! name that begins with a dot. Numbers are little-endian:
//!
//! ```text
//! magic and version 8, checksum of what follows 8
//! UIDVALIDITY 4, NEXTUID 4
//! stamps of new, cur, keywords (inode 0: none), list: 4 * 32
//! messages 4, octets of names 4, dead 4, words 4, sets 4, orphans 4
//! messages * (UID 4, fingerprint 4, start 4, length 2, base 2, set 4, place 4)
//! dead * fingerprint 4
//! words * (length 2, word); sets * (length 2, numbers 2 each)
//! orphans * (length 2, set 4, base)
//! names
//! ```

mod file;
mod format;

pub(crate) use file::{load, save};
pub use format::FolderIndex;
pub(crate) use format::Record;

/// The file's name in each folder.
pub const FILE: &str = ".courier-index";
