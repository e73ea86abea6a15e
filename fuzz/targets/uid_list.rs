//! `cargo +nightly fuzz run uid_list`; without a fuzzer, a long replay.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| courier_fuzz::uid_list::run(data));

#[cfg(not(fuzzing))]
fn main() {
    courier_fuzz::replay::replay(("uid_list", courier_fuzz::uid_list::run), 100_000);
}
