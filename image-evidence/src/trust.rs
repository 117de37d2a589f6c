//! Who is trusted to sign, and who did.

use std::fmt;

use oci_image::Digest;
use tuf_core::key::{Key, KeyError, PublicKey};

use crate::keyless::SigstoreRoot;
use crate::trust_policy::NotationTrust;

/// Who is trusted to sign. Without any, every signature is refused.
#[derive(Debug, Default)]
pub struct Trust {
    /// Keys, for cosign's signatures and attestations.
    pub keys: Vec<TrustedKey>,
    /// The roots of keyless signatures.
    pub sigstore: Option<SigstoreRoot>,
    /// Whose keyless signatures count: under the roots anybody can have one.
    pub identities: Vec<Identity>,
    /// notation's trust policy and stores.
    pub notation: Option<NotationTrust>,
}

/// A key with the name by which reports call it.
#[derive(Clone, Debug)]
pub struct TrustedKey {
    pub(crate) name: String,
    pub(crate) material: PublicKey,
    pub(crate) id: Digest,
    /// By what bundles hint at it. It decides nothing.
    pub(crate) hint: String,
}

/// A trust root, key or policy that can't be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected {what}: {why}")]
pub struct BadTrust {
    /// What was expected.
    pub what: &'static str,
    /// What is wrong with it.
    pub why: String,
}

impl TrustedKey {
    /// A public key in PEM (RFC 7468, section 13), as `cosign public-key` writes it.
    ///
    /// # Errors
    /// Where it is no key, or none of the kinds that are known.
    pub fn from_pem(name: &str, pem: &str) -> Result<Self, BadTrust> {
        let what = "a public key in PEM";
        let bad = |why: KeyError| match why {
            KeyError::OtherAlgorithm => {
                let why = "expected Ed25519, RSA, or ECDSA over P-256 or P-384, got another kind";
                BadTrust { what, why: why.into() }
            }
            other => BadTrust { what, why: other.to_string() },
        };
        let key = Key::from_pem(pem).map_err(bad)?;
        let material = key.material().map_err(bad)?;
        let id = key_id(&material).map_err(bad)?;
        let spelled = Key::from_material(&material).and_then(|key| key.to_pem()).map_err(bad)?;
        let hint = image_signatures::key_hint(&spelled);
        let hint = hint.map_err(|why| BadTrust { what, why: why.to_string() })?;
        Ok(Self { name: name.into(), material, id, hint })
    }

    /// By what its holder is known.
    #[must_use]
    pub fn signer_id(&self) -> SignerId {
        SignerId::Key(self.id)
    }

    /// What makes it the same key, however its file was written: the SHA-256 of the key in PEM.
    #[must_use]
    pub fn id(&self) -> Digest {
        self.id
    }
}

/// The SHA-256 of the key in PEM as we write it: one key has one, however it was written before.
pub(crate) fn key_id(material: &PublicKey) -> Result<Digest, KeyError> {
    Key::from_material(material)?.to_pem().map(|pem| Digest::of(pem.as_bytes()))
}

/// An identity to which a certificate authority gave a certificate, and who vouched for it.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Identity {
    /// An e-mail address, or the URI of a workflow.
    pub subject: String,
    /// The OpenID Connect issuer that vouched for it.
    pub issuer: String,
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {}", self.subject, self.issuer)
    }
}

/// Who signed, and is trusted to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Signer {
    /// A key that was given.
    Key {
        /// What it was called.
        name: String,
        /// What makes it the same key.
        id: Digest,
    },
    /// An identity, by a certificate of a short life.
    Identity(Identity),
    /// A certificate that a trust policy takes.
    Certificate {
        /// Of whom it is (RFC 4514).
        subject: String,
        /// What makes its key the same key.
        id: Digest,
    },
}

/// What makes two signers one, if they share any. A key counts once, however many certificates it has and formats it
/// signs; and so does whom a certificate names, however many keys they have.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum SignerId {
    /// By its key.
    Key(Digest),
    /// By whom its certificate names.
    Subject(String),
    /// By who it is: keyless signers have a new key each time.
    Identity(Identity),
}

impl Signer {
    /// What makes it the same signer.
    #[must_use]
    pub fn ids(&self) -> Vec<SignerId> {
        match self {
            Self::Key { id, .. } => vec![SignerId::Key(*id)],
            Self::Certificate { subject, id } => vec![SignerId::Key(*id), SignerId::Subject(subject.clone())],
            Self::Identity(identity) => vec![SignerId::Identity(identity.clone())],
        }
    }

    /// The name by which it was trusted.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Key { name, .. } => name.clone(),
            Self::Identity(identity) => identity.subject.clone(),
            Self::Certificate { subject, .. } => subject.clone(),
        }
    }
}

impl fmt::Display for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { name, .. } => write!(f, "key {name}"),
            Self::Identity(identity) => write!(f, "{identity}"),
            Self::Certificate { subject, .. } => write!(f, "certificate of {subject}"),
        }
    }
}
