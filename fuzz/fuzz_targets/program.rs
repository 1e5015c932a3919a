#![no_main]

use tlscov_fuzz::mutate;

libfuzzer_sys::fuzz_target!(|data: &[u8]| tlscov_fuzz::program(data));

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::capture(data, size, max_size, seed, libfuzzer_sys::fuzzer_mutate)
});
