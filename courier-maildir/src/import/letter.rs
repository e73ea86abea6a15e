//! What an mbox file keeps of a message's state in its header.

use crate::flags::Flags;
use crate::keywords::Keyword;

/// State that is no part of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct State {
    /// Its flags.
    pub flags: Flags,
    /// Its keywords.
    pub keywords: Vec<Keyword>,
    /// It is no message: UW-IMAP and others keep their own state in a first one.
    pub internal: bool,
}

/// Takes the state out of the header of a text; the fields that carried it go with it.
pub fn take_state(text: &mut Vec<u8>) -> State {
    let mut state = State::default();
    let mut kept = Vec::with_capacity(text.len());
    let mut rest = text.as_slice();
    let mut taken = false;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let Some((line, after)) = rest.split_at_checked(end + 1) else {
            break;
        };
        if line == b"\n" {
            break;
        }
        rest = after;
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            taken = state.take(line);
        }
        if !taken {
            kept.extend_from_slice(line);
        }
    }
    if kept.len() + rest.len() < text.len() {
        kept.extend_from_slice(rest);
        *text = kept;
    }
    state
}

impl State {
    /// Reads a field; whether it is one of those that go.
    fn take(&mut self, line: &[u8]) -> bool {
        let Some(colon) = memchr::memchr(b':', line) else {
            return false;
        };
        let (name, value) = line.split_at_checked(colon).unwrap_or((line, &[]));
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        match name.to_ascii_lowercase().as_slice() {
            b"status" | b"x-status" => {
                for letter in value {
                    self.flags |= match letter {
                        b'R' => Flags::SEEN,
                        b'A' => Flags::REPLIED,
                        b'F' => Flags::FLAGGED,
                        b'T' => Flags::DRAFT,
                        b'D' => Flags::TRASHED,
                        _ => Flags::NONE,
                    };
                }
            }
            b"x-keywords" | b"x-mozilla-keys" => {
                let words = value.split(|octet| octet.is_ascii_whitespace() || *octet == b',');
                let words =
                    words.filter_map(|word| Keyword::parse(std::str::from_utf8(word).ok()?).ok());
                for word in words {
                    if !self.keywords.contains(&word) {
                        self.keywords.push(word);
                    }
                }
            }
            b"x-mozilla-status" => {
                let digits = std::str::from_utf8(value).unwrap_or_default();
                let bits = u32::from_str_radix(digits, 16).unwrap_or(0);
                for (bit, flag) in MOZILLA {
                    if bits & bit != 0 {
                        self.flags |= flag;
                    }
                }
            }
            b"x-imap" | b"x-imapbase" => self.internal |= name.len() == 6,
            b"x-uid" | b"x-mozilla-status2" | b"content-length" => {}
            _ => return false,
        }
        true
    }
}

const MOZILLA: [(u32, Flags); 5] = [
    (0x0001, Flags::SEEN),
    (0x0002, Flags::REPLIED),
    (0x0004, Flags::FLAGGED),
    (0x0008, Flags::TRASHED),
    (0x1000, Flags::PASSED),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(text: &str) -> (String, String, Vec<String>) {
        let mut octets = text.as_bytes().to_vec();
        let state = take_state(&mut octets);
        let words = state.keywords.iter().map(ToString::to_string);
        let text = String::from_utf8(octets).expect("text");
        (text, state.flags.to_string(), words.collect())
    }

    #[test]
    fn flags_and_keywords_leave_the_header() {
        let text = "A: b\nStatus: RO\nX-Status: AFT\nX-Keywords: work  $Label1\n  \nX-UID: 5\nC: d\n e\nContent-Length: 3\n\nStatus: x\n";
        let (text, flags, words) = taken(text);
        assert_eq!(text, "A: b\nC: d\n e\n\nStatus: x\n");
        assert_eq!(flags, "DFRS");
        assert_eq!(words, ["work", "$Label1"]);
        let (_, flags, words) = taken("X-Mozilla-Status: 1009\nX-Mozilla-Keys: a          \n\n");
        assert_eq!((flags.as_str(), words), ("PST", vec!["a".to_owned()]));
    }

    #[test]
    fn a_text_without_state_stays_as_it_is() {
        for text in ["", "\n", "A: b\n", "A: b", "A\n\nStatus: R\n", "Status"] {
            assert_eq!(taken(text), (text.into(), String::new(), vec![]), "{text}");
        }
    }

    #[test]
    fn the_message_in_which_programs_keep_their_state_is_told() {
        let mut text = b"X-IMAP: 1 2\nStatus: RO\n\n".to_vec();
        assert!(take_state(&mut text).internal);
        let mut text = b"X-IMAPbase: 1 2\nSubject: x\n\n".to_vec();
        assert!(!take_state(&mut text).internal);
    }
}
