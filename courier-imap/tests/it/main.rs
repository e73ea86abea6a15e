//! Dialogues and models against whole sessions.

mod peer;
mod transcripts;
