//! Client and server against each other: what is sent is what arrives, in any cut.

use std::sync::Arc;

use courier_core::address::{ForwardPath, ReversePath};
use courier_core::message::wire::Pieces;
use courier_core::time::Millis;
use courier_smtp::client::{Client, Delivery, Failure, Output, Settings, Stage, Step};
use courier_smtp::extension::{Keyword, Keywords};
use courier_smtp::parameter::{Recipient, Sender};
use courier_smtp::server::{self, Transport};
use proptest::prelude::*;

use crate::talk::Talk;

fn delivery(recipients: usize, content: &[u8]) -> Delivery {
    let recipient =
        |n| ForwardPath::parse(format!("<r{n}@example.com>").as_bytes()).expect("a path");
    Delivery {
        sender: Sender::new(ReversePath::parse(b"<a@example.net>").expect("a path")),
        recipients: (0..recipients)
            .map(|n| Recipient::new(recipient(n)))
            .collect(),
        content: Arc::new(content.to_vec()),
    }
}

/// Content as it arrives: complete lines, LF line ends, no bare CR.
fn normal(content: &[u8]) -> Vec<u8> {
    let mut normal = Vec::new();
    for (at, &octet) in content.iter().enumerate() {
        match (octet, content.get(at + 1)) {
            (b'\r', Some(b'\n') | None) => {}
            (b'\r', _) => normal.push(b' '),
            (other, _) => normal.push(other),
        }
    }
    if content.last().is_some_and(|&last| last != b'\n') {
        normal.push(b'\n');
    }
    normal
}

/// Runs the deliveries over a line that carries at most so many octets at a time.
fn run(deliveries: Vec<Delivery>, keywords: Keywords, cuts: &[usize]) -> (Talk, Vec<bool>) {
    let mut settings = server::Settings::new("mx.example.com");
    settings.keywords = keywords;
    let mut talk = Talk::new(settings, Transport::Plain);
    let mut client = Client::new(Settings::new("client.example.net"));
    let mut deliveries = deliveries.into_iter();
    let mut to_client = b"220 mx.example.com ESMTP\r\n".to_vec();
    let mut to_server: Vec<u8> = Vec::new();
    let mut settled = Vec::new();
    let mut sizes = cuts.iter().copied().cycle();
    loop {
        let Step { consumed, output } = client.poll(Millis(0), &to_client);
        to_client.drain(..consumed);
        match output {
            Output::Write => {
                to_server.extend_from_slice(client.pending());
                client.wrote(client.pending().len());
            }
            Output::Send(segment) => {
                Pieces::new(segment.source(), segment.encoding).for_each(|p| to_server.extend(p));
                client.sent();
            }
            Output::Ready(token) => match deliveries.next() {
                Some(delivery) => client.begin(token, delivery).expect("free"),
                None => client.quit(token),
            },
            Output::Settled(all) => {
                let accepted = |s: &courier_smtp::client::Settlement| {
                    s.result.as_ref().is_ok_and(|reply| reply.is_success())
                };
                settled.extend(all.iter().map(accepted));
            }
            Output::Wait { .. } => {
                assert!(!to_server.is_empty(), "both wait for each other");
                let size = sizes.next().unwrap_or(1).clamp(1, to_server.len());
                let piece: Vec<u8> = to_server.drain(..size).collect();
                to_client.extend_from_slice(talk.say(piece).as_bytes());
            }
            Output::Close => return (talk, settled),
            other => panic!("{other:?}"),
        }
    }
}

proptest! {
    #[test]
    fn what_is_sent_arrives(
        contents in proptest::collection::vec(
            proptest::collection::vec(prop_oneof![
                3 => Just(b'\n'), 2 => Just(b'.'), 1 => Just(b'\r'), 3 => any::<u8>()], 0..60),
            1..3),
        recipients in 1usize..4,
        pipelining: bool,
        cuts in proptest::collection::vec(1usize..60, 1..8),
    ) {
        let keywords = match pipelining {
            true => Keywords::STANDARD,
            false => Keywords::STANDARD.without(Keyword::Pipelining).without(Keyword::Size),
        };
        let deliveries = contents.iter().map(|content| delivery(recipients, content)).collect();
        let (talk, settled) = run(deliveries, keywords, &cuts);
        prop_assert_eq!(settled, vec![true; recipients * contents.len()]);
        prop_assert_eq!(talk.accepted.len(), contents.len());
        for (accepted, content) in talk.accepted.iter().zip(&contents) {
            prop_assert_eq!(&accepted.content, &normal(content));
            prop_assert_eq!(accepted.recipients.len(), recipients);
        }
    }

    #[test]
    fn a_client_survives_any_server(input: Vec<u8>, lines in "([2345][05][0-9][ -].{0,5}\r\n){0,12}", cut in 0usize..200) {
        for text in [input.as_slice(), lines.as_bytes()] {
            let text = text.get(..cut).unwrap_or(text);
            prop_assert!(outcomes(text) <= 1);
        }
    }
}

