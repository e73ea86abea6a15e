//! `deliverquota`: a message from standard input into a maildir, if its quota lets it.
//!
//! The name, the options and the exit statuses are Courier's. Status 0 says that the
//! message is on disk and stays there. The message goes from standard input into the
//! file that it will be, so its length costs no memory.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use courier_core::disk::{self, Disk, DiskError, DiskErrorKind, DiskTask, Op};
use courier_maildir::content::{LastLine, Lines};
use courier_maildir::delivery::{DeliveryError, Written};
use courier_maildir::folder::{self, FolderPath};
use courier_maildir::name::Sizes;
use courier_maildir::quota::{self, QuotaSpec, Target, Warning};
use courier_maildir::writer::Writer;

use super::{end, introduction, umask, writer};
use crate::disk::StdDisk;
use crate::failure::{Failure, Status};

const NAME: &str = "deliverquota";

const USAGE: &str = "\
Usage: deliverquota [-c] [-w percent] [-W file] maildir [quota]

Delivers the message on standard input into a maildir or a folder of one.

  -c          make the maildir, and the directories above it, if it is not there
  -w percent  warn the owner when the maildir is so full (-1, never, to 100)
  -W file     the text of the warning, headers first
  quota       what the maildir may hold, as 10000000S,1000C

Exit status: 0 delivered; 77 over quota, the message is in a file; 75 over quota, the
message is from a pipe, or no maildir; 74 the message cannot be read or stored; 73 wrong
arguments.
";

/// Where the text of warnings stands unless it is given.
const MESSAGE: &str = "/etc/courier/quotawarnmsg";

/// Delivers.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().skip(1).collect();
    if let Some(text) = introduction(NAME, USAGE, &arguments) {
        io::stdout().write_all(text.as_bytes()).ok();
        return ExitCode::SUCCESS;
    }
    let Some(arguments) = Arguments::parse(&arguments) else {
        write!(io::stderr(), "{USAGE}").ok();
        return Status::CannotCreate.into();
    };
    end(NAME, deliver(&arguments))
}

/// The command line, read as Courier reads it: an option is one only in front and only
/// as a word of its own.
#[derive(Debug, PartialEq, Eq)]
struct Arguments {
    create: bool,
    percent: i64,
    message: Option<PathBuf>,
    directory: PathBuf,
    quota: QuotaSpec,
}

impl Arguments {
    fn parse(words: &[OsString]) -> Option<Self> {
        let mut words = words.iter().peekable();
        let (mut create, mut percent, mut message) = (false, -1, None);
        let directory = loop {
            let word = words.next()?;
            match (word.as_bytes(), words.peek()) {
                (b"-c", _) => create = true,
                (b"-w", Some(number)) => {
                    percent = leading_number(number.as_bytes());
                    words.next();
                }
                (b"-W", Some(path)) => {
                    message = Some(PathBuf::from(path));
                    words.next();
                }
                _ => break word,
            }
        };
        if !(-1..=100).contains(&percent) {
            return None;
        }
        let quota = words.next().map(|quota| quota.as_bytes());
        Some(Self {
            create,
            percent,
            message,
            directory: directory.into(),
            quota: QuotaSpec::parse(quota.unwrap_or_default()),
        })
    }

    /// The warning, if there is to be one and there is a text for it.
    fn warning(&self) -> Option<Warning> {
        if self.percent < 0 {
            return None;
        }
        let given = self.message.as_ref().and_then(|path| fs::read(path).ok());
        let text = given.or_else(|| fs::read(MESSAGE).ok())?;
        Some(Warning {
            percent: self.percent,
            text: text.into(),
        })
    }
}

/// `atoi`: what is no number is 0.
fn leading_number(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (sign, digits) = match text.split_first() {
        Some((b'-', rest)) => (-1, rest),
        Some((b'+', rest)) => (1, rest),
        _ => (1, text),
    };
    let digits = digits.iter().take_while(|octet| octet.is_ascii_digit());
    let number = digits.fold(0_i64, |number, digit| {
        number
            .saturating_mul(10)
            .saturating_add(i64::from(digit - b'0'))
    });
    sign * number
}

