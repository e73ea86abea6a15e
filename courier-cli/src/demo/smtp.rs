//! Handing a message in: the client machine of `courier-smtp`, and a host for it.

use std::io;
use std::net::SocketAddr;

use courier_core::account::secret::Secret;
use courier_smtp::client::{ClearLogin, Client, Credentials, Output, Settings, Step, Tls};

use super::letter::Letter;
use super::page::Page;
use super::wire::{Trust, Wire};
use super::{DOMAIN, DemoError, User};
use crate::net::{instant, now};

/// Hands a letter in, as `user`.
pub(super) async fn submit(
    page: &mut Page,
    server: SocketAddr,
    trust: &Trust,
    user: &User,
    letter: &Letter,
) -> Result<(), DemoError> {
    let mut settings = Settings::new(format!("laptop.{DOMAIN}"));
    settings.tls = Tls::Required;
    settings.credentials = Some(Credentials {
        user: user.address.clone(),
        password: Secret::from(user.password.as_str()),
        in_clear: ClearLogin::Forbidden,
    });
    let mut delivery = Some(letter.delivery());
    let mut client = Client::new(settings);
    let mut wire = Wire::connect(server).await?;
    let mut replies = Replies::default();
    let mut taken = false;
    loop {
        let Step { consumed, output } = client.poll(now(), &wire.input);
        replies.show(page, wire.input.drain(..consumed).as_slice());
        match output {
            Output::Write => {
                show_commands(page, client.pending());
                wire.send(client.pending()).await?;
                client.wrote(client.pending().len());
            }
            Output::StartTls => {
                wire.start_tls(trust, page).await?;
                client.tls_started();
            }
            Output::Ready(token) => match delivery.take() {
                // Only a server that has just parted gives it back: see `Close`.
                Some(ours) => client.begin(token, ours).unwrap_or(()),
                None => client.quit(token),
            },
            Output::Send(segment) => {
                let lines = memchr::memchr_iter(b'\n', segment.source()).count();
                page.aside(&format!("the message, {lines} lines"));
                let text: Vec<u8> = segment.pieces(0).flatten().copied().collect();
                wire.send(&text).await?;
                client.sent();
            }
            Output::Settled(settled) => {
                for settlement in settled {
                    let reply = settlement.result?;
                    if !reply.is_success() {
                        return Err(DemoError::NotTaken(reply));
                    }
                    taken = true;
                }
            }
            Output::Failed(failure) => return Err(failure.into()),
            Output::Wait { deadline } => {
                // A deadline that has passed is news for the client, no error of ours.
                let filled = tokio::time::timeout_at(instant(deadline), wire.fill()).await;
                if let Ok(filled) = filled {
                    filled?;
                }
            }
            Output::Close if taken => return Ok(()),
            Output::Close => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        }
    }
}

/// Shows what the client says, but for passwords.
fn show_commands(page: &mut Page, said: &[u8]) {
    for line in String::from_utf8_lossy(said).lines() {
        match line.strip_prefix("AUTH PLAIN ") {
            Some(_) => page.client("AUTH PLAIN ***"),
            None => page.client(line),
        }
    }
}

/// Shows replies, each in one line.
#[derive(Default)]
struct Replies {
    line: Vec<u8>,
    first: Option<String>,
    lines: usize,
}

impl Replies {
    fn show(&mut self, page: &mut Page, read: &[u8]) {
        for piece in read.split_inclusive(|&octet| octet == b'\n') {
            self.line.extend_from_slice(piece);
            if self.line.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                self.line(page, String::from_utf8_lossy(&line).trim_end());
            }
        }
    }

    fn line(&mut self, page: &mut Page, line: &str) {
        self.lines += 1;
        let first = self.first.get_or_insert_with(|| line.to_owned());
        // RFC 5321 §4.2.1: a hyphen behind the code says that more follows.
        if line.as_bytes().get(3) == Some(&b'-') {
            return;
        }
        match self.lines {
            1 => page.server(first),
            lines => page.server(&format!("{first} ({lines} lines)")),
        }
        (self.first, self.lines) = (None, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_one_line_however_it_comes() {
        let (mut page, told) = Page::in_memory();
        let mut replies = Replies::default();
        for piece in ["220 hel", "lo\r\n250-mail\r\n250-SIZE\r\n", "250 DSN\r\n"] {
            replies.show(&mut page, piece.as_bytes());
        }
        let text = told.text();
        let said: Vec<_> = text.lines().map(str::trim_start).collect();
        assert_eq!(said, ["S  220 hello", "S  250-mail (3 lines)"]);
    }
}
