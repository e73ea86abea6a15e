//! The session, with a host that answers from a script.

use std::sync::Arc;

use courier_core::account::sasl::Verdict;
use courier_core::message::wire::Content;
use courier_core::testing::transcript::{Event, Peer, check};
use courier_core::time::Millis;
use courier_core::token::Token;
use courier_pop3::listing::{HeaderOctets, Listing};
use courier_pop3::session::{
    Authentication, ClearPasswords, Delete, EightBitHeaders, Expire, Open, OpenRefusal, Opened,
    Output, Retrieve, RetrieveError, Session, Settings, Step, Tls, Transport,
};

/// A session and its scripted host.
struct Scripted {
    session: Session,
    asked: Option<Asked>,
}

enum Asked {
    Relay,
    Authentication(Token<Authentication>),
    Open(Token<Open>),
    Retrieve(Token<Retrieve>),
    Delete(Token<Delete>),
}

impl Scripted {
    fn new(transcript: &str) -> Self {
        let transport = match option(transcript, "under-tls") {
            Some(_) => Transport::Tls,
            None => Transport::Plain,
        };
        let settings = Arc::new(settings(transcript));
        let mut session = match option(transcript, "full") {
            Some(_) => Session::turning_away(settings),
            None => Session::new(settings, transport),
        };
        if option(transcript, "certificate").is_some() {
            session.offer_external();
        }
        Self {
            session,
            asked: None,
        }
    }

    fn ask(&mut self, asked: Asked, question: String) -> Event {
        assert!(self.session.pending().is_empty(), "replies come first");
        self.asked = Some(asked);
        Event::Asked(question)
    }

    fn event(&mut self, output: Output) -> Event {
        match output {
            Output::Write => {
                let ready = self.session.pending().to_vec();
                assert!(!ready.is_empty() && ready.len() <= 65536);
                // Not all at once: what is written may be less.
                let some = ready.len().div_ceil(2);
                self.session.wrote(some);
                Event::Wrote(ready[..some].to_vec())
            }
            Output::Send(segment) => Event::Wrote(segment.pieces(0).flatten().copied().collect()),
            Output::StartTls => {
                self.session.tls_started();
                Event::StartTls
            }
            Output::Login {
                token,
                user,
                password,
            } => {
                let password = password.expose().escape_ascii();
                let question = format!("login {user} {password}");
                self.ask(Asked::Authentication(token), question)
            }
            Output::Authenticate {
                token,
                mechanism,
                initial,
            } => {
                let initial = initial.map(|i| format!(" [{}]", i.escape_ascii()));
                let question = format!("authenticate {mechanism}{}", initial.unwrap_or_default());
                self.ask(Asked::Authentication(token), question)
            }
            Output::Respond { token, response } => {
                let question = format!("respond [{}]", response.escape_ascii());
                self.ask(Asked::Authentication(token), question)
            }
            Output::Open { token } => self.ask(Asked::Open(token), "open".to_owned()),
            Output::Retrieve {
                token,
                number,
                extent,
            } => self.ask(
                Asked::Retrieve(token),
                format!("retrieve {number} {extent:?}"),
            ),
            Output::Delete { token, numbers } => {
                let numbers: Vec<_> = numbers.iter().map(ToString::to_string).collect();
                let question = format!("delete {}", numbers.join(" "));
                self.ask(Asked::Delete(token), question)
            }
            Output::Relay if matches!(self.asked, Some(Asked::Relay)) => Event::Close,
            Output::Relay => self.ask(Asked::Relay, "relay".to_owned()),
            Output::Wait { deadline } => Event::Wait(deadline),
            Output::Close(_) => Event::Close,
        }
    }
}

impl Peer for Scripted {
    fn poll(&mut self, now: Millis, input: &[u8]) -> (usize, Event) {
        let Step { consumed, output } = self.session.poll(now, input);
        (consumed, self.event(output))
    }

    fn answer(&mut self, text: &str) {
        let (text, stops) = match text.strip_suffix(", then shut down") {
            Some(text) => (text, true),
            None => (text, false),
        };
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        match self.asked.take().expect("a question") {
            Asked::Relay => self.asked = Some(Asked::Relay),
            Asked::Authentication(token) => {
                let verdict = match word {
                    "challenge" => Verdict::Challenge(rest.into()),
                    "accepted" => Verdict::Accepted,
                    "refused" => Verdict::Refused,
                    "malformed" => Verdict::Malformed,
                    "unavailable" => Verdict::Unavailable,
                    "never" => return,
                    _ => panic!("no verdict: {text}"),
                };
                self.session.authenticated(token, verdict);
            }
            Asked::Open(token) => {
                let opened = match word {
                    "never" => return,
                    "maildrop" => Opened::Maildrop(listing(rest)),
                    "proxied" => Opened::Proxied,
                    "refused" => Opened::Refused(refusal(rest)),
                    _ => panic!("no way to open: {text}"),
                };
                self.session.opened(token, opened);
            }
            Asked::Retrieve(token) => {
                let retrieved: Result<Content, _> = match word {
                    "gone" => Err(RetrieveError::Gone),
                    "unreadable" => Err(RetrieveError::Unreadable),
                    "message" => Ok(Arc::new(rest.replace("\\n", "\n").replace("\\r", "\r"))),
                    _ => panic!("no message: {text}"),
                };
                self.session.retrieved(token, retrieved);
            }
            Asked::Delete(token) => {
                self.session
                    .deleted(token, text.parse().expect("a number of messages"));
            }
        }
        if stops {
            self.session.shutdown();
        }
    }
}

