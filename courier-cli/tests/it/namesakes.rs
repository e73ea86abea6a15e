//! The programs of Courier's names beside those of Courier, where these are installed:
//! the same arguments in equal directories give the same exit status, output and files.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::within;

/// What a call came to.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    status: Option<i32>,
    stdout: String,
    stderr: String,
    tree: BTreeMap<String, String>,
}

/// A program of ours, and its namesake.
struct Pair {
    ours: &'static str,
    theirs: &'static str,
}

const MAILDIRMAKE: Pair = Pair {
    ours: env!("CARGO_BIN_EXE_maildirmake"),
    theirs: "/usr/bin/maildirmake.courier",
};
const MAILDIRKW: Pair = Pair {
    ours: env!("CARGO_BIN_EXE_maildirkw"),
    theirs: "/usr/bin/maildirkw",
};
const SHAREDINDEXSPLIT: Pair = Pair {
    ours: env!("CARGO_BIN_EXE_sharedindexsplit"),
    theirs: "/usr/sbin/sharedindexsplit",
};

impl Pair {
    fn is_there(&self) -> bool {
        let there = Path::new(self.theirs).exists();
        if !there {
            eprintln!("skipped: {} is not installed", self.theirs);
        }
        there
    }

    /// Runs both, each in a directory that `setup` has filled; `$MM` there is the real
    /// `maildirmake`, `$KW` the real `maildirkw`.
    fn run(&self, setup: &str, arguments: &[&str], environment: &str) -> (Outcome, Outcome) {
        let theirs = outcome(self.theirs, setup, arguments, environment);
        let ours = outcome(self.ours, setup, arguments, environment);
        (ours, theirs)
    }

    fn agree(&self, setup: &str, arguments: &[&str], environment: &str) {
        let (ours, theirs) = self.run(setup, arguments, environment);
        assert_eq!(ours, theirs, "[{setup}] {arguments:?} {environment}");
    }

    /// Where a message is another, or a file in `tmp` was left.
    fn agree_on_status(&self, setup: &str, arguments: &[&str]) {
        let (ours, theirs) = self.run(setup, arguments, "umask 022");
        assert_eq!(ours.status, theirs.status, "[{setup}] {arguments:?}");
    }
}

fn outcome(program: &str, setup: &str, arguments: &[&str], environment: &str) -> Outcome {
    let place = tempfile::tempdir().expect("a directory");
    let run = |script: &str, arguments: &[&str]| {
        Command::new("/bin/sh")
            .args(["-c", script, "sh"])
            .args(arguments)
            .current_dir(place.path())
            .env("MM", MAILDIRMAKE.theirs)
            .env("KW", MAILDIRKW.theirs)
            .env_remove("MM_CHARSET")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .output()
            .expect("a shell")
    };
    let made = run(setup, &[]);
    assert!(made.status.success(), "{setup}: {made:?}");
    let script = format!("{environment}; test -f list && exec <list; exec \"$0\" \"$@\"");
    let script = script.replace("$0", program);
    let output = run(&script, arguments);
    let text = |octets: &[u8]| {
        let text = String::from_utf8_lossy(octets).into_owned();
        text.replace(program, "PROGRAM")
            .replace(place.path().to_str().expect("a path"), "PLACE")
    };
    let mut tree = BTreeMap::new();
    walk(place.path(), "", &mut tree);
    Outcome {
        status: output.status.code(),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
        tree,
    }
}

