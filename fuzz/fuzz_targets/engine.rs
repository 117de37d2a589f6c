//! Hands libFuzzer's bytes to `hallmark_fuzz::engine`, and decides nothing.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    hallmark_fuzz::engine::run(bytes);
});
