//! The content of a message that is coming in: in memory while it is short, in a file
//! of the journal's from then on.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;

use courier_core::message::header::{HeaderExcess, HeaderLimits};
use courier_core::mta::journal::Reserved;
use courier_smtp::content::Content as Slices;

use crate::disk::Disks;
use crate::spool::Text;

/// Content up to this length stays in memory, and goes into the log itself.
const LONGEST: usize = 256 << 10;

/// What has come so far.
#[derive(Debug)]
pub(super) struct Incoming {
    number: Reserved,
    memory: Vec<u8>,
    /// Octets of `memory` that are our trace.
    trace: usize,
    file: LongText,
    excess: Option<HeaderExcess>,
}

/// The file of a message that is too long for memory.
#[derive(Debug)]
enum LongText {
    /// There is none.
    None,
    /// It is open, and has so many octets.
    Open(File, u64),
    /// It could not be written, and is gone again.
    Failed(io::Error),
}

impl Incoming {
    /// A message that begins with this trace field of ours.
    pub(super) fn new(number: Reserved, trace: String) -> Self {
        Self {
            number,
            trace: trace.len(),
            memory: trace.into_bytes(),
            file: LongText::None,
            excess: None,
        }
    }

    /// Adds what has come.
    pub(super) fn push(&mut self, slices: Slices<'_>) {
        if !matches!(self.file, LongText::Failed(_)) {
            slices.append_to(&mut self.memory);
        }
    }

    /// Whether what is in memory must be written before more comes.
    pub(super) fn is_full(&self) -> bool {
        self.memory.len() > LONGEST
    }

    /// How much has come, with our trace.
    pub(super) fn octets(&self) -> u64 {
        let written = match self.file {
            LongText::Open(_, octets) => octets,
            LongText::None | LongText::Failed(_) => 0,
        };
        written + self.memory.len() as u64
    }

    /// Writes what is in memory into the file. If that fails, [`Self::finish`] says so.
    pub(super) async fn spill(&mut self, disks: &Disks) {
        let path = self.number.path().to_path_buf();
        let opened = match std::mem::replace(&mut self.file, LongText::None) {
            LongText::Open(file, length) => Ok((file, length)),
            LongText::Failed(error) => Err(error),
            LongText::None => {
                // A header that goes on beyond is too large in any case.
                self.judge();
                let make = move || {
                    let mut options = File::options();
                    options.write(true).create_new(true).mode(0o600).open(path)
                };
                disks.call(make).await.map(|file| (file, 0))
            }
        };
        let memory = std::mem::take(&mut self.memory);
        self.file = match opened {
            Ok((mut file, length)) => {
                let more = memory.len() as u64;
                let write = move || file.write_all(&memory).map(|()| file);
                match disks.call(write).await {
                    Ok(file) => LongText::Open(file, length + more),
                    Err(error) => {
                        // What is there so far takes no room on a disk that may be full.
                        self.remove(disks).await;
                        LongText::Failed(error)
                    }
                }
            }
            Err(error) => LongText::Failed(error),
        };
    }

    async fn remove(&self, disks: &Disks) {
        let path = self.number.path().to_path_buf();
        // If it cannot be removed now, the next start does it.
        disks.call(move || fs::remove_file(path)).await.ok();
    }

    fn judge(&mut self) {
        let text = self.memory.get(self.trace..).unwrap_or_default();
        self.excess = HeaderLimits::default().check(text).err();
    }

    /// Nothing more comes, and what came is not wanted.
    pub(super) async fn discard(self, disks: &Disks) {
        if let LongText::Open(..) = self.file {
            self.remove(disks).await;
        }
    }

