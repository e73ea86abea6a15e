//! The files of `etc`: mta.md section 3, imap.md section 2, pop3.md section 1,
//! auth.md section 3.

use super::super::file::DirectoryRule;
use super::{RcFile, ShellFile, Standing, Syntax};

/// A known file of `etc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) struct KnownFile {
    pub(in crate::config) kind: Kind,
    pub(in crate::config) standing: Standing,
}

/// What a file of `etc` looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum Kind {
    /// One line.
    OneLine(Syntax),
    /// A list, one entry a line.
    List,
    /// A list, or a directory of lists.
    ListOrDirectory(DirectoryRule),
    /// A shell file.
    Shell(ShellFile),
    /// Lines of a name, blanks and a value; there may be a password among them.
    Rc(RcFile),
    /// Something that its own part reads.
    Other,
    /// The same, with passwords in it.
    Secret,
    /// It is there or not.
    Marker,
    /// A database that Courier compiles from this file or directory.
    Compiled(&'static str),
}

/// What is known of a file by its name; `None` if nothing is.
pub(in crate::config) fn file(name: &str) -> Option<KnownFile> {
    let listed = FILES.iter().find(|(known, ..)| *known == name);
    if let Some(&(_, kind, standing)) = listed {
        return Some(KnownFile { kind, standing });
    }
    let quiet = KnownFile {
        kind: Kind::Other,
        standing: Standing::Quiet,
    };
    let later = |kind| KnownFile {
        kind,
        standing: Standing::NotYet,
    };
    if left_behind(name) {
        return Some(quiet);
    }
    Some(match name.split_once('.') {
        Some(("module", _)) => later(Kind::Shell(ShellFile::Module)),
        Some(("vhost", _)) => later(Kind::Marker),
        // Certificates and the texts they are made from, those for single names, locks.
        Some((_, "pem" | "cnf" | "crt" | "key" | "lock")) => quiet,
        Some((_, rest)) if rest.starts_with("pem.") => quiet,
        // A file for one virtual host (mta.md section 2.10).
        Some((stem, _)) if FILES.iter().any(|(known, ..)| *known == stem) => later(Kind::Other),
        _ if name.starts_with("aliases-") => later(Kind::Other),
        _ => return None,
    })
}

/// Names that editors and package managers leave behind.
fn left_behind(name: &str) -> bool {
    let ends = ["~", ".dist", ".bak", ".orig", ".rpmsave", ".rpmnew", ".swp"];
    name.starts_with('.')
        || name.contains(".dpkg-")
        || name.contains(".ucf-")
        || ends.iter().any(|end| name.ends_with(end))
}

const IN_FORCE: Standing = Standing::InForce;
const NOT_YET: Standing = Standing::NotYet;
const QUIET: Standing = Standing::Quiet;
const RESTARTS: Standing = Standing::NoEffect("the scheduler needs no restarts");
const TEXT: Kind = Kind::OneLine(Syntax::Text);
const NUMBER: Kind = Kind::OneLine(Syntax::Number);
const TIME: Kind = Kind::OneLine(Syntax::Time);
const OTHER: Kind = Kind::Other;
const COMPILED: Kind = Kind::ListOrDirectory(DirectoryRule::Compiled);
const ALIASES: Kind = Kind::ListOrDirectory(DirectoryRule::Aliases);

