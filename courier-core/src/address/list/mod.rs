//! The addresses in a header field (RFC 5322 §3.4 with the obsolete forms of §4.4),
//! as IMAP's ENVELOPE, submission and filters need them.
//!
//! Whatever a field holds, something comes out: names and addresses as raw octets,
//! encoded words as they are, and what is no address as [`Entry::Raw`]. Time is
//! linear in the length of the field; from [`ADDRESS_LIMIT`] on the rest is raw.
//!
//! Common slips are understood: dots in names, names with `@`, a missing `>`, `;`
//! between addresses, quotes and comments that do not end, no comma after `>`.
//!
//! ```
//! use courier_core::address::list::{self, Entry};
//!
//! let field = br#""Doe, Jane" <jane@example.com>, friends: bob@example.net (Bob);"#;
//! let mut entries = list::parse(field);
//! let Some(Entry::Mailbox(jane)) = entries.next() else { panic!() };
//! assert_eq!(jane.name.as_deref(), Some(&b"Doe, Jane"[..]));
//! assert_eq!(&*jane.mailbox, b"jane");
//! assert_eq!(jane.host.as_deref(), Some(&b"example.com"[..]));
//! assert!(matches!(entries.next(), Some(Entry::GroupStart(name)) if *name == *b"friends"));
//! assert!(matches!(entries.next(), Some(Entry::Mailbox(bob)) if bob.name.as_deref() == Some(b"Bob")));
//! assert!(matches!(entries.next(), Some(Entry::GroupEnd)));
//! assert!(entries.next().is_none());
//! ```

mod lexer;
mod print;

use std::borrow::Cow;
use std::ops::Range;

use lexer::Lexer;
pub use print::print;

use super::{Address, AddressError, Domain, LocalPart, Mailbox};

/// Addresses and groups a field; what follows them is left raw.
pub const ADDRESS_LIMIT: usize = 2_000;

/// One thing in an address list. Group marks always come in pairs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry<'a> {
    /// An address.
    Mailbox(HeaderAddress<'a>),
    /// A group begins; its name.
    GroupStart(Cow<'a, [u8]>),
    /// The group ends.
    GroupEnd,
    /// What is no address, as it stands in the field.
    Raw(&'a [u8]),
}

/// An address in a header field, which need not be one to which mail can go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderAddress<'a> {
    /// The display name, or else the comment beside the address: quotes removed,
    /// lines unfolded, encoded words as they are.
    pub name: Option<Cow<'a, [u8]>>,
    /// The source route (`adl` in IMAP): `@a,@b`.
    pub route: Option<Cow<'a, [u8]>>,
    /// The local part, quotes removed; empty for `<>`.
    pub mailbox: Cow<'a, [u8]>,
    /// The domain, or a literal with its brackets, as written.
    pub host: Option<Cow<'a, [u8]>>,
    /// Where local part and domain stand in the field, for those who rewrite it.
    pub place: Range<usize>,
}

impl HeaderAddress<'_> {
    /// The address as one to which mail can go.
    ///
    /// # Errors
    /// If local part or domain are not valid; offsets are those in the part.
    pub fn address(&self) -> Result<Address, AddressError> {
        let text = |octets| {
            std::str::from_utf8(octets).map_err(|error: std::str::Utf8Error| {
                AddressError::NotUtf8 {
                    offset: error.valid_up_to(),
                }
            })
        };
        let local = LocalPart::from_plain(text(&self.mailbox)?)?;
        match &self.host {
            None => Ok(Address::Local(local)),
            Some(host) => {
                let domain = Domain::parse(text(host)?)?;
                Mailbox::new(local, domain).map(Address::Mailbox)
            }
        }
    }
}

/// The entries of a field's value, which may be folded.
#[must_use]
pub fn parse(field: &[u8]) -> Entries<'_> {
    Entries {
        lexer: Lexer::new(field),
        group: Group::Outside,
        count: 0,
        comma: Comma::Seen,
    }
}

/// The entries of an address list, one after the other.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    lexer: Lexer<'a>,
    group: Group,
    count: usize,
    comma: Comma,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Group {
    Inside,
    Outside,
}

/// Whether an entry is separated from the one before it. If not, a word alone is
/// rather a remark than an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comma {
    Seen,
    Missing,
}

impl<'a> Iterator for Entries<'a> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        loop {
            self.lexer.forget_comment();
            self.lexer.skip_blanks();
            match self.lexer.peek() {
                Some(b',') => {}
                Some(b';') if self.group == Group::Outside => {}
                Some(b';') => {
                    self.lexer.bump();
                    return self.end_group();
                }
                Some(_) => break,
                None => return self.end_group(),
            }
            self.comma = Comma::Seen;
            self.lexer.bump();
        }
        if self.count == ADDRESS_LIMIT {
            return Some(Entry::Raw(self.lexer.rest()));
        }
        self.count += 1;
        let comma = std::mem::replace(&mut self.comma, Comma::Missing);
        Some(self.entry(comma))
    }
}

