//! A session's view of its mailbox: sequence numbers against UIDs (RFC 3501 §2.3.1).
//!
//! Between two commands a client may rely on its numbers, so nothing moves them but
//! [`View::take_expunged`]: what has gone elsewhere stays in its place, marked, until the
//! protocol allows EXPUNGE (RFC 3501 §7.4.1). A message costs 24 octets.

use std::num::NonZeroU32;
use std::ops::Range;

use courier_core::time::UnixSeconds;
use smallvec::SmallVec;

use crate::grammar::command::By;
use crate::grammar::flag::{Flag, Flags, Keyword};
use crate::grammar::response::Recent;
use crate::grammar::sequence::SequenceSet;

mod keywords;

use keywords::{KeywordSet, KeywordTable};

/// The number of a message that it keeps as long as UIDVALIDITY stays (RFC 3501 §2.3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(pub NonZeroU32);

impl Uid {
    /// A UID; none for zero.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        NonZeroU32::new(number).map(Self)
    }

    /// Its number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

/// Which generation of UIDs a mailbox has (RFC 3501 §2.3.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UidValidity(pub NonZeroU32);

/// What the host knows of a message without looking into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its UID.
    pub uid: Uid,
    /// Its system flags.
    pub flags: Flags,
    /// Its keywords.
    pub keywords: Vec<Keyword>,
    /// Whether this session is the first to be told about it.
    pub recent: Recent,
    /// Octets with CRLF line ends, if that is known without reading the message.
    pub size: Option<u64>,
    /// When it arrived, or what APPEND said, if that is known without asking the disk.
    pub date: Option<UnixSeconds>,
}

/// The flags that a message has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageFlags {
    /// Which message.
    pub uid: Uid,
    /// Its system flags.
    pub flags: Flags,
    /// Its keywords.
    pub keywords: Vec<Keyword>,
}

/// A mailbox as it is when it is selected.
#[derive(Debug)]
pub struct Snapshot {
    uid_validity: UidValidity,
    uid_next: Uid,
    entries: Vec<Entry>,
    keywords: KeywordTable,
}

/// A message does not stand behind the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("UID {} follows UID {}", .uid.get(), .before.get())]
pub struct OrderError {
    /// The UID that is too small.
    pub uid: Uid,
    /// The one before.
    pub before: Uid,
}

impl Snapshot {
    /// A mailbox without messages.
    #[must_use]
    pub fn new(uid_validity: UidValidity, uid_next: Uid) -> Self {
        Self {
            uid_validity,
            uid_next,
            entries: Vec::new(),
            keywords: KeywordTable::default(),
        }
    }

    /// Makes room for so many messages.
    pub fn reserve(&mut self, messages: usize) {
        self.entries.reserve_exact(messages);
    }

    /// Adds a keyword that the mailbox knows, whether a message has it or not.
    pub fn add_keyword(&mut self, keyword: &Keyword) {
        self.keywords.id(keyword);
    }

    /// Adds the next message.
    ///
    /// # Errors
    /// If its UID is not above those before it.
    pub fn push(&mut self, message: &Message) -> Result<(), OrderError> {
        if let Some(before) = self.entries.last().map(|entry| entry.uid)
            && before >= message.uid
        {
            let uid = message.uid;
            return Err(OrderError { uid, before });
        }
        let entry = Entry::new(message, &mut self.keywords);
        self.entries.push(entry);
        Ok(())
    }
}

/// What has happened to a mailbox since it was last looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Changes {
    /// Messages that have come, by ascending UID.
    pub arrivals: Vec<Message>,
    /// Messages that have gone.
    pub expunged: Vec<Uid>,
    /// Messages whose flags have changed, with all their flags.
    pub flags: Vec<MessageFlags>,
}

