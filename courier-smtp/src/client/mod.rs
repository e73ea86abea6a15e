//! The ESMTP client machine.
//!
//! [`Client`] is one connection to a server: greeting, EHLO, STARTTLS and AUTH as the
//! settings want them, then any number of transactions, then QUIT. Whom to connect to,
//! and what to do with a failure, is the host's to say.

mod output;
mod replies;
mod session;
mod transaction;

pub use output::{
    ClearLogin, Credentials, Delivery, Failure, Free, Output, Settings, Settlement, Stage, Step,
    Timeouts, Tls,
};
pub use session::Client;
