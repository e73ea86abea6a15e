//! The INBOX of an account, as a POP3 session has it.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use courier_core::disk;
use courier_core::message::wire::Content;
use courier_maildir::mailbox::MailboxError;
use courier_maildir::pop3::{self, MailDrop};
use courier_maildir::writer::Writer;
use courier_pop3::listing::{HeaderOctets, Listing, MessageNumber};
use courier_pop3::session::{OpenRefusal, RetrieveError};

use crate::clock;
use crate::disk::Disks;
use crate::failure::chain;
use crate::message_file;

/// The INBOX, and what was done with it.
pub(super) struct Inbox {
    disks: Disks,
    writer: Writer,
    /// Out only while a task has it.
    maildrop: Option<MailDrop>,
    seen: Vec<u32>,
    /// The message that was asked for last, and those after it that were read as well.
    last: u32,
    ahead: VecDeque<(u32, Content)>,
}

impl Inbox {
    /// Opens the INBOX and lists it.
    pub(super) async fn open(
        disks: &Disks,
        writer: &Writer,
        maildir: PathBuf,
    ) -> Result<(Self, Listing), OpenRefusal> {
        let now = writer.at(clock::now());
        let open = disk::task(|disk| async move { pop3::open(&disk, &maildir, &now).await });
        let maildrop = disks.run(open).await.map_err(|error| {
            tracing::error!(error = chain(&error), "MAILDIR NOT OPENED");
            match error {
                MailboxError::NoFolder { .. } => OpenRefusal::Permanent,
                _ => OpenRefusal::Temporary,
            }
        })?;
        if let Some(error) = maildrop.unsaved() {
            tracing::error!(error = chain(error), "SIZE LIST NOT SAVED");
        }
        let mut listing = Listing::new();
        for message in maildrop.messages() {
            let header = match message.eight_bit_header {
                true => HeaderOctets::EightBit,
                false => HeaderOctets::Ascii,
            };
            if let Err(error) = listing.push(message.size, message.uidl, header) {
                tracing::error!(error = chain(&error), "MAILDIR NOT OPENED");
                return Err(OpenRefusal::Permanent);
            }
        }
        let inbox = Self {
            disks: disks.clone(),
            writer: writer.clone(),
            maildrop: Some(maildrop),
            seen: Vec::new(),
            last: 0,
            ahead: VecDeque::new(),
        };
        Ok((inbox, listing))
    }

