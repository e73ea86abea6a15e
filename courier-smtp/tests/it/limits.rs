//! Each limit at its number, one below and one above, with the clock in our hands.

use courier_core::account::sasl::Verdict;
use courier_core::time::Millis;
use courier_smtp::reply::{Refusal, Reply};
use courier_smtp::server::{
    Aborted, MOST_INPUT, Mechanisms, Outcome, Output, Server, Settings, Step, Tarpit, Tls,
    Transport,
};

use crate::talk::Talk;

fn talk(change: impl FnOnce(&mut Settings)) -> Talk {
    let mut settings = Settings::new("mx.example.com");
    change(&mut settings);
    let mut talk = Talk::new(settings, Transport::Plain);
    assert_eq!(talk.say("HELO a\r\n"), "250 mx.example.com Ok.\r\n");
    talk
}

/// Up to the 354.
fn data(talk: &mut Talk) {
    let envelope = "MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n";
    let replies = talk.say(envelope);
    assert!(replies.ends_with("354 Ok.\r\n"), "{replies}");
}

fn last(replies: &str) -> &str {
    replies.lines().last().unwrap_or_default()
}

#[test]
fn command_lines() {
    for (length, reply) in [
        (4095, "250"),
        (4096, "250"),
        (4097, "500 5.5.2"),
        (100_000, "500 5.5.2"),
    ] {
        let mut talk = talk(|_| {});
        let line = format!("NOOP {}\r\n", "x".repeat(length - 5));
        assert!(talk.say(&line).starts_with(reply), "{length}");
        assert_eq!(talk.say("NOOP\r\n"), "250 2.0.0 Ok\r\n");
    }
}

#[test]
fn a_line_without_end_closes() {
    let mut talk = talk(|_| {});
    for _ in 0..255 {
        assert_eq!(talk.say([b'x'; 4096]), "");
    }
    assert_eq!(talk.say([b'x'; 4095]), "");
    assert!(talk.say("x").starts_with("500 5.5.2"));
    assert!(talk.closed);
}

#[test]
fn names_and_addresses() {
    let mut talk = talk(|_| {});
    for length in [254, 255, 256] {
        talk.say(format!("HELO {}\r\n", "x".repeat(length)));
        assert_eq!(talk.server.helo().map(str::len), Some(length.min(255)));
    }
    let label = |n| format!("a@{}.example", "b".repeat(n));
    let local = |n| format!("{}@example.com", "a".repeat(n));
    for (address, good) in [
        (local(63), true),
        (local(64), true),
        (local(65), false),
        (label(62), true),
        (label(63), true),
        (label(64), false),
    ] {
        let reply = talk.say(format!("MAIL FROM:<{address}>\r\n"));
        assert_eq!(reply.starts_with("250"), good, "{address}: {reply}");
        assert!(good || reply.starts_with("501 5.1.7"), "{address}: {reply}");
        talk.say("RSET\r\n");
    }
    talk.say("MAIL FROM:<>\r\n");
    // 256 octets of a path: its brackets, the @ and a domain of 11.
    for (length, good) in [(241, true), (242, true), (243, false)] {
        let reply = talk.say(format!("RCPT TO:<{}>\r\n", local(length)));
        assert_eq!(reply.starts_with("250"), good, "{length}: {reply}");
        assert!(good || reply.starts_with("501 5.1.3"), "{length}: {reply}");
    }
}

#[test]
fn recipients() {
    for (limit, most) in [(100, 100), (10_000, 10_000), (20_000, 10_000)] {
        let mut talk = talk(|s| s.limits.recipients = limit);
        talk.say("MAIL FROM:<>\r\n");
        let commands = "RCPT TO:<b@example.com>\r\n".repeat(most + 1);
        let replies = talk.say(commands);
        let accepted = replies
            .lines()
            .filter(|line| *line == "250 2.1.5 Ok.")
            .count();
        assert_eq!(accepted, most);
        assert!(
            last(&replies).starts_with("431 4.5.3"),
            "{}",
            last(&replies)
        );
        talk.say("DATA\r\n");
        assert_eq!(talk.say(".\r\n"), "250 2.0.0 Ok.\r\n");
        assert_eq!(talk.accepted[0].recipients.len(), most);
    }
}

