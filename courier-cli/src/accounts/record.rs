//! What the database keeps of one account: lines of `FIELD=value`, in the field
//! names of the account daemon's protocol (auth.md section 2).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use courier_core::account::options::AccountOptions;
use courier_core::account::password::StoredPasswords;
use courier_core::account::secret::Secret;

/// One account as it is stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The home, unless it is the usual one.
    pub home: Option<PathBuf>,
    /// The maildir, absolute or relative to the home, unless it is `Maildir`.
    pub maildir: Option<PathBuf>,
    /// The quota, `nnnS,nnnC`.
    pub quota: Option<String>,
    /// Options, such as `disableimap=1`.
    pub options: AccountOptions,
    /// The password's stored forms.
    pub passwords: StoredPasswords,
}

/// Why a record cannot be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A line without `=`, or a value that is not text where it must be.
    #[error("line {line} of the record is not FIELD=value")]
    Syntax {
        /// From 1.
        line: usize,
    },
    /// A field of a later version: it may take a right away, so it is not passed over.
    #[error("line {line} of the record has a field that this version does not know")]
    Unknown {
        /// From 1.
        line: usize,
    },
    /// A value with a line feed in it.
    #[error("the {field} must not hold a line feed")]
    LineFeed {
        /// Which one.
        field: &'static str,
    },
}

impl Record {
    /// As it is stored.
    ///
    /// # Errors
    /// If a value holds a line feed.
    pub fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let mut octets = Vec::new();
        let mut put = |field: &'static str, value: &[u8]| {
            if value.contains(&b'\n') {
                return Err(RecordError::LineFeed { field });
            }
            octets.extend_from_slice(field.as_bytes());
            octets.push(b'=');
            octets.extend_from_slice(value);
            octets.push(b'\n');
            Ok(())
        };
        for (field, path) in [(HOME, &self.home), (MAILDIR, &self.maildir)] {
            if let Some(path) = path {
                put(field, path.as_os_str().as_bytes())?;
            }
        }
        if let Some(quota) = &self.quota {
            put(QUOTA, quota.as_bytes())?;
        }
        if !self.options.is_empty() {
            put(OPTIONS, self.options.to_string().as_bytes())?;
        }
        for form in self.passwords.forms() {
            put(PASSWD, form.expose())?;
        }
        Ok(octets)
    }

    /// Reads what [`Self::encode`] made.
    ///
    /// # Errors
    /// If it is something else.
    pub fn decode(octets: &[u8]) -> Result<Self, RecordError> {
        let mut record = Self::default();
        let mut forms = Vec::new();
        let lines = octets.split_inclusive(|&octet| octet == b'\n').zip(1..);
        for (text, line) in lines {
            let text = text
                .strip_suffix(b"\n")
                .ok_or(RecordError::Syntax { line })?;
            let equals = text.iter().position(|&octet| octet == b'=');
            let (field, value) = equals
                .and_then(|at| text.split_at_checked(at))
                .ok_or(RecordError::Syntax { line })?;
            let value = value.get(1..).unwrap_or_default();
            let words = || std::str::from_utf8(value).map_err(|_| RecordError::Syntax { line });
            let path = || Some(Path::new(OsStr::from_bytes(value)).to_path_buf());
            match std::str::from_utf8(field).unwrap_or_default() {
                HOME => record.home = path(),
                MAILDIR => record.maildir = path(),
                QUOTA => record.quota = Some(words()?.to_owned()),
                OPTIONS => record.options = AccountOptions::parse(words()?),
                PASSWD => forms.push(Secret::new(value)),
                _ => return Err(RecordError::Unknown { line }),
            }
        }
        record.passwords = StoredPasswords::from_stored(forms);
        Ok(record)
    }
}

const HOME: &str = "HOME";
const MAILDIR: &str = "MAILDIR";
const QUOTA: &str = "QUOTA";
const OPTIONS: &str = "OPTIONS";
const PASSWD: &str = "PASSWD";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_record_reads_as_it_was_written() {
        let record = Record {
            home: Some(PathBuf::from("/srv/a=b")),
            maildir: None,
            quota: Some("1000S,10C".to_owned()),
            options: AccountOptions::parse("disableimap=1,group=staff"),
            passwords: StoredPasswords::from_stored([
                Secret::new("$argon2id$x=y"),
                Secret::new("{SCRAM-SHA-256}4096$a:b$c"),
            ]),
        };
        let octets = record.encode().unwrap();
        assert_eq!(
            String::from_utf8(octets.clone()).unwrap(),
            "HOME=/srv/a=b\nQUOTA=1000S,10C\nOPTIONS=disableimap=1,group=staff\n\
             PASSWD=$argon2id$x=y\nPASSWD={SCRAM-SHA-256}4096$a:b$c\n"
        );
        assert_eq!(Record::decode(&octets), Ok(record));
        assert_eq!(Record::decode(b""), Ok(Record::default()));
    }

    #[test]
    fn what_is_not_understood_is_not_passed_over() {
        assert_eq!(
            Record::decode(b"HOME=/x\nEXPIRES=1\n"),
            Err(RecordError::Unknown { line: 2 })
        );
        for broken in [&b"HOME"[..], b"HOME=/x", b"HOME\n", b"QUOTA=\xff\n", b"\n"] {
            assert!(Record::decode(broken).is_err(), "{broken:?}");
        }
        let home = Some(PathBuf::from("/a\nPASSWD={PLAIN}x"));
        let record = Record {
            home,
            ..Record::default()
        };
        assert_eq!(
            record.encode(),
            Err(RecordError::LineFeed { field: "HOME" })
        );
    }

    proptest! {
        #[test]
        fn no_octets_panic_and_what_is_read_is_written_alike(octets: Vec<u8>) {
            if let Ok(record) = Record::decode(&octets) {
                let again = Record::decode(&record.encode().unwrap());
                prop_assert_eq!(again, Ok(record));
            }
        }
    }
}