    /// A message's content; its name may have changed since it was listed.
    pub(super) async fn content(
        &mut self,
        number: MessageNumber,
    ) -> Result<Content, RetrieveError> {
        let last = std::mem::replace(&mut self.last, number.get());
        while let Some((ahead, content)) = self.ahead.pop_front() {
            if ahead == number.get() {
                return Ok(content);
            }
        }
        let maildrop = self.maildrop.as_ref().ok_or(RetrieveError::Unreadable)?;
        let path = maildrop.path(number.get()).ok_or(RetrieveError::Gone)?;
        // Who asks for one message after the other will ask for the next.
        let next: Vec<_> = match number.get() == last + 1 {
            true => (number.get() + 1..).take(AHEAD).collect(),
            false => Vec::new(),
        };
        let next = next
            .into_iter()
            .map_while(|number| Some((number, maildrop.path(number)?)));
        let next: Vec<_> = next.collect();
        let read = self.disks.call(move || read_on(&path, next)).await;
        let read = read.map(|(content, ahead)| {
            self.ahead = ahead;
            content
        });
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other.map_err(|error| unreadable(&error)),
        }
        let found = self.task(move |disk, mut maildrop, _| async move {
            let found = pop3::find(&disk, &mut maildrop, number.get()).await;
            (maildrop, found)
        });
        match found.await.ok_or(RetrieveError::Unreadable)? {
            Ok(Some(path)) => match self.read(path).await {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(RetrieveError::Gone),
                other => other.map_err(|error| unreadable(&error)),
            },
            Ok(None) => Err(RetrieveError::Gone),
            Err(error) => {
                tracing::error!(error = chain(&error), "MESSAGE NOT READ");
                Err(RetrieveError::Unreadable)
            }
        }
    }

    async fn read(&self, path: PathBuf) -> io::Result<Content> {
        self.disks.call(move || message_file::open(&path)).await
    }

    /// The client has got all of this message.
    pub(super) fn was_read(&mut self, number: MessageNumber) {
        self.seen.push(number.get());
    }

    /// Removes messages durably; gives how many could not be.
    pub(super) async fn remove(&mut self, numbers: &[MessageNumber]) -> usize {
        let numbers: Vec<u32> = numbers.iter().map(|number| number.get()).collect();
        let count = numbers.len();
        let removed = self.task(move |disk, mut maildrop, writer| async move {
            let removed = pop3::remove(&disk, &mut maildrop, &numbers, &writer).await;
            (maildrop, removed)
        });
        match removed.await {
            Some(Ok(())) => 0,
            Some(Err(error)) => {
                tracing::error!(error = chain(&error), "MESSAGES NOT REMOVED");
                count
            }
            None => count,
        }
    }

    /// The session is over: marks what was read as seen.
    pub(super) async fn close(mut self) {
        let seen = std::mem::take(&mut self.seen);
        if seen.is_empty() {
            return;
        }
        let marked = self.task(move |disk, mut maildrop, writer| async move {
            let marked = pop3::mark_seen(&disk, &mut maildrop, &seen, &writer).await;
            (maildrop, marked)
        });
        if let Some(Err(error)) = marked.await {
            tracing::warn!(error = chain(&error), "MESSAGES NOT MARKED");
        }
    }

    /// Runs a task on the maildrop, which comes back with it.
    async fn task<P, F, T>(&mut self, procedure: P) -> Option<T>
    where
        P: FnOnce(disk::Disk, MailDrop, Writer) -> F,
        F: Future<Output = (MailDrop, T)> + Send + 'static,
        T: Send + 'static,
    {
        let maildrop = self.maildrop.take()?;
        let writer = self.writer.at(clock::now());
        let task = disk::task(|disk| procedure(disk, maildrop, writer));
        let (maildrop, value) = self.disks.run(task).await;
        self.maildrop = Some(maildrop);
        Some(value)
    }
}

/// Reads a message and those that come next, as far as they can be read and are small.
fn read_on(
    path: &Path,
    next: Vec<(u32, PathBuf)>,
) -> io::Result<(Content, VecDeque<(u32, Content)>)> {
    let content = message_file::open(path)?;
    let length = |content: &Content| (**content).as_ref().len();
    let mut octets = length(&content);
    let mut ahead = VecDeque::new();
    for (number, path) in next {
        if octets >= AHEAD_OCTETS {
            break;
        }
        let Ok(content) = message_file::open(&path) else {
            break;
        };
        octets += length(&content);
        ahead.push_back((number, content));
    }
    Ok((content, ahead))
}

fn unreadable(error: &io::Error) -> RetrieveError {
    tracing::error!(error = %error, "MESSAGE NOT READ");
    RetrieveError::Unreadable
}

/// Messages that are read ahead at most.
const AHEAD: usize = 15;
/// Nothing more is read ahead when so much was read.
const AHEAD_OCTETS: usize = 128 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_comes_next_is_read_as_far_as_it_can_be() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |number: u32| folder.path().join(number.to_string());
        for number in [1, 2, 3, 5] {
            fs::write(path(number), number.to_string()).expect("written");
        }
        let next = |numbers: std::ops::Range<u32>| numbers.map(|n| (n, path(n))).collect();
        let (content, ahead) = read_on(&path(1), next(2..6)).expect("read");
        assert_eq!((*content).as_ref(), b"1");
        let numbers: Vec<_> = ahead.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [2, 3], "4 is gone, and 5 is not looked for");
        assert_eq!((*ahead[1].1).as_ref(), b"3");
        fs::write(path(2), vec![b'x'; AHEAD_OCTETS]).expect("written");
        let (_, ahead) = read_on(&path(1), next(2..4)).expect("read");
        assert_eq!(ahead.len(), 1, "2 is enough");
        assert!(read_on(&path(4), next(5..6)).is_err());
    }
}
