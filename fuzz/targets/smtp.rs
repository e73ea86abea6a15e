//! `cargo +nightly fuzz run smtp`; without a fuzzer, a long replay.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| courier_fuzz::smtp::run(data));

#[cfg(not(fuzzing))]
fn main() {
    courier_fuzz::replay::replay(("smtp", courier_fuzz::smtp::run), 100_000);
}