fn deliver(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let disk = StdDisk::new(1);
    let run = Run {
        directory: &arguments.directory,
        warning: arguments.warning(),
        writer: writer(0o666),
        disk: &disk,
    };
    if arguments.create {
        run.create()?;
    }
    let quota = arguments.quota;
    let target = disk.run(disk::task(|disk| async move {
        Target::find(&disk, run.directory, quota).await
    }));
    match known_size() {
        Some(octets) => run.deliver_file(target, octets),
        None => run.deliver_pipe(target),
    }
}

/// The size of standard input, if it is a file that holds something.
fn known_size() -> Option<u64> {
    let facts = rustix::fs::fstat(io::stdin()).ok()?;
    let kind = rustix::fs::FileType::from_raw_mode(facts.st_mode);
    let length = u64::try_from(facts.st_size).ok()?;
    (kind.is_file() && length > 0).then_some(length)
}

struct Run<'a> {
    directory: &'a Path,
    warning: Option<Warning>,
    writer: Writer,
    disk: &'a StdDisk,
}

impl Run<'_> {
    /// Makes the maildir and what is missing above it.
    fn create(&self) -> Result<(), Failure> {
        let mut writer = self.writer.clone();
        writer.mode = 0o600 & !umask();
        // So that what it stands in has a name.
        let directory = Path::new(".").join(self.directory);
        let task = disk::task(|disk| async move {
            parents(&disk, &directory, writer.directory_mode()).await?;
            folder::create_maildir(&disk, &directory, &writer).await
        });
        let made: Result<(), DiskError> = self.disk.run(task);
        made.map_err(|error| Failure::of(Status::TryLater, &error))
    }

    fn deliver_file(&self, target: Target, octets: u64) -> Result<ExitCode, Failure> {
        let (warning, writer) = (self.warning.as_ref(), &self.writer);
        let folder = target.folder.clone();
        let admitted = self.run(disk::task(|disk| async move {
            quota::admit(&disk, target, octets, warning, writer).await
        }));
        let Some(admitted) = admitted? else {
            return Ok(Status::Permission.into());
        };
        let written = self.store(&folder)?;
        let delivered = disk::task(|disk| async move {
            quota::deliver_known(&disk, admitted, written, warning, writer).await
        });
        self.run(delivered).map(|_| ExitCode::SUCCESS)
    }

    fn deliver_pipe(&self, target: Target) -> Result<ExitCode, Failure> {
        let (warning, writer) = (self.warning.as_ref(), &self.writer);
        let written = self.store(&target.folder)?;
        let delivered = disk::task(|disk| async move {
            quota::deliver_counted(&disk, target, written, warning, writer).await
        });
        Ok(match self.run(delivered)? {
            Some(_) => ExitCode::SUCCESS,
            None => Status::TryLater.into(),
        })
    }

    /// Runs a task; nothing is its value when the quota refuses, which is said as Courier
    /// says it.
    fn run<T>(&self, task: DiskTask<'_, Result<T, DeliveryError>>) -> Result<Option<T>, Failure> {
        match self.disk.run(task) {
            Ok(value) => Ok(Some(value)),
            Err(DeliveryError::OverQuota { .. }) => {
                writeln!(io::stdout(), "Mail quota exceeded.").ok();
                Ok(None)
            }
            Err(error) => Err(Failure::of(Status::TryLater, &error)),
        }
    }

    /// Writes standard input into `tmp`, durably.
    fn store(&self, folder: &FolderPath) -> Result<Written, Failure> {
        let name = self.writer.unique_name();
        let tmp = folder.tmp().join(name.to_string());
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(self.writer.mode)
            .open(&tmp)
            .map_err(|error| {
                let text = format!("cannot create {}: {error}", tmp.display());
                Failure::new(Status::TryLater, text)
            })?;
        let copied = copy(&mut io::stdin().lock(), &mut file);
        let synced = copied.and_then(|sizes| file.sync_all().map(|()| sizes));
        match synced {
            Ok(sizes) => Ok(Written {
                folder: folder.clone(),
                name,
                sizes,
                tmp,
            }),
            Err(error) => {
                fs::remove_file(&tmp).ok();
                let text = format!("cannot write {}: {error}", tmp.display());
                Err(Failure::new(Status::Io, text))
            }
        }
    }
}

