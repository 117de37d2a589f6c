//! What a key signs for each reader, and the check that follows at once.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use der::asn1::{AnyRef, UintRef};
use der::{Decode as _, Encode as _, Tag};
use oci_image::Digest;
use tuf_core::crypto::{self, RsaScheme, Sign};
use tuf_core::key::{Key, PublicKey, RsaHash};

use crate::error::SigningError;
use crate::format::Format;

/// The key's material, or why it can't be read.
pub(crate) fn material(format: Format, key: &Key) -> Result<PublicKey, SigningError> {
    key.material().map_err(|why| SigningError::Key { format, why: why.to_string() })
}

/// Signs as cosign and podman read it: SHA-256 whatever the key (containers/image fixes it, and cosign has it
/// unless told otherwise), ECDSA in DER, RSA by PKCS#1 v1.5, Ed25519 over the message itself.
pub(crate) fn sign_for_cosign(
    format: Format,
    key: &dyn Sign,
    message: &[u8],
) -> Result<Vec<u8>, SigningError> {
    let material = material(format, key.key())?;
    expect_for_cosign(&material).map_err(|why| SigningError::Key { format, why })?;
    match material {
        PublicKey::RsaPss(_, der) => sign_rsa(format, key, RsaScheme::Pkcs1Sha256, &der, message),
        _ => {
            let signature = crypto::sign_checked(key, message, crypto::default());
            signature.map_err(|why| SigningError::NotSigned { format, why: why.what })
        }
    }
}

/// Why cosign and podman can't use such a key, if so.
pub(crate) fn expect_for_cosign(key: &PublicKey) -> Result<(), String> {
    match key {
        PublicKey::Ed25519(_) | PublicKey::EcdsaP256(_) | PublicKey::RsaPss(..) => Ok(()),
        PublicKey::EcdsaP384(_) => {
            Err("expected a key that signs with SHA-256, as its readers do, got one over P-384, which signs \
                 with SHA-384"
                .into())
        }
    }
}

/// Whether this is the key's signature as cosign and podman read it: over P-384 with SHA-256 up to version 2, with
/// SHA-384 from version 3 on.
pub(crate) fn verify_for_cosign(key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
    match key {
        PublicKey::Ed25519(_) | PublicKey::EcdsaP256(_) => crypto::default().verify(key, message, signature),
        PublicKey::EcdsaP384(point) => {
            crypto::default().verify(key, message, signature)
                || crypto::verify_p384_sha256(point, message, signature)
        }
        PublicKey::RsaPss(_, der) => crypto::verify_rsa(RsaScheme::Pkcs1Sha256, der, message, signature),
    }
}

/// By what ssh knows a key: the SHA-256 of its form there (RFC 4253, section 6.6; RFC 5656, section 3.1; RFC 8709,
/// section 4). cosign 3 and sigstore-go give a key no other name: under another `keyid`, a signature isn't its own.
#[must_use]
pub fn key_fingerprint(key: &PublicKey) -> Option<String> {
    match key {
        PublicKey::Ed25519(bytes) => fingerprint(&[b"ssh-ed25519", bytes]),
        PublicKey::EcdsaP256(point) => fingerprint(&[b"ecdsa-sha2-nistp256", b"nistp256", point]),
        PublicKey::EcdsaP384(point) => fingerprint(&[b"ecdsa-sha2-nistp384", b"nistp384", point]),
        PublicKey::RsaPss(_, der) => {
            let (modulus, exponent) = two_numbers(der)?;
            fingerprint(&[b"ssh-rsa", &mpint(&exponent), &mpint(&modulus)])
        }
    }
}

fn fingerprint(parts: &[&[u8]]) -> Option<String> {
    let mut blob = Vec::new();
    for part in parts {
        blob.extend(u32::try_from(part.len()).ok()?.to_be_bytes());
        blob.extend(*part);
    }
    Some(format!("SHA256:{}", STANDARD_NO_PAD.encode(Digest::of(&blob).bytes())))
}

/// A positive number, which begins with a zero where its first bit is set (RFC 4251, section 5).
fn mpint(number: &[u8]) -> Vec<u8> {
    let sign = number.first().filter(|first| **first >= 0x80).map(|_| 0);
    sign.into_iter().chain(number.iter().copied()).collect()
}

/// An algorithm of RFC 7518, section 3.1, which notation takes from the kind and size of the key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Jwa {
    Es256,
    Es384,
    Ps(RsaHash),
}

