//! COPY and MOVE (RFC 3501 §6.4.7, RFC 6851, RFC 4315 §3).

use super::messages::{select, writable};
use super::output::{Copied, CopyRequest, Output, Refusal};
use super::reply::{MailboxNews, Reply};
use super::{Answer, Core, Job, Progress};
use crate::grammar::command::{By, CopyMode};
use crate::grammar::mailbox_name::MailboxName;
use crate::grammar::sequence::SequenceSet;
use crate::view::Uid;

#[derive(Debug)]
pub(super) struct Copy {
    request: Option<CopyRequest>,
    mode: CopyMode,
    by: By,
}

impl Copy {
    pub(super) fn new(
        core: &mut Core,
        set: &SequenceSet,
        mailbox: MailboxName,
        mode: CopyMode,
        by: By,
    ) -> Result<Self, Reply> {
        if mode == CopyMode::Move {
            writable(core)?;
        }
        let selection = select(core, set, by);
        let view = core.mailbox.as_ref().map(|mailbox| &mailbox.view);
        let uids: Vec<Uid> = selection
            .filter_map(|index| view.and_then(|view| view.at(index)))
            .map(|message| message.uid())
            .collect();
        if uids.is_empty() {
            // RFC 3501 §6.4.8: a UID that is not there is no error.
            return Err(Reply::ok(completed(mode)));
        }
        let request = Some(CopyRequest {
            uids,
            mailbox,
            mode,
        });
        Ok(Self { request, mode, by })
    }
}

impl Job for Copy {
    fn run(&mut self, core: &mut Core) -> Progress {
        if let Some(request) = self.request.take() {
            return core.ask(|token| Output::Copy(token, request));
        }
        let copied = match core.take_answer() {
            Some(Answer::Copied(Ok(copied))) => copied,
            Some(Answer::Copied(Err(refusal))) => {
                return Progress::Done(Reply::refused_target(refusal));
            }
            _ => return Progress::Done(Reply::refused(Refusal::ServerBug)),
        };
        if copied.uids.is_empty() && self.by == By::Sequence {
            // Others go on without those that are gone; here there are no others.
            let reply = Reply::refused(Refusal::Expunged);
            return Progress::Done(reply.with_news(MailboxNews::Fresh));
        }
        let code = copy_uid(&copied);
        let reply = Reply::ok(completed(self.mode)).with_news(MailboxNews::Fresh);
        if self.mode == CopyMode::Copy {
            return Progress::Done(reply.with_code(code));
        }
        // RFC 6851 §4.3: before the EXPUNGEs, so that the client knows where they went.
        if !code.is_empty() {
            core.out.write("* OK [");
            core.out.write(&code);
            core.out.write("] Ok\r\n");
        }
        if let Some(mailbox) = &mut core.mailbox {
            for (uid, _) in copied.uids {
                mailbox.view.mark_gone(uid);
            }
        }
        Progress::Done(reply)
    }
}

fn completed(mode: CopyMode) -> &'static str {
    match mode {
        CopyMode::Copy => "COPY completed.",
        CopyMode::Move => "MOVE completed.",
    }
}

/// `COPYUID` and its two sets, which correspond one to one in order; nothing if there are
/// no messages.
fn copy_uid(copied: &Copied) -> String {
    if copied.uids.is_empty() {
        return String::new();
    }
    let validity = copied.uid_validity.0;
    let from = uid_runs(copied.uids.iter().map(|(from, _)| *from));
    let to = uid_runs(copied.uids.iter().map(|(_, to)| *to));
    format!("COPYUID {validity} {from} {to}")
}

/// A UID set in the order of its UIDs: only runs that ascend by one are drawn together.
fn uid_runs(uids: impl Iterator<Item = Uid>) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    let mut run: Option<(u32, u32)> = None;
    let mut write = |(first, last): (u32, u32)| {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a string cannot fail.
        let _ = if first == last {
            write!(text, "{comma}{first}")
        } else {
            write!(text, "{comma}{first}:{last}")
        };
    };
    for uid in uids {
        let uid = uid.get();
        run = match run {
            Some((first, last)) if last.checked_add(1) == Some(uid) => Some((first, uid)),
            other => {
                if let Some(done) = other {
                    write(done);
                }
                Some((uid, uid))
            }
        };
    }
    if let Some(done) = run {
        write(done);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn runs(uids: &[u32]) -> String {
        uid_runs(uids.iter().filter_map(|&uid| Uid::new(uid)))
    }

    #[test]
    fn runs_keep_the_order() {
        assert_eq!(runs(&[1, 2, 3, 7, 9, 8, 9]), "1:3,7,9,8:9");
        assert_eq!(runs(&[]), "");
        assert_eq!(runs(&[u32::MAX]), "4294967295");
    }

    proptest! {
        #[test]
        fn runs_spell_out_the_same_list(uids in proptest::collection::vec(1_u32..20, 0..30)) {
            let text = runs(&uids);
            let mut spelled = Vec::new();
            for part in text.split(',').filter(|part| !part.is_empty()) {
                let (a, b) = part.split_once(':').unwrap_or((part, part));
                spelled.extend(a.parse::<u32>().unwrap()..=b.parse().unwrap());
            }
            prop_assert_eq!(spelled, uids);
        }
    }
}
