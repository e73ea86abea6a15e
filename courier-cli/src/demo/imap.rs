//! Reading by IMAP: as little of a client as it takes.

use std::net::SocketAddr;

use super::page::Page;
use super::wire::{Trust, Wire};
use super::{DemoError, User};

/// Reads the first message in the INBOX, and leaves no mark on it. Gives its octets.
pub(super) async fn read(
    page: &mut Page,
    server: SocketAddr,
    trust: &Trust,
    user: &User,
) -> Result<Vec<u8>, DemoError> {
    let mut wire = Wire::connect(server).await?;
    wire.start_tls(trust, page).await?;
    let mut client = Client { wire, page };
    let greeting = client.wire.line().await?;
    client.page.server(&greeting);
    let (login, shown) = (
        format!("a LOGIN {} {}", user.address, user.password),
        format!("a LOGIN {} ***", user.address),
    );
    client.command(&login, &shown).await?;
    client.command("b EXAMINE INBOX", "b EXAMINE INBOX").await?;
    let fetch = "c FETCH 1 BODY.PEEK[]";
    let message = client.command(fetch, fetch).await?;
    client.command("d LOGOUT", "d LOGOUT").await?;
    message.ok_or_else(|| DemoError::Said {
        said: "no message".to_owned(),
        command: fetch.to_owned(),
    })
}

struct Client<'p> {
    wire: Wire,
    page: &'p mut Page,
}

impl Client<'_> {
    /// Gives a command, waits for its end, and gives the literal that came meanwhile.
    /// Of the responses only the last is shown, and those with a literal.
    async fn command(&mut self, command: &str, shown: &str) -> Result<Option<Vec<u8>>, DemoError> {
        self.page.client(shown);
        self.wire.send(format!("{command}\r\n").as_bytes()).await?;
        let tag = command.get(..2).unwrap_or_default();
        let mut literal = None;
        loop {
            let line = self.wire.line().await?;
            if let Some(length) = literal_length(&line) {
                self.page.server(&line);
                let octets = self.wire.octets(length).await?;
                self.show_message(&octets);
                literal = Some(octets);
            } else if let Some(status) = line.strip_prefix(tag) {
                self.page.server(&line);
                if status.starts_with("OK") {
                    return Ok(literal);
                }
                return Err(DemoError::Said {
                    said: line,
                    command: shown.to_owned(),
                });
            }
        }
    }

    /// Shows a message without the fields that nobody reads.
    fn show_message(&mut self, octets: &[u8]) {
        let text = String::from_utf8_lossy(octets);
        let (fields, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let fields = fields.lines().filter(|field| {
            let mut read = ["From:", "To:", "Subject:", "Date:"].iter();
            read.any(|name| field.starts_with(name))
        });
        fields.for_each(|field| self.page.message(field));
        self.page.message("");
        body.lines().for_each(|line| self.page.message(line));
    }
}

/// The length of the literal that a line announces (RFC 9051 §4.3).
fn literal_length(line: &str) -> Option<usize> {
    let (_, length) = line.strip_suffix('}')?.rsplit_once('{')?;
    let length = length.parse().ok()?;
    (length <= LONGEST).then_some(length)
}

/// Octets of a message that the demo would read.
const LONGEST: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_announced_at_the_end_of_a_line() {
        assert_eq!(literal_length("* 1 FETCH (BODY[] {612}"), Some(612));
        for line in [
            "* 1 EXISTS",
            "c OK {612} done",
            "* {x}",
            "* {99999999999999999999}",
        ] {
            assert_eq!(literal_length(line), None, "{line}");
        }
    }
}
