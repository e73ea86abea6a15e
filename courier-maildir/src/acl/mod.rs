//! Who may do what in a folder: `courierimapacl` (maildir.md §10).
//!
//! An [`AccessList`] gives [`Rights`] to [`Identifier`]s, or takes them. A folder
//! without a list inherits that of the folder above, and keeps it: [`read`] writes it
//! down, so that later changes above do not reach the folder. Levels of the hierarchy
//! that are no folders have their lists in `courierimaphieracl`.
//!
//! ```
//! use courier_maildir::acl::{AccessList, Identifier, Rights, member};
//!
//! let mut list = AccessList::parse(b"owner aceilrstwx\nanyone lr\n-user=eve r\n");
//! list.set(Identifier::parse(b"group=staff")?, Rights::parse(b"lrsw")?);
//! list.administer();
//! assert!(list.check(None).is_ok());
//! let rights = |user| list.compute(&member(user, "user=ann@example.com", ["staff"])).to_string();
//! assert_eq!(rights("bob@example.com"), "lrsw");
//! assert_eq!(rights("eve"), "lsw");
//! assert_eq!(rights("ann@example.com"), "aceilrstwx");
//! # Ok::<(), courier_maildir::acl::AclError>(())
//! ```

mod identifier;
mod list;
mod nodes;
mod rights;
mod store;

use courier_core::disk::DiskError;

pub use identifier::{Identifier, member};
pub use list::AccessList;
pub(crate) use nodes::{Move, forget};
pub use rights::Rights;
pub use store::{change, read, reset};

use crate::folder::FolderError;
use crate::lock::LockError;

/// The list's name in a folder.
pub const FILE: &str = "courierimapacl";

/// Where in the top maildir the lists of levels stand that are no folders.
pub const DIRECTORY: &str = "courierimaphieracl";

/// Octets of a list that is read; one that is longer grants nothing.
pub const LIMIT: u64 = 1 << 20;

/// Why a list was not read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AclError {
    /// An identifier that cannot stand in a list: empty, or with blanks or control
    /// characters.
    #[error("an identifier is not empty and holds no blanks or control characters")]
    Identifier,
    /// Rights with blanks or control characters.
    #[error("rights are letters, without blanks or control characters")]
    Rights,
    /// The owner would lose the rights to see the folder and to administer it.
    #[error("the owner of a folder keeps the rights l and a")]
    Owner,
    /// Administrators would lose a right.
    #[error("administrators keep all rights")]
    Administrators,
    /// The list is longer than [`LIMIT`].
    #[error("the access list of {name} is longer than {LIMIT} octets")]
    TooLong {
        /// The folder.
        name: String,
    },
    /// Another session holds the lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The folder was not looked up.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}
