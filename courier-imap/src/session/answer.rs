//! The host's answers on their way to the command that waits for them.

use courier_core::account::sasl::Verdict;
use courier_core::token::Token;

use super::Session;
use super::output::{self, Appended, Copied, Counts, Fetched, Folder, Opened, Refusal};
use crate::view::{Changes, MessageFlags, Uid};

/// The answer to the open question.
#[derive(Debug)]
pub(super) enum Answer {
    Verdict(Verdict),
    Folders(Result<Vec<Folder>, Refusal>),
    FoldersChanged(Result<(), Refusal>),
    Counts(Result<Counts, Refusal>),
    Selected(Result<Opened, Refusal>),
    Changes(Result<Changes, Refusal>),
    Fetched(Vec<Fetched>),
    Stored(Result<Vec<MessageFlags>, Refusal>),
    Searched(Result<Vec<Uid>, Refusal>),
    Expunged(Result<Vec<Uid>, Refusal>),
    Copied(Result<Copied, Refusal>),
    AppendBegun(Result<(), Refusal>),
    Appended(Result<Appended, Refusal>),
}

impl Session {
    /// Answers [`output::Output::Login`], [`output::Output::Authenticate`] and [`output::Output::Respond`].
    pub fn authenticated(&mut self, token: Token<output::Authentication>, verdict: Verdict) {
        self.answer(token, Answer::Verdict(verdict));
    }

    /// Answers [`output::Output::Folders`]; in any order, each once.
    pub fn folders(
        &mut self,
        token: Token<output::Folders>,
        folders: Result<Vec<Folder>, Refusal>,
    ) {
        self.answer(token, Answer::Folders(folders));
    }

    /// Answers [`output::Output::ChangeFolders`].
    pub fn folders_changed(
        &mut self,
        token: Token<output::FolderChanges>,
        done: Result<(), Refusal>,
    ) {
        self.answer(token, Answer::FoldersChanged(done));
    }

    /// Answers [`output::Output::Status`].
    pub fn status(&mut self, token: Token<output::Status>, counts: Result<Counts, Refusal>) {
        self.answer(token, Answer::Counts(counts));
    }

    /// Answers [`output::Output::Select`].
    pub fn selected(&mut self, token: Token<output::Select>, opened: Result<Opened, Refusal>) {
        self.answer(token, Answer::Selected(opened));
    }

    /// Answers [`output::Output::Refresh`].
    pub fn refreshed(&mut self, token: Token<output::Refresh>, changes: Result<Changes, Refusal>) {
        self.answer(token, Answer::Changes(changes));
    }

    /// Answers [`output::Output::Fetch`], in the order of the question; what is missing at the end
    /// counts as gone.
    pub fn fetched(&mut self, token: Token<output::Fetch>, messages: Vec<Fetched>) {
        self.answer(token, Answer::Fetched(messages));
    }

    /// Answers [`output::Output::Store`] with the flags that the messages have now; those that are
    /// missing are gone.
    pub fn stored(
        &mut self,
        token: Token<output::Store>,
        flags: Result<Vec<MessageFlags>, Refusal>,
    ) {
        self.answer(token, Answer::Stored(flags));
    }

    /// Answers [`output::Output::Search`] with the messages that are meant.
    pub fn searched(&mut self, token: Token<output::Search>, found: Result<Vec<Uid>, Refusal>) {
        self.answer(token, Answer::Searched(found));
    }

    /// Answers [`output::Output::Expunge`] with the messages that were removed.
    pub fn expunged(&mut self, token: Token<output::Expunge>, removed: Result<Vec<Uid>, Refusal>) {
        self.answer(token, Answer::Expunged(removed));
    }

    /// Answers [`output::Output::Copy`].
    pub fn copied(&mut self, token: Token<output::Copy>, copied: Result<Copied, Refusal>) {
        self.answer(token, Answer::Copied(copied));
    }

    /// Answers [`output::Output::Append`]: whether the message may come.
    pub fn append_begun(&mut self, token: Token<output::AppendBegin>, ready: Result<(), Refusal>) {
        self.answer(token, Answer::AppendBegun(ready));
    }

    /// Answers [`output::Output::AppendFinish`] once the message is durable.
    pub fn append_finished(
        &mut self,
        token: Token<output::AppendFinish>,
        appended: Result<Appended, Refusal>,
    ) {
        self.answer(token, Answer::Appended(appended));
    }

    fn answer<Q>(&mut self, token: Token<Q>, answer: Answer) {
        let serial = token.serial();
        drop(token);
        // A question that a timeout overtook is not open any more.
        if self.core.open == Some(serial) {
            self.core.open = None;
            self.core.answer = Some(answer);
            self.core.active = true;
        }
    }
}
