//! FETCH (RFC 3501 §6.4.5): streams, however much is asked for.

use std::collections::VecDeque;
use std::sync::Arc;

use courier_core::message::{self, Structure, header, wire};

use super::messages::{news, select};
use super::output::{
    Batch, Contents, FetchRequest, Fetched, MOST_DATED, MOST_FETCHED, Need, Output, Refusal,
    StoreRequest,
};
use super::reply::Reply;
use super::sync::write_flags;
use super::{Answer, Core, Job, Progress};
use crate::envelope;
use crate::grammar::command::{Access, By, FlagChange, FlagList};
use crate::grammar::date::DateTime;
use crate::grammar::fetch::{Attribute, Items, Reading, SectionText, TextItem};
use crate::grammar::flag::{Flag, Flags};
use crate::grammar::response;
use crate::grammar::sequence::SequenceSet;
use crate::section::{self, Piece};
use crate::structure::{self, Detail, Revision};
use crate::view::{News, Seen, Selection, Uid, number};

#[derive(Debug)]
pub(super) struct Fetch {
    selection: Selection,
    items: Items,
    by: By,
    need: Option<Need>,
    marking: Marking,
    /// Messages that can be told.
    ready: VecDeque<Ready>,
    state: State,
    trouble: Option<Refusal>,
}

/// Whether what is read becomes `\Seen`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marking {
    No,
    Yes,
    /// It could not be stored, and that has been told.
    Failed,
}

#[derive(Debug)]
enum State {
    Next,
    AskedHost(Vec<usize>),
    AskedSeen,
    /// A message is being told: this is its next text.
    Texts(Ready, usize),
}

#[derive(Debug)]
struct Ready {
    index: usize,
    contents: Contents,
    /// Its flags have just changed.
    echo: bool,
}

impl Fetch {
    pub(super) fn new(core: &mut Core, set: &SequenceSet, mut items: Items, by: By) -> Self {
        if by == By::Uid {
            items.attributes = items.attributes.with(Attribute::Uid);
        }
        let writable = core
            .mailbox
            .as_ref()
            .is_some_and(|m| m.access == Access::ReadWrite);
        let reads = items
            .texts
            .iter()
            .any(|item| item.reading == Reading::Marks);
        Self {
            selection: select(core, set, by),
            need: need(&items),
            items,
            by,
            marking: if writable && reads {
                Marking::Yes
            } else {
                Marking::No
            },
            ready: VecDeque::new(),
            state: State::Next,
            trouble: None,
        }
    }

    /// Gets the next messages ready, or asks for them.
    fn next(&mut self, core: &mut Core) -> Progress {
        let Some(mailbox) = &core.mailbox else {
            return Progress::Done(Reply::refused(Refusal::NonExistent));
        };
        let mut asked = Vec::new();
        let mut uids = Vec::new();
        let most = match self.need {
            Some(Need::Date) => MOST_DATED,
            _ => MOST_FETCHED,
        };
        while uids.len() < most {
            if core.out.is_full() && uids.is_empty() {
                return Progress::Full;
            }
            let Some(index) = self.selection.peek() else {
                break;
            };
            let Some(message) = mailbox.view.at(index) else {
                break;
            };
            if !self.is_known(&message) {
                asked.push(index);
                uids.push(message.uid());
                self.selection.next();
                continue;
            }
            if !uids.is_empty() {
                // Answers come in order: this one after those that are asked for.
                break;
            }
            self.selection.next();
            let ready = Ready {
                index,
                contents: Contents::default(),
                echo: false,
            };
            self.begin_line(core, &ready);
            core.out.write(")\r\n");
            return Progress::Full;
        }
        if uids.is_empty() {
            return self.end();
        }
        self.state = State::AskedHost(asked);
        let need = self.need.unwrap_or(Need::Size);
        core.ask(|token| Output::Fetch(token, FetchRequest { uids, need }))
    }

