#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tlscov_fuzz::tunnels(data));
