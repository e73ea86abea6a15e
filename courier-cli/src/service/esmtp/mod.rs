//! ESMTP: drives the server machine over a connection, and answers its questions from
//! the accounts and the spool.

mod content;
mod session;
mod settings;

pub use session::serve;
pub use settings::settings;
