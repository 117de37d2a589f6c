//! Keys as these clients use them: with SHA-256, whatever the key.

use std::path::Path;

use image_evidence::{Trust, TrustedKey};
use tuf_core::crypto::{self, RsaScheme};
use tuf_core::key::PublicKey;

use crate::failure::Failure;
use crate::files;

/// The largest file of a key, in bytes.
const FILE_MAX: u64 = 64 * 1024;

/// A public key, by the file in which it was given.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) public: PublicKey,
    /// The same, and nobody else.
    pub(crate) trust: Trust,
}

impl Key {
    pub(crate) fn read(file: &Path) -> Result<Self, Failure> {
        Self::from_pem(&file.display().to_string(), &files::text(file, FILE_MAX)?)
    }

    pub(crate) fn from_pem(name: &str, pem: &str) -> Result<Self, Failure> {
        let failed = |why: &dyn std::fmt::Display| {
            Failure::usage(format!("{name}: expected a public key in PEM: {why}"))
                .hint("`openssl pkey -in private.pem -pubout` writes the public half")
        };
        let key = TrustedKey::from_pem(name, pem).map_err(|why| failed(&why.why))?;
        let public = tuf_core::key::Key::from_pem(pem).and_then(|key| key.material());
        let public = public.map_err(|why| failed(&why))?;
        let trust = Trust { keys: vec![key], ..Trust::default() };
        Ok(Self { name: name.to_owned(), public, trust })
    }

    /// Whether this is its signature over the message as cosign and containers/image read it when they are told nothing
    /// else: SHA-256 for every curve, PKCS#1 v1.5 for RSA, and Ed25519 over the message itself.
    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.public {
            PublicKey::EcdsaP384(point) => crypto::verify_p384_sha256(point, message, signature),
            PublicKey::RsaPss(_, der) => crypto::verify_rsa(RsaScheme::Pkcs1Sha256, der, message, signature),
            other => crypto::default().verify(other, message, signature),
        }
    }

    /// Whether it is its signature with SHA-384, which they don't read.
    pub(crate) fn has_signed_with_sha384(&self, message: &[u8], signature: &[u8]) -> bool {
        matches!(self.public, PublicKey::EcdsaP384(_))
            && crypto::default().verify(&self.public, message, signature)
    }
}
