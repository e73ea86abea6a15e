//! The tagged line that ends a command (RFC 3501 §7.1), and its response codes.

use std::borrow::Cow;

use super::output::Refusal;
use crate::grammar::command::CommandError;
use crate::grammar::mailbox_name::{MailboxName, MailboxNameError};

/// How a command ends.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: ReplyStatus,
    /// Without its brackets.
    pub(super) code: Cow<'static, str>,
    pub(super) text: Cow<'static, str>,
    pub(super) news: MailboxNews,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReplyStatus {
    Ok,
    No,
    Bad,
}

/// What is told of the mailbox before the command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MailboxNews {
    /// Nothing.
    None,
    /// What moves no number (RFC 3501 §7.4.1: FETCH, STORE, SEARCH).
    KeepNumbers,
    /// Everything that is known, and what the host knows if some time has passed.
    All,
    /// Everything, after asking the host.
    Fresh,
}

impl Reply {
    pub(super) fn ok(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ReplyStatus::Ok, "", text, MailboxNews::All)
    }

    /// The command was wrong, and changed nothing.
    pub(super) fn bad(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ReplyStatus::Bad, "", text, MailboxNews::None)
    }

    pub(super) fn no(code: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ReplyStatus::No, code, text, MailboxNews::All)
    }

    fn new(
        status: ReplyStatus,
        code: &'static str,
        text: impl Into<Cow<'static, str>>,
        news: MailboxNews,
    ) -> Self {
        Self {
            status,
            code: code.into(),
            text: text.into(),
            news,
        }
    }

    /// What a client reads of a refusal (reliability: every failure has its code, RFC 5530).
    pub(super) fn refused(refusal: Refusal) -> Self {
        let (code, text) = match refusal {
            Refusal::NonExistent => ("NONEXISTENT", "Mailbox does not exist."),
            Refusal::AlreadyExists => ("ALREADYEXISTS", "Mailbox already exists."),
            Refusal::OverQuota => ("OVERQUOTA", "You exceeded your mail quota."),
            Refusal::Limit => ("LIMIT", "A limit of this server is reached."),
            Refusal::Cannot => ("CANNOT", "This cannot be done."),
            Refusal::NoPermission => ("NOPERM", "Access denied."),
            Refusal::Expunged => ("EXPUNGEISSUED", "Some of the messages no longer exist."),
            Refusal::TooBig => ("TOOBIG", "The message is too large."),
            Refusal::Unavailable => ("UNAVAILABLE", "Temporary problem, please try again later."),
            Refusal::ServerBug => ("SERVERBUG", "Internal error, see the server's log."),
        };
        Self::no(code, text)
    }

    /// The same where a missing mailbox may be made by the client (RFC 3501 §6.3.11, §6.4.7).
    pub(super) fn refused_target(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NonExistent => Self::no("TRYCREATE", "Mailbox does not exist."),
            other => Self::refused(other),
        }
    }

    pub(super) fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.code = code.into();
        self
    }

    pub(super) fn with_news(mut self, news: MailboxNews) -> Self {
        self.news = news;
        self
    }

    pub(super) fn write(&self, tag: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(tag);
        let status: &[u8] = match self.status {
            ReplyStatus::Ok => b" OK ",
            ReplyStatus::No => b" NO ",
            ReplyStatus::Bad => b" BAD ",
        };
        out.extend_from_slice(status);
        if !self.code.is_empty() {
            out.push(b'[');
            out.extend_from_slice(self.code.as_bytes());
            out.extend_from_slice(b"] ");
        }
        out.extend_from_slice(self.text.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

/// A mailbox name that may name a mailbox.
pub(super) fn name(octets: &[u8]) -> Result<MailboxName, Reply> {
    MailboxName::from_wire(octets).map_err(|error| match error {
        MailboxNameError::Long | MailboxNameError::Deep => {
            Reply::no("LIMIT", format!("Invalid mailbox name: {error}."))
        }
        _ => Reply::no("CANNOT", format!("Invalid mailbox name: {error}.")),
    })
}

/// The reply to a command that cannot be read.
pub(super) fn wrong(error: &CommandError) -> Reply {
    match error {
        // RFC 3501 §6.4.4: the tagged NO lists what is known.
        CommandError::Charset => Reply::no(
            "BADCHARSET (US-ASCII UTF-8)",
            "The charset is not supported.",
        ),
        error => Reply::bad(format!("Error in IMAP command: {error}.")),
    }
}
