use super::super::flag::{Flag, Flags};
use super::*;
use proptest::prelude::*;

fn parse(text: &str) -> Result<Command<'_>, CommandError> {
    let request = Request::parse(text.as_bytes()).unwrap();
    assert_eq!(request.tag, text.split(' ').next().unwrap().as_bytes());
    request.command
}

fn cow(text: &str) -> Cow<'_, [u8]> {
    Cow::Borrowed(text.as_bytes())
}

fn set(text: &str) -> SequenceSet {
    SequenceSet::parse(text.as_bytes()).unwrap()
}

#[test]
fn commands_without_arguments() {
    for (text, command) in [
        ("a CAPABILITY", Command::Capability),
        ("a noop", Command::Noop),
        ("a Logout ", Command::Logout),
        ("a STARTTLS", Command::StartTls),
        ("a NAMESPACE", Command::Namespace),
        ("a IDLE", Command::Idle),
        ("a CHECK", Command::Check),
        ("a CLOSE", Command::Close),
        ("a UNSELECT", Command::Unselect),
        ("a EXPUNGE", Command::Expunge(None)),
    ] {
        assert_eq!(parse(text), Ok(command), "{text}");
    }
    assert!(matches!(parse("a NOOP x"), Err(CommandError::Syntax(_))));
}

#[test]
fn commands_with_arguments() {
    let user = cow("u\"s");
    let password = cow("p w");
    let id = vec![(cow("name"), Some(cow("x"))), (cow("v"), None)];
    for (text, command) in [
        (
            "1 LOGIN \"u\\\"s\" {3}\r\np w",
            Command::Login { user, password },
        ),
        (
            "1 AUTHENTICATE plain",
            Command::Authenticate {
                mechanism: b"plain",
                initial: None,
            },
        ),
        (
            "1 AUTHENTICATE PLAIN =",
            Command::Authenticate {
                mechanism: b"PLAIN",
                initial: Some(b"="),
            },
        ),
        ("1 ENABLE A B=C", Command::Enable(vec![b"A", b"B=C"])),
        (
            "1 SELECT inbox",
            Command::Select {
                mailbox: cow("inbox"),
                access: Access::ReadWrite,
            },
        ),
        (
            "1 EXAMINE \"a b\"",
            Command::Select {
                mailbox: cow("a b"),
                access: Access::ReadOnly,
            },
        ),
        ("1 CREATE NIL", Command::Create(cow("NIL"))),
        ("1 DELETE a]", Command::Delete(cow("a]"))),
        (
            "1 RENAME a b",
            Command::Rename {
                from: cow("a"),
                to: cow("b"),
            },
        ),
        ("1 SUBSCRIBE a", Command::Subscribe(cow("a"))),
        ("1 UNSUBSCRIBE a", Command::Unsubscribe(cow("a"))),
        (
            "1 LIST \"\" %",
            Command::List {
                reference: cow(""),
                pattern: cow("%"),
                scope: ListScope::All,
            },
        ),
        (
            "1 LSUB x \"\"",
            Command::List {
                reference: cow("x"),
                pattern: cow(""),
                scope: ListScope::Subscribed,
            },
        ),
        ("1 ID NIL", Command::Id(Vec::new())),
        ("1 ID (\"name\" \"x\" \"v\" NIL)", Command::Id(id)),
        ("1 UID EXPUNGE 1:3", Command::Expunge(Some(set("1:3")))),
        (
            "1 COPY 1 a",
            Command::Copy {
                set: set("1"),
                mailbox: cow("a"),
                mode: CopyMode::Copy,
                by: By::Sequence,
            },
        ),
        (
            "1 UID MOVE 1 a",
            Command::Copy {
                set: set("1"),
                mailbox: cow("a"),
                mode: CopyMode::Move,
                by: By::Uid,
            },
        ),
        (
            "1 UID SEARCH NEW",
            Command::Search {
                key: Key::New,
                by: By::Uid,
            },
        ),
    ] {
        assert_eq!(parse(text), Ok(command), "{text}");
    }
    let Ok(Command::Status { items, .. }) = parse("1 STATUS a (messages UNSEEN MESSAGES)") else {
        panic!("no STATUS");
    };
    assert_eq!(items.as_slice(), [StatusItem::Messages, StatusItem::Unseen]);
}

