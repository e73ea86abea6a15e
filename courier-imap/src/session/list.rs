//! LIST and LSUB (RFC 3501 §6.3.8, §6.3.9; RFC 3348).
//!
//! The host gives the folders, in any order. Sorted by levels, each stands right before
//! what is below it, so one look at the neighbours tells which parents are missing and
//! which folders have children.

use super::output::{Folder, FolderKind, Mark, Output, Refusal};
use super::reply::Reply;
use super::{Answer, Begin, Core, Job, Progress};
use crate::grammar::command::ListScope;
use crate::grammar::mailbox_name::{MailboxName, SEPARATOR};
use crate::grammar::pattern::Pattern;
use crate::grammar::{response, utf7};

pub(super) fn begin(core: &mut Core, reference: &[u8], pattern: &[u8], scope: ListScope) -> Begin {
    if pattern.is_empty() {
        // RFC 3501 §6.3.8: what is the separator, and where does the reference begin?
        line(core.out.text(), scope, &["\\Noselect"], "");
        return Begin::Done(Reply::ok(completed(scope)));
    }
    let pattern = Pattern::new(reference, pattern);
    Begin::Job(Box::new(List {
        pattern,
        scope,
        folders: None,
        at: 0,
    }))
}

#[derive(Debug)]
struct List {
    pattern: Pattern,
    scope: ListScope,
    /// Sorted by levels, once they are known.
    folders: Option<Vec<Folder>>,
    at: usize,
}

fn completed(scope: ListScope) -> &'static str {
    match scope {
        ListScope::All => "LIST completed.",
        ListScope::Subscribed => "LSUB completed.",
    }
}

impl Job for List {
    fn run(&mut self, core: &mut Core) -> Progress {
        let Some(folders) = &self.folders else {
            match core.take_answer() {
                None => {
                    let scope = self.scope;
                    return core.ask(|token| Output::Folders(token, scope));
                }
                Some(Answer::Folders(Ok(folders))) => self.folders = Some(sorted(folders)),
                Some(Answer::Folders(Err(refusal))) => {
                    return Progress::Done(Reply::refused(refusal));
                }
                Some(_) => return Progress::Done(Reply::refused(Refusal::ServerBug)),
            }
            return self.run(core);
        };
        while let Some(folder) = folders.get(self.at) {
            if core.out.is_full() {
                return Progress::Full;
            }
            let before = self.at.checked_sub(1).and_then(|at| folders.get(at));
            let next = folders.get(self.at + 1);
            self.tell(core.out.text(), before, folder, next);
            self.at += 1;
        }
        Progress::Done(Reply::ok(completed(self.scope)))
    }
}

impl List {
    fn tell(
        &self,
        out: &mut Vec<u8>,
        before: Option<&Folder>,
        folder: &Folder,
        next: Option<&Folder>,
    ) {
        let name = folder.name.as_str();
        let is_meant = self.pattern.matches(name);
        for (end, _) in name.match_indices(SEPARATOR) {
            let parent = name.get(..end).unwrap_or_default();
            let told = before.is_some_and(|before| is_or_is_below(before.name.as_str(), parent));
            // RFC 3501 §6.3.9: LSUB names a parent only in place of a child that a `%` hides.
            let wanted = self.scope == ListScope::All || !is_meant;
            if !told && wanted && self.pattern.matches(parent) {
                let attributes: &[&str] = match self.scope {
                    ListScope::All => &["\\Noselect", "\\HasChildren"],
                    ListScope::Subscribed => &["\\Noselect"],
                };
                line(out, self.scope, attributes, parent);
            }
        }
        if !is_meant {
            return;
        }
        let mut attributes: smallvec::SmallVec<[&str; 4]> = smallvec::SmallVec::new();
        match folder.mark {
            Mark::Unknown => {}
            Mark::Marked => attributes.push("\\Marked"),
            Mark::Unmarked => attributes.push("\\Unmarked"),
        }
        if folder.kind == FolderKind::Name {
            attributes.push("\\Noselect");
        }
        if self.scope == ListScope::All {
            let has_children = next.is_some_and(|next| next.name.is_below(&folder.name));
            attributes.push(if has_children {
                "\\HasChildren"
            } else {
                "\\HasNoChildren"
            });
        }
        line(out, self.scope, &attributes, name);
    }
}

fn is_or_is_below(name: &str, parent: &str) -> bool {
    name.strip_prefix(parent)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(SEPARATOR))
}

fn sorted(mut folders: Vec<Folder>) -> Vec<Folder> {
    fn levels(name: &MailboxName) -> impl Iterator<Item = u8> + '_ {
        // A separator counts less than any letter; no name has control characters.
        let octets = name.as_str().bytes();
        octets.map(|octet| if octet == SEPARATOR as u8 { 0 } else { octet })
    }
    folders.sort_unstable_by(|a, b| levels(&a.name).cmp(levels(&b.name)));
    folders.dedup_by(|a, b| a.name == b.name);
    folders
}

fn line(out: &mut Vec<u8>, scope: ListScope, attributes: &[&str], name: &str) {
    let word: &[u8] = match scope {
        ListScope::All => b"* LIST (",
        ListScope::Subscribed => b"* LSUB (",
    };
    out.extend_from_slice(word);
    for (index, attribute) in attributes.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(attribute.as_bytes());
    }
    out.extend_from_slice(b") \".\" ");
    response::string(out, utf7::encode(name).as_bytes());
    out.extend_from_slice(b"\r\n");
}
