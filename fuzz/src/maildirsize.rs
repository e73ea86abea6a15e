//! The quota file, as anybody may have written it.
//!
//! It is read as the specification says line by line, and whatever it holds, a delivery
//! comes to a verdict: nothing refused without a limit, nothing over a limit let in by a
//! file that can be believed, and what is written then says the truth.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a fuzz body says by a panic what does not hold"
)]

use std::path::Path;

use courier_core::disk;
use courier_core::testing::MemDisk;
use courier_maildir::name::HostName;
use courier_maildir::quota::{
    Account, Amount, End, QuotaSpec, SizeFile, Trust, Verdict, check, print, release,
};
use courier_maildir::writer::Writer;

/// Takes any file.
pub fn run(input: &[u8]) {
    let input = &input[..input.len().min(6000)];
    let seen = &input[..input.len().min(5120)];
    let file = SizeFile::parse(seen);
    let first = seen.split(|&octet| octet == b'\n').next().unwrap_or(seen);
    if file.trust != Trust::Damaged {
        assert_eq!(file.spec, QuotaSpec::parse(first));
    }
    assert_eq!(file.end == End::Line, seen.last() == Some(&b'\n'));
    assert_eq!(
        QuotaSpec::parse(file.spec.to_string().as_bytes()),
        file.spec
    );
    if file.total.octets >= 0 && file.total.messages >= 0 {
        let again = SizeFile::parse(&print(file.spec, file.total));
        assert_eq!((again.spec, again.total), (file.spec, file.total));
        assert_eq!((again.trust, again.records), (Trust::Sound, 1));
    }
    maildir(input, file);
}

/// A maildir with one message of three octets.
fn maildir(input: &[u8], file: SizeFile) {
    let mut disk = MemDisk::new();
    for directory in ["tmp", "new"] {
        disk.plant_directory(Path::new("/m").join(directory));
    }
    disk.plant_file("/m/cur/1.x:2,S", b"..\n");
    disk.plant_file("/m/maildirsize", input);
    let writer = Writer::new(disk.now(), 100, HostName::new("mx"), 0o600);
    let extra = Amount::message(5);
    let there = Amount::message(3);
    let checked = disk.run(disk::task(|disk| {
        let writer = writer.clone();
        async move {
            let checked = check(&disk, &Account::of("/m"), extra, &writer).await?;
            checked.charge(&disk, extra).await?;
            release(&disk, Path::new("/m"), extra, &writer).await;
            Ok::<_, disk::DiskError>(checked)
        }
    }));
    let checked = checked.expect("a verdict");
    assert_eq!(checked.spec, file.spec);
    if file.spec.is_unlimited() {
        assert_eq!(checked.verdict, Verdict::Fits);
    }
    if checked.total != file.total || file.trust != Trust::Sound {
        assert_eq!(checked.total, there, "it was counted");
    }
    assert_eq!(
        checked.verdict == Verdict::Fits,
        checked.spec.admits(checked.total + extra)
    );
    let text = disk.contents("/m/maildirsize").expect("a file");
    let after = SizeFile::parse(&text[..text.len().min(5120)]);
    assert_eq!(after.spec, file.spec);
    let small = checked.total.octets < i64::MAX / 2 && checked.total.messages < i64::MAX / 2;
    if after.trust == Trust::Sound && small {
        assert_eq!(after.total, checked.total, "what came and went is nothing");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn what_looks_like_a_quota_file_is_read_right(
            text in "[0-9]{0,4}[SCx,]?[0-9]{0,3}[SC]?\n? ?(( {0,3}-?[0-9]{1,3} -?[0-9]{0,2}| x)\n){0,4}",
        ) {
            super::run(text.as_bytes());
        }

        #[test]
        fn noise_is_read_without_harm(data: Vec<u8>) {
            super::run(&data);
        }
    }
}
