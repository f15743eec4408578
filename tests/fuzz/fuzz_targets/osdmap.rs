//! libFuzzer's entry to the target `osdmap`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringbd_fuzz::osdmap(bytes));
