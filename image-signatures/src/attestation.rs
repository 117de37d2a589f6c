//! Statements about an image that we sign: as cosign from version 3 on reads them, in a sigstore bundle that refers to
//! the image; and as version 2 does, in a DSSE envelope under the tag `sha256-HEX.att`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use chrono::{DateTime, Utc};
use oci_image::{Descriptor, Digest, ImageName, ImageSource as _, Registry, Selector, SourceError, Tag};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use tuf_core::crypto::Sign;
use tuf_core::key::PublicKey;

use crate::bundle::{self, Dsse, STATEMENT};
use crate::error::{PushError, SigningError};
use crate::few::few;
use crate::format::Format;
use crate::keys;
use crate::referrer::Referrer;
use crate::signing::{Place, Written};
use crate::tag_list;

/// The media type of an envelope (DSSE 1.0.2), as cosign has it in its manifests.
pub const DSSE_ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";

/// Into how many envelopes under the tag is looked for the same statement.
const LOOKED_INTO: usize = 50;

/// By how much the same statement, signed once more, may differ in length: ECDSA's signatures have 68 to 72 bytes.
const SLACK: u64 = 64;

/// What is to be said about an image, by whom.
pub struct Attesting<'a> {
    /// The image's name: it stands beside the digest, and decides nothing.
    pub name: &'a ImageName,
    /// The image's manifest or index, which the caller has verified.
    pub image: &'a Descriptor,
    /// What kind of thing is said.
    pub predicate_type: &'a str,
    /// What is said: it is signed as it is written. The caller has looked whether it is of that kind.
    pub predicate: &'a RawValue,
    /// For whom: [`Format::Cosign2`] and [`Format::Cosign3`].
    pub formats: &'a BTreeSet<Format>,
    /// By which key.
    pub key: &'a dyn Sign,
    /// When.
    pub now: DateTime<Utc>,
}

/// A statement that was signed, and is nowhere yet.
#[derive(Debug)]
pub struct Attestation {
    image: Descriptor,
    predicate_type: String,
    statement: Vec<u8>,
    key: PublicKey,
    made: Vec<Made>,
}

#[derive(Debug)]
enum Made {
    Bundle(Referrer),
    Envelope(Vec<u8>),
}

/// What was written where, and by which digest metadata names it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attached {
    /// What was written where.
    pub written: Written,
    /// The digest that stays the same whatever others attach: of a bundle that of its manifest, of an envelope, which
    /// shares its manifest with those of others, its own.
    pub evidence: Digest,
}

/// A statement (in-toto attestation 1.0, "Statement").
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Statement<'a> {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: [Subject<'a>; 1],
    predicate_type: &'a str,
    predicate: &'a RawValue,
}

#[derive(Serialize)]
struct Subject<'a> {
    name: String,
    digest: BTreeMap<&'a str, String>,
}

impl Attesting<'_> {
    /// What will be signed.
    ///
    /// # Errors
    /// None that is known.
    pub fn statement(&self) -> Result<Vec<u8>, SigningError> {
        let digest = BTreeMap::from([("sha256", self.image.digest.hex())]);
        let statement = Statement {
            kind: STATEMENT,
            subject: [Subject { name: self.name.to_string(), digest }],
            predicate_type: self.predicate_type,
            predicate: self.predicate,
        };
        let format = Format::Cosign3;
        serde_json::to_vec(&statement).map_err(|why| SigningError::NotSigned { format, why: why.to_string() })
    }

    /// Signs for all, or for none.
    ///
    /// # Errors
    /// Says for whom the key can't be used, or why it didn't sign.
    pub fn make(&self) -> Result<Attestation, SigningError> {
        let first = self.formats.first().ok_or(SigningError::Nothing)?;
        let key = keys::material(*first, self.key.key())?;
        let statement = self.statement()?;
        let mut made = Vec::new();
        for format in self.formats.iter().copied() {
            keys::expect_for_cosign(&key).map_err(|why| SigningError::Key { format, why })?;
            made.push(match format {
                Format::Cosign3 => {
                    Made::Bundle(bundle::around(&statement, self.predicate_type, self.key, self.now)?)
                }
                Format::Cosign2 => {
                    let envelope = bundle::envelope(format, &statement, self.key)?;
                    let bytes = serde_json::to_vec(&envelope)
                        .map_err(|why| SigningError::NotSigned { format, why: why.to_string() })?;
                    Made::Envelope(bytes)
                }
                Format::Notation | Format::Podman => return Err(SigningError::NoAttestations { format }),
            });
        }
        let (image, predicate_type) = (self.image.clone(), self.predicate_type.to_owned());
        Ok(Attestation { image, predicate_type, statement, key, made })
    }
}

impl Attestation {
    /// The statement that was signed.
    #[must_use]
    pub fn statement(&self) -> &[u8] {
        &self.statement
    }

    /// The bundle, where one was made.
    #[must_use]
    pub fn bundle(&self) -> Option<&[u8]> {
        self.made.iter().find_map(|made| match made {
            Made::Bundle(referrer) => Some(referrer.blob.as_slice()),
            Made::Envelope(_) => None,
        })
    }

