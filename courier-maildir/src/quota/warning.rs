//! The message that tells an owner that the maildir is getting full.

use std::path::Path;

use courier_core::disk::{Disk, DiskErrorKind, Durability, Octets, Op, Piece};
use courier_core::message::date::DateTime;
use courier_core::time::UnixSeconds;

use super::{Account, Amount, Verdict, check, recount};
use crate::content::Content;
use crate::delivery::{Absent, Attempt, Delivery, deliver};
use crate::folder::FolderPath;
use crate::writer::Writer;

/// When a maildir's owner is warned, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// From so many percent on.
    pub percent: i64,
    /// The message: its headers but the date and the id, and its text.
    pub text: Octets,
}

/// The stamp: its time is that of the last warning, its one octet means nothing.
pub const STAMP: &str = "quotawarn";

/// Seconds in which an owner is not warned twice.
const PAUSE: i64 = 24 * 60 * 60;

/// Warns a maildir's owner if it is full enough and that did not happen within a day.
/// A warning that cannot be stored is none: the next message brings it.
pub async fn warn(disk: &Disk, maildir: &Path, warning: Option<&Warning>, writer: &Writer) {
    let Some(warning) = warning else {
        return;
    };
    let account = Account::of(maildir);
    let Ok(checked) = check(disk, &account, Amount::NONE, writer).await else {
        return;
    };
    if checked.percent() < warning.percent || !stamp(disk, maildir, writer).await {
        return;
    }
    let name = writer.unique_name();
    let date = DateTime {
        time: UnixSeconds(writer.now.seconds),
        offset: 0,
    };
    let header = format!(
        "Date: {date}\nMessage-Id: <{}.overquota@{}>\n",
        writer.now.seconds,
        writer.host.as_str()
    );
    let content = Content::default()
        .octets(header.into_bytes())
        .octets(Octets::clone(&warning.text));
    let size = Amount::message(content.sizes().file);
    // Courier: over the quota the warning comes, but is not charged.
    if let Ok(checked) = check(disk, &account, size, writer).await
        && checked.verdict == Verdict::Fits
    {
        checked.charge(disk, size).await.ok();
    }
    let delivery = Delivery {
        folder: FolderPath::inbox(maildir),
        name,
        content,
        attempt: Attempt::First,
        absent: Absent::Refuse,
    };
    deliver(disk, vec![delivery], writer).await;
}

/// Renews the stamp; says whether the last one is old enough.
async fn stamp(disk: &Disk, maildir: &Path, writer: &Writer) -> bool {
    let path = maildir.join(STAMP);
    match disk.stat(&path).await {
        Ok(meta) if meta.modified.seconds.saturating_add(PAUSE) > writer.now.seconds => {
            return false;
        }
        Ok(_) => {}
        Err(error) if error.kind == DiskErrorKind::NotFound => {
            let create = Op::Create {
                path,
                content: vec![Piece::Octets(Octets::from(&b"\0"[..]))],
                mode: recount::mode(writer),
                durability: Durability::Volatile,
            };
            return disk.one(create).await.is_ok();
        }
        Err(_) => return false,
    }
    let truncate = Op::Truncate {
        path: path.clone(),
        length: 0,
    };
    let append = Op::Append {
        path,
        octets: Octets::from(&b"\0"[..]),
        durability: Durability::Volatile,
    };
    disk.one(truncate).await.is_ok() && disk.one(append).await.is_ok()
}
