//! Hands libFuzzer's bytes to `hallmark_fuzz::evidence::trust_policy`, and decides nothing.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    hallmark_fuzz::evidence::trust_policy(bytes);
});