const FILES: &[(&str, Kind, Standing)] = &[
    // Names and domains, mta.md section 3.1.
    ("me", TEXT, IN_FORCE),
    ("defaultdomain", TEXT, IN_FORCE),
    ("msgidhost", TEXT, NOT_YET),
    ("esmtphelo", TEXT, NOT_YET),
    ("esmtpgreeting", OTHER, NOT_YET),
    ("locals", Kind::List, IN_FORCE),
    ("hosteddomains", COMPILED, IN_FORCE),
    ("hosteddomains.dat", Kind::Compiled("hosteddomains"), QUIET),
    ("locallowercase", Kind::Marker, IN_FORCE),
    ("defaultsep", TEXT, NOT_YET),
    ("dotextension", TEXT, NOT_YET),
    ("ipout", TEXT, NOT_YET),
    ("ip6out", TEXT, NOT_YET),
    // Receiving, section 3.2.
    ("esmtpacceptmailfor", Kind::List, IN_FORCE),
    ("esmtpacceptmailfor.dir", COMPILED, IN_FORCE),
    (
        "esmtpacceptmailfor.dat",
        Kind::Compiled("esmtpacceptmailfor.dir"),
        QUIET,
    ),
    ("esmtppercentrelay", Kind::List, NOT_YET),
    ("esmtppercentrelay.dir", COMPILED, NOT_YET),
    (
        "esmtppercentrelay.dat",
        Kind::Compiled("esmtppercentrelay.dir"),
        QUIET,
    ),
    ("esmtpd", Kind::Shell(ShellFile::Esmtpd), IN_FORCE),
    ("esmtpd-msa", Kind::Shell(ShellFile::Esmtpd), IN_FORCE),
    ("esmtpd-ssl", Kind::Shell(ShellFile::Esmtpd), IN_FORCE),
    ("smtpaccess", COMPILED, NOT_YET),
    ("smtpaccess.dat", Kind::Compiled("smtpaccess"), QUIET),
    ("bofh", OTHER, NOT_YET),
    ("sizelimit", NUMBER, IN_FORCE),
    ("batchsize", TEXT, NOT_YET),
    ("enablefiltering", TEXT, NOT_YET),
    ("maildropfilter", TEXT, NOT_YET),
    ("aliasfilteracct", TEXT, NOT_YET),
    ("filters", OTHER, NOT_YET),
    ("aliases", ALIASES, NOT_YET),
    ("aliases.dat", Kind::Compiled("aliases"), QUIET),
    ("ldapaliasrc", Kind::Rc(RcFile::LdapAlias), NOT_YET),
    ("aliasdir", OTHER, NOT_YET),
    // Queue and scheduling, section 3.3.
    ("queuetime", TIME, NOT_YET),
    ("faxqueuetime", TIME, NOT_YET),
    ("warntime", TIME, NOT_YET),
    ("retryalpha", TIME, NOT_YET),
    ("retrybeta", NUMBER, NOT_YET),
    ("retrygamma", TIME, NOT_YET),
    ("retrymaxdelta", NUMBER, NOT_YET),
    ("submitdelay", TIME, NOT_YET),
    ("backuprelay", TEXT, NOT_YET),
    ("queuelo", NUMBER, NOT_YET),
    ("queuehi", NUMBER, NOT_YET),
    ("queuefill", TIME, NOT_YET),
    ("respawnlo", TIME, RESTARTS),
    ("respawnhi", TIME, RESTARTS),
    ("localtimeout", TIME, NOT_YET),
    // Sending and reporting, section 3.4.
    ("esmtproutes", OTHER, NOT_YET),
    ("esmtpauthclient", Kind::Secret, NOT_YET),
    ("esmtpdelay", TIME, NOT_YET),
    ("esmtptimeout", TIME, NOT_YET),
    ("esmtptimeoutconnect", TIME, NOT_YET),
    ("esmtptimeoutdata", TIME, NOT_YET),
    ("esmtptimeouthelo", TIME, NOT_YET),
    ("esmtptimeoutquit", TIME, NOT_YET),
    ("esmtptimeoutkeepalive", TIME, NOT_YET),
    ("esmtptimeoutkeepaliveping", TIME, NOT_YET),
    ("dsnfrom", TEXT, NOT_YET),
    ("dsnlimit", NUMBER, NOT_YET),
    ("dsnsubjectnotice.txt", OTHER, NOT_YET),
    ("dsnsubjectwarn.txt", OTHER, NOT_YET),
    ("dsnheader.txt", OTHER, NOT_YET),
    ("dsndelivered.txt", OTHER, NOT_YET),
    ("dsnrelayed.txt", OTHER, NOT_YET),
    ("dsnfailed.txt", OTHER, NOT_YET),
    ("dsndelayed.txt", OTHER, NOT_YET),
    ("dsnfooter.txt", OTHER, NOT_YET),
    ("courierd", Kind::Shell(ShellFile::Courierd), NOT_YET),
    ("uucpme", TEXT, NOT_YET),
    ("uucpneighbors", COMPILED, NOT_YET),
    ("uucpneighbors.dat", Kind::Compiled("uucpneighbors"), QUIET),
    ("uucprewriteheaders", Kind::Marker, NOT_YET),
    ("faxrc", OTHER, NOT_YET),
    ("faxcoverpage.tr", OTHER, NOT_YET),
    ("faxnotifyrc", OTHER, NOT_YET),
    ("maildrop", TEXT, NOT_YET),
    ("maildroprc", OTHER, NOT_YET),
    ("maildroprcs", OTHER, NOT_YET),
    ("autoresponsesquota", TEXT, NOT_YET),
    ("maildirshared", OTHER, NOT_YET),
    ("maildirfilterconfig", OTHER, NOT_YET),
    // For webmail alone.
    ("calendarmode", OTHER, QUIET),
    ("ldapaddressbook", OTHER, QUIET),
    ("ldapaddressbook.dist", OTHER, QUIET),
    ("logindomainlist", OTHER, QUIET),
    ("nochangingfrom", OTHER, QUIET),
    ("usexsender", OTHER, QUIET),
    ("sqwebmaild", OTHER, QUIET),
    ("webadmin", OTHER, QUIET),
    // IMAP and POP3.
    ("imapd", Kind::Shell(ShellFile::Imapd), IN_FORCE),
    ("imapd-ssl", Kind::Shell(ShellFile::Imapd), IN_FORCE),
    ("imapaccess", COMPILED, NOT_YET),
    ("imapaccess.dat", Kind::Compiled("imapaccess"), QUIET),
    ("shared", OTHER, NOT_YET),
    ("shared.tmp", OTHER, QUIET),
    ("pop3d", Kind::Shell(ShellFile::Pop3d), IN_FORCE),
    ("pop3d-ssl", Kind::Shell(ShellFile::Pop3d), IN_FORCE),
    // Accounts, auth.md section 3.
    ("authlib", OTHER, QUIET),
    (
        "authdaemonrc",
        Kind::Shell(ShellFile::Authdaemonrc),
        NOT_YET,
    ),
    ("authldaprc", Kind::Rc(RcFile::Ldap), NOT_YET),
    ("authmysqlrc", Kind::Rc(RcFile::Mysql), NOT_YET),
    ("authpgsqlrc", Kind::Rc(RcFile::Pgsql), NOT_YET),
    ("authsqliterc", Kind::Rc(RcFile::Sqlite), NOT_YET),
    ("authProg", OTHER, NOT_YET),
    ("userdb", Kind::Secret, NOT_YET),
    ("userdb.dat", Kind::Compiled("userdb"), QUIET),
    ("userdbshadow.dat", Kind::Compiled("userdb"), QUIET),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_file_is_listed_twice() {
        let mut seen = HashSet::new();
        for (name, ..) in FILES {
            assert!(seen.insert(name), "{name}");
        }
    }

    #[test]
    fn files_are_known_by_name_or_pattern() {
        let standing = |name| file(name).map(|known| known.standing);
        assert_eq!(standing("me"), Some(IN_FORCE));
        assert_eq!(standing("me.example.com"), Some(NOT_YET));
        assert_eq!(standing("module.esmtp"), Some(NOT_YET));
        assert_eq!(standing("vhost.192.0.2.1"), Some(NOT_YET));
        assert_eq!(standing("aliases-esmtp"), Some(NOT_YET));
        for name in [
            "esmtpd~",
            ".git",
            "imapd.dist",
            "imapd.pem",
            "imapd.pem.mx.example.com",
            "x.dpkg-old",
        ] {
            assert_eq!(standing(name), Some(QUIET), "{name}");
        }
        assert_eq!(standing("sizelimits"), None);
    }
}
