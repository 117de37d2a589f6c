//! Content digests: SHA-256, one spelling, and the hasher that makes them.
//!
//! Other algorithms are refused when they are read: a digest that can't be checked is no digest.

use std::fmt;
use std::str::FromStr;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;
use thiserror::Error;

/// A SHA-256 content digest. To hold one is to know it is well formed.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// A digest that was computed elsewhere.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 lowercase hex digits, without `sha256:`.
    pub fn hex(&self) -> String {
        let mut hex = [[0; 2]; 32];
        for (pair, byte) in hex.iter_mut().zip(self.0) {
            *pair = [digit(byte >> 4), digit(byte & 15)];
        }
        // Hex digits are text.
        str::from_utf8(hex.as_flattened()).unwrap_or_default().to_owned()
    }

    /// The digest of these 64 lowercase hex digits.
    ///
    /// # Errors
    /// When there are more or fewer digits, or other ones.
    pub fn from_hex(hex: &str) -> Result<Self, BadDigest> {
        let mut bytes = [0; 32];
        let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(BadDigest::Length { expected: 64, got: hex.len() });
        }
        for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
            *byte = (nibble(*high)? << 4) | nibble(*low)?;
        }
        Ok(Self(bytes))
    }
}

/// Hashes what arrives piece by piece.
#[derive(Clone, Default)]
pub struct Hasher(sha2::Sha256);

impl Hasher {
    /// A hasher that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes taken.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").finish_non_exhaustive()
    }
}

impl FromStr for Digest {
    type Err = BadDigest;

    fn from_str(text: &str) -> Result<Self, BadDigest> {
        Self::from_hex(text.strip_prefix("sha256:").ok_or(BadDigest::Algorithm)?)
    }
}

/// A hex digit of four bits.
fn digit(nibble: u8) -> u8 {
    let first = if nibble < 10 { b'0' } else { b'a'.wrapping_sub(10) };
    first.wrapping_add(nibble)
}

/// One lowercase hex digit. Uppercase is refused, so that a digest has one spelling.
fn nibble(digit: u8) -> Result<u8, BadDigest> {
    match digit {
        b'0'..=b'9' => Ok(digit.wrapping_sub(b'0')),
        b'a'..=b'f' => Ok(digit.wrapping_sub(b'a').wrapping_add(10)),
        _ => Err(BadDigest::NotHex),
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text)
    }
}

/// Reads a digest from its text, without a copy of that.
struct Text;

impl Visitor<'_> for Text {
    type Value = Digest;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Digest, E> {
        text.parse().map_err(|why| E::custom(format_args!("{why}: {text:?}")))
    }
}

/// Why a text is not a digest.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum BadDigest {
    /// It does not start with `sha256:`.
    #[error("expected a digest that starts with sha256:")]
    Algorithm,
    /// It has the wrong number of digits.
    #[error("expected {expected} hex digits after sha256:, got {got}")]
    Length {
        /// The number of digits of SHA-256.
        expected: usize,
        /// The number of bytes found.
        got: usize,
    },
    /// It has something other than `0-9a-f`.
    #[error("a digest has only the digits 0-9 and a-f")]
    NotHex,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each case: a name, what was typed, why it is refused.
    const REFUSED: &[(&str, &str, BadDigest)] = &[
        ("nothing", "", BadDigest::Algorithm),
        ("no algorithm", "00", BadDigest::Algorithm),
        ("other algorithm", "sha512:00", BadDigest::Algorithm),
        ("short", "sha256:00", BadDigest::Length { expected: 64, got: 2 }),
        (
            "long",
            "sha256:00000000000000000000000000000000000000000000000000000000000000000",
            BadDigest::Length { expected: 64, got: 65 },
        ),
        (
            "uppercase",
            "sha256:AA00000000000000000000000000000000000000000000000000000000000000",
            BadDigest::NotHex,
        ),
        (
            "not ASCII",
            "sha256:é000000000000000000000000000000000000000000000000000000000000000",
            BadDigest::Length { expected: 64, got: 65 },
        ),
    ];

    #[test]
    fn what_is_refused_says_why() {
        for (name, text, why) in REFUSED {
            assert_eq!(text.parse::<Digest>(), Err(*why), "{name}");
        }
    }

    #[test]
    fn printing_gives_back_what_was_read() {
        let text = "sha256:6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b";
        assert_eq!(text.parse::<Digest>().map(|digest| digest.to_string()), Ok(text.into()));
    }

    #[test]
    fn in_pieces_or_at_once_is_the_same() {
        let mut hasher = Hasher::new();
        hasher.update(b"hall");
        hasher.update(b"mark");
        assert_eq!(hasher.finish(), Digest::of(b"hallmark"));
    }

    #[test]
    fn the_empty_digest_is_the_published_one() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::of(b"").to_string(), empty);
    }

    #[test]
    fn json_is_the_same_text() {
        let digest = Digest::of(b"x");
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(json, format!("\"{digest}\""));
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        assert!(serde_json::from_str::<Digest>("\"sha512:00\"").is_err());
    }
}
