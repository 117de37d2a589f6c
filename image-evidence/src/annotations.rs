//! What cosign up to version 2 keeps of a keyless signature in annotations, in the form of a bundle 0.1: that form
//! knows the same.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_image::Digest;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::refusal::Refusal;
use crate::strict;

const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const BUNDLE: &str = "dev.sigstore.cosign/bundle";

/// Whether there is a certificate.
pub(crate) fn are_keyless(annotations: &BTreeMap<String, String>) -> bool {
    annotations.contains_key(CERTIFICATE)
}

/// What such a bundle is around.
pub(crate) enum Content {
    /// Simple signing: a signature over bytes that are elsewhere.
    MessageSignature(Value),
    /// An envelope, to the letter: logs have the hash of that.
    DsseEnvelope(Box<RawValue>),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Bundle<'a> {
    media_type: &'static str,
    verification_material: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_signature: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dsse_envelope: Option<&'a RawValue>,
}

/// A bundle with the certificates and the log's entry of the annotations, around this content.
pub(crate) fn bundle(annotations: &BTreeMap<String, String>, content: &Content) -> Result<Vec<u8>, Refusal> {
    let text = |name: &str| annotations.get(name).map(String::as_str);
    let entry = text(BUNDLE);
    let entry = entry.ok_or_else(|| Refusal::Log { why: "expected an entry of a log, got none".into() })?;
    let mut certificates = pem_bodies(text(CERTIFICATE).unwrap_or_default());
    certificates.extend(pem_bodies(text(CHAIN).unwrap_or_default()));
    let certificates: Vec<_> = certificates.into_iter().map(|body| json!({ "rawBytes": body })).collect();
    let verification_material = json!({
        "x509CertificateChain": { "certificates": certificates },
        "tlogEntries": [log_entry(entry)?],
    });
    let media_type = "application/vnd.dev.sigstore.bundle+json;version=0.1";
    let (message_signature, dsse_envelope) = match content {
        Content::MessageSignature(signature) => (Some(signature), None),
        Content::DsseEnvelope(envelope) => (None, Some(envelope.as_ref())),
    };
    let bundle = Bundle { media_type, verification_material, message_signature, dsse_envelope };
    serde_json::to_vec(&bundle).map_err(|why| Refusal::malformed("annotations of a signature", why))
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    api_version: String,
    kind: String,
}

fn log_entry(text: &str) -> Result<Value, Refusal> {
    let malformed = |why: &str| Refusal::malformed("an entry of a log", why);
    let Entry { signed_entry_timestamp, payload } = strict::read("an entry of a log", text.as_bytes())?;
    let body = STANDARD.decode(&payload.body).map_err(|why| malformed(&why.to_string()))?;
    let Body { api_version, kind } = strict::read("the body of an entry", &body)?;
    // A log's id is a SHA-256.
    let id = format!("sha256:{}", payload.log_id).parse::<Digest>();
    let id = id.map_err(|why| malformed(&why.to_string()))?;
    Ok(json!({
        "logIndex": payload.log_index.to_string(),
        "logId": { "keyId": STANDARD.encode(id.bytes()) },
        "kindVersion": { "kind": kind, "version": api_version },
        "integratedTime": payload.integrated_time.to_string(),
        "inclusionPromise": { "signedEntryTimestamp": signed_entry_timestamp },
        "canonicalizedBody": payload.body,
    }))
}

/// The base64 of each certificate.
fn pem_bodies(pem: &str) -> Vec<String> {
    let blocks = pem.split("-----BEGIN CERTIFICATE-----").skip(1);
    let bodies = blocks.filter_map(|block| block.split_once("-----END CERTIFICATE-----"));
    bodies.map(|(body, _)| body.split_whitespace().collect()).collect()
}
