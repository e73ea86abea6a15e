//! `cargo +nightly fuzz run address`; without a fuzzer, a long replay.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| courier_fuzz::address::run(data));

#[cfg(not(fuzzing))]
fn main() {
    courier_fuzz::replay::replay(("address", courier_fuzz::address::run), 100_000);
}
