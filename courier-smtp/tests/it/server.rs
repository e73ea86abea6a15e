//! The server machine, with a host that answers from a script.

use std::collections::VecDeque;
use std::sync::Arc;

use courier_core::account::sasl::Verdict;
use courier_core::testing::transcript::{Event, Peer, check};
use courier_core::time::Millis;
use courier_core::token::Token;
use courier_smtp::extension::{Keyword, Keywords};
use courier_smtp::parameter::{Recipient, Sender};
use courier_smtp::reply::{Refusal, Reply};
use courier_smtp::server::{
    Answer, Authentication, BareNewline, Commit, Data, Dialect, EarlyTalkerPolicy, EarlyTalkers,
    Excess, Expand, Expanded, Login, Lookup, Mechanisms, Nul, Outcome, Output, Server, Settings,
    Step, Tarpit, Tls, Transport, Verified, Verify,
};

/// A session and its scripted host.
struct Scripted {
    server: Server,
    asked: Option<Asked>,
    content: Vec<u8>,
    later: VecDeque<Event>,
}

enum Asked {
    Sender(Token<Sender>),
    Recipient(Token<Recipient>),
    Data(Token<Data>),
    Commit(Token<Commit>),
    Authentication(Token<Authentication>),
    Verify(Token<Verify>),
    Expand(Token<Expand>),
}

impl Scripted {
    fn new(transcript: &str) -> Self {
        let settings = settings(transcript);
        let transport = match transcript.contains("#! under-tls") {
            true => Transport::Tls,
            false => Transport::Plain,
        };
        Self {
            server: Server::new(Arc::new(settings), transport),
            asked: None,
            content: Vec::new(),
            later: VecDeque::new(),
        }
    }

    /// Replies that are ready go out before the question, so that the order does not
    /// depend on how the input was cut; the machine itself may collect them.
    fn ask(&mut self, question: String, asked: Option<Asked>) -> Event {
        self.asked = asked;
        self.later.push_back(Event::Asked(question));
        match self.server.pending().to_vec() {
            ready if ready.is_empty() => self.later.pop_front().expect("a question"),
            ready => {
                self.server.wrote(ready.len());
                Event::Wrote(ready)
            }
        }
    }
}

impl Scripted {
    fn event(&mut self, output: Output<'_>) -> Event {
        match output {
            Output::Write => {
                let ready = self.server.pending().to_vec();
                assert!(!ready.is_empty() && ready.len() <= 65536);
                // Not all at once: what is written may be less.
                let some = ready.len().div_ceil(2);
                self.server.wrote(some);
                Event::Wrote(ready[..some].to_vec())
            }
            Output::StartTls => {
                self.server.tls_started();
                Event::StartTls
            }
            Output::Sender { token, sender } => {
                self.ask(show_sender(&sender), Some(Asked::Sender(token)))
            }
            Output::Recipient { token, recipient } => {
                self.ask(show_recipient(&recipient), Some(Asked::Recipient(token)))
            }
            Output::Data { token } => self.ask("data".into(), Some(Asked::Data(token))),
            Output::Body(_) => unreachable!("taken in by poll"),
            Output::Commit {
                token,
                octets,
                replies,
            } => {
                let protocol = self.server.protocol();
                let question = format!("commit {octets} {replies:?} {protocol}");
                self.asked = Some(Asked::Commit(token));
                let content = std::mem::take(&mut self.content);
                if content.is_empty() {
                    Event::Asked(question)
                } else {
                    self.later.push_back(Event::Asked(question));
                    Event::Data(content)
                }
            }
            Output::Abort(why) => {
                self.content.clear();
                self.ask(format!("abort {why:?}"), None)
            }
            Output::Authenticate {
                token,
                mechanism,
                initial,
            } => {
                let initial = initial.map(|i| format!(" {}", i.escape_ascii()));
                let question = format!("authenticate {mechanism}{}", initial.unwrap_or_default());
                self.ask(question, Some(Asked::Authentication(token)))
            }
            Output::Respond { token, response } => {
                let question = format!("respond {}", response.escape_ascii());
                self.ask(question, Some(Asked::Authentication(token)))
            }
            Output::Verify { token, argument } => {
                self.ask(format!("verify {argument}"), Some(Asked::Verify(token)))
            }
            Output::Expand { token, argument } => {
                self.ask(format!("expand {argument}"), Some(Asked::Expand(token)))
            }
            Output::Wait { deadline } => Event::Wait(deadline),
            Output::Close => Event::Close,
        }
    }
}

impl Peer for Scripted {
    fn poll(&mut self, now: Millis, input: &[u8]) -> (usize, Event) {
        if let Some(event) = self.later.pop_front() {
            return (0, event);
        }
        let mut used = 0;
        loop {
            let Step { consumed, output } = self.server.poll(now, &input[used..]);
            used += consumed;
            if let Output::Body(content) = output {
                content.append_to(&mut self.content);
                continue;
            }
            return (used, self.event(output));
        }
    }