#[test]
fn sizes() {
    for (size, good) in [(99, true), (100, true), (101, false)] {
        let body = [vec![b'x'; size - 2], b"\r\n".to_vec()].concat();
        for chunked in [false, true] {
            let mut talk = talk(|s| s.limits.message = Some(100));
            let reply = if chunked {
                talk.say("MAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\n");
                talk.say([format!("BDAT {size} LAST\r\n").as_bytes(), &body].concat())
            } else {
                data(&mut talk);
                talk.say([&body, &b".\r\n"[..]].concat())
            };
            let wanted = if good { "250 2.0.0" } else { "523 5.3.4" };
            assert!(reply.starts_with(wanted), "{size}: {reply}");
            assert_eq!(talk.accepted.len(), usize::from(good));
            assert_eq!(talk.aborted.contains(&Aborted::TooLarge), !good);
            assert_eq!(
                talk.say("NOOP\r\n"),
                "250 2.0.0 Ok\r\n",
                "the session goes on"
            );
        }
        let mut talk = talk(|s| s.limits.message = Some(100));
        let reply = talk.say(format!("MAIL FROM:<> SIZE={size}\r\n"));
        assert!(
            reply.starts_with(if good { "250" } else { "534 5.3.4" }),
            "{reply}"
        );
    }
}

#[test]
fn errors() {
    let mut talk = talk(|_| {});
    for _ in 0..19 {
        assert_eq!(talk.say("WHAT\r\n"), "500 5.5.2 Unknown command\r\n");
    }
    assert_eq!(last(&talk.say("WHAT\r\n")), "421 4.7.0 Too many errors");
    assert!(talk.closed);

    let mut early = Talk::new(Settings::new("mx.example.com"), Transport::Plain);
    for _ in 0..9 {
        assert_eq!(early.say("WHAT\r\n"), "500 5.5.2 Unknown command\r\n");
    }
    let replies = early.say("WHAT\r\nEHLO a\r\n");
    assert_eq!(
        replies,
        "500 5.5.2 Unknown command\r\n421 4.7.0 Too many errors\r\n"
    );
    assert!(early.closed);
}

#[test]
fn commands_that_move_no_mail() {
    let mut talk = talk(|_| {});
    for command in [
        "NOOP", "RSET", "HELP", "VRFY a", "EHLO a", "HELO a", "EXPN a",
    ]
    .iter()
    .cycle()
    .take(99)
    {
        let reply = talk.say(format!("{command}\r\n"));
        assert!(reply.starts_with('2'), "{reply}");
    }
    assert!(
        talk.say("NOOP\r\n").starts_with("421 4.7.0"),
        "the hundredth after HELO"
    );
    assert!(talk.closed);

    let mut talk = self::talk(|_| {});
    talk.say("NOOP\r\n".repeat(99));
    data(&mut talk);
    talk.say(".\r\n");
    talk.say("NOOP\r\n".repeat(99));
    assert_eq!(
        talk.say("NOOP\r\n"),
        "250 2.0.0 Ok\r\n",
        "a message lies between"
    );
}

#[test]
fn transactions() {
    let mut talk = talk(|_| {});
    for _ in 0..1000 {
        data(&mut talk);
        assert_eq!(talk.say(".\r\n"), "250 2.0.0 Ok.\r\n");
    }
    assert!(talk.say("MAIL FROM:<>\r\n").starts_with("421 4.7.0"));
    assert!(talk.closed);
}

