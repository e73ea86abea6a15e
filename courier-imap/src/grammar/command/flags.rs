//! Flags in commands: STORE, and the lists of APPEND.

use smallvec::SmallVec;

use super::super::flag::{Flag, Flags, Keyword};
use super::super::lexer::{Cursor, ParseError};
use super::super::sequence::SequenceSet;
use super::{By, Command, Echo};

/// The most keywords one command may name.
pub const MOST_KEYWORDS: usize = 1000;

/// Flags and keywords that a client names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlagList {
    /// System flags.
    pub flags: Flags,
    /// Keywords, each once.
    pub keywords: SmallVec<[Keyword; 2]>,
}

/// What STORE does to the flags of each message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlagChange {
    /// `FLAGS`: these and no others (`\Recent` apart).
    Replace(FlagList),
    /// `+FLAGS`
    Add(FlagList),
    /// `-FLAGS`
    Remove(FlagList),
}

pub(super) fn store<'a>(cursor: &mut Cursor<'a>, by: By) -> Result<Command<'a>, ParseError> {
    let set = SequenceSet::read(cursor)?;
    cursor.space()?;
    let sign = cursor.peek().filter(|octet| matches!(octet, b'+' | b'-'));
    if let Some(sign) = sign {
        cursor.accept(sign);
    }
    let error = cursor.expected("FLAGS or FLAGS.SILENT");
    if !cursor.accept_word("FLAGS") {
        return Err(error);
    }
    let echo = if cursor.accept_word(".SILENT") {
        Echo::Silent
    } else {
        Echo::Flags
    };
    cursor.space()?;
    let list = if cursor.peek() == Some(b'(') {
        FlagList::read(cursor)?
    } else {
        // Courier needs the parentheses, RFC 3501 does not.
        let mut list = FlagList::default();
        list.read_flag(cursor)?;
        while cursor.accept(b' ') && !cursor.is_end() {
            list.read_flag(cursor)?;
        }
        list
    };
    let change = match sign {
        Some(b'+') => FlagChange::Add(list),
        Some(_) => FlagChange::Remove(list),
        None => FlagChange::Replace(list),
    };
    Ok(Command::Store {
        set,
        change,
        echo,
        by,
    })
}

impl FlagList {
    /// Flags in parentheses.
    pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let mut list = Self::default();
        cursor.expect(b'(', "flags in parentheses")?;
        if cursor.accept(b')') {
            return Ok(list);
        }
        loop {
            list.read_flag(cursor)?;
            if cursor.accept(b')') {
                return Ok(list);
            }
            cursor.space()?;
        }
    }

    fn read_flag(&mut self, cursor: &mut Cursor<'_>) -> Result<(), ParseError> {
        let error = cursor.expected("a flag that may be set");
        if cursor.accept(b'\\') {
            let name = cursor.atom().map_err(|_| error)?;
            match Flag::from_name(name) {
                Some(flag) => self.flags = self.flags.with(flag),
                // Clients that copy flags copy this one, which is not theirs to set.
                None if name.eq_ignore_ascii_case(b"Recent") => {}
                None => return Err(error),
            }
            return Ok(());
        }
        let keyword = Keyword::parse(cursor.atom().map_err(|_| error)?);
        let keyword = keyword.map_err(|_| ParseError {
            expected: "a keyword of at most 255 octets",
            ..error
        })?;
        if !self.keywords.contains(&keyword) {
            if self.keywords.len() >= MOST_KEYWORDS {
                return Err(cursor.expected("at most 1000 keywords"));
            }
            self.keywords.push(keyword);
        }
        Ok(())
    }
}