/// One message. Kept small: there may be a hundred thousand of them in each session.
#[derive(Debug, Clone)]
struct Entry {
    /// [`UNKNOWN_DATE`] if not known.
    date: UnixSeconds,
    uid: Uid,
    /// Octets on the wire; `u32::MAX` if not known.
    size: u32,
    keywords: KeywordSet,
    flags: Flags,
    marks: u8,
}

const RECENT: u8 = 1;
/// Expunged, but not yet told.
const GONE: u8 = 2;
/// In the list of changed flags.
const CHANGED: u8 = 4;
const UNKNOWN_SIZE: u32 = u32::MAX;
const UNKNOWN_DATE: UnixSeconds = UnixSeconds(i64::MIN);

impl Entry {
    fn new(message: &Message, keywords: &mut KeywordTable) -> Self {
        Self {
            date: message.date.unwrap_or(UNKNOWN_DATE),
            uid: message.uid,
            size: message.size.map_or(UNKNOWN_SIZE, as_size),
            keywords: keywords.set(&message.keywords),
            flags: message.flags,
            marks: if message.recent == Recent::Yes {
                RECENT
            } else {
                0
            },
        }
    }

    fn has(&self, mark: u8) -> bool {
        self.marks & mark != 0
    }
}

/// RFC822.SIZE has 32 bits (RFC 3501 §9 `number`); what is larger is told as the largest.
fn as_size(octets: u64) -> u32 {
    u32::try_from(octets)
        .unwrap_or(u32::MAX)
        .min(UNKNOWN_SIZE - 1)
}

/// What a session knows of the mailbox it has selected.
#[derive(Debug)]
pub struct View {
    uid_validity: UidValidity,
    uid_next: Uid,
    entries: Vec<Entry>,
    keywords: KeywordTable,
    /// How many messages, and how many keywords, the client has been told of.
    told: usize,
    told_keywords: usize,
    gone: usize,
    /// UIDs of messages whose flags the client does not know, each once.
    changed: Vec<Uid>,
}

/// Whether a client is told of flags, or knows them because it set them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// It is.
    Tell,
    /// It is not.
    Known,
}

impl View {
    /// The view of a client that is about to be told everything.
    #[must_use]
    pub fn new(snapshot: Snapshot) -> Self {
        Self {
            uid_validity: snapshot.uid_validity,
            uid_next: snapshot.uid_next,
            told: snapshot.entries.len(),
            told_keywords: snapshot.keywords.names().len(),
            entries: snapshot.entries,
            keywords: snapshot.keywords,
            gone: 0,
            changed: Vec::new(),
        }
    }

    /// UIDVALIDITY
    #[must_use]
    pub fn uid_validity(&self) -> UidValidity {
        self.uid_validity
    }

    /// UIDNEXT
    #[must_use]
    pub fn uid_next(&self) -> Uid {
        self.uid_next
    }

    /// Messages in the view, those included that have gone untold.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many messages are recent.
    #[must_use]
    pub fn recent(&self) -> usize {
        self.entries
            .iter()
            .filter(|entry| entry.has(RECENT))
            .count()
    }

    /// The index of the first message that is not seen.
    #[must_use]
    pub fn first_unseen(&self) -> Option<usize> {
        self.entries
            .iter()
            .position(|entry| !entry.flags.contains(Flag::Seen))
    }

