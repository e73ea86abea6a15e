//! The checksum of records: XXH64, which runs at memory speed without tables and
//! takes a seed, so that nobody who does not know it can make a valid sum.

const PRIME_1: u64 = 0x9E37_79B1_85EB_CA87;
const PRIME_2: u64 = 0xC2B2_AE3D_27D4_EB4F;
const PRIME_3: u64 = 0x1656_67B1_9E37_79F9;
const PRIME_4: u64 = 0x85EB_CA77_C2B2_AE63;
const PRIME_5: u64 = 0x27D4_EB2F_1656_67C5;

/// Octets that are mixed at once.
const BLOCK: usize = 32;

/// A sum over octets that come in pieces.
#[derive(Debug, Clone)]
pub(super) struct Checksum {
    seed: u64,
    lanes: [u64; 4],
    /// What does not fill a block yet.
    rest: [u8; BLOCK],
    rest_length: usize,
    length: u64,
}

impl Checksum {
    pub(super) fn new(seed: u64) -> Self {
        let lanes = [
            seed.wrapping_add(PRIME_1).wrapping_add(PRIME_2),
            seed.wrapping_add(PRIME_2),
            seed,
            seed.wrapping_sub(PRIME_1),
        ];
        Self {
            seed,
            lanes,
            rest: [0; BLOCK],
            rest_length: 0,
            length: 0,
        }
    }

    /// The sum of octets that are all there.
    pub(super) fn of(seed: u64, octets: &[u8]) -> u64 {
        let mut sum = Self::new(seed);
        sum.add(octets);
        sum.value()
    }

    pub(super) fn add(&mut self, mut octets: &[u8]) {
        self.length += octets.len() as u64;
        if self.rest_length > 0 {
            let missing = octets.len().min(BLOCK - self.rest_length);
            let (now, later) = octets.split_at(missing);
            self.keep(now);
            octets = later;
            if self.rest_length < BLOCK {
                return;
            }
            self.rest_length = 0;
            mix(&mut self.lanes, &self.rest);
        }
        let (blocks, rest) = octets.as_chunks::<BLOCK>();
        let mut lanes = self.lanes;
        for block in blocks {
            mix(&mut lanes, block);
        }
        self.lanes = lanes;
        self.keep(rest);
    }

    /// Keeps octets for a later block; there is room for them.
    fn keep(&mut self, octets: &[u8]) {
        let end = self.rest_length + octets.len();
        if let Some(room) = self.rest.get_mut(self.rest_length..end) {
            room.copy_from_slice(octets);
            self.rest_length = end;
        }
    }

    pub(super) fn value(&self) -> u64 {
        let mut sum = if self.length >= BLOCK as u64 {
            let turns = [1, 7, 12, 18];
            let turned = self.lanes.iter().zip(turns);
            let sum = turned.fold(0_u64, |sum, (lane, by)| {
                sum.wrapping_add(lane.rotate_left(by))
            });
            self.lanes.iter().fold(sum, |sum, &lane| {
                (sum ^ round(0, lane))
                    .wrapping_mul(PRIME_1)
                    .wrapping_add(PRIME_4)
            })
        } else {
            self.seed.wrapping_add(PRIME_5)
        };
        sum = sum.wrapping_add(self.length);
        let rest = self.rest.get(..self.rest_length).unwrap_or_default();
        let (words, rest) = rest.as_chunks::<8>();
        for word in words {
            sum ^= round(0, u64::from_le_bytes(*word));
            sum = sum
                .rotate_left(27)
                .wrapping_mul(PRIME_1)
                .wrapping_add(PRIME_4);
        }
        let (halves, rest) = rest.as_chunks::<4>();
        for half in halves {
            sum ^= u64::from(u32::from_le_bytes(*half)).wrapping_mul(PRIME_1);
            sum = sum
                .rotate_left(23)
                .wrapping_mul(PRIME_2)
                .wrapping_add(PRIME_3);
        }
        for &octet in rest {
            sum ^= u64::from(octet).wrapping_mul(PRIME_5);
            sum = sum.rotate_left(11).wrapping_mul(PRIME_1);
        }
        sum = (sum ^ (sum >> 33)).wrapping_mul(PRIME_2);
        sum = (sum ^ (sum >> 29)).wrapping_mul(PRIME_3);
        sum ^ (sum >> 32)
    }
}

fn round(lane: u64, word: u64) -> u64 {
    let lane = lane.wrapping_add(word.wrapping_mul(PRIME_2));
    lane.rotate_left(31).wrapping_mul(PRIME_1)
}

fn mix(lanes: &mut [u64; 4], block: &[u8; BLOCK]) {
    for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<8>().0) {
        *lane = round(*lane, u64::from_le_bytes(*word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_answers() {
        assert_eq!(Checksum::of(0, b""), 0xEF46_DB37_51D8_E999);
        assert_eq!(Checksum::of(0, b"a"), 0xD24E_C4F1_A98C_6E5B);
        assert_eq!(Checksum::of(0, b"abc"), 0x44BC_2CF5_AD77_0999);
        let text = b"Nobody inspects the spammish repetition";
        assert_eq!(Checksum::of(0, text), 0xFBCE_A83C_8A37_8BF1);
        assert_ne!(Checksum::of(1, text), Checksum::of(2, text));
    }

    proptest! {
        #[test]
        fn pieces_sum_as_the_whole(octets: Vec<u8>, cuts: Vec<usize>, seed: u64) {
            let mut sum = Checksum::new(seed);
            let mut rest = octets.as_slice();
            for cut in cuts {
                let (now, later) = rest.split_at(cut % (rest.len() + 1));
                sum.add(now);
                rest = later;
            }
            sum.add(rest);
            prop_assert_eq!(sum.value(), Checksum::of(seed, &octets));
        }
    }
}
