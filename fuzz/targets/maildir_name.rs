//! `cargo +nightly fuzz run maildir_name`; without a fuzzer, a long replay.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| courier_fuzz::maildir_name::run(data));

#[cfg(not(fuzzing))]
fn main() {
    courier_fuzz::replay::replay(("maildir_name", courier_fuzz::maildir_name::run), 100_000);
}
