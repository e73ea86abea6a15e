//! `maildiracl`, compared with Debian's where that is installed.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

const OURS: &str = env!("CARGO_BIN_EXE_maildiracl");
const COURIERS: &str = "/usr/bin/maildiracl";

/// Folders of the maildir of each case.
const FOLDERS: [&str; 5] = ["", ".a", ".a.b.c", ".é", ".n.o"];

fn maildir(root: &Path) {
    for folder in FOLDERS {
        for inner in ["tmp", "new", "cur"] {
            fs::create_dir_all(root.join("M").join(folder).join(inner)).expect("a maildir");
        }
    }
}

fn run(program: &str, root: &Path, arguments: &[&[u8]]) -> Output {
    let arguments = arguments.iter().map(|octets| OsStr::from_bytes(octets));
    Command::new(program)
        .current_dir(root)
        .args(arguments)
        .output()
        .expect("maildiracl runs")
}

/// Each file and directory with its mode and contents.
fn tree(root: &Path) -> BTreeMap<String, String> {
    let (mut found, mut todo) = (BTreeMap::new(), vec![root.to_path_buf()]);
    while let Some(directory) = todo.pop() {
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let meta = fs::symlink_metadata(&path).expect("there");
            let text = if meta.is_dir() {
                todo.push(path.clone());
                String::new()
            } else {
                fs::read(&path).expect("a file").escape_ascii().to_string()
            };
            let name = path
                .strip_prefix(root)
                .expect("inside")
                .display()
                .to_string();
            found.insert(name, format!("{:o} {text}", meta.permissions().mode()));
        }
    }
    found
}

/// Two maildirs that are to stay the same.
struct Pair {
    ours: tempfile::TempDir,
    couriers: tempfile::TempDir,
    done: Vec<String>,
}

impl Pair {
    fn new() -> Self {
        let root = || tempfile::tempdir().expect("a directory");
        let pair = Self {
            ours: root(),
            couriers: root(),
            done: Vec::new(),
        };
        pair.each(maildir);
        pair
    }

    fn each(&self, mut act: impl FnMut(&Path)) {
        for root in [&self.ours, &self.couriers] {
            act(root.path());
        }
    }

    fn plant(&self, path: &str, octets: &[u8]) {
        self.each(|root| {
            let path = root.join("M").join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, octets).expect("written");
        });
    }

    fn same(&mut self, arguments: &[&[u8]]) {
        let shown = arguments
            .iter()
            .map(|octets| octets.escape_ascii().to_string());
        self.done.push(shown.collect::<Vec<_>>().join(" "));
        let ours = run(OURS, self.ours.path(), arguments);
        let couriers = run(COURIERS, self.couriers.path(), arguments);
        let said = |output: &Output| {
            let stdout = output.stdout.escape_ascii().to_string();
            (output.status.code(), stdout)
        };
        assert_eq!(
            said(&ours),
            said(&couriers),
            "{:#?}\n{ours:?}\n{couriers:?}",
            self.done
        );
        let (ours, couriers) = (tree(self.ours.path()), tree(self.couriers.path()));
        assert_eq!(ours, couriers, "{:#?}", self.done);
    }

    fn words(&mut self, line: &str) {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        self.same(&words);
    }
}

fn courier_is_installed() -> bool {
    let there = Path::new(COURIERS).exists();
    if !there {
        eprintln!("skipped: there is no {COURIERS} to compare with");
    }
    there
}

#[test]
fn a_list_is_shown_changed_and_computed() {
    let root = tempfile::tempdir().expect("a directory");
    maildir(root.path());
    let run = |line: &str| {
        let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        let output = run(OURS, root.path(), &words);
        let text = String::from_utf8(output.stdout).expect("text");
        (output.status.code(), text)
    };
    let done = (Some(0), String::new());
    assert_eq!(run("-set M INBOX.a user=joe rl"), done);
    assert_eq!(run("-set M INBOX.a user=joe +w"), done);
    assert_eq!(run("-set M INBOX.a -user=joe r"), done);
    assert_eq!(run("-compute M INBOX.a user=joe"), (Some(0), "lw\n".into()));
    let list = "owner\taceilrstwx\nadministrators\taceilrstwx\nuser=joe\tlrw\n-user=joe\tr\n";
    assert_eq!(run("-list M INBOX.a"), (Some(0), list.into()));
    assert_eq!(run("-delete M INBOX.a -user=joe"), done);
    assert_eq!(run("-set M INBOX.a -owner a"), (Some(1), String::new()));
    assert_eq!(run("-reset M"), done);
    let (status, help) = run("--help");
    assert!(status == Some(0) && help.contains("-compute"));
    let (status, version) = run("--version");
    assert!(status == Some(0) && version.starts_with("maildiracl "));
    let (status, usage) = run("-list M");
    assert!(status == Some(1) && usage.starts_with("Usage: "));
}

