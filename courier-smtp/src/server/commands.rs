use std::borrow::Cow;

use super::limits::Left;
use super::output::{Aborted, Output};
use super::session::{Hello, Question, Server, State, Transport};
use super::settings::{Dialect, Login, Lookup, Tls};
use crate::command::{Command, CommandError, Verb, clean_name};
use crate::extension::Keyword;
use crate::parameter::sentence;
use crate::reply::Reply;

/// What each command does, and when it may not be given (smtp.md §1.3). Transactions
/// and AUTH have files of their own.
impl Server {
    /// Carries out a command; gives what the host has to do for it.
    pub(super) fn command<'b>(&mut self, line: &[u8]) -> Option<Output<'b>> {
        self.deadline = None;
        if std::mem::take(&mut self.first_line) && is_http(line) {
            self.go(State::Closing);
            return None;
        }
        let command = match Command::parse(line) {
            Ok(command) => command,
            Err(error) => {
                self.not_a_command(error);
                return None;
            }
        };
        let verb = command.verb();
        if is_idle(verb)
            && self.budget.idle_command(self.settings.limits.idle_commands) == Left::Nothing
        {
            self.last_word(&Reply::fixed(
                421,
                7,
                0,
                "Too many commands without a message",
            ));
            return None;
        }
        if let Some(refusal) = self.gate(verb) {
            match command {
                Command::Bdat { size, .. } => self.drop_octets(size, refusal),
                _ => self.say(refusal),
            }
            return None;
        }
        match command {
            Command::Ehlo(name) | Command::Helo(name) | Command::Lhlo(name) => {
                self.greeted_by(verb, name)
            }
            Command::Mail(argument) => self.mail(argument),
            Command::Rcpt(argument) => self.rcpt(argument),
            Command::Data => self.data_command(),
            Command::Bdat { size, last } => self.bdat(size, last),
            Command::Auth { mechanism, initial } => self.auth(mechanism, initial),
            Command::Vrfy(argument) => self.look_up(verb, argument),
            Command::Expn(argument) => self.look_up(verb, argument),
            Command::Rset => self.reset(Reply::fixed(250, 0, 0, "Ok")),
            Command::Noop | Command::Help | Command::Quit | Command::StartTls => {
                self.simple(verb);
                None
            }
        }
    }

    fn simple(&mut self, verb: Verb) {
        match verb {
            Verb::StartTls => {
                self.say(Reply::fixed(220, 0, 0, "Ok"));
                self.go(State::TlsNext);
            }
            Verb::Help => self.say(Reply::fixed(214, 0, 0, HELP)),
            Verb::Quit => self.last_word(&Reply::fixed(221, 0, 0, "Bye.")),
            _ => self.say(Reply::fixed(250, 0, 0, "Ok")),
        }
    }

    fn not_a_command(&mut self, error: CommandError) {
        let text = sentence(&error.to_string());
        match error {
            CommandError::Unknown => self.say(Reply::fixed(500, 5, 2, "").with_text(text)),
            CommandError::NoBrackets { .. } => {
                self.say(Reply::fixed(554, 5, 2, "").with_text(text));
            }
            // How long the chunk is nobody knows now: no command can be told from it.
            CommandError::Argument {
                verb: Verb::Bdat, ..
            } => {
                self.last_word(&Reply::fixed(501, 5, 4, "").with_text(text));
            }
            CommandError::Argument { .. } => self.say(Reply::fixed(501, 5, 4, "").with_text(text)),
        }
    }

    /// Why a command may not be carried out now.
    fn gate(&self, verb: Verb) -> Option<Reply> {
        let always = matches!(
            verb,
            Verb::Ehlo
                | Verb::Helo
                | Verb::Lhlo
                | Verb::StartTls
                | Verb::Noop
                | Verb::Rset
                | Verb::Quit
        );
        if !always {
            let plain = self.transport == Transport::Plain;
            if plain && self.settings.tls == Tls::Required {
                return Some(Reply::fixed(
                    530,
                    7,
                    0,
                    "Must issue a STARTTLS command first",
                ));
            }
            let known = self.logged_in || verb == Verb::Auth;
            if !known && self.settings.login == Login::Required {
                return Some(Reply::fixed(530, 7, 0, "Authentication required"));
            }
        }
        let hello = match self.settings.dialect {
            Dialect::Esmtp => matches!(verb, Verb::Ehlo | Verb::Helo),
            Dialect::Lmtp => verb == Verb::Lhlo,
        };
        let open = self.transaction.is_some();
        match verb {
            Verb::Ehlo | Verb::Helo | Verb::Lhlo if !hello => Some(UNKNOWN),
            Verb::StartTls if open || !self.offers_tls() => {
                Some(Reply::fixed(540, 5, 1, "TLS cannot be started now"))
            }
            Verb::Mail | Verb::Auth if self.hello.is_none() => {
                Some(Reply::fixed(503, 5, 1, "Say EHLO first"))
            }
            Verb::Mail if open => Some(Reply::fixed(503, 5, 1, "There is a sender already")),
            Verb::Vrfy | Verb::Expn if open => {
                Some(Reply::fixed(503, 5, 1, "Not inside a transaction"))
            }
            Verb::Rcpt if !open => Some(Reply::fixed(503, 5, 1, "Say MAIL first")),
            Verb::Rcpt | Verb::Data if self.is_chunking() => {
                Some(Reply::fixed(503, 5, 1, "The message has begun with BDAT"))
            }
            Verb::Data | Verb::Bdat if !self.has_recipients() => {
                Some(Reply::fixed(503, 5, 1, "There is no recipient"))
            }
            Verb::Bdat if !self.settings.keywords.has(Keyword::Chunking) => Some(UNKNOWN),
            _ => None,
        }
    }

