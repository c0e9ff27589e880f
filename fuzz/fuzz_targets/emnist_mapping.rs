//! The target `emnist_mapping` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wgrad_fuzz::targets::emnist_mapping(data));