/// Every file with its permissions and text.
fn walk(top: &Path, below: &str, tree: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(top.join(below)).expect("a directory") {
        let entry = entry.expect("an entry");
        let octets = entry.file_name();
        let name = format!("{below}/{}", octets.as_bytes().escape_ascii());
        let name = name.trim_start_matches('/');
        let facts = entry.metadata().expect("facts");
        let mut shown = format!("{:o}", facts.permissions().mode());
        let path = entry.path();
        if facts.is_dir() {
            let inner = path.strip_prefix(top).expect("below");
            walk(top, inner.to_str().unwrap_or(name), tree);
        } else if name.ends_with("/:list") {
            let list = keyword_list(&fs::read_to_string(&path).expect("a list"));
            if list.is_empty() {
                continue; // theirs is removed, ours says that there is nothing
            }
            write!(shown, " {list}").expect("written");
        } else if facts.is_file() {
            let text = fs::read(&path).expect("a file");
            let mut lines: Vec<_> = text.split(|&octet| octet == b'\n').collect();
            if name.contains("courierimapkeywords") || name.contains("/index") {
                lines.sort_unstable(); // the order of a hash
            }
            write!(shown, " {}", lines.join(&b'\n').escape_ascii()).expect("written");
        }
        tree.insert(without_time(name), shown);
    }
}

/// A merged keyword change is named after the time.
fn without_time(name: &str) -> String {
    match name.split_once("/courierimapkeywords/.") {
        Some((maildir, aged)) => {
            let base = aged.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{maildir}/courierimapkeywords/.N{base}")
        }
        None => name.to_owned(),
    }
}

/// `:list` with the words in place of their numbers.
fn keyword_list(text: &str) -> String {
    let (words, messages) = text.split_once("\n\n").unwrap_or(("", ""));
    let words: Vec<_> = words.lines().collect();
    let line = |line: &str| {
        let (name, numbers) = line.rsplit_once(':').expect("a colon");
        let numbers = numbers.split(' ').filter_map(|number| number.parse().ok());
        let mut set: Vec<&str> = numbers.map(|number: usize| words[number]).collect();
        set.sort_unstable();
        format!("{name}={}", set.join("+"))
    };
    let mut lines: Vec<_> = messages.lines().map(line).collect();
    lines.sort();
    lines.join(";")
}

const UMASKS: [&str; 3] = ["umask 077", "umask 022", "umask 000"];

#[test]
fn maildirmake_makes_what_couriers_makes() {
    if !MAILDIRMAKE.is_there() {
        return;
    }
    let made = "mkdir a";
    let cases: &[(&str, &[&str])] = &[
        ("", &["a"]),
        ("", &["a", "b"]),
        ("", &["a/b"]),
        ("", &["-S", "a"]),
        ("", &["-S"]),
        ("", &[]),
        ("", &[""]),
        (made, &["a"]),
        (made, &["-S", "a"]),
        (made, &["-f", "F", "a"]),
        (made, &["-fF", "a"]),
        (made, &["-f", ".F", "a"]),
        (made, &["-f", "..", "a"]),
        (made, &["-f", "F.G", "a"]),
        ("", &["-f", "F", "a"]),
        (made, &["-f", "", "a"]),
        (made, &["-f", "INBOX.x", "a"]),
        (made, &["-f", "Ünï", "a"]),
        (made, &["-f", "F", "-f", "G", "a"]),
        ("mkdir a a/.F", &["-f", "F", "a"]),
        (made, &["a", "-f", "x"]),
        (made, &["-s", "w", "-f", "F", "a"]),
        (made, &["-s", "r", "-f", "F", "a"]),
        (made, &["-s", "group,write", "-f", "F", "a"]),
        (made, &["-s", "write,group", "-f", "F", "a"]),
        (made, &["-s", "write,read", "-f", "F", "a"]),
        (made, &["-s", "g,r", "-f", "F", "a"]),
        (made, &["-s", "write,group", "a"]),
        (made, &["-s", "xyz", "-f", "F", "a"]),
        (made, &["-s", "read write", "-f", "F", "a"]),
        (made, &["-s", "", "-f", "F", "a"]),
        (made, &["-sgroup", "-fF", "-S", "a"]),
        (made, &["-S", "-sw", "-fF", "a"]),
        (made, &["-S", "-f", "F", "a"]),
        ("", &["-x", "a"]),
        ("", &["--", "a"]),
        ("", &["-Sf", "F", "a"]),
        ("", &["-f"]),
        ("", &["--add"]),
        ("", &["--foo", "a"]),
        (made, &["-F", "x.y", "a"]),
        (made, &["-F", "Ünï", "a"]),
        (made, &["-F", "a.b/c:d~e\\f&g", "a"]),
        (made, &["-F", ".x", "a"]),
        (made, &["-F", "", "a"]),
        (made, &["-F", "x\ty\u{7f}\u{1}\u{80}", "a"]),
        (made, &["-F", "日本", "a"]),
        (made, &["-F", "a", "-f", "b", "a"]),
        (made, &["-s", "r", "-F", "c", "a"]),
    ];
    for (setup, arguments) in cases {
        for umask in UMASKS {
            MAILDIRMAKE.agree(setup, arguments, umask);
        }
    }
    for locale in [
        "export LC_ALL=C",
        "export LC_ALL=POSIX",
        "export MM_CHARSET=iso-8859-1",
    ] {
        for folder in ["x", "Ünï", "a.b"] {
            MAILDIRMAKE.agree(made, &["-F", folder, "a"], locale);
        }
    }
    // Ours says more of a name that it does not make.
    for folder in ["x/y", "../x"] {
        MAILDIRMAKE.agree_on_status(made, &["-f", folder, "a"]);
    }
}

