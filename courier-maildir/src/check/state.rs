//! State files: the UID list, keywords, access lists, subscriptions, the size list.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use courier_core::disk::DiskError;

use super::{Check, CheckError};
use crate::folder::{FolderName, FolderPath};
use crate::keywords::{self, DIRECTORY, KeywordTable, LIST};
use crate::mailbox::{Access, open};
use crate::name::{Key, Name};
use crate::pop3::{self, SizeList};
use crate::replace::{is_absent, replace};
use crate::scan::list_quiet;
use crate::subscription::{self, Subscriptions};
use crate::uid_list::{self, UidList};

impl Check<'_> {
    async fn file(&mut self, path: &Path) -> Result<Option<Vec<u8>>, DiskError> {
        match self.disk.read(path, 0..LIMIT).await {
            Ok(octets) => Ok(Some(octets)),
            Err(error) if is_absent(error.kind) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The UID list, if it can be believed; the folder's UIDs begin anew otherwise.
    pub(super) async fn uid_list(&mut self, folder: &FolderPath) -> Result<(), CheckError> {
        let path = folder.file(uid_list::FILE);
        let Some(octets) = self.file(&path).await? else {
            return Ok(());
        };
        let Some(wrong) = wrong_uid_list(octets) else {
            return Ok(());
        };
        if !self.fixes() {
            self.error(&path, wrong);
            return Ok(());
        }
        let made = match self.put_aside(folder, &path).await {
            Ok(()) => open(self.disk, folder, Access::ReadOnly, self.writer).await,
            Err(error) => Err(error.into()),
        };
        let made = made.and_then(|snapshot| match snapshot.unsaved() {
            Some(error) => Err(error.clone().into()),
            None => Ok(()),
        });
        self.mended(&path, &wrong, "begun anew, with another UIDVALIDITY", made);
        Ok(())
    }

    /// Keywords of messages that are gone, and a list that says nothing.
    pub(super) async fn keywords(&mut self, folder: &FolderPath) -> Result<(), CheckError> {
        let path = folder.file(DIRECTORY).join(LIST);
        let Some(octets) = self.file(&path).await? else {
            return Ok(());
        };
        let mut table = KeywordTable::default();
        let known = keywords::peek(self.disk, folder, &mut table).await?;
        // Listed after the keywords were read: a message that comes first, then gets
        // its keywords, is not taken for gone.
        let mut there: HashSet<Vec<u8>> = HashSet::new();
        for directory in [folder.new_dir(), folder.cur()] {
            list_quiet(self.disk, &directory, |octets| {
                there.extend(Name::parse(octets).map(|name| name.base().to_vec()));
            })
            .await?;
        }
        let gone = known
            .keys()
            .filter(|base| !there.contains(base.as_ref()))
            .count();
        let wrong = if !octets.is_empty() && octets.iter().all(|&octet| octet == 0) {
            NULS.to_owned()
        } else if gone > 0 {
            format!("has keywords of {gone} messages that are gone")
        } else {
            return Ok(());
        };
        if !self.fixes() {
            match gone {
                0 => self.error(&path, wrong),
                _ => self.note(&path, wrong),
            }
            return Ok(());
        }
        let kept = known
            .iter()
            .filter(|(base, _)| there.contains(base.as_ref()));
        let kept = kept.map(|(base, &set)| (base.as_ref(), set));
        let text = keywords::KeywordList::print(kept, &table);
        let written = replace(self.disk, &folder.tmp(), &path, text, self.writer).await;
        self.mended(&path, &wrong, "written anew", written);
        Ok(())
    }

    /// An access list with lines that give nobody a right. Who may do what is not for
    /// us to guess, so it is not mended.
    pub(super) async fn access_list(&mut self, folder: &FolderPath) -> Result<(), CheckError> {
        let path = folder.file(ACCESS_LIST);
        let Some(octets) = self.file(&path).await? else {
            return Ok(());
        };
        if let Some(line) = malformed_line(&octets) {
            let text = format!("line {line} is not an identifier and rights; set the rights anew");
            self.error(&path, text);
        }
        Ok(())
    }

    pub(super) async fn subscriptions(&mut self, folders: &[FolderPath]) -> Result<(), CheckError> {
        let path = self.maildir.join(subscription::FILE);
        let Some(octets) = self.file(&path).await? else {
            return Ok(());
        };
        if octets.contains(&0) {
            let wrong = "holds NULs";
            if self.fixes() {
                let inbox = FolderPath::inbox(self.maildir);
                let text = Subscriptions::parse(&octets).print();
                let written = replace(self.disk, &inbox.tmp(), &path, text, self.writer).await;
                self.mended(&path, wrong, "written anew", written);
            } else {
                self.error(&path, wrong);
            }
        }
        let there: HashSet<FolderName> = folders.iter().filter_map(name_of).collect();
        for name in Subscriptions::parse(&octets).iter() {
            // Names of other namespaces are none of ours.
            if let Ok(folder) = FolderName::parse(name)
                && !there.contains(&folder)
            {
                self.note(
                    &path,
                    format!("{folder} is subscribed to, and is not there"),
                );
            }
        }
        Ok(())
    }

    /// The size list of POP3, which the next login makes anew if it must.
    pub(super) async fn size_list(&mut self) -> Result<(), CheckError> {
        let path = self.maildir.join(pop3::FILE);
        if let Some(octets) = self.file(&path).await?
            && let Err(error) = SizeList::parse(octets, 1)
        {
            let text = format!("{error}; the next login by POP3 makes it anew, with other ids");
            self.note(&path, text);
        }
        Ok(())
    }
}

fn name_of(folder: &FolderPath) -> Option<FolderName> {
    if folder.path() == folder.maildir() {
        return Some(FolderName::inbox());
    }
    let name = folder.path().file_name()?.as_encoded_bytes();
    FolderName::from_directory(name).map(|(name, _)| name)
}

fn wrong_uid_list(octets: Vec<u8>) -> Option<String> {
    if octets.is_empty() {
        return Some("is empty".to_owned());
    }
    if octets.iter().all(|&octet| octet == 0) {
        return Some(NULS.to_owned());
    }
    let list = match UidList::parse(octets) {
        Ok(list) => list,
        Err(error) => return Some(error.to_string()),
    };
    let mut seen: HashMap<Key<'_>, u32> = HashMap::new();
    for (uid, base) in list.iter() {
        if let Some(first) = seen.insert(Key::of_base(base), uid.get()) {
            return Some(format!("uids {first} and {uid} are of one message"));
        }
    }
    None
}

/// The first line that is not `IDENTIFIER RIGHTS`, counted from 1.
fn malformed_line(octets: &[u8]) -> Option<usize> {
    let text = octets.strip_suffix(b"\n").unwrap_or(octets);
    if text.is_empty() {
        return None;
    }
    let mut lines = text.split(|&octet| octet == b'\n');
    let is_wrong = |line: &[u8]| {
        let space = memchr::memchr(b' ', line);
        space.is_none_or(|space| space == 0) || line.iter().any(|octet| octet.is_ascii_control())
    };
    lines.position(is_wrong).map(|at| at + 1)
}

const NULS: &str = "holds nothing but NULs";

/// As the module of access lists has it.
const ACCESS_LIST: &str = "courierimapacl";

/// Octets of a state file.
const LIMIT: u64 = 1 << 30;