impl Jwa {
    /// The one for this key (notary signature specification, "Algorithm selection").
    pub(crate) fn of(key: &PublicKey) -> Result<Self, String> {
        match key {
            PublicKey::EcdsaP256(_) => Ok(Self::Es256),
            PublicKey::EcdsaP384(_) => Ok(Self::Es384),
            PublicKey::Ed25519(_) => {
                Err("expected ECDSA or RSA, got Ed25519, for which notation has no algorithm".into())
            }
            PublicKey::RsaPss(_, der) => match modulus_bits(der) {
                Some(2048) => Ok(Self::Ps(RsaHash::Sha256)),
                Some(3072) => Ok(Self::Ps(RsaHash::Sha384)),
                Some(4096) => Ok(Self::Ps(RsaHash::Sha512)),
                Some(bits) => Err(format!("expected RSA of 2048, 3072 or 4096 bits, got {bits}")),
                None => Err("expected an RSA key with a modulus, got none".into()),
            },
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Ps(RsaHash::Sha256) => "PS256",
            Self::Ps(RsaHash::Sha384) => "PS384",
            Self::Ps(RsaHash::Sha512) => "PS512",
        }
    }

    /// Signs, and returns the signature in JOSE's form: of ECDSA, both numbers at full length.
    pub(crate) fn sign(self, key: &dyn Sign, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        let format = Format::Notation;
        let numbers = match self {
            Self::Es256 => 32,
            Self::Es384 => 48,
            Self::Ps(hash) => {
                let PublicKey::RsaPss(_, der) = material(format, key.key())? else {
                    return Err(SigningError::Key { format, why: "expected an RSA key".into() });
                };
                return sign_rsa(format, key, RsaScheme::Pss(hash), &der, message);
            }
        };
        let signature = crypto::sign_checked(key, message, crypto::default());
        let signature = signature.map_err(|why| SigningError::NotSigned { format, why: why.what })?;
        raw_ecdsa(&signature, numbers).ok_or_else(|| SigningError::NotSigned {
            format,
            why: "expected an ECDSA signature in DER".into(),
        })
    }

    /// Whether this is the key's signature in JOSE's form.
    pub(crate) fn verify(self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        match (self, key) {
            (Self::Ps(hash), PublicKey::RsaPss(_, der)) => {
                crypto::verify_rsa(RsaScheme::Pss(hash), der, message, signature)
            }
            (Self::Es256 | Self::Es384, _) => {
                let der = der_ecdsa(signature);
                der.is_some_and(|der| crypto::default().verify(key, message, &der))
            }
            _ => false,
        }
    }
}

fn sign_rsa(
    format: Format,
    key: &dyn Sign,
    scheme: RsaScheme,
    der: &[u8],
    message: &[u8],
) -> Result<Vec<u8>, SigningError> {
    let signature = key.sign_rsa(scheme, message);
    let signature = signature.map_err(|why| SigningError::NotSigned { format, why: why.what })?;
    if crypto::verify_rsa(scheme, der, message, &signature) {
        return Ok(signature);
    }
    let why = "it made a signature that its own public half doesn't verify".into();
    Err(SigningError::NotSigned { format, why })
}

/// The bits of the modulus of a PKCS#1 `RSAPublicKey`, in whole bytes as notation counts them.
fn modulus_bits(der: &[u8]) -> Option<usize> {
    let (modulus, _) = two_numbers(der)?;
    modulus.len().checked_mul(8)
}

/// `SEQUENCE { r, s }` of RFC 3279, section 2.2.3, as `r‖s` of RFC 7518, section 3.4.
fn raw_ecdsa(der: &[u8], length: usize) -> Option<Vec<u8>> {
    let (r, s) = two_numbers(der)?;
    let mut raw = Vec::new();
    for number in [r, s] {
        let zeros = length.checked_sub(number.len())?;
        raw.extend(std::iter::repeat_n(0, zeros));
        raw.extend(number);
    }
    Some(raw)
}

/// The other way round.
fn der_ecdsa(raw: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = raw.split_at_checked(raw.len().checked_div(2)?)?;
    let mut numbers = Vec::new();
    for number in [r, s] {
        UintRef::new(number).ok()?.encode_to_vec(&mut numbers).ok()?;
    }
    AnyRef::new(Tag::Sequence, &numbers).ok()?.to_der().ok()
}

/// Two positive numbers, without leading zeros.
fn two_numbers(der: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let numbers = AnyRef::from_der(der).ok()?.sequence(|reader| -> der::Result<_> {
        let (first, second) = (UintRef::decode(reader)?, UintRef::decode(reader)?);
        Ok((first.as_bytes().to_vec(), second.as_bytes().to_vec()))
    });
    numbers.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_numbers_are_filled_up_with_zeros() {
        let der = [0x30, 7, 2, 1, 5, 2, 2, 0, 0x81];
        assert_eq!(raw_ecdsa(&der, 2).unwrap(), [0, 5, 0, 0x81]);
        assert_eq!(der_ecdsa(&[0, 5, 0, 0x81]).unwrap(), der);
        assert_eq!(raw_ecdsa(&der, 0), None);
        assert_eq!(raw_ecdsa(&der[..8], 2), None);
    }
}