#[test]
fn flags_are_stored_with_and_without_parentheses() {
    let list = |text: &str| match parse(text) {
        Ok(Command::Store {
            change: FlagChange::Add(list),
            echo,
            by,
            ..
        }) => (list, echo, by),
        other => panic!("{other:?}"),
    };
    let (with, echo, by) = list("1 UID STORE 1 +FLAGS.SILENT (\\Seen \\Recent $a $A)");
    assert_eq!((echo, by), (Echo::Silent, By::Uid));
    assert_eq!(with.flags, Flags::NONE.with(Flag::Seen));
    assert_eq!(with.keywords.len(), 1);
    assert_eq!(list("1 STORE 1 +flags \\seen $a").0, with);
    assert!(matches!(
        parse("1 STORE 1 FLAGS ()"),
        Ok(Command::Store {
            change: FlagChange::Replace(_),
            ..
        })
    ));
    assert!(matches!(
        parse("1 STORE 1 -FLAGS x"),
        Ok(Command::Store {
            change: FlagChange::Remove(_),
            ..
        })
    ));
    for text in [
        "FLAGS",
        "FLAGS \\Foo",
        "FLAGS (a",
        "FLAGS (a) b",
        "FLAGS \\",
        "*FLAGS a",
        "FLAGS a(b",
        "+-FLAGS a",
    ] {
        assert!(parse(&format!("1 STORE 1 {text}")).is_err(), "{text}");
    }
    let keywords = |n: usize| {
        format!(
            "1 STORE 1 FLAGS ({})",
            (0..n)
                .map(|n| format!("k{n}"))
                .collect::<Vec<_>>()
                .join(" ")
        )
    };
    assert!(parse(&keywords(1000)).is_ok() && parse(&keywords(1001)).is_err());
}

#[test]
fn what_is_no_command_is_refused() {
    assert_eq!(parse("a FOO"), Err(CommandError::Unknown));
    assert_eq!(parse("a FOO bar"), Err(CommandError::Unknown));
    assert_eq!(parse("a UID NOOP x"), Err(CommandError::Unknown));
    assert_eq!(parse("a AVERYLONGCOMMANDNAME"), Err(CommandError::Unknown));
    assert_eq!(parse("a LOGIN a {2}\r\nb\0"), Err(CommandError::Nul));
    assert_eq!(parse("a SEARCH CHARSET X ALL"), Err(CommandError::Charset));
    for text in [
        "a LOGIN",
        "a LOGIN a",
        "a LOGIN a b c",
        "a SELECT",
        "a SELECT ",
        "a SELECT a (CONDSTORE)",
        "a STATUS a ()",
        "a STATUS a (FOO)",
        "a STATUS a MESSAGES",
        "a ID x",
        "a ID (\"a\")",
        "a RENAME a",
        "a APPEND a",
        "a UID",
        "a UID FETCH",
        "a FETCH 1 UID x",
        "a",
        "a ",
        "a  NOOP",
        "a LIST \"\" \"(a\" b",
        "a UID FETCH 1",
        "a ENABLE",
        "a AUTHENTICATE",
    ] {
        assert!(
            matches!(parse(text), Err(CommandError::Syntax(_))),
            "{text}"
        );
    }
    for text in ["", " a", "+ NOOP", "(a) NOOP", "\u{e4} NOOP"] {
        assert!(Request::parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn id_takes_thirty_pairs() {
    let pairs = |n: usize| format!("a ID ({})", vec!["\"a\" NIL"; n].join(" "));
    assert!(parse(&pairs(30)).is_ok() && parse(&pairs(31)).is_err());
    assert_eq!(parse("a ID ()"), Ok(Command::Id(Vec::new())));
}

#[test]
fn an_append_is_known_by_what_stands_before_its_literal() {
    let after = |text: &'static str| Literal::after(text.as_bytes());
    let head = |text: &'static str| match after(text) {
        Ok(Literal::Message(head)) => head,
        other => panic!("{text}: {other:?}"),
    };
    for text in [
        "a LOGIN ",
        "a APPEND ",
        "a append ",
        "",
        "\u{e4} APPEND x ",
        "a APPENDX b ",
    ] {
        assert_eq!(after(text), Ok(Literal::Argument), "{text}");
    }
    assert_eq!(head("a Append INBOX ").mailbox, cow("INBOX"));
    assert_eq!(head("a append {3+}\r\na b ").mailbox, cow("a b"));
    let full = head("a APPEND x (\\Seen $f) \"17-Jul-1996 02:44:25 -0700\" ");
    assert_eq!(full.date.unwrap().0.0, 837_596_665);
    assert_eq!(full.flags.keywords.len(), 1);
    assert_eq!(head("a APPEND x () ").flags, FlagList::default());
    for text in [
        "a APPEND x",
        "a APPEND x ~",
        "a APPEND x UTF8 (~",
        "a APPEND x (\\Foo) ",
        "a APPEND x \"yesterday\" ",
        "a APPEND x y ",
    ] {
        assert!(after(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(request) = Request::parse(&octets) {
            let _ = request.command;
        }
        let _ = Literal::after(&octets);
    }

    #[test]
    fn any_words_are_read_or_refused(
        name in "UID FETCH|FETCH|STORE|SEARCH|APPEND|LIST|STATUS|ID|LOGIN|SELECT",
        words in "( |\\(|\\)|\"|\\\\|\\{[0-9]\\}\r\n|1:\\*|BODY\\[|\\]|FLAGS|\\+|\\\\Seen|a){0,12}",
    ) {
        let text = format!("a {name} {words}");
        let _ = Request::parse(text.as_bytes());
        let _ = Literal::after(text.as_bytes());
    }
}