#[test]
fn maildirmake_makes_what_couriers_makes_by_chance() {
    if !MAILDIRMAKE.is_there() {
        return;
    }
    let words: [&[&str]; 14] = [
        &["-S"],
        &["-f", "F"],
        &["-fF.G"],
        &["-F", "x.y"],
        &["-Fé"],
        &["-s", "r"],
        &["-s", "w,g"],
        &["-sg,w"],
        &["a"],
        &["b"],
        &["a/c"],
        &["-s"],
        &["--del", "x"],
        &["-z"],
    ];
    let mut seed = 20_261_125_u64;
    let mut chance = |limit: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(seed >> 33).expect("31 bits") % limit
    };
    for _ in 0..120 {
        let count = 1 + chance(4);
        let mut arguments: Vec<_> = (0..count)
            .flat_map(|_| words[chance(11)])
            .copied()
            .collect();
        match chance(4) {
            0 => arguments.extend(words[chance(words.len())]),
            _ => arguments.push("a"),
        }
        let setup = ["", "mkdir a", "mkdir a a/.F", "mkdir -p a a/.x b"][chance(4)];
        MAILDIRMAKE.agree(setup, &arguments, UMASKS[chance(3)]);
    }
}

#[test]
fn maildirmake_gives_a_quota() {
    if !MAILDIRMAKE.is_there() {
        return;
    }
    let full = "$MM a; $MM -f F a; printf Hello > a/cur/1.x:2,; printf x > a/.F/new/2.x";
    let old = "$MM a; printf '3S\\n3 1\\n' > a/maildirsize; chmod 640 a/maildirsize";
    let cases: &[(&str, &[&str])] = &[
        ("", &["-q", "10S", "a"]),
        ("", &["-q10S", "a"]),
        ("", &["-q", "5C10S", "a"]),
        ("", &["-q", "10s,5c", "a"]),
        ("", &["-q", "10X", "a"]),
        ("", &["-q", "10S5", "a"]),
        ("", &["-q", "0S", "a"]),
        ("", &["-q", "junk", "a"]),
        ("", &["-q", "", "a"]),
        ("", &["-q", "10S", "-S", "a"]),
        ("", &["-q", "10S", "a/b"]),
        ("", &["-q"]),
        ("", &["-q", "10S"]),
        ("mkdir a", &["-q", "0S", "a"]),
        ("mkdir a", &["-s", "r", "-q", "10S", "a"]),
        (full, &["-q", "10S", "--add", "x=/tmp", "a"]),
        (full, &["-q", "10S", "a"]),
        (full, &["-q", "10S", "a/.F"]),
        (full, &["-q", "10S", "-f", "F", "a"]),
        (full, &["-q", "10S", "-f", "G", "a"]),
        (full, &["-q", "10S", "-f", "G", "-s", "w", "a"]),
        (old, &["-q", "10S", "a"]),
        (old, &["-q", "3S", "a"]),
    ];
    for (setup, arguments) in cases {
        for umask in UMASKS {
            MAILDIRMAKE.agree(setup, arguments, umask);
        }
    }
}

