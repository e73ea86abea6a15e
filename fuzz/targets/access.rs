//! `cargo +nightly fuzz run access`; without a fuzzer, a long replay.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| courier_fuzz::access::run(data));

#[cfg(not(fuzzing))]
fn main() {
    courier_fuzz::replay::replay(("access", courier_fuzz::access::run), 100_000);
}