    /// The message at an index, which is its sequence number less one.
    #[must_use]
    pub fn at(&self, index: usize) -> Option<Seen<'_>> {
        let entry = self.entries.get(index)?;
        Some(Seen { entry, view: self })
    }

    /// The index of a UID.
    #[must_use]
    pub fn index_of(&self, uid: Uid) -> Option<usize> {
        self.entries
            .binary_search_by_key(&uid, |entry| entry.uid)
            .ok()
    }

    /// The keywords of the mailbox.
    #[must_use]
    pub fn keywords(&self) -> &[Keyword] {
        self.keywords.names()
    }

    /// The largest sequence number or UID: what `*` means.
    #[must_use]
    pub fn largest(&self, by: By) -> u32 {
        match by {
            By::Sequence => number(self.entries.len()),
            By::Uid => self.entries.last().map_or(0, |entry| entry.uid.get()),
        }
    }

    /// The messages that a set names.
    #[must_use]
    pub fn select(&self, set: &SequenceSet, by: By) -> Selection {
        let mut selection = Selection::default();
        for range in set.resolve(self.largest(by)) {
            let (first, last) = (*range.start(), *range.end());
            let indices = match by {
                By::Sequence => {
                    let end = self.entries.len().min(index(last));
                    if index(last) > end && selection.invalid.is_none() {
                        selection.invalid = Some(first.max(number(end).saturating_add(1)));
                    }
                    index(first).saturating_sub(1)..end
                }
                By::Uid => {
                    let start = self
                        .entries
                        .partition_point(|entry| entry.uid.get() < first);
                    let end = self
                        .entries
                        .partition_point(|entry| entry.uid.get() <= last);
                    start..end
                }
            };
            if !indices.is_empty() {
                selection.ranges.push(indices);
            }
        }
        selection
    }

    /// Takes in what the host has found. Indices stay valid; new messages come behind.
    pub fn apply(&mut self, changes: &Changes) {
        for message in &changes.arrivals {
            // A message that was told already, or out of order, would tear the numbering.
            if self
                .entries
                .last()
                .is_none_or(|last| last.uid < message.uid)
            {
                let entry = Entry::new(message, &mut self.keywords);
                self.entries.push(entry);
            }
            let next = Uid(message.uid.0.saturating_add(1));
            self.uid_next = self.uid_next.max(next);
        }
        for flags in &changes.flags {
            self.set_flags(flags, News::Tell);
        }
        for &uid in &changes.expunged {
            self.mark_gone(uid);
        }
    }

    /// Notes the flags that a message has now; gives its index if there is such a message.
    pub fn set_flags(&mut self, now: &MessageFlags, news: News) -> Option<usize> {
        let index = self.index_of(now.uid)?;
        let keywords = self.keywords.set(&now.keywords);
        let entry = self.entries.get_mut(index)?;
        if entry.flags != now.flags || entry.keywords != keywords {
            (entry.flags, entry.keywords) = (now.flags, keywords);
            if news == News::Tell && !entry.has(CHANGED) {
                entry.marks |= CHANGED;
                self.changed.push(now.uid);
            }
        }
        let used = self.entries.iter_mut().map(|entry| &mut entry.keywords);
        self.keywords.collect(used);
        Some(index)
    }

    /// Notes the internal date of a message once it is known.
    pub fn set_date(&mut self, index: usize, date: UnixSeconds) {
        if let Some(entry) = self.entries.get_mut(index) {
            entry.date = date;
        }
    }

    /// Notes the size of a message once it is known.
    pub fn set_size(&mut self, index: usize, octets: u64) {
        if let Some(entry) = self.entries.get_mut(index) {
            entry.size = as_size(octets);
        }
    }

    /// Notes that a message has gone; it keeps its number until that is told.
    pub fn mark_gone(&mut self, uid: Uid) {
        let index = self.index_of(uid);
        if let Some(entry) = index.and_then(|index| self.entries.get_mut(index))
            && !entry.has(GONE)
        {
            entry.marks |= GONE;
            self.gone += 1;
        }
    }

    /// Takes out what has gone. Gives the sequence numbers to be told, largest first, so
    /// that each is right when it is told.
    pub fn take_expunged(&mut self) -> Vec<u32> {
        if self.gone == 0 {
            return Vec::new();
        }
        let mut numbers = Vec::with_capacity(self.gone);
        let told = self.told;
        for (index, entry) in self.entries.iter().enumerate() {
            // A message that came and went untold has no number.
            if entry.has(GONE) && index < told {
                numbers.push(number(index + 1));
            }
        }
        self.entries.retain(|entry| !entry.has(GONE));
        self.told -= numbers.len();
        self.gone = 0;
        numbers.reverse();
        numbers
    }

    /// The number of messages, if it must be told again.
    pub fn take_exists(&mut self) -> Option<usize> {
        let exists = self.entries.len();
        let news = exists != self.told;
        self.told = exists;
        news.then_some(exists)
    }

    /// Whether keywords have come up that the client has not been told of.
    pub fn take_new_keywords(&mut self) -> bool {
        let count = self.keywords.names().len();
        count != std::mem::replace(&mut self.told_keywords, count)
    }

    /// The index of the next message whose flags the client does not know.
    pub fn take_changed(&mut self) -> Option<usize> {
        while let Some(uid) = self.changed.pop() {
            let Some(index) = self.index_of(uid) else {
                continue;
            };
            if let Some(entry) = self.entries.get_mut(index)
                && entry.has(CHANGED)
            {
                entry.marks &= !CHANGED;
                return Some(index);
            }
        }
        None
    }

    /// Orders the changed messages, so that they are told by ascending number.
    pub fn sort_changed(&mut self) {
        self.changed.sort_unstable_by(|a, b| b.cmp(a));
    }

    /// Notes that the client has been told the flags of a message.
    pub fn forget_change(&mut self, index: usize) {
        if let Some(entry) = self.entries.get_mut(index) {
            entry.marks &= !CHANGED;
        }
    }
}

