//! Models of the world and harnesses, for the tests of every crate.

pub mod transcript;
