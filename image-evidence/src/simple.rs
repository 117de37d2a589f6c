//! cosign's simple signing: a payload, and a signature in the annotation of its layer.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use image_signatures::{SIMPLE_SIGNING, SimpleSigning};
use oci_image::Digest;
use serde::Deserialize;
use serde_json::json;

use crate::annotations::{self, Content};
use crate::limits::SIGNATURE_MAX;
use crate::refusal::Refusal;
use crate::strict;
use crate::trust::{Signer, Trust};

/// Where a layer has its signature. The others have another prefix.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// What a payload says that it is. containers/image's older form, signed by GPG, says something else.
const KIND: &str = "cosign container image signature";

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    #[serde(rename = "type")]
    kind: String,
    image: Image,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: String,
}

/// What is asked of a signature.
pub(crate) struct Asked<'a> {
    pub(crate) image: Digest,
    pub(crate) now: DateTime<Utc>,
    /// The keys that are tried last.
    pub(crate) signed: &'a BTreeSet<Digest>,
}

/// Who signed that image.
pub(crate) fn verify(
    payload: &[u8],
    annotations: &BTreeMap<String, String>,
    trust: &Trust,
    asked: &Asked<'_>,
) -> Result<Vec<Signer>, Refusal> {
    Refusal::expect_size("a payload in bytes", SIGNATURE_MAX, payload.len())?;
    let signature = annotations.get(SIGNATURE).ok_or(Refusal::Unsigned)?;
    let signature = STANDARD.decode(signature);
    let signature = signature.map_err(|why| Refusal::malformed("a signature in base64", why))?;
    let signers = match annotations::are_keyless(annotations) {
        true => vec![keyless(payload, &signature, annotations, trust, asked.now)?],
        false => by_keys(payload, signature, trust, asked.signed)?,
    };
    expect_about(payload, asked.image)?;
    Ok(signers)
}

fn by_keys(
    payload: &[u8],
    signature: Vec<u8>,
    trust: &Trust,
    signed_others: &BTreeSet<Digest>,
) -> Result<Vec<Signer>, Refusal> {
    if trust.keys.is_empty() {
        return Err(Refusal::NoTrust { expected: "a key" });
    }
    let signed = SimpleSigning { payload: payload.to_vec(), signature };
    let (last, first): (Vec<_>, Vec<_>) = trust.keys.iter().partition(|key| signed_others.contains(&key.id));
    let mut signers = first.into_iter().chain(last).filter(|key| signed.is_signed_by(&key.material));
    let key = signers.next().ok_or(Refusal::Key { expected: trust.keys.len() })?;
    Ok(vec![Signer::Key { name: key.name.clone(), id: key.id }])
}

fn keyless(
    payload: &[u8],
    signature: &[u8],
    annotations: &BTreeMap<String, String>,
    trust: &Trust,
    now: DateTime<Utc>,
) -> Result<Signer, Refusal> {
    let root = trust.sigstore.as_ref();
    let root = root.ok_or(Refusal::NoTrust { expected: "a trusted root for keyless signatures" })?;
    let content = json!({
        "messageDigest": { "algorithm": "SHA2_256", "digest": STANDARD.encode(Digest::of(payload).bytes()) },
        "signature": STANDARD.encode(signature),
    });
    let bundle = annotations::bundle(annotations, &Content::MessageSignature(content))?;
    root.verify_bytes(&bundle, payload, &trust.identities, now)
}

/// The payload, after its signature was verified: about this image, and of this kind.
pub(crate) fn expect_about(payload: &[u8], image: Digest) -> Result<(), Refusal> {
    let Payload { critical } = strict::read("a payload of simple signing", payload)?;
    if critical.kind != KIND {
        let expected = KIND.into();
        return Err(Refusal::Kind { what: "a payload that says it is a", expected, got: critical.kind });
    }
    if critical.image.digest != image.to_string() {
        return Err(Refusal::Subject { expected: image, got: critical.image.digest });
    }
    Ok(())
}

/// The media type of a layer of this kind.
pub(crate) const LAYER: &str = SIMPLE_SIGNING;
