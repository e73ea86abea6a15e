//! The octets of a file: sparse, and cheap to copy.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

const PAGE: usize = 4096;
const PAGE_LENGTH: u64 = 4096;

/// A file's contents in pages; a page that was never written is zeroes.
#[derive(Debug, Clone, Default)]
pub(super) struct Pages {
    length: u64,
    pages: BTreeMap<u64, Arc<[u8; PAGE]>>,
}

impl Pages {
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Writes at an offset; a gap before it reads as zeroes.
    pub(super) fn write(&mut self, offset: u64, octets: &[u8]) {
        let mut at = offset;
        let mut rest = octets;
        while !rest.is_empty() {
            let (page, start) = place(at);
            let (now, later) = rest.split_at(rest.len().min(PAGE - start));
            let target = self
                .pages
                .entry(page)
                .or_insert_with(|| Arc::new([0; PAGE]));
            if let Some(slice) = Arc::make_mut(target).get_mut(start..start + now.len()) {
                slice.copy_from_slice(now);
            }
            at += now.len() as u64;
            rest = later;
        }
        self.length = self.length.max(at);
    }

    /// Cuts, or extends with zeroes.
    pub(super) fn set_length(&mut self, length: u64) {
        if length < self.length {
            let (page, start) = place(length);
            self.pages.split_off(&(page + u64::from(start > 0))).clear();
            if start > 0
                && let Some(last) = self.pages.get_mut(&page)
                && let Some(slice) = Arc::make_mut(last).get_mut(start..)
            {
                slice.fill(0);
            }
        }
        self.length = length;
    }

    /// The octets of a range, as far as the file goes.
    pub(super) fn read(&self, range: Range<u64>) -> Vec<u8> {
        let end = range.end.min(self.length);
        let wanted = usize::try_from(end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let mut octets = Vec::with_capacity(wanted);
        while octets.len() < wanted {
            let (page, start) = place(range.start + octets.len() as u64);
            let now = (PAGE - start).min(wanted - octets.len());
            let stored = self.pages.get(&page);
            match stored.and_then(|page| page.get(start..start + now)) {
                Some(slice) => octets.extend_from_slice(slice),
                None => octets.resize(octets.len() + now, 0),
            }
        }
        octets
    }
}

/// The page of an offset, and the place in it.
fn place(offset: u64) -> (u64, usize) {
    let start = usize::try_from(offset % PAGE_LENGTH).unwrap_or(0);
    (offset / PAGE_LENGTH, start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Edit {
        Write(u16, Vec<u8>),
        Length(u16),
    }

    fn edit() -> impl Strategy<Value = Edit> {
        prop_oneof![
            (0..10_000u16, prop::collection::vec(1..255u8, 0..6000))
                .prop_map(|(at, octets)| Edit::Write(at, octets)),
            (0..12_000u16).prop_map(Edit::Length),
        ]
    }

    proptest! {
        #[test]
        fn pages_hold_what_a_vector_would(edits in prop::collection::vec(edit(), 0..12)) {
            let (mut pages, mut plain) = (Pages::default(), Vec::new());
            for edit in edits {
                match edit {
                    Edit::Write(at, octets) => {
                        pages.write(at.into(), &octets);
                        let (at, end) = (usize::from(at), usize::from(at) + octets.len());
                        if !octets.is_empty() {
                            plain.resize(plain.len().max(end), 0);
                            plain[at..end].copy_from_slice(&octets);
                        } else {
                            plain.resize(plain.len().max(at), 0);
                        }
                    }
                    Edit::Length(length) => {
                        pages.set_length(length.into());
                        plain.resize(length.into(), 0);
                    }
                }
                prop_assert_eq!(pages.length(), plain.len() as u64);
                prop_assert_eq!(&pages.read(0..u64::MAX), &plain);
                let middle = plain.len().min(5000)..plain.len().min(9000);
                prop_assert_eq!(pages.read(5000..9000), &plain[middle]);
            }
        }
    }

    #[test]
    fn a_sparse_file_costs_nothing() {
        let mut pages = Pages::default();
        pages.set_length(1 << 40);
        pages.write(1 << 39, b"x");
        assert_eq!(pages.read((1 << 39) - 1..(1 << 39) + 2), b"\0x\0");
        assert_eq!(pages.pages.len(), 1);
    }
}