    /// Who reads each form of it, and by which digest the form will be known: of a bundle, that of its manifest.
    pub fn each(&self) -> impl Iterator<Item = (Format, Digest)> {
        self.made.iter().map(|made| match made {
            Made::Bundle(referrer) => (Format::Cosign3, Digest::of(&referrer.manifest(&self.image))),
            Made::Envelope(bytes) => (Format::Cosign2, Digest::of(bytes)),
        })
    }

    /// Pushes it beside the image, and says of each form what was written where, or why not. Where the same
    /// statement by the same key is there already, it is left as it is.
    pub fn push(&self, registry: &Registry) -> Vec<Result<Attached, PushError>> {
        self.made.iter().map(|made| self.push_one(made, registry)).collect()
    }

    fn push_one(&self, made: &Made, registry: &Registry) -> Result<Attached, PushError> {
        let (format, pushed) = match made {
            Made::Bundle(referrer) => (Format::Cosign3, self.push_bundle(referrer, registry)),
            Made::Envelope(bytes) => (Format::Cosign2, self.push_envelope(bytes, registry)),
        };
        let (formats, image) = (vec![format], self.image.digest);
        match pushed {
            Ok((manifest, place, was_there, evidence)) => {
                Ok(Attached { written: Written { formats, image, manifest, place, was_there }, evidence })
            }
            Err(source) => Err(PushError { formats, image, source: Box::new(source) }),
        }
    }

    fn push_bundle(&self, bundle: &Referrer, registry: &Registry) -> Result<Found, SourceError> {
        let is_same = |blob: &[u8]| bundle::is_around(&self.key, &self.statement, blob);
        if let Some((manifest, place)) =
            bundle.find_of(registry, &self.image, about(bundle.blob.len()), &is_same)?
        {
            return Ok((manifest, Place::Referrer(place), true, manifest));
        }
        let (manifest, place) = bundle.push(registry, &self.image)?;
        Ok((manifest.digest, Place::Referrer(place), false, manifest.digest))
    }

    fn push_envelope(&self, bytes: &[u8], registry: &Registry) -> Result<Found, SourceError> {
        let tag = attestation_tag(self.image.digest)?;
        if let Some((manifest, layer)) = self.find_envelope(bytes, &tag, registry)? {
            return Ok((manifest, Place::Tag(tag), true, layer));
        }
        let blob = Descriptor::of(DSSE_ENVELOPE, bytes);
        registry.push_blob(bytes)?;
        let layer = json!({
            "mediaType": DSSE_ENVELOPE, "digest": blob.digest, "size": blob.size,
            // cosign demands the first of each layer, and writes it empty: the signature is within.
            "annotations": { "dev.cosignproject.cosign/signature": "", "predicateType": self.predicate_type },
        });
        let digest = blob.digest.to_string();
        let is_same = |other: &serde_json::Value| {
            other.get("digest").and_then(serde_json::Value::as_str) == Some(digest.as_str())
        };
        let (written, was_there) = tag_list::push(registry, &tag, &layer, &is_same)?;
        Ok((written.digest, Place::Tag(tag), was_there, blob.digest))
    }

    /// The same statement by the same key under the tag: ECDSA's signatures differ each time.
    fn find_envelope(
        &self,
        bytes: &[u8],
        tag: &Tag,
        registry: &Registry,
    ) -> Result<Option<(Digest, Digest)>, SourceError> {
        #[derive(Deserialize)]
        struct Manifest {
            #[serde(default, deserialize_with = "few::<_, _, 1000>")]
            layers: Vec<Descriptor>,
        }
        let there = match registry.manifest(Selector::Tag(tag.as_str())) {
            Ok(there) => there.bytes,
            Err(SourceError::NotFound { .. }) => return Ok(None),
            Err(why) => return Err(why),
        };
        let Ok(manifest) = serde_json::from_slice::<Manifest>(&there) else { return Ok(None) };
        let sizes = about(bytes.len());
        let may_be = |layer: &&Descriptor| layer.media_type == DSSE_ENVELOPE && sizes.contains(&layer.size);
        for layer in manifest.layers.iter().rev().filter(may_be).take(LOOKED_INTO) {
            let mut blob = Vec::new();
            let read = registry.blob(layer)?.take(layer.size).read_to_end(&mut blob);
            read.map_err(|error| SourceError::from_read(error, "an attestation"))?;
            let envelope = serde_json::from_slice::<Dsse>(&blob);
            // What the registry sends in its place has another digest.
            if Digest::of(&blob) == layer.digest
                && envelope.is_ok_and(|envelope| envelope.is_of(&self.key, &self.statement))
            {
                return Ok(Some((Digest::of(&there), layer.digest)));
            }
        }
        Ok(None)
    }
}

/// The manifest, where it is found, whether it was there, and by what metadata names it.
type Found = (Digest, Place, bool, Digest);

/// How long the same statement may be, when it is signed once more.
fn about(length: usize) -> std::ops::RangeInclusive<u64> {
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    length.saturating_sub(SLACK)..=length.saturating_add(SLACK)
}

/// The tag under which an image's attestations are.
///
/// # Errors
/// Never, for a digest that there is.
pub fn attestation_tag(image: Digest) -> Result<Tag, SourceError> {
    tag_list::tag(image, "att")
}
