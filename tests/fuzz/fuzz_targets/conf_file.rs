//! libFuzzer's entry to the target `conf_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringbd_fuzz::conf_file(bytes));
