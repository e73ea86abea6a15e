//! Names of message files: taken apart, compared, and made.
//!
//! `UNIQUE[,S=size][,W=size][:2,flags]`. Everything up to the colon is the *base*,
//! which a message keeps for life; the UID list and the keywords know it by that.
//! The size tokens spare a `stat` and a read: `S` counts the octets of the file, `W`
//! those that go over the wire, where each line ends in CRLF.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use courier_core::mta::journal::MessageId;

use crate::flags::Flags;

/// The name of a message file, taken apart without a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name<'a> {
    octets: &'a [u8],
    base: &'a [u8],
}

/// Why a directory entry is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Names with a leading dot are other programs' state.
    #[error("the name begins with a dot")]
    Hidden,
    /// Nothing stands in front of the colon.
    #[error("the name has no base")]
    NoBase,
    /// A line feed would tear the UID list and the keyword list, a slash or NUL is no
    /// part of a name.
    #[error("the name holds an octet that state files cannot carry")]
    Unlisted,
}

impl<'a> Name<'a> {
    /// Takes a name apart.
    ///
    /// # Errors
    /// When the entry is not a message, or cannot be listed as one.
    pub fn parse(octets: &'a [u8]) -> Result<Self, NameError> {
        if octets.first() == Some(&b'.') {
            return Err(NameError::Hidden);
        }
        if memchr::memchr3(b'\n', b'/', 0, octets).is_some() {
            return Err(NameError::Unlisted);
        }
        let base = match memchr::memrchr(b':', octets) {
            Some(colon) => octets.get(..colon).unwrap_or_default(),
            None => octets,
        };
        if base.is_empty() {
            return Err(NameError::NoBase);
        }
        Ok(Self { octets, base })
    }

    /// A name that was taken apart before.
    pub(crate) const fn of_parts(octets: &'a [u8], base: &'a [u8]) -> Self {
        Self { octets, base }
    }

    /// The whole name.
    #[must_use]
    pub const fn octets(self) -> &'a [u8] {
        self.octets
    }

    /// What stands before the last colon.
    #[must_use]
    pub const fn base(self) -> &'a [u8] {
        self.base
    }

    /// What stands after the last colon.
    #[must_use]
    pub fn info(self) -> Option<&'a [u8]> {
        self.octets.get(self.base.len() + 1..)
    }

    /// The flags, none for a name without `2,`.
    #[must_use]
    pub fn flags(self) -> Flags {
        self.info()
            .and_then(|info| info.strip_prefix(b"2,"))
            .map_or(Flags::NONE, |info| Flags::parse(split_flags(info).0))
    }

    /// Octets of the file, from the `S=` token nearest to the colon; a token without
    /// digits says 0, as Courier reads it.
    #[must_use]
    pub fn size(self) -> Option<u64> {
        self.token(b",S=")
    }

    /// Octets on the wire, from the `W=` token.
    #[must_use]
    pub fn wire_size(self) -> Option<u64> {
        self.token(b",W=")
    }

    fn token(self, mark: &[u8; 3]) -> Option<u64> {
        let end = memchr::memchr(b':', self.base).unwrap_or(self.base.len());
        let mut text = self.base.get(..end)?;
        loop {
            let (before, token) = text.split_at_checked(memchr::memrchr(b',', text)?)?;
            if let Some(digits) = token.strip_prefix(mark) {
                return parse_digits(digits);
            }
            text = before;
        }
    }

    /// What makes it the same message under a changed name.
    #[must_use]
    pub const fn key(self) -> Key<'a> {
        Key(self.base)
    }

    /// The same name with other flags. Octets behind `2,` that are no letters, and
    /// what follows a comma there, stay.
    #[must_use]
    pub fn with_flags(self, flags: Flags) -> Vec<u8> {
        let kept = self.info().and_then(|info| info.strip_prefix(b"2,"));
        let (old, rest) = split_flags(kept.unwrap_or_default());
        let mut name = Vec::with_capacity(self.octets.len() + 8);
        name.extend_from_slice(self.base);
        name.extend_from_slice(b":2,");
        name.extend(flags.letters());
        name.extend(old.iter().filter(|octet| !octet.is_ascii_alphabetic()));
        name.extend_from_slice(rest);
        name
    }

    /// The name in `cur` of a file that was found in `new`: `:2,` is added unless
    /// there is a colon.
    #[must_use]
    pub fn in_cur(self) -> Cow<'a, [u8]> {
        if memchr::memchr(b':', self.octets).is_some() {
            return Cow::Borrowed(self.octets);
        }
        let mut name = self.octets.to_vec();
        name.extend_from_slice(b":2,");
        Cow::Owned(name)
    }

    /// The number at the front, by which messages are ordered first.
    pub(crate) fn arrival(self) -> u64 {
        parse_digits(self.base).unwrap_or(u64::MAX)
    }

    /// The order in which messages that are seen for the first time get their UIDs:
    /// by the number at the front, then by the octets of the base.
    #[must_use]
    pub fn arrival_order(self, other: Self) -> Ordering {
        self.arrival()
            .cmp(&other.arrival())
            .then_with(|| self.base.cmp(other.base))
    }
}

