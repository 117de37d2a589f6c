//! The cryptography that `sigstore-verify` asks for: ours, so that there is one implementation.

use std::cell::RefCell;
use std::sync::Once;

use sha2::{Digest as _, Sha256, Sha384, Sha512};
use sigstore_verify::crypto::{CryptoProvider, Error, HashContext, SigningScheme, install_default_provider};
use sigstore_verify::types::HashAlgorithm;
use tuf_core::crypto::{self, RsaScheme};
use tuf_core::key::{PublicKey, RsaHash};

/// Makes the library use ours. Where somebody in this process has installed another one, that one stays.
pub(crate) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let _ = install_default_provider(&Ours);
    });
}

#[derive(Debug)]
struct Ours;

enum Hash {
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl HashContext for Hash {
    fn update(&mut self, data: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(data),
            Self::Sha384(hash) => hash.update(data),
            Self::Sha512(hash) => hash.update(data),
        }
    }

    fn finalize(self: Box<Self>) -> Vec<u8> {
        match *self {
            Self::Sha256(hash) => hash.finalize().to_vec(),
            Self::Sha384(hash) => hash.finalize().to_vec(),
            Self::Sha512(hash) => hash.finalize().to_vec(),
        }
    }
}

impl CryptoProvider for Ours {
    fn hash(&self, algorithm: HashAlgorithm) -> Result<Box<dyn HashContext>, Error> {
        match algorithm {
            HashAlgorithm::Sha2256 => Ok(Box::new(Hash::Sha256(Sha256::new()))),
            HashAlgorithm::Sha2384 => Ok(Box::new(Hash::Sha384(Sha384::new()))),
            HashAlgorithm::Sha2512 => Ok(Box::new(Hash::Sha512(Sha512::new()))),
            other => Err(Error::UnsupportedAlgorithm(other.to_string())),
        }
    }

    fn verify_raw(
        &self,
        scheme: SigningScheme,
        key: &[u8],
        data: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        let by = |key: PublicKey| crypto::default().verify(&key, data, signature);
        let rsa = |scheme| crypto::verify_rsa(scheme, key, data, signature);
        let holds = match scheme {
            SigningScheme::EcdsaP256Sha256 => by(PublicKey::EcdsaP256(key.to_vec())),
            SigningScheme::EcdsaP384Sha384 => by(PublicKey::EcdsaP384(key.to_vec())),
            SigningScheme::EcdsaP384Sha256 => crypto::verify_p384_sha256(key, data, signature),
            SigningScheme::Ed25519 => key.try_into().is_ok_and(|key| by(PublicKey::Ed25519(key))),
            SigningScheme::RsaPkcs1Sha256 => rsa(RsaScheme::Pkcs1Sha256),
            SigningScheme::RsaPssSha256 => rsa(RsaScheme::Pss(RsaHash::Sha256)),
            SigningScheme::RsaPssSha384 => rsa(RsaScheme::Pss(RsaHash::Sha384)),
            SigningScheme::RsaPssSha512 => rsa(RsaScheme::Pss(RsaHash::Sha512)),
            other => return Err(Error::UnsupportedAlgorithm(other.name().to_owned())),
        };
        let bad = || Error::Verification(format!("expected a signature by {}, got another", scheme.name()));
        holds.then_some(()).ok_or_else(bad)
    }

    /// ring verifies messages, not digests. So this is for the message that is being looked at, by its digest.
    fn verify_prehashed(
        &self,
        scheme: SigningScheme,
        key: &[u8],
        digest: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        let unknown = || Error::UnsupportedAlgorithm(format!("{} over a digest", scheme.name()));
        let algorithm = scheme.hash_algorithm().ok_or_else(unknown)?;
        let message = MESSAGE.with_borrow(Clone::clone).ok_or_else(unknown)?;
        let mut hash = self.hash(algorithm)?;
        hash.update(&message);
        if hash.finalize() != digest {
            return Err(unknown());
        }
        self.verify_raw(scheme, key, &message, signature)
    }
}

thread_local! {
    static MESSAGE: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Calls the library while a signature over the digest of this message can be verified.
pub(crate) fn knowing<T>(message: &[u8], call: impl FnOnce() -> T) -> T {
    MESSAGE.set(Some(message.to_vec()));
    let called = call();
    MESSAGE.set(None);
    called
}
