//! `cargo +nightly fuzz run maildirsize`; without a fuzzer, a long replay.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| courier_fuzz::maildirsize::run(data));

#[cfg(not(fuzzing))]
fn main() {
    courier_fuzz::replay::replay(("maildirsize", courier_fuzz::maildirsize::run), 100_000);
}
