//! The grammar of SEARCH (RFC 3501 §9 `search`), charsets included.

use std::borrow::Cow;

use encoding_rs::Encoding;

use super::date;
use super::flag::{Flag, Keyword};
use super::lexer::{Cursor, Octets, ParseError};
use super::sequence::SequenceSet;
use crate::search::key::{DEEPEST, FieldName, Key, MOST_TERMS, Text};

/// Why a SEARCH cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// It is not in the grammar, or over a limit.
    #[error(transparent)]
    Syntax(#[from] ParseError),
    /// The charset is not known.
    #[error("the charset of the search is not known")]
    Charset,
}

/// Reads what follows the word SEARCH and a blank.
pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Key, SearchError> {
    let mut charset = Charset::Ascii;
    if cursor.accept_word("CHARSET ") {
        charset = Charset::named(&cursor.astring(Octets::SevenBit)?).ok_or(SearchError::Charset)?;
        cursor.space()?;
    }
    let mut keys = Keys { charset, terms: 0 };
    let mut all = vec![keys.read(cursor, 1)?];
    while cursor.accept(b' ') && !cursor.is_end() {
        all.push(keys.read(cursor, 1)?);
    }
    Ok(join(all))
}

fn join(mut keys: Vec<Key>) -> Key {
    match keys.pop() {
        Some(only) if keys.is_empty() => only,
        Some(last) => {
            keys.push(last);
            Key::And(keys)
        }
        None => Key::All,
    }
}

enum Charset {
    /// Not given, or US-ASCII. Octets above 127 are taken as UTF-8: what else could they be?
    Ascii,
    Named(&'static Encoding),
}

impl Charset {
    fn named(label: &[u8]) -> Option<Self> {
        if label.eq_ignore_ascii_case(b"US-ASCII") {
            return Some(Self::Ascii);
        }
        let encoding = Encoding::for_label_no_replacement(label)?;
        Some(Self::Named(encoding))
    }

    fn decode<'a>(&self, octets: &'a [u8]) -> Option<Cow<'a, str>> {
        match self {
            Self::Ascii => std::str::from_utf8(octets).ok().map(Cow::Borrowed),
            Self::Named(encoding) => {
                encoding.decode_without_bom_handling_and_without_replacement(octets)
            }
        }
    }
}

struct Keys {
    charset: Charset,
    terms: usize,
}

