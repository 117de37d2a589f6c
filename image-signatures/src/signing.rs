//! All signatures of one image: made and checked first, then pushed.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use oci_image::{Descriptor, Digest, ImageName, ReferrersPlace, Registry, SourceError, Tag};
use tuf_core::crypto::Sign;
use tuf_core::key::PublicKey;

use crate::chain::CertificateChain;
use crate::error::{PushError, SigningError};
use crate::format::Format;
use crate::referrer::Referrer;
use crate::simple_signing::SimpleSigning;
use crate::{bundle, keys, notation};

/// Who signs what for whom.
pub struct Signing<'a> {
    /// The image's name, under which podman looks for it.
    pub name: &'a ImageName,
    /// The image's manifest or index: media type, digest and size, which the caller has verified.
    pub image: &'a Descriptor,
    /// For whom.
    pub formats: &'a BTreeSet<Format>,
    /// By which key. notation's readers can't use Ed25519, cosign's and podman's no P-384.
    pub key: &'a dyn Sign,
    /// The key's certificates, for notation.
    pub chain: Option<&'a CertificateChain>,
    /// When. notation and cosign 3 write it down.
    pub now: DateTime<Utc>,
}

/// Signatures that were made, and checked with the public half of the key, and are nowhere yet.
#[derive(Debug)]
pub struct Signatures {
    image: Descriptor,
    key: PublicKey,
    made: Vec<(Vec<Format>, Made)>,
}

#[derive(Debug)]
enum Made {
    Simple(SimpleSigning),
    Referrer(Referrer),
}

/// What was written where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Written {
    /// Who reads it.
    pub formats: Vec<Format>,
    /// The manifest that holds the signature.
    pub manifest: Digest,
    /// Where it is found.
    pub place: Place,
}

/// Where a signature is found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Place {
    /// Under this tag, beside those of others.
    Tag(Tag),
    /// Among what refers to the image, listed here.
    Referrer(ReferrersPlace),
}

impl Signing<'_> {
    /// Makes the signatures, all or none.
    ///
    /// # Errors
    /// Says for whom the key or its certificates can't be used, or why the key didn't sign.
    pub fn make(&self) -> Result<Signatures, SigningError> {
        let first = self.formats.first().ok_or(SigningError::Nothing)?;
        let key = keys::material(*first, self.key)?;
        let mut made = Vec::new();
        let simple: Vec<_> = self.of(&[Format::Cosign2, Format::Podman]);
        if let Some(format) = simple.first() {
            let one = SimpleSigning::make(*format, self.name, self.image.digest, self.key)?;
            made.push((simple, Made::Simple(one)));
        }
        for format in self.of(&[Format::Cosign3]) {
            let one = bundle::make(self.image.digest, self.key, self.now)?;
            made.push((vec![format], Made::Referrer(one)));
        }
        for format in self.of(&[Format::Notation]) {
            // What the key is comes first: no certificate helps a key that can't be used.
            keys::Jwa::of(&key).map_err(|why| SigningError::Key { format, why })?;
            let chain = self.chain.ok_or(SigningError::NoCertificates)?;
            let one = notation::make(self.image, self.key, chain, self.now)?;
            made.push((vec![format], Made::Referrer(one)));
        }
        Ok(Signatures { image: self.image.clone(), key, made })
    }

    fn of(&self, these: &[Format]) -> Vec<Format> {
        self.formats.iter().copied().filter(|format| these.contains(format)).collect()
    }
}

impl Signatures {
    /// Pushes them beside the image, and says what was written where. A signature by the same key over the
    /// same bytes that is under the tag already is left as it is.
    ///
    /// # Errors
    /// Says which signature was not pushed and why, and what was written before it.
    pub fn push(&self, registry: &Registry) -> Result<Vec<Written>, PushError> {
        let mut written = Vec::new();
        for (formats, made) in &self.made {
            match self.push_one(made, registry) {
                Ok((manifest, place)) => written.push(Written { formats: formats.clone(), manifest, place }),
                Err(source) => {
                    let format = formats.first().copied().unwrap_or(Format::Cosign2);
                    return Err(PushError { format, source, written });
                }
            }
        }
        Ok(written)
    }

    fn push_one(&self, made: &Made, registry: &Registry) -> Result<(Digest, Place), SourceError> {
        match made {
            Made::Simple(one) => {
                let (tag, manifest) = one.push(registry, self.image.digest, &self.key)?;
                Ok((manifest.digest, Place::Tag(tag)))
            }
            Made::Referrer(one) => {
                let (manifest, place) = one.push(registry, &self.image)?;
                Ok((manifest.digest, Place::Referrer(place)))
            }
        }
    }
}
