//! Signatures behind two traits, and the default provider.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use crate::key::{Key, PublicKey, RsaHash};

/// Checks signatures. A provider other than the default one may be handed to [`crate::TrustedRoot::bootstrap`].
pub trait Verify: fmt::Debug + Send + Sync {
    /// Whether `signature` is `key`'s over `message`. A key or signature of the wrong form is no signature.
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool;
}

/// Makes signatures with one private key, wherever that lives.
pub trait Sign: Send + Sync {
    /// The public half.
    fn key(&self) -> &Key;

    /// The id under which the metadata lists the key. Ours are computed; those of others are declared.
    fn key_id(&self) -> String {
        self.key().id()
    }

    /// Signs `message`.
    ///
    /// # Errors
    /// Says why the key, or what holds it, can't sign. Never holds a secret.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;

    /// Signs `message` as another standard wants it of an RSA key. Without more, a key does what it does for
    /// metadata.
    ///
    /// # Errors
    /// As [`Self::sign`], and where the key is of another kind or doesn't sign so.
    fn sign_rsa(&self, scheme: RsaScheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match self.key().material() {
            Ok(PublicKey::RsaPss(hash, _)) if scheme == RsaScheme::Pss(hash) => self.sign(message),
            Ok(PublicKey::RsaPss(..)) => {
                let own = &self.key().scheme;
                Err(SignError { what: format!("expected a key that signs by {scheme}, got one by {own}") })
            }
            _ => {
                let kind = &self.key().keytype;
                Err(SignError { what: format!("expected an RSA key that signs by {scheme}, got {kind}") })
            }
        }
    }
}

/// How an RSA key signs (RFC 8017, section 8). Metadata knows PSS; cosign and podman read the other one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RsaScheme {
    /// RSASSA-PKCS1-v1_5 with SHA-256. No metadata is signed so.
    Pkcs1Sha256,
    /// RSASSA-PSS, with a salt as long as the hash.
    Pss(RsaHash),
}

impl fmt::Display for RsaScheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pkcs1Sha256 => f.write_str("rsassa-pkcs1-sha256"),
            Self::Pss(hash) => f.write_str(hash.scheme()),
        }
    }
}

/// Why a signature could not be made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignError {
    /// What went wrong, for a person. Never holds a secret.
    pub what: String,
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl core::error::Error for SignError {}

/// Signs, and checks the signature before anybody sees it: a token or a program may answer with another key
/// than it says, and a fault in the computation of a signature can give the key away.
///
/// # Errors
/// As [`Sign::sign`], and where the signature isn't one.
pub fn sign_checked(signer: &dyn Sign, message: &[u8], verify: &dyn Verify) -> Result<Vec<u8>, SignError> {
    let material = signer.key().material().map_err(|why| SignError { what: why.to_string() })?;
    let signature = signer.sign(message)?;
    match verify.verify(&material, message, &signature) {
        true => Ok(signature),
        false => {
            Err(SignError { what: "it made a signature that its own public half doesn't verify".into() })
        }
    }
}

#[cfg(feature = "crypto")]
pub use provider::{Default as DefaultCrypto, Ed25519Signer, default, verify_p384_sha256, verify_rsa};
#[cfg(feature = "crypto")]
pub use signers::{Curve, EcdsaSigner, RsaSigner};

#[cfg(feature = "crypto")]
mod signers;

#[cfg(feature = "crypto")]
mod provider {
    use super::{Key, PublicKey, RsaScheme, Sign, SignError, Vec, Verify};
    use crate::key::RsaHash;
    use ring::signature as ring_signature;

    /// ed25519-dalek for Ed25519, ring for the rest.
    #[derive(Clone, Copy, Debug)]
    pub struct Default;

    /// The default provider.
    #[must_use]
    pub fn default() -> &'static dyn Verify {
        &Default
    }

    impl Verify for Default {
        fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
            match key {
                PublicKey::Ed25519(bytes) => ed25519(bytes, message, signature),
                PublicKey::EcdsaP256(point) => {
                    by_ring(&ring_signature::ECDSA_P256_SHA256_ASN1, point, message, signature)
                }
                PublicKey::EcdsaP384(point) => {
                    by_ring(&ring_signature::ECDSA_P384_SHA384_ASN1, point, message, signature)
                }
                PublicKey::RsaPss(hash, der) => by_ring(pss(*hash), der, message, signature),
            }
        }
    }

    /// `verify_strict` refuses small-order points, so that one signature fits one message and key only.
    fn ed25519(key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
        let Ok(key) = ed25519_dalek::VerifyingKey::from_bytes(key) else { return false };
        let Ok(signature) = ed25519_dalek::Signature::from_slice(signature) else { return false };
        key.verify_strict(message, &signature).is_ok()
    }

    fn by_ring(
        algorithm: &'static dyn ring_signature::VerificationAlgorithm,
        key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> bool {
        ring_signature::UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
    }

    /// Whether `signature` is that of an RSA key, a PKCS#1 `RSAPublicKey` in DER of 2048 to 8192 bits. What
    /// metadata is worth is asked of [`Verify`]: that knows no PKCS#1 v1.5.
    #[must_use]
    pub fn verify_rsa(scheme: RsaScheme, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        match scheme {
            RsaScheme::Pkcs1Sha256 => {
                by_ring(&ring_signature::RSA_PKCS1_2048_8192_SHA256, key, message, signature)
            }
            RsaScheme::Pss(hash) => by_ring(pss(hash), key, message, signature),
        }
    }

    /// Whether `signature` is that of an ECDSA key over P-384, its uncompressed point, with SHA-256: so cosign up to
    /// version 2 signs, whatever the curve. What metadata is worth is asked of [`Verify`]: that knows SHA-384 only.
    #[must_use]
    pub fn verify_p384_sha256(point: &[u8], message: &[u8], signature: &[u8]) -> bool {
        by_ring(&ring_signature::ECDSA_P384_SHA256_ASN1, point, message, signature)
    }

    fn pss(hash: RsaHash) -> &'static dyn ring_signature::VerificationAlgorithm {
        match hash {
            RsaHash::Sha256 => &ring_signature::RSA_PSS_2048_8192_SHA256,
            RsaHash::Sha384 => &ring_signature::RSA_PSS_2048_8192_SHA384,
            RsaHash::Sha512 => &ring_signature::RSA_PSS_2048_8192_SHA512,
        }
    }

    /// An Ed25519 private key in memory, zeroised when dropped.
    pub struct Ed25519Signer {
        secret: ed25519_dalek::SigningKey,
        key: Key,
    }

    impl Ed25519Signer {
        /// The signer of a 32-byte seed (RFC 8032). Where the seed comes from is the caller's matter.
        #[must_use]
        pub fn from_seed(seed: &[u8; 32]) -> Self {
            let secret = ed25519_dalek::SigningKey::from_bytes(seed);
            let key = Key::ed25519(secret.verifying_key().as_bytes());
            Self { secret, key }
        }
    }

    /// Shows the public half only.
    impl core::fmt::Debug for Ed25519Signer {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            f.debug_struct("Ed25519Signer").field("key", &self.key).finish_non_exhaustive()
        }
    }

    impl Sign for Ed25519Signer {
        fn key(&self) -> &Key {
            &self.key
        }

        fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
            use ed25519_dalek::Signer as _;
            Ok(self.secret.sign(message).to_bytes().to_vec())
        }
    }
}
