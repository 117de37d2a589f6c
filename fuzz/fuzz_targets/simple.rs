//! Hands libFuzzer's bytes to `hallmark_fuzz::evidence::simple`, and decides nothing.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    hallmark_fuzz::evidence::simple(bytes);
});
