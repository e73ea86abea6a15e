use std::fmt;

use super::error::clean_text;
use super::mailbox::is_atext;
use super::{Address, AddressError, Domain, Mailbox, PATH_LIMIT};

/// Where a message comes from: the argument of `MAIL FROM` (RFC 5321 §4.1.1.2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReversePath {
    /// `<>`: nobody wants to hear of it.
    Null,
    /// Reports go here.
    Mailbox(Mailbox),
}

/// Where a message goes: the argument of `RCPT TO` (RFC 5321 §4.1.1.3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ForwardPath {
    /// `<postmaster>`, in any case: whoever runs this host (RFC 5321 §2.3.5).
    Postmaster,
    /// An address.
    Mailbox(Mailbox),
}

/// A path from the front of a command's arguments, and what came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken<'a, P> {
    /// The path, without its source route.
    pub path: P,
    /// The source route, first host first; RFC 5321 appendix C wants it ignored.
    pub route: Vec<Domain>,
    /// What follows the closing bracket.
    pub rest: &'a [u8],
}

impl ReversePath {
    /// Takes a path in angle brackets from the front of `input`.
    ///
    /// # Errors
    /// [`AddressError::NoBrackets`] if `input` does not begin with `<`; otherwise if
    /// the path is no reverse-path. Offsets are those in `input`.
    pub fn take(input: &[u8]) -> Result<Taken<'_, Self>, AddressError> {
        let bracketed = Bracketed::take(input)?;
        let path = match bracketed.address {
            "" if bracketed.route.is_empty() => Self::Null,
            address => Self::Mailbox(
                Mailbox::parse(address.as_bytes()).map_err(|e| e.at(bracketed.offset))?,
            ),
        };
        Ok(Taken {
            path,
            route: bracketed.route,
            rest: bracketed.rest,
        })
    }

    /// Parses a whole text as a path in angle brackets.
    ///
    /// # Errors
    /// As [`Self::take`], or if anything follows the path.
    pub fn parse(text: &[u8]) -> Result<Self, AddressError> {
        whole(text, Self::take(text)?)
    }

    /// The address, unless this is the null path.
    #[must_use]
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Null => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }

    /// Whether this is `<#@[]>`, the sender of a report about a report.
    #[must_use]
    pub fn is_double_bounce(&self) -> bool {
        self.mailbox()
            .is_some_and(|m| m.local().as_str() == "#" && m.domain().as_str() == "[]")
    }
}

impl ForwardPath {
    /// Takes a path in angle brackets from the front of `input`.
    ///
    /// Courier: in an address with several `@` and no quotes all but the last become
    /// `%`, so that the relay check sees the last one.
    ///
    /// # Errors
    /// [`AddressError::NoBrackets`] if `input` does not begin with `<`; otherwise if
    /// the path is no forward-path. Offsets are those in `input`.
    pub fn take(input: &[u8]) -> Result<Taken<'_, Self>, AddressError> {
        let bracketed = Bracketed::take(input)?;
        let percent = percent_form(bracketed.address);
        let address = percent.as_deref().unwrap_or(bracketed.address);
        let address =
            Address::parse(address.as_bytes()).map_err(|error| error.at(bracketed.offset))?;
        let path = match address {
            Address::Mailbox(mailbox) => Self::Mailbox(mailbox),
            Address::Local(local)
                if bracketed.route.is_empty()
                    && local.as_str().eq_ignore_ascii_case("postmaster") =>
            {
                Self::Postmaster
            }
            Address::Local(_) => return Err(AddressError::MissingDomain),
        };
        Ok(Taken {
            path,
            route: bracketed.route,
            rest: bracketed.rest,
        })
    }

    /// Parses a whole text as a path in angle brackets.
    ///
    /// # Errors
    /// As [`Self::take`], or if anything follows the path.
    pub fn parse(text: &[u8]) -> Result<Self, AddressError> {
        whole(text, Self::take(text)?)
    }

    /// The address, unless this is the postmaster without a domain.
    #[must_use]
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Postmaster => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }
}

/// Wire form in UTF-8, with angle brackets.
impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

