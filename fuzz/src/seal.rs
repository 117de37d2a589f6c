//! Signatures that a fuzzer can't forge and a machine makes fast: a seal is SHA-256 over the public key
//! and the message. Who knows the public key can seal, so it protects nothing but the stories told here:
//! libFuzzer would have to find a preimage. Real signatures have a target of their own.

use tuf_core::crypto::{Sign, SignError, Verify};
use tuf_core::hash::{hex, unhex};
use tuf_core::key::{Key, PublicKey};

/// SHA-256 in hex.
pub fn sha256(bytes: &[u8]) -> String {
    tuf_core::hash::sha256_hex(bytes)
}

/// The seal of a public key, in hex, over a message, in hex.
pub fn seal(public_hex: &str, message: &[u8]) -> Option<String> {
    let mut all = unhex(public_hex).filter(|key| key.len() == 32)?;
    all.extend_from_slice(message);
    Some(sha256(&all))
}

/// Checks seals.
#[derive(Clone, Copy, Debug)]
pub struct Seals;

impl Verify for Seals {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        let PublicKey::Ed25519(public) = key else { return false };
        seal(&hex(public), message) == Some(hex(signature))
    }
}

/// A keyholder by number.
#[derive(Clone, Debug)]
pub struct Sealer {
    key: Key,
}

impl Sealer {
    /// The same number is the same key, at every run.
    pub fn numbered(number: u8) -> Self {
        Self { key: Key::ed25519(&[number; 32]) }
    }
}

impl Sign for Sealer {
    fn key(&self) -> &Key {
        &self.key
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let sealed = seal(&self.key.keyval.public, message).and_then(|text| unhex(&text));
        sealed.ok_or_else(|| SignError { what: "not a key of 32 bytes".to_owned() })
    }
}

/// An envelope around the text of a signed part, as it is, sealed by those keys. Text that has no
/// canonical form gets a seal over itself, so that reading it is tried all the same.
pub fn enveloped(signed: &[u8], numbers: &[u8]) -> Vec<u8> {
    let message = tuf_core::canonical::canonicalise(signed).unwrap_or_else(|_| signed.to_vec());
    let signature = |number: &u8| {
        let sealer = Sealer::numbered(*number);
        let sig = sealer.sign(&message).map(|bytes| hex(&bytes)).unwrap_or_default();
        format!("{{\"keyid\":\"{}\",\"sig\":\"{sig}\"}}", sealer.key_id())
    };
    let signatures: Vec<String> = numbers.iter().map(signature).collect();
    let mut bytes = format!("{{\"signatures\":[{}],\"signed\":", signatures.join(",")).into_bytes();
    bytes.extend_from_slice(signed);
    bytes.push(b'}');
    bytes
}
