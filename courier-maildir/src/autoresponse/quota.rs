//! `autoresponsesquota`: how much the texts may take.

use std::fmt;
use std::path::Path;

use courier_core::disk::{Disk, DiskError, DiskErrorKind};

/// The file's name, in a maildir or in the configuration directory.
pub const QUOTA_FILE: &str = "autoresponsesquota";

/// What the texts may take; without a number there is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quota {
    /// How many there may be.
    pub count: Option<u64>,
    /// How many octets they may have together.
    pub octets: Option<u64>,
}

/// What texts take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// How many there are.
    pub count: u64,
    /// How many octets they have together.
    pub octets: u64,
}

impl Quota {
    /// Reads the first line: `C10S10000`. Unlike in `maildirsize` the letter stands
    /// before its number; the last of a kind counts, anything else is passed over.
    #[must_use]
    pub fn parse(octets: &[u8]) -> Self {
        let line = octets.split(|&octet| octet == b'\n').next();
        let mut rest = line.unwrap_or_default();
        let mut quota = Self::default();
        while let Some((&letter, after)) = rest.split_first() {
            let end = after
                .iter()
                .take_while(|octet| octet.is_ascii_digit())
                .count();
            let (digits, next) = after.split_at_checked(end).unwrap_or((after, &[]));
            let number = std::str::from_utf8(digits).ok();
            let number = number.filter(|digits| !digits.is_empty());
            let number = number.map(|digits| digits.parse().unwrap_or(u64::MAX));
            match letter {
                b'C' if number.is_some() => quota.count = number,
                b'S' if number.is_some() => quota.octets = number,
                _ => {}
            }
            rest = next;
        }
        quota
    }

    /// This quota where `other` says nothing.
    #[must_use]
    pub fn overridden_by(self, other: Self) -> Self {
        Self {
            count: other.count.or(self.count),
            octets: other.octets.or(self.octets),
        }
    }

    /// Whether so much is within the quota; a limit of 0 is none.
    #[must_use]
    pub fn allows(self, usage: Usage) -> bool {
        let within =
            |limit: Option<u64>, taken| limit.is_none_or(|limit| limit == 0 || taken <= limit);
        within(self.count, usage.count) && within(self.octets, usage.octets)
    }
}

impl Usage {
    pub(super) fn add(&mut self, octets: u64) {
        self.count = self.count.saturating_add(1);
        self.octets = self.octets.saturating_add(octets);
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (letter, number) in [('C', self.count), ('S', self.octets)] {
            if let Some(number) = number {
                write!(f, "{letter}{number}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "C{}S{}", self.count, self.octets)
    }
}

/// The quota of a maildir: the system's, where the maildir's own file says nothing.
///
/// # Errors
/// What the disk says.
pub async fn quota(disk: &Disk, maildir: &Path, system: Option<&Path>) -> Result<Quota, DiskError> {
    let own = maildir.join(QUOTA_FILE);
    let mut quota = Quota::default();
    for path in system.into_iter().chain([own.as_path()]) {
        match disk.read(path, 0..4096).await {
            Ok(octets) => quota = quota.overridden_by(Quota::parse(&octets)),
            Err(error) if error.kind == DiskErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(quota)
}

#[cfg(test)]
mod tests {
    use super::*;
    use courier_core::disk;
    use courier_core::testing::MemDisk;
    use proptest::prelude::*;

    #[test]
    fn the_letter_stands_before_its_number() {
        let of = |text: &str| {
            let quota = Quota::parse(text.as_bytes());
            (quota.count, quota.octets)
        };
        assert_eq!(of("C10S10000\n"), (Some(10), Some(10000)));
        assert_eq!(of("S5 C1,C2\nS9"), (Some(2), Some(5)));
        assert_eq!(of("10C5S"), (Some(5), None));
        assert_eq!(of("CS5"), (None, Some(5)));
        assert_eq!(of(""), (None, None));
    }

    #[test]
    fn the_maildir_overrides_the_system_kind_by_kind() {
        let mut disk = MemDisk::new();
        disk.plant_file("/etc/q", b"C10S10000\n");
        disk.plant_file("/m/autoresponsesquota", b"S5\n");
        let task = disk::task(|disk| async move {
            quota(&disk, Path::new("/m"), Some(Path::new("/etc/q"))).await
        });
        assert_eq!(
            disk.run(task).map(|quota| quota.to_string()),
            Ok("C10S5".to_owned())
        );
    }

    proptest! {
        #[test]
        fn a_printed_quota_is_read_back(count: Option<u64>, octets: Option<u64>, noise: Vec<u8>) {
            let quota = Quota { count, octets };
            prop_assert_eq!(Quota::parse(quota.to_string().as_bytes()), quota);
            let _ = Quota::parse(&noise);
        }
    }
}
