//! The index files of shared folders as they are made: the list of all accounts
//! divided into files, and a new set of files put in place of the old one.

mod install;
mod split;

pub use install::{InstallError, Installed, install};
pub use split::{Grouping, IndexFiles, SplitError, split, write};
