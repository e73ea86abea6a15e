//! The built programs, run as a user runs them: in throw-away roots, on free
//! loopback ports, against real clients where those are installed.

mod clients;
mod harness;
mod hostile;
mod killed;
mod lifecycle;