#[test]
fn each_case_is_as_in_courier() {
    if !courier_is_installed() {
        return;
    }
    for script in SCRIPTS {
        let mut pair = Pair::new();
        for line in script
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
        {
            pair.words(line);
        }
    }
}

/// Commands on one maildir, each script on a new one. Arguments stand between blanks.
const SCRIPTS: &[&str] = &[
    "-list M INBOX
     -list M INBOX.a
     -list M INBOX.a.b.c
     -list M INBOX.a.b.c.d.e
     -list M INBOX.é
     -list M INBOX.x.y
     -list M INBOX.n",
    "-set M INBOX anyone lr
     -list M INBOX.a.b.c
     -set M INBOX anyone l
     -list M INBOX.a.b.c
     -list M INBOX.a
     -list M INBOX.n.o
     -delete M INBOX anyone
     -list M INBOX.n.o.p
     -list M INBOX",
    "-set M INBOX.a user=joe lr
     -set M INBOX.a user=joe +w
     -set M INBOX.a user=joe -r
     -set M INBOX.a user=joe -lrw
     -set M INBOX.a user=joe +
     -set M INBOX.a user=joe -
     -set M INBOX.a user=joe rrlla
     -set M INBOX.a user=joe ++a
     -set M INBOX.a user=joe +-a
     -set M INBOX.a user=new -x
     -set M INBOX.a user=é lrZzé9
     -list M INBOX.a
     -delete M INBOX.a user=joe
     -delete M INBOX.a user=joe
     -delete M INBOX.a user=new extra
     -list M INBOX.a extra",
    "-set M INBOX.a -anyone lr
     -set M INBOX.a -owner lr
     -set M INBOX.a -owner r
     -set M INBOX.a owner lr
     -set M INBOX.a owner la
     -set M INBOX.a owner laz
     -set M INBOX.a owner -l
     -set M INBOX.a anyone la
     -set M INBOX.a owner -l
     -delete M INBOX.a owner
     -delete M INBOX.a anyone
     -compute M INBOX.a owner
     -list M INBOX.a",
    "-set M INBOX.a administrators lr
     -set M INBOX.a -administrators z
     -set M INBOX.a -administrators lar
     -set M INBOX.a group=administrators lr
     -set M INBOX.a administrators lr
     -delete M INBOX.a administrators
     -delete M INBOX.a group=administrators
     -set M INBOX.a -group=administrators q
     -list M INBOX.a
     -compute M INBOX.a administrators
     -compute M INBOX.a group=administrators
     -set M INBOX.a administrators zaceilrstwx
     -compute M INBOX.a administrators",
    "-set M INBOX.a anyone lr
     -set M INBOX.a anonymous i
     -set M INBOX.a user=x w
     -set M INBOX.a -user=x l
     -set M INBOX.a group=g tq
     -set M INBOX.a -group=g r
     -set M INBOX.a word e
     -compute M INBOX.a anyone
     -compute M INBOX.a user=x
     -compute M INBOX.a user=x group=g
     -compute M INBOX.a user=X
     -compute M INBOX.a word owner
     -compute M INBOX.a -user=x
     -compute M INBOX.a anonymous
     -compute M INBOX.a nobody owner user=x group=g word
     -compute M INBOX.a.b.c user=x
     -compute M INBOX.z user=x",
    "-list M inbox.a
     -list M INBOXa
     -list M INBOX..a
     -list M INBOX/x
     -list M INBOX.x/y
     -list M INBOX.../x
     -list M .a
     -list M a
     -set M INBOX..a anyone l
     -delete M nope anyone
     -compute M nope anyone",
    "-list
     -list M
     -set M INBOX
     -set M INBOX user=x
     -delete M INBOX
     -compute M INBOX
     -foo M INBOX
     list M INBOX
     -reset
     -reset M x
     -reset none
     -list none INBOX
     -list none INBOX.q
     -compute none INBOX owner",
    "-set M INBOX.a user=d d
     -set M INBOX.a p p
     -set M INBOX.a =x lr
     -set M INBOX.a --x lr
     -set M INBOX.a - lr
     -list M INBOX.a
     -compute M INBOX.a -x
     -compute M INBOX.a x
     -reset M
     -list M INBOX.a",
];

