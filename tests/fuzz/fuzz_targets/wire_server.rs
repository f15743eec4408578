//! libFuzzer's entry to the target `wire_server`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ringbd_fuzz::wire_server(bytes));
