//! What the journal keeps of the attempts to deliver to a recipient.

use courier_core::time::UnixSeconds;

/// The last attempt, as it is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Rounds made so far.
    pub(super) rounds: u32,
    /// When the last one ended.
    pub(super) at: UnixSeconds,
    /// What came of it, for people.
    pub(super) text: String,
}

impl Outcome {
    pub(super) fn encode(&self) -> Vec<u8> {
        format!("{} {} {}", self.rounds, self.at.0, self.text).into_bytes()
    }

    /// Reads a record; one that cannot be read counts as no attempt.
    pub(super) fn decode(octets: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(octets).ok()?;
        let mut words = text.splitn(3, ' ');
        Some(Self {
            rounds: words.next()?.parse().ok()?,
            at: UnixSeconds(words.next()?.parse().ok()?),
            text: words.next()?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_back_as_it_was_written() {
        let outcome = Outcome {
            rounds: 3,
            at: UnixSeconds(1_795_621_435),
            text: "cannot create /home/x y: no space left".to_owned(),
        };
        assert_eq!(Outcome::decode(&outcome.encode()), Some(outcome));
    }

    #[test]
    fn noise_is_no_attempt() {
        for noise in [&b""[..], b"3", b"3 4", b"x y z", b"\xff 1 a"] {
            assert_eq!(Outcome::decode(noise), None);
        }
    }
}
