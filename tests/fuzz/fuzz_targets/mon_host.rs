//! libFuzzer's entry to the target `mon_host`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringbd_fuzz::mon_host(bytes));