#[test]
fn failed_logins() {
    let plain = Mechanisms {
        plain: vec!["PLAIN".to_owned()],
        tls: Vec::new(),
    };
    let mut talk = talk(|s| s.mechanisms = plain);
    for (number, words) in [(1, 1), (2, 1), (3, 2)] {
        assert_eq!(talk.say("AUTH PLAIN AGEAYg==\r\n"), "", "the reply waits");
        assert_eq!(talk.deadline, talk.now + Millis::from_secs(number));
        let reply = talk.pass(Millis::from_secs(number));
        assert!(reply.starts_with("535 5.7.8"), "{reply}");
        assert_eq!(reply.lines().count(), words);
    }
    assert!(talk.closed);
}

#[test]
fn responses_in_auth() {
    let plain = Mechanisms {
        plain: vec!["PLAIN".to_owned()],
        tls: Vec::new(),
    };
    for (length, reply) in [(12284, "334"), (12288, "334"), (12289, "500 5.5.6")] {
        let mut talk = talk(|s| s.mechanisms = plain.clone());
        talk.verdict = Verdict::Challenge(Vec::new());
        assert_eq!(talk.say("AUTH PLAIN\r\n"), "334 \r\n");
        let line = format!("{}\r\n", "A".repeat(length));
        assert!(talk.say(line).starts_with(reply), "{length}");
    }
}