/// The number at the front; 0 without a digit, nothing beyond 64 bits.
fn parse_digits(text: &[u8]) -> Option<u64> {
    let mut digits = text
        .iter()
        .map_while(|octet| char::from(*octet).to_digit(10));
    digits.try_fold(0_u64, |sum, digit| {
        sum.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// The letters, and what follows them from the next comma on.
fn split_flags(info: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b',', info).unwrap_or(info.len());
    info.split_at_checked(end).unwrap_or((info, &[]))
}

/// A base without its size tokens: two names with the same key are one message.
/// Programs add and correct the tokens, so they cannot tell messages apart.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a>(&'a [u8]);

impl<'a> Key<'a> {
    /// The key of a base that a state file remembers.
    #[must_use]
    pub const fn of_base(base: &'a [u8]) -> Self {
        Self(base)
    }

    /// What is compared: the text between commas, size tokens left out.
    fn parts(self) -> impl Iterator<Item = &'a [u8]> {
        let (first, mut rest) = match memchr::memchr(b',', self.0) {
            Some(comma) => self.0.split_at_checked(comma).unwrap_or((self.0, &[])),
            None => (self.0, [].as_slice()),
        };
        let tokens = std::iter::from_fn(move || {
            let token = rest.strip_prefix(b",")?;
            let end = memchr::memchr(b',', token).unwrap_or(token.len());
            let (token, after) = token.split_at_checked(end)?;
            rest = after;
            Some(token)
        });
        std::iter::once(first).chain(tokens.filter(|token| !is_size(token)))
    }

    /// A hash by which equal keys meet; the same in every run. Who chooses names may make
    /// them meet as well, and slows down his own folder.
    #[must_use]
    pub fn fingerprint(self) -> u64 {
        self.parts().fold(SEED, absorb)
    }
}

/// A hash of octets, for caches: the same in every run.
pub(crate) fn hash(octets: &[u8]) -> u64 {
    absorb(SEED, octets)
}

/// Takes a part into a hash, sixteen octets at a time.
fn absorb(mut hash: u64, part: &[u8]) -> u64 {
    let halves = |octets: &[u8; 16]| {
        let whole = u128::from_le_bytes(*octets);
        #[expect(clippy::cast_possible_truncation, reason = "each half is taken")]
        let halves = (whole as u64, (whole >> 64) as u64);
        halves
    };
    let mut rest = part;
    while let Some((chunk, after)) = rest.split_first_chunk::<16>() {
        let (a, b) = halves(chunk);
        hash = fold(a ^ hash, b ^ FIRST);
        rest = after;
    }
    let mut last = [0; 16];
    if let Some(front) = last.get_mut(..rest.len()) {
        front.copy_from_slice(rest);
    }
    let (a, b) = halves(&last);
    fold(a ^ hash, b ^ SECOND ^ part.len() as u64)
}

/// The halves of the product, one over the other.
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    #[expect(clippy::cast_possible_truncation, reason = "each half is taken")]
    let (low, high) = (product as u64, (product >> 64) as u64);
    low ^ high
}

// Digits of pi: any odd numbers without a pattern do.
const SEED: u64 = 0x243f_6a88_85a3_08d3;
const FIRST: u64 = 0x1319_8a2e_0370_7345;
const SECOND: u64 = 0xa409_3822_299f_31d1;

fn is_size(token: &[u8]) -> bool {
    matches!(token, [b'S' | b'W', b'=', digits @ ..]
        if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
}

impl Hash for Key<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for part in self.parts() {
            state.write(part);
            state.write_u8(b',');
        }
    }
}

impl PartialEq for Key<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.parts().eq(other.parts())
    }
}

impl Eq for Key<'_> {}

/// A host's name in the form that file names carry: `/`, `:`, `,` and whatever is not
/// printable ASCII are written as `\` and three octal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostName(String);

