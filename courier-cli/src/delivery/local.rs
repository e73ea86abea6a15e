//! Delivery into the maildirs of accounts.

use std::sync::Arc;

use courier_core::address::{ForwardPath, Mailbox, ReversePath};
use courier_core::disk;
use courier_maildir::content::{Content, LastLine, Lines};
use courier_maildir::delivery::{Absent, Delivery};
use courier_maildir::folder::FolderPath;
use courier_maildir::name::{Maker, UniqueName};
use courier_maildir::quota::{Metered, deliver};
use courier_maildir::writer::Writer;

use super::item::Item;
use crate::clock;
use crate::disk::StdDisk;
use crate::failure::chain;
use crate::routing::{Destination, Routing};
use crate::service::quota;

/// What became of one recipient: a text for the journal and the log; an error is for
/// now, and the delivery is tried again.
pub(super) type Result = std::result::Result<String, String>;

/// Delivers into maildirs. A clone is the same.
#[derive(Debug, Clone)]
pub struct Local {
    /// Whose mail it is.
    pub routing: Arc<Routing>,
    /// The files.
    pub disk: StdDisk,
    /// Who writes.
    pub writer: Writer,
}

impl Local {
    /// Delivers messages to the recipients that wait; gives the result of each. A maildir
    /// over its quota is a failure for now, as with Courier (mta.md 282): there may be
    /// room tomorrow.
    pub(super) fn deliver(&self, items: &[Item]) -> Vec<Vec<Result>> {
        let mut batch = Vec::new();
        let mut results: Vec<Vec<Result>> = Vec::new();
        // Where in `results` the outcome of each delivery of the batch goes.
        let mut places = Vec::new();
        for (number, item) in items.iter().enumerate() {
            let mut of_item = Vec::with_capacity(item.recipients.len());
            let lines = self.count_lines(item);
            for (place, &(recipient, _)) in item.recipients.iter().enumerate() {
                let delivery = match &lines {
                    Ok(lines) => self.delivery(item, recipient, *lines),
                    Err(error) => Err(error.clone()),
                };
                of_item.push(match delivery {
                    Ok(delivery) => {
                        batch.push(delivery);
                        places.push((number, place));
                        Err(String::new())
                    }
                    Err(text) => Err(text),
                });
            }
            results.push(of_item);
        }
        let writer = self.writer.at(clock::now());
        let outcomes = self.disk.run(disk::task(|disk| async move {
            deliver(&disk, batch, &writer).await
        }));
        for ((item, place), outcome) in places.into_iter().zip(outcomes) {
            let slot = results.get_mut(item).and_then(|item| item.get_mut(place));
            if let Some(slot) = slot {
                *slot = match outcome {
                    Ok(delivered) => Ok(delivered.base),
                    Err(error) => Err(chain(&error)),
                };
            }
        }
        for (item, results) in items.iter().zip(&results) {
            log(item, results);
        }
        results
    }

    /// The delivery to one recipient.
    fn delivery(
        &self,
        item: &Item,
        recipient: u32,
        lines: Lines,
    ) -> std::result::Result<Metered, String> {
        let path = usize::try_from(recipient)
            .ok()
            .and_then(|number| item.envelope.recipients.get(number))
            .map(|recipient| &recipient.path)
            .ok_or("the envelope has no such recipient")?;
        let account = match self.routing.destination(path) {
            Destination::Account(account) => account,
            Destination::Unknown => return Err("no such account".to_owned()),
            Destination::Elsewhere => {
                return Err("mail to other hosts is not sent yet".to_owned());
            }
            Destination::Unavailable(reason) => return Err(reason),
        };
        let header = format!(
            "Delivered-To: {}\nReturn-Path: <{}>\n",
            address(path),
            sender(&item.envelope.reverse_path)
        );
        let content = Content::default().octets(header.into_bytes());
        let content = match &item.content {
            Some(octets) => content.octets(Arc::clone(octets)),
            None => content.file(item.location.path(), item.location.range(), lines),
        };
        let arrived = item.envelope.received_at.0;
        let delivery = Delivery {
            folder: FolderPath::inbox(account.maildir()),
            name: UniqueName {
                seconds: u64::try_from(arrived).unwrap_or_default(),
                micros: 0,
                maker: Maker::Journal {
                    message: item.id,
                    recipient,
                },
                host: self.writer.host.clone(),
            },
            content,
            attempt: item.attempt,
            absent: Absent::Refuse,
        };
        Ok(Metered {
            delivery,
            quota: quota::of(&account),
        })
    }

    /// The line ends of a content that is only in the journal.
    fn count_lines(&self, item: &Item) -> std::result::Result<Lines, String> {
        let mut lines = Lines {
            bare: 0,
            last: LastLine::Ended,
        };
        if item.content.is_some() {
            return Ok(lines);
        }
        let (path, range) = (item.location.path().to_path_buf(), item.location.range());
        let mut at = range.start;
        while at < range.end {
            let (path, end) = (path.clone(), range.end.min(at + CHUNK));
            let read = self.disk.run(disk::task(
                |disk| async move { disk.read(&path, at..end).await },
            ));
            let octets = read.map_err(|error| error.to_string())?;
            if octets.is_empty() {
                return Err(format!("{} is cut short", item.location.path().display()));
            }
            let counted = Lines::of(&octets);
            lines.bare += counted.bare;
            lines.last = counted.last;
            at += octets.len() as u64;
        }
        Ok(lines)
    }
}

fn log(item: &Item, results: &[Result]) {
    let id = &item.envelope.id;
    let from = &item.envelope.reverse_path;
    for (&(number, _), result) in item.recipients.iter().zip(results) {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let recipient = item.envelope.recipients.get(number);
        let to = recipient.map(|recipient| address(&recipient.path));
        let to = to.as_deref().unwrap_or_default();
        match result {
            Ok(_) => {
                tracing::info!(id = %id, from = %from, addr = to, status = "success", "DELIVERED")
            }
            Err(text) => {
                tracing::warn!(id = %id, from = %from, addr = to, status = "deferred", reason = text, "DEFERRED");
            }
        }
    }
}

/// A recipient in wire form, with the domain in ASCII.
fn address(path: &ForwardPath) -> String {
    match path {
        ForwardPath::Postmaster => "postmaster".to_owned(),
        ForwardPath::Mailbox(mailbox) => ascii_domain(mailbox),
    }
}

/// A sender in wire form, with the domain in ASCII; empty for the null sender.
fn sender(path: &ReversePath) -> String {
    path.mailbox().map(ascii_domain).unwrap_or_default()
}

/// Readers of headers need not know UTF-8 in a domain, even where the local part has it.
fn ascii_domain(mailbox: &Mailbox) -> String {
    format!("{}@{}", mailbox.local(), mailbox.domain().to_ascii())
}

/// Octets read at a time.
const CHUNK: u64 = 1 << 20;