#[test]
fn waits() {
    let minute = Millis::from_mins(1);
    let just_before = |time: Millis| time - Millis(1);

    let mut idle = talk(|_| {});
    assert_eq!(idle.deadline, Millis::from_mins(10));
    assert_eq!(idle.pass(just_before(Millis::from_mins(10))), "");
    assert!(idle.pass(Millis(1)).starts_with("421 4.4.2"));
    assert!(idle.closed);

    let mut silent = talk(|_| {});
    data(&mut silent);
    silent.pass(minute);
    silent.say("x");
    assert_eq!(silent.pass(just_before(Millis::from_mins(4))), "");
    assert!(
        silent.pass(Millis(1)).starts_with("421 4.4.2"),
        "too little in five minutes"
    );

    // 500 octets a second on the average of five minutes are enough.
    for (octets, good) in [(149_999, false), (150_000, true), (150_001, true)] {
        let mut slow = talk(|_| {});
        data(&mut slow);
        slow.pass(minute);
        slow.say(vec![b'x'; octets]);
        assert_eq!(slow.pass(Millis::from_mins(4)).is_empty(), good, "{octets}");
        assert_eq!(slow.closed, !good);
    }

    let mut host = talk(|_| {});
    host.hangs = true;
    data(&mut host);
    assert_eq!(host.say(".\r\n"), "");
    assert_eq!(host.pass(just_before(Millis::from_mins(10))), "");
    assert!(host.pass(Millis(1)).starts_with("421 4.3.0"));
    // The answer comes too late, and changes nothing.
    let token = host.hanging.take().expect("a question");
    host.server.committed(token, Outcome::All(Reply::ok("Ok.")));
    assert!(host.server.pending().is_empty());

    let mut handshake = Server::new(
        Settings {
            tls: Tls::Offered,
            ..Settings::new("mx")
        }
        .into(),
        Transport::Plain,
    );
    let mut input = &b"STARTTLS\r\nMAIL FROM:<forged@example.net>\r\n"[..];
    let deadline = loop {
        let Step { consumed, output } = handshake.poll(Millis(0), input);
        input = &input[consumed..];
        match output {
            Output::Write => handshake.wrote(handshake.pending().len()),
            Output::StartTls => assert_eq!(input, b"", "what was buffered is dropped"),
            Output::Wait { deadline } => break deadline,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(deadline, Millis::from_secs(15));
    assert!(matches!(
        handshake.poll(deadline, b"").output,
        Output::Close
    ));
}

#[test]
fn the_tar_pit_takes_ten_minutes_at_most() {
    let mut talk = talk(|s| s.tarpit = Tarpit::On);
    let mut total = Millis(0);
    for _ in 0..15 {
        assert_eq!(talk.say("WHAT\r\n"), "500 5.5.2 Unknown command\r\n");
        let pause = talk.deadline - talk.now;
        if pause == Millis::from_mins(10) {
            continue; // no pause any more: it waits for a command
        }
        assert_eq!(talk.say("NOOP\r\n"), "");
        total = total + pause;
        assert_eq!(talk.pass(pause), "250 2.0.0 Ok\r\n");
    }
    assert_eq!(total, Millis::from_mins(10));

    // An accepted message makes the next pause short again.
    let mut talk = self::talk(|s| s.tarpit = Tarpit::On);
    for seconds in [8, 16] {
        talk.say("WHAT\r\n");
        assert_eq!(talk.deadline - talk.now, Millis::from_secs(seconds));
        talk.pass(Millis::from_secs(seconds));
    }
    data(&mut talk);
    talk.say(".\r\nWHAT\r\n");
    assert_eq!(talk.deadline - talk.now, Millis::from_secs(8));
}

#[test]
fn a_graceful_stop() {
    let mut idle = talk(|_| {});
    idle.server.shutdown();
    assert!(idle.say("").starts_with("421 4.3.2"));
    assert!(idle.closed);

    let mut stuck = talk(|s| s.tarpit = Tarpit::On);
    stuck.say("WHAT\r\n");
    stuck.server.shutdown();
    assert!(
        stuck.say("").starts_with("421 4.3.2"),
        "the tar pit does not hold it up"
    );

    let mut busy = talk(|_| {});
    data(&mut busy);
    busy.server.shutdown();
    assert_eq!(busy.say("x\r\n"), "");
    let replies = busy.say(".\r\nMAIL FROM:<>\r\n");
    assert!(
        replies.starts_with("250 2.0.0 Ok.\r\n421 4.3.2"),
        "{replies}"
    );
    assert!(busy.closed && busy.accepted.len() == 1);
}

#[test]
fn clients_that_are_turned_away() {
    let settings = Settings::new("mx.example.com");
    let mut server = Server::turning_away(settings.into(), Refusal::too_many_sessions());
    assert!(matches!(
        server.poll(Millis(0), b"EHLO a\r\n").output,
        Output::Write
    ));
    assert!(server.pending().starts_with(b"421 4.7.0"));
    server.wrote(server.pending().len());
    assert!(matches!(
        server.poll(Millis(0), b"EHLO a\r\n").output,
        Output::Close
    ));
}

#[test]
fn early_talkers_are_recorded() {
    let mut server = Server::new(Settings::new("mx").into(), Transport::Plain);
    let step = server.poll(Millis(0), b"EHLO a\r\n");
    assert!(matches!(step.output, Output::Write), "{step:?}");
    assert!(server.is_early_talker());
    let patient = talk(|_| {});
    assert!(!patient.server.is_early_talker());
}

#[test]
fn no_input_within_the_limit_stops_a_session() {
    // The longest lines that may wait for their end are shorter than what a host holds.
    let plain = Mechanisms {
        plain: vec!["PLAIN".to_owned()],
        tls: Vec::new(),
    };
    let mut talk = talk(|s| s.mechanisms = plain);
    talk.verdict = Verdict::Challenge(Vec::new());
    for opening in ["", "AUTH PLAIN\r\n"] {
        talk.say(opening);
        let held = talk.server.poll(talk.now, &[b'A'; MOST_INPUT]).consumed;
        assert!(held > 0, "behind {opening}");
        talk = self::talk(|s| s.mechanisms.plain = vec!["PLAIN".to_owned()]);
        talk.verdict = Verdict::Challenge(Vec::new());
    }
}

#[test]
fn pending_replies_are_bounded() {
    // 1000 pipelined commands with long replies; Talk checks what waits to be written.
    let mut talk = talk(|s| s.limits.idle_commands = 10_000);
    let replies = talk.say("HELP\r\n".repeat(5000));
    assert_eq!(replies.lines().count(), 10_000);
}
