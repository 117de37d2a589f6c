//! cosign's simple signing: a payload, and a signature in the annotation of its layer.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use image_signatures::{SIMPLE_SIGNING, SimpleSigning};
use oci_image::Digest;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::limits::SIGNATURE_MAX;
use crate::refusal::Refusal;
use crate::strict;
use crate::trust::{Signer, Trust};

/// Where a layer has its signature. The others have another prefix.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const BUNDLE: &str = "dev.sigstore.cosign/bundle";

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

/// Who signed that image.
pub(crate) fn verify(
    payload: &[u8],
    annotations: &BTreeMap<String, String>,
    image: Digest,
    trust: &Trust,
    now: DateTime<Utc>,
) -> Result<Vec<Signer>, Refusal> {
    Refusal::expect_size("a payload in bytes", SIGNATURE_MAX, payload.len())?;
    let signature = annotations.get(SIGNATURE).ok_or(Refusal::Unsigned)?;
    let signature = STANDARD.decode(signature);
    let signature = signature.map_err(|why| Refusal::malformed("a signature in base64", why))?;
    let signers = match annotations.get(CERTIFICATE) {
        Some(certificate) => vec![keyless(payload, &signature, certificate, annotations, trust, now)?],
        None => by_keys(payload, signature, trust)?,
    };
    expect_about(payload, image)?;
    Ok(signers)
}

fn by_keys(payload: &[u8], signature: Vec<u8>, trust: &Trust) -> Result<Vec<Signer>, Refusal> {
    if trust.keys.is_empty() {
        return Err(Refusal::NoTrust { expected: "a key" });
    }
    let signed = SimpleSigning { payload: payload.to_vec(), signature };
    let mut signers = trust.keys.iter().filter(|key| signed.is_signed_by(&key.material));
    let key = signers.next().ok_or(Refusal::Key { expected: trust.keys.len() })?;
    Ok(vec![Signer::Key { name: key.name.clone(), id: key.id }])
}

/// The payload, after its signature was verified: about this image, and of this kind.
fn expect_about(payload: &[u8], image: Digest) -> Result<(), Refusal> {
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

/// What cosign keeps in annotations, in the form of a bundle 0.1: that form knows the same.
fn keyless(
    payload: &[u8],
    signature: &[u8],
    certificate: &str,
    annotations: &BTreeMap<String, String>,
    trust: &Trust,
    now: DateTime<Utc>,
) -> Result<Signer, Refusal> {
    let root = trust.sigstore.as_ref();
    let root = root.ok_or(Refusal::NoTrust { expected: "a trusted root for keyless signatures" })?;
    let entry = annotations.get(BUNDLE);
    let entry = entry.ok_or_else(|| Refusal::Log { why: "expected an entry of a log, got none".into() })?;
    let mut certificates = pem_bodies(certificate);
    certificates.extend(pem_bodies(annotations.get(CHAIN).map(String::as_str).unwrap_or_default()));
    let certificates: Vec<_> = certificates.into_iter().map(|body| json!({ "rawBytes": body })).collect();
    let bundle = json!({
        "mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.1",
        "verificationMaterial": {
            "x509CertificateChain": { "certificates": certificates },
            "tlogEntries": [log_entry(entry)?],
        },
        "messageSignature": {
            "messageDigest": { "algorithm": "SHA2_256", "digest": STANDARD.encode(Digest::of(payload).bytes()) },
            "signature": STANDARD.encode(signature),
        },
    });
    root.verify_bytes(bundle.to_string().as_bytes(), payload, &trust.identities, now)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    signed_entry_timestamp: String,
    payload: EntryPayload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntryPayload {
    body: String,
    integrated_time: i64,
    log_index: i64,
    #[serde(rename = "logID")]
    log_id: String,
}

fn log_entry(text: &str) -> Result<Value, Refusal> {
    let malformed = |why: &str| Refusal::malformed("an entry of a log", why);
    let Entry { signed_entry_timestamp, payload } = strict::read("an entry of a log", text.as_bytes())?;
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        api_version: String,
        kind: String,
    }
    let body = STANDARD.decode(&payload.body).map_err(|why| malformed(&why.to_string()))?;
    let Body { api_version, kind } = strict::read("the body of an entry", &body)?;
    let id = bytes_of_hex(&payload.log_id).ok_or_else(|| malformed("its log id isn't in hex"))?;
    Ok(json!({
        "logIndex": payload.log_index.to_string(),
        "logId": { "keyId": STANDARD.encode(id) },
        "kindVersion": { "kind": kind, "version": api_version },
        "integratedTime": payload.integrated_time.to_string(),
        "inclusionPromise": { "signedEntryTimestamp": signed_entry_timestamp },
        "canonicalizedBody": payload.body,
    }))
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    // A log's id is a SHA-256.
    let digest: Digest = format!("sha256:{text}").parse().ok()?;
    Some(digest.bytes().to_vec())
}

/// The base64 of each certificate.
fn pem_bodies(pem: &str) -> Vec<String> {
    let blocks = pem.split("-----BEGIN CERTIFICATE-----").skip(1);
    let bodies = blocks.filter_map(|block| block.split_once("-----END CERTIFICATE-----"));
    bodies.map(|(body, _)| body.split_whitespace().collect()).collect()
}

/// The media type of a layer of this kind.
pub(crate) const LAYER: &str = SIMPLE_SIGNING;
