//! The machines from outside: dialogues in every cut, limits, and one against the other.

#[cfg(test)]
mod server;