#[test]
fn maildirmake_keeps_the_table_of_sharable_maildirs() {
    if !MAILDIRMAKE.is_there() {
        return;
    }
    let empty = "$MM a; mkdir s";
    let table = "$MM a; printf '# c\\nx  /s extra\\n\\nbad\\n y\\t/z\\nx /q\\nz /z # foo\\n' > a/shared-maildirs";
    let cases: &[(&str, &[&str])] = &[
        (empty, &["--add", "x=/tmp", "a"]),
        (empty, &["--add", "x=s", "a"]),
        (empty, &["--add", "x", "a"]),
        (empty, &["--add", "x=/tmp"]),
        (empty, &["--add=x=/tmp", "a"]),
        (empty, &["--add", "x.y=/tmp", "a"]),
        (empty, &["--add", "x/y=/tmp", "a"]),
        (empty, &["--add", "x=/none/such", "a"]),
        (empty, &["--add", "x=/tmp", "b"]),
        (empty, &["--add", "x=/tmp", "--add", "y=/tmp", "a"]),
        (empty, &["-S", "--add", "x=/tmp", "a"]),
        (empty, &["-f", "F", "--add", "x=/tmp", "a"]),
        (empty, &["--del", "x", "a"]),
        (empty, &["--del", "x", "b"]),
        (empty, &["--del", "x"]),
        (table, &["--add", "x=/tmp", "a"]),
        (table, &["--add", "X=/tmp", "a"]),
        (table, &["--add", "w=/tmp", "a"]),
        (table, &["--add", "w=/tmp", "--del", "x", "a"]),
        (table, &["--del", "x", "a"]),
        (table, &["--del", "z", "a"]),
    ];
    for (setup, arguments) in cases {
        for umask in UMASKS {
            MAILDIRMAKE.agree(setup, arguments, umask);
        }
    }
}

const RECIPE: &str = "\
#MFMAILDROP=2
#
# DO NOT EDIT THIS FILE.  This is an automatically generated filter.

FROM='x@example.com'
##Op:contains
##Header:Subject
##Value:[courier]
##Folder:.&AOk-t.x
##From:
##PlainString
##Name:Cone


if ((/^Subject:.*\\[courier\\]/))
{
   to \"./Maildir/.&AOk-t.x/.\"
}

##Op:contains
##Header:Subject
##Value:b
##Folder:INBOX.plain
##From:
##Name:Two


if ((/^Subject:.*b/))
{
   to \"./Maildir/.plain/.\"
}

to \"./Maildir/.\"
";

#[test]
fn maildirmake_does_not_find_what_is_no_entry() {
    if !MAILDIRMAKE.is_there() {
        return;
    }
    let table = "$MM a; printf 'x /s\\nbad\\n y\\t/z\\n# c\\n' > a/shared-maildirs";
    for name in ["y", "bad", "#", "X"] {
        // Under another umask theirs changes the permissions of the file, for nothing.
        MAILDIRMAKE.agree(table, &["--del", name, "a"], "umask 022");
    }
}

#[test]
fn maildirmake_converts_what_couriers_converts() {
    if !MAILDIRMAKE.is_there() {
        return;
    }
    let recipe = format!("cat > rec <<'EOF'\n{RECIPE}EOF\nchmod 604 rec\n");
    let folder = "mkdir -p 'a/.&AOk-/cur'; echo x > 'a/.&AOk-/cur/1.x'; ";
    let full = format!(
        "$MM a; {folder}printf 'INBOX\\nINBOX.&AOk-t\\nshared.&AOk-.b\\n#shared.&AOk-\\nINBOX.R&-D\\n' \
         > a/courierimapsubscribed; chmod 640 a/courierimapsubscribed\n{recipe}"
    );
    let wrong = full.replace("INBOX.R&-D", "INBOX.R&D");
    let unknown = format!("$MM a; {folder} echo foo > rec");
    let strange = "$MM a; mkdir -p 'a/.r&d/cur' 'a/.&AOk-/cur'";
    let nothing = "$MM a; mkdir -p 'a/.&AOk-' 'a/x&AOk-/cur' a/.x/cur";
    let loose = "$MM a; mkdir -p 'a/.&AGE-/cur'";
    for option in ["--checkutf8", "--convutf8"] {
        for setup in [&full, &wrong, &unknown, strange, nothing, loose] {
            MAILDIRMAKE.agree(setup, &[option, "a"], "umask 022");
            MAILDIRMAKE.agree(setup, &[option, "a", "rec"], "umask 077");
        }
        MAILDIRMAKE.agree("", &[option], "umask 022");
        MAILDIRMAKE.agree("", &[option, "a"], "umask 022");
        MAILDIRMAKE.agree(&full, &[option, "a", "none"], "umask 022");
        MAILDIRMAKE.agree(&full, &[option, "-f", "a"], "umask 022");
    }
}

