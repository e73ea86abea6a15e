//! Values of settings: numbers, switches, ports and addresses.

use std::net::IpAddr;
use std::ops::RangeInclusive;

/// Why a value is not what its setting takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Not a number.
    #[error("expected a number, found {}", super::finding::quoted(.0))]
    Number(String),
    /// Too small or too large.
    #[error("expected a number from {least} to {most}, found {found}")]
    Range {
        /// What stands there.
        found: u64,
        /// The smallest that is possible.
        least: u64,
        /// The largest that is possible.
        most: u64,
    },
    /// Neither yes nor no.
    #[error("expected {expected}, found {}", super::finding::quoted(.found))]
    Switch {
        /// What stands there.
        found: String,
        /// `YES or NO`, or `0 or 1`.
        expected: &'static str,
    },
    /// Neither a port number nor the name of a mail service.
    #[error("expected a port from 1 to 65535 or a service such as smtp, found {}", super::finding::quoted(.0))]
    Port(String),
    /// No address.
    #[error("expected an IP address, or 0 for all, found {}", super::finding::quoted(.0))]
    Address(String),
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Switch {
    /// Yes, or 1.
    On,
    /// No, or 0.
    Off,
}

/// Where to listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bind {
    /// The address; `None` means every address of both families.
    pub address: Option<IpAddr>,
    /// The port, not 0.
    pub port: u16,
}

/// A number.
///
/// # Errors
/// If it is none, or out of range.
pub fn number(text: &str, range: RangeInclusive<u64>) -> Result<u64, ValueError> {
    let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    if !digits {
        return Err(ValueError::Number(text.to_owned()));
    }
    // A number that fits nowhere is as wrong as one that is out of range.
    let found = text.parse().unwrap_or(u64::MAX);
    match range.contains(&found) {
        true => Ok(found),
        false => Err(ValueError::Range {
            found,
            least: *range.start(),
            most: *range.end(),
        }),
    }
}

/// A switch of a start script: Courier takes what begins with `y` or `Y` as yes.
///
/// # Errors
/// If it is neither that, nor a no, nor empty.
pub fn yes_or_no(text: &str) -> Result<Switch, ValueError> {
    match text.as_bytes().first() {
        Some(b'y' | b'Y') => Ok(Switch::On),
        Some(b'n' | b'N') | None => Ok(Switch::Off),
        Some(_) => Err(ValueError::Switch {
            found: text.to_owned(),
            expected: "YES or NO",
        }),
    }
}

/// A switch of a server: a number, 0 or nothing for off.
///
/// # Errors
/// If it is no number.
pub fn flag(text: &str) -> Result<Switch, ValueError> {
    match text.is_empty() || text.bytes().all(|octet| octet == b'0') {
        true => Ok(Switch::Off),
        false if text.bytes().all(|octet| octet.is_ascii_digit()) => Ok(Switch::On),
        false => Err(ValueError::Switch {
            found: text.to_owned(),
            expected: "0 or 1",
        }),
    }
}

/// An address to listen on; `0` or nothing means all.
///
/// # Errors
/// If it is neither.
pub fn address(text: &str) -> Result<Option<IpAddr>, ValueError> {
    match text {
        "" | "0" => Ok(None),
        _ => match text.parse() {
            Ok(address) => Ok(Some(address)),
            Err(_) => Err(ValueError::Address(text.to_owned())),
        },
    }
}

/// A list of `port` or `ip.port`, separated by commas; a port alone goes with
/// `default`. What is listed twice is there once.
///
/// # Errors
/// If an entry is neither, or if there is none.
pub fn binds(text: &str, default: Option<IpAddr>) -> Result<Vec<Bind>, ValueError> {
    let mut binds = Vec::new();
    for entry in text.split(',').map(str::trim) {
        let bind = match entry.rsplit_once('.') {
            Some((ip, port)) => Bind {
                address: address(ip)?,
                port: port_of(port)?,
            },
            None => Bind {
                address: default,
                port: port_of(entry)?,
            },
        };
        if !binds.contains(&bind) {
            binds.push(bind);
        }
    }
    Ok(binds)
}