#[test]
fn files_that_others_wrote_are_read_as_courier_reads_them() {
    if !courier_is_installed() {
        return;
    }
    for text in [
        "x  lr\n",
        "x\tlr\n",
        "lone\n",
        "\n",
        "",
        " lr\n",
        "x lr",
        "x lr\nx w\ny l\nx e\n",
        "-administrators alw\n",
        "-administrators w\n-group=administrators al\nadministrators l\n",
        "group=administrators l\n",
        "administrators z\ngroup=administrators l\n",
        "group=administrators l\nadministrators z\n",
        "owner\n",
        "owner \n",
        "owner lazz\nanyone A#l\n",
        "x Ab\u{e9}\n",
        "owner al\nadministrators aceilrstwx\n\n\nanyone l\n",
    ] {
        for file in [
            ".a/courierimapacl",
            "courierimaphieracl/a",
            "courierimapacl",
        ] {
            let mut pair = Pair::new();
            pair.plant(file, text.as_bytes());
            pair.words("-list M INBOX.a");
            pair.words("-compute M INBOX.a owner");
            pair.words("-compute M INBOX.a administrators x");
            pair.words("-set M INBOX.a z l");
            pair.words("-delete M INBOX.a x");
            pair.words("-list M INBOX.a.b.c");
        }
    }
}

#[test]
fn lists_of_levels_are_reset_as_in_courier() {
    if !courier_is_installed() {
        return;
    }
    let mut pair = Pair::new();
    for key in ["a", "a.b", "n", "zz", ".dot", "a.b.c.d", "young"] {
        pair.plant(&format!("courierimaphieracl/{key}"), b"owner la\n");
    }
    pair.plant("courierimaphieracl/dir/x", b"");
    pair.plant(".a/courierimapacl", b"owner al\n");
    pair.words("-reset M");
    let long_ago =
        std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    pair.each(|root| {
        for key in ["a", "a.b", "n", "zz", ".dot", "a.b.c.d"] {
            let path = root.join("M/courierimaphieracl").join(key);
            let file = fs::File::options().write(true).open(path).expect("there");
            file.set_modified(long_ago).expect("set");
        }
    });
    pair.words("-reset M");
    let left = tree(&pair.ours.path().join("M/courierimaphieracl"));
    let left: Vec<_> = left.keys().map(String::as_str).collect();
    assert_eq!(left, [".dot", "a", "a.b", "dir", "dir/x", "n", "young"]);
}

#[test]
fn random_commands_do_the_same_as_in_courier() {
    if !courier_is_installed() {
        return;
    }
    let runs = std::env::var("MAILDIRACL_RUNS")
        .ok()
        .and_then(|runs| runs.parse().ok());
    for seed in 1..=runs.unwrap_or(6_u64) {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut pick = move |count: usize| {
            // xorshift64
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).expect("31 bits") % count
        };
        let mut pair = Pair::new();
        for _ in 0..25 {
            let folders = [
                "INBOX",
                "INBOX.a",
                "INBOX.a.b",
                "INBOX.a.b.c",
                "INBOX.n.o.p",
                "INBOX.é",
                "x",
            ];
            let words = [
                "owner",
                "anyone",
                "anonymous",
                "user=x",
                "group=g",
                "administrators",
                "group=administrators",
                "x",
                "user=é",
            ];
            let folder = folders[pick(folders.len())];
            let who = |pick: &mut dyn FnMut(usize) -> usize| {
                let minus = if pick(4) == 0 { "-" } else { "" };
                format!("{minus}{}", words[pick(words.len())])
            };
            let line = match pick(8) {
                0 => format!("-list M {folder}"),
                1 => format!("-delete M {folder} {}", who(&mut pick)),
                2 => format!("-compute M {folder} {} {}", who(&mut pick), who(&mut pick)),
                3 => "-reset M".to_owned(),
                _ => {
                    let letters = "aceilrstwxpz";
                    let mut rights: String = ["", "+", "-"][pick(3)].to_owned();
                    for letter in letters.chars() {
                        if pick(2) == 0 {
                            rights.push(letter);
                        }
                    }
                    if pick(4) == 0 {
                        rights = "aceilrstwx".to_owned();
                    }
                    format!("-set M {folder} {} {rights}", who(&mut pick))
                }
            };
            pair.words(&line);
        }
    }
}
