//! Maildirs.
#![forbid(unsafe_code)]

pub mod flags;
pub mod lock;
mod modified_utf7;
pub mod name;
mod replace;
pub mod subscription;
pub mod uid_list;
pub mod writer;
