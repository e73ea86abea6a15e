//! The folders of an account: LIST, CREATE and their kin, subscriptions.

use std::collections::BTreeSet;
use std::path::PathBuf;

use courier_core::disk;
use courier_imap::grammar::command::ListScope;
use courier_imap::grammar::mailbox_name::MailboxName;
use courier_imap::session::output::{Folder, FolderChange, FolderKind, Mark, Refusal};
use courier_maildir::folder::{self, Encoding, FolderName, FolderPath};
use courier_maildir::subscription::{self, SubscriptionError};
use courier_maildir::trash::{self, Ages};
use courier_maildir::writer::Writer;

use super::convert::{disk_refusal, folder_name, folder_refusal, mailbox_name};
use crate::clock;
use crate::disk::Disks;
use crate::failure::chain;

/// The folders of one account.
#[derive(Debug, Clone)]
pub(super) struct Folders {
    pub(super) disks: Disks,
    pub(super) writer: Writer,
    pub(super) maildir: PathBuf,
}

impl Folders {
    /// All folders, or those on the list of subscriptions.
    pub(super) async fn list(&self, scope: ListScope) -> Result<Vec<Folder>, Refusal> {
        let maildir = self.maildir.clone();
        let listing = disk::task(|disk| async move {
            let folders = folder::list(&disk, &maildir).await;
            let subscribed = match scope {
                ListScope::All => None,
                ListScope::Subscribed => Some(subscription::load(&disk, &maildir).await),
            };
            (folders, subscribed)
        });
        let (folders, subscribed) = self.disks.run(listing).await;
        let folders = folders.map_err(|error| folder_refusal(&error))?;
        let there = folders
            .iter()
            .filter_map(|folder| mailbox_name(&folder.name));
        let folder = |name, kind| Folder {
            name,
            kind,
            mark: Mark::Unknown,
        };
        let Some(subscribed) = subscribed else {
            return Ok(there
                .map(|name| folder(name, FolderKind::Mailbox))
                .collect());
        };
        let there: BTreeSet<String> = there.map(|name| name.as_str().to_owned()).collect();
        let subscribed = subscribed.map_err(|error| subscription_refusal(&error))?;
        let names = subscribed
            .iter()
            .filter_map(|name| MailboxName::parse(name).ok());
        let subscribed = names.map(|name| {
            let kind = match there.contains(name.as_str()) {
                true => FolderKind::Mailbox,
                false => FolderKind::Name,
            };
            folder(name, kind)
        });
        Ok(subscribed.collect())
    }

    /// Where a folder is.
    pub(super) async fn locate(&self, name: &MailboxName) -> Result<FolderPath, Refusal> {
        let (maildir, name) = (self.maildir.clone(), folder_name(name)?);
        let locate = disk::task(|disk| async move { folder::locate(&disk, &maildir, &name).await });
        let located = self.disks.run(locate).await;
        located.map_err(|error| folder_refusal(&error))
    }

    /// Where the trash of this name below INBOX is, or will be.
    pub(super) async fn trash(&self, name: &str) -> Option<FolderPath> {
        let name = FolderName::parse(&format!("INBOX.{name}")).ok()?;
        let (maildir, wanted) = (self.maildir.clone(), name.clone());
        let locate =
            disk::task(|disk| async move { folder::locate(&disk, &maildir, &wanted).await });
        let missing = || FolderPath::new(&self.maildir, &name.directory(Encoding::Utf8));
        Some(self.disks.run(locate).await.unwrap_or_else(|_| missing()))
    }

    /// Removes messages that are too old.
    pub(super) async fn purge(&self, ages: Ages) {
        let (maildir, writer) = (self.maildir.clone(), self.writer.at(clock::now()));
        let purge =
            disk::task(|disk| async move { trash::purge(&disk, &maildir, &ages, &writer).await });
        if let Err(error) = self.disks.run(purge).await {
            tracing::warn!(error = chain(&error), "TRASH NOT CLEARED");
        }
    }

