//! A message on its way into a folder by APPEND: in memory while it is short, in a
//! file of the folder's `tmp` from then on.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use courier_imap::session::output::Refusal;
use courier_maildir::content::{Content, LastLine, Lines};
use courier_maildir::folder::FolderPath;
use courier_maildir::mailbox::NewMessage;
use courier_maildir::writer::Writer;

use crate::disk::Disks;

/// What has come so far. Line ends are those of a maildir.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) folder: FolderPath,
    /// Without its content.
    message: NewMessage,
    memory: Vec<u8>,
    /// The last octet was a CR, which waits for what follows.
    carriage_return: bool,
    file: Option<(PathBuf, File)>,
    lines: Lines,
    length: u64,
    failed: Option<Refusal>,
}

impl Incoming {
    pub(super) fn new(folder: FolderPath, message: NewMessage) -> Self {
        Self {
            folder,
            message,
            memory: Vec::new(),
            carriage_return: false,
            file: None,
            lines: Lines {
                bare: 0,
                last: LastLine::Ended,
            },
            length: 0,
            failed: None,
        }
    }

    /// Adds what has come over the wire.
    pub(super) fn push(&mut self, octets: &[u8]) {
        let mut rest = octets;
        if self.carriage_return && !rest.is_empty() {
            self.carriage_return = false;
            if rest.first() != Some(&b'\n') {
                self.memory.push(b'\r');
            }
        }
        while let Some(at) = memchr::memchr(b'\r', rest) {
            let (before, from) = rest.split_at(at);
            self.memory.extend_from_slice(before);
            match from {
                [_] => {
                    self.carriage_return = true;
                    return;
                }
                [_, b'\n', ..] => {}
                _ => self.memory.push(b'\r'),
            }
            rest = from.get(1..).unwrap_or_default();
        }
        self.memory.extend_from_slice(rest);
    }

    /// Whether what is in memory must be written before more comes.
    pub(super) fn is_full(&self) -> bool {
        self.memory.len() > LONGEST
    }

    /// Writes what is in memory into the file; a failure is told at the end.
    pub(super) async fn spill(&mut self, disks: &Disks, writer: &Writer) {
        let memory = std::mem::take(&mut self.memory);
        if self.failed.is_some() {
            return;
        }
        let counted = Lines::of(&memory);
        self.lines.bare += counted.bare;
        self.lines.last = counted.last;
        self.length += memory.len() as u64;
        let (file, path) = (self.file.take(), self.folder.tmp());
        let name = writer.unique_name().to_string();
        let written = disks.call(move || -> io::Result<_> {
            let (path, mut file) = match file {
                Some(file) => file,
                None => {
                    let path = path.join(name);
                    let mut options = File::options();
                    let file = options
                        .write(true)
                        .create_new(true)
                        .mode(0o600)
                        .open(&path)?;
                    (path, file)
                }
            };
            match file.write_all(&memory) {
                Ok(()) => Ok((path, file)),
                Err(error) => {
                    fs::remove_file(&path).ok();
                    Err(error)
                }
            }
        });
        match written.await {
            Ok(file) => self.file = Some(file),
            Err(error) => {
                tracing::warn!(error = %error, "MESSAGE NOT STORED");
                self.failed = Some(match error.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Refusal::OverQuota,
                    io::ErrorKind::NotFound => Refusal::NonExistent,
                    _ => Refusal::ServerBug,
                });
            }
        }
    }

    /// The message, complete.
    pub(super) async fn finish(
        &mut self,
        disks: &Disks,
        writer: &Writer,
    ) -> Result<NewMessage, Refusal> {
        if self.carriage_return {
            self.memory.push(b'\r');
        }
        if self.file.is_some() && !self.memory.is_empty() {
            self.spill(disks, writer).await;
        }
        if let Some(refusal) = self.failed {
            return Err(refusal);
        }
        let content = match &self.file {
            Some((path, _)) => Content::default().file(path, 0..self.length, self.lines),
            None => Content::default().octets(std::mem::take(&mut self.memory)),
        };
        Ok(NewMessage {
            content,
            ..self.message.clone()
        })
    }

    /// The message is stored, or not wanted: nothing of it stays in `tmp`.
    pub(super) async fn clear(self, disks: &Disks) {
        if let Some((path, _)) = self.file {
            disks.call(move || fs::remove_file(path)).await.ok();
        }
    }
}

/// Octets that stay in memory.
const LONGEST: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use courier_maildir::flags::Flags;

    fn incoming() -> Incoming {
        let message = NewMessage {
            content: Content::default(),
            flags: Flags::NONE,
            keywords: Vec::new(),
            date: None,
        };
        Incoming::new(FolderPath::inbox("/m"), message)
    }

    #[test]
    fn line_ends_become_those_of_a_maildir_however_they_are_cut() {
        let wire = b"a\r\nb\rc\r\r\nd\n\r\n\r";
        for cut in 0..=wire.len() {
            let mut incoming = incoming();
            let (front, back) = wire.split_at(cut);
            incoming.push(front);
            incoming.push(back);
            assert_eq!(incoming.memory, b"a\nb\rc\r\nd\n\n", "cut at {cut}");
            assert!(incoming.carriage_return);
        }
    }
}
