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
    let mut check = Check::of(stated);
    check.update(bytes);
    check.finish()
}

/// Whether hashes of this algorithm are checked, and not passed over.
#[must_use]
pub fn is_known(algorithm: &str) -> bool {
    matches!(algorithm, "sha256" | "sha512")
}

/// [`check`], of bytes that come one piece after the other.
#[derive(Clone, Debug)]
pub struct Check<'a> {
    stated: &'a BTreeMap<String, String>,
    sha256: Option<(&'a String, Sha256)>,
    sha512: Option<(&'a String, Sha512)>,
}

impl<'a> Check<'a> {
    /// Begins with no bytes.
    #[must_use]
    pub fn of(stated: &'a BTreeMap<String, String>) -> Self {
        Self {
            stated,
            sha256: stated.get("sha256").map(|expected| (expected, Sha256::new())),
            sha512: stated.get("sha512").map(|expected| (expected, Sha512::new())),
        }
    }

    /// The next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.iter_mut().for_each(|(_, hash)| hash.update(bytes));
        self.sha512.iter_mut().for_each(|(_, hash)| hash.update(bytes));
    }

    /// Compares, at the end of the bytes.
    ///
    /// # Errors
    /// As [`check`].
    pub fn finish(self) -> Result<(), (String, String)> {
        let sha256 = self.sha256.map(|(expected, hash)| ("sha256", expected, hex(&hash.finalize())));
        let sha512 = self.sha512.map(|(expected, hash)| ("sha512", expected, hex(&hash.finalize())));
        let mut known = false;
        for (algorithm, expected, got) in sha256.into_iter().chain(sha512) {
            known = true;
            if !expected.eq_ignore_ascii_case(&got) {
                return Err((alloc::format!("{algorithm}:{expected}"), alloc::format!("{algorithm}:{got}")));
            }
        }
        if known {
            return Ok(());
        }
        let names = self.stated.keys().map(String::as_str).collect::<alloc::vec::Vec<_>>().join(", ");
        Err(("a sha256 or sha512 hash".to_owned(), if names.is_empty() { "none".to_owned() } else { names }))
    }
}
