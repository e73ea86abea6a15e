//! The log: one event a line on standard error, as `LEVEL: EVENT, key=value, …`
//! like Courier's, or as a JSON object.
//!
//! Values from outside are quoted where they need it and cut at 256 octets, so a
//! line is always one event. Writing happens on a thread of its own: when standard
//! error does not take what is written, events are counted and dropped, and mail
//! goes on.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// How the log looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// `LEVEL: EVENT, key=value, …`
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts the log of this process, on standard error; a second call changes nothing.
pub fn start(format: Format) {
    start_into(format, std::io::stderr());
}

/// Starts the log of this process in another place. Events that come together go
/// out in one write, each whole.
pub fn start_into(format: Format, mut out: impl std::io::Write + Send + 'static) {
    let (queue, lines) = mpsc::sync_channel::<String>(QUEUE);
    let dropped = Arc::new(AtomicU64::new(0));
    let sink = Sink {
        format,
        queue,
        dropped: Arc::clone(&dropped),
    };
    let subscriber = tracing_subscriber::registry().with(sink);
    if tracing::subscriber::set_global_default(subscriber).is_err() {
        return;
    }
    let (done, finished) = mpsc::channel();
    FLUSHED.set(Mutex::new(finished)).ok();
    std::thread::spawn(move || {
        while let Ok(line) = lines.recv() {
            let mut text = String::new();
            let mut flushes = 0;
            for line in std::iter::once(line).chain(lines.try_iter().take(TOGETHER)) {
                match line.is_empty() {
                    true => flushes += 1,
                    false => text.push_str(&line),
                }
            }
            let missing = dropped.swap(0, Ordering::Relaxed);
            if missing > 0 {
                writeln!(text, "WARN: LOG, dropped={missing}").ok();
            }
            out.write_all(text.as_bytes()).ok();
            for _ in 0..flushes {
                done.send(()).ok();
            }
            // Who logs next need not wake this thread, and many lines go out at once.
            std::thread::sleep(PAUSE);
        }
    });
}

/// Waits until what was logged so far is written, a second or two at most.
pub fn flush() {
    tracing::event!(target: "flush", Level::ERROR, "");
    if let Some(finished) = FLUSHED.get().and_then(|f| f.lock().ok()) {
        finished.recv_timeout(Duration::from_secs(1)).ok();
    }
}

static FLUSHED: OnceLock<Mutex<mpsc::Receiver<()>>> = OnceLock::new();

struct Sink {
    format: Format,
    queue: SyncSender<String>,
    dropped: Arc<AtomicU64>,
}

impl<S: Subscriber> Layer<S> for Sink {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let ours = event.metadata().target().starts_with("courier");
        let level = *event.metadata().level();
        if event.metadata().target() == "flush" {
            // Not by a send that waits: standard error may take nothing any more.
            for _ in 0..FLUSH_ATTEMPTS {
                if self.queue.try_send(String::new()).is_ok() {
                    return;
                }
                std::thread::sleep(FLUSH_PAUSE);
            }
            return;
        }
        if level > Level::INFO || (!ours && level > Level::WARN) {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let word = match event.metadata().target() {
            NOTICE => "NOTICE",
            _ => word(level),
        };
        let line = match self.format {
            Format::Text => fields.text(word),
            Format::Json => fields.json(word, SystemTime::now()),
        };
        if self.queue.try_send(line).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The fields of one event; `message` is its name.
#[derive(Default)]
struct Fields {
    name: String,
    values: Vec<(&'static str, String)>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

impl Fields {
    fn put(&mut self, field: &Field, mut value: String) {
        if field.name() != PAIRS && value.len() > VALUE_LIMIT {
            value.truncate(cut(&value).len());
        }
        if field.name() == "message" {
            self.name = value;
        } else {
            self.values.push((field.name(), value));
        }
    }

    fn text(&self, word: &str) -> String {
        let mut line = format!("{word}: ");
        escape(&self.name, &mut line);
        for (name, value) in &self.values {
            if *name == PAIRS {
                line.push_str(value);
                continue;
            }
            write!(line, ", {name}=").ok();
            quote(value, &mut line);
        }
        line.push('\n');
        line
    }

    fn json(&self, word: &str, now: SystemTime) -> String {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut line = format!(
            "{{\"time\":{}.{:03},\"level\":\"{}\",\"event\":\"",
            since.as_secs(),
            since.subsec_millis(),
            word
        );
        escape_json(&self.name, &mut line);
        line.push('"');
        for (name, value) in &self.values {
            write!(line, ",\"{name}\":\"").ok();
            let value = value.strip_prefix(", ").unwrap_or(value);
            escape_json(value, &mut line);
            line.push('"');
        }
        line.push_str("}\n");
        line
    }
}

/// Pairs whose names come from outside as well, for the value of a field `pairs`: they
/// stand in the line as if they were fields of the event.
#[must_use]
pub fn pairs<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut line = String::new();
    for (name, value) in pairs {
        line.push_str(", ");
        quote(cut(name), &mut line);
        line.push('=');
        quote(cut(value), &mut line);
    }
    line
}

/// The value, in quotes if it needs them.
fn quote(value: &str, line: &mut String) {
    if value.is_empty() || value.contains(|c: char| unsafe_in_text(c)) {
        line.push('"');
        escape(value, line);
        line.push('"');
    } else {
        line.push_str(value);
    }
}

/// What is kept of a value.
fn cut(value: &str) -> &str {
    let end = value.floor_char_boundary(VALUE_LIMIT);
    value.get(..end).unwrap_or(value)
}

/// Whether something lasting at this place is to be logged: it was not yet, as far as
/// this process remembers.
#[must_use]
pub fn is_news(place: &Path) -> bool {
    static LOGGED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    if logged.contains(place) {
        return false;
    }
    if logged.len() >= REMEMBERED {
        logged.clear();
    }
    logged.insert(place.to_owned())
}

/// Places that [`is_news`] remembers.
const REMEMBERED: usize = 10_000;

/// The target of events of a level that `tracing` lacks.
pub const NOTICE: &str = "courier::notice";
/// The field whose value is [`pairs()`].
const PAIRS: &str = "pairs";

/// Courier's words for the levels.
fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERR",
        Level::WARN => "WARN",
        Level::INFO => "INFO",
        Level::DEBUG | Level::TRACE => "DEBUG",
    }
}

fn unsafe_in_text(c: char) -> bool {
    c == ' ' || c == '=' || c == '"' || c == ',' || c == '\\' || deceives(c)
}

/// Control characters, and those that end a line or turn its direction.
fn deceives(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}')
        || ('\u{202a}'..='\u{202e}').contains(&c)
        || ('\u{2066}'..='\u{2069}').contains(&c)
}

