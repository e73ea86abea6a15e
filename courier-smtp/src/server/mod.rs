//! The ESMTP and LMTP server machine.
//!
//! [`Server`] is one session: it is shown the input and the time, and says what the host
//! does next. It knows nothing of accounts, files, relaying or TLS: it asks.

mod commands;
mod limits;
mod login;
mod output;
mod session;
mod settings;
mod transaction;

pub use limits::{Excess, HANDSHAKE_WAIT, Limits, MOST_RECIPIENTS, RATE_WINDOW};
pub use output::{
    Aborted, Answer, Authentication, Commit, Data, Expand, Expanded, MOST_INPUT, Outcome, Output,
    Replies, Step, Verified, Verify,
};
pub use session::{Server, Transport};
pub use settings::{
    BareNewline, Dialect, EarlyTalkerPolicy, EarlyTalkers, Login, Lookup, Mechanisms, Nul,
    Settings, Tarpit, Tls,
};
