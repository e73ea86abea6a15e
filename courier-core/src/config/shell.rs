//! The shell files of Courier (`esmtpd`, `imapd`, `courierd`, …) as statements.
//!
//! Courier runs these files through `sh`; here they are parsed. Understood are
//! assignments (with quotes, `\` and `$NAME`, `${NAME}`, `${NAME:-word}`),
//! `export`, `readonly` and `. file`. Whatever would need a shell is kept as a
//! statement that says so, and is skipped with what depends on it.

mod lexer;
mod script;

pub use lexer::ShellError;
pub use script::{Script, Skipped, Statement, What};

/// A word of a shell file before its variables are looked up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Word {
    /// What it is made of, in order.
    pub pieces: Vec<Piece>,
}

/// A piece of a [`Word`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// These characters.
    Text(String),
    /// The value of a variable.
    Variable {
        /// Its name.
        name: String,
        /// What `${NAME:-word}` and its kin say.
        instead: Option<(Instead, Word)>,
    },
}

/// When the word in `${NAME:-word}` takes the place of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instead {
    /// `-`: if the variable is unset.
    Unset,
    /// `:-`: if it is unset or empty.
    Empty,
    /// `+`: if it is set.
    Set,
    /// `:+`: if it is set and not empty.
    Filled,
}

impl Word {
    /// The word, if no variable is in it.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Adds characters; what stands side by side becomes one piece.
    fn push(&mut self, text: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }
}

/// Writes a value so that [`Script::parse`] and any `sh` read it back: bare where
/// that is possible, else in single quotes.
#[must_use]
pub fn quote(value: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || "_-./:,@%+=^~".contains(c);
    match value.chars().all(bare) && !value.starts_with('~') {
        true => value.to_owned(),
        false => format!("'{}'", value.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests;
