//! The variables of the `rc` files whose lines are a name, blanks and a value:
//! auth.md section 3, mta.md section 5.5.

/// Such a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::config) enum RcFile {
    /// `authldaprc`.
    Ldap,
    /// `authmysqlrc`.
    Mysql,
    /// `authpgsqlrc`.
    Pgsql,
    /// `authsqliterc`.
    Sqlite,
    /// `ldapaliasrc`.
    LdapAlias,
}

/// Whether such a file has a variable of this name.
pub(in crate::config) fn is_known(file: RcFile, name: &str) -> bool {
    let (prefix, own): (&str, &[&str]) = match file {
        RcFile::Ldap => return LDAP.contains(&name),
        RcFile::LdapAlias => return LDAP_ALIAS.contains(&name),
        RcFile::Mysql => ("MYSQL_", MYSQL),
        RcFile::Pgsql => ("PGSQL_", PGSQL),
        RcFile::Sqlite => ("SQLITE_", &["DATABASE"]),
    };
    // Of the common set this one has no prefix.
    name == "DEFAULT_DOMAIN"
        || name
            .strip_prefix(prefix)
            .is_some_and(|rest| own.contains(&rest) || SQL.contains(&rest))
}

const LDAP: &[&str] = &[
    "LDAP_URI",
    "LDAP_PROTOCOL_VERSION",
    "LDAP_BASEDN",
    "LDAP_BINDDN",
    "LDAP_BINDPW",
    "LDAP_INITBIND",
    "LDAP_TIMEOUT",
    "LDAP_AUTHBIND",
    "LDAP_MAIL",
    "LDAP_FILTER",
    "LDAP_DOMAIN",
    "LDAP_GLOB_UID",
    "LDAP_GLOB_GID",
    "LDAP_UID",
    "LDAP_GID",
    "LDAP_HOMEDIR",
    "LDAP_MAILROOT",
    "LDAP_MAILDIR",
    "LDAP_DEFAULTDELIVERY",
    "LDAP_MAILDIRQUOTA",
    "LDAP_FULLNAME",
    "LDAP_CLEARPW",
    "LDAP_CRYPTPW",
    "LDAP_AUXOPTIONS",
    "LDAP_ENUMERATE_FILTER",
    "LDAP_DEREF",
    "LDAP_TLS",
    "LDAP_EMAILMAP",
    "LDAP_EMAILMAP_BASEDN",
    "LDAP_EMAILMAP_ATTRIBUTE",
    "LDAP_EMAILMAP_MAIL",
];

const LDAP_ALIAS: &[&str] = &[
    "LDAP_ALIAS",
    "LDAP_URI",
    "LDAP_NUMPROCS",
    "LDAP_BASEDN",
    "LDAP_BINDDN",
    "LDAP_BINDPW",
    "LDAP_TIMEOUT",
    "LDAP_MAIL",
    "LDAP_MAILDROP",
    "LDAP_SOURCE",
    "LDAP_VDOMAIN",
    "LDAP_VUSER",
];

const MYSQL: &[&str] = &[
    "SERVER",
    "USERNAME",
    "PASSWORD",
    "SOCKET",
    "PORT",
    "OPT",
    "DATABASE",
    "CHARACTER_SET",
    "SSL_KEY",
    "SSL_CERT",
    "SSL_CACERT",
    "SSL_CAPATH",
    "SSL_CIPHERS",
];

const PGSQL: &[&str] = &[
    "HOST",
    "PORT",
    "USERNAME",
    "PASSWORD",
    "OPT",
    "DATABASE",
    "CHARACTER_SET",
];

const SQL: &[&str] = &[
    "USER_TABLE",
    "CRYPT_PWFIELD",
    "CLEAR_PWFIELD",
    "UID_FIELD",
    "GID_FIELD",
    "LOGIN_FIELD",
    "HOME_FIELD",
    "NAME_FIELD",
    "MAILDIR_FIELD",
    "DEFAULTDELIVERY",
    "QUOTA_FIELD",
    "AUXOPTIONS_FIELD",
    "WHERE_CLAUSE",
    "SELECT_CLAUSE",
    "ENUMERATE_CLAUSE",
    "CHPASS_CLAUSE",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_set_has_the_prefix_of_its_file() {
        assert!(is_known(RcFile::Mysql, "MYSQL_CRYPT_PWFIELD"));
        assert!(is_known(RcFile::Sqlite, "SQLITE_DATABASE"));
        assert!(is_known(RcFile::Pgsql, "DEFAULT_DOMAIN"));
        assert!(!is_known(RcFile::Pgsql, "MYSQL_CRYPT_PWFIELD"));
        assert!(!is_known(RcFile::Sqlite, "SQLITE_SERVER"));
        assert!(is_known(RcFile::Ldap, "LDAP_EMAILMAP"));
        assert!(!is_known(RcFile::Ldap, "LDAP_VUSER"));
    }
}