/// How often a delivery of one recipient is settled by a server that says just this,
/// line by line, and then closes.
fn outcomes(text: &[u8]) -> usize {
    let mut client = Client::new(Settings::new("client.example.net"));
    let mut lines = text.split_inclusive(|&octet| octet == b'\n');
    let (mut input, mut told, mut begun) = (Vec::new(), 0, false);
    let mut delivery = Some(delivery(1, b"x\n"));
    for _ in 0..10_000 {
        let Step { consumed, output } = client.poll(Millis(0), &input);
        input.drain(..consumed);
        match output {
            Output::Write => client.wrote(client.pending().len()),
            Output::Send(_) => client.sent(),
            Output::StartTls => client.tls_started(),
            Output::Ready(token) => match delivery.take() {
                Some(delivery) => begun = client.begin(token, delivery).is_ok(),
                None => client.quit(token),
            },
            Output::Settled(settled) => {
                assert!(begun && settled.len() == 1);
                told += 1;
            }
            Output::Failed(_) => assert!(!begun, "a delivery is settled, not lost"),
            Output::Wait { .. } => match lines.next() {
                Some(line) => input.extend_from_slice(line),
                None => client.closed(),
            },
            Output::Close => {
                assert!(!begun || told == 1, "a delivery that was begun is settled");
                return told;
            }
        }
    }
    panic!("the client does not come to an end");
}

#[test]
fn a_connection_that_ends_early_settles_everybody() {
    let server =
        "220 mx\r\n250-mx\r\n250 PIPELINING\r\n250 Ok.\r\n250 Ok.\r\n354 Ok.\r\n250 Ok.\r\n";
    for cut in 0..server.len() {
        outcomes(&server.as_bytes()[..cut]);
    }
    assert_eq!(outcomes(server.as_bytes()), 1);
}

#[test]
fn answers_from_before_tls_are_dropped() {
    let mut client = Client::new(Settings::new("client.example.net"));
    let mut input =
        &b"220 mx\r\n250-mx\r\n250 STARTTLS\r\n220 Ok\r\n250-mx\r\n250 AUTH PLAIN\r\n"[..];
    loop {
        let Step { consumed, output } = client.poll(Millis(0), input);
        input = &input[consumed..];
        match output {
            Output::Write => client.wrote(client.pending().len()),
            Output::StartTls => {
                assert_eq!(input, b"");
                client.tls_started();
            }
            Output::Wait { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(!client.capabilities().has(Keyword::Auth));
    client.closed();
    let output = client.poll(Millis(0), b"").output;
    assert!(
        matches!(output, Output::Failed(Failure::ConnectionLost)),
        "{output:?}"
    );
}

#[test]
fn a_crowd_of_recipients_goes_out_in_bounded_pieces() {
    let mut client = Client::new(Settings::new("client.example.net"));
    let mut input = b"220 mx\r\n250-mx\r\n250 PIPELINING\r\n".to_vec();
    let (mut unanswered, mut told) = (0, Vec::new());
    let mut crowd = Some(delivery(10_000, b"x\n"));
    while told.is_empty() {
        let Step { consumed, output } = client.poll(Millis(0), &input);
        input.drain(..consumed);
        match output {
            Output::Write => {
                assert!(client.pending().len() <= 65536);
                unanswered += client
                    .pending()
                    .iter()
                    .filter(|&&octet| octet == b'\n')
                    .count();
                client.wrote(client.pending().len());
            }
            Output::Ready(token) => {
                unanswered = 0;
                client
                    .begin(token, crowd.take().expect("one delivery"))
                    .expect("free");
            }
            Output::Wait { .. } => {
                assert!((1..=100).contains(&unanswered), "{unanswered}");
                input.extend_from_slice("450 later\r\n".repeat(unanswered).as_bytes());
                unanswered = 0;
            }
            Output::Settled(settled) => told = settled,
            other => panic!("{other:?}"),
        }
    }
    assert!(told.len() == 10_000 && told.iter().all(|s| s.stage == Stage::Mail));
}
