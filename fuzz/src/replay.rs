//! Running a target without a fuzzer: its corpus, then mutations from a seed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Target;

/// Runs a target over its corpus and over `rounds` inputs made from it by a fixed
/// seed. A failure names the input; the round is repeatable.
///
/// # Panics
/// If the corpus is missing or empty: a target without a corpus tests little.
pub fn replay((name, body): Target, rounds: usize) {
    let corpus = corpus(name);
    assert!(!corpus.is_empty(), "fuzz/corpus/{name} is empty");
    for (path, input) in &corpus {
        println!("{}", path.display());
        body(input);
    }
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..rounds {
        let input = random.mutated(&corpus);
        let shown = input.get(..200).unwrap_or(&input);
        println!("{name}, round {round}: {}", shown.escape_ascii());
        body(&input);
    }
}

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut corpus: Vec<_> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.path(), fs::read(entry.path()).ok()?)))
        .collect();
    corpus.sort();
    corpus
}

/// A small generator (xorshift64*): the same inputs on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap_or(0)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.next() % limit.max(1)
    }

    fn of<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        choices.get(self.below(choices.len()))
    }

    /// A piece of these octets, at most so long.
    fn piece<'a>(&mut self, octets: &'a [u8], most: usize) -> &'a [u8] {
        let (_, rest) = octets.split_at(self.below(octets.len() + 1));
        rest.split_at(self.below(rest.len() + 1).min(most)).0
    }

    /// An input of the corpus with a few octets changed, cut, doubled or mixed in.
    fn mutated(&mut self, corpus: &[(PathBuf, Vec<u8>)]) -> Vec<u8> {
        let start = self.of(corpus).map(|(_, octets)| octets.clone());
        let mut input = start.unwrap_or_default();
        for _ in 0..=self.below(8) {
            let at = self.below(input.len() + 1);
            match self.below(6) {
                0 => input.truncate(at),
                1 => {
                    let special = self.of(SPECIAL).copied();
                    input.splice(at..at, special);
                }
                2 => {
                    let random = u8::try_from(self.below(256)).unwrap_or(0);
                    if let Some(octet) = input.get_mut(at) {
                        *octet = random;
                    }
                }
                3 if at < input.len() => drop(input.remove(at)),
                4 => {
                    let piece = self.piece(&input, 64).to_vec();
                    input.splice(at..at, piece);
                }
                _ => {
                    let other = self.of(corpus).map(|(_, octets)| octets.as_slice());
                    let piece = self.piece(other.unwrap_or_default(), 256);
                    input.splice(at..at, piece.iter().copied());
                }
            }
        }
        input.truncate(1 << 16);
        input
    }
}

/// Octets that mean something in some grammar.
const SPECIAL: &[u8] = b"\r\n.\0 {}()<>\"\\@:;=%*&-+\xff";
