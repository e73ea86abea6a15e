//! Certificates themselves: making one of our own, and how long one is good.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use courier_core::message::date::Date;
use courier_core::time::UnixSeconds;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls_pki_types::CertificateDer;

/// A certificate that signs itself, and its key, both in PEM.
#[derive(Debug)]
pub struct SelfSigned {
    /// The certificate: what a client must be told to trust.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// Makes a certificate for this host, `localhost`, and the loopback addresses, good
/// for 820 days: some clients trust none that lasts longer than 825.
///
/// It is no authority's certificate. Clients that check strictly (webpki) take no
/// authority for a server, and all of them take as trusted what they were told to,
/// whatever it is; so one certificate can be both.
///
/// # Errors
/// If the host's name cannot stand in a certificate.
pub fn self_signed(host: &str, now: UnixSeconds) -> Result<SelfSigned, rcgen::Error> {
    let mut names = vec![host.to_owned()];
    if host != "localhost" {
        names.push("localhost".to_owned());
    }
    let mut params = CertificateParams::new(names)?;
    let loopback = [
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ];
    params
        .subject_alt_names
        .extend(loopback.map(SanType::IpAddress));
    params.distinguished_name = DistinguishedName::new();
    // X.520: a common name has 64 characters at most.
    let common: String = host.chars().take(64).collect();
    params.distinguished_name.push(DnType::CommonName, common);
    let day = |time| {
        let date = Date::of(UnixSeconds(time));
        rcgen::date_time_ymd(date.year(), date.month(), date.day())
    };
    // A day back, for clients whose clock is behind.
    params.not_before = day(now.0 - DAY);
    params.not_after = day(now.0 + 820 * DAY);
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok(SelfSigned {
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

/// From when to when a certificate is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Its first second.
    pub start: UnixSeconds,
    /// Its last second.
    pub end: UnixSeconds,
}

/// Reads from when to when a certificate is good (RFC 5280 §4.1.2.5); `None` if it
/// does not say so in the form it must.
#[must_use]
pub fn validity(certificate: &CertificateDer<'_>) -> Option<Validity> {
    let (tag, whole, _) = element(certificate)?;
    let (tag_of_body, mut body, _) = element(whole)?;
    if (tag, tag_of_body) != (SEQUENCE, SEQUENCE) {
        return None;
    }
    if body.first() == Some(&EXPLICIT_VERSION) {
        body = element(body)?.2;
    }
    for _ in ["serial number", "signature algorithm", "issuer"] {
        body = element(body)?.2;
    }
    let (_, times, _) = element(body)?;
    let (tag, start, rest) = element(times)?;
    let start = time(tag, start)?;
    let (tag, end, _) = element(rest)?;
    let end = time(tag, end)?;
    Some(Validity { start, end })
}

/// The first DER element: its tag, its contents, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x83 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let fold = |length, &octet| length << 8 | usize::from(octet);
            (octets.iter().fold(0, fold), rest)
        }
        _ => return None,
    };
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn time(tag: u8, text: &[u8]) -> Option<UnixSeconds> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (century, text) = match tag {
        UTC_TIME => (None, text),
        GENERALIZED_TIME => (Some(text.get(..2)?), text.get(2..)?),
        _ => return None,
    };
    if text.len() != 12 || !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let number = |text: &str| text.parse::<i64>().ok();
    let part = |at: usize| number(text.get(at..at + 2)?);
    let year = match (century, part(0)?) {
        (Some(century), year) => number(century)? * 100 + year,
        (None, year @ 50..) => 1900 + year,
        (None, year) => 2000 + year,
    };
    let small = |number: i64| u8::try_from(number).ok();
    let day = Date::new(
        i32::try_from(year).ok()?,
        small(part(2)?)?,
        small(part(4)?)?,
    )?;
    let seconds = part(6)? * 3600 + part(8)? * 60 + part(10)?;
    Some(UnixSeconds(day.midnight().0 + seconds))
}

const DAY: i64 = 86_400;
const SEQUENCE: u8 = 0x30;
const EXPLICIT_VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rustls_pki_types::pem::PemObject;

    fn made(host: &str) -> CertificateDer<'static> {
        let made = self_signed(host, UnixSeconds(1_700_000_000)).expect("made");
        CertificateDer::from_pem_slice(made.certificate.as_bytes()).expect("a certificate")
    }

    #[test]
    fn a_certificate_says_how_long_it_is_good() {
        // 2023-11-14T22:13:20Z, cut to whole days.
        let midnight = 1_700_000_000 - 1_700_000_000 % DAY;
        let expected = Validity {
            start: UnixSeconds(midnight - DAY),
            end: UnixSeconds(midnight + 820 * DAY),
        };
        assert_eq!(validity(&made("mail.example.com")), Some(expected));
    }

    #[test]
    fn any_host_name_will_do() {
        for host in [
            "localhost",
            "xn--mnchen-3ya.example",
            &format!("{}.example", "a".repeat(60)),
        ] {
            assert!(self_signed(host, UnixSeconds(0)).is_ok(), "{host}");
        }
        assert!(self_signed("m\u{fc}nchen.example", UnixSeconds(0)).is_err());
    }

    #[test]
    fn both_kinds_of_time_are_read() {
        let year_2050 = Some(UnixSeconds(2_524_608_000));
        assert_eq!(time(GENERALIZED_TIME, b"20500101000000Z"), year_2050);
        assert_eq!(
            time(UTC_TIME, b"491231235959Z"),
            Some(UnixSeconds(2_524_607_999))
        );
        assert_eq!(time(UTC_TIME, b"700101000001Z"), Some(UnixSeconds(1)));
        assert_eq!(
            time(UTC_TIME, b"690101000000Z"),
            Some(UnixSeconds(-365 * DAY))
        );
        for text in [
            &b"20500101000000"[..],
            b"20501301000000Z",
            b"2050010100000\xc3Z",
            b"",
        ] {
            assert_eq!(time(GENERALIZED_TIME, text), None);
        }
    }

    proptest! {
        #[test]
        fn no_octets_panic(octets: Vec<u8>, at in 0_usize..400, octet: u8) {
            let _ = validity(&CertificateDer::from(octets));
            let mut broken = made("localhost").to_vec();
            let at = at % broken.len();
            broken[at] = octet;
            let _ = validity(&CertificateDer::from(broken));
        }
    }
}
