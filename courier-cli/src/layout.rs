//! Where an installation lives: one root, or Courier's own places.

use std::env;
use std::path::{Path, PathBuf};

use courier_core::config::Places;

/// The directories of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Configuration, static data and what changes.
    pub places: Places,
    /// The journal and messages under way.
    pub spool: PathBuf,
    /// The homes of accounts, `DOMAIN/USER`.
    pub home: PathBuf,
    /// The root that holds all of these, if there is one.
    pub root: Option<PathBuf>,
}

impl Layout {
    /// The layout of this root; without one, of that in the environment variable
    /// `COURIER_ROOT`; else the system's.
    #[must_use]
    pub fn choose(root: Option<&Path>) -> Self {
        let variable = env::var_os("COURIER_ROOT").filter(|value| !value.is_empty());
        match root.map(Path::to_path_buf).or(variable.map(PathBuf::from)) {
            Some(root) => Self::in_root(&root),
            None => Self::system(),
        }
    }

    /// Everything below one directory. A relative one is taken from the working
    /// directory now, so that it stays the same when that changes.
    #[must_use]
    pub fn in_root(root: &Path) -> Self {
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_path_buf());
        Self {
            places: Places::in_root(&root),
            spool: root.join("var/spool"),
            home: root.join("home"),
            root: Some(root),
        }
    }

    /// Courier's own places. A packager may choose others for the spool and the homes
    /// at build time, by `COURIER_SPOOL` and `COURIER_HOME`.
    #[must_use]
    pub fn system() -> Self {
        let place = |chosen: Option<&str>, usual: &str| PathBuf::from(chosen.unwrap_or(usual));
        Self {
            places: Places::system(),
            spool: place(option_env!("COURIER_SPOOL"), "/var/spool/courier"),
            home: place(option_env!("COURIER_HOME"), "/var/lib/courier/home"),
            root: None,
        }
    }

    /// The configuration directory.
    #[must_use]
    pub fn etc(&self) -> &Path {
        self.places.etc()
    }

    /// The directory of what changes.
    #[must_use]
    pub fn var(&self) -> &Path {
        self.places.var()
    }

    /// The directory of certificates and static data.
    #[must_use]
    pub fn share(&self) -> &Path {
        self.places.share()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_holds_everything() {
        let layout = Layout::choose(Some(Path::new("/srv/mail")));
        assert_eq!(layout.root.as_deref(), Some(Path::new("/srv/mail")));
        let (spool, home) = (layout.spool.as_path(), layout.home.as_path());
        for place in [layout.etc(), layout.var(), layout.share(), spool, home] {
            assert!(place.starts_with("/srv/mail"));
        }
    }

    #[test]
    fn a_relative_root_is_made_absolute() {
        let layout = Layout::in_root(Path::new("mail"));
        assert!(layout.etc().is_absolute() && layout.etc().ends_with("mail/etc"));
    }

    #[test]
    fn the_system_has_places_of_its_own() {
        let layout = Layout::system();
        assert_eq!(layout.etc(), Path::new("/etc/courier"));
        assert_eq!(layout.spool, Path::new("/var/spool/courier"));
        assert_eq!(layout.root, None);
    }
}
