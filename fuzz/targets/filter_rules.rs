//! `cargo +nightly fuzz run filter_rules`; without a fuzzer, a long replay.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| courier_fuzz::filter_rules::run(data));

#[cfg(not(fuzzing))]
fn main() {
    courier_fuzz::replay::replay(("filter_rules", courier_fuzz::filter_rules::run), 100_000);
}
