//! libFuzzer's entry to the target `wire_secure`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringbd_fuzz::wire_secure(bytes));
