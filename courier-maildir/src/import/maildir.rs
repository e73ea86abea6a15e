//! What a maildir knows of its messages beside their names, read and never written.

use std::collections::HashMap;

use courier_core::disk::{Disk, DiskError};

use crate::flags::Flags;
use crate::folder::FolderPath;
use crate::keywords::{self, Keyword, KeywordTable};
use crate::name::Name;
use crate::replace::is_absent;

/// Keywords of a folder's messages.
pub(super) struct FolderKeywords {
    courier: HashMap<Box<[u8]>, Vec<Keyword>>,
    dovecot: [Option<Keyword>; 26],
}

impl FolderKeywords {
    /// # Errors
    /// What the disk says.
    pub(super) async fn load(disk: &Disk, folder: &FolderPath) -> Result<Self, DiskError> {
        let mut table = KeywordTable::default();
        let sets = keywords::peek(disk, folder, &mut table).await?;
        let words = sets
            .into_iter()
            .map(|(base, set)| (base, table.set(set).cloned().collect()));
        let courier = words.collect();
        let dovecot = match disk.read(&folder.file(DOVECOT), 0..1 << 16).await {
            Ok(octets) => parse_letters(&octets),
            Err(error) if is_absent(error.kind) => [const { None }; 26],
            Err(error) => return Err(error),
        };
        Ok(Self { courier, dovecot })
    }

    /// A message's flags, without the letters that meant keywords in its folder, and
    /// its keywords.
    pub(super) fn of(&self, name: Name<'_>) -> (Flags, Vec<Keyword>) {
        let mut words = self.courier.get(name.base()).cloned().unwrap_or_default();
        let flags = name.flags();
        for letter in flags.common(Flags::FOLDER_LETTERS).letters() {
            let word = self.dovecot.get(usize::from(letter.wrapping_sub(b'a')));
            let word = word.and_then(Option::as_ref);
            if let Some(word) = word.filter(|word| !words.contains(word)) {
                words.push(word.clone());
            }
        }
        (flags.without(Flags::FOLDER_LETTERS), words)
    }
}

/// Dovecot's file: `0 KEYWORD`, where 0 is `a` in names.
const DOVECOT: &str = "dovecot-keywords";

fn parse_letters(octets: &[u8]) -> [Option<Keyword>; 26] {
    let mut letters = [const { None }; 26];
    for line in String::from_utf8_lossy(octets).lines() {
        let entry = line.split_once(' ').and_then(|(number, word)| {
            let letter = letters.get_mut(number.parse::<usize>().ok()?)?;
            Some((letter, Keyword::parse(word).ok()?))
        });
        if let Some((letter, word)) = entry {
            *letter = Some(word);
        }
    }
    letters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dovecots_letters_are_numbers() {
        let letters = parse_letters(b"0 Junk\n2 $Label1\n26 x\nx y\n1\n");
        let words: Vec<_> = letters.iter().flatten().map(Keyword::as_str).collect();
        assert_eq!(words, ["Junk", "$Label1"]);
        assert!(letters[1].is_none());
    }
}
