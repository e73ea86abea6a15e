//! Values with parameters: `Content-Type` and `Content-Disposition` (RFC 2045 §5.1,
//! RFC 2183), as they are written: nothing is decoded here.
//!
//! Real mail breaks the grammar in a few well-known ways, and these are read as they
//! were meant: blanks and parentheses in unquoted values, missing semicolons, quotes
//! that nobody closes.

use std::borrow::Cow;

use smallvec::SmallVec;

/// One `name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter<'a> {
    /// The name as it is written.
    pub name: &'a [u8],
    /// The value without its quotes, backslashes and line ends.
    pub value: Cow<'a, [u8]>,
}

/// A value such as `text/plain; charset=utf-8` or `attachment; filename=x`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameterized<'a> {
    /// What stands before the first semicolon and the slash: `text`, `attachment`.
    pub main: &'a [u8],
    /// What stands after the slash; empty where there is none.
    pub sub: &'a [u8],
    /// The parameters in their order, repeated ones included.
    pub parameters: SmallVec<[Parameter<'a>; 4]>,
}

/// Parameters that are kept of one field.
pub const MOST_PARAMETERS: usize = 200;

impl<'a> Parameterized<'a> {
    /// Reads a media type; `None` where `type/subtype` is missing, and then RFC 2045
    /// §5.2 says what to take in its place.
    #[must_use]
    pub fn media_type(value: &'a [u8]) -> Option<Self> {
        let found = Self::parse(value);
        (!found.main.is_empty() && !found.sub.is_empty()).then_some(found)
    }

    /// Reads a disposition; `None` where it does not begin with a word.
    #[must_use]
    pub fn disposition(value: &'a [u8]) -> Option<Self> {
        let found = Self::parse(value);
        (!found.main.is_empty()).then_some(found)
    }

    /// The first parameter of this name; case does not matter. RFC 2231 forms are
    /// parameters of other names: see `encoded::parameter`.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&[u8]> {
        self.parameters
            .iter()
            .find(|parameter| parameter.name.eq_ignore_ascii_case(name.as_bytes()))
            .map(|parameter| &*parameter.value)
    }

    fn parse(value: &'a [u8]) -> Self {
        let mut scanner = Scanner { rest: value };
        scanner.skip_blanks();
        let main = scanner.word();
        scanner.skip_blanks();
        let mut sub: &[u8] = b"";
        if scanner.take(b'/') {
            scanner.skip_blanks();
            sub = scanner.word();
        }
        let mut parameters = SmallVec::new();
        scanner.skip_to_semicolon();
        while !scanner.rest.is_empty() && parameters.len() < MOST_PARAMETERS {
            if let Some(parameter) = scanner.parameter() {
                parameters.push(parameter);
            }
        }
        Self {
            main,
            sub,
            parameters,
        }
    }
}

struct Scanner<'a> {
    rest: &'a [u8],
}

impl<'a> Scanner<'a> {
    fn advance(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .unwrap_or((self.rest, b""));
        self.rest = rest;
        taken
    }

    fn take(&mut self, octet: u8) -> bool {
        let found = self.rest.first() == Some(&octet);
        if found {
            self.advance(1);
        }
        found
    }

    /// Leaves out blanks, line ends and comments.
    fn skip_blanks(&mut self) {
        loop {
            self.rest = self.rest.trim_ascii_start();
            if self.rest.first() != Some(&b'(') {
                return;
            }
            self.skip_comment();
        }
    }

    /// Leaves out a comment; one that nobody closes reaches to the end.
    fn skip_comment(&mut self) {
        let (mut depth, mut escaped) = (0_usize, false);
        let end = self.rest.iter().position(|&octet| {
            match octet {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            depth == 0
        });
        self.advance(end.map_or(self.rest.len(), |end| end + 1));
    }

    /// Octets up to a blank or one of the separators of a word.
    fn word(&mut self) -> &'a [u8] {
        self.until(|octet| {
            octet.is_ascii_whitespace() || matches!(octet, b'/' | b';' | b'(' | b'=' | b'"' | b',')
        })
    }

