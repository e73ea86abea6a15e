//! ESMTP
#![forbid(unsafe_code)]

pub mod content;
pub mod framing;
pub mod reply;
