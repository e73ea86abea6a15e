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
    file: Option<(File, u64)>,
    excess: Option<HeaderExcess>,
}

impl Incoming {
    /// A message that begins with this trace field of ours.
    pub(super) fn new(number: Reserved, trace: String) -> Self {
        Self {
            number,
            trace: trace.len(),
            memory: trace.into_bytes(),
            file: None,
            excess: None,
        }
    }

    /// Adds what has come.
    pub(super) fn push(&mut self, slices: Slices<'_>) {
        slices.append_to(&mut self.memory);
    }

    /// Whether what is in memory must be written before more comes.
    pub(super) fn is_full(&self) -> bool {
        self.memory.len() > LONGEST
    }

    /// Writes what is in memory into the file.
    pub(super) async fn spill(&mut self, disks: &Disks) -> io::Result<()> {
        let (mut file, length) = match self.file.take() {
            Some(file) => file,
            None => {
                // A header that goes on beyond is too large in any case.
                self.judge();
                let path = self.number.path().to_path_buf();
                let make = move || {
                    let mut options = File::options();
                    options.write(true).create_new(true).mode(0o600).open(path)
                };
                (disks.call(make).await?, 0)
            }
        };
        let memory = std::mem::take(&mut self.memory);
        let written = memory.len() as u64;
        let write = move || file.write_all(&memory).map(|()| file);
        self.file = Some((disks.call(write).await?, length + written));
        Ok(())
    }

    fn judge(&mut self) {
        let text = self.memory.get(self.trace..).unwrap_or_default();
        self.excess = HeaderLimits::default().check(text).err();
    }

    /// Nothing more comes, and what came is not wanted.
    pub(super) async fn discard(self, disks: &Disks) {
        if self.file.is_some() {
            let path = self.number.path().to_path_buf();
            // If it cannot be removed now, the next start does it.
            disks.call(move || fs::remove_file(path)).await.ok();
        }
    }

    /// Everything has come: makes the file durable, if there is one.
    pub(super) async fn finish(mut self, disks: &Disks) -> Result<Text, NotStored> {
        if self.file.is_none() {
            self.judge();
        }
        if let Some(excess) = self.excess {
            self.discard(disks).await;
            return Err(NotStored::Header(excess));
        }
        if self.file.is_none() {
            return Ok(Text::Short(self.number, self.memory.into()));
        }
        let stored = match self.spill(disks).await {
            Ok(()) => self.sync(disks).await,
            Err(error) => Err(error),
        };
        match stored {
            Ok(length) => Ok(Text::Long(self.number.of_length(length))),
            Err(error) => {
                self.discard(disks).await;
                Err(NotStored::File(error))
            }
        }
    }

    async fn sync(&mut self, disks: &Disks) -> io::Result<u64> {
        let (file, length) = self.file.take().ok_or(io::ErrorKind::NotFound)?;
        let sync = move || file.sync_data().map(|()| file);
        self.file = Some((disks.call(sync).await?, length));
        Ok(length)
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
