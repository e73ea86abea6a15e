//! How the demo looks: a column of labels, and what happens beside it.

use std::io::{self, IsTerminal as _, Write};
use std::time::{Duration, Instant};

/// What is printed, and when the step began that is being told.
pub(super) struct Page {
    out: Box<dyn Write>,
    colours: Colours,
    reader: Reader,
    begun: Instant,
}

/// Whether colours are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Colours {
    On,
    Off,
}

/// Whether anybody reads what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    There,
    Gone,
}

#[derive(Debug, Clone, Copy)]
enum Style {
    Bold,
    Dim,
    Green,
    Red,
}

impl Page {
    /// Colours are for terminals, and for who has nothing against them: `NO_COLOR`
    /// (no-color.org), `TERM=dumb`.
    pub(super) fn on_standard_output() -> Self {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
        let colours = match io::stdout().is_terminal() && !set("NO_COLOR") && !dumb {
            true => Colours::On,
            false => Colours::Off,
        };
        Self::new(Box::new(io::stdout()), colours)
    }

    fn new(out: Box<dyn Write>, colours: Colours) -> Self {
        Self {
            out,
            colours,
            reader: Reader::There,
            begun: Instant::now(),
        }
    }

    /// Whether somebody has read everything so far.
    pub(super) fn is_read(&self) -> bool {
        self.reader == Reader::There
    }

    pub(super) fn title(&mut self, text: &str) {
        let text = self.styled(Style::Bold, text);
        self.line(&text);
    }

    /// A step begins.
    pub(super) fn step(&mut self, label: &str, text: &str) {
        self.begun = Instant::now();
        let label = self.styled(Style::Bold, &format!("{label:<LABEL$}"));
        self.line("");
        self.line(&format!("  {label}{text}"));
    }

    /// What the client says.
    pub(super) fn client(&mut self, said: &str) {
        self.said('C', said);
    }

    /// What the server says.
    pub(super) fn server(&mut self, said: &str) {
        self.said('S', said);
    }

    /// What happens on the connection and is not said in clear.
    pub(super) fn aside(&mut self, text: &str) {
        self.said('-', text);
    }

    /// A line of the message.
    pub(super) fn message(&mut self, line: &str) {
        self.said('|', line);
    }

    fn said(&mut self, who: char, said: &str) {
        let who = self.styled(Style::Dim, &format!("{who:>LABEL$}"));
        let line = format!("{who}  {}", shortened(said));
        self.line(line.trim_end());
    }

    pub(super) fn detail(&mut self, text: &str) {
        self.line(&format!("  {:LABEL$}{text}", ""));
    }

    /// The step went well.
    pub(super) fn done(&mut self, remark: &str) {
        let took = duration(self.begun.elapsed());
        let done = self.styled(Style::Green, &format!("done in {took}"));
        let colon = if remark.is_empty() { "" } else { ": " };
        self.detail(&format!("{done}{colon}{remark}"));
    }

    /// The step, and so the demo, failed.
    pub(super) fn failed(&mut self, why: &str) {
        let failed = self.styled(Style::Red, "failed");
        self.detail(&format!("{failed}: {why}"));
    }

    /// An entry of a list.
    pub(super) fn entry(&mut self, label: &str, text: &str) {
        let line = format!("  {label:<LABEL$}{text}");
        self.line(line.trim_end());
    }

    /// Prints a line at once. Who goes away ends no demo: the rest is not printed.
    pub(super) fn line(&mut self, text: &str) {
        if self.reader == Reader::Gone {
            return;
        }
        let line = format!("{text}\n");
        let printed = self.out.write_all(line.as_bytes());
        if printed.and_then(|()| self.out.flush()).is_err() {
            self.reader = Reader::Gone;
        }
    }

    fn styled(&self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Bold => 1,
            Style::Dim => 2,
            Style::Green => 32,
            Style::Red => 31,
        };
        match self.colours {
            Colours::On => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Colours::Off => text.to_owned(),
        }
    }
}

/// A line cut so that it stays one on a usual terminal.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(WIDTH) {
        Some(_) => text.chars().take(WIDTH - 4).chain(" ...".chars()).collect(),
        None => text.to_owned(),
    }
}

fn duration(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    match millis {
        ..10.0 => format!("{millis:.1} ms"),
        ..1000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.1} s", millis / 1000.0),
    }
}

/// Characters of the column of labels.
const LABEL: usize = 10;
/// Characters of what is said that are shown.
const WIDTH: usize = 66;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// What was printed on a page in memory.
    #[derive(Clone, Default)]
    pub(in crate::demo) struct Told(Arc<Mutex<Vec<u8>>>);

    impl Told {
        pub(in crate::demo) fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("lock").clone()).expect("text")
        }
    }

    impl Write for Told {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("lock").write(octets)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Page {
        pub(in crate::demo) fn in_memory() -> (Self, Told) {
            let told = Told::default();
            (Self::new(Box::new(told.clone()), Colours::Off), told)
        }
    }

    #[test]
    fn labels_and_what_is_said_stand_in_columns() {
        let (mut page, told) = Page::in_memory();
        page.step("SMTP", "Ann writes.");
        page.client("EHLO x");
        page.message("");
        page.detail("a file");
        page.entry("trust", "ca.pem");
        let expected = "\n  SMTP      Ann writes.\n         C  EHLO x\n         |\n            a file\n  \
                        trust     ca.pem\n";
        assert_eq!(told.text(), expected);
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let line = "\u{e4}".repeat(WIDTH);
        assert_eq!(shortened(&line), line);
        let cut = shortened(&format!("{line}x"));
        assert_eq!(cut.chars().count(), WIDTH);
        assert!(cut.ends_with("\u{e4} ..."));
    }

    #[test]
    fn times_are_told_with_sense() {
        let told = |micros| duration(Duration::from_micros(micros));
        assert_eq!(told(1_234), "1.2 ms");
        assert_eq!(told(45_600), "46 ms");
        assert_eq!(told(1_250_000), "1.2 s");
    }

    #[test]
    fn who_goes_away_is_told_nothing_more() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut page = Page::new(Box::new(Closed), Colours::On);
        assert!(page.is_read());
        page.title("Hello");
        assert!(!page.is_read());
    }
}
