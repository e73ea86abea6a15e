//! Tasks on a model of a disk: what they do, what is left of them after a crash at any
//! place, and what they say when the disk fails.

mod append;
mod delivery;
mod expunge;
mod keywords;
mod pop3;
mod races;
mod store;
mod support;
mod sync;