impl<'a> Entries<'a> {
    fn end_group(&mut self) -> Option<Entry<'a>> {
        self.comma = Comma::Seen;
        match std::mem::replace(&mut self.group, Group::Outside) {
            Group::Inside => Some(Entry::GroupEnd),
            Group::Outside => None,
        }
    }

    /// What begins here, at an octet that is no separator.
    fn entry(&mut self, comma: Comma) -> Entry<'a> {
        let start = self.lexer.at();
        let words = self.lexer.words();
        match self.lexer.peek() {
            Some(b'<') => {
                let name = (!words.range.is_empty()).then(|| self.lexer.phrase(words.range));
                self.angle(start, name)
            }
            Some(b':') if self.group == Group::Outside => {
                self.lexer.bump();
                self.group = Group::Inside;
                self.comma = Comma::Seen;
                Entry::GroupStart(self.lexer.phrase(words.range))
            }
            Some(b'@') if words.is_dotted() => {
                let place = words.range.start;
                self.lexer.bump();
                let host = self.lexer.domain();
                match self.lexer.peek() {
                    None | Some(b',' | b';') if !host.is_empty() => Entry::Mailbox(HeaderAddress {
                        name: self.lexer.comment(),
                        route: None,
                        place: place..host.end,
                        mailbox: self.lexer.dotted(words.range),
                        host: Some(self.lexer.host(host)),
                    }),
                    _ => self.remark(start),
                }
            }
            None | Some(b',' | b';') if words.is_dotted() && comma == Comma::Seen => {
                Entry::Mailbox(HeaderAddress {
                    name: self.lexer.comment(),
                    route: None,
                    place: words.range.clone(),
                    mailbox: self.lexer.dotted(words.range),
                    host: None,
                })
            }
            _ => self.remark(start),
        }
    }

    /// What is neither an address nor a name; if an address in brackets follows, it
    /// is a name after all.
    fn remark(&mut self, start: usize) -> Entry<'a> {
        self.lexer.skip_to(b",;<");
        if self.lexer.peek() == Some(b'<') {
            let name = self.lexer.raw(start);
            return self.angle(start, Some(lexer::unfold(name)));
        }
        Entry::Raw(self.lexer.raw(start))
    }

    /// `<`, source route, address, `>`.
    fn angle(&mut self, start: usize, name: Option<Cow<'a, [u8]>>) -> Entry<'a> {
        let remark_before = self.lexer.comment();
        self.lexer.bump();
        self.lexer.skip_blanks();
        let Some(route) = self.lexer.route() else {
            return self.broken_angle(start);
        };
        let words = self.lexer.words();
        let mut place = words.range.clone();
        let mut host = None;
        if self.lexer.peek() == Some(b'@') {
            self.lexer.bump();
            let range = self.lexer.domain();
            if words.range.is_empty() || range.is_empty() {
                return self.broken_angle(start);
            }
            place.end = range.end;
            host = Some(self.lexer.host(range));
        }
        match self.lexer.peek() {
            Some(b'>') => {
                self.lexer.bump();
                self.lexer.forget_comment(); // those within are no names
                self.lexer.skip_blanks();
            }
            None | Some(b',' | b';') => self.lexer.forget_comment(), // no bracket
            _ => return self.broken_angle(start),
        }
        let nobody = words.range.is_empty() && host.is_none() && route.is_empty();
        if !words.is_dotted() && !nobody {
            return Entry::Raw(self.lexer.raw(start));
        }
        Entry::Mailbox(HeaderAddress {
            name: name.or_else(|| self.lexer.comment()).or(remark_before),
            route: (!route.is_empty()).then(|| self.lexer.route_text(route)),
            mailbox: self.lexer.dotted(words.range),
            host,
            place,
        })
    }

    fn broken_angle(&mut self, start: usize) -> Entry<'a> {
        self.lexer.skip_to(b",;>");
        if self.lexer.peek() == Some(b'>') {
            self.lexer.bump();
        }
        Entry::Raw(self.lexer.raw(start))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    /// One line an entry: `name|route|mailbox|host`, `name:`, `;`, or `raw text`.
    fn show(field: &[u8]) -> String {
        let mut text = String::new();
        let lossy = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        for entry in parse(field) {
            match entry {
                Entry::Mailbox(address) => {
                    let parts = [
                        address.name.as_deref(),
                        address.route.as_deref(),
                        Some(&*address.mailbox),
                        address.host.as_deref(),
                    ];
                    let parts = parts.map(|part| part.map_or("-".to_owned(), lossy));
                    writeln!(text, "{}", parts.join("|")).unwrap();
                }
                Entry::GroupStart(name) => writeln!(text, "{}:", lossy(&name)).unwrap(),
                Entry::GroupEnd => writeln!(text, ";").unwrap(),
                Entry::Raw(raw) => writeln!(text, "raw {}", lossy(raw)).unwrap(),
            }
        }
        text
    }

    fn check(field: &str, wanted: &[&str]) {
        let lines: Vec<_> = wanted.iter().map(|line| format!("{line}\n")).collect();
        assert_eq!(show(field.as_bytes()), lines.concat(), "{field:?}");
    }

    #[test]
    fn examples_of_rfc_5322() {
        check(
            "John Doe <jdoe@machine.example>",
            &["John Doe|-|jdoe|machine.example"],
        );
        check(
            "\"Joe Q. Public\" <john.q.public@example.com>",
            &["Joe Q. Public|-|john.q.public|example.com"],
        );
        check(
            "Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
            &[
                "Mary Smith|-|mary|x.test",
                "-|-|jdoe|example.org",
                "Who?|-|one|y.test",
            ],
        );
        check(
            "<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
            &[
                "-|-|boss|nil.test",
                "Giant; \"Big\" Box|-|sysservices|example.net",
            ],
        );
        check(
            "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
            &[
                "A Group:",
                "Ed Jones|-|c|a.test",
                "-|-|joe|where.test",
                "John|-|jdoe|one.test",
                ";",
            ],
        );
        check(
            "Undisclosed recipients:;",
            &["Undisclosed recipients:", ";"],
        );
        check(
            "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
            &["Pete|-|pete|silly.test"],
        );
        check(
            "A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,\r\n         \
             joe@example.org,\r\n  John <jdoe@one.test> (my dear friend); (the end of the group)",
            &[
                "A Group:",
                "Chris Jones|-|c|public.example",
                "-|-|joe|example.org",
                "John|-|jdoe|one.test",
                ";",
            ],
        );
        check(
            "Joe Q. Public <john.q.public@example.com>",
            &["Joe Q. Public|-|john.q.public|example.com"],
        );
        check(
            "Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
            &[
                "Mary Smith|@node.test|mary|example.net",
                "-|-|jdoe|test.example",
            ],
        );
    }

    #[test]
    fn names_come_from_comments_too() {
        check(
            "pete@silly.test (Pete \\(P\\)\r\n Smith)",
            &["Pete (P) Smith|-|pete|silly.test"],
        );
        check("(a) b@c ((d) e)", &["(d) e|-|b|c"]);
        check("<b@c> (Bob)", &["Bob|-|b|c"]);
        check("(Bob) <b(x)@c>", &["Bob|-|b|c"]);
        check("b@c ()", &["-|-|b|c"]);
        check("x@y (X), b@c", &["X|-|x|y", "-|-|b|c"]);
    }

    #[test]
    fn quotes_and_encoded_words() {
        check("\"a b\"@c", &["-|-|a b|c"]);
        check("\"a\" . b @ c . d", &["-|-|a.b|c.d"]);
        check(
            "=?utf-8?q?J=C3=B6rg?=\r\n =?utf-8?q?_X?= <j@x>",
            &["=?utf-8?q?J=C3=B6rg?= =?utf-8?q?_X?=|-|j|x"],
        );
        check("\"A\\\\B\\\"C\"   D <e@f>", &["A\\B\"C D|-|e|f"]);
        check(
            "Jörg <jörg@bücher.example>",
            &["Jörg|-|jörg|bücher.example"],
        );
    }

    #[test]
    fn literals_and_routes() {
        check("a@[192.0.2.1]", &["-|-|a|[192.0.2.1]"]);
        check("a@[ IPv6:::1 ] (x)", &["x|-|a|[IPv6:::1]"]);
        check(
            "<@a, @b.c (x) , @[1.2.3.4]: d@e>",
            &["-|@a,@b.c,@[1.2.3.4]|d|e"],
        );
        check("<@a:d>", &["-|@a|d|-"]);
    }

    #[test]
    fn names_alone_have_no_host() {
        check("postmaster, root", &["-|-|postmaster|-", "-|-|root|-"]);
        check("<root>", &["-|-|root|-"]);
        check("Daemon <>", &["Daemon|-||-"]);
        check("host!user", &["-|-|host!user|-"]);
    }

    #[test]
    fn slips_are_understood() {
        check("a@b; c@d", &["-|-|a|b", "-|-|c|d"]);
        check("a@b <a@b>", &["a@b|-|a|b"]);
        check("J @ Work: x <a@b>", &["J @ Work: x|-|a|b"]);
        check("[List] X <a@b>", &["[List] X|-|a|b"]);
        check("J <a@b, c@d", &["J|-|a|b", "-|-|c|d"]);
        check("<a@b> <c@d>", &["-|-|a|b", "-|-|c|d"]);
        check("<a@b> told me, c@d", &["-|-|a|b", "raw told me", "-|-|c|d"]);
        check("<a@b> foo", &["-|-|a|b", "raw foo"]);
        check("a.@b.", &["-|-|a.|b."]);
        check("g: a@b", &["g:", "-|-|a|b", ";"]);
        check("g: h: a@b;, c@d", &["g:", "raw h: a@b", ";", "-|-|c|d"]);
        check("\"J <a@b>, c@d", &["\"J|-|a|b", "-|-|c|d"]);
        check("a@b (x, c@d", &["raw a@b (x", "-|-|c|d"]);
    }

    #[test]
    fn what_is_no_address_is_left_raw() {
        check("John Doe", &["raw John Doe"]);
        check("John Doe@x", &["raw John Doe@x"]);
        check("a@b@c, d@e", &["raw a@b@c", "-|-|d|e"]);
        check("<a b@c>, <@>, d@e", &["raw <a b@c>", "raw <@>", "-|-|d|e"]);
        check("<@a>", &["raw <@a>"]);
        check("a@, @b", &["raw a@", "raw @b"]);
        check(">,", &["raw >"]);
        check("", &[]);
        check(" , ;\r\n ,", &[]);
    }

    #[test]
    fn places_are_those_of_the_addresses() {
        let field = b"X <@r:a . b@c>, \"d\" @ e (f), g";
        let places: Vec<_> = parse(field)
            .filter_map(|entry| match entry {
                Entry::Mailbox(address) => Some(&field[address.place]),
                _ => None,
            })
            .collect();
        assert_eq!(places, [&b"a . b@c"[..], b"\"d\" @ e", b"g"]);
    }

    #[test]
    fn valid_ones_become_addresses() {
        let address = |field: &str| match parse(field.as_bytes()).next() {
            Some(Entry::Mailbox(address)) => address.address().map(|a| a.to_string()),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            address("X <\"a b\"@C.example.>").unwrap(),
            "\"a b\"@c.example"
        );
        assert_eq!(address("root").unwrap(), "root");
        assert!(address("a@-b").is_err());
        assert_eq!(address("<>"), Err(AddressError::EmptyLocalPart));
    }

    #[test]
    fn from_the_limit_on_the_rest_is_raw() {
        let field = "a@b,".repeat(ADDRESS_LIMIT);
        assert_eq!(parse(field.as_bytes()).count(), ADDRESS_LIMIT);
        let field = format!("g: {field} c@d, e@f;");
        let entries: Vec<_> = parse(field.as_bytes()).collect();
        assert_eq!(entries.len(), ADDRESS_LIMIT + 2);
        assert_eq!(entries[ADDRESS_LIMIT], Entry::Raw(b"a@b, c@d, e@f;"));
        assert_eq!(entries[ADDRESS_LIMIT + 1], Entry::GroupEnd);
    }

    #[test]
    fn hostile_fields_take_linear_time() {
        // Each would take minutes if every octet looked at all that follow.
        for unit in [
            "(", "\"\\", "<", "\"", "@[", "a.", "(\"", ":", "<@a,", "a@b ", "\\\"",
        ] {
            let field = unit.repeat(400_000 / unit.len());
            assert!(
                parse(field.as_bytes()).count() <= ADDRESS_LIMIT + 3,
                "{unit}"
            );
        }
    }

    fn unplaced(field: &[u8]) -> Option<Vec<Entry<'_>>> {
        let entries = parse(field).map(|entry| match entry {
            Entry::Mailbox(mut address) => {
                address.place = 0..0;
                Some(Entry::Mailbox(address))
            }
            Entry::Raw(_) => None,
            other => Some(other),
        });
        entries.collect()
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same(field in "[ab \\r\\n\"\\\\().,;:<>@\\[\\]é=?]{0,40}") {
            if let Some(entries) = unplaced(field.as_bytes()) {
                let printed = print(entries.iter().cloned());
                let text = String::from_utf8_lossy(&printed).into_owned();
                prop_assert_eq!(unplaced(&printed), Some(entries.clone()), "{}", text);
            }
        }

        #[test]
        fn group_marks_come_in_pairs(octets: Vec<u8>) {
            let mut inside = false;
            for entry in parse(&octets) {
                match entry {
                    Entry::GroupStart(_) => prop_assert!(!std::mem::replace(&mut inside, true)),
                    Entry::GroupEnd => prop_assert!(std::mem::replace(&mut inside, false)),
                    Entry::Mailbox(address) => {
                        prop_assert!(octets.get(address.place).is_some());
                    }
                    Entry::Raw(raw) => prop_assert!(!raw.is_empty()),
                }
            }
            prop_assert!(!inside);
        }
    }
}
