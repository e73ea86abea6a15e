//! Whoever sits at the terminal: passwords from there or from standard input, and how
//! far long work got.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::time::{Duration, Instant};

use courier_core::account::password::MAX_PASSWORD;
use courier_core::account::secret::Secret;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::failure::{Failure, Status};

/// The first line of standard input, without its end.
pub(super) fn password_from_stdin() -> Result<Secret, Failure> {
    // Longer than a password may be: then it is refused, not cut.
    let limit = MAX_PASSWORD as u64 + 3;
    let mut octets = Vec::with_capacity(MAX_PASSWORD + 3);
    let read = io::stdin().lock().take(limit).read_to_end(&mut octets);
    read.map_err(|error| Failure::new(Status::Io, format!("standard input: {error}")))?;
    let line = octets
        .split(|&octet| octet == b'\n')
        .next()
        .unwrap_or_default();
    let line = match line.len() < octets.len() {
        true => line.strip_suffix(b"\r").unwrap_or(line),
        false => line,
    };
    let password = Secret::from(line);
    drop(Secret::from(octets)); // wipes what was read
    Ok(password)
}

/// Asks twice at the terminal, where nothing of it is seen.
pub(super) fn password_from_terminal() -> Result<Secret, Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::new(
            Status::Usage,
            "standard input is not a terminal; give the password by --password-stdin",
        ));
    }
    let first = ask("Password: ")?;
    if first != ask("Password again: ")? {
        return Err(Failure::new(Status::Data, "the two passwords differ"));
    }
    Ok(first)
}

/// Reads one line key by key. The terminal neither shows it nor makes signals of
/// it, so that Ctrl-C comes here and leaves the terminal as it was.
fn ask(prompt: &str) -> Result<Secret, Failure> {
    let failed = |error: io::Error| Failure::new(Status::Io, format!("the terminal: {error}"));
    let terminal = Terminal::silence().map_err(failed)?;
    write_to_terminal(prompt);
    let mut line = Vec::with_capacity(MAX_PASSWORD + 1);
    let end = loop {
        let mut key = [0];
        match io::stdin().read(&mut key) {
            Ok(0) => break End::Cancelled,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(failed(error)),
        }
        match key {
            [b'\r' | b'\n'] => break End::Entered,
            [CTRL_C] => break End::Cancelled,
            [CTRL_D] if line.is_empty() => break End::Cancelled,
            [BACKSPACE | DELETE] => remove_last(&mut line),
            [CTRL_U] => line.clear(),
            [octet] if line.len() <= MAX_PASSWORD => line.push(octet),
            _ => {}
        }
    };
    drop(terminal);
    write_to_terminal("\n");
    let password = Secret::from(line);
    match end {
        End::Entered => Ok(password),
        End::Cancelled => Err(Failure::new(Status::Usage, "no password was given")),
    }
}

enum End {
    Entered,
    Cancelled,
}

/// Removes the last character, of however many octets.
fn remove_last(line: &mut Vec<u8>) {
    while line.pop().is_some_and(|octet| octet & 0xc0 == 0x80) {}
}

fn write_to_terminal(text: &str) {
    let mut out = io::stderr().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .ok();
}

/// The terminal's former ways, to which it returns when this is dropped.
struct Terminal(Termios);

impl Terminal {
    fn silence() -> io::Result<Self> {
        let former = tcgetattr(io::stdin())?;
        let mut silent = former.clone();
        silent.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self(former))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        tcsetattr(io::stdin(), OptionalActions::Drain, &self.0).ok();
    }
}

/// A line on the terminal that says how far long work got; nothing where standard error
/// is no terminal.
pub(super) struct Progress {
    shown: Option<Shown>,
}

struct Shown {
    last: Option<Instant>,
    visible: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        let shown = Shown {
            last: None,
            visible: false,
        };
        Self {
            shown: io::stderr().is_terminal().then_some(shown),
        }
    }

    /// Shows another state, a few times a second at most.
    pub(super) fn show(&mut self, text: impl FnOnce() -> String) {
        let Some(shown) = &mut self.shown else {
            return;
        };
        if shown.last.is_none_or(|last| last.elapsed() >= PAUSE) {
            shown.last = Some(Instant::now());
            shown.visible = true;
            write_to_terminal(&format!("\r{}\x1b[K", text()));
        }
    }

    /// Makes room for a line of output.
    pub(super) fn clear(&mut self) {
        if let Some(shown) = &mut self.shown
            && std::mem::take(&mut shown.visible)
        {
            write_to_terminal("\r\x1b[K");
        }
    }
}

const PAUSE: Duration = Duration::from_millis(100);

const CTRL_C: u8 = 3;
const CTRL_D: u8 = 4;
const BACKSPACE: u8 = 8;
const CTRL_U: u8 = 21;
const DELETE: u8 = 127;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_taken_back_whole() {
        let mut line = "aé€".as_bytes().to_vec();
        remove_last(&mut line);
        assert_eq!(line, "aé".as_bytes());
        remove_last(&mut line);
        remove_last(&mut line);
        remove_last(&mut line);
        assert!(line.is_empty());
    }
}