/// Wire form in UTF-8, with angle brackets.
impl fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Postmaster => f.write_str("<postmaster>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

fn whole<P>(text: &[u8], taken: Taken<'_, P>) -> Result<P, AddressError> {
    if taken.rest.is_empty() {
        return Ok(taken.path);
    }
    Err(AddressError::Syntax {
        offset: text.len() - taken.rest.len(),
        expected: "the end of the path",
    })
}

/// What stands between angle brackets, the source route apart.
struct Bracketed<'a> {
    route: Vec<Domain>,
    address: &'a str,
    /// Where `address` begins in the input.
    offset: usize,
    rest: &'a [u8],
}

impl<'a> Bracketed<'a> {
    fn take(input: &'a [u8]) -> Result<Self, AddressError> {
        let inner = input.strip_prefix(b"<").ok_or(AddressError::NoBrackets)?;
        let end = closing_bracket(inner).ok_or(AddressError::NoBrackets)?;
        let (inner, rest) = inner.split_at_checked(end).unwrap_or((inner, &[]));
        let rest = rest.strip_prefix(b">").unwrap_or(rest);
        let text = clean_text(inner).map_err(|error| error.at(1))?;
        if inner.len() + 2 > PATH_LIMIT {
            return Err(AddressError::PathTooLong);
        }
        let (route, address) = match text.strip_prefix('@') {
            None => (Vec::new(), text),
            Some(_) => source_route(text).map_err(|error| error.at(1))?,
        };
        Ok(Self {
            offset: 1 + text.len() - address.len(),
            route,
            address,
            rest,
        })
    }
}

/// `@a,@b:address` (RFC 5321 §4.1.2, `A-d-l`), taken apart.
fn source_route(text: &str) -> Result<(Vec<Domain>, &str), AddressError> {
    let mut route = Vec::new();
    let mut rest = text;
    loop {
        let offset = text.len() - rest.len();
        let hop = rest.strip_prefix('@').ok_or(AddressError::Syntax {
            offset,
            expected: "@ and a host of the source route",
        })?;
        // A colon within brackets belongs to an IPv6 literal.
        let literal = hop.starts_with('[').then(|| hop.find(']')).flatten();
        let from = literal.unwrap_or(0);
        let length = hop
            .get(from..)
            .and_then(|tail| tail.find([',', ':']))
            .map_or(hop.len(), |at| from + at);
        let (host, after) = hop.split_at_checked(length).unwrap_or((hop, ""));
        route.push(Domain::parse(host).map_err(|error| error.at(offset + 1))?);
        if let Some(address) = after.strip_prefix(':') {
            return Ok((route, address));
        }
        rest = after.strip_prefix(',').ok_or(AddressError::Syntax {
            offset: text.len(),
            expected: "a colon after the source route",
        })?;
    }
}

/// Place of the `>` that ends a path, quoted strings and literals skipped.
fn closing_bracket(text: &[u8]) -> Option<usize> {
    let mut octets = text.iter().enumerate();
    let mut quoted = false;
    let mut literal = false;
    while let Some((at, octet)) = octets.next() {
        match octet {
            b'\\' if quoted => {
                octets.next();
            }
            b'"' if !literal => quoted = !quoted,
            b'[' if !quoted => literal = true,
            b']' if !quoted => literal = false,
            b'>' if !quoted && !literal => return Some(at),
            _ => {}
        }
    }
    None
}

