//! Courier's configuration: the files of `etc`, in Courier's own names and grammars.

pub mod environment;
pub mod file;
pub mod finding;
pub mod places;
pub mod shell;
pub mod time;
