//! A host that answers from a transcript.
//!
//! The first line of a transcript may be `# before login`; else the session begins behind
//! it. `# settings: …` has words from [`settings`]. Questions and answers:
//!
//! | question | answer |
//! | --- | --- |
//! | `login USER PASSWORD`, `authenticate MECHANISM [INITIAL]`, `respond WORD` | `accepted`, `refused`, `malformed`, `unavailable`, `challenge WORD` |
//! | `folders all`, `folders subscribed` | `NAME[\|marked\|unmarked\|name] …` |
//! | `create A`, `delete A`, `rename A B`, `subscribe A`, `unsubscribe A` | `ok` |
//! | `status NAME` | `MESSAGES RECENT UNSEEN UIDNEXT UIDVALIDITY` |
//! | `select NAME rw`, `select NAME ro` | `UIDVALIDITY UIDNEXT [ro] [keyword …]; MESSAGE; …` |
//! | `refresh` | `new MESSAGE; gone UID; flags UID FLAG …; …` |
//! | `fetch date\|size\|content\|structure UID …` | a list parted by ` \| `: `gone`, `failed REFUSAL`, `date N`, `size N`, `scanned TEXT`, `text TEXT` |
//! | `store +\|-\|= (FLAGS) UID … more\|last` | `UID FLAG …; …` |
//! | `search UID … for KEY` | `UID …` |
//! | `expunge UID …` | `UID …` |
//! | `copy UID … to NAME`, `move …` | `UIDVALIDITY OLD:NEW …` |
//! | `append NAME (FLAGS) DATE SIZE` | `ok` |
//! | `finish` | `UIDVALIDITY UID` |
//! | `deselect`, `abandoned`, `id F=V …` | none |
//!
//! MESSAGE is `UID [FLAG …] [KEYWORD …] [recent] [size=N] [date=N|date=?]`. In place of any answer
//! the name of a [`Refusal`] may stand.

use std::sync::Arc;

use courier_core::account::sasl::Verdict;
use courier_core::message::{self, wire::Content};
use courier_core::testing::transcript::{Event, Peer};
use courier_core::time::{Millis, UnixSeconds};
use courier_core::token::Token;
use courier_imap::grammar::command::{Access, CopyMode, FlagChange, FlagList, ListScope};
use courier_imap::grammar::flag::{Flag, Flags, Keyword};
use courier_imap::grammar::mailbox_name::MailboxName;
use courier_imap::grammar::response::Recent;
use courier_imap::session::output::*;
use courier_imap::session::settings::{LoginCommand, Logins, Settings};
use courier_imap::session::{MOST_PENDING, Session, Transport};
use courier_imap::view::{Changes, Message, MessageFlags, Snapshot, Uid, UidValidity};

pub(crate) struct Scripted {
    session: Session,
    asked: Asked,
}

enum Asked {
    Nothing,
    Verdict(Token<Authentication>),
    Folders(Token<Folders>),
    Changed(Token<FolderChanges>),
    Status(Token<Status>),
    Select(Token<Select>),
    Refresh(Token<Refresh>),
    Fetch(Token<Fetch>),
    Store(Token<Store>),
    Search(Token<Search>),
    Expunge(Token<Expunge>),
    Copy(Token<Copy>),
    Append(Token<AppendBegin>),
    Finish(Token<AppendFinish>),
}

/// `clear-login`, `no-tls`, `tls`, `small` (an APPEND limit of 100 octets).
fn settings(text: &str) -> (Settings, Transport) {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("# settings: "));
    let mut settings = Settings {
        refresh_after: Millis(u64::MAX),
        ..Settings::default()
    };
    settings.tls.mechanisms = vec!["PLAIN".to_owned(), "SCRAM-SHA-256".to_owned()];
    let mut transport = Transport::Clear;
    for word in line.unwrap_or_default().split(' ') {
        match word {
            "clear-login" => {
                settings.clear = Logins {
                    command: LoginCommand::Allowed,
                    mechanisms: vec!["PLAIN".to_owned(), "SCRAM-SHA-256".to_owned()],
                }
            }
            "no-tls" => {
                settings.starttls = courier_imap::session::settings::StartTls::Unavailable;
            }
            "tls" => transport = Transport::Tls,
            "small" => settings.append_limit = 100,
            "stale" => settings.refresh_after = Millis::from_secs(1),
            "" => {}
            other => panic!("no such setting: {other}"),
        }
    }
    (settings, transport)
}

impl Scripted {
    pub(crate) fn new(text: &str) -> Self {
        let login = !text.starts_with("# before login");
        let (settings, transport) = settings(text);
        let mut session = if login {
            Session::preauthenticated(Arc::new(settings), transport)
        } else {
            Session::new(Arc::new(settings), transport)
        };
        if login {
            // The greeting is the business of one transcript, not of all.
            session.wrote(session.pending().len());
        }
        let asked = Asked::Nothing;
        Self { session, asked }
    }
}

