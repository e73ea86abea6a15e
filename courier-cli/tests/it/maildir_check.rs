//! `courier maildir check`.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Output;

use crate::harness::{Root, courier};

fn check(maildir: &Path, more: &[&str]) -> Output {
    let mut command = courier();
    command.args(["maildir", "check"]).arg(maildir).args(more);
    command.output().expect("courier runs")
}

fn lines(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn a_fresh_maildir_is_clean_and_a_damaged_one_is_mended() {
    let root = Root::new();
    let maildir = root.maildir("ann");
    let clean = check(&maildir, &["--sizes"]);
    assert_eq!(
        (clean.status.code(), lines(&clean)),
        (Some(0), vec![]),
        "{clean:?}"
    );
    let write = |name: &str, text: &str| fs::write(maildir.join(name), text).expect("written");
    write("cur/1.x,S=2:2,S", "a\n");
    write("new/1.x,S=2", "b\n");
    write("courierimapuiddb", "\0\0\0");
    write("tmp/courier.lock", "999999999:elsewhere");
    fs::remove_dir(maildir.join("tmp").join("none")).ok();
    symlink(&maildir, maildir.join(".loop")).expect("linked");
    fs::create_dir_all(maildir.join(".a/cur")).expect("made");
    fs::set_permissions(maildir.join(".a/cur"), fs::Permissions::from_mode(0o700)).expect("set");
    fs::set_permissions(maildir.join(".a"), fs::Permissions::from_mode(0o755)).expect("set");
    let looked = check(&maildir, &[]);
    assert_eq!(looked.status.code(), Some(1), "{looked:?}");
    let at = |name: &str| {
        maildir
            .canonicalize()
            .expect("there")
            .join(name)
            .display()
            .to_string()
    };
    assert_eq!(
        lines(&looked),
        [
            format!("{}: error: tmp, new, maildirfolder missing", at(".a")),
            format!(
                "{}: note: others may enter or read it (mode 0755)",
                at(".a")
            ),
            format!(
                "{}: note: a symbolic link; folders that are links are not opened, and do not count",
                at(".loop")
            ),
            format!("{}: error: holds nothing but NULs", at("courierimapuiddb")),
            format!(
                "{}: error: another message has the same name",
                at("new/1.x,S=2")
            ),
            format!(
                "{}: note: held by 999999999:elsewhere",
                at("tmp/courier.lock")
            ),
        ]
    );
    fs::remove_file(maildir.join("tmp/courier.lock")).expect("removed");
    let mended = check(&maildir, &["--fix"]);
    assert_eq!(mended.status.code(), Some(0), "{mended:?}");
    assert_eq!(
        lines(&mended)
            .iter()
            .filter(|line| line.contains(": fixed: "))
            .count(),
        3
    );
    let again = check(&maildir, &[]);
    assert_eq!(again.status.code(), Some(0), "{again:?}");
    let mut texts = root.messages("ann");
    texts.sort();
    assert_eq!(texts, [b"a\n", b"b\n"]);
}

#[test]
fn what_is_no_maildir_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(check(folder.path(), &[]).status.code(), Some(65));
    assert_eq!(
        check(&folder.path().join("none"), &[]).status.code(),
        Some(73)
    );
    assert_eq!(
        check(folder.path(), &["--nonsense"]).status.code(),
        Some(64)
    );
}
