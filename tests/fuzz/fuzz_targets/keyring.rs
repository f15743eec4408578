//! libFuzzer's entry to the target `keyring`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringbd_fuzz::keyring(bytes));