impl Keys {
    fn read(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Result<Key, ParseError> {
        self.terms += 1;
        if self.terms > MOST_TERMS {
            return Err(cursor.expected("at most 1000 search terms"));
        }
        if depth > DEEPEST {
            return Err(cursor.expected("search terms nested at most 50 deep"));
        }
        match cursor.peek() {
            Some(b'(') => self.read_group(cursor, depth),
            Some(b'0'..=b'9' | b'*') => SequenceSet::read(cursor).map(Key::Sequence),
            _ => self.read_named(cursor, depth),
        }
    }

    fn read_group(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Result<Key, ParseError> {
        cursor.accept(b'(');
        let mut keys = Vec::new();
        loop {
            keys.push(self.read(cursor, depth + 1)?);
            if cursor.accept(b')') {
                return Ok(join(keys));
            }
            cursor.space()?;
        }
    }

    fn read_named(&mut self, cursor: &mut Cursor<'_>, depth: usize) -> Result<Key, ParseError> {
        const WHAT: &str = "a search key";
        let error = cursor.expected(WHAT);
        let mut name = [0_u8; 16];
        let given = cursor.letters(WHAT)?;
        let upper = name.get_mut(..given.len()).ok_or(error)?;
        upper.copy_from_slice(given);
        upper.make_ascii_uppercase();
        if let Some(key) = without_argument(upper) {
            return Ok(key);
        }
        let upper = &*upper;
        cursor
            .space()
            .map_err(|space| if with_argument(upper) { space } else { error })?;
        Ok(match upper {
            b"BCC" => Key::Bcc(self.text(cursor)?),
            b"BODY" => Key::Body(self.text(cursor)?),
            b"CC" => Key::Cc(self.text(cursor)?),
            b"FROM" => Key::From(self.text(cursor)?),
            b"SUBJECT" => Key::Subject(self.text(cursor)?),
            b"TEXT" => Key::Text(self.text(cursor)?),
            b"TO" => Key::To(self.text(cursor)?),
            b"HEADER" => {
                let name = FieldName::parse(&cursor.astring(Octets::SevenBit)?);
                cursor.space()?;
                let text = self.text(cursor)?;
                // What cannot be the name of a field is in no message.
                name.map_or_else(
                    || Key::Not(Box::new(Key::All)),
                    |name| Key::Header(name, text),
                )
            }
            b"KEYWORD" => Key::Keyword(keyword(cursor)?),
            b"UNKEYWORD" => Key::Unkeyword(keyword(cursor)?),
            b"LARGER" => Key::Larger(cursor.number()?),
            b"SMALLER" => Key::Smaller(cursor.number()?),
            b"BEFORE" => Key::Before(date::read(cursor)?),
            b"ON" => Key::On(date::read(cursor)?),
            b"SINCE" => Key::Since(date::read(cursor)?),
            b"SENTBEFORE" => Key::SentBefore(date::read(cursor)?),
            b"SENTON" => Key::SentOn(date::read(cursor)?),
            b"SENTSINCE" => Key::SentSince(date::read(cursor)?),
            b"UID" => Key::Uid(SequenceSet::read(cursor)?),
            b"NOT" => Key::Not(Box::new(self.read(cursor, depth + 1)?)),
            b"OR" => {
                let one = self.read(cursor, depth + 1)?;
                cursor.space()?;
                Key::Or(Box::new(one), Box::new(self.read(cursor, depth + 1)?))
            }
            _ => return Err(error),
        })
    }

    fn text(&self, cursor: &mut Cursor<'_>) -> Result<Text, ParseError> {
        let error = cursor.expected("a string in the charset of the search");
        let octets = cursor.astring(Octets::EightBit)?;
        let text = self.charset.decode(&octets).ok_or(error)?;
        Ok(Text::new(&text))
    }
}

fn without_argument(name: &[u8]) -> Option<Key> {
    Some(match name {
        b"ALL" => Key::All,
        b"ANSWERED" => Key::Flag(Flag::Answered),
        b"DELETED" => Key::Flag(Flag::Deleted),
        b"DRAFT" => Key::Flag(Flag::Draft),
        b"FLAGGED" => Key::Flag(Flag::Flagged),
        b"SEEN" => Key::Flag(Flag::Seen),
        b"UNANSWERED" => Key::Unflag(Flag::Answered),
        b"UNDELETED" => Key::Unflag(Flag::Deleted),
        b"UNDRAFT" => Key::Unflag(Flag::Draft),
        b"UNFLAGGED" => Key::Unflag(Flag::Flagged),
        b"UNSEEN" => Key::Unflag(Flag::Seen),
        b"NEW" => Key::New,
        b"OLD" => Key::Old,
        b"RECENT" => Key::Recent,
        _ => return None,
    })
}

fn with_argument(name: &[u8]) -> bool {
    [
        &b"BCC"[..],
        b"BODY",
        b"CC",
        b"FROM",
        b"SUBJECT",
        b"TEXT",
        b"TO",
        b"HEADER",
        b"KEYWORD",
        b"UNKEYWORD",
        b"LARGER",
        b"SMALLER",
        b"BEFORE",
        b"ON",
        b"SINCE",
        b"SENTBEFORE",
        b"SENTON",
        b"SENTSINCE",
        b"UID",
        b"NOT",
        b"OR",
    ]
    .contains(&name)
}

fn keyword(cursor: &mut Cursor<'_>) -> Result<Keyword, ParseError> {
    let error = cursor.expected("a keyword");
    Keyword::parse(cursor.atom()?).map_err(|_| error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use courier_core::message::date::Date;
    use proptest::prelude::*;

    fn key(text: &[u8]) -> Result<Key, SearchError> {
        let mut cursor = Cursor::new(text);
        let key = read(&mut cursor)?;
        cursor.end()?;
        Ok(key)
    }

    fn text(text: &str) -> Text {
        Text::new(text)
    }

    #[test]
    fn every_key_of_the_rfc() {
        let date = Date::new(1994, 2, 1).unwrap();
        for (words, wanted) in [
            ("all", Key::All),
            ("ANSWERED", Key::Flag(Flag::Answered)),
            ("BCC x", Key::Bcc(text("x"))),
            ("BEFORE 1-Feb-1994", Key::Before(date)),
            ("BODY \"A b\"", Key::Body(text("a b"))),
            ("CC x", Key::Cc(text("x"))),
            ("DELETED", Key::Flag(Flag::Deleted)),
            ("DRAFT", Key::Flag(Flag::Draft)),
            ("FLAGGED", Key::Flag(Flag::Flagged)),
            ("FROM x", Key::From(text("x"))),
            (
                "HEADER Message-ID \"\"",
                Key::Header(FieldName::parse(b"message-id").unwrap(), text("")),
            ),
            ("HEADER a:b x", Key::Not(Box::new(Key::All))),
            ("KEYWORD $a", Key::Keyword(Keyword::parse(b"$a").unwrap())),
            ("LARGER 5", Key::Larger(5)),
            ("NEW", Key::New),
            ("NOT OLD", Key::Not(Box::new(Key::Old))),
            ("ON \"01-Feb-1994\"", Key::On(date)),
            (
                "OR NEW RECENT",
                Key::Or(Box::new(Key::New), Box::new(Key::Recent)),
            ),
            ("SEEN", Key::Flag(Flag::Seen)),
            ("SENTBEFORE 1-Feb-1994", Key::SentBefore(date)),
            ("SENTON 1-Feb-1994", Key::SentOn(date)),
            ("SENTSINCE 1-Feb-1994", Key::SentSince(date)),
            ("SINCE 1-Feb-1994", Key::Since(date)),
            ("SMALLER 5", Key::Smaller(5)),
            ("SUBJECT x", Key::Subject(text("x"))),
            ("TEXT x", Key::Text(text("x"))),
            ("TO x", Key::To(text("x"))),
            ("UID 1:*", Key::Uid(SequenceSet::all())),
            ("UNANSWERED", Key::Unflag(Flag::Answered)),
            ("UNDELETED", Key::Unflag(Flag::Deleted)),
            ("UNDRAFT", Key::Unflag(Flag::Draft)),
            ("UNFLAGGED", Key::Unflag(Flag::Flagged)),
            ("UNKEYWORD k", Key::Unkeyword(Keyword::parse(b"k").unwrap())),
            ("UNSEEN", Key::Unflag(Flag::Seen)),
            ("1:*", Key::Sequence(SequenceSet::all())),
            (
                "(NEW (SEEN))",
                Key::And(vec![Key::New, Key::Flag(Flag::Seen)]),
            ),
            (
                "NEW NOT SEEN",
                Key::And(vec![Key::New, Key::Not(Box::new(Key::Flag(Flag::Seen)))]),
            ),
        ] {
            assert_eq!(key(words.as_bytes()), Ok(wanted), "{words}");
        }
    }

    #[test]
    fn charsets() {
        assert_eq!(
            key("CHARSET UTF-8 TEXT {3+}\r\nÄx".as_bytes()),
            Ok(Key::Text(text("äx")))
        );
        assert_eq!(
            key(b"charset iso-8859-1 TEXT {1}\r\n\xc4"),
            Ok(Key::Text(text("ä")))
        );
        assert_eq!(key(b"CHARSET US-ASCII ALL"), Ok(Key::All));
        assert_eq!(
            key(b"CHARSET \"koi8-r\" SUBJECT \"\xf2\""),
            Ok(Key::Subject(text("р")))
        );
        for unknown in ["X-UNKNOWN", "UTF-7", "iso-2022-kr", "replacement"] {
            assert_eq!(
                key(format!("CHARSET {unknown} ALL").as_bytes()),
                Err(SearchError::Charset)
            );
        }
        assert!(matches!(
            key(b"CHARSET UTF-8 TEXT {1}\r\n\xc4"),
            Err(SearchError::Syntax(_))
        ));
    }

    #[test]
    fn what_is_no_search_is_refused() {
        for text in [
            "",
            "FOO",
            "FROM",
            "FROM ",
            "OR NEW",
            "NOT",
            "()",
            "(NEW",
            "NEW)",
            "LARGER x",
            "LARGER 4294967296",
            "BEFORE 1994",
            "KEYWORD \\Seen",
            "UID",
            "UID 0",
            "CHARSET UTF-8",
            "CHARSET",
            "NEW  SEEN",
            "XFROM x",
            "ABCDEFGHIJKLMNOPQRST x",
            "HEADER x",
        ] {
            assert!(
                matches!(key(text.as_bytes()), Err(SearchError::Syntax(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn limits_of_terms_and_depth() {
        let terms = |n: usize| key(vec!["NEW"; n].join(" ").as_bytes());
        assert!(terms(1000).is_ok() && terms(1001).is_err());
        let nots = |n: usize| key(("NOT ".repeat(n - 1) + "NEW").as_bytes());
        assert!(nots(50).is_ok() && nots(51).is_err());
        let groups = |n: usize| key(("(".repeat(n - 1) + "NEW" + &")".repeat(n - 1)).as_bytes());
        assert!(groups(50).is_ok() && groups(51).is_err() && groups(10_000).is_err());
    }

    proptest! {
        #[test]
        fn any_words_are_read_or_refused(words in "((NOT|OR|NEW|\\(|\\)|FROM x|UID 1|1:3|LARGER 5) ?){0,12}") {
            let _ = key(words.as_bytes());
        }
    }
}
