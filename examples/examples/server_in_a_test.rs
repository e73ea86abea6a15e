//! A whole mail server inside somebody's `#[test]`, in three lines: see the foot.
//!
//! ```sh
//! cargo test -p courier-examples --example server_in_a_test
//! ```
//!
//! The program under test is a shop that writes to its customers. What it sends goes
//! over a real socket into a real maildir, in a few milliseconds, and tests that run
//! at the same time do not meet.

use std::error::Error;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};

use courier_cli::throwaway::Throwaway;
use courier_core::config::Service;

/// What the shop does: it greets a new customer.
fn welcome(smtp: SocketAddr, customer: &str) -> Result<(), Box<dyn Error>> {
    let message = format!(
        "From: The shop <shop@example.net>\r\nTo: {customer}\r\nSubject: Welcome!\r\n\r\n\
         Your account is ready.\r\n."
    );
    let commands = [
        "EHLO shop.example.net",
        "MAIL FROM:<shop@example.net>",
        &format!("RCPT TO:<{customer}>"),
        "DATA",
        &message,
        "QUIT",
    ];
    let mut server = BufReader::new(TcpStream::connect(smtp)?);
    expect_success(&mut server)?;
    for command in commands {
        write!(server.get_mut(), "{command}\r\n")?;
        expect_success(&mut server)?;
    }
    Ok(())
}

fn expect_success(server: &mut BufReader<TcpStream>) -> Result<(), Box<dyn Error>> {
    let mut line = String::new();
    loop {
        line.clear();
        server.read_line(&mut line)?;
        match line.as_bytes() {
            [b'2' | b'3', _, _, b'-', ..] => {}
            [b'2' | b'3', ..] => return Ok(()),
            _ => return Err(line.into()),
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let server = Throwaway::new()
        .account("ann@example.com", "sesame")
        .start()?;
    println!(
        "a server for one test, in {}",
        server.root().path().display()
    );
    for (service, address) in server.addresses() {
        println!("  {service} on {address}");
    }
    welcome(server.address(Service::Esmtp), "ann@example.com")?;
    for file in server.root().wait_for_messages("ann@example.com", 1) {
        println!("\n{}\n{}", file.display(), std::fs::read_to_string(&file)?);
    }
    Ok(())
}

#[test]
fn a_new_customer_is_welcomed() {
    let server = Throwaway::new()
        .account("ann@example.com", "sesame")
        .start()
        .unwrap();
    welcome(server.address(Service::Esmtp), "ann@example.com").unwrap();
    let files = server.root().wait_for_messages("ann@example.com", 1);

    assert_eq!(files.len(), 1);
    let message = std::fs::read_to_string(&files[0]).unwrap();
    assert!(message.contains("\nSubject: Welcome!\n"), "{message}");
    assert!(
        message.ends_with("\n\nYour account is ready.\n"),
        "{message}"
    );
}

#[test]
fn who_is_no_customer_is_an_error() {
    let server = Throwaway::new()
        .account("ann@example.com", "sesame")
        .start()
        .unwrap();
    let error = welcome(server.address(Service::Esmtp), "eve@example.com").unwrap_err();
    assert!(error.to_string().starts_with("550 5.1.1"), "{error}");
}