#[test]
fn a_conversion_leaves_utf_8_alone_and_may_be_repeated() {
    let place = tempfile::tempdir().expect("a directory");
    let maildir = place.path().join("a");
    for folder in ["é", "&AOo-"] {
        fs::create_dir_all(maildir.join(format!(".{folder}/cur"))).expect("a folder");
    }
    for _ in 0..2 {
        let given = Command::new(MAILDIRMAKE.ours)
            .arg("--convutf8")
            .arg(&maildir)
            .output()
            .expect("run");
        assert!(given.status.success(), "{given:?}");
    }
    assert!(maildir.join(".é/cur").is_dir() && maildir.join(".ê/cur").is_dir());
    // Two folders of one name: nothing is renamed.
    fs::create_dir_all(maildir.join(".&AOk-/cur")).expect("a folder");
    let given = Command::new(MAILDIRMAKE.ours)
        .arg("--convutf8")
        .arg(&maildir)
        .output()
        .expect("run");
    assert_eq!(given.status.code(), Some(1));
    assert!(maildir.join(".&AOk-/cur").is_dir());
}

#[test]
fn maildirkw_changes_what_couriers_changes() {
    if !MAILDIRKW.is_there() || !MAILDIRMAKE.is_there() {
        return;
    }
    let empty = "$MM a; touch a/cur/1.x:2,S a/new/2.x";
    let some = "$MM a; touch a/cur/1.x:2,S; $KW a 1.x foo Bar; $KW a 9.gone foo";
    let merged = "$MM a; $KW a 1.x foo Bar; $KW -L a; $KW a 2.x q";
    let calls: &[&[&str]] = &[
        &[],
        &["a"],
        &["a", "1.x"],
        &["a", "1.x", "foo"],
        &["a", "1.x:2,S", "foo", "Bar"],
        &["-a", "a", "1.x", "foo", "baz"],
        &["-a", "a", "1.x", "FOO"],
        &["-r", "a", "1.x", "foo"],
        &["-r", "a", "1.x", "FOO", "bar"],
        &["-r", "a", "3.y", "foo"],
        &["-a", "-r", "a", "1.x", "foo", "zed"],
        &["-r", "-a", "a", "1.x", "foo", "zed"],
        &["a", "nonexist", "foo"],
        &["a", "1.x:a:b", "z"],
        &["a", "1.x", "z", "Z"],
        &["a", "-a", "1.x", "z"],
        &["a", "1.x", "z", "-a"],
        &["--", "a", "1.x", "z"],
        &["-l", "a", "1.x", "q"],
        &["-L", "a"],
        &["-L", "a", "1.x"],
        &["-lL", "a"],
        &["-L"],
        &["-L", "b"],
        &["b", "1.x", "foo"],
        &["-x"],
        &["-ax", "a", "1.x"],
        &["-h"],
    ];
    for setup in [empty, some, merged] {
        for arguments in calls {
            let replaces = matches!(arguments.first(), Some(&("a" | "-l" | "--")));
            if setup == some && replaces {
                // Theirs renames over a change that waits, and may lose it to whoever
                // merges just then; ours merges it first.
                MAILDIRKW.agree_on_status(setup, arguments);
                continue;
            }
            let (mut ours, mut theirs) = MAILDIRKW.run(setup, arguments, "umask 022");
            for outcome in [&mut ours, &mut theirs] {
                // Theirs makes the directory even to look into it.
                if arguments.iter().any(|option| option.contains('L')) {
                    outcome.tree.remove("a/courierimapkeywords");
                }
                // The order of a hash, and ours.
                let sorted = |line: &str| {
                    let mut words: Vec<_> = line.split(' ').collect();
                    words.sort_unstable();
                    words.join(" ")
                };
                let mut lines: Vec<_> = outcome.stdout.lines().map(sorted).collect();
                lines.sort();
                outcome.stdout = lines.join("\n");
            }
            assert_eq!(ours, theirs, "[{setup}] {arguments:?}");
        }
        for arguments in [&["a", "a/b", "z"][..], &["a", ":", "z"], &["a", "", "z"]] {
            MAILDIRKW.agree_on_status(setup, arguments);
        }
    }
    // Each reads what the other wrote.
    for (writes, reads) in [("OURS", "$KW"), ("$KW", "OURS")] {
        let script = format!(
            "$MM a; {writes} a 1.x q; {writes} a 1.x foo Bar; {writes} -a a 1.x zed; \
             {reads} -r a 1.x FOO"
        );
        let setup = script.replace("OURS", MAILDIRKW.ours);
        let (ours, theirs) = MAILDIRKW.run(&setup, &["-L", "a"], "umask 022");
        assert_eq!(ours.stdout, "1.x Bar zed\n");
        assert_eq!(ours.tree, theirs.tree, "{setup}");
    }
}

