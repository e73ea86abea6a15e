//! `cargo +nightly fuzz run mime`; without a fuzzer, a long replay.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| courier_fuzz::mime::run(data));

#[cfg(not(fuzzing))]
fn main() {
    courier_fuzz::replay::replay(("mime", courier_fuzz::mime::run), 100_000);
}