/// A message in a view.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'v> {
    entry: &'v Entry,
    view: &'v View,
}

impl<'v> Seen<'v> {
    /// Its UID.
    #[must_use]
    pub fn uid(&self) -> Uid {
        self.entry.uid
    }

    /// Its system flags.
    #[must_use]
    pub fn flags(&self) -> Flags {
        self.entry.flags
    }

    /// Whether it is recent.
    #[must_use]
    pub fn recent(&self) -> Recent {
        if self.entry.has(RECENT) {
            Recent::Yes
        } else {
            Recent::No
        }
    }

    /// Its keywords.
    pub fn keywords(&self) -> impl Iterator<Item = &'v Keyword> + use<'v> {
        self.view.keywords.members(self.entry.keywords)
    }

    /// Whether it has a keyword.
    #[must_use]
    pub fn has_keyword(&self, keyword: &Keyword) -> bool {
        self.keywords().any(|own| own == keyword)
    }

    /// Octets on the wire, if known.
    #[must_use]
    pub fn size(&self) -> Option<u32> {
        (self.entry.size != UNKNOWN_SIZE).then_some(self.entry.size)
    }

    /// The internal date, if it is known.
    #[must_use]
    pub fn date(&self) -> Option<UnixSeconds> {
        (self.entry.date != UNKNOWN_DATE).then_some(self.entry.date)
    }

    /// Whether it has been expunged, which the client does not know yet.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.entry.has(GONE)
    }
}

/// Messages by their indices, ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    ranges: SmallVec<[Range<usize>; 2]>,
    /// A sequence number that was asked for and does not exist.
    pub invalid: Option<u32>,
    /// The range that is being walked through.
    at: usize,
}

impl Selection {
    /// Every message of a view.
    #[must_use]
    pub fn all(view: &View) -> Self {
        let mut selection = Self::default();
        selection.ranges.push(0..view.len());
        selection
    }

    /// The next message, without taking it.
    #[must_use]
    pub fn peek(&self) -> Option<usize> {
        let mut ranges = self.ranges.iter().skip(self.at);
        ranges
            .find(|range| !range.is_empty())
            .map(|range| range.start)
    }
}

impl Iterator for Selection {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        loop {
            let range = self.ranges.get_mut(self.at)?;
            if let Some(index) = range.next() {
                return Some(index);
            }
            self.at += 1;
        }
    }
}

/// An index or a count as a sequence number; a mailbox never has more messages than those.
pub(crate) fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn index(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
