//! POP3: drives the machine over a connection, and answers its questions from the
//! INBOX of the account.

mod maildrop;
mod session;
mod settings;

pub use session::serve;
pub use settings::settings;
