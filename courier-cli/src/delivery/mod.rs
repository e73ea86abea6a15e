//! Deliveries: messages leave the spool here, many at a time, on threads of their own.

mod item;
mod local;
mod outcome;
mod queue;

pub use local::Local;
pub use queue::{Deliveries, Fresh};