    /// Everything has come: makes the file durable, if there is one.
    pub(super) async fn finish(mut self, disks: &Disks) -> Result<Text, NotStored> {
        if matches!(self.file, LongText::None) {
            self.judge();
        }
        if let Some(excess) = self.excess {
            self.discard(disks).await;
            return Err(NotStored::Header(excess));
        }
        if matches!(self.file, LongText::None) {
            return Ok(Text::Short(self.number, self.memory.into()));
        }
        self.spill(disks).await;
        let error = match std::mem::replace(&mut self.file, LongText::None) {
            LongText::Open(file, length) => {
                match disks.call(move || file.sync_data()).await {
                    Ok(()) => return Ok(Text::Long(self.number.of_length(length))),
                    // Never synced a second time in the hope of a better result.
                    Err(error) => {
                        self.remove(disks).await;
                        error
                    }
                }
            }
            LongText::Failed(error) => error,
            LongText::None => io::ErrorKind::NotFound.into(),
        };
        Err(NotStored::File(error))
    }
}

/// Why a complete message is not ready for the journal.
#[derive(Debug)]
pub(super) enum NotStored {
    /// Its header is not acceptable.
    Header(HeaderExcess),
    /// Its file could not be written.
    File(io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;
    use courier_core::disk;
    use courier_core::mta::journal::{Journal, Options};
    use courier_smtp::content::{DataReader, Transparency};

    use crate::disk::StdDisk;

    /// A message on its way into a journal in this folder.
    fn incoming(folder: &std::path::Path, disk: &StdDisk) -> Incoming {
        let place = folder.join("journal");
        let options = Options {
            segment: 16 << 10,
            ..Options::default()
        };
        let opened = disk.run(disk::task(|disk| async move {
            Journal::open(&disk, place, options).await
        }));
        let (journal, _) = opened.expect("a journal");
        Incoming::new(journal.numbers().reserve(), "Received: x\n".to_owned())
    }

    async fn fill(incoming: &mut Incoming, disks: &Disks) {
        let line = b"Subject: long\r\n\r\n".repeat(20_000);
        incoming.push(DataReader::new(Transparency::Dots).read(&line).content);
        assert!(incoming.is_full());
        incoming.spill(disks).await;
    }

    #[tokio::test]
    async fn a_long_message_is_whole_in_its_file_and_gone_if_it_is_not_wanted() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = StdDisk::new(2);
        let disks = Disks::new(disk.clone());
        let mut message = incoming(folder.path(), &disk);
        fill(&mut message, &disks).await;
        fill(&mut message, &disks).await;
        let path = message.number.path().to_path_buf();
        let text = message.finish(&disks).await.expect("stored");
        assert!(matches!(text, Text::Long(_)));
        let stored = fs::read(&path).expect("read");
        assert_eq!(stored.len(), 12 + 2 * 20_000 * 15);

        let folder = tempfile::tempdir().expect("a folder");
        let mut unwanted = incoming(folder.path(), &disk);
        fill(&mut unwanted, &disks).await;
        let path = unwanted.number.path().to_path_buf();
        assert!(path.exists());
        unwanted.discard(&disks).await;
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_a_full_disk_refuses_leaves_nothing_and_says_why() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = StdDisk::new(2);
        let disks = Disks::new(disk.clone());
        let mut message = incoming(folder.path(), &disk);
        fill(&mut message, &disks).await;
        let path = message.number.path().to_path_buf();
        let full = File::options().write(true).open("/dev/full");
        message.file = LongText::Open(full.expect("/dev/full"), 300_015);
        fill_on(&mut message, &disks).await;
        assert!(!path.exists(), "it takes no room while the client goes on");
        assert!(message.memory.is_empty());
        let error = message.finish(&disks).await.expect_err("not stored");
        assert!(
            matches!(&error, NotStored::File(error) if error.kind() == io::ErrorKind::StorageFull),
            "{error:?}"
        );
    }

    /// More comes twice: the second time after the disk has refused.
    async fn fill_on(incoming: &mut Incoming, disks: &Disks) {
        fill(incoming, disks).await;
        incoming.push(
            DataReader::new(Transparency::Dots)
                .read(b"more\r\n")
                .content,
        );
    }
}
