//! The client machine, with a host that delivers what a script says.

use std::sync::Arc;

use courier_core::account::secret::Secret;
use courier_core::address::{ForwardPath, ReversePath};
use courier_core::envelope::{Envid, Notify, Ret};
use courier_core::message::wire::Pieces;
use courier_core::testing::transcript::{Event, Peer, check};
use courier_core::time::Millis;
use courier_core::token::Token;
use courier_smtp::client::{
    ClearLogin, Client, Credentials, Delivery, Free, Output, Settings, Settlement, Step, Tls,
};
use courier_smtp::parameter::{Recipient, Sender};

/// A client and its scripted host.
struct Scripted {
    client: Client,
    ready: Option<Token<Free>>,
    later: Option<Event>,
}

impl Scripted {
    fn new(transcript: &str) -> Self {
        let mut settings = Settings::new("client.example.net");
        for line in transcript
            .lines()
            .filter_map(|line| line.strip_prefix("#! "))
        {
            match line {
                "tls never" => settings.tls = Tls::Never,
                "tls required" => settings.tls = Tls::Required,
                "login" | "login in clear" => {
                    settings.credentials = Some(Credentials {
                        user: "joe".to_owned(),
                        password: Secret::new("secret"),
                        in_clear: match line {
                            "login" => ClearLogin::Forbidden,
                            _ => ClearLogin::Allowed,
                        },
                    });
                }
                other => panic!("no such setting: {other}"),
            }
        }
        Self {
            client: Client::new(settings),
            ready: None,
            later: None,
        }
    }
}

impl Peer for Scripted {
    fn poll(&mut self, now: Millis, input: &[u8]) -> (usize, Event) {
        if let Some(event) = self.later.take() {
            return (0, event);
        }
        let Step { consumed, output } = self.client.poll(now, input);
        let event = match output {
            Output::Write => {
                let ready = self.client.pending().to_vec();
                assert!(!ready.is_empty() && ready.len() <= 65536);
                self.client.wrote(ready.len());
                Event::Wrote(ready)
            }
            Output::StartTls => {
                self.client.tls_started();
                Event::StartTls
            }
            Output::Ready(token) => {
                self.ready = Some(token);
                Event::Asked("ready".to_owned())
            }
            Output::Send(segment) => {
                let wire = Pieces::new(segment.source(), segment.encoding);
                self.client.sent();
                Event::Wrote(wire.collect::<Vec<_>>().concat())
            }
            Output::Settled(settled) => {
                let shown: Vec<String> = settled.iter().map(show).collect();
                Event::Asked(format!("settled {}", shown.join(" | ")))
            }
            Output::Failed(failure) => {
                let kind = if failure.is_permanent() {
                    "for good"
                } else {
                    "for now"
                };
                Event::Asked(format!("failed {kind}: {failure}"))
            }
            Output::Wait { deadline } => Event::Wait(deadline),
            Output::Close => Event::Close,
        };
        (consumed, event)
    }

    fn answer(&mut self, text: &str) {
        let Some(token) = self.ready.take() else {
            return assert_eq!(text, "", "nothing to answer");
        };
        match text {
            "quit" => self.client.quit(token),
            "wait" => self.ready = Some(token),
            delivery => self.client.begin(token, parse(delivery)).expect("free"),
        }
    }
}

fn show(settlement: &Settlement) -> String {
    let stage = settlement.stage;
    match &settlement.result {
        Ok(reply) => format!("{stage:?} {reply}"),
        Err(failure) => format!("{stage:?}: {failure}"),
    }
}

/// `from, to, to: content`, with escapes; `!` after an address brings DSN wishes.
fn parse(text: &str) -> Delivery {
    let (addresses, content) = text.split_once(": ").expect("a colon");
    let mut addresses = addresses.split(", ");
    let from = addresses.next().expect("a sender");
    let mut sender = match from.strip_suffix('!') {
        None => Sender::new(reverse(from)),
        Some(from) => Sender {
            ret: Some(Ret::Headers),
            envid: Some(Envid::from_plain("a+b").expect("an ENVID")),
            ..Sender::new(reverse(from))
        },
    };
    sender.verp = from.contains("verp");
    let recipients = addresses.map(|to| match to.strip_suffix('!') {
        None => Recipient::new(forward(to)),
        Some(to) => Recipient {
            notify: Notify::SUCCESS,
            ..Recipient::new(forward(to))
        },
    });
    let recipients = recipients.collect();
    let content = content.replace("\\n", "\n").into_bytes();
    Delivery {
        sender,
        recipients,
        content: Arc::new(content),
    }
}

fn reverse(address: &str) -> ReversePath {
    ReversePath::parse(format!("<{address}>").as_bytes()).expect("a reverse-path")
}

fn forward(address: &str) -> ForwardPath {
    ForwardPath::parse(format!("<{address}>").as_bytes()).expect("a forward-path")
}

macro_rules! transcripts {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() {
                let text = include_str!(concat!("../transcripts/client_", stringify!($name), ".txt"));
                check(stringify!($name), text, || Scripted::new(text));
            }
        )*
    };
}

transcripts! {
    pipelined,
    one_by_one,
    starttls,
    tls_not_offered,
    tls_refused,
    login,
    login_step_by_step,
    no_mechanism,
    refused_greeting,
    hello_fallback,
    refusals,
    nobody_left,
    mail_refused,
    shutting_down,
    odd_replies,
    obstacles,
    timeouts,
    unicode,
}
