//! `cargo +nightly fuzz run pop3`; without a fuzzer, a long replay.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| courier_fuzz::pop3::run(data));

#[cfg(not(fuzzing))]
fn main() {
    courier_fuzz::replay::replay(("pop3", courier_fuzz::pop3::run), 100_000);
}