fn uids(uids: &[Uid]) -> String {
    let numbers: Vec<String> = uids.iter().map(|uid| uid.get().to_string()).collect();
    numbers.join(" ")
}

fn list(list: &FlagList) -> String {
    let flags = list.flags.iter().map(|flag| flag.as_str().to_owned());
    let keywords = list.keywords.iter().map(ToString::to_string);
    format!("({})", flags.chain(keywords).collect::<Vec<_>>().join(" "))
}

impl Peer for Scripted {
    fn poll(&mut self, now: Millis, input: &[u8]) -> (usize, Event) {
        let step = self.session.poll(now, input);
        let consumed = step.consumed;
        let (asked, text) = match step.output {
            Output::Write => {
                let text = self.session.pending().to_vec();
                assert!(!text.is_empty() && text.len() <= MOST_PENDING);
                // Sometimes the socket takes only a part.
                let wrote = text.len().min(1 + text.len() * 2 / 3);
                self.session.wrote(wrote);
                return (consumed, Event::Wrote(text[..wrote].to_vec()));
            }
            Output::Send(segment) => {
                let text: Vec<u8> = segment.pieces(0).flatten().copied().collect();
                return (consumed, Event::Wrote(text));
            }
            Output::StartTls => {
                self.session.tls_started();
                return (consumed, Event::StartTls);
            }
            Output::AppendData(octets) => return (consumed, Event::Data(octets.to_vec())),
            Output::Wait { deadline, .. } => return (consumed, Event::Wait(deadline)),
            Output::Close(_) => return (consumed, Event::Close),
            Output::Login(token, Credentials { user, password }) => {
                let password = password.expose().escape_ascii().to_string();
                (Asked::Verdict(token), format!("login {user} {password}"))
            }
            Output::Authenticate(token, Exchange { mechanism, initial }) => {
                let initial = initial.map_or(String::new(), |i| format!(" {}", i.escape_ascii()));
                (
                    Asked::Verdict(token),
                    format!("authenticate {mechanism}{initial}"),
                )
            }
            Output::Respond(token, word) => (
                Asked::Verdict(token),
                format!("respond {}", word.escape_ascii()),
            ),
            Output::ClientId(pairs) => {
                let pairs = pairs
                    .iter()
                    .map(|(f, v)| format!(" {f}={}", v.as_deref().unwrap_or("NIL")));
                (Asked::Nothing, format!("id{}", pairs.collect::<String>()))
            }
            Output::Folders(token, scope) => {
                let scope = if scope == ListScope::All {
                    "all"
                } else {
                    "subscribed"
                };
                (Asked::Folders(token), format!("folders {scope}"))
            }
            Output::ChangeFolders(token, change) => {
                let text = match change {
                    FolderChange::Create(name) => format!("create {name}"),
                    FolderChange::Delete(name) => format!("delete {name}"),
                    FolderChange::Rename { from, to } => format!("rename {from} {to}"),
                    FolderChange::Subscribe(name) => format!("subscribe {name}"),
                    FolderChange::Unsubscribe(name) => format!("unsubscribe {name}"),
                };
                (Asked::Changed(token), text)
            }
            Output::Status(token, name, _) => (Asked::Status(token), format!("status {name}")),
            Output::Select(token, name, access) => {
                let access = if access == Access::ReadWrite {
                    "rw"
                } else {
                    "ro"
                };
                (Asked::Select(token), format!("select {name} {access}"))
            }
            Output::Deselect => (Asked::Nothing, "deselect".to_owned()),
            Output::Refresh(token) => (Asked::Refresh(token), "refresh".to_owned()),
            Output::Fetch(token, FetchRequest { uids: list, need }) => {
                let need = format!("{need:?}").to_lowercase();
                (Asked::Fetch(token), format!("fetch {need} {}", uids(&list)))
            }
            Output::Store(token, request) => {
                let (sign, flags) = match &request.change {
                    FlagChange::Add(flags) => ('+', flags),
                    FlagChange::Remove(flags) => ('-', flags),
                    FlagChange::Replace(flags) => ('=', flags),
                };
                let batch = if request.batch == Batch::Last {
                    "last"
                } else {
                    "more"
                };
                let text = format!(
                    "store {sign} {} {} {batch}",
                    list(flags),
                    uids(&request.uids)
                );
                (Asked::Store(token), text)
            }
            Output::Search(token, request) => {
                let text = format!("search {} for {:?}", uids(&request.uids), request.key);
                (Asked::Search(token), text)
            }
            Output::Expunge(token, list) => {
                (Asked::Expunge(token), format!("expunge {}", uids(&list)))
            }
            Output::Copy(token, request) => {
                let verb = if request.mode == CopyMode::Copy {
                    "copy"
                } else {
                    "move"
                };
                let text = format!("{verb} {} to {}", uids(&request.uids), request.mailbox);
                (Asked::Copy(token), text)
            }
            Output::Append(token, request) => {
                let date = request
                    .date
                    .map_or("now".to_owned(), |date| date.0.to_string());
                let flags = list(&request.flags);
                let text = format!("append {} {flags} {date} {}", request.mailbox, request.size);
                (Asked::Append(token), text)
            }
            Output::AppendFinish(token) => (Asked::Finish(token), "finish".to_owned()),
            Output::AppendAbandoned => (Asked::Nothing, "abandoned".to_owned()),
        };
        self.asked = asked;
        (consumed, Event::Asked(text))
    }

