//! ESMTP
#![forbid(unsafe_code)]

pub mod client;
pub mod command;
pub mod content;
pub mod extension;
pub mod framing;
pub mod parameter;
pub mod reply;
pub mod server;
