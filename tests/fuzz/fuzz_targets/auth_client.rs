//! libFuzzer's entry to the target `auth_client`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringbd_fuzz::auth_client(bytes));
