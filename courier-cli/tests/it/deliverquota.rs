//! `deliverquota`, alone and beside Debian's.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const DEBIANS: &str = "/usr/bin/deliverquota.courier";

/// How a message comes.
#[derive(Debug, Clone, Copy)]
enum Stdin {
    AFile,
    Pipe,
}

use Stdin::{AFile, Pipe};

/// Runs a program in a directory with a message.
fn run(program: &str, within: &Path, from: Stdin, message: &[u8], words: &str) -> Output {
    let mut command = Command::new("/bin/sh");
    command
        .current_dir(within)
        .args(["-c", "umask 022; exec \"$@\"", "sh", program])
        .args(words.split_whitespace())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    match from {
        AFile => {
            let path = within.join("message");
            fs::write(&path, message).expect("written");
            command.stdin(File::open(&path).expect("open"));
            let output = command.output().expect("runs");
            fs::remove_file(path).expect("removed");
            output
        }
        Pipe => {
            let mut child = command.stdin(Stdio::piped()).spawn().expect("runs");
            let mut stdin = child.stdin.take().expect("stdin");
            stdin.write_all(message).ok();
            drop(stdin);
            child.wait_with_output().expect("ends")
        }
    }
}

/// Everything in a directory: modes, and of files the contents. Messages are named after
/// their size token, of warnings the date and the id are left out.
fn tree(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_path_buf()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let mode = path.metadata().expect("facts").permissions().mode() & 0o7777;
            let mut name = path.strip_prefix(root).expect("below").to_path_buf();
            if path.is_dir() {
                found.insert(name, format!("{mode:o}"));
                left.push(path);
                continue;
            }
            let contents = fs::read(&path).expect("contents");
            let mut contents = String::from_utf8_lossy(&contents).into_owned();
            if name.file_name().is_some_and(|name| name == "quotawarn") {
                contents.clear();
            }
            if directory.ends_with("new") {
                // Courier tells no size of a message that is empty.
                contents = contents
                    .lines()
                    .filter(|line| !line.starts_with("Date: ") && !line.starts_with("Message-Id: "))
                    .collect();
                let mut number = 0;
                while found.contains_key(&name) || number == 0 {
                    name.set_file_name(format!("{}-{number}", contents));
                    number += 1;
                }
            }
            found.insert(name, format!("{mode:o} {contents}"));
        }
    }
    found
}

/// Runs the same deliveries with both programs and compares all that they leave.
fn compare(setup: &[(&str, &str)], deliveries: &[(Stdin, &[u8], &str)]) {
    if !Path::new(DEBIANS).is_file() {
        eprintln!("skipped: {DEBIANS} is not installed");
        return;
    }
    let programs = [env!("CARGO_BIN_EXE_deliverquota"), DEBIANS];
    let results = programs.map(|program| {
        let root = tempfile::tempdir().expect("a directory");
        for maildir in ["M", "M/.f", "M/.Trash", "M/.Trash.old"] {
            for directory in ["tmp", "new", "cur"] {
                fs::create_dir_all(root.path().join(maildir).join(directory)).expect("made");
            }
        }
        for folder in ["M/.f", "M/.Trash", "M/.Trash.old"] {
            fs::write(root.path().join(folder).join("maildirfolder"), "").expect("written");
        }
        for (name, text) in setup {
            fs::write(root.path().join(name), text).expect("written");
        }
        let outputs = deliveries.iter().map(|(from, message, words)| {
            let output = run(program, root.path(), *from, message, words);
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            (output.status.code(), said)
        });
        let outputs: Vec<_> = outputs.collect();
        (outputs, tree(root.path()))
    });
    let [ours, theirs] = results;
    assert_eq!(ours.0, theirs.0, "{deliveries:?}");
    assert_eq!(ours.1, theirs.1, "{deliveries:?}");
}

#[test]
fn statuses_and_files_are_couriers() {
    for from in [AFile, Pipe] {
        let one = |words| compare(&[], &[(from, b"hi\n", words)]);
        for words in [
            "M",
            "M/",
            "M/.f",
            "M 1S",
            "M 3S",
            "M 2S",
            "M 1C",
            "M 0S",
            "M x",
            "M 1000C,10000000S",
            "M 10S,20S,3C",
            "M/.f 100S",
            "M/.Trash 1S",
            "M/.Trash/ 1S",
            "M/.Trash.old 1S",
            "M/.Trash.old 100S",
            "nowhere",
            "-c a/b/c",
            "-c M 100S",
            "-w 101 M",
            "-w -2 M",
            "-w 0 M",
            "-w x M 100S",
            "-z M",
            "",
            "M 100S more words",
        ] {
            one(words);
        }
    }
}

