//! mbox files, and the sequences of MH, as files that anybody may have written.
//!
//! A file is taken apart alike in pieces of any size, no text is lost but lines
//! `From `, marks and empty lines, and what is written is read back.
#![expect(
    clippy::indexing_slicing,
    reason = "a fuzz body says by a panic what does not hold"
)]

use courier_maildir::import::letter::take_state;
use courier_maildir::import::mbox::{Event, Quoting, Splitter, print};
use courier_maildir::import::mh::Sequences;

/// Takes any file.
pub fn run(input: &[u8]) {
    let _ = Sequences::parse(input).flags(5);
    for quoting in [Quoting::Rd, Quoting::O, Quoting::None] {
        let whole = split(input, quoting, input.len().max(1));
        assert_eq!(split(input, quoting, 1), whole);
        assert_eq!(split(input, quoting, 7), whole);
        let length: usize = whole.iter().map(Vec::len).sum();
        assert!(length <= input.len() + 1);
    }
    let messages = split(input, Quoting::Rd, 100);
    let mut file = Vec::new();
    for message in &messages {
        file.extend(print("a@b", "Thu Jan  1 00:00:09 1970", message));
    }
    // A line that ended in two carriage returns still ends in one.
    let is_plain = |message: &Vec<u8>| !message.windows(2).any(|pair| pair == b"\r\n");
    if messages.iter().all(is_plain) {
        assert_eq!(split(&file, Quoting::Rd, 100), messages);
    }
    for message in messages {
        let mut text = message.clone();
        take_state(&mut text);
        assert!(text.len() <= message.len());
        let again = take_state(&mut text.clone());
        assert!(again.flags.is_empty() && again.keywords.is_empty());
        let body = message.windows(2).position(|pair| pair == b"\n\n");
        if let Some(body) = body {
            assert!(text.ends_with(&message[body + 1..]));
        }
    }
}

fn split(octets: &[u8], quoting: Quoting, size: usize) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    let mut offsets = Vec::new();
    let mut open = false;
    let mut show = |event: Event<'_>| match event {
        Event::Begin(start) => {
            assert!(!std::mem::replace(&mut open, true));
            offsets.push(start.offset);
            found.push(Vec::new());
        }
        Event::Text(text) => {
            assert!(open);
            if let Some(last) = found.last_mut() {
                last.extend_from_slice(text);
            }
        }
        Event::End => assert!(std::mem::replace(&mut open, false)),
    };
    let mut splitter = Splitter::new(quoting);
    for piece in octets.chunks(size) {
        splitter.feed(piece, &mut show);
    }
    splitter.finish(&mut show);
    assert!(!open);
    assert!(offsets.is_sorted_by(|a, b| a < b));
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_looks_like_an_mbox_is_read_right(
            text in "(From a Thu Jan  1 00:00:09 1970|>{0,2}From x|Status: RO|X-Keywords: a| b|\r?\n|\n){0,20}"
        ) {
            super::run(text.as_bytes());
        }

        #[test]
        fn noise_is_read_without_harm(data: Vec<u8>) {
            super::run(&data);
        }
    }
}