    fn answer(&mut self, text: &str) {
        let server = &mut self.server;
        match self.asked.take() {
            None => assert_eq!(text, "", "nothing to answer"),
            Some(Asked::Sender(token)) => server.sender(token, answer(text)),
            Some(Asked::Recipient(token)) => server.recipient(token, answer(text)),
            Some(Asked::Data(token)) => server.data(token, answer(text)),
            Some(Asked::Commit(token)) => server.committed(
                token,
                match text.split_once(" | ") {
                    None => Outcome::All(reply(text)),
                    Some(_) => Outcome::Each(text.split(" | ").map(reply).collect()),
                },
            ),
            Some(Asked::Authentication(token)) => server.authenticated(
                token,
                match text.split_once(' ').unwrap_or((text, "")) {
                    ("challenge", challenge) => Verdict::Challenge(challenge.into()),
                    ("accepted", _) => Verdict::Accepted,
                    ("refused", _) => Verdict::Refused,
                    ("malformed", _) => Verdict::Malformed,
                    ("unavailable", _) => Verdict::Unavailable,
                    _ => panic!("no verdict: {text}"),
                },
            ),
            Some(Asked::Verify(token)) => server.verified(
                token,
                match text {
                    "unknown" => Verified::Unknown,
                    "remote" => Verified::Remote,
                    known => Verified::Known(known.to_owned()),
                },
            ),
            Some(Asked::Expand(token)) => server.expanded(
                token,
                match text {
                    "unknown" => Expanded::Unknown,
                    members => Expanded::Members(members.split(' ').map(str::to_owned).collect()),
                },
            ),
        }
    }
}

fn answer(text: &str) -> Answer {
    match text {
        "accept" => Answer::Accept,
        refusal => Answer::Refuse(Refusal::new(reply(refusal)).expect("a refusal")),
    }
}

fn reply(text: &str) -> Reply {
    Reply::parse(text.split("\\n").map(str::as_bytes)).expect("a reply")
}

fn show_sender(sender: &Sender) -> String {
    let mut text = format!("sender {}", sender.path);
    let mut add = |part: String| text.extend([" ", part.as_str()]);
    if let Some(size) = sender.size {
        add(format!("size={size}"));
    }
    if let Some(ret) = sender.ret {
        add(format!("ret={ret}"));
    }
    if let Some(envid) = &sender.envid {
        add(format!("envid={}", envid.as_str()));
    }
    if sender.body != Default::default() {
        add(format!("body={:?}", sender.body));
    }
    if sender.security != Default::default() {
        add(format!("security={:?}", sender.security));
    }
    let flags = [
        (sender.smtputf8, "utf8"),
        (sender.verp, "verp"),
        (sender.exdata, "exdata"),
    ];
    for (_, name) in flags.iter().filter(|(set, _)| *set) {
        add((*name).to_owned());
    }
    text
}

fn show_recipient(recipient: &Recipient) -> String {
    let mut text = format!("recipient {}", recipient.path);
    if !recipient.notify.is_unsaid() {
        text += &format!(" notify={}", recipient.notify);
    }
    if let Some(orcpt) = &recipient.orcpt {
        text += &format!(" orcpt={};{}", orcpt.kind(), orcpt.address());
    }
    text
}

/// The settings that a transcript asks for in lines `#! name value`.
fn settings(transcript: &str) -> Settings {
    let mut settings = Settings::new("mx.example.com");
    for line in transcript
        .lines()
        .filter_map(|line| line.strip_prefix("#! "))
    {
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        let number = || value.parse().expect("a number");
        let words = || value.split(' ').map(str::to_owned).collect();
        match name {
            "under-tls" => {}
            "greeting" => settings.greeting = Some(value.to_owned()),
            "lmtp" => settings.dialect = Dialect::Lmtp,
            "courier" => settings.keywords = Keywords::ALL,
            "discard" => {
                let keyword = Keyword::parse(value).expect("a keyword");
                settings.keywords = settings.keywords.without(keyword);
            }
            "tls" if value == "required" => settings.tls = Tls::Required,
            "tls" => settings.tls = Tls::Offered,
            "auth" => settings.mechanisms.plain = words(),
            "auth-tls" => {
                settings.mechanisms = Mechanisms {
                    tls: words(),
                    ..settings.mechanisms
                };
            }
            "auth-required" => settings.login = Login::Required,
            "bare-newline" => settings.bare_newline = BareNewline::Reject,
            "nul" => settings.nul = Nul::Reject,
            "vrfy" => (settings.vrfy, settings.expn) = (Lookup::On, Lookup::On),
            "tarpit" => settings.tarpit = Tarpit::On,
            "early-talkers" => {
                let delay = Millis(number());
                let policy = EarlyTalkerPolicy::Refuse;
                settings.early_talkers = EarlyTalkers { delay, policy };
            }
            "size" => settings.limits.message = Some(number()),
            "recipients" => settings.limits.recipients = value.parse().expect("a number"),
            "line" => settings.limits.command_line = value.parse().expect("a number"),
            "hard" => settings.limits.excess = Excess::Never,
            other => panic!("no such setting: {other}"),
        }
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
    session,
    addresses,
    parameters,
    order,
    framing,
    framing_cr,
    framing_nul,
    smuggling,
    reject_bare,
    chunking,
    sizes,
    recipients,
    starttls,
    tls_required,
    auth,
    auth_failures,
    auth_required,
    look_up,
    look_up_off,
    commit,
    exdata,
    lmtp,
    tarpit,
    timeouts,
    timeout_data,
    timeout_auth,
    http,
    http_long,
    discard,
    early,
    early_patient,
    utf8,
}
