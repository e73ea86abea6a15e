//! Words and operators of `sh`, as far as configuration files have them.

use super::{Instead, Piece, Word};

/// What keeps a statement from being understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShellError {
    /// A quote, brace or parenthesis that is never closed.
    #[error("{0} is not closed before the end of the file")]
    Open(&'static str),
    /// `$(command)` or `` `command` ``.
    #[error("the output of a command is used, and no commands are run here")]
    Command,
    /// `$1`, `$?`, `${#NAME}`, `${NAME%x}` and the like.
    #[error("an expansion other than $NAME, ${{NAME}} and ${{NAME:-word}}")]
    Expansion,
    /// `${A:-${B:-…}}` without end.
    #[error("expansions are nested too deep")]
    Depth,
    /// Text that is not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// `<<`
    #[error("a here-document; the rest of the file is not read")]
    HereDocument,
}

/// What the lexer finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A word, and how far it is written without quotes and variables.
    Word { word: Word, bare: Bare },
    /// The end of a line, or `;`.
    End,
    /// `&&`
    And,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `;;`
    CaseEnd,
    /// `|`, `||`, `&`: what follows, or went before, depends on a shell.
    Control,
    /// `<`, `>`, `>>` and their kin.
    Redirection,
}

/// How a word is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bare {
    /// Without any quote or variable: it may be a reserved word.
    Whole,
    /// Up to here, in octets of its first piece of text.
    UpTo(usize),
}

/// What an expansion stands in: between double quotes a single quote is only itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    None,
    Double,
}

/// `${A:-${B:-…}}` may be nested as deep.
const DEPTH: u32 = 8;

