//! libFuzzer's entry to the target `crush`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringbd_fuzz::crush(bytes));