    fn answer(&mut self, text: &str) {
        let session = &mut self.session;
        let refusal = refusal(text);
        match std::mem::replace(&mut self.asked, Asked::Nothing) {
            Asked::Nothing => assert_eq!(text, ""),
            Asked::Verdict(token) => session.authenticated(token, verdict(text)),
            Asked::Folders(token) => session.folders(token, or(refusal, || folders(text))),
            Asked::Changed(token) => {
                session.folders_changed(token, or(refusal, || assert_eq!(text, "ok")))
            }
            Asked::Status(token) => session.status(token, or(refusal, || counts(text))),
            Asked::Select(token) => session.selected(token, or(refusal, || opened(text))),
            Asked::Refresh(token) => session.refreshed(token, or(refusal, || changes(text))),
            Asked::Fetch(token) => session.fetched(token, fetched(text)),
            Asked::Store(token) => {
                let flags = || parts(text).map(message_flags).collect();
                session.stored(token, or(refusal, flags));
            }
            Asked::Search(token) => {
                session.searched(token, or(refusal, || words(text).map(uid).collect()))
            }
            Asked::Expunge(token) => {
                session.expunged(token, or(refusal, || words(text).map(uid).collect()))
            }
            Asked::Copy(token) => session.copied(token, or(refusal, || copied(text))),
            Asked::Append(token) => {
                session.append_begun(token, or(refusal, || assert_eq!(text, "ok")))
            }
            Asked::Finish(token) => session.append_finished(
                token,
                or(refusal, || {
                    let mut words = words(text);
                    Appended {
                        uid_validity: validity(words.next().unwrap()),
                        uid: uid(words.next().unwrap()),
                    }
                }),
            ),
        }
        if text.ends_with("(changed)") {
            session.changed();
        }
    }
}

fn or<T>(refusal: Option<Refusal>, answer: impl FnOnce() -> T) -> Result<T, Refusal> {
    refusal.map_or_else(|| Ok(answer()), Err)
}

fn refusal(text: &str) -> Option<Refusal> {
    use Refusal::*;
    let all = [
        NonExistent,
        AlreadyExists,
        OverQuota,
        Limit,
        Cannot,
        NoPermission,
        Expunged,
        TooBig,
        Unavailable,
        ServerBug,
    ];
    all.into_iter()
        .find(|refusal| format!("{refusal:?}") == text)
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|word| !word.is_empty())
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

fn uid(text: &str) -> Uid {
    Uid::new(text.parse().expect("a UID")).unwrap()
}

fn validity(text: &str) -> UidValidity {
    UidValidity(text.parse().expect("a UIDVALIDITY"))
}

fn verdict(text: &str) -> Verdict {
    match text.split_once(' ').unwrap_or((text, "")) {
        ("challenge", word) => Verdict::Challenge(word.as_bytes().to_vec()),
        ("accepted", _) => Verdict::Accepted,
        ("refused", _) => Verdict::Refused,
        ("malformed", _) => Verdict::Malformed,
        ("unavailable", _) => Verdict::Unavailable,
        _ => panic!("no verdict: {text}"),
    }
}

fn folders(text: &str) -> Vec<Folder> {
    let folder = |word: &str| {
        let (name, note) = word.split_once('|').unwrap_or((word, ""));
        Folder {
            name: MailboxName::parse(name).unwrap(),
            kind: if note == "name" {
                FolderKind::Name
            } else {
                FolderKind::Mailbox
            },
            mark: match note {
                "marked" => Mark::Marked,
                "unmarked" => Mark::Unmarked,
                _ => Mark::Unknown,
            },
        }
    };
    words(text).map(folder).collect()
}

