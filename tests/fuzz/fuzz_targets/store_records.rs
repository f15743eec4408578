//! libFuzzer's entry to the target `store_records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringbd_fuzz::store_records(bytes));
