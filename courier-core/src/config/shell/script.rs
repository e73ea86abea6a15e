//! Statements: what a shell file asks for, line by line.

use super::lexer::{Bare, Lexer, ShellError, Token, is_name, is_name_start};
use super::{Piece, Word};

/// A parsed shell file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    /// Its statements in order.
    pub statements: Vec<Statement>,
}

/// A statement and where it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The line, from 1.
    pub line: u32,
    /// What it asks for.
    pub what: What,
}

/// What a statement asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// `NAME=value`
    Assign {
        /// The variable.
        name: String,
        /// Its value before variables are looked up.
        value: Word,
    },
    /// `export NAME=value …`: all values are looked up before the first is assigned.
    Export(Vec<(String, Word)>),
    /// `. file`
    Include(Word),
    /// Something that only a shell could do; it is left out.
    Skip(Skipped),
}

/// Why a statement is left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Skipped {
    /// A command.
    #[error("the command {0:?} is not run here; only assignments, export and . are understood")]
    Command(String),
    /// `if`, `for`, `case`, a function, a subshell: with all that is in it.
    #[error(
        "{0:?} and what belongs to it is not run here; only assignments, export and . are understood"
    )]
    Compound(&'static str),
    /// A word that cannot be read.
    #[error(transparent)]
    Word(#[from] ShellError),
}

impl Script {
    /// Parses a shell file. Nothing is an error: what cannot be understood becomes a
    /// statement that says so.
    #[must_use]
    pub fn parse(octets: &[u8]) -> Self {
        let mut parser = Parser {
            lexer: Lexer::new(octets),
            statements: Vec::new(),
        };
        while parser.list() {}
        Self {
            statements: parser.statements,
        }
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    statements: Vec<Statement>,
}

/// How a simple command ended.
#[derive(PartialEq, Eq)]
enum End {
    /// At the end of a line, or `;`.
    Line,
    /// `&&`: what follows belongs to it.
    And,
    /// `|`, `||`, `&`, a redirection or a parenthesis: no simple command at all.
    Control,
    File,
}

impl Parser<'_> {
    /// Reads one and-list; false at the end of the file.
    fn list(&mut self) -> bool {
        let mut list = Vec::new();
        let mut skipped = None;
        loop {
            let (words, end) = match self.command() {
                Ok(command) => command,
                Err(why) => {
                    skipped.get_or_insert(why);
                    (Vec::new(), self.rest_of_line())
                }
            };
            let line = words.first().map_or(self.lexer.line(), |word| word.line);
            if skipped.is_none() {
                match statements(words) {
                    Ok(statements) if end != End::Control => list.extend(statements),
                    Ok(_) => {
                        skipped = Some((line, command_name("|, &, < or >")));
                    }
                    Err(why) => skipped = Some((line, why)),
                }
            }
            match end {
                End::And | End::Control => {}
                End::Line | End::File => {
                    self.statements.extend(list);
                    self.statements.extend(skipped.map(|(line, why)| Statement {
                        line,
                        what: What::Skip(why),
                    }));
                    return end == End::Line;
                }
            }
        }
    }

    /// What follows a command that was given up belongs to it.
    fn rest_of_line(&mut self) -> End {
        loop {
            match self.lexer.next() {
                None => return End::File,
                Some(Ok(Token::End)) => return End::Line,
                Some(_) => {}
            }
        }
    }

    /// The words of a simple command, with how it ended; or why it is given up, and
    /// on which line it stands.
    fn command(&mut self) -> Result<(Vec<Located>, End), (u32, Skipped)> {
        let mut words: Vec<Located> = Vec::new();
        loop {
            self.lexer.skip_blanks();
            let line = self.lexer.line();
            let first = words.first().map_or(line, |word| word.line);
            let token = match self.lexer.next() {
                None => return Ok((words, End::File)),
                Some(Ok(token)) => token,
                Some(Err(why)) => return Err((first, why.into())),
            };
            match token {
                Token::Word { word, bare } => {
                    let opener = words.is_empty().then(|| opener(&word, bare)).flatten();
                    if let Some((name, closer)) = opener {
                        let compound = self.compound(closer);
                        return Err((line, compound.err().unwrap_or(Skipped::Compound(name))));
                    }
                    words.push(Located { word, bare, line });
                }
                Token::End if words.is_empty() => {}
                Token::End | Token::CaseEnd => return Ok((words, End::Line)),
                Token::And if words.is_empty() => return Err((line, command_name("&&"))),
                Token::And => return Ok((words, End::And)),
                Token::Control | Token::Redirection => return Ok((words, End::Control)),
                Token::Open if words.is_empty() => {
                    let compound = self.compound(Closer::Parenthesis);
                    return Err((line, compound.err().unwrap_or(Skipped::Compound("("))));
                }
                // `name() { …; }`; the body follows as a compound of its own.
                Token::Open | Token::Close => return Ok((words, End::Control)),
            }
        }
    }

    /// Reads past the end of a compound command that was just opened.
    fn compound(&mut self, closer: Closer) -> Result<(), Skipped> {
        let mut open = vec![closer];
        let mut at_command = true;
        while let Some(&innermost) = open.last() {
            let token = match self.lexer.next() {
                None => return Err(ShellError::Open(innermost.word()).into()),
                Some(Ok(token)) => token,
                Some(Err(ShellError::HereDocument)) => return Err(ShellError::HereDocument.into()),
                Some(Err(_)) => continue,
            };
            at_command = match token {
                Token::Word { word, bare } if at_command && bare == Bare::Whole => {
                    let text = word.literal().unwrap_or_default();
                    if text == innermost.word() {
                        open.pop();
                        false
                    } else if let Some((_, closer)) = opener(&word, bare) {
                        open.push(closer);
                        closer != Closer::Esac
                    } else {
                        matches!(text, "then" | "else" | "elif" | "do" | "!" | "in")
                    }
                }
                Token::Word { .. } | Token::Redirection => false,
                Token::Open if at_command => {
                    open.push(Closer::Parenthesis);
                    true
                }
                Token::Close if innermost == Closer::Parenthesis => {
                    open.pop();
                    false
                }
                Token::Open | Token::Close | Token::End => true,
                Token::And | Token::Control | Token::CaseEnd => true,
            };
        }
        Ok(())
    }
}

/// A word, how it is written, and where.
struct Located {
    word: Word,
    bare: Bare,
    line: u32,
}

/// What ends a compound command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Closer {
    Fi,
    Done,
    Esac,
    Brace,
    Parenthesis,
}