/// A port by number or by the name of its service.
fn port_of(text: &str) -> Result<u16, ValueError> {
    let known = SERVICES.iter().find(|(name, _)| *name == text);
    match (known, text.parse()) {
        (Some((_, port)), _) => Ok(*port),
        (None, Ok(port)) if port != 0 && !text.starts_with('+') => Ok(port),
        _ => Err(ValueError::Port(text.to_owned())),
    }
}

/// The names that `services(5)` has for mail.
const SERVICES: [(&str, u16); 11] = [
    ("smtp", 25),
    ("mail", 25),
    ("pop3", 110),
    ("pop-3", 110),
    ("imap", 143),
    ("imap2", 143),
    ("smtps", 465),
    ("submissions", 465),
    ("submission", 587),
    ("imaps", 993),
    ("pop3s", 995),
];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(binds: Result<Vec<Bind>, ValueError>) -> String {
        let tell = |bind: &Bind| match bind.address {
            Some(address) => format!("{address}#{}", bind.port),
            None => format!("*#{}", bind.port),
        };
        match binds {
            Ok(binds) => binds.iter().map(tell).collect::<Vec<_>>().join(" "),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn ports_may_bring_their_own_address() {
        let local = address("127.0.0.1").expect("an address");
        assert_eq!(told(binds("smtp", None)), "*#25");
        assert_eq!(told(binds("25, 587", local)), "127.0.0.1#25 127.0.0.1#587");
        assert_eq!(
            told(binds("192.0.2.1.993,143", None)),
            "192.0.2.1#993 *#143"
        );
        assert_eq!(
            told(binds("::1.imaps,0.25,25", local)),
            "::1#993 *#25 127.0.0.1#25"
        );
        assert_eq!(told(binds("25,25", None)), "*#25");
    }

    #[test]
    fn wrong_ports_are_told() {
        for text in ["", "0", "65536", "25,", "http", "-1", "+25", "25 587"] {
            let told = told(binds(text, None));
            assert!(
                told.starts_with("expected a port from 1 to 65535"),
                "{text}: {told}"
            );
        }
        for text in ["192.0.2.25", "mail.example.com.25"] {
            let told = told(binds(text, None));
            assert!(told.starts_with("expected an IP address"), "{text}: {told}");
        }
    }

    #[test]
    fn switches_are_those_of_couriers_scripts() {
        for (text, wanted) in [
            ("YES", Switch::On),
            ("y", Switch::On),
            ("NO", Switch::Off),
            ("", Switch::Off),
        ] {
            assert_eq!(yes_or_no(text), Ok(wanted), "{text}");
        }
        assert!(yes_or_no("1").is_err());
        for (text, wanted) in [
            ("1", Switch::On),
            ("0", Switch::Off),
            ("", Switch::Off),
            ("10", Switch::On),
        ] {
            assert_eq!(flag(text), Ok(wanted), "{text}");
        }
        assert!(flag("yes").is_err());
    }

    #[test]
    fn numbers_have_a_range() {
        assert_eq!(number("40", 1..=100), Ok(40));
        assert_eq!(number("100", 1..=100), Ok(100));
        assert_eq!(
            number("ten", 1..=100).map_err(|e| e.to_string()),
            Err("expected a number, found \"ten\"".to_owned())
        );
        for text in ["0", "101", "99999999999999999999999"] {
            assert!(
                matches!(number(text, 1..=100), Err(ValueError::Range { .. })),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_value_panics(text in "[0-9.,: a-f]{0,20}|\\PC{0,10}") {
            let _ = (number(&text, 0..=9), flag(&text), yes_or_no(&text), address(&text));
            for bind in binds(&text, None).unwrap_or_default() {
                prop_assert!(bind.port != 0);
            }
        }
    }
}
