//! The scanner of messages beside `mail-parser`, in one run; and the way to the wire.
//! They do not do the same work: ours finds parts, lines and sizes and decodes
//! nothing, `mail-parser` decodes everything.

use std::hint::black_box;

use courier_core::message::wire::{Encoding, Pieces, length};
use courier_core::message::{Limits, scan};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const HEADER: &str = "Return-Path: <alice@example.com>\n\
    Received: from mail.example.com (mail.example.com [192.0.2.1])\n  by mx.example.net with ESMTPS id 0001;\n  Mon, 23 Nov 2026 05:59:23 +0000\n\
    DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=s1;\n\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\n\
    From: Alice <alice@example.com>\nTo: Bob <bob@example.net>\nSubject: A message of some length\n\
    Date: Mon, 23 Nov 2026 05:59:23 +0000\nMessage-ID: <1@example.com>\nMIME-Version: 1.0\n";

fn text(octets: usize) -> String {
    let mut text = String::new();
    let words = [
        "lorem",
        "ipsum",
        "dolor",
        "sit",
        "amet,",
        "consectetur",
        "-",
        "elit.",
    ];
    let mut column = 0;
    for number in 0.. {
        let word = words.get(number * 7 % 8).unwrap_or(&"x");
        column += word.len() + 1;
        text += word;
        if column > 66 || number % 97 == 0 {
            text.push('\n');
            column = 0;
        } else {
            text.push(' ');
        }
        if text.len() > octets {
            break;
        }
    }
    text
}

fn base64(octets: usize) -> String {
    let line = "TG9yZW0gaXBzdW0gZG9sb3Igc2l0IGFtZXQsIGNvbnNlY3RldHVyIGFkaXBpc2NpbmcgZWxpdC4g\n";
    line.repeat(octets / line.len())
}

fn part(kind: &str, body: &str) -> String {
    format!("--b0undary\nContent-Type: {kind}\n\n{body}\n")
}

fn mixed(parts: &[String]) -> String {
    let parts = parts.concat();
    format!("{HEADER}Content-Type: multipart/mixed; boundary=\"b0undary\"\n\n{parts}--b0undary--\n")
}

fn deep() -> String {
    let mut message = String::from(HEADER);
    for level in 0..45 {
        message += &format!(
            "Content-Type: multipart/mixed; boundary=\"=_{level:04}\"\n\nPreamble\n--=_{level:04}\n"
        );
    }
    message += "Content-Type: text/plain\n\n";
    message += &text(4000);
    for level in (0..45).rev() {
        let text = text(1000);
        message +=
            &format!("\n--=_{level:04}\nContent-Type: text/plain\n\n{text}\n--=_{level:04}--\n");
    }
    message
}

fn messages() -> Vec<(&'static str, String)> {
    let plain = |octets| {
        format!(
            "{HEADER}Content-Type: text/plain; charset=utf-8\n\n{}",
            text(octets)
        )
    };
    let attachment = |octets| {
        mixed(&[
            part("text/plain", &text(2000)),
            part(
                "application/pdf; name=x.pdf\nContent-Transfer-Encoding: base64",
                &base64(octets),
            ),
        ])
    };
    let alternative = mixed(&[
        part("text/plain", &text(4000)),
        part("text/html", &text(12_000)),
    ]);
    let many: Vec<_> = (0..500).map(|_| part("text/plain", &text(1000))).collect();
    vec![
        ("text 4K", plain(4096)),
        ("text 64K", plain(65_536)),
        ("text 64K crlf", plain(65_536).replace('\n', "\r\n")),
        ("text parts 16K", alternative),
        ("attachment 1M", attachment(1 << 20)),
        (
            "attachment 1M crlf",
            attachment(1 << 20).replace('\n', "\r\n"),
        ),
        ("attachment 16M", attachment(16 << 20)),
        ("many parts", mixed(&many)),
        ("deep", deep()),
    ]
}

fn scanner(criterion: &mut Criterion) {
    for (name, message) in messages() {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(message.len() as u64));
        let octets = message.as_bytes();
        group.bench_function("ours", |bencher| {
            bencher.iter(|| scan(black_box(octets), &Limits::default()));
        });
        group.bench_function("mail-parser", |bencher| {
            bencher.iter(|| mail_parser::MessageParser::default().parse(black_box(octets)));
        });
        group.finish();
    }
}

fn wire(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wire");
    let stored = text(1 << 20);
    let mut out = Vec::with_capacity(2 << 20);
    group.throughput(Throughput::Bytes(stored.len() as u64));
    for encoding in [Encoding::Crlf, Encoding::CrlfDotStuffed] {
        group.bench_function(format!("copy {encoding:?}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                Pieces::new(black_box(stored.as_bytes()), encoding).copy_to(&mut out, usize::MAX)
            });
        });
        group.bench_function(format!("length {encoding:?}"), |bencher| {
            bencher.iter(|| length(black_box(stored.as_bytes()), encoding));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_secs(1));
    targets = scanner, wire
}
criterion_main!(benches);