impl Closer {
    fn word(self) -> &'static str {
        match self {
            Self::Fi => "fi",
            Self::Done => "done",
            Self::Esac => "esac",
            Self::Brace => "}",
            Self::Parenthesis => ")",
        }
    }
}

/// Whether a word in front of a command opens a compound one.
fn opener(word: &Word, bare: Bare) -> Option<(&'static str, Closer)> {
    let text = word.literal().filter(|_| bare == Bare::Whole)?;
    Some(match text {
        "if" => ("if", Closer::Fi),
        "while" => ("while", Closer::Done),
        "until" => ("until", Closer::Done),
        "for" => ("for", Closer::Done),
        "case" => ("case", Closer::Esac),
        "{" => ("{", Closer::Brace),
        _ => return None,
    })
}

/// What the words of a simple command ask for.
fn statements(words: Vec<Located>) -> Result<Vec<Statement>, Skipped> {
    let mut statements = Vec::new();
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next_if(|word| assignment(word).is_some()) {
        let line = word.line;
        statements.extend(assigned(word).map(|(name, value)| Statement {
            line,
            what: What::Assign { name, value },
        }));
    }
    let Some(command) = words.next() else {
        return Ok(statements);
    };
    let line = command.line;
    let name = command.word.literal();
    let what = match name {
        // Assignments in front of a command are for that command.
        Some("export" | "readonly") if statements.is_empty() => What::Export(exported(words)?),
        Some("." | "source") if statements.is_empty() => {
            let file = words
                .next()
                .ok_or_else(|| command_name(". without a file"))?;
            What::Include(file.word)
        }
        Some(":") if statements.is_empty() => return Ok(statements),
        name => return Err(command_name(name.unwrap_or("$…"))),
    };
    Ok(vec![Statement { line, what }])
}

/// The words after `export`: assignments, names and `-p`.
fn exported(words: impl Iterator<Item = Located>) -> Result<Vec<(String, Word)>, Skipped> {
    let mut exported = Vec::new();
    for word in words {
        let text = word.word.literal().unwrap_or_default();
        let alone = text == "-p" || is_variable(text.as_bytes());
        if assignment(&word).is_none() && !alone {
            return Err(command_name("export"));
        }
        exported.extend(assigned(word));
    }
    Ok(exported)
}

fn command_name(name: &str) -> Skipped {
    Skipped::Command(name.chars().take(40).collect())
}

/// The length of the name, if a word is `NAME=…`.
fn assignment(word: &Located) -> Option<usize> {
    let Some(Piece::Text(text)) = word.word.pieces.first() else {
        return None;
    };
    let equals = text.find('=')?;
    let unquoted = match word.bare {
        Bare::Whole => true,
        Bare::UpTo(end) => equals < end,
    };
    (unquoted && is_variable(text.get(..equals)?.as_bytes())).then_some(equals)
}

/// Name and value of a word of the form `NAME=value`.
fn assigned(word: Located) -> Option<(String, Word)> {
    let equals = assignment(&word)?;
    let mut value = word.word;
    let Some(Piece::Text(text)) = value.pieces.first_mut() else {
        return None;
    };
    let tail = text.split_off(equals + 1);
    let name = text.trim_end_matches('=').to_owned();
    match tail.is_empty() {
        true => drop(value.pieces.remove(0)),
        false => *text = tail,
    }
    Some((name, value))
}

fn is_variable(name: &[u8]) -> bool {
    name.first().is_some_and(|&first| is_name_start(first)) && name.iter().all(|&c| is_name(c))
}
