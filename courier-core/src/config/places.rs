//! Where an installation lives, and where the paths of Courier's own layout lie in it.

use std::path::{Path, PathBuf};

/// The directories of an installation (cli.md, "Where things live").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// What relative paths in settings are relative to.
    base: PathBuf,
    /// The configuration.
    etc: PathBuf,
    /// Spool, queue, locks, sockets.
    var: PathBuf,
    /// Certificates and static data.
    share: PathBuf,
}

impl Places {
    /// Everything in one root.
    #[must_use]
    pub fn in_root(root: &Path) -> Self {
        Self {
            base: root.to_path_buf(),
            etc: root.join("etc"),
            var: root.join("var"),
            share: root.join("share"),
        }
    }

    /// Courier's own layout.
    #[must_use]
    pub fn system() -> Self {
        Self {
            base: PathBuf::from(SYSCONFDIR),
            etc: PathBuf::from(SYSCONFDIR),
            var: PathBuf::from(LOCALSTATEDIR),
            share: PathBuf::from(DATADIR),
        }
    }

    /// The configuration directory.
    #[must_use]
    pub fn etc(&self) -> &Path {
        &self.etc
    }

    /// Where `authdaemonrc` and its kin are looked for, in this order.
    #[must_use]
    pub fn auth_etc(&self) -> [PathBuf; 2] {
        match self.etc.as_path() == Path::new(SYSCONFDIR) {
            true => [PathBuf::from(AUTHLIB), self.etc.clone()],
            false => [self.etc.join("authlib"), self.etc.clone()],
        }
    }

    /// The directory of what changes.
    #[must_use]
    pub fn var(&self) -> &Path {
        &self.var
    }

    /// The directory of certificates and static data.
    #[must_use]
    pub fn share(&self) -> &Path {
        &self.share
    }

    /// What a path in a setting means: one in Courier's layout its place in this
    /// installation, a relative one a place in the root.
    #[must_use]
    pub fn resolve(&self, path: &str) -> PathBuf {
        let path = Path::new(path);
        let layout = [
            (SYSCONFDIR, &self.etc),
            (AUTHLIB, &self.etc),
            (LOCALSTATEDIR, &self.var),
            (RUNDIR, &self.var),
            (DATADIR, &self.share),
        ];
        if self.etc.as_path() != Path::new(SYSCONFDIR) {
            for (from, to) in layout {
                if let Ok(rest) = path.strip_prefix(from) {
                    return to.join(rest);
                }
            }
        }
        self.base.join(path)
    }
}

/// What shell files may use without setting it, as Courier's installation defines it.
/// Paths are those of its layout; [`Places::resolve`] finds their place.
pub(super) const PREDEFINED: [(&str, &str); 9] = [
    ("prefix", "/usr"),
    ("exec_prefix", "/usr"),
    ("bindir", "/usr/bin"),
    ("sbindir", "/usr/sbin"),
    ("libexecdir", "/usr/lib/courier"),
    ("sysconfdir", SYSCONFDIR),
    ("localstatedir", LOCALSTATEDIR),
    ("datadir", DATADIR),
    ("authlibdir", AUTHLIB),
];

const SYSCONFDIR: &str = "/etc/courier";
const AUTHLIB: &str = "/etc/authlib";
const LOCALSTATEDIR: &str = "/var/lib/courier";
const RUNDIR: &str = "/run/courier";
const DATADIR: &str = "/usr/share/courier";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_couriers_layout_lie_in_the_root() {
        let places = Places::in_root(Path::new("/r"));
        for (path, wanted) in [
            ("/etc/courier/esmtpd.pem", "/r/etc/esmtpd.pem"),
            ("/etc/authlib/userdb", "/r/etc/userdb"),
            ("/run/courier/x.pid", "/r/var/x.pid"),
            ("/var/lib/courier", "/r/var"),
            ("/usr/share/courier/server.pem", "/r/share/server.pem"),
            ("share/server.pem", "/r/share/server.pem"),
            ("/etc/courierx/y", "/etc/courierx/y"),
            ("/etc/ssl/x.pem", "/etc/ssl/x.pem"),
        ] {
            assert_eq!(places.resolve(path), Path::new(wanted), "{path}");
        }
        assert_eq!(
            places.auth_etc(),
            [Path::new("/r/etc/authlib"), Path::new("/r/etc")]
        );
    }

    #[test]
    fn in_the_system_layout_paths_mean_themselves() {
        let places = Places::system();
        for path in ["/etc/courier/me", "/run/courier/x", "/etc/authlib/userdb"] {
            assert_eq!(places.resolve(path), Path::new(path));
        }
        assert_eq!(
            places.resolve("imapd.pem"),
            Path::new("/etc/courier/imapd.pem")
        );
    }
}
