//! Dialogues, models and limits of whole sessions.

#[cfg(test)]
mod clients;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod model;
#[cfg(test)]
mod peer;
#[cfg(test)]
mod transcripts;
