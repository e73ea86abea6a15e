//! kill -9 of concurrent `deliverquota`: what exit status 0 acknowledged is there once,
//! whole, and the quota file recounts to the truth.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Enough for all that is delivered; without it nothing would be counted.
const QUOTA: &str = "1000000000S,1000000C";
const KILLS: u32 = 300;
const WRITERS: u32 = 8;

fn deliver(maildir: &Path, id: u32) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_deliverquota"))
        .arg(maildir)
        .arg(QUOTA)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("deliverquota runs");
    let mut stdin = child.stdin.take().expect("stdin");
    let size = if id.is_multiple_of(7) { 200_000 } else { 300 };
    let text = format!("Subject: {id}\n\n{}\nend {id}\n", "x".repeat(size));
    // A program that was killed reads no more.
    stdin.write_all(text.as_bytes()).ok();
    child
}

/// The messages that are there, by number, with how often each is.
fn there(maildir: &Path) -> HashMap<u32, u32> {
    let mut there = HashMap::new();
    for directory in ["new", "cur"] {
        for entry in fs::read_dir(maildir.join(directory)).expect("listed") {
            let text = fs::read_to_string(entry.expect("an entry").path()).expect("text");
            let number = text
                .lines()
                .next()
                .and_then(|l| l.strip_prefix("Subject: "));
            let number: u32 = number.expect("whole").parse().expect("a number");
            assert!(
                text.ends_with(&format!("\nend {number}\n")),
                "{number} is half"
            );
            *there.entry(number).or_default() += 1;
        }
    }
    there
}

#[test]
fn three_hundred_kills_of_eight_writers_lose_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let maildir: PathBuf = folder.path().join("Maildir");
    let made = Command::new(env!("CARGO_BIN_EXE_maildirmake"));
    let mut made = made;
    assert!(made.arg(&maildir).status().expect("it runs").success());
    let (next, killed) = (AtomicU32::new(0), AtomicU32::new(0));
    let acknowledged: Vec<u32> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut acknowledged = Vec::new();
                    while killed.load(Ordering::Relaxed) < KILLS {
                        let id = next.fetch_add(1, Ordering::Relaxed);
                        let mut child = deliver(&maildir, id);
                        // Another moment of its work each time; one in four may end.
                        if !id.is_multiple_of(4) {
                            std::thread::sleep(Duration::from_micros(u64::from(id % 40) * 500));
                            child.kill().ok();
                        }
                        let status = child.wait().expect("it ends");
                        match status.code() {
                            Some(0) => acknowledged.push(id),
                            Some(code) => panic!("{id}: exit status {code}"),
                            None => drop(killed.fetch_add(1, Ordering::Relaxed)),
                        }
                    }
                    acknowledged
                })
            })
            .collect();
        let done = writers
            .into_iter()
            .map(|writer| writer.join().expect("done"));
        done.flatten().collect()
    });
    let there = there(&maildir);
    assert!(acknowledged.len() > 50, "{}", acknowledged.len());
    for id in &acknowledged {
        assert!(there.contains_key(id), "{id} is lost");
    }
    let doubled: Vec<_> = there.iter().filter(|(_, count)| **count > 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
}
