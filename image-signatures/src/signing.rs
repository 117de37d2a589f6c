//! All signatures of one image: made and checked first, then pushed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use oci_image::{Descriptor, Digest, ImageName, ReferrersPlace, Registry, SourceError, Tag};
use tuf_core::crypto::Sign;
use tuf_core::key::{Key, PublicKey};

use crate::chain::CertificateChain;
use crate::error::{PushError, SigningError};
use crate::format::Format;
use crate::keys::Jwa;
use crate::notation::Envelope;
use crate::referrer::Referrer;
use crate::simple_signing::SimpleSigning;
use crate::{bundle, keys, notation};

/// The most images of an index that are signed one by one. Official ones have some twenty.
const PARTS_MAX: usize = 100;

/// How many lists in registries are written at once. Each is looked at again after a while, and registries
/// let clients have some ten connections.
const AT_ONCE: usize = 8;

/// What became of one signature.
pub type Pushed = Result<Written, PushError>;

/// Who signs what for whom.
pub struct Signing<'a> {
    /// The image's name, under which podman looks for it.
    pub name: &'a ImageName,
    /// The image's manifest or index: media type, digest and size, which the caller has verified.
    pub image: &'a Descriptor,
    /// What the image is an index of. podman asks for a signature of the one that it takes, not of the index.
    pub parts: &'a [Descriptor],
    /// For whom.
    pub formats: &'a BTreeSet<Format>,
    /// By which key. notation's readers can't use Ed25519, cosign's and podman's no P-384.
    pub key: &'a dyn Sign,
    /// The key's certificates, for notation.
    pub chain: Option<&'a CertificateChain>,
    /// In which envelope notation's is.
    pub envelope: Envelope,
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

/// One signature, of the image or of a part of it.
#[derive(Debug)]
enum Made {
    Simple(Digest, SimpleSigning),
    Bundle(Referrer),
    Notation(Referrer, Envelope, CertificateChain),
}

/// What was written where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Written {
    /// Who reads it.
    pub formats: Vec<Format>,
    /// What was signed: the image, or a part of it.
    pub image: Digest,
    /// The manifest that holds the signature.
    pub manifest: Digest,
    /// Where it is found.
    pub place: Place,
    /// Whether one by the same key over the same bytes was there, so that nothing was written.
    pub was_there: bool,
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
        let key = expect_usable(self.formats, self.key.key(), self.chain, self.now)?;
        let mut made = Vec::new();
        let simple: Vec<_> = self.of(&[Format::Cosign2, Format::Podman]);
        if let Some(format) = simple.first() {
            let one = SimpleSigning::make(*format, self.name, self.image.digest, self.key)?;
            made.push((simple, Made::Simple(self.image.digest, one)));
        }
        for format in self.of(&[Format::Podman]) {
            if self.parts.len() > PARTS_MAX {
                return Err(SigningError::Parts { expected: PARTS_MAX, got: self.parts.len() });
            }
            for part in self.parts {
                let one = SimpleSigning::make(format, self.name, part.digest, self.key)?;
                made.push((vec![format], Made::Simple(part.digest, one)));
            }
        }
        for format in self.of(&[Format::Cosign3]) {
            let one = bundle::make(self.image.digest, self.key, self.now)?;
            made.push((vec![format], Made::Bundle(one)));
        }
        for format in self.of(&[Format::Notation]) {
            let chain = self.chain.ok_or(SigningError::NoCertificates)?;
            let one = notation::make(self.image, self.envelope, self.key, chain, self.now)?;
            made.push((vec![format], Made::Notation(one, self.envelope, chain.clone())));
        }
        Ok(Signatures { image: self.image.clone(), key, made })
    }

    fn of(&self, these: &[Format]) -> Vec<Format> {
        self.formats.iter().copied().filter(|format| these.contains(format)).collect()
    }
}