impl HostName {
    /// Escapes a host's name; an empty one becomes `localhost`, one beyond 64 octets
    /// is cut.
    #[must_use]
    pub fn new(host: &str) -> Self {
        let mut name = String::new();
        for octet in host.bytes() {
            match octet {
                b'/' | b':' | b',' | 0..=b' ' | 0x7f.. => {
                    name.push_str(&format!("\\{octet:03o}"));
                }
                _ => name.push(char::from(octet)),
            }
        }
        name.truncate(64);
        Self(if name.is_empty() {
            "localhost".to_owned()
        } else {
            name
        })
    }

    /// The escaped form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What makes a name unlike any other: the second and microsecond, and a number that
/// its maker gives only once.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UniqueName {
    /// Seconds since 1970.
    pub seconds: u64,
    /// Microseconds within the second.
    pub micros: u32,
    /// Who made it.
    pub maker: Maker,
    /// On which host.
    pub host: HostName,
}

/// Who made a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Maker {
    /// A process, with the number of the name among all that it made.
    Process {
        /// Process id.
        id: u32,
        /// How many names it had made before.
        count: u64,
    },
    /// A message in the spool journal, for one of its recipients. The time is that of
    /// its arrival, so a delivery that is repeated makes the same name.
    Journal {
        /// The message.
        message: MessageId,
        /// The recipient's number in the envelope.
        recipient: u32,
    },
}

impl fmt::Display for UniqueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Padded, so that the order of octets is the order of time.
        write!(f, "{}.M{:06}", self.seconds, self.micros)?;
        match self.maker {
            Maker::Process { id, count } => write!(f, "P{id}Q{count}")?,
            Maker::Journal { message, recipient } => write!(f, "J{:x}R{recipient}", message.0)?,
        }
        write!(f, ".{}", self.host.as_str())
    }
}

impl UniqueName {
    /// Reads back what [`Display`](fmt::Display) writes; a base may be given whole.
    /// Other makers' names give nothing.
    #[must_use]
    pub fn parse(base: &[u8]) -> Option<Self> {
        let end = memchr::memchr2(b',', b':', base).unwrap_or(base.len());
        let text = std::str::from_utf8(base.get(..end)?).ok()?;
        let (seconds, text) = text.split_once(".M")?;
        let (middle, host) = text.split_once('.')?;
        let (micros, maker) = middle.split_at_checked(6)?;
        let maker = if let Some(process) = maker.strip_prefix('P') {
            let (id, count) = process.split_once('Q')?;
            Maker::Process {
                id: id.parse().ok()?,
                count: count.parse().ok()?,
            }
        } else {
            let (message, recipient) = maker.strip_prefix('J')?.split_once('R')?;
            Maker::Journal {
                message: MessageId(u64::from_str_radix(message, 16).ok()?),
                recipient: recipient.parse().ok()?,
            }
        };
        let name = Self {
            seconds: seconds.parse().ok()?,
            micros: micros.parse().ok()?,
            maker,
            host: HostName(host.to_owned()),
        };
        // `+1`, `007` and upper-case digits are read too, but are not ours.
        (name.to_string().as_bytes() == base.get(..end)?).then_some(name)
    }

    /// The base of a message of this size.
    #[must_use]
    pub fn base(&self, sizes: Sizes) -> String {
        let mut base = self.to_string();
        base.push_str(&format!(",S={}", sizes.file));
        if let Some(wire) = sizes.wire {
            base.push_str(&format!(",W={wire}"));
        }
        base
    }
}

