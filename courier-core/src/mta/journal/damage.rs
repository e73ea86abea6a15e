//! What the disk damaged: it is set aside in files of its own, and reported once.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::maintain::Maintenance;
use super::space::MODE;
use super::{Journal, MessageId};
use crate::disk::{Disk, DiskError, DiskErrorKind, Durability, Op, Piece};

/// Something that the disk damaged after it was durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// What is damaged.
    pub kind: DamageKind,
    /// The file.
    pub path: PathBuf,
    /// The octets concerned.
    pub range: Range<u64>,
    /// Where they were set aside. `None` if there was no space; the segment is kept
    /// and [`Journal::maintain`] tries again.
    pub saved: Option<PathBuf>,
}

/// What is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DamageKind {
    /// Records: messages or outcomes are lost.
    Records,
    /// Both headers of a segment, and with them all its records.
    Header,
    /// A segment that is not there any more, with all its records.
    Segment {
        /// Its epoch.
        epoch: u64,
    },
    /// The file of a large message, which is not there or not as long as it was. What
    /// is left is its record.
    Large {
        /// The message, which is lost.
        id: MessageId,
    },
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, range) = (self.path.display(), &self.range);
        match self.kind {
            DamageKind::Records => write!(
                f,
                "octets {} to {} of {path} are damaged",
                range.start, range.end
            )?,
            DamageKind::Header => write!(f, "both headers of {path} are damaged")?,
            DamageKind::Segment { epoch } => write!(
                f,
                "a segment of the journal (epoch {epoch}) is missing in {path}"
            )?,
            DamageKind::Large { id } => write!(
                f,
                "the file with the content of message {id} is missing or cut, its record is \
                 octets {} to {} of {path}",
                range.start, range.end
            )?,
        }
        match &self.saved {
            Some(saved) => write!(f, "; set aside as {}", saved.display()),
            None => write!(f, "; not set aside yet, make space on the disk"),
        }
    }
}

/// Whether a damage was set aside before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Novelty {
    New,
    Known,
}

impl Journal {
    /// Sets damages aside, and gives those that are new.
    pub(super) async fn set_all_aside(
        &mut self,
        disk: &Disk,
        damages: Vec<(u64, Damage)>,
    ) -> Vec<Damage> {
        let mut reported = Vec::new();
        for (epoch, mut damage) in damages {
            let saved = self.set_aside(disk, epoch, &mut damage).await;
            if let DamageKind::Large { id } = damage.kind
                && let Some(message) = self.live.remove(&id)
            {
                self.left_its_place(&message);
            }
            match saved {
                Ok(Novelty::Known) => {}
                Ok(Novelty::New) => reported.push(damage.clone()),
                Err(_) => {
                    // The segment is needed until the damage has been saved.
                    self.segments.need(epoch, 1);
                    self.unsaved.push((epoch, damage.clone()));
                    reported.push(damage.clone());
                }
            }
            if damage.kind == DamageKind::Header && damage.saved.is_some() {
                self.segments.discarded.push(damage.path.into());
            }
        }
        reported
    }

    /// Sets aside what could not be set aside before.
    pub(super) async fn save_damages(&mut self, disk: &Disk, maintenance: &mut Maintenance) {
        for (epoch, mut damage) in std::mem::take(&mut self.unsaved) {
            match self.set_aside(disk, epoch, &mut damage).await {
                Ok(_) => {
                    self.segments.need(epoch, -1);
                    maintenance.damage.push(damage);
                }
                Err(error) => {
                    self.unsaved.push((epoch, damage));
                    maintenance.error = Some(error);
                }
            }
        }
    }

    /// Copies damaged octets into a file of their own, and says whether they were
    /// not there yet.
    pub(super) async fn set_aside(
        &self,
        disk: &Disk,
        epoch: u64,
        damage: &mut Damage,
    ) -> Result<Novelty, DiskError> {
        let file = damage
            .path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let (name, content) = match damage.kind {
            DamageKind::Segment { epoch } => {
                let text = format!("The segment of epoch {epoch} is missing.\n");
                let content = Piece::Octets(text.into_bytes().into());
                (format!("missing-{epoch}"), content)
            }
            DamageKind::Records | DamageKind::Header | DamageKind::Large { .. } => {
                let piece = Piece::File {
                    path: damage.path.clone(),
                    range: damage.range.clone(),
                };
                (format!("{epoch}-{file}-{}", damage.range.start), piece)
            }
        };
        let saved = self.directories.damaged.join(name);
        let novelty = match disk.stat(&saved).await {
            Ok(_) => Novelty::Known,
            Err(error) if error.kind == DiskErrorKind::NotFound => {
                self.save(disk, &saved, content).await?;
                Novelty::New
            }
            Err(error) => return Err(error),
        };
        damage.saved = Some(saved);
        Ok(novelty)
    }

    async fn save(&self, disk: &Disk, saved: &Path, content: Piece) -> Result<(), DiskError> {
        let mut partial = saved.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        // What an earlier attempt left.
        drop(disk.one(Op::Unlink(partial.clone())).await);
        let made = disk
            .one(Op::Create {
                path: partial.clone(),
                content: vec![content],
                mode: MODE,
                durability: Durability::Synced,
            })
            .await;
        made?;
        disk.one(Op::Rename {
            from: partial,
            to: saved.to_path_buf(),
        })
        .await?;
        disk.one(Op::SyncDir(self.directories.damaged.clone()))
            .await?;
        Ok(())
    }
}
