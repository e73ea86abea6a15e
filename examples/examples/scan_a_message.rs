//! What a message is made of: its parts with their places and sizes, and their texts
//! as a person reads them.
//!
//! ```sh
//! cargo run -p courier-examples --example scan_a_message [FILE]
//! ```
//!
//! `courier_core::message::scan` walks the octets once and copies nothing; whatever a
//! stranger has sent, it takes linear time and bounded memory. Values are decoded when
//! somebody asks for them.

use std::error::Error;
use std::fmt::Write as _;

use courier_core::message::view::View;
use courier_core::message::{Limits, Structure, scan};

/// A letter in two forms, and a picture.
const LETTER: &str = "\
From: =?utf-8?q?J=C3=BCrgen?= <juergen@example.com>
To: Ann <ann@example.com>
Subject: =?utf-8?b?R3LDvMOfZSBhdXMgS8O2bG4=?=
Mime-Version: 1.0
Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: multipart/alternative; boundary=inner

--inner
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Der Dom steht noch. Sch=F6ne Gr=FC=DFe!
--inner
Content-Type: text/html; charset=utf-8

<p>Der <b>Dom</b> steht noch.</p>
--inner--
--outer
Content-Type: image/gif
Content-Disposition: attachment; filename*=utf-8''K%C3%B6ln.gif
Content-Transfer-Encoding: base64

R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs=
--outer--
";

/// One line a part, indented as the parts are nested.
fn describe(message: &[u8], structure: &Structure) -> String {
    let view = View::new(message, structure);
    let mut text = String::new();
    let mut depths = Vec::new();
    for (number, part) in structure.parts().iter().enumerate() {
        let above = part.parent.and_then(|parent| depths.get(parent));
        let depth: usize = above.map_or(0, |depth| depth + 1);
        depths.push(depth);
        let media_type = part.media_type(message);
        let (main, sub) = match &media_type {
            Some(found) => (found.main, found.sub),
            None => (&b"text"[..], &b"plain"[..]),
        };
        let name = format!(
            "{:width$}{}/{}",
            "",
            String::from_utf8_lossy(main),
            String::from_utf8_lossy(sub),
            width = 2 * depth
        );
        let body = &part.body_size;
        let file = view.file_name(number).unwrap_or_default();
        let line = format!(
            "{name:<28}{:>6} octets {:>4} lines  {file}",
            body.octets, body.lines
        );
        writeln!(text, "{}", line.trim_end()).ok();
    }
    text
}

fn main() -> Result<(), Box<dyn Error>> {
    let message = match std::env::args_os().nth(1) {
        Some(file) => std::fs::read(file)?,
        None => LETTER.as_bytes().to_vec(),
    };
    let structure = scan(&message, &Limits::default());
    let view = View::new(&message, &structure);
    for name in ["From", "Subject"] {
        println!("{name}: {}", view.header(0, name).unwrap_or_default());
    }
    println!("\n{}", describe(&message, &structure));
    println!("{}", view.preview(70));
    Ok(())
}

#[test]
fn the_letter_is_what_it_looks_like() {
    let message = LETTER.as_bytes();
    let structure = scan(message, &Limits::default());
    let view = View::new(message, &structure);
    assert_eq!(view.header(0, "subject").as_deref(), Some("Grüße aus Köln"));
    assert_eq!(view.preview(70), "Der Dom steht noch. Schöne Grüße!");
    assert_eq!(
        view.readable(3).as_deref().map(str::trim),
        Some("Der Dom steht noch.")
    );
    assert_eq!(view.file_name(4).as_deref(), Some("Köln.gif"));
    assert_eq!(
        view.content(4).map(|gif| gif.starts_with(b"GIF89a")),
        Some(true)
    );
    let tree = describe(message, &structure);
    let types: Vec<_> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    let expected = [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "image/gif",
    ];
    assert_eq!(types, expected);
    // Places, not copies: the parts are slices of the message.
    let picture = structure.part(4).map(|part| part.body_of(message));
    assert_eq!(
        picture,
        Some(&b"R0lGODlhAQABAAAAACwAAAAAAQABAAACAkQBADs="[..])
    );
}