#[test]
fn quota_files_are_kept_as_courier_keeps_them() {
    let record = "          17            1\n";
    let long = format!("90000S\n{}", record.repeat(196));
    let nearly = format!("90000S\n{}", record.repeat(190));
    for start in [
        "100S\n",
        "100S\n          17            1\n",
        "3S,1C\n           0            0\n",
        "2S\n           0            0\n",
        "2S\n           3            1\n",
        "1000C,10000000S\n 5 5\n",
        "100S\r\n 5 5\r\n",
        "0S\n",
        "100S\n\n\n 5 5\nx\n",
        "10S\n -20 1\n",
        "10S\n 9 1\n 1 1\n",
        long.as_str(),
        nearly.as_str(),
    ] {
        for from in [AFile, Pipe] {
            for words in ["M", "M 50S", "M/.f", "M/.Trash"] {
                let delivery = (from, b"hi\n".as_slice(), words);
                compare(&[("M/maildirsize", start)], &[delivery, delivery]);
            }
        }
    }
}

#[test]
fn a_recount_finds_what_couriers_finds() {
    let files = [
        ("M/maildirsize", "1000S\n -1 1\n"),
        ("M/cur/1,S=10:2,S", "x"),
        ("M/cur/2,S=20:2,T", "x"),
        ("M/cur/3:2,aT", "four"),
        ("M/cur/4,S=500,S=7:2,", "x"),
        ("M/cur/5,S=:2,", "x"),
        ("M/new/6,S=60:2,ST", "x"),
        ("M/cur/.7,S=70", "x"),
        ("M/tmp/8,S=80", "x"),
        ("M/.f/cur/9,S=90:2,FS", "x"),
        ("M/.Trash/cur/10,S=100:2,", "x"),
        ("M/.Trash.old/cur/11,S=110:2,", "x"),
        ("M/cur/12,W=9,S=120:2,", "x"),
        ("M/cur/13,S=130,W=140:2,", "x"),
    ];
    for from in [AFile, Pipe] {
        compare(&files, &[(from, b"hi\n", "M"), (from, b"ho\n", "M 100S")]);
    }
}

#[test]
fn owners_are_warned_as_courier_warns() {
    let files = |start| {
        [
            ("warning", "Subject: full\n\nYou are.\n"),
            ("M/maildirsize", start),
        ]
    };
    for start in [
        "100S\n           0            0\n",
        "100S\n          90            1\n",
        "100S\n          98            1\n",
        "20000001S\n    19000000            1\n",
        "10C\n           5            8\n",
        "0S\n",
    ] {
        for from in [AFile, Pipe] {
            for words in [
                "-w 90 -W warning M",
                "-w 0 -W warning M",
                "-w -1 -W warning M/.f",
                "-w 91 -W warning M/.f",
            ] {
                compare(&files(start), &[(from, b"hi\n", words)]);
            }
        }
    }
}

#[test]
fn a_damaged_quota_file_does_not_become_one_without_limits() {
    let root = tempfile::tempdir().expect("a directory");
    let program = env!("CARGO_BIN_EXE_deliverquota");
    let deliver = |words| {
        run(program, root.path(), Pipe, b"hi\n", words)
            .status
            .code()
    };
    assert_eq!(deliver("-c M 4S"), Some(0));
    fs::write(root.path().join("M/maildirsize"), "").expect("written");
    assert_eq!(deliver("M 4S"), Some(75));
    let text = fs::read_to_string(root.path().join("M/maildirsize")).expect("there");
    assert_eq!(text, "4S\n           3            1\n");
}

#[test]
fn a_large_message_is_not_held_in_memory() {
    let root = tempfile::tempdir().expect("a directory");
    let message: Vec<u8> = b"0123456789abcde\n".repeat(100 << 16);
    for from in [AFile, Pipe] {
        // 64 MiB of address space are enough for a message of 100.
        let words = format!("-c ulimit_-v_{}", 64 << 10);
        let limited = words.replace('_', " ");
        let script = format!(
            "{}; exec {} -c M",
            &limited[3..],
            env!("CARGO_BIN_EXE_deliverquota")
        );
        let path = root.path().join("run");
        fs::write(&path, script).expect("written");
        let output = run("/bin/sh", root.path(), from, &message, "run");
        assert!(output.status.success(), "{output:?}");
    }
    let names = fs::read_dir(root.path().join("M/new")).expect("a directory");
    for entry in names {
        let entry = entry.expect("an entry");
        assert_eq!(entry.metadata().expect("facts").len(), 100 << 20);
        let name = entry.file_name().into_string().expect("text");
        assert!(name.ends_with(&format!(",S={},W={}", 100 << 20, (100 << 20) + (100 << 16))));
    }
}

#[test]
fn it_says_what_it_is() {
    let root = tempfile::tempdir().expect("a directory");
    let program = env!("CARGO_BIN_EXE_deliverquota");
    let said = |words| {
        let output = run(program, root.path(), Pipe, b"", words);
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("text")
    };
    assert!(said("--help").starts_with("Usage: deliverquota [-c]"));
    assert!(said("--version").starts_with("deliverquota (courier "));
}
