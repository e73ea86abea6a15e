//! The session from outside: dialogues in every cut, and its limits.

#[cfg(test)]
mod dialogues;
#[cfg(test)]
mod limits;
