//! Reading by POP3: as little of a client as it takes.

use std::net::SocketAddr;

use super::page::Page;
use super::wire::{Trust, Wire};
use super::{DemoError, User};

/// Reads the first message and leaves it there. Gives its octets.
pub(super) async fn read(
    page: &mut Page,
    server: SocketAddr,
    trust: &Trust,
    user: &User,
) -> Result<Vec<u8>, DemoError> {
    let wire = Wire::connect(server).await?;
    let mut client = Client { wire, page };
    client.answer("the connection").await?;
    client.command("STLS", "STLS").await?;
    client.wire.start_tls(trust, client.page).await?;
    let login = format!("USER {}", user.address);
    client.command(&login, &login).await?;
    client
        .command(&format!("PASS {}", user.password), "PASS ***")
        .await?;
    client.command("STAT", "STAT").await?;
    client.command("RETR 1", "RETR 1").await?;
    let message = client.text().await?;
    let lines = memchr::memchr_iter(b'\n', &message).count();
    client
        .page
        .aside(&format!("the message, {lines} lines, and a dot"));
    client.command("QUIT", "QUIT").await?;
    Ok(message)
}

struct Client<'p> {
    wire: Wire,
    page: &'p mut Page,
}

impl Client<'_> {
    async fn command(&mut self, command: &str, shown: &str) -> Result<(), DemoError> {
        self.page.client(shown);
        self.wire.send(format!("{command}\r\n").as_bytes()).await?;
        self.answer(shown).await
    }

    async fn answer(&mut self, to: &str) -> Result<(), DemoError> {
        let said = self.wire.line().await?;
        self.page.server(&said);
        match said.starts_with("+OK") {
            true => Ok(()),
            false => Err(DemoError::Said {
                said,
                command: to.to_owned(),
            }),
        }
    }

    /// The lines up to the lone dot, without the dots that were put in front of others
    /// (RFC 1939 §3).
    async fn text(&mut self) -> Result<Vec<u8>, DemoError> {
        let mut text = Vec::new();
        loop {
            let line = self.wire.whole_line().await?;
            match line.as_slice() {
                b".\r\n" => return Ok(text),
                [b'.', rest @ ..] => text.extend_from_slice(rest),
                line => text.extend_from_slice(line),
            }
        }
    }
}