    /// Whether the view has all that is to be told of a message.
    fn is_known(&self, message: &Seen<'_>) -> bool {
        let wants = |attribute| self.items.attributes.contains(attribute);
        match self.need {
            None => true,
            Some(Need::Date | Need::Size) => {
                (!wants(Attribute::InternalDate) || message.date().is_some())
                    && (!wants(Attribute::Size) || message.size().is_some())
            }
            Some(Need::Content | Need::Structure) => false,
        }
    }

    fn end(&self) -> Progress {
        let reply = match (self.trouble, self.by) {
            (None, _) => Reply::ok("FETCH completed."),
            // RFC 3501 §6.4.8: a UID that is not there is no error.
            (Some(Refusal::Expunged), By::Uid) => {
                Reply::ok("FETCH completed.").with_code("EXPUNGEISSUED")
            }
            (Some(refusal), _) => Reply::refused(refusal),
        };
        Progress::Done(reply.with_news(news(self.by)))
    }

    /// Takes in the messages that the host gave.
    fn take(&mut self, core: &mut Core, indices: &[usize]) {
        let fetched = match core.take_answer() {
            Some(Answer::Fetched(fetched)) => fetched,
            _ => Vec::new(),
        };
        let mut fetched = fetched.into_iter();
        for &index in indices {
            let trouble = match fetched.next() {
                Some(Fetched::Message(contents)) => {
                    let has_what_is_needed = match self.need {
                        Some(Need::Content | Need::Structure) => contents.content.is_some(),
                        Some(Need::Date) => contents.date.is_some(),
                        _ => contents.size.is_some() || contents.content.is_some(),
                    };
                    if has_what_is_needed {
                        note_facts(core, index, &contents);
                        self.ready.push_back(Ready {
                            index,
                            contents,
                            echo: false,
                        });
                        continue;
                    }
                    Refusal::ServerBug
                }
                Some(Fetched::Failed(refusal)) => refusal,
                Some(Fetched::Gone) | None => Refusal::Expunged,
            };
            self.trouble = Some(match self.trouble {
                // What is broken is worse than what is gone.
                Some(old) if trouble == Refusal::Expunged => old,
                _ => trouble,
            });
        }
    }

    /// Asks to mark as read those messages that are not.
    fn ask_seen(&mut self, core: &mut Core) -> Option<Progress> {
        if self.marking != Marking::Yes {
            return None;
        }
        let view = &core.mailbox.as_ref()?.view;
        let messages = self.ready.iter().filter_map(|ready| view.at(ready.index));
        let unseen = messages.filter(|message| !message.flags().contains(Flag::Seen));
        let uids: Vec<Uid> = unseen.map(|message| message.uid()).collect();
        if uids.is_empty() {
            return None;
        }
        self.state = State::AskedSeen;
        let flags = Flags::NONE.with(Flag::Seen);
        let change = FlagChange::Add(FlagList {
            flags,
            ..FlagList::default()
        });
        let batch = Batch::Last;
        Some(core.ask(|token| {
            Output::Store(
                token,
                StoreRequest {
                    uids,
                    change,
                    batch,
                },
            )
        }))
    }

    fn take_seen(&mut self, core: &mut Core) {
        match (core.take_answer(), &mut core.mailbox) {
            (Some(Answer::Stored(Ok(flags))), Some(mailbox)) => {
                for now in flags {
                    let index = mailbox.view.set_flags(&now, News::Known);
                    for ready in self.ready.iter_mut().filter(|r| Some(r.index) == index) {
                        ready.echo = true;
                    }
                }
            }
            // A full disk does not keep anybody from reading.
            _ => {
                self.marking = Marking::Failed;
                core.out
                    .write("* NO [ALERT] The flag \\Seen could not be stored.\r\n");
            }
        }
    }

