//! `cargo +nightly fuzz run folder_index`; without a fuzzer, a long replay.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| courier_fuzz::folder_index::run(data));

#[cfg(not(fuzzing))]
fn main() {
    courier_fuzz::replay::replay(("folder_index", courier_fuzz::folder_index::run), 100_000);
}
