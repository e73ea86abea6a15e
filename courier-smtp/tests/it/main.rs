//! The machines from outside: dialogues in every cut, limits, and one against the other.

#[cfg(test)]
mod client;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod pair;
#[cfg(test)]
mod server;
#[cfg(test)]
mod talk;
