//! Quotas as an administrator gives them.

/// Why a text is no quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a quota is a number of octets and S, of messages and C, or both: 10000000S,1000C")]
pub struct QuotaError;

/// Reads `nnnS,nnnC` in either order and gives it as maildirs hold it (maildir.md
/// section 6); of a kind that comes twice the last counts.
///
/// # Errors
/// If it is something else, or nothing.
pub fn parse_quota(text: &str) -> Result<String, QuotaError> {
    let (mut octets, mut messages) = (None, None);
    for part in text.split(',') {
        let number = part.get(..part.len().saturating_sub(1)).unwrap_or_default();
        if !number.bytes().all(|octet| octet.is_ascii_digit()) {
            return Err(QuotaError);
        }
        match part.as_bytes().last() {
            Some(b'S') => octets = Some(number.parse::<i64>().map_err(|_| QuotaError)?),
            Some(b'C') => messages = Some(number.parse::<i32>().map_err(|_| QuotaError)?),
            _ => return Err(QuotaError),
        }
    }
    let octets = octets.map(|octets| format!("{octets}S"));
    let messages = messages.map(|messages| format!("{messages}C"));
    let kinds: Vec<_> = octets.into_iter().chain(messages).collect();
    Ok(kinds.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_come_before_messages() {
        for (text, expected) in [
            ("10000000S", "10000000S"),
            ("1000C,10000000S", "10000000S,1000C"),
            ("10S,20S,3C", "20S,3C"),
            ("0S", "0S"),
        ] {
            assert_eq!(parse_quota(text).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_is_not_a_quota_is_refused() {
        for text in [
            "",
            ",",
            "10",
            "10M",
            "S",
            "-1S",
            "10s",
            "1S,",
            "+5S",
            "9999999999999999999S",
            "5\u{e9}",
        ] {
            assert_eq!(parse_quota(text), Err(QuotaError), "{text}");
        }
    }
}
