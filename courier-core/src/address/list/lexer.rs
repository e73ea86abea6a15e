use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr2, memchr3};

/// A cursor over a field that knows words, comments and quotes.
///
/// A quote or a parenthesis that is not closed is an ordinary octet, and so are all
/// that follow: hence one fruitless search each, and linear time.
#[derive(Debug, Clone)]
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    /// From here on, quotes are ordinary.
    quotes_end: usize,
    /// From here on, parentheses are ordinary.
    comments_end: usize,
    /// The last comment that was skipped, with its parentheses.
    comment: Range<usize>,
}

/// A run of words and dots.
#[derive(Debug, Clone)]
pub(super) struct Words {
    /// From the first to the last word, or empty.
    pub(super) range: Range<usize>,
    /// Whether two words stand beside each other without a dot.
    phrase: bool,
}

impl Words {
    /// Whether this can be a local part: no two words without a dot between.
    pub(super) fn is_dotted(&self) -> bool {
        !self.range.is_empty() && !self.phrase
    }
}

enum Token {
    Atom(Range<usize>),
    /// With its quotes.
    Quoted(Range<usize>),
    Dot,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            at: 0,
            quotes_end: usize::MAX,
            comments_end: usize::MAX,
            comment: 0..0,
        }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    pub(super) fn bump(&mut self) {
        self.at += 1;
    }

    /// All that is left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        let start = std::mem::replace(&mut self.at, self.text.len());
        self.slice(start..self.text.len()).trim_ascii()
    }

    /// The text from `start` to here, as it stands.
    pub(super) fn raw(&self, start: usize) -> &'a [u8] {
        self.slice(start..self.at).trim_ascii()
    }

    fn slice(&self, range: Range<usize>) -> &'a [u8] {
        self.text.get(range).unwrap_or_default()
    }

    /// Skips blanks, line ends and comments; whether there were any.
    pub(super) fn skip_blanks(&mut self) -> bool {
        let start = self.at;
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.bump(),
                Some(b'(') => match self.comment_end() {
                    Some(end) => {
                        self.comment = self.at..end;
                        self.at = end;
                    }
                    None => break,
                },
                _ => break,
            }
        }
        self.at > start
    }

    /// The place after the comment that begins here.
    fn comment_end(&mut self) -> Option<usize> {
        if self.at >= self.comments_end {
            return None;
        }
        let mut depth = 0usize;
        let mut at = self.at;
        while let Some(&octet) = self.text.get(at) {
            at += 1;
            match octet {
                b'\\' => at += 1,
                b'(' => depth += 1,
                b')' if depth == 1 => return Some(at),
                b')' => depth -= 1,
                _ => {}
            }
        }
        self.comments_end = self.at;
        None
    }

    /// The place after the quoted string that begins here.
    fn quoted_end(&mut self) -> Option<usize> {
        if self.at >= self.quotes_end {
            return None;
        }
        let mut at = self.at + 1;
        while let Some(found) = self.text.get(at..).and_then(|t| memchr2(b'"', b'\\', t)) {
            at += found + 1;
            match self.text.get(at - 1) {
                Some(b'"') => return Some(at),
                _ => at += 1,
            }
        }
        self.quotes_end = self.at;
        None
    }

    pub(super) fn forget_comment(&mut self) {
        self.comment = 0..0;
    }

    /// The text of the last comment, if it has any.
    pub(super) fn comment(&self) -> Option<Cow<'a, [u8]>> {
        let text = self.slice(self.comment.clone());
        let text = text.strip_prefix(b"(")?.strip_suffix(b")")?.trim_ascii();
        (!text.is_empty()).then(|| unescape(text))
    }

    /// The word or dot that begins here.
    fn token(&mut self) -> Option<Token> {
        let start = self.at;
        match self.peek()? {
            b'.' => {
                self.bump();
                return Some(Token::Dot);
            }
            b'"' => {
                if let Some(end) = self.quoted_end() {
                    self.at = end;
                    return Some(Token::Quoted(start..end));
                }
                self.bump();
            }
            b'(' => self.bump(), // skip_blanks has left it, so it is ordinary
            _ => {}
        }
        while let Some(octet) = self.peek() {
            let ends = match octet {
                b'"' => self.at < self.quotes_end,
                b'(' => self.at < self.comments_end,
                other => is_special(other),
            };
            if ends {
                break;
            }
            self.bump();
        }
        (self.at > start).then_some(Token::Atom(start..self.at))
    }

    /// Words and dots from here on, and the blanks around them.
    pub(super) fn words(&mut self) -> Words {
        self.skip_blanks();
        let mut words = Words {
            range: self.at..self.at,
            phrase: false,
        };
        let mut after_word = false;
        while let Some(token) = self.token() {
            let is_word = !matches!(token, Token::Dot);
            words.phrase |= is_word && after_word;
            after_word = is_word;
            words.range.end = self.at;
            self.skip_blanks();
        }
        words
    }

    /// A domain or literal from here on, and the blanks around it: its place.
    pub(super) fn domain(&mut self) -> Range<usize> {
        self.skip_blanks();
        let start = self.at;
        if let Some(end) = self.literal_end() {
            self.at = end;
            self.skip_blanks();
            return start..end;
        }
        let mut range = start..start;
        let mut after_word = false;
        loop {
            let before = self.at;
            let is_word = match self.token() {
                None => break,
                Some(Token::Atom(atom))
                    if memchr2(b'"', b'(', self.slice(atom.clone())).is_none() =>
                {
                    true
                }
                Some(Token::Dot) => false,
                Some(Token::Atom(_) | Token::Quoted(_)) => {
                    self.at = before;
                    break;
                }
            };
            if is_word && after_word {
                self.at = before;
                break;
            }
            after_word = is_word;
            range.end = self.at;
            self.skip_blanks();
        }
        range
    }

    /// The place after the domain literal that begins here.
    fn literal_end(&self) -> Option<usize> {
        let inner = self.text.get(self.at..)?.strip_prefix(b"[")?;
        let end = inner.iter().position(|b| b"[]\\,;<>@\"()".contains(b))?;
        (inner.get(end) == Some(&b']')).then(|| self.at + end + 2)
    }

    /// The place of a source route without its colon, empty if there is none; none if
    /// what begins as a route is none.
    pub(super) fn route(&mut self) -> Option<Range<usize>> {
        let mut range = self.at..self.at;
        if !matches!(self.peek(), Some(b'@' | b',')) {
            return Some(range);
        }
        loop {
            self.skip_blanks();
            match self.peek() {
                Some(b',') => self.bump(),
                Some(b'@') => {
                    self.bump();
                    let domain = self.domain();
                    if domain.is_empty() {
                        return None;
                    }
                    range.end = domain.end;
                    match self.peek() {
                        Some(b',') => {}
                        Some(b':') => {
                            self.bump();
                            return Some(range);
                        }
                        _ => return None,
                    }
                }
                _ => return None,
            }
        }
    }

    /// Skips to one of these octets outside of quotes and comments, or to the end.
    pub(super) fn skip_to(&mut self, ends: &[u8]) {
        loop {
            self.skip_blanks();
            match self.peek() {
                None => return,
                Some(octet) if ends.contains(&octet) => return,
                Some(_) if self.token().is_some() => {}
                Some(_) => self.bump(),
            }
        }
    }

    /// A display name: words with one blank where there were any, quotes removed.
    pub(super) fn phrase(&self, range: Range<usize>) -> Cow<'a, [u8]> {
        let text = self.slice(range.clone());
        if memchr3(b'"', b'(', b'\n', text).is_none()
            && !text.windows(2).any(|pair| pair == b"  ")
            && memchr2(b'\t', b'\r', text).is_none()
        {
            return Cow::Borrowed(text);
        }
        self.join(range, b" ")
    }

    /// A local part: words and dots without blanks, quotes removed.
    pub(super) fn dotted(&self, range: Range<usize>) -> Cow<'a, [u8]> {
        let text = self.slice(range.clone());
        if text.iter().all(|&b| b != b'"' && b != b'(' && !is_blank(b)) {
            return Cow::Borrowed(text);
        }
        self.join(range, b"")
    }

    /// A domain without blanks and comments; a literal without blanks.
    pub(super) fn host(&self, range: Range<usize>) -> Cow<'a, [u8]> {
        let text = self.slice(range.clone());
        if text.starts_with(b"[") && text.ends_with(b"]") {
            if !text.iter().copied().any(is_blank) {
                return Cow::Borrowed(text);
            }
            return text.iter().copied().filter(|&b| !is_blank(b)).collect();
        }
        self.dotted(range)
    }

    /// A source route without blanks and comments, with a comma between the hosts.
    pub(super) fn route_text(&self, range: Range<usize>) -> Cow<'a, [u8]> {
        let text = self.slice(range.clone());
        let mut inner = self.within(range);
        let mut route = Vec::with_capacity(text.len());
        loop {
            inner.skip_blanks();
            match inner.peek() {
                None => break,
                Some(b'@') => {
                    inner.bump();
                    route.extend_from_slice(if route.is_empty() { b"@" } else { b",@" });
                    let host = inner.domain();
                    route.extend_from_slice(&inner.host(host));
                }
                Some(_) => inner.bump(),
            }
        }
        if route == text {
            return Cow::Borrowed(text);
        }
        Cow::Owned(route)
    }

    /// A cursor over a range that has been read before.
    fn within(&self, range: Range<usize>) -> Self {
        Self {
            text: self.text.get(..range.end).unwrap_or(self.text),
            at: range.start,
            comment: 0..0,
            ..*self
        }
    }

    fn join(&self, range: Range<usize>, blank: &[u8]) -> Cow<'a, [u8]> {
        let mut inner = self.within(range.clone());
        let mut joined: Option<Cow<'a, [u8]>> = None;
        loop {
            let blanks = inner.skip_blanks();
            let start = inner.at;
            let Some(token) = inner.token() else { break };
            let piece = match token {
                Token::Atom(atom) => Cow::Borrowed(self.slice(atom)),
                Token::Dot => Cow::Borrowed(self.slice(start..inner.at)),
                Token::Quoted(quoted) => {
                    let inside = quoted.start + 1..quoted.end.saturating_sub(1);
                    unescape(self.slice(inside))
                }
            };
            joined = Some(match joined {
                None => piece,
                Some(before) => {
                    let mut all = before.into_owned();
                    if blanks {
                        all.extend_from_slice(blank);
                    }
                    all.extend_from_slice(&piece);
                    Cow::Owned(all)
                }
            });
        }
        joined.unwrap_or_default()
    }
}

/// RFC 5322 §3.2.3, but for brackets and backslashes, which names have in the field.
fn is_special(octet: u8) -> bool {
    is_blank(octet) || matches!(octet, b'<' | b'>' | b'@' | b',' | b';' | b':' | b'.')
}

fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n')
}

/// Text without the backslashes of quoted pairs, unfolded.
fn unescape(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr3(b'\\', b'\r', b'\n', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut octets = text.iter().copied();
    while let Some(octet) = octets.next() {
        match octet {
            b'\r' | b'\n' => {}
            b'\\' => plain.extend(octets.next().filter(|b| !matches!(b, b'\r' | b'\n'))),
            other => plain.push(other),
        }
    }
    Cow::Owned(plain)
}

/// Text on one line.
pub(super) fn unfold(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr2(b'\r', b'\n', text).is_none() {
        return Cow::Borrowed(text);
    }
    let kept = text.iter().filter(|b| !matches!(b, b'\r' | b'\n'));
    kept.copied().collect()
}
