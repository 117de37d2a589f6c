//! cosign from version 3 on: a sigstore bundle v0.3 around a DSSE envelope around an in-toto statement.
//!
//! The predicate type is what tells a signature of the image from a statement about it, such as a list of
//! what is inside: readers must demand it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use chrono::{DateTime, SecondsFormat, Utc};
use oci_image::Digest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tuf_core::crypto::Sign;
use tuf_core::key::PublicKey;

use crate::error::SigningError;
use crate::few::few;
use crate::format::Format;
use crate::keys;
use crate::referrer::Referrer;

/// The media type of a bundle, and the artifact type of the manifest that holds it.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// The payload type of an in-toto statement (in-toto attestation 1.0, "Envelope").
pub const IN_TOTO: &str = "application/vnd.in-toto+json";

/// The predicate type by which cosign says that it signed an image.
pub const COSIGN_SIGN: &str = "https://sigstore.dev/cosign/sign/v1";

/// The type of a statement (in-toto attestation 1.0, "Statement").
pub(crate) const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// A bundle with a key, and no log or clock beside it. Members that we don't know are left out when read.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bundle {
    /// [`BUNDLE`].
    pub media_type: String,
    /// By what it is verified.
    pub verification_material: Material,
    /// What was signed.
    pub dsse_envelope: Dsse,
}

/// By what a bundle is verified.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Material {
    /// A key that the reader has. Bundles with certificates have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<KeyHint>,
}

/// Which key it may be. Anyone can write this: it decides nothing.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct KeyHint {
    /// Opaque; cosign writes the SHA-256 of the SubjectPublicKeyInfo in base64.
    #[serde(default)]
    pub hint: String,
}

/// The most signatures of one envelope: each is tried by each key. cosign's have one.
pub const SIGNATURES_MAX: usize = 16;

/// A DSSE envelope (DSSE 1.0.2, "envelope").
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Dsse {
    /// What was signed, in base64.
    pub payload: String,
    /// What the payload is.
    pub payload_type: String,
    /// By whom. A bundle has exactly one. Of more than [`SIGNATURES_MAX`], one more than that is kept.
    #[serde(deserialize_with = "few::<_, _, SIGNATURES_MAX>")]
    pub signatures: Vec<DsseSignature>,
}

/// One signature of a DSSE envelope.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct DsseSignature {
    /// In base64, over the pre-authentication encoding.
    pub sig: String,
    /// Which key it may be; it decides nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub keyid: String,
}

impl Dsse {
    /// The payload, if one of the signatures is this key's, with ECDSA over P-256, Ed25519 or RSA as cosign
    /// signs. These are the very bytes that were verified.
    #[must_use]
    pub fn verified(&self, key: &PublicKey) -> Option<Vec<u8>> {
        let mut opened = self.opened()?;
        opened.takes_signature_of(key).then(|| opened.payload().to_vec())
    }

    /// What was signed and the signatures, decoded once, however many keys are tried. None where the payload isn't
    /// base64; a signature that isn't is nobody's.
    #[must_use]
    pub fn opened(&self) -> Option<OpenedDsse> {
        let payload = decoded(&self.payload)?;
        let message = pae(&self.payload_type, &payload);
        let signatures = self.signatures.iter().filter_map(|signature| decoded(&signature.sig)).collect();
        Some(OpenedDsse { start: message.len().saturating_sub(payload.len()), message, signatures })
    }

    /// Whether it holds this very statement, signed by this key.
    pub(crate) fn is_of(&self, key: &PublicKey, statement: &[u8]) -> bool {
        self.payload_type == IN_TOTO && self.verified(key).is_some_and(|payload| payload == statement)
    }
}

/// An envelope whose parts are decoded: nothing of it was verified.
#[derive(Clone, Debug)]
pub struct OpenedDsse {
    /// The pre-authentication encoding, which ends with the payload.
    message: Vec<u8>,
    /// Where the payload begins.
    start: usize,
    /// Those that are no key's yet.
    signatures: Vec<Vec<u8>>,
}

impl OpenedDsse {
    /// Whether a signature that is left is this key's. It is then taken out: a signature is one key's word, and no
    /// other's.
    pub fn takes_signature_of(&mut self, key: &PublicKey) -> bool {
        let is_its = |signature: &Vec<u8>| keys::verify_for_cosign(key, &self.message, signature);
        let Some(at) = self.signatures.iter().position(is_its) else { return false };
        self.signatures.remove(at);
        true
    }

    /// Whether each signature was found to be some key's.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.signatures.is_empty()
    }

    /// What was signed: the very bytes that signatures are compared with.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.message.get(self.start..).unwrap_or_default()
    }
}

