//! Hands libFuzzer's bytes to `hallmark_fuzz::pack`, and decides nothing.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    hallmark_fuzz::pack::run(bytes);
});