/// `a@b@c` as `a%b@c`; none for anything else.
fn percent_form(address: &str) -> Option<String> {
    let (before, domain) = address.rsplit_once('@')?;
    let several = before.contains('@') && before.chars().all(|c| is_atext(c) || ".@".contains(c));
    several.then(|| format!("{}@{domain}", before.replace('@', "%")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{forward_path, reverse_path};
    use super::*;

    fn forward(wire: &str) -> Result<String, AddressError> {
        Ok(ForwardPath::parse(wire.as_bytes())?.to_string())
    }

    #[test]
    fn paths_end_at_their_bracket() {
        let taken = ReversePath::take(b"<\"a> b\"@d> SIZE=1").unwrap();
        assert_eq!(taken.path.to_string(), "<\"a> b\"@d>");
        assert_eq!(taken.rest, b" SIZE=1");
        let taken = ReversePath::take(b"<>").unwrap();
        assert_eq!((taken.path, taken.rest), (ReversePath::Null, &b""[..]));
        let taken = ForwardPath::take(b"<a@[x:>]>").unwrap();
        assert_eq!(taken.path.to_string(), "<a@[x:>]>");
    }

    #[test]
    fn the_postmaster_needs_no_domain() {
        assert_eq!(
            ForwardPath::parse(b"<PostMaster>"),
            Ok(ForwardPath::Postmaster)
        );
        assert_eq!(forward("<user>"), Err(AddressError::MissingDomain));
        assert_eq!(
            ReversePath::parse(b"<postmaster>"),
            Err(AddressError::MissingDomain)
        );
        assert_eq!(forward("<>"), Err(AddressError::EmptyLocalPart));
    }

    #[test]
    fn source_routes_are_stripped_and_shown() {
        let taken = ForwardPath::take(b"<@a.example,@[IPv6:::1]:u@c.example>x").unwrap();
        assert_eq!(taken.path.to_string(), "<u@c.example>");
        let route: Vec<_> = taken.route.iter().map(Domain::as_str).collect();
        assert_eq!(route, ["a.example", "[IPv6:::1]"]);
        assert_eq!(taken.rest, b"x");
        for wire in [
            "<@a>",
            "<@a:>",
            "<@a,b:c@d>",
            "<@:c@d>",
            "<@a,:c@d>",
            "<@a:postmaster>",
        ] {
            assert!(forward(wire).is_err(), "{wire}");
        }
        assert!(ReversePath::parse(b"<@a:>").is_err());
    }

    #[test]
    fn several_at_signs_become_percent_signs() {
        assert_eq!(forward("<a@b@c.example>").unwrap(), "<a%b@c.example>");
        assert_eq!(forward("<a%x@b@c>").unwrap(), "<a%x%b@c>");
        assert!(ReversePath::parse(b"<a@b@c>").is_err());
        assert!(forward("<\"a\"@b@c>").is_err());
    }

    #[test]
    fn errors_give_the_place_in_the_input() {
        assert_eq!(forward("a@b"), Err(AddressError::NoBrackets));
        assert_eq!(forward("<a@b"), Err(AddressError::NoBrackets));
        assert_eq!(
            forward("<a\u{1}@b>"),
            Err(AddressError::Control { offset: 2 })
        );
        let place = |wire| match forward(wire) {
            Err(AddressError::Syntax { offset, .. }) => offset,
            other => panic!("{other:?}"),
        };
        assert_eq!(place("<a b@c>"), 2);
        assert_eq!(place("<a@b c>"), 4);
        assert_eq!(place("<@r:a b@c>"), 5);
        assert_eq!(place("<@r,s:a@c>"), 4);
        assert_eq!(place("<a@b>x"), 5);
    }

    #[test]
    fn a_path_is_256_octets_at_most() {
        let wire = |n| format!("<{}@example.com>", "a".repeat(n));
        assert!(forward(&wire(242)).is_ok());
        assert_eq!(forward(&wire(243)), Err(AddressError::PathTooLong));
    }

    #[test]
    fn double_bounces_are_known() {
        assert!(ReversePath::parse(b"<#@[]>").unwrap().is_double_bounce());
        assert!(!ReversePath::Null.is_double_bounce());
    }

    proptest! {
        #[test]
        fn what_is_printed_parses_to_the_same(reverse in reverse_path(), forward in forward_path()) {
            prop_assert_eq!(ReversePath::parse(reverse.to_string().as_bytes()), Ok(reverse));
            prop_assert_eq!(ForwardPath::parse(forward.to_string().as_bytes()), Ok(forward));
        }

        #[test]
        fn anything_parses_or_fails(text in "<[a\"\\\\ .@\\[\\]:,>é-]{0,20}> ?") {
            if let Ok(taken) = ForwardPath::take(text.as_bytes()) {
                prop_assert_eq!(ForwardPath::parse(taken.path.to_string().as_bytes()), Ok(taken.path));
            }
            if let Ok(taken) = ReversePath::take(text.as_bytes()) {
                prop_assert_eq!(ReversePath::parse(taken.path.to_string().as_bytes()), Ok(taken.path));
            }
        }
    }
}