pub(super) struct Lexer<'a> {
    rest: &'a [u8],
    line: u32,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Self {
            rest: octets,
            line: 1,
        }
    }

    /// The line of the next octet.
    pub(super) fn line(&self) -> u32 {
        self.line
    }

    /// The next token; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Option<Result<Token, ShellError>> {
        self.skip_blanks();
        let token = match self.rest {
            [] => return None,
            [b'\n', ..] => self.operator(1, Token::End),
            [b'\r', b'\n', ..] => self.operator(2, Token::End),
            [b';', b';', ..] => self.operator(2, Token::CaseEnd),
            [b';', ..] => self.operator(1, Token::End),
            [b'&', b'&', ..] => self.operator(2, Token::And),
            [b'|', b'|', ..] => self.operator(2, Token::Control),
            [b'&' | b'|', ..] => self.operator(1, Token::Control),
            [b'(', ..] => self.operator(1, Token::Open),
            [b')', ..] => self.operator(1, Token::Close),
            [b'<', b'<', ..] => {
                self.rest = &[];
                return Some(Err(ShellError::HereDocument));
            }
            [b'>', b'>' | b'&' | b'|', ..] | [b'<', b'&' | b'>', ..] => {
                self.operator(2, Token::Redirection)
            }
            [b'<' | b'>', ..] => self.operator(1, Token::Redirection),
            _ => return Some(self.word()),
        };
        Some(Ok(token))
    }

    fn operator(&mut self, length: usize, token: Token) -> Token {
        self.skip(length);
        token
    }

    /// Blanks, joined lines, and a comment up to the end of its line.
    pub(super) fn skip_blanks(&mut self) {
        loop {
            match self.rest {
                [b' ' | b'\t', ..] => self.skip(1),
                [b'\\', b'\n', ..] => self.skip(2),
                [b'\\', b'\r', b'\n', ..] => self.skip(3),
                [b'#', ..] => {
                    let end = memchr::memchr(b'\n', self.rest).unwrap_or(self.rest.len());
                    self.skip(end);
                }
                _ => return,
            }
        }
    }

    fn word(&mut self) -> Result<Token, ShellError> {
        let mut text = Builder::default();
        loop {
            match self.rest {
                [] | [b' ' | b'\t' | b'\n', ..] | [b'\r', b'\n', ..] => break,
                [b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')', ..] => break,
                [b'\'' | b'"' | b'\\' | b'$' | b'`', ..] => {
                    text.end_bare();
                    self.quoted_piece(&mut text)?;
                }
                [octet, ..] => {
                    text.octets.push(*octet);
                    self.skip(1);
                }
            }
        }
        text.finish().map(|(word, bare)| Token::Word { word, bare })
    }

    /// What stands between quotes, after `\` or `$`, at the front of the rest.
    fn quoted_piece(&mut self, text: &mut Builder) -> Result<(), ShellError> {
        match self.rest {
            [b'\'', ..] => {
                self.skip(1);
                let end = memchr::memchr(b'\'', self.rest).ok_or(ShellError::Open("a quote"));
                let end = self.or_end(end)?;
                text.octets
                    .extend_from_slice(self.rest.get(..end).unwrap_or_default());
                self.skip(end + 1);
                Ok(())
            }
            [b'"', ..] => {
                self.skip(1);
                self.double_quoted(text)
            }
            [b'\\', b'\r', b'\n', ..] => {
                self.skip(3);
                Ok(())
            }
            [b'\\', b'\n', ..] => {
                self.skip(2);
                Ok(())
            }
            [b'\\', octet, ..] => {
                text.octets.push(*octet);
                self.skip(2);
                Ok(())
            }
            [b'\\'] => {
                text.octets.push(b'\\');
                self.skip(1);
                Ok(())
            }
            _ => self.expansion(text, Quotes::None, 0),
        }
    }

    /// Up to the closing `"`, also past what cannot be read: the next quote would
    /// else open where this one closes.
    fn double_quoted(&mut self, text: &mut Builder) -> Result<(), ShellError> {
        let mut outcome = Ok(());
        loop {
            match self.rest {
                [] => return Err(ShellError::Open("a double quote")),
                [b'"', ..] => {
                    self.skip(1);
                    return outcome;
                }
                [b'\\', octet @ (b'$' | b'`' | b'"' | b'\\'), ..] => {
                    text.octets.push(*octet);
                    self.skip(2);
                }
                [b'\\', b'\n', ..] => self.skip(2),
                [b'$' | b'`', ..] => outcome = outcome.and(self.expansion(text, Quotes::Double, 0)),
                [b'\r', b'\n', ..] => self.skip(1),
                [octet, ..] => {
                    text.octets.push(*octet);
                    self.skip(1);
                }
            }
        }
    }

    /// `$…` or a back quote at the front of the rest.
    fn expansion(
        &mut self,
        text: &mut Builder,
        quotes: Quotes,
        depth: u32,
    ) -> Result<(), ShellError> {
        match self.rest {
            [b'`', ..] => {
                self.skip(1);
                let end = memchr::memchr(b'`', self.rest).ok_or(ShellError::Open("a back quote"));
                let end = self.or_end(end)?;
                self.skip(end + 1);
                Err(ShellError::Command)
            }
            [b'$', b'(', ..] => {
                self.skip(2);
                self.skip_parenthesis();
                Err(ShellError::Command)
            }
            [b'$', b'{', ..] => {
                self.skip(2);
                self.braces(text, quotes, depth)
            }
            [b'$', octet, ..] if is_name_start(*octet) => {
                self.skip(1);
                let name = self.name();
                text.variable(name, None)
            }
            [
                b'$',
                b'0'..=b'9' | b'?' | b'#' | b'*' | b'@' | b'!' | b'-' | b'$',
                ..,
            ] => {
                self.skip(2);
                Err(ShellError::Expansion)
            }
            _ => {
                text.octets.push(b'$');
                self.skip(1);
                Ok(())
            }
        }
    }

    /// After `${`.
    fn braces(&mut self, text: &mut Builder, quotes: Quotes, depth: u32) -> Result<(), ShellError> {
        if depth >= DEPTH {
            return Err(ShellError::Depth);
        }
        let name = self.name();
        let (length, instead) = match self.rest {
            _ if name.is_empty() => return Err(ShellError::Expansion),
            [b'}', ..] => {
                self.skip(1);
                return text.variable(name, None);
            }
            [b':', b'-', ..] => (2, Instead::Empty),
            [b':', b'+', ..] => (2, Instead::Filled),
            [b'-', ..] => (1, Instead::Unset),
            [b'+', ..] => (1, Instead::Set),
            [] => return Err(ShellError::Open("a brace")),
            _ => return Err(ShellError::Expansion),
        };
        self.skip(length);
        let mut word = Builder::default();
        loop {
            match self.rest {
                [] => return Err(ShellError::Open("a brace")),
                [b'}', ..] => {
                    self.skip(1);
                    let (word, _) = word.finish()?;
                    return text.variable(name, Some((instead, word)));
                }
                [b'$' | b'`', ..] => self.expansion(&mut word, quotes, depth + 1)?,
                [b'\'', ..] if quotes == Quotes::Double => {
                    word.octets.push(b'\'');
                    self.skip(1);
                }
                [b'\'' | b'"' | b'\\', ..] => self.quoted_piece(&mut word)?,
                [octet, ..] => {
                    word.octets.push(*octet);
                    self.skip(1);
                }
            }
        }
    }

    fn name(&mut self) -> &'a [u8] {
        let length = match self.rest {
            [first, ..] if is_name_start(*first) => self
                .rest
                .iter()
                .take_while(|&&octet| is_name(octet))
                .count(),
            _ => 0,
        };
        let name = self.rest.get(..length).unwrap_or_default();
        self.skip(length);
        name
    }

    /// Past the parenthesis that closes an open one; quotes in between are not read.
    fn skip_parenthesis(&mut self) {
        let mut open = 1_u32;
        let mut length = 0;
        for octet in self.rest {
            length += 1;
            match octet {
                b'(' => open += 1,
                b')' => open -= 1,
                _ => {}
            }
            if open == 0 {
                break;
            }
        }
        self.skip(length);
    }

    /// Where a quote is never closed, all of the rest belongs to it.
    fn or_end(&mut self, end: Result<usize, ShellError>) -> Result<usize, ShellError> {
        if end.is_err() {
            self.skip(self.rest.len());
        }
        end
    }

    fn skip(&mut self, length: usize) {
        let (gone, rest) = self
            .rest
            .split_at_checked(length)
            .unwrap_or((self.rest, &[]));
        let lines = memchr::memchr_iter(b'\n', gone).count();
        self.line = self
            .line
            .saturating_add(u32::try_from(lines).unwrap_or(u32::MAX));
        self.rest = rest;
    }
}

/// A word in the making.
#[derive(Default)]
struct Builder {
    word: Word,
    octets: Vec<u8>,
    /// Set where the first quote or variable stands.
    bare: Option<usize>,
}

impl Builder {
    fn end_bare(&mut self) {
        if self.bare.is_none() {
            self.bare = Some(self.octets.len());
        }
    }

    fn variable(
        &mut self,
        name: &[u8],
        instead: Option<(Instead, Word)>,
    ) -> Result<(), ShellError> {
        self.flush()?;
        let name = String::from_utf8_lossy(name).into_owned();
        self.word.pieces.push(Piece::Variable { name, instead });
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ShellError> {
        if !self.octets.is_empty() {
            let text = std::str::from_utf8(&self.octets).map_err(|_| ShellError::NotUtf8)?;
            self.word.push(text);
            self.octets.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(Word, Bare), ShellError> {
        self.flush()?;
        let bare = self.bare.map_or(Bare::Whole, Bare::UpTo);
        Ok((self.word, bare))
    }
}

/// `[A-Za-z_]`
pub(super) fn is_name_start(octet: u8) -> bool {
    octet.is_ascii_alphabetic() || octet == b'_'
}

/// `[A-Za-z0-9_]`
pub(super) fn is_name(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet == b'_'
}
