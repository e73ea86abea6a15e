//! `cargo +nightly fuzz run config`; without a fuzzer, a long replay.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| courier_fuzz::config::run(data));

#[cfg(not(fuzzing))]
fn main() {
    courier_fuzz::replay::replay(("config", courier_fuzz::config::run), 100_000);
}