/// `size:uidl` of each message, with `:8` for those with 8-bit fields; `xN` for N
/// messages of 100 octets.
fn listing(text: &str) -> Listing {
    let mut listing = Listing::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if let Some(count) = word.strip_prefix('x') {
            for n in 1..=count.parse::<u32>().expect("a number") {
                let uidl = format!("UID{n}-1795623834");
                listing.push(100, &uidl, HeaderOctets::Ascii).unwrap();
            }
            continue;
        }
        let mut parts = word.split(':');
        let size = parts.next().and_then(|size| size.parse().ok());
        let uidl = parts.next().expect("a unique id");
        let header = match parts.next() {
            Some("8") => HeaderOctets::EightBit,
            _ => HeaderOctets::Ascii,
        };
        listing.push(size.expect("a size"), uidl, header).unwrap();
    }
    listing
}

fn refusal(text: &str) -> OpenRefusal {
    match text.split_once(' ').unwrap_or((text, "")) {
        ("in-use", _) => OpenRefusal::InUse,
        ("login-delay", _) => OpenRefusal::LoginDelay,
        ("locked", _) => OpenRefusal::Locked,
        ("disabled", _) => OpenRefusal::Disabled,
        ("disabled-insecure", _) => OpenRefusal::DisabledInsecure,
        ("temporary", _) => OpenRefusal::Temporary,
        ("permanent", _) => OpenRefusal::Permanent,
        ("back-end", said) => OpenRefusal::BackEnd(said.replace("\\r\\n", "\r\n")),
        _ => panic!("no refusal: {text}"),
    }
}

/// What a transcript says in a line `#! name value`.
fn option<'a>(transcript: &'a str, name: &str) -> Option<&'a str> {
    let mut options = transcript.lines().filter_map(|l| l.strip_prefix("#! "));
    options.find_map(|line| {
        let (found, value) = line.split_once(' ').unwrap_or((line, ""));
        (found == name).then_some(value)
    })
}

fn settings(transcript: &str) -> Settings {
    let option = |name| option(transcript, name);
    let words = |name| option(name).map(|v| v.split(' ').map(str::to_owned).collect());
    let mut settings = Settings {
        clear_passwords: match option("no-clear-passwords") {
            Some(_) => ClearPasswords::Refused,
            None => ClearPasswords::Allowed,
        },
        tls: match option("tls") {
            Some("offered") => Tls::Offered,
            Some("required") => Tls::Required,
            _ => Tls::Unavailable,
        },
        login_delay: option("login-delay").map(|v| v.parse().expect("seconds")),
        expire: option("expire").map(|v| match v {
            "NEVER" => Expire::Never,
            days => Expire::Days(days.parse().expect("days")),
        }),
        ..Settings::default()
    };
    settings.mechanisms.plain = words("auth").unwrap_or_default();
    settings.mechanisms.tls = words("auth-tls").unwrap_or_default();
    match option("eight-bit") {
        Some("unchanged") => settings.eight_bit_headers = EightBitHeaders::Unchanged,
        Some(kind) => settings.eight_bit_headers = EightBitHeaders::Notice(kind.to_owned()),
        None => {}
    }
    if option("no-implementation").is_some() {
        settings.implementation = None;
    }
    settings
}

macro_rules! transcripts {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                let text = include_str!(concat!("../transcripts/", stringify!($name), ".txt"));
                check(stringify!($name), text, || Scripted::new(text));
            }
        )*
    };
}

transcripts! {
    auth,
    auth_failures,
    capabilities,
    capabilities_plain,
    empty,
    errors_before_login,
    external,
    full,
    http,
    http_any,
    http_post,
    idle,
    languages,
    login_slow,
    login_slow_challenge,
    login_slow_host,
    maildrop,
    odd_characters,
    open_slow,
    proxied,
    quit_early,
    refused_back_end,
    refused_disabled,
    refused_disabled_insecure,
    refused_in_use,
    refused_locked,
    refused_login_delay,
    refused_permanent,
    refused_temporary,
    rfc1939,
    shutdown,
    tls_required,
    top,
    unavailable,
    unicode,
    unicode_unchanged,
}
