//! The hashes that metadata states of files (section 4.4, HASHES): SHA-256 and SHA-512.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;

use sha2::{Digest as _, Sha256, Sha512};

/// SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SHA-256 of `bytes` in lower-case hex.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&sha256(bytes))
}

/// SHA-512 of `bytes` in lower-case hex.
#[must_use]
pub fn sha512_hex(bytes: &[u8]) -> String {
    hex(&Sha512::digest(bytes))
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).map_or('0', |&digit| char::from(digit));
    let mut hex = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        hex.push(digit(byte >> 4));
        hex.push(digit(byte & 15));
    }
    hex
}

/// Reads hex of either case.
#[must_use]
pub fn unhex(text: &str) -> Option<alloc::vec::Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|&[high, low]| Some((nibble(high)? << 4) | nibble(low)?)).collect()
}

/// Compares what a document states with the bytes: every stated hash of a known algorithm must fit, and
/// at least one must be of a known algorithm. On failure: the stated and the computed text.
///
/// # Errors
/// The pair (expected, got), each with its algorithm.
pub fn check(stated: &BTreeMap<String, String>, bytes: &[u8]) -> Result<(), (String, String)> {
    let mut known = false;
    for (algorithm, expected) in stated {
        let got = match algorithm.as_str() {
            "sha256" => sha256_hex(bytes),
            "sha512" => sha512_hex(bytes),
            _ => continue,
        };
        known = true;
        if !expected.eq_ignore_ascii_case(&got) {
            return Err((alloc::format!("{algorithm}:{expected}"), alloc::format!("{algorithm}:{got}")));
        }
    }
    if known {
        return Ok(());
    }
    let names = stated.keys().map(String::as_str).collect::<alloc::vec::Vec<_>>().join(", ");
    Err(("a sha256 or sha512 hash".to_owned(), if names.is_empty() { "none".to_owned() } else { names }))
}
