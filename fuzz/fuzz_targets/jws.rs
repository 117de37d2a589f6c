//! Hands libFuzzer's bytes to `hallmark_fuzz::evidence::jws`, and decides nothing.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    hallmark_fuzz::evidence::jws(bytes);
});
