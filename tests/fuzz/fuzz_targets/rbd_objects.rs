//! libFuzzer's entry to the target `rbd_objects`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringbd_fuzz::rbd_objects(bytes));
