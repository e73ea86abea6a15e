//! The variables of the shell files: mta.md sections 1, 3.5, 3.7 and 3.8, imap.md
//! section 2, pop3.md section 1, auth.md section 3.

use super::{Known, Standing, Syntax};

/// Shell files with the same variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum ShellFile {
    /// `esmtpd`, `esmtpd-msa`, `esmtpd-ssl`.
    Esmtpd,
    /// `imapd`, `imapd-ssl`.
    Imapd,
    /// `pop3d`, `pop3d-ssl`.
    Pop3d,
    /// `courierd`.
    Courierd,
    /// `module.NAME`.
    Module,
    /// `authdaemonrc`.
    Authdaemonrc,
}

type Table = [(&'static str, Standing, Syntax)];

/// What is known of a variable in such a file.
pub(in crate::config) fn variable(file: ShellFile, name: &str) -> Option<Known> {
    let listed = |table: &Table| {
        let found = table.iter().find(|(known, ..)| *known == name);
        found.map(|&(_, standing, syntax)| Known { standing, syntax })
    };
    // Courier: every variable of this file reaches the programs of local deliveries.
    let environment = Known {
        standing: NOT_YET,
        syntax: TEXT,
    };
    let of_port = matches!(file, ShellFile::Imapd | ShellFile::Pop3d)
        && name.strip_prefix("AUTHSERVICE").is_some_and(is_number);
    tables(file)
        .iter()
        .find_map(|table| listed(table))
        .or_else(|| (of_port || file == ShellFile::Courierd).then_some(environment))
}

/// The known variable that a misspelt one may have meant.
pub(in crate::config) fn nearest(file: ShellFile, name: &str) -> Option<&'static str> {
    tables(file)
        .iter()
        .flat_map(|table| table.iter())
        .map(|(known, ..)| (distance(name, known), *known))
        .filter(|(distance, known)| *distance <= 2 && *distance * 3 <= known.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit())
}

/// Levenshtein's distance; long names are not compared, and count as far apart.
fn distance(a: &str, b: &str) -> usize {
    const LONGEST: usize = 64;
    if a.len().max(b.len()) > LONGEST {
        return LONGEST;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (line, from) in (1..).zip(a.bytes()) {
        let (mut diagonal, mut left) = (line - 1, line);
        for (cell, to) in row.iter_mut().skip(1).zip(b.bytes()) {
            let changed = diagonal + usize::from(from != to);
            diagonal = *cell;
            left = changed.min(left + 1).min(diagonal + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = line;
        }
    }
    row.last().copied().unwrap_or(LONGEST)
}

fn tables(file: ShellFile) -> &'static [&'static Table] {
    match file {
        ShellFile::Esmtpd => &[ESMTPD, BOFH, TLS, COMMON],
        ShellFile::Imapd => &[IMAPD, TLS, COMMON],
        ShellFile::Pop3d => &[POP3D, TLS, COMMON],
        ShellFile::Courierd => &[COURIERD, TLS, COMMON],
        ShellFile::Module => &[MODULE],
        ShellFile::Authdaemonrc => &[AUTHDAEMONRC],
    }
}

const IN_FORCE: Standing = Standing::InForce;
const NOT_YET: Standing = Standing::NotYet;
const TEXT: Syntax = Syntax::Text;
const NUMBER: Syntax = Syntax::Number;
const FLAG: Syntax = Syntax::Flag;
const YES_NO: Syntax = Syntax::YesNo;

/// Servers are no processes of their own here.
const ONE_PROCESS: Standing =
    Standing::NoEffect("one process serves everything, as the owner of the mailboxes");
const LOG: Standing = Standing::NoEffect("the log goes to standard error");
const TLS_BUILT_IN: Standing = Standing::NoEffect("TLS is built in");
const NO_DH: Standing = Standing::NoEffect("only elliptic curves are used for key exchange");
const NO_CACHE: Standing =
    Standing::NoEffect("sessions are resumed by tickets, without a cache file");
const WEB_ADMIN: Standing = Standing::NoEffect("it is for the web administration of Courier");
const CHILD: Standing = Standing::NoEffect("the server starts no programs through a shell");

/// Variables that any of the servers' files may set.
const COMMON: &Table = &[
    ("prefix", Standing::Quiet, TEXT),
    ("exec_prefix", Standing::Quiet, TEXT),
    ("bindir", Standing::Quiet, TEXT),
    ("sbindir", Standing::Quiet, TEXT),
    ("libexecdir", Standing::Quiet, TEXT),
    ("sysconfdir", Standing::Quiet, TEXT),
    ("localstatedir", Standing::Quiet, TEXT),
    ("datadir", Standing::Quiet, TEXT),
    ("authlibdir", Standing::Quiet, TEXT),
    ("PATH", CHILD, TEXT),
    ("SHELL", CHILD, TEXT),
    ("LANG", CHILD, TEXT),
    ("LC_ALL", CHILD, TEXT),
    ("LC_CTYPE", CHILD, TEXT),
    ("CHARSET", CHILD, TEXT),
    ("TZ", CHILD, TEXT),
];

/// `TLS_…` of all services.
const TLS: &Table = &[
    ("TLS_CERTFILE", IN_FORCE, TEXT),
    ("TLS_PRIVATE_KEYFILE", IN_FORCE, TEXT),
    ("COURIERTLS", TLS_BUILT_IN, TEXT),
    ("TLS_DHPARAMS", NO_DH, TEXT),
    ("TLS_DHCERTFILE", NO_DH, TEXT),
    ("TLS_MIN_DH_BITS", NO_DH, TEXT),
    ("TLS_PROTOCOL", NOT_YET, TEXT),
    ("TLS_STARTTLS_PROTOCOL", NOT_YET, TEXT),
    ("TLS_CIPHER_LIST", NOT_YET, TEXT),
    ("TLS_PRIORITY", NOT_YET, TEXT),
    (
        "TLS_COMPRESSION",
        Standing::NoEffect("TLS never compresses here"),
        TEXT,
    ),
    (
        "TLS_TIMEOUT",
        Standing::NoEffect("Courier does not use it either"),
        TEXT,
    ),
    ("TLS_TRUSTCERTS", NOT_YET, TEXT),
    ("TLS_TRUSTSECURITYCERTS", NOT_YET, TEXT),
    ("TLS_VERIFYPEER", NOT_YET, TEXT),
    ("TLS_EXTERNAL", NOT_YET, TEXT),
    ("TLS_CACHEFILE", NO_CACHE, TEXT),
    ("TLS_CACHESIZE", NO_CACHE, NUMBER),
    ("TLS_ALPN", NOT_YET, TEXT),
];

const ESMTPD: &Table = &[
    ("PORT", IN_FORCE, TEXT),
    ("ADDRESS", IN_FORCE, TEXT),
    ("SSLPORT", IN_FORCE, TEXT),
    ("SSLADDRESS", IN_FORCE, TEXT),
    ("MAXDAEMONS", IN_FORCE, NUMBER),
    ("MAXPERC", IN_FORCE, NUMBER),
    ("MAXPERIP", IN_FORCE, NUMBER),
    ("TARPIT", IN_FORCE, FLAG),
    ("ESMTPDSTART", IN_FORCE, YES_NO),
    ("ESMTPDSSLSTART", IN_FORCE, YES_NO),
    ("ULIMIT", NOT_YET, NUMBER),
    ("ACCESSFILE", NOT_YET, TEXT),
    ("BLACKLISTS", NOT_YET, TEXT),
    ("ALLOW_EXCLUSIVE", NOT_YET, FLAG),
    ("DROP", NOT_YET, TEXT),
    ("TCPDOPTS", NOT_YET, TEXT),
    ("NOADDMSGID", NOT_YET, FLAG),
    ("NOADDDATE", NOT_YET, FLAG),
    ("NOADDRREWRITE", NOT_YET, NUMBER),
    ("AUTH_REQUIRED", NOT_YET, FLAG),
    ("ESMTPAUTH", NOT_YET, TEXT),
    ("ESMTPAUTH_TLS", NOT_YET, TEXT),
    ("ESMTPAUTH_WEBADMIN", WEB_ADMIN, TEXT),
    ("ESMTPAUTH_TLS_WEBADMIN", WEB_ADMIN, TEXT),
    ("ESMTP_TLS_REQUIRED", NOT_YET, FLAG),
    ("ESMTP_LOG_DIALOG", NOT_YET, FLAG),
    ("DEFDOMAIN", NOT_YET, TEXT),
    ("DOMAINSEP", NOT_YET, TEXT),
    ("SIZELIMIT", NOT_YET, NUMBER),
    ("RELAYCLIENT", NOT_YET, TEXT),
    ("FAXRELAYCLIENT", NOT_YET, TEXT),
    ("BLOCK", NOT_YET, TEXT),
    ("BLOCK2", NOT_YET, TEXT),
    ("MIME", NOT_YET, TEXT),
    ("DSNENVID", NOT_YET, TEXT),
    ("DSNNOTIFY", NOT_YET, TEXT),
    ("DSNRET", NOT_YET, TEXT),
    ("SYSLOGNAME", LOG, TEXT),
    ("LOGGEROPTS", LOG, TEXT),
    ("SSLLOGGEROPTS", LOG, TEXT),
    ("PIDFILE", ONE_PROCESS, TEXT),
    ("SSLPIDFILE", ONE_PROCESS, TEXT),
    ("MAILUSER", ONE_PROCESS, TEXT),
    ("MAILGROUP", ONE_PROCESS, TEXT),
];

/// What `opt` of `bofh` sets, and `esmtpd` may set as well.
const BOFH: &Table = &[
    ("BOFHCHECKDNS", NOT_YET, FLAG),
    ("BOFHNOEXPN", NOT_YET, FLAG),
    ("BOFHNOVRFY", NOT_YET, FLAG),
    ("BOFHCHECKHELO", NOT_YET, NUMBER),
    ("BOFHHEADERLIMIT", NOT_YET, NUMBER),
    ("BOFHSPFHELO", NOT_YET, TEXT),
    ("BOFHSPFMAILFROM", NOT_YET, TEXT),
    ("BOFHSPFFROM", NOT_YET, TEXT),
    ("BOFHSPFHARDERROR", NOT_YET, TEXT),
    ("BOFHSPFTRUSTME", NOT_YET, FLAG),
    ("BOFHSPFNOVERBOSE", NOT_YET, FLAG),
    ("BOFHSUPPRESSBACKSCATTER", NOT_YET, TEXT),
    ("BOFHNOBASE64TEXT", NOT_YET, FLAG),
    ("BOFHBADMIME", NOT_YET, TEXT),
];

const IMAPD: &Table = &[
    ("PORT", IN_FORCE, TEXT),
    ("ADDRESS", IN_FORCE, TEXT),
    ("SSLPORT", IN_FORCE, TEXT),
    ("SSLADDRESS", IN_FORCE, TEXT),
    ("MAXDAEMONS", IN_FORCE, NUMBER),
    ("MAXPERIP", IN_FORCE, NUMBER),
    ("IMAPDSTART", IN_FORCE, YES_NO),
    ("IMAPDSSLSTART", IN_FORCE, YES_NO),
    ("TCPDOPTS", NOT_YET, TEXT),
    ("IMAPACCESSFILE", NOT_YET, TEXT),
    ("DEFDOMAIN", NOT_YET, TEXT),
    ("DOMAINSEP", NOT_YET, TEXT),
    ("IMAP_CAPABILITY", NOT_YET, TEXT),
    ("IMAP_CAPABILITY_TLS", NOT_YET, TEXT),
    ("IMAP_CAPABILITY_ORIG", WEB_ADMIN, TEXT),
    ("IMAP_CAPABILITY_TLS_ORIG", WEB_ADMIN, TEXT),
    ("IMAP_KEYWORDS", NOT_YET, NUMBER),
    ("IMAP_ACL", NOT_YET, FLAG),
    ("SMAP_CAPABILITY", NOT_YET, TEXT),
    ("SMAP1_CAPABILITY", NOT_YET, TEXT),
    ("IMAP_PROXY", NOT_YET, FLAG),
    ("PROXY_HOSTNAME", NOT_YET, TEXT),
    ("IMAP_PROXY_FOREIGN", NOT_YET, FLAG),
    ("IMAP_IDLE_TIMEOUT", NOT_YET, NUMBER),
    ("IMAP_MAILBOX_SANITY_CHECK", NOT_YET, FLAG),
    ("IMAP_DISABLETHREADSORT", NOT_YET, FLAG),
    ("IMAP_CHECK_ALL_FOLDERS", NOT_YET, FLAG),
    ("IMAP_OBSOLETE_CLIENT", NOT_YET, FLAG),
    ("IMAP_UMASK", NOT_YET, NUMBER),
    ("IMAP_ULIMITD", NOT_YET, NUMBER),
    ("IMAP_USELOCKS", NOT_YET, FLAG),
    ("IMAP_SHAREDINDEXFILE", NOT_YET, TEXT),
    ("IMAP_SHAREDMUNGENAMES", NOT_YET, TEXT),
    (
        "IMAP_ENHANCEDIDLE",
        Standing::NoEffect("changes are always watched for"),
        FLAG,
    ),
    ("IMAP_TRASHFOLDERNAME", IN_FORCE, TEXT),
    ("IMAP_EMPTYTRASH", IN_FORCE, TEXT),
    ("IMAP_MOVE_EXPUNGE_TO_TRASH", IN_FORCE, FLAG),
    ("IMAP_LOG_DELETIONS", NOT_YET, TEXT),
    ("AUTH_MKHOMEDIR_SKEL", NOT_YET, TEXT),
    ("IMAPDEBUGFILE", NOT_YET, TEXT),
    ("OUTBOX", NOT_YET, TEXT),
    ("SENDMAIL", NOT_YET, TEXT),
    ("HEADERFROM", NOT_YET, TEXT),
    ("OUTBOX_MULTIPLE_SEND", NOT_YET, TEXT),
    ("IMAP_ID_FIELDS", NOT_YET, TEXT),
    ("IMAP_BROKENUIDV", NOT_YET, TEXT),
    ("MAILDIRPATH", NOT_YET, TEXT),
    ("IMAPDSTARTTLS", NOT_YET, YES_NO),
    ("IMAP_TLS_REQUIRED", NOT_YET, FLAG),
    ("LOGGEROPTS", LOG, TEXT),
    ("SSLLOGGEROPTS", LOG, TEXT),
    ("PIDFILE", ONE_PROCESS, TEXT),
    ("SSLPIDFILE", ONE_PROCESS, TEXT),
];

const POP3D: &Table = &[
    ("PORT", IN_FORCE, TEXT),
    ("ADDRESS", IN_FORCE, TEXT),
    ("SSLPORT", IN_FORCE, TEXT),
    ("SSLADDRESS", IN_FORCE, TEXT),
    ("MAXDAEMONS", IN_FORCE, NUMBER),
    ("MAXPERIP", IN_FORCE, NUMBER),
    ("POP3DSTART", IN_FORCE, YES_NO),
    ("POP3DSSLSTART", IN_FORCE, YES_NO),
    ("TCPDOPTS", NOT_YET, TEXT),
    ("POP3AUTH", NOT_YET, TEXT),
    ("POP3AUTH_TLS", NOT_YET, TEXT),
    ("POP3AUTH_ORIG", WEB_ADMIN, TEXT),
    ("POP3AUTH_TLS_ORIG", WEB_ADMIN, TEXT),
    ("POP3_PROXY", NOT_YET, FLAG),
    ("PROXY_HOSTNAME", NOT_YET, TEXT),
    ("DEFDOMAIN", NOT_YET, TEXT),
    ("DOMAINSEP", NOT_YET, TEXT),
    ("POP3_LOG_DELETIONS", NOT_YET, TEXT),
    ("AUTH_MKHOMEDIR_SKEL", NOT_YET, TEXT),
    ("MAILDIRPATH", NOT_YET, TEXT),
    ("MIME_UNICODE_MESSAGE_TYPE", NOT_YET, TEXT),
    ("POP3_STARTTLS", NOT_YET, YES_NO),
    ("POP3_TLS_REQUIRED", NOT_YET, FLAG),
    ("LOGGEROPTS", LOG, TEXT),
    ("SSLLOGGEROPTS", LOG, TEXT),
    ("PIDFILE", ONE_PROCESS, TEXT),
    ("SSLPIDFILE", ONE_PROCESS, TEXT),
];

/// What is not listed is not unknown either: see [`variable`].
const COURIERD: &Table = &[
    ("PATH", NOT_YET, TEXT),
    ("SHELL", NOT_YET, TEXT),
    ("DSNNOTIFY", NOT_YET, TEXT),
    ("DSNTOAUTHADDR", NOT_YET, FLAG),
    ("DYNAMICDELIVERIES", NOT_YET, FLAG),
    ("ESMTP_CORK", NOT_YET, FLAG),
    ("UUXFLAGS", NOT_YET, TEXT),
    ("ESMTP_USE_STARTTLS", NOT_YET, FLAG),
    ("ESMTP_TLS_VERIFY_DOMAIN", NOT_YET, FLAG),
    ("ESMTP_PREFER_IPV6_MX", NOT_YET, FLAG),
    ("DSNDEFAULTNOTIFYDELAY", NOT_YET, FLAG),
    ("MAXSUBMITTERS", NOT_YET, NUMBER),
    ("TLS_CERTFILE", NOT_YET, TEXT),
    ("TLS_PRIVATE_KEYFILE", NOT_YET, TEXT),
];

const MODULE: &Table = &[
    ("NAME", NOT_YET, TEXT),
    ("PRIORITY", NOT_YET, NUMBER),
    ("PROG", Standing::NoEffect("the modules are built in"), TEXT),
    ("MAXDELS", NOT_YET, NUMBER),
    ("MAXHOST", NOT_YET, NUMBER),
    ("MAXRCPT", NOT_YET, NUMBER),
];

const AUTHDAEMONRC: &Table = &[
    ("authmodulelist", NOT_YET, TEXT),
    ("authmodulelistorig", WEB_ADMIN, TEXT),
    ("daemons", NOT_YET, NUMBER),
    ("authdaemonvar", NOT_YET, TEXT),
    ("subsystem", ONE_PROCESS, TEXT),
    ("DEBUG_LOGIN", NOT_YET, NUMBER),
    ("DEFAULTOPTIONS", NOT_YET, TEXT),
    ("LOGGEROPTS", LOG, TEXT),
    ("LDAPTLS_CACERT", NOT_YET, TEXT),
    ("LDAPTLS_CACERTDIR", NOT_YET, TEXT),
    ("LDAPTLS_CERT", NOT_YET, TEXT),
    ("LDAPTLS_KEY", NOT_YET, TEXT),
    ("LDAPTLS_CIPHER_SUITE", NOT_YET, TEXT),
    ("LDAPTLS_REQCERT", NOT_YET, TEXT),
    ("TIMEOUT_SOCK", NOT_YET, NUMBER),
    ("TIMEOUT_WRITE", NOT_YET, NUMBER),
    ("TIMEOUT_READ", NOT_YET, NUMBER),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    const FILES: [ShellFile; 6] = [
        ShellFile::Esmtpd,
        ShellFile::Imapd,
        ShellFile::Pop3d,
        ShellFile::Courierd,
        ShellFile::Module,
        ShellFile::Authdaemonrc,
    ];

    #[test]
    fn no_table_lists_a_name_twice() {
        for file in FILES {
            for table in tables(file) {
                let mut seen = HashSet::new();
                assert!(table.iter().all(|(name, ..)| seen.insert(name)), "{file:?}");
            }
        }
    }

    #[test]
    fn names_are_known_where_they_belong() {
        let standing = |file, name| variable(file, name).map(|known| known.standing);
        assert_eq!(standing(ShellFile::Esmtpd, "PORT"), Some(IN_FORCE));
        assert_eq!(standing(ShellFile::Esmtpd, "IMAP_ACL"), None);
        assert_eq!(standing(ShellFile::Imapd, "AUTHSERVICE143"), Some(NOT_YET));
        assert_eq!(standing(ShellFile::Imapd, "AUTHSERVICE"), None);
        assert_eq!(standing(ShellFile::Courierd, "ANYTHING"), Some(NOT_YET));
        assert!(matches!(
            standing(ShellFile::Module, "PROG"),
            Some(Standing::NoEffect(_))
        ));
    }

    #[test]
    fn a_misspelt_name_is_guessed() {
        let nearest = |name| nearest(ShellFile::Esmtpd, name);
        assert_eq!(nearest("MAXDEAMONS"), Some("MAXDAEMONS"));
        assert_eq!(nearest("TLS_CERTFIL"), Some("TLS_CERTFILE"));
        assert_eq!(
            nearest("PROT"),
            None,
            "two changes in four letters are a guess too far"
        );
        assert_eq!(nearest("COMPLETELY_DIFFERENT"), None);
        assert_eq!(nearest(&"X".repeat(500)), None);
        assert_eq!((distance("kitten", "sitting"), distance("", "ab")), (3, 2));
    }
}