/// The pre-authentication encoding (DSSE 1.0.2, "protocol").
#[must_use]
pub fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let start = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [start.as_bytes(), payload].concat()
}

/// DSSE allows both alphabets.
fn decoded(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

/// Signs the image by its digest alone: cosign names it nowhere.
pub(crate) fn make(image: Digest, key: &dyn Sign, now: DateTime<Utc>) -> Result<Referrer, SigningError> {
    let statement = json!({
        "_type": STATEMENT,
        "subject": [{ "digest": { "sha256": image.hex() } }],
        "predicateType": COSIGN_SIGN,
        "predicate": {},
    })
    .to_string();
    around(statement.as_bytes(), COSIGN_SIGN, key, now)
}

/// Signs a statement, and puts it into a bundle.
pub(crate) fn around(
    statement: &[u8],
    predicate_type: &str,
    key: &dyn Sign,
    now: DateTime<Utc>,
) -> Result<Referrer, SigningError> {
    let format = Format::Cosign3;
    let public_key = Some(KeyHint { hint: hint(format, key)? });
    let bundle = Bundle {
        media_type: BUNDLE.into(),
        verification_material: Material { public_key },
        dsse_envelope: envelope(format, statement, key)?,
    };
    let blob = serde_json::to_vec(&bundle)
        .map_err(|why| SigningError::NotSigned { format, why: why.to_string() })?;
    let annotations = [
        ("dev.sigstore.bundle.content", "dsse-envelope".to_owned()),
        ("dev.sigstore.bundle.predicateType", predicate_type.to_owned()),
        ("org.opencontainers.image.created", now.to_rfc3339_opts(SecondsFormat::Secs, true)),
    ];
    let annotations: BTreeMap<_, _> =
        annotations.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Ok(Referrer { artifact_type: BUNDLE, layer_type: BUNDLE, blob, annotations })
}

/// Signs a statement.
pub(crate) fn envelope(format: Format, statement: &[u8], key: &dyn Sign) -> Result<Dsse, SigningError> {
    let sig = keys::sign_for_cosign(format, key, &pae(IN_TOTO, statement))?;
    Ok(Dsse {
        payload: STANDARD.encode(statement),
        payload_type: IN_TOTO.into(),
        signatures: vec![DsseSignature { sig: STANDARD.encode(sig), keyid: String::new() }],
    })
}

/// Whether a blob is a bundle with this very statement, signed by this key.
pub(crate) fn is_around(key: &PublicKey, statement: &[u8], blob: &[u8]) -> bool {
    let Ok(bundle) = serde_json::from_slice::<Bundle>(blob) else { return false };
    let envelope = &bundle.dsse_envelope;
    bundle.verification_material.public_key.is_some()
        && bundle.media_type == BUNDLE
        && envelope.signatures.len() == 1
        && envelope.is_of(key, statement)
}

/// Whether a blob is this key's signature of this image, and no statement about it.
pub(crate) fn is_by(key: &PublicKey, image: Digest, blob: &[u8]) -> bool {
    let Ok(bundle) = serde_json::from_slice::<Bundle>(blob) else { return false };
    let envelope = &bundle.dsse_envelope;
    let has_key = bundle.verification_material.public_key.is_some();
    if !has_key
        || bundle.media_type != BUNDLE
        || envelope.payload_type != IN_TOTO
        || envelope.signatures.len() != 1
    {
        return false;
    }
    let Some(payload) = envelope.verified(key) else { return false };
    let Ok(statement) = serde_json::from_slice::<Value>(&payload) else { return false };
    statement.get("predicateType").and_then(Value::as_str) == Some(COSIGN_SIGN)
        && statement.pointer("/subject/0/digest/sha256").and_then(Value::as_str) == Some(&image.hex())
}

fn hint(format: Format, key: &dyn Sign) -> Result<String, SigningError> {
    let why = |why: String| SigningError::Key { format, why };
    let pem = key.key().to_pem().map_err(|error| why(error.to_string()))?;
    key_hint(&pem).map_err(|error| why(error.to_string()))
}

/// The hint of a public key in PEM, as cosign and sigstore-go make it: the SHA-256 of its SubjectPublicKeyInfo.
///
/// # Errors
/// Where it is no PEM.
pub fn key_hint(pem: &str) -> Result<String, der::Error> {
    let (_, spki) = der::Document::from_pem(pem)?;
    Ok(STANDARD.encode(Digest::of(spki.as_bytes()).bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_in_bytes() {
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
        assert_eq!(pae("\u{e9}", b""), "DSSEv1 2 \u{e9} 0 ".as_bytes());
    }
}