    /// Begins the answer of a message with all that is no text of it.
    fn begin_line(&self, core: &mut Core, ready: &Ready) {
        let Some(mailbox) = &mut core.mailbox else {
            return;
        };
        let out = core.out.text();
        out.extend_from_slice(b"* ");
        response::number(out, number(ready.index + 1).into());
        out.extend_from_slice(b" FETCH (");
        let Some(message) = mailbox.view.at(ready.index) else {
            return;
        };
        let mut first = true;
        for attribute in Attribute::ALL {
            let echo = attribute == Attribute::Flags && ready.echo;
            if !self.items.attributes.contains(attribute) && !echo {
                continue;
            }
            if !std::mem::replace(&mut first, false) {
                out.push(b' ');
            }
            write_attribute(out, attribute, &message, &ready.contents);
        }
        if !self.items.texts.is_empty() && !first {
            out.push(b' ');
        }
        if self.items.attributes.contains(Attribute::Flags) || ready.echo {
            mailbox.view.forget_change(ready.index);
        }
    }
}

impl Job for Fetch {
    fn run(&mut self, core: &mut Core) -> Progress {
        loop {
            if core.out.is_full() {
                return Progress::Full;
            }
            match std::mem::replace(&mut self.state, State::Next) {
                State::AskedHost(indices) => {
                    self.take(core, &indices);
                    if let Some(progress) = self.ask_seen(core) {
                        return progress;
                    }
                }
                State::AskedSeen => self.take_seen(core),
                State::Texts(ready, at) => match self.items.texts.get(at) {
                    Some(item) => {
                        write_text(core, &ready.contents, item, at);
                        self.state = State::Texts(ready, at + 1);
                    }
                    None => core.out.write(")\r\n"),
                },
                State::Next => match self.ready.pop_front() {
                    Some(ready) => {
                        self.begin_line(core, &ready);
                        self.state = State::Texts(ready, 0);
                    }
                    None => match self.next(core) {
                        Progress::Full => {}
                        other => return other,
                    },
                },
            }
        }
    }
}

/// What the host must give so that these items can be told.
fn need(items: &Items) -> Option<Need> {
    let of_attribute = |attribute: Attribute| match attribute {
        Attribute::Size => Some(Need::Size),
        Attribute::Envelope => Some(Need::Content),
        Attribute::Body | Attribute::BodyStructure => Some(Need::Structure),
        Attribute::InternalDate => Some(Need::Date),
        Attribute::Uid | Attribute::Flags => None,
    };
    let attributes = Attribute::ALL
        .into_iter()
        .filter(|a| items.attributes.contains(*a));
    let texts = items.texts.iter().map(|item| {
        if item.section.part.is_empty() && item.section.text != SectionText::Text {
            Need::Content
        } else {
            Need::Structure
        }
    });
    attributes.filter_map(of_attribute).chain(texts).max()
}

/// Keeps what the host has told. RFC822.SIZE and the length of BODY[] must agree, so the
/// content has the last word.
fn note_facts(core: &mut Core, index: usize, contents: &Contents) {
    let Some(mailbox) = &mut core.mailbox else {
        return;
    };
    if let Some(date) = contents.date {
        mailbox.view.set_date(index, date);
    }
    let counted = match (&contents.structure, &contents.content, contents.size) {
        (Some(structure), ..) => Some(structure.size().wire()),
        (None, _, Some(size)) => Some(size),
        (None, Some(content), None) => {
            let known = mailbox.view.at(index).and_then(|message| message.size());
            let count = || wire::length((**content).as_ref(), wire::Encoding::Crlf);
            known.is_none().then(count)
        }
        (None, None, None) => None,
    };
    if let Some(size) = counted {
        mailbox.view.set_size(index, size);
    }
}

