//! kill -9 of `courier account add`: what it acknowledged is there, and nobody is
//! kept from the database by what it left behind.

use std::io::Write;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::harness::{PASSWORD, Root, courier};

fn start_to_add(root: &Root, name: &str) -> Child {
    let mut child = courier()
        .args(["account", "add", name, "--password-stdin", "--root"])
        .arg(root.path())
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("courier runs");
    let mut stdin = child.stdin.take().expect("stdin");
    stdin.write_all(PASSWORD.as_bytes()).expect("written");
    child
}

#[test]
fn accounts_that_were_added_before_a_kill_are_there_after_it() {
    let root = Root::new();
    let mut acknowledged = Vec::new();
    for round in 0..20_u64 {
        let name = |number| format!("u{round}-{number}@example.com");
        let mut adding: Vec<_> = (0..3)
            .map(|number| (name(number), start_to_add(&root, &name(number))))
            .collect();
        // A different moment each round: hashing, making the home, writing.
        std::thread::sleep(Duration::from_millis(20 + round * 15));
        for (number, (name, child)) in adding.iter_mut().enumerate() {
            // One in six may come to its end, however slow the machine is.
            if round % 2 == 1 || number > 0 {
                child.kill().ok();
            }
            if child.wait().expect("it ends").success() {
                acknowledged.push(name.clone());
            }
        }
        let listed = root.run(&["account", "list"], "");
        assert!(listed.status.success(), "{listed:?}");
        let listed = String::from_utf8(listed.stdout).expect("text");
        for name in &acknowledged {
            assert!(listed.lines().any(|line| line == name), "{name} is lost");
        }
    }
    assert!(acknowledged.len() >= 10, "{acknowledged:?}");
}
