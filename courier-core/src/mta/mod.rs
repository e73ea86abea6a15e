//! What a mail transfer agent knows: the spool journal, the trace of a message, the
//! retry schedule.

pub mod journal;
pub mod retry;
pub mod trace;
