//! `cargo +nightly fuzz run header_list`; without a fuzzer, a long replay.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| courier_fuzz::header_list::run(data));

#[cfg(not(fuzzing))]
fn main() {
    courier_fuzz::replay::replay(("header_list", courier_fuzz::header_list::run), 100_000);
}
