//! kill -9 under load: nothing acknowledged is lost, nothing is delivered twice.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::harness::{Root, Server};

/// One message; true once it was answered 250.
fn send(address: SocketAddr, id: u32, size: usize) -> std::io::Result<bool> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    let mut read = |stream: &mut BufReader<TcpStream>| -> std::io::Result<bool> {
        loop {
            line.clear();
            if stream.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line.starts_with('2') || line.starts_with('3'));
            }
        }
    };
    read(&mut stream)?;
    let to = ["ann", "bob"][id as usize % 2];
    let commands =
        format!("EHLO c\r\nMAIL FROM:<z@example.net>\r\nRCPT TO:<{to}@example.com>\r\nDATA\r\n");
    stream.get_mut().write_all(commands.as_bytes())?;
    for _ in 0..4 {
        if !read(&mut stream)? {
            return Ok(false);
        }
    }
    let text = format!(
        "Subject: kill\r\nX-Number: {id}\r\n\r\n{}\r\n.\r\n",
        "x".repeat(size)
    );
    stream.get_mut().write_all(text.as_bytes())?;
    read(&mut stream)
}

fn number(message: &[u8]) -> u32 {
    let text = String::from_utf8_lossy(message);
    let line = text.lines().find_map(|l| l.strip_prefix("X-Number: "));
    let number = line.unwrap_or_else(|| panic!("half a message: {text:?}"));
    assert!(text.ends_with("x\n"), "half a message: {text:?}");
    number.parse().expect("a number")
}

#[test]
fn twenty_kills_lose_nothing_and_double_nothing() {
    let root = Root::new();
    root.configure("esmtpd", "MAXDAEMONS=1000\nMAXPERIP=1000\nMAXPERC=1000");
    let next = Arc::new(AtomicU32::new(0));
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    for round in 0..20_u64 {
        let mut server = Server::start_with(&root, &["esmtp"]);
        let address = server.address("esmtp");
        let stop = Arc::new(AtomicBool::new(false));
        let senders: Vec<_> = (0..6)
            .map(|_| {
                let (next, stop) = (Arc::clone(&next), Arc::clone(&stop));
                let acknowledged = Arc::clone(&acknowledged);
                std::thread::spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        let id = next.fetch_add(1, Ordering::Relaxed);
                        // Some take the way of a file of their own.
                        let size = if id % 13 == 0 { 400_000 } else { 500 };
                        match send(address, id, size) {
                            Ok(true) => acknowledged.lock().expect("lock").push(id),
                            Ok(false) => panic!("refused"),
                            Err(_) => {}
                        }
                    }
                })
            })
            .collect();
        // A different moment each round: while accepting, delivering, recovering.
        std::thread::sleep(Duration::from_millis(20 + (round * 37) % 250));
        server.kill();
        stop.store(true, Ordering::Relaxed);
        for sender in senders {
            sender.join().expect("a sender");
        }
    }
    let acknowledged = acknowledged.lock().expect("lock").clone();
    assert!(
        acknowledged.len() > 20,
        "only {} were accepted",
        acknowledged.len()
    );
    let _server = Server::start_with(&root, &["esmtp"]);
    let mut counts = HashMap::new();
    let complete = crate::harness::within(Duration::from_secs(60), || {
        counts.clear();
        for user in ["ann", "bob"] {
            for message in root.messages(user) {
                *counts.entry(number(&message)).or_insert(0) += 1;
            }
        }
        acknowledged
            .iter()
            .all(|id| counts.contains_key(id))
            .then_some(())
    });
    let lost: Vec<_> = acknowledged
        .iter()
        .filter(|id| !counts.contains_key(id))
        .collect();
    assert!(complete.is_some(), "lost: {lost:?}");
    let twice: Vec<_> = counts.iter().filter(|(_, n)| **n > 1).collect();
    assert!(twice.is_empty(), "delivered twice: {twice:?}");
}
