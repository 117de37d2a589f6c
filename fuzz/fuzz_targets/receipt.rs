//! Hands libFuzzer's bytes to `hallmark_fuzz::receipt`, and decides nothing.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    hallmark_fuzz::receipt::run(bytes);
});