    pub(super) fn offers_tls(&self) -> bool {
        self.transport == Transport::Plain
            && self.settings.tls != Tls::Unavailable
            && self.settings.keywords.has(Keyword::StartTls)
    }

    fn greeted_by<'b>(&mut self, verb: Verb, name: &[u8]) -> Option<Output<'b>> {
        let name = clean_name(name);
        self.hello = Some(Hello { verb, name });
        let mut lines = format!("{} Ok.", self.settings.name);
        if verb != Verb::Helo {
            for keyword in Keyword::ALL {
                if self.settings.keywords.has(keyword)
                    && let Some(line) = self.keyword_line(keyword)
                {
                    lines.push('\n');
                    lines.push_str(&line);
                }
            }
        }
        self.reset(Reply::bare(250, Cow::Owned(lines)))
    }

    /// The line of the reply to EHLO for a keyword, if it applies.
    fn keyword_line(&self, keyword: Keyword) -> Option<Cow<'static, str>> {
        let limits = &self.settings.limits;
        match keyword {
            Keyword::Auth => {
                let offered = self.offered_mechanisms();
                (!offered.is_empty()).then(|| format!("AUTH {}", offered.join(" ")).into())
            }
            Keyword::StartTls => self.offers_tls().then_some("STARTTLS".into()),
            Keyword::XVerp => Some("XVERP=Courier".into()),
            Keyword::XSecurity => Some("XSECURITY=NONE,STARTTLS".into()),
            Keyword::Size => Some(match limits.message {
                Some(limit) => format!("SIZE {limit}").into(),
                None => "SIZE".into(),
            }),
            Keyword::Limits => {
                let (recipients, messages) = (limits.recipients(), limits.transactions);
                Some(format!("LIMITS RCPTMAX={recipients} MAILMAX={messages}").into())
            }
            other => Some(other.as_str().into()),
        }
    }

    /// Says the reply; if a transaction was open, the host is told that it is over.
    fn reset<'b>(&mut self, reply: Reply) -> Option<Output<'b>> {
        let open = self.transaction.take().is_some();
        self.say(reply);
        open.then_some(Output::Abort(Aborted::Reset))
    }

    fn look_up<'b>(&mut self, verb: Verb, argument: &[u8]) -> Option<Output<'b>> {
        let lookup = match verb {
            Verb::Vrfy => self.settings.vrfy,
            _ => self.settings.expn,
        };
        if lookup == Lookup::Off {
            self.say(Reply::fixed(
                252,
                0,
                0,
                "Not looked up, but mail for it is tried",
            ));
            return None;
        }
        let argument = String::from_utf8_lossy(argument).into_owned();
        Some(match verb {
            Verb::Vrfy => {
                let token = self.ask(Question::Verify(argument.clone()));
                Output::Verify { token, argument }
            }
            _ => {
                let token = self.ask(Question::Expand(argument.clone()));
                Output::Expand { token, argument }
            }
        })
    }
}

/// A browser or a script in one (reliability.md section 3), by its first line or the
/// beginning of it.
pub(super) fn is_http(line: &[u8]) -> bool {
    const METHODS: [&[u8]; 9] = [
        b"GET ",
        b"POST ",
        b"CONNECT ",
        b"PUT ",
        b"HEAD ",
        b"OPTIONS ",
        b"DELETE ",
        b"PATCH ",
        b"TRACE ",
    ];
    METHODS.iter().any(|method| line.starts_with(method))
        || memchr::memmem::find(line, b" HTTP/").is_some()
}

fn is_idle(verb: Verb) -> bool {
    match verb {
        Verb::Noop | Verb::Rset | Verb::Help | Verb::Vrfy | Verb::Expn => true,
        Verb::Ehlo | Verb::Helo | Verb::Lhlo | Verb::StartTls => true,
        Verb::Mail | Verb::Rcpt | Verb::Data | Verb::Bdat | Verb::Quit | Verb::Auth => false,
    }
}

const UNKNOWN: Reply = Reply::fixed(500, 5, 2, "Unknown command");
const HELP: &str = "EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY EXPN QUIT\n\
                    RFC 5321 has the rest.";
