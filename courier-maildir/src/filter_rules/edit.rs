//! Editing the rules: import, load and save as often as wanted, commit.
//!
//! Between pages a webmail server remembers nothing, so the draft lies in the maildir.
//! The recipe that maildrop runs is the old one until [`commit`], then the new one.

use std::path::Path;

use courier_core::disk::{Disk, DiskError, DiskErrorKind, Op};

use super::config::Config;
use super::recipe::{Recipe, RecipeError};
use crate::replace::replace;
use crate::writer::Writer;

/// Where the rules lie that are being edited, in the maildir.
pub const DRAFT_FILE: &str = "maildirfilter.tmp";

/// Why rules were not read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// The recipe is not one that can be edited.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// Nobody has begun to edit.
    #[error("the filter rules are not being edited")]
    NotBegun,
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Begins to edit: the recipe's rules go into the draft, in the place of an older
/// draft. Without a recipe the draft is a blank one of the user with this address.
///
/// # Errors
/// When the recipe cannot be edited, or the disk refuses.
pub async fn import(
    disk: &Disk,
    maildir: &Path,
    config: &Config,
    from: &str,
    writer: &Writer,
) -> Result<Recipe, FilterError> {
    let recipe = match read(disk, &maildir.join(&config.recipe)).await? {
        Some(octets) => Recipe::parse(&octets)?,
        None => Recipe::new(from).unwrap_or_default(),
    };
    save(disk, maildir, config, &recipe, writer).await?;
    Ok(recipe)
}

/// Reads the draft.
///
/// # Errors
/// When there is none, or the disk refuses.
pub async fn load(disk: &Disk, maildir: &Path) -> Result<Recipe, FilterError> {
    let octets = read(disk, &maildir.join(DRAFT_FILE)).await?;
    Ok(Recipe::parse(&octets.ok_or(FilterError::NotBegun)?)?)
}

/// Writes the draft, readable by its owner alone; durable.
///
/// # Errors
/// What the disk says; the old draft is then there as before.
pub async fn save(
    disk: &Disk,
    maildir: &Path,
    config: &Config,
    recipe: &Recipe,
    writer: &Writer,
) -> Result<(), FilterError> {
    let text = recipe.print(&config.places).into_bytes();
    let (tmp, target) = (maildir.join("tmp"), maildir.join(DRAFT_FILE));
    // maildrop runs no recipe that others may write.
    let mut owner = writer.clone();
    owner.mode = 0o600;
    replace(disk, &tmp, &target, text, &owner).await?;
    Ok(())
}

/// Ends editing: the draft becomes the recipe; durable. The draft's and the recipe's
/// directory are on one file system.
///
/// # Errors
/// When there is no draft, or it is damaged: the recipe is then there as before. When
/// the disk refuses the recipe is the old one or the new one.
pub async fn commit(disk: &Disk, maildir: &Path, config: &Config) -> Result<(), FilterError> {
    load(disk, maildir).await?;
    let (draft, recipe) = (maildir.join(DRAFT_FILE), maildir.join(&config.recipe));
    disk.one(Op::Sync(draft.clone())).await?;
    let directory = recipe.parent().unwrap_or(maildir).to_path_buf();
    let rename = Op::Rename {
        from: draft,
        to: recipe,
    };
    disk.one(rename).await?;
    disk.one(Op::SyncDir(directory)).await?;
    Ok(())
}

/// Ends editing without a change.
///
/// # Errors
/// What the disk says.
pub async fn discard(disk: &Disk, maildir: &Path) -> Result<(), FilterError> {
    match disk.one(Op::Unlink(maildir.join(DRAFT_FILE))).await {
        Err(error) if error.kind != DiskErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

async fn read(disk: &Disk, path: &Path) -> Result<Option<Vec<u8>>, DiskError> {
    match disk.read(path, 0..Recipe::LENGTH_LIMIT as u64 + 1).await {
        Ok(octets) => Ok(Some(octets)),
        Err(error) if error.kind == DiskErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Draft, Rule};
    use super::*;
    use crate::writer::tests::writer;
    use courier_core::disk;
    use courier_core::testing::{MemDisk, Promises, crash_everywhere, fail_everywhere};

    const MAILDIR: &str = "/home/Maildir";
    const RECIPE: &str = "/home/.mailfilter";

    fn config() -> Config {
        Config::parse(b"MAILDIRFILTER=/home/.mailfilter\n").expect("a recipe")
    }

    fn start() -> MemDisk {
        let mut disk = MemDisk::new();
        disk.plant_directory("/home/Maildir/tmp");
        disk.plant_file(RECIPE, OLD);
        disk
    }

    const OLD: &[u8] = b"#MFMAILDROP=2\nFROM='ann@example.com'\n";

    fn rule() -> Rule {
        let draft = Draft {
            name: "a".into(),
            folder: ".a".into(),
            ..Draft::default()
        };
        Rule::new(draft).expect("a rule")
    }

    async fn edit(disk: Disk, writer: Writer) -> Result<(), FilterError> {
        let (maildir, config) = (Path::new(MAILDIR), config());
        import(&disk, maildir, &config, "ann@example.com", &writer).await?;
        let mut recipe = load(&disk, maildir).await?;
        recipe.insert(0, rule()).expect("put");
        save(&disk, maildir, &config, &recipe, &writer).await?;
        commit(&disk, maildir, &config).await
    }

    fn recipe(disk: &MemDisk) -> Vec<u8> {
        disk.contents(RECIPE).unwrap_or_default()
    }

    #[test]
    fn what_is_committed_is_the_recipe() {
        let mut disk = start();
        let writer = writer(disk.now());
        disk.run(disk::task(|disk| edit(disk, writer)))
            .expect("edited");
        let disk = disk.crash_losing_all();
        let recipe = Recipe::parse(&recipe(&disk)).expect("a recipe");
        assert_eq!(recipe.rules(), [rule()]);
        assert_eq!(recipe.from(), "ann@example.com");
        assert!(
            disk.names("/home/Maildir")
                .iter()
                .all(|name| name != DRAFT_FILE)
        );
    }

    #[test]
    fn a_crash_or_an_error_leaves_the_old_recipe_or_the_new_one() {
        let start = start();
        let writer = writer(start.now());
        let task = |promises: Promises<()>| {
            let writer = writer.clone();
            disk::task(|disk| async move {
                edit(disk, writer).await?;
                promises.make(());
                Ok::<(), FilterError>(())
            })
        };
        let check = |disk: &MemDisk, promised: bool| {
            let recipe = Recipe::parse(&recipe(disk)).expect("a recipe");
            assert!(recipe.rules() == [rule()] || !promised && recipe.rules().is_empty());
        };
        crash_everywhere(&start, task, |disk, promises| {
            check(disk, !promises.is_empty())
        });
        fail_everywhere(&start, task, |disk, given, _| check(disk, given.is_ok()));
    }

    #[test]
    fn a_recipe_of_others_stays_and_nothing_is_committed_without_a_draft() {
        let mut disk = start();
        disk.plant_file(RECIPE, b"to /dev/null\n");
        let now = writer(disk.now());
        let refused = disk.run(disk::task(|disk| edit(disk, now)));
        assert_eq!(refused, Err(FilterError::Recipe(RecipeError::Foreign)));
        let task =
            disk::task(|disk| async move { commit(&disk, Path::new(MAILDIR), &config()).await });
        assert_eq!(disk.run(task), Err(FilterError::NotBegun));
        assert_eq!(recipe(&disk), b"to /dev/null\n");
    }
}