    fn until(&mut self, stop: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|&octet| stop(octet));
        self.advance(end.unwrap_or(self.rest.len()))
    }

    /// Goes behind the next semicolon that stands outside quotes and comments.
    fn skip_to_semicolon(&mut self) {
        loop {
            self.until(|octet| matches!(octet, b';' | b'"' | b'('));
            match self.rest.first() {
                Some(b'"') => {
                    self.quoted();
                }
                Some(b'(') => self.skip_comment(),
                _ => {
                    self.advance(1);
                    return;
                }
            }
        }
    }

    /// One parameter with the semicolon behind it.
    fn parameter(&mut self) -> Option<Parameter<'a>> {
        self.skip_blanks();
        let name = self.until(|octet| {
            octet.is_ascii_whitespace() || matches!(octet, b';' | b'=' | b'(' | b'"')
        });
        self.skip_blanks();
        if name.is_empty() || !self.take(b'=') {
            self.skip_to_semicolon();
            return None;
        }
        self.skip_blanks();
        let value = if self.rest.first() == Some(&b'"') {
            let value = self.quoted();
            self.skip_blanks();
            value
        } else {
            let value = self.bare();
            if value.iter().any(|octet| is_line_end(*octet)) {
                let line = value.iter().copied().filter(|octet| !is_line_end(*octet));
                Cow::Owned(line.collect())
            } else {
                Cow::Borrowed(value)
            }
        };
        // Else a semicolon is missing: what follows is the next parameter.
        let _ = self.take(b';');
        Some(Parameter { name, value })
    }

    /// A value without quotes. It may hold blanks (`filename=my file (1).txt`), but a
    /// word with an equals sign in it begins the next parameter.
    fn bare(&mut self) -> &'a [u8] {
        let whole = self.rest;
        let ends_word = |octet: &u8| *octet == b';' || octet.is_ascii_whitespace();
        loop {
            self.until(|octet| ends_word(&octet));
            let end = whole.len() - self.rest.len();
            self.skip_blanks();
            let mut next = self.rest.split(ends_word);
            let next = next.next().unwrap_or_default();
            if next.is_empty() || next.contains(&b'=') {
                return whole.get(..end).unwrap_or_default();
            }
        }
    }

    /// A string in quotes; one that nobody closes reaches to the end.
    fn quoted(&mut self) -> Cow<'a, [u8]> {
        self.advance(1);
        let mut escaped = false;
        let end = self.rest.iter().position(|&octet| {
            let ends = octet == b'"' && !escaped;
            escaped = octet == b'\\' && !escaped;
            ends
        });
        let text = self.advance(end.unwrap_or(self.rest.len()));
        self.advance(1);
        if !text
            .iter()
            .any(|&octet| octet == b'\\' || is_line_end(octet))
        {
            return Cow::Borrowed(text);
        }
        let mut value = Vec::with_capacity(text.len());
        let mut escaped = false;
        for &octet in text {
            match octet {
                _ if is_line_end(octet) => {}
                b'\\' if !escaped => escaped = true,
                _ => {
                    value.push(octet);
                    escaped = false;
                }
            }
        }
        Cow::Owned(value)
    }
}

fn is_line_end(octet: u8) -> bool {
    matches!(octet, b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(value: &str) -> (String, Vec<(String, String)>) {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let found = Parameterized::parse(value.as_bytes());
        let parameters = found.parameters.iter();
        (
            format!("{}/{}", text(found.main), text(found.sub)),
            parameters
                .map(|parameter| (text(parameter.name), text(&parameter.value)))
                .collect(),
        )
    }

    fn parameters(value: &str) -> Vec<(String, String)> {
        read(value).1
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn media_types_of_the_rfcs() {
        // RFC 2045 §5.1: these two are the same.
        for value in [
            " text/plain; charset=us-ascii (Plain text)",
            " text/plain; charset=\"us-ascii\"",
            "(x (y\\)) z) text (c) / (c) plain (;) ;(c)charset (c) = (c) us-ascii(c);;",
        ] {
            let expected = pairs(&[("charset", "us-ascii")]);
            let found = read(value);
            assert_eq!(found.0, "text/plain", "{value}");
            if !value.contains("(c);;") {
                assert_eq!(found.1, expected, "{value}");
            }
        }
        let folded = "multipart/mixed;\r\n\tboundary=\"gc0p4Jq0M2Yt08j34c0p\";\n charset=x";
        assert_eq!(
            parameters(folded),
            pairs(&[("boundary", "gc0p4Jq0M2Yt08j34c0p"), ("charset", "x")])
        );
        assert!(Parameterized::media_type(b"text; charset=x").is_none());
        assert!(Parameterized::media_type(b"").is_none());
        assert!(Parameterized::disposition(b" ; x=y").is_none());
        let found = Parameterized::disposition(b"attachment; FileName=a").unwrap();
        assert_eq!(
            (found.main, found.parameter("filename")),
            (&b"attachment"[..], Some(&b"a"[..]))
        );
    }

    #[test]
    fn broken_parameters_are_read_as_they_were_meant() {
        for (value, expected) in [
            (
                "a/b; name=my file (1).txt; x=y",
                &[("name", "my file (1).txt"), ("x", "y")][..],
            ),
            ("a/b; name=file(1).txt", &[("name", "file(1).txt")]),
            (
                "a/b; charset=utf-8 name=\"x y\"",
                &[("charset", "utf-8"), ("name", "x y")],
            ),
            (
                "a/b; charset=\"utf-8\" name=x",
                &[("charset", "utf-8"), ("name", "x")],
            ),
            (
                "a/b; boundary=----=_Part/1?=;",
                &[("boundary", "----=_Part/1?=")],
            ),
            ("a/b; name=\"c\\\"d\\\\e;f", &[("name", "c\"d\\e;f")]),
            ("a/b; name=\"c\r\n d\"", &[("name", "c d")]),
            ("a/b; name; =x; \"q;r\"=1; y=", &[("y", "")]),
            ("a/b x=y; z=\"\"", &[("z", "")]),
            ("a/b; x=1; x=2; (open", &[("x", "1"), ("x", "2")]),
        ] {
            assert_eq!(parameters(value), pairs(expected), "{value}");
        }
    }

    #[test]
    fn parameters_are_counted() {
        for count in [199, 200, 201] {
            let value = format!("a/b{}", "; x=y".repeat(count));
            assert_eq!(parameters(&value).len(), count.min(MOST_PARAMETERS));
        }
    }

    proptest! {
        #[test]
        fn quoted_values_come_back(name in "[a-z*0-9]{1,9}", value in "[ -~]{0,40}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let text = format!("text/plain; {name}=\"{quoted}\"; x=y");
            prop_assert_eq!(parameters(&text), pairs(&[(&name, &value), ("x", "y")]));
        }

        #[test]
        fn anything_is_read_to_its_end(value in "[a=;\"\\\\()/ \r\n]{0,60}") {
            let (_, parameters) = read(&value);
            for (name, value) in parameters {
                prop_assert!(!name.is_empty() && !value.contains(['\r', '\n']));
            }
        }
    }
}