/// Whether the readers of these formats can use the key, and notation its certificates, at this time.
/// Returns the key's material. Nothing is signed.
///
/// # Errors
/// The first format that can't, and why.
pub fn expect_usable(
    formats: &BTreeSet<Format>,
    key: &Key,
    chain: Option<&CertificateChain>,
    now: DateTime<Utc>,
) -> Result<PublicKey, SigningError> {
    let first = formats.first().ok_or(SigningError::Nothing)?;
    let material = keys::material(*first, key)?;
    for format in formats.iter().copied() {
        let refused = |why| SigningError::Key { format, why };
        match format {
            Format::Cosign2 | Format::Cosign3 | Format::Podman => {
                keys::expect_for_cosign(&material).map_err(refused)?;
            }
            // What the key is comes first: no certificate helps a key that can't be used.
            Format::Notation => {
                Jwa::of(&material).map_err(refused)?;
                chain.ok_or(SigningError::NoCertificates)?.expect_usable(key, now)?;
            }
        }
    }
    Ok(material)
}

/// Pushes the signatures of many images, several at once, and returns what became of each, in their order.
/// See [`Signatures::push`].
pub fn push_all(images: &[(&Signatures, &Registry)]) -> Vec<Vec<Pushed>> {
    // What refers to the same image is in one list, of which we don't want to be two writers.
    let mut lists: BTreeMap<(usize, Option<Digest>), Vec<usize>> = BTreeMap::new();
    for (image, (signatures, _)) in images.iter().enumerate() {
        for (number, (_, made)) in signatures.made.iter().enumerate() {
            let tag = match made {
                Made::Simple(digest, _) => Some(*digest),
                Made::Bundle(_) | Made::Notation(..) => None,
            };
            lists.entry((image, tag)).or_default().push(number);
        }
    }
    let lists: Vec<_> = lists.into_iter().collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for _ in 0..lists.len().min(AT_ONCE) {
            scope.spawn(|| {
                while let Some(((image, _), numbers)) = lists.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let Some((signatures, registry)) = images.get(*image) else { continue };
                    for number in numbers {
                        let Some(made) = signatures.made.get(*number) else { continue };
                        let pushed = signatures.push_to(made, registry);
                        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                        done.insert((*image, *number), pushed);
                    }
                }
            });
        }
    });
    let mut each: Vec<Vec<Pushed>> = images.iter().map(|_| Vec::new()).collect();
    for ((image, _), pushed) in done.into_inner().unwrap_or_else(PoisonError::into_inner) {
        if let Some(image) = each.get_mut(image) {
            image.push(pushed);
        }
    }
    each
}

impl Signatures {
    /// Pushes them beside the image, and says of each what was written where, or why not. A signature by the
    /// same key over the same image that is there already is left as it is, and no other one is written.
    pub fn push(&self, registry: &Registry) -> Vec<Pushed> {
        push_all(&[(self, registry)]).pop().unwrap_or_default()
    }

    fn push_to(&self, (formats, made): &(Vec<Format>, Made), registry: &Registry) -> Pushed {
        let (formats, image) = (formats.clone(), self.image_of(made));
        match self.push_one(made, registry) {
            Ok((manifest, place, was_there)) => Ok(Written { formats, image, manifest, place, was_there }),
            Err(source) => Err(PushError { formats, image, source: Box::new(source) }),
        }
    }

    /// Who reads each of them, and what it signs.
    pub fn each(&self) -> impl Iterator<Item = (&[Format], Digest)> {
        self.made.iter().map(|(formats, made)| (formats.as_slice(), self.image_of(made)))
    }

    fn image_of(&self, made: &Made) -> Digest {
        match made {
            Made::Simple(image, _) => *image,
            Made::Bundle(_) | Made::Notation(..) => self.image.digest,
        }
    }

    fn push_one(&self, made: &Made, registry: &Registry) -> Result<(Digest, Place, bool), SourceError> {
        let (image, key) = (&self.image, &self.key);
        let (referrer, there) = match made {
            Made::Simple(image, one) => {
                let (tag, manifest, was_there) = one.push(registry, *image, key)?;
                return Ok((manifest.digest, Place::Tag(tag), was_there));
            }
            Made::Bundle(one) => {
                (one, one.find(registry, image, &|blob| bundle::is_by(key, image.digest, blob))?)
            }
            Made::Notation(one, envelope, chain) => {
                let is_ours = |blob: &[u8]| notation::is_by(key, chain, *envelope, image, blob);
                (one, one.find(registry, image, &is_ours)?)
            }
        };
        if let Some((manifest, place)) = there {
            return Ok((manifest, Place::Referrer(place), true));
        }
        let (manifest, place) = referrer.push(registry, &self.image)?;
        Ok((manifest.digest, Place::Referrer(place), false))
    }
}