    /// Changes the folders, durably. The subscriptions follow.
    pub(super) async fn change(&self, change: FolderChange) -> Result<(), Refusal> {
        match change {
            FolderChange::Create(name) => self.create(&name).await,
            FolderChange::Delete(name) => self.delete(&name).await,
            FolderChange::Rename { from, to } => self.rename(&from, &to).await,
            FolderChange::Subscribe(name) => {
                self.locate(&name).await?;
                self.subscriptions(vec![Subscription::Add(name.as_str().to_owned())])
                    .await
            }
            FolderChange::Unsubscribe(name) => {
                self.subscriptions(vec![Subscription::Remove(name.as_str().to_owned())])
                    .await
            }
        }
    }

    async fn create(&self, name: &MailboxName) -> Result<(), Refusal> {
        let name = match name.is_personal() {
            true => folder_name(name)?,
            // The namespace is INBOX: nothing can be made beside it.
            false => return Err(Refusal::Cannot),
        };
        let (maildir, writer) = (self.maildir.clone(), self.writer.at(clock::now()));
        let create =
            disk::task(|disk| async move { folder::create(&disk, &maildir, &name, &writer).await });
        let created = self.disks.run(create).await;
        created.map(drop).map_err(|error| folder_refusal(&error))
    }

    async fn delete(&self, name: &MailboxName) -> Result<(), Refusal> {
        let (maildir, writer) = (self.maildir.clone(), self.writer.at(clock::now()));
        let folder = folder_name(name)?;
        let delete =
            disk::task(
                |disk| async move { folder::delete(&disk, &maildir, &folder, &writer).await },
            );
        let deleted = self.disks.run(delete).await;
        deleted.map_err(|error| folder_refusal(&error))?;
        self.subscriptions(vec![Subscription::Remove(name.as_str().to_owned())])
            .await
    }

    async fn rename(&self, from: &MailboxName, to: &MailboxName) -> Result<(), Refusal> {
        let (maildir, writer) = (self.maildir.clone(), self.writer.at(clock::now()));
        let from = folder_name(from)?;
        let to = match to.is_personal() {
            true => folder_name(to)?,
            false => return Err(Refusal::Cannot),
        };
        let rename =
            disk::task(
                |disk| async move { folder::rename(&disk, &maildir, &from, &to, &writer).await },
            );
        let renamed = self.disks.run(rename).await;
        let renamed = renamed.map_err(|error| folder_refusal(&error))?;
        let changes = renamed
            .into_iter()
            .map(|(old, new)| Subscription::Rename(old.to_string(), new.to_string()));
        self.subscriptions(changes.collect()).await
    }

    async fn subscriptions(&self, changes: Vec<Subscription>) -> Result<(), Refusal> {
        let (maildir, writer) = (self.maildir.clone(), self.writer.at(clock::now()));
        let change = disk::task(|disk| async move {
            let apply = |list: &mut subscription::Subscriptions| {
                let applied = changes.iter().filter(|change| change.apply(list));
                applied.count() > 0
            };
            subscription::change(&disk, &maildir, apply, &writer).await
        });
        let changed = self.disks.run(change).await;
        changed
            .map(drop)
            .map_err(|error| subscription_refusal(&error))
    }
}

/// A change of the list of subscriptions.
#[derive(Debug)]
enum Subscription {
    Add(String),
    Remove(String),
    /// A folder that is on the list has another name.
    Rename(String, String),
}

impl Subscription {
    /// Whether it changes anything.
    fn apply(&self, list: &mut subscription::Subscriptions) -> bool {
        match self {
            Self::Add(name) => list.insert(name),
            Self::Remove(name) => list.remove(name),
            Self::Rename(old, new) => {
                let there = list.remove(old);
                if there {
                    list.insert(new);
                }
                there
            }
        }
    }
}

fn subscription_refusal(error: &SubscriptionError) -> Refusal {
    match error {
        SubscriptionError::Disk(error) => disk_refusal(error),
        _ => Refusal::Unavailable,
    }
}
