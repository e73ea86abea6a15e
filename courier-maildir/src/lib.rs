//! Maildirs.
#![forbid(unsafe_code)]

pub mod content;
pub mod delivery;
pub mod flags;
pub mod folder;
pub mod keywords;
pub mod lock;
pub mod mailbox;
pub mod measure;
mod modified_utf7;
pub mod name;
pub mod pop3;
mod replace;
mod scan;
pub mod subscription;
pub mod tree;
pub mod uid_list;
mod validity;
pub mod writer;