/// A fact about a message, with its name.
fn write_attribute(
    out: &mut Vec<u8>,
    attribute: Attribute,
    message: &Seen<'_>,
    contents: &Contents,
) {
    let content = contents.content.as_deref().map(AsRef::as_ref);
    let content = content.unwrap_or_default();
    match attribute {
        Attribute::Uid => {
            out.extend_from_slice(b"UID ");
            response::number(out, message.uid().get().into());
        }
        Attribute::Flags => write_flags(out, message),
        Attribute::InternalDate => {
            out.extend_from_slice(b"INTERNALDATE ");
            DateTime(message.date().unwrap_or_default()).write(out);
        }
        Attribute::Size => {
            out.extend_from_slice(b"RFC822.SIZE ");
            response::number(out, message.size().unwrap_or(0).into());
        }
        Attribute::Envelope => {
            out.extend_from_slice(b"ENVELOPE ");
            out.extend_from_slice(&envelope::envelope(content));
        }
        Attribute::Body => {
            out.extend_from_slice(b"BODY ");
            write_structure(out, content, contents, Detail::Body);
        }
        Attribute::BodyStructure => {
            out.extend_from_slice(b"BODYSTRUCTURE ");
            write_structure(out, content, contents, Detail::BodyStructure);
        }
    }
}

fn scanned<'c>(content: &[u8], contents: &'c Contents) -> std::borrow::Cow<'c, Structure> {
    match &contents.structure {
        Some(structure) => std::borrow::Cow::Borrowed(structure),
        None => std::borrow::Cow::Owned(message::scan(content, &message::Limits::default())),
    }
}

fn write_structure(out: &mut Vec<u8>, content: &[u8], contents: &Contents, detail: Detail) {
    let structure = scanned(content, contents);
    out.extend_from_slice(&structure::body(
        content,
        &structure,
        detail,
        Revision::Imap4Rev1,
    ));
}

/// Texts up to this size are copied; a system call each would cost more.
const COPIED: u64 = 4096;

/// A text of a message: its name, and a literal.
fn write_text(core: &mut Core, contents: &Contents, item: &TextItem, at: usize) {
    let out = core.out.text();
    if at > 0 {
        out.push(b' ');
    }
    item.write_name(out);
    let content = contents
        .content
        .clone()
        .unwrap_or_else(|| Arc::new(Vec::new()));
    let octets = (*content).as_ref();
    let piece = match (&item.section.text, item.section.part.is_empty()) {
        (SectionText::Whole, true) => Some(Piece::Stored {
            range: 0..octets.len() as u64,
            octets: wire::length(octets, wire::Encoding::Crlf),
        }),
        // The header alone is enough, and most messages are much longer.
        (SectionText::Header | SectionText::Fields(_) | SectionText::FieldsNot(_), true)
            if contents.structure.is_none() =>
        {
            let header = octets
                .get(..header::header_length(octets))
                .unwrap_or(octets);
            let structure = message::scan(header, &message::Limits::default());
            section::locate(header, &structure, &item.section)
        }
        _ => section::locate(octets, &scanned(octets, contents), &item.section),
    };
    let Some(piece) = piece else {
        return out.extend_from_slice(b" NIL");
    };
    let window = piece.window(item.partial);
    match item.section.text {
        SectionText::Whole | SectionText::Text => core.facts.bodies += window.take,
        _ => core.facts.headers += window.take,
    }
    out.extend_from_slice(b" {");
    response::number(out, window.take);
    out.extend_from_slice(b"}\r\n");
    match piece.segment(&content, window) {
        Some(segment) if window.take <= COPIED => {
            for slice in segment.pieces(0) {
                out.extend_from_slice(slice);
            }
        }
        Some(segment) => core.out.segment(segment),
        None => {
            let Piece::Assembled(octets) = piece else {
                return;
            };
            let clamp =
                |at: u64| usize::try_from(at).map_or(octets.len(), |at| at.min(octets.len()));
            let (start, end) = (clamp(window.skip), clamp(window.skip + window.take));
            out.extend_from_slice(octets.get(start..end).unwrap_or_default());
        }
    }
}