/// A message's size in octets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Sizes {
    /// Of the file.
    pub file: u64,
    /// Of the text with CRLF at the end of each line, if known, and if the last line
    /// has an end.
    pub wire: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(text: &str) -> Name<'_> {
        Name::parse(text.as_bytes()).expect("a name")
    }

    #[test]
    fn the_size_token_nearest_to_the_colon_counts() {
        assert_eq!(name("x,S=500,S=7:2,S").size(), Some(7));
        assert_eq!(name("x,S=500,W=510:2,").wire_size(), Some(510));
        assert_eq!(name("x,W=510,S=500:2,").size(), Some(500));
        assert_eq!(name("x:2,,S=9").size(), None);
        assert_eq!(
            name("a:1,S=3:2,").size(),
            None,
            "only before the first colon"
        );
        assert_eq!(name("x,S=:2,").size(), Some(0));
        assert_eq!(name("x,S=99999999999999999999").size(), None);
        assert_eq!(name("x").size(), None);
    }

    #[test]
    fn a_changed_size_or_flag_leaves_the_key() {
        let key = |text| name(text).key();
        assert_eq!(key("x,S=5:2,S"), key("x"));
        assert_eq!(key("x,S=5,W=6:2,"), key("x,S=7"));
        assert_eq!(key("x,U=5,S=1,FMD5=a"), key("x,U=5,FMD5=a,W=2:2,T"));
        assert_ne!(key("x,U=5"), key("x,U=6"));
        assert_ne!(
            key("x,S="),
            key("x"),
            "a token without digits is part of the name"
        );
        assert_ne!(key("x,S=5y"), key("x"));
        assert_ne!(key("xy"), key("x,y"));
    }

    #[test]
    fn foreign_flags_survive_a_change() {
        let changed = |text, flags: &str| {
            let name = name(text);
            String::from_utf8(name.with_flags(name.flags() | Flags::parse(flags.as_bytes())))
                .expect("ascii")
        };
        assert_eq!(changed("x:2,PSab", "F"), "x:2,FPSab");
        assert_eq!(changed("x:2,S,rest", "D"), "x:2,DS,rest");
        assert_eq!(changed("x:2,S1", "D"), "x:2,DS1");
        assert_eq!(changed("x", "S"), "x:2,S");
        assert_eq!(changed("x:1,mine", "S"), "x:2,S");
    }

    #[test]
    fn an_entry_that_no_list_can_carry_is_told_apart() {
        assert_eq!(Name::parse(b".x"), Err(NameError::Hidden));
        assert_eq!(Name::parse(b""), Err(NameError::NoBase));
        assert_eq!(Name::parse(b":2,S"), Err(NameError::NoBase));
        assert_eq!(Name::parse(b"a\nb"), Err(NameError::Unlisted));
        assert_eq!(name("a:b:2,S").base(), b"a:b");
    }

    #[test]
    fn messages_are_ordered_by_arrival() {
        let mut names = ["10.b", "9.z", "10.a", "x", "99999999999999999999999.a"];
        names.sort_by(|a, b| name(a).arrival_order(name(b)));
        assert_eq!(
            names,
            ["x", "9.z", "10.a", "10.b", "99999999999999999999999.a"]
        );
    }

    #[test]
    fn names_from_the_journal_are_the_same_each_time() {
        let made = UniqueName {
            seconds: 1_795_413_577,
            micros: 8_947,
            maker: Maker::Journal {
                message: MessageId(0x2a),
                recipient: 3,
            },
            host: HostName::new("mx/1:a"),
        };
        let base = made.base(Sizes {
            file: 120,
            wire: Some(125),
        });
        assert_eq!(base, r"1795413577.M008947J2aR3.mx\0571\072a,S=120,W=125");
        assert_eq!(UniqueName::parse(base.as_bytes()), Some(made));
        assert_eq!(
            UniqueName::parse(b"1795413577.M208947P4952V0I1.host,S=3"),
            None
        );
    }

    proptest! {
        #[test]
        fn any_name_keeps_its_base_and_what_is_no_flag(octets: Vec<u8>, flags: Vec<u8>) {
            if let Ok(name) = Name::parse(&octets) {
                let flags = Flags::parse(&flags);
                let changed = name.with_flags(flags);
                let changed = Name::parse(&changed).expect("still a name");
                prop_assert_eq!(changed.flags(), flags);
                prop_assert_eq!(changed.base(), name.base());
                prop_assert_eq!(changed.size(), name.size());
                prop_assert_eq!(changed.with_flags(Flags::NONE), name.with_flags(Flags::NONE));
            }
        }

        #[test]
        fn equal_keys_have_equal_fingerprints(
            a in "[ab]{0,2}(,[SWU]=[0-9]{0,1}){0,3}", b in "[ab]{0,2}(,[SWU]=[0-9]{0,1}){0,3}",
        ) {
            let (a, b) = (Key::of_base(a.as_bytes()), Key::of_base(b.as_bytes()));
            if a == b {
                prop_assert_eq!(a.fingerprint(), b.fingerprint());
            }
        }

        #[test]
        fn unique_names_are_read_back(
            seconds: u64, micros in 0_u32..1_000_000, a: u64, b: u32, journal: bool, host: String,
        ) {
            let maker = if journal {
                Maker::Journal { message: MessageId(a), recipient: b }
            } else {
                Maker::Process { id: b, count: a }
            };
            let made = UniqueName { seconds, micros, maker, host: HostName::new(&host) };
            let base = made.base(Sizes { file: a, wire: Some(a) });
            let name = Name::parse(base.as_bytes()).expect("a name");
            prop_assert_eq!((name.size(), name.wire_size()), (Some(a), Some(a)));
            prop_assert_eq!(name.info(), None);
            prop_assert_eq!(UniqueName::parse(base.as_bytes()), Some(made));
        }
    }
}
