//! Tasks on a model of a disk: what they do, what is left of them after a crash at any
//! place, and what they say when the disk fails.

#[cfg(test)]
mod append;
#[cfg(test)]
mod charged;
#[cfg(test)]
mod check;
#[cfg(test)]
mod delivery;
#[cfg(test)]
mod expunge;
#[cfg(test)]
mod import;
#[cfg(test)]
mod keywords;
#[cfg(test)]
mod pop3;
#[cfg(test)]
mod quota;
#[cfg(test)]
mod races;
#[cfg(test)]
mod share;
#[cfg(test)]
mod store;
#[cfg(test)]
mod support;
#[cfg(test)]
mod sync;
