//! `cargo +nightly fuzz run imap_session`; without a fuzzer, a long replay.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| courier_fuzz::imap_session::run(data));

#[cfg(not(fuzzing))]
fn main() {
    courier_fuzz::replay::replay(("imap_session", courier_fuzz::imap_session::run), 100_000);
}
