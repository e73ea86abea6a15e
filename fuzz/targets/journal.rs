//! `cargo +nightly fuzz run journal`; without a fuzzer, a long replay.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| courier_fuzz::journal::run(data));

#[cfg(not(fuzzing))]
fn main() {
    courier_fuzz::replay::replay(("journal", courier_fuzz::journal::run), 100_000);
}
