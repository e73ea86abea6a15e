//! What may stand in the text of a reply, and how long its lines are.

use std::borrow::Cow;

use crate::reply::Charset;

/// The text with everything replaced that has no place in a reply; borrowed if there
/// is nothing.
pub(crate) fn printable(text: &str, charset: Charset) -> Cow<'_, str> {
    let fine = |c: char| match c {
        ' '..='~' | '\n' => true,
        '\t' | '\0'..='\x1f' | '\x7f' => false,
        other => charset == Charset::Utf8 && !other.is_control(),
    };
    if text.chars().all(fine) {
        return Cow::Borrowed(text);
    }
    let replace = |c| match c {
        c if fine(c) => c,
        '\t' => ' ',
        _ => '?',
    };
    Cow::Owned(text.chars().map(replace).collect())
}

/// A line in pieces of at most `width` octets, broken between characters and, where
/// possible, behind a blank.
pub(crate) struct Pieces<'a> {
    pub(crate) rest: Option<&'a str>,
    pub(crate) width: usize,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest?;
        if rest.len() <= self.width {
            self.rest = None;
            return Some(rest);
        }
        let end = rest.floor_char_boundary(self.width);
        let (piece, _) = rest.split_at_checked(end)?;
        let end = piece.rfind(' ').map_or(end, |blank| blank + 1);
        let (piece, after) = rest.split_at_checked(end)?;
        self.rest = Some(after);
        Some(piece)
    }
}

/// Most octets of a line of a reply, with CRLF (RFC 5321 §4.5.3.1.5).
pub(crate) const LINE: usize = 512;
