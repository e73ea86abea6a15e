//! IMAP: drives the machine over a connection, and answers its questions from the
//! maildir of the account.

mod append;
mod convert;
mod folders;
mod mailbox;
mod seen;
mod session;
mod settings;

pub use seen::Seen;
pub use session::serve;
pub use settings::settings;