fn escape(value: &str, line: &mut String) {
    for c in value.chars() {
        match c {
            '"' | '\\' => {
                line.push('\\');
                line.push(c);
            }
            c if deceives(c) => line.extend(c.escape_unicode()),
            c => line.push(c),
        }
    }
}

fn escape_json(value: &str, line: &mut String) {
    for c in value.chars() {
        match c {
            '"' | '\\' => {
                line.push('\\');
                line.push(c);
            }
            c if deceives(c) => {
                write!(line, "\\u{:04x}", u32::from(c)).ok();
            }
            c => line.push(c),
        }
    }
}

/// Events that wait for the writing thread.
const QUEUE: usize = 4096;
/// Events that are written at once, beside the first.
const TOGETHER: usize = 255;
/// How long events gather for the next write.
const PAUSE: Duration = Duration::from_millis(2);
/// How often and after what pause a full queue is tried at the end.
const FLUSH_ATTEMPTS: u32 = 100;
const FLUSH_PAUSE: Duration = Duration::from_millis(10);
/// Octets of a value that are kept (reliability.md section 5).
const VALUE_LIMIT: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn event(value: &str) -> Fields {
        Fields {
            name: "LOGIN FAILED".to_owned(),
            values: vec![("user", value.to_owned()), ("ip", "[192.0.2.1]".to_owned())],
        }
    }

    #[test]
    fn a_plain_event_reads_like_couriers() {
        let line = event("ann@example.com").text("INFO");
        assert_eq!(
            line,
            "INFO: LOGIN FAILED, user=ann@example.com, ip=[192.0.2.1]\n"
        );
    }

    #[test]
    fn a_hostile_value_stays_on_its_line_and_in_its_quotes() {
        let line = event("x\r\nINFO: LOGIN, user=\"root\"\u{202e}").text("INFO");
        assert_eq!(line.matches('\n').count(), 1);
        assert!(
            line.contains(r#"user="x\u{d}\u{a}INFO: LOGIN, user=\"root\"\u{202e}""#),
            "{line}"
        );
    }

    #[test]
    fn pairs_from_outside_stand_beside_the_fields() {
        let mut fields = event("ann@example.com");
        let said = [("name", "Mutt 2"), ("a, b", "x\ny"), ("os", "")];
        fields.values.push((PAIRS, pairs(said.into_iter())));
        assert_eq!(
            fields.text("INFO"),
            "INFO: LOGIN FAILED, user=ann@example.com, ip=[192.0.2.1], \
             name=\"Mutt 2\", \"a, b\"=\"x\\u{a}y\", os=\"\"\n"
        );
        let long = "\u{e9}".repeat(1000);
        let said = [(long.as_str(), long.as_str())];
        assert!(pairs(said.into_iter()).len() <= 2 * VALUE_LIMIT + 3);
    }

    #[test]
    fn json_escapes_what_json_must() {
        let line = event("a\"b\\c\n").json("WARN", UNIX_EPOCH);
        assert_eq!(
            line,
            "{\"time\":0.000,\"level\":\"WARN\",\"event\":\"LOGIN FAILED\",\
             \"user\":\"a\\\"b\\\\c\\u000a\",\"ip\":\"[192.0.2.1]\"}\n"
        );
    }
}
