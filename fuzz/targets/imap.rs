//! `cargo +nightly fuzz run imap`; without a fuzzer, a long replay.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| courier_fuzz::imap::run(data));

#[cfg(not(fuzzing))]
fn main() {
    courier_fuzz::replay::replay(("imap", courier_fuzz::imap::run), 100_000);
}
