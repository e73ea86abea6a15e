//! Courier's configuration: the files of `etc`, in Courier's own names and grammars.
//!
//! [`load`] reads all of it and gives [`Settings`] and [`Finding`]s. The readers below
//! it (shell files, lists, time values, lists of domains) are there for others, too.

pub mod domains;
pub mod environment;
pub mod file;
mod finding;
mod load;
mod places;
mod registry;
mod settings;
pub mod shell;
pub mod templates;
pub mod time;
pub mod value;

pub use finding::{Finding, Findings, Located, Place, Severity};
pub use load::load;
pub use places::Places;
pub use settings::{Limits, Service, ServiceSettings, Settings, SizeLimit, Tls, Trash};

#[cfg(test)]
mod tests;
