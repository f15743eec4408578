//! libFuzzer's entry to the target `dns_answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringbd_fuzz::dns_answer(bytes));
