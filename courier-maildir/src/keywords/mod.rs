//! `courierimapkeywords/`: the keywords of messages, in a directory of each folder.
//!
//! `:list` holds the merged state. A change is a file named like the message, which
//! somebody merges later; it is made and merged without a lock, by the order of links
//! and renames alone. Real Courier works by the same rules on the same directory.

mod edit;
mod list;
mod load;
mod table;
mod update;

pub use edit::{EditError, Locking, edit, list};
pub(crate) use load::{Keywords, load, peek};
pub use table::{Keyword, KeywordError, KeywordTable, SetId};
pub(crate) use update::update;

/// The directory in each folder.
pub const DIRECTORY: &str = "courierimapkeywords";

/// The merged state in it.
pub(crate) const LIST: &str = ":list";

pub use list::KeywordList;
