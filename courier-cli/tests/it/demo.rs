//! The demo as a newcomer runs it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::courier;

#[test]
fn it_serves_until_it_is_told_to_stop_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let mut demo = courier()
            .arg("demo")
            .env("TMPDIR", folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut lines = BufReader::new(demo.stdout.take().expect("stdout")).lines();
        let mut port = None;
        for line in lines.by_ref().map_while(Result::ok) {
            if let Some(rest) = line.strip_prefix("  IMAP      port ") {
                port = rest.split(' ').next().map(str::to_owned);
            }
            if line.contains("Ctrl-C") {
                break;
            }
        }
        let port: u16 = port.expect("a port").parse().expect("a number");
        let mut greeting = String::new();
        let imap = TcpStream::connect(("127.0.0.1", port)).expect("it serves");
        let mut imap = BufReader::new(imap);
        imap.read_line(&mut greeting).expect("a greeting");
        assert!(greeting.starts_with("* OK"), "{greeting}");
        assert_eq!(entries(folder.path()), 1);

        let pid = i32::try_from(demo.id()).expect("a number");
        kill_process(Pid::from_raw(pid).expect("a pid"), signal).expect("signalled");
        let rest: Vec<_> = lines.map_while(Result::ok).collect();
        assert!(demo.wait().expect("it ends").success(), "{rest:?}");
        assert!(
            rest.last().is_some_and(|last| last.starts_with("Stopped")),
            "{rest:?}"
        );
        let mut said = String::new();
        let stderr = demo.stderr.as_mut().expect("stderr");
        stderr.read_to_string(&mut said).expect("text");
        assert_eq!(said, "", "the log does not disturb");
        assert_eq!(entries(folder.path()), 0);
    }
}

#[test]
fn what_it_cannot_do_it_says_in_one_line() {
    let output = courier()
        .args(["demo", "--once"])
        .env("TMPDIR", "/nonexistent")
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(73), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.starts_with("courier: cannot make /nonexistent/courier-"),
        "{said}"
    );
    assert_eq!(said.lines().count(), 1);
    let output = courier().args(["demo", "--root", "/tmp"]).output();
    assert_eq!(output.expect("it runs").status.code(), Some(64));
}

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("a folder").count()
}