const ACCOUNTS: &str = "\
alice\t1000\t1000\t/home/alice\tMaildir\tsharedgroup=g1,x=y
bob\t1001\t1001\t/home/bob
carol\t1002\t1002\t/home/carol\t\tsharedgroup=g2
# comment
dave\t1003\t1003\t/home/dave\t./M\tfoo\textra
eve\tx
éva\t1\t1\t/h\tm
al\t1\t1\t/h\tm\tsharedgroup=g1 # cut
albert\t1\t1\t/h\tm#cut\tsharedgroup=g9
a.b\t1\t1\t/h\tm\ta=b,sharedgroup=g1,sharedgroup=g2
..\t1\t1\t/h\tm\txsharedgroup=g1
\t1\t1\t/h\t\t\t
none\t1\t1\t
spc \t1 \t1\t/h \tm\tsharedgroup=
";

#[test]
fn sharedindexsplit_divides_as_couriers_does() {
    if !SHAREDINDEXSPLIT.is_there() {
        return;
    }
    let new = format!("mkdir o; cat > list <<'EOF'\n{ACCOUNTS}EOF\n");
    let old = format!(
        "{new}echo old > o/index; echo old > o/indexa; echo old > o/indexg1; chmod 600 o/index*"
    );
    for setup in [&new, &old] {
        for letters in [
            &[][..],
            &["0"],
            &["1"],
            &["2"],
            &["3"],
            &["x"],
            &["-1"],
            &["1x"],
            &["01"],
            &["2", "3"],
        ] {
            let arguments = [&["o"], letters].concat();
            let (mut ours, mut theirs) = SHAREDINDEXSPLIT.run(setup, &arguments, "umask 022");
            for outcome in [&mut ours, &mut theirs] {
                // Ours replaces a file, theirs writes into it: the old permissions stay.
                outcome.tree.values_mut().for_each(|shown| {
                    *shown = shown
                        .trim_start_matches(|c: char| c.is_ascii_digit())
                        .to_owned();
                });
            }
            assert_eq!(ours, theirs, "[{setup}] {arguments:?}");
        }
    }
    for arguments in [&[][..], &["none"], &["list"], &["none", "1"]] {
        SHAREDINDEXSPLIT.agree(&new, arguments, "umask 022");
    }
}

