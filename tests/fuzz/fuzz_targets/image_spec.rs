//! libFuzzer's entry to the target `image_spec`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringbd_fuzz::image_spec(bytes));
