//! ECDSA and RSA private keys in memory, by ring.
//!
//! ring doesn't wipe its copy of a key when that is dropped. What must not be found in this machine's memory
//! belongs into a token; Ed25519 keys are wiped.

use alloc::string::ToString as _;
use alloc::vec::Vec;
use alloc::{format, vec};
use core::fmt;

use ring::rand::SystemRandom;
use ring::signature::{self, EcdsaKeyPair, KeyPair as _, RsaEncoding, RsaKeyPair};

use super::{RsaScheme, Sign, SignError};
use crate::key::{Key, KeyError, PublicKey, RsaHash};

/// A curve of FIPS 186-5 that metadata has a scheme for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Curve {
    /// secp256r1: `ecdsa-sha2-nistp256`.
    P256,
    /// secp384r1: `ecdsa-sha2-nistp384`.
    P384,
}

impl Curve {
    fn algorithm(self) -> &'static signature::EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            Self::P384 => &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
        }
    }
}

/// An ECDSA private key in memory.
pub struct EcdsaSigner {
    pair: EcdsaKeyPair,
    key: Key,
}

impl EcdsaSigner {
    /// The signer of a PKCS#8 document in DER (RFC 5958), version 1, with the public point in it.
    ///
    /// # Errors
    /// Says why it is no such key, without a part of it.
    pub fn from_pkcs8(curve: Curve, der: &[u8]) -> Result<Self, SignError> {
        let pair = EcdsaKeyPair::from_pkcs8(curve.algorithm(), der, &SystemRandom::new())
            .map_err(|why| failed(format!("expected an ECDSA key with its public point: {why}")))?;
        let point = pair.public_key().as_ref().to_vec();
        let material = match curve {
            Curve::P256 => PublicKey::EcdsaP256(point),
            Curve::P384 => PublicKey::EcdsaP384(point),
        };
        Ok(Self { pair, key: Key::from_material(&material).map_err(unusable)? })
    }

    /// A new key, as PKCS#8 in DER. Wiping it is the caller's matter.
    ///
    /// # Errors
    /// When the operating system has no randomness.
    pub fn generate(curve: Curve) -> Result<Vec<u8>, SignError> {
        let document = EcdsaKeyPair::generate_pkcs8(curve.algorithm(), &SystemRandom::new());
        let document = document.map_err(|_| failed("the system gave no randomness"))?;
        Ok(document.as_ref().to_vec())
    }
}

impl Sign for EcdsaSigner {
    fn key(&self) -> &Key {
        &self.key
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = self.pair.sign(&SystemRandom::new(), message);
        Ok(signature.map_err(|_| failed("ECDSA failed: no randomness"))?.as_ref().to_vec())
    }
}

/// An RSA private key in memory, of 2048 to 4096 bits; signs metadata by PSS with SHA-256 and a
/// salt of 32 bytes.
pub struct RsaSigner {
    pair: RsaKeyPair,
    key: Key,
}

impl RsaSigner {
    /// The signer of a PKCS#8 document in DER (RFC 5958).
    ///
    /// # Errors
    /// Says why it is no such key, without a part of it.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, SignError> {
        let pair = RsaKeyPair::from_pkcs8(der)
            .map_err(|why| failed(format!("expected an RSA key of 2048 to 4096 bits: {why}")))?;
        let material = PublicKey::RsaPss(RsaHash::Sha256, pair.public_key().as_ref().to_vec());
        Ok(Self { pair, key: Key::from_material(&material).map_err(unusable)? })
    }
}

impl Sign for RsaSigner {
    fn key(&self) -> &Key {
        &self.key
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.sign_rsa(RsaScheme::Pss(RsaHash::Sha256), message)
    }

    fn sign_rsa(&self, scheme: RsaScheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let padding: &'static dyn RsaEncoding = match scheme {
            RsaScheme::Pkcs1Sha256 => &signature::RSA_PKCS1_SHA256,
            RsaScheme::Pss(RsaHash::Sha256) => &signature::RSA_PSS_SHA256,
            RsaScheme::Pss(RsaHash::Sha384) => &signature::RSA_PSS_SHA384,
            RsaScheme::Pss(RsaHash::Sha512) => &signature::RSA_PSS_SHA512,
        };
        let mut signature = vec![0; self.pair.public().modulus_len()];
        self.pair
            .sign(padding, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| failed("RSA failed: no randomness"))?;
        Ok(signature)
    }
}

fn failed(what: impl Into<alloc::string::String>) -> SignError {
    SignError { what: what.into() }
}

fn unusable(why: KeyError) -> SignError {
    failed(why.to_string())
}

/// Shows the public half only.
impl fmt::Debug for EcdsaSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EcdsaSigner").field("key", &self.key).finish_non_exhaustive()
    }
}

/// Shows the public half only.
impl fmt::Debug for RsaSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaSigner").field("key", &self.key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::default;

    #[test]
    fn what_is_made_signs_and_is_verified() {
        for (curve, other, scheme) in [
            (Curve::P256, Curve::P384, "ecdsa-sha2-nistp256"),
            (Curve::P384, Curve::P256, "ecdsa-sha2-nistp384"),
        ] {
            let der = EcdsaSigner::generate(curve).unwrap();
            let signer = EcdsaSigner::from_pkcs8(curve, &der).unwrap();
            assert_eq!(signer.key().scheme, scheme);
            let signature = signer.sign(b"message").unwrap();
            let material = signer.key().material().unwrap();
            assert!(default().verify(&material, b"message", &signature));
            assert!(!default().verify(&material, b"massage", &signature));
            let refused = EcdsaSigner::from_pkcs8(other, &der).unwrap_err().what;
            assert!(refused.starts_with("expected an ECDSA key with its public point"), "{refused}");
        }
    }
}
