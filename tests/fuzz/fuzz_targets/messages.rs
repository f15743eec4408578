//! libFuzzer's entry to the target `messages`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringbd_fuzz::messages(bytes));