fn counts(text: &str) -> Counts {
    let numbers: Vec<u32> = words(text).map(|word| word.parse().unwrap()).collect();
    Counts {
        messages: numbers[0],
        recent: numbers[1],
        unseen: numbers[2],
        uid_next: Uid::new(numbers[3]).unwrap(),
        uid_validity: validity(&numbers[4].to_string()),
    }
}

fn flag(word: &str) -> Option<Flag> {
    Flag::from_name(word.strip_prefix('\\')?.as_bytes())
}

fn message(text: &str) -> Message {
    let mut words = words(text);
    let mut message = Message {
        uid: uid(words.next().unwrap()),
        flags: Flags::NONE,
        keywords: Vec::new(),
        recent: Recent::No,
        size: None,
        date: Some(UnixSeconds(0)),
    };
    for word in words {
        if let Some(flag) = flag(word) {
            message.flags = message.flags.with(flag);
        } else if let Some(size) = word.strip_prefix("size=") {
            message.size = Some(size.parse().unwrap());
        } else if let Some(date) = word.strip_prefix("date=") {
            message.date = date.parse().ok().map(UnixSeconds);
        } else if word == "recent" {
            message.recent = Recent::Yes;
        } else {
            message
                .keywords
                .push(Keyword::parse(word.as_bytes()).unwrap());
        }
    }
    message
}

fn message_flags(text: &str) -> MessageFlags {
    let Message {
        uid,
        flags,
        keywords,
        ..
    } = message(text);
    MessageFlags {
        uid,
        flags,
        keywords,
    }
}

fn opened(text: &str) -> Opened {
    let mut parts = parts(text);
    let mut head = words(parts.next().unwrap());
    let (validity, next) = (validity(head.next().unwrap()), uid(head.next().unwrap()));
    let mut snapshot = Snapshot::new(validity, next);
    let mut access = Access::ReadWrite;
    for word in head {
        if word == "ro" {
            access = Access::ReadOnly;
        } else {
            snapshot.add_keyword(&Keyword::parse(word.as_bytes()).unwrap());
        }
    }
    for part in parts {
        // `1..100` stands for many messages at once.
        match part.split_once("..") {
            Some((first, rest)) => {
                let (last, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                for number in first.parse::<u32>().unwrap()..=last.parse().unwrap() {
                    snapshot
                        .push(&message(&format!("{number} {rest}")))
                        .unwrap();
                }
            }
            None => snapshot.push(&message(part)).unwrap(),
        }
    }
    Opened { snapshot, access }
}

fn changes(text: &str) -> Changes {
    let mut changes = Changes::default();
    for part in parts(text.trim_end_matches("(changed)")) {
        match part.split_once(' ').unwrap() {
            ("new", rest) => changes.arrivals.push(message(rest)),
            ("gone", rest) => changes.expunged.extend(words(rest).map(uid)),
            ("flags", rest) => changes.flags.push(message_flags(rest)),
            _ => panic!("no change: {part}"),
        }
    }
    changes
}

fn fetched(text: &str) -> Vec<Fetched> {
    let one = |part: &str| {
        let (word, rest) = part.split_once(' ').unwrap_or((part, ""));
        let octets = rest.replace("\\r", "\r").replace("\\n", "\n").into_bytes();
        let contents = match word {
            "gone" => return Fetched::Gone,
            "failed" => return Fetched::Failed(refusal(rest).unwrap()),
            "size" => Contents {
                size: Some(rest.parse().unwrap()),
                ..Contents::default()
            },
            "text" => Contents {
                content: Some(Arc::new(octets) as Content),
                ..Contents::default()
            },
            "scanned" => Contents {
                structure: Some(Arc::new(message::scan(
                    &octets,
                    &message::Limits::default(),
                ))),
                content: Some(Arc::new(octets) as Content),
                ..Contents::default()
            },
            "date" => Contents {
                date: Some(UnixSeconds(rest.parse().unwrap())),
                ..Contents::default()
            },
            // A text of so many lines of ten octets, which grow by one each.
            "lines" => {
                let octets = b"Line, ten\n".repeat(rest.parse().unwrap());
                Contents {
                    content: Some(Arc::new(octets) as Content),
                    ..Contents::default()
                }
            }
            _ => panic!("no message: {part}"),
        };
        Fetched::Message(contents)
    };
    text.split(" | ")
        .filter(|part| !part.is_empty())
        .map(one)
        .collect()
}

fn copied(text: &str) -> Copied {
    let mut words = words(text);
    let uid_validity = validity(words.next().unwrap());
    let pair = |word: &str| {
        let (old, new) = word.split_once(':').unwrap();
        (uid(old), uid(new))
    };
    Copied {
        uid_validity,
        uids: words.map(pair).collect(),
    }
}
