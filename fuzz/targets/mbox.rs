//! `cargo +nightly fuzz run mbox`; without a fuzzer, a long replay.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| courier_fuzz::mbox::run(data));

#[cfg(not(fuzzing))]
fn main() {
    courier_fuzz::replay::replay(("mbox", courier_fuzz::mbox::run), 100_000);
}