/// Makes the directories above a path that are missing, each durably.
async fn parents(disk: &Disk, path: &Path, mode: u32) -> Result<(), DiskError> {
    let above = path.ancestors().skip(1);
    let above: Vec<&Path> = above.filter(|path| !path.as_os_str().is_empty()).collect();
    for path in above.into_iter().rev() {
        let mkdir = Op::Mkdir {
            path: path.to_path_buf(),
            mode,
        };
        match disk.one(mkdir).await {
            Ok(_) => {
                let parent = path.parent().unwrap_or(Path::new("/"));
                disk.one(Op::SyncDir(parent.to_path_buf())).await?;
            }
            Err(error) if error.kind == DiskErrorKind::Exists => {}
            // A directory that may not be made may be there.
            Err(error) => drop(disk.stat(path).await.map_err(|_| error)?),
        }
    }
    Ok(())
}

/// Copies a message and counts it.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<Sizes> {
    let mut buffer = vec![0; CHUNK];
    let (mut length, mut bare) = (0, 0);
    let (mut last, mut after_cr) = (LastLine::Ended, false);
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let octets = buffer.get(..read).unwrap_or_default();
        to.write_all(octets)?;
        let lines = Lines::of(octets);
        length += read as u64;
        bare += lines.bare;
        if after_cr && octets.first() == Some(&b'\n') {
            bare -= 1;
        }
        after_cr = octets.last() == Some(&b'\r');
        last = lines.last;
    }
    Ok(Sizes {
        file: length,
        wire: (last == LastLine::Ended).then_some(length + bare),
    })
}

/// Octets read at a time.
const CHUNK: usize = 128 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<Arguments> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        Arguments::parse(&words)
    }

    #[test]
    fn options_are_read_as_courier_reads_them() {
        let directory = |line| parse(line).map(|arguments| arguments.directory);
        assert_eq!(directory("A"), Some("A".into()));
        assert_eq!(directory("-z A"), Some("-z".into()));
        assert_eq!(directory("-w90 A"), Some("-w90".into()));
        assert_eq!(directory("-- A"), Some("--".into()));
        assert_eq!(directory("-w"), Some("-w".into()));
        assert_eq!(directory("-c"), None);
        assert_eq!(directory("-w 101 A"), None);
        assert_eq!(directory("-w -2 A"), None);
        let all = parse("-c -w 90 -W f A 10S b c").expect("a command");
        assert!(all.create && all.percent == 90);
        assert_eq!(all.message, Some("f".into()));
        assert_eq!(all.quota, QuotaSpec::new(10, 0));
        assert_eq!(parse("-w x A").map(|arguments| arguments.percent), Some(0));
        assert_eq!(parse("A").map(|arguments| arguments.percent), Some(-1));
    }

    #[test]
    fn a_message_is_counted_across_reads() {
        let text = [vec![b'x'; CHUNK - 1], b"\r\nb\n".to_vec()].concat();
        let mut copy_of = Vec::new();
        let sizes = copy(&mut text.as_slice(), &mut copy_of).expect("copied");
        assert_eq!(copy_of, text);
        let length = text.len() as u64;
        assert_eq!((sizes.file, sizes.wire), (length, Some(length + 1)));
        let sizes = copy(&mut &b"a\nb"[..], &mut io::sink()).expect("copied");
        assert_eq!((sizes.file, sizes.wire), (3, None));
        let sizes = copy(&mut io::empty(), &mut io::sink()).expect("copied");
        assert_eq!((sizes.file, sizes.wire), (0, Some(0)));
    }
}