#[test]
fn sharedindexinstall_puts_a_new_set_in_place() {
    let place = tempfile::tempdir().expect("a directory");
    let etc = place.path().join("etc");
    let install = || {
        let given = Command::new(env!("CARGO_BIN_EXE_sharedindexinstall"))
            .env("COURIER_ROOT", place.path())
            .output()
            .expect("run");
        let text = String::from_utf8(given.stdout).expect("text");
        (given.status.code(), text)
    };
    let empty = (Some(1), format!("{}/shared.tmp is empty!\n", etc.display()));
    assert_eq!(install(), empty);
    fs::create_dir_all(etc.join("shared.tmp")).expect("made");
    assert_eq!(install(), empty);
    fs::write(etc.join("shared.tmp/index"), "new").expect("written");
    let missing = format!("{}/shared does not exist!\n", etc.display());
    assert_eq!(install(), (Some(1), missing));
    fs::create_dir_all(etc.join("shared/sub")).expect("made");
    for file in ["index", "indexb", ".hidden"] {
        fs::write(etc.join("shared").join(file), "old").expect("written");
    }
    assert_eq!(install(), (Some(0), String::new()));
    let mut tree = BTreeMap::new();
    walk(&etc, "", &mut tree);
    let names: Vec<_> = tree.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "shared",
            "shared.tmp",
            "shared/.hidden",
            "shared/index",
            "shared/sub"
        ]
    );
    assert!(tree["shared/index"].ends_with(" new"));
}

#[test]
fn maildirwatch_runs_its_command_after_each_change() {
    let place = tempfile::tempdir().expect("a directory");
    let maildir = place.path().join("a");
    let made = Command::new(MAILDIRMAKE.ours).arg(&maildir).status();
    assert!(made.expect("run").success());
    let script = "echo run >> log; test -f stop && kill -9 $$; test ! -f end || exit 7";
    for (file, expected) in [("end", "7\n"), ("stop", "-9\n")] {
        let log = place.path().join("log");
        fs::write(&log, "").expect("written");
        let watch = Command::new(env!("CARGO_BIN_EXE_maildirwatch"))
            .arg(&maildir)
            .args(["/bin/sh", "-c", script])
            .current_dir(place.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("run");
        let runs = || fs::read_to_string(&log).expect("a log").lines().count();
        let reached = |count| within(Duration::from_secs(30), || (runs() >= count).then_some(()));
        reached(1).expect("it runs at once");
        for name in ["new/1", "cur/2", "courierimapkeywords/3"] {
            let before = runs();
            fs::write(maildir.join(format!("{name}{file}")), "").expect("written");
            reached(before + 1).expect("it runs again");
        }
        fs::write(place.path().join(file), "").expect("written");
        fs::write(maildir.join("new/last"), "").expect("written");
        let output = watch.wait_with_output().expect("it ends");
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
        assert!(output.status.success());
        fs::remove_file(place.path().join(file)).expect("removed");
        fs::remove_file(maildir.join("new/last")).expect("removed");
    }
    let refused = |arguments: &[&str]| {
        let given = Command::new(env!("CARGO_BIN_EXE_maildirwatch"))
            .args(arguments)
            .output();
        assert_eq!(given.expect("run").status.code(), Some(1), "{arguments:?}");
    };
    refused(&[]);
    refused(&["a"]);
    refused(&["/none/such", "true"]);
    refused(&[maildir.to_str().expect("a path"), "/none/such"]);
}

#[test]
fn every_program_says_what_it_is() {
    for program in [
        MAILDIRMAKE.ours,
        MAILDIRKW.ours,
        SHAREDINDEXSPLIT.ours,
        env!("CARGO_BIN_EXE_sharedindexinstall"),
        env!("CARGO_BIN_EXE_maildirwatch"),
    ] {
        let name = Path::new(program).file_name().expect("a name");
        let name = name.to_str().expect("text");
        for (option, beginning) in [("--help", "Usage: "), ("--version", "")] {
            let given = Command::new(program).arg(option).output().expect("run");
            let text = String::from_utf8(given.stdout).expect("text");
            assert!(given.status.success());
            assert!(text.starts_with(&format!("{beginning}{name}")), "{text}");
        }
    }
}
