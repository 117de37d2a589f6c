//! sigstore bundles 0.1 to 0.3 around a statement: by a key, or by a certificate of a short life.

use image_signatures::{BUNDLE, Dsse, DsseSignature};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::dsse;
use crate::limits::ATTESTATION_MAX;
use crate::refusal::Refusal;
use crate::statement::{Statement, null_is_empty};
use crate::strict;
use crate::trust::{Signer, Trust};

/// What a bundle may call itself (sigstore bundle format, "media type").
const KINDS: [&str; 4] = [
    BUNDLE,
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
    "application/vnd.dev.sigstore.bundle+json;version=0.2",
    "application/vnd.dev.sigstore.bundle+json;version=0.1",
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    media_type: String,
    verification_material: Material,
    #[serde(default)]
    dsse_envelope: Option<Dsse>,
    #[serde(default)]
    message_signature: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    #[serde(default)]
    public_key: Option<Hint>,
    #[serde(default)]
    certificate: Option<Box<RawValue>>,
    #[serde(default)]
    x509_certificate_chain: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "null_is_empty")]
    tlog_entries: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
struct Hint {
    #[serde(default)]
    hint: String,
}

/// The statement of a bundle, and who signed it.
pub(crate) fn verify(
    bytes: &[u8],
    trust: &Trust,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<(Statement, Vec<Signer>), Refusal> {
    Refusal::expect_size("a bundle in bytes", ATTESTATION_MAX.saturating_mul(2), bytes.len())?;
    let wire: Wire = strict::read("a sigstore bundle", bytes)?;
    if !KINDS.contains(&wire.media_type.as_str()) {
        let expected = "v0.1 to v0.3".into();
        return Err(Refusal::Kind { what: "a sigstore bundle", expected, got: wire.media_type });
    }
    let envelope = envelope(&wire)?;
    let material = &wire.verification_material;
    let by_certificate = material.certificate.is_some() || material.x509_certificate_chain.is_some();
    match (&material.public_key, by_certificate) {
        (Some(hint), false) => {
            expect_one_hint(hint, envelope)?;
            dsse::by_keys(envelope, &trust.keys, &hint.hint)
        }
        (None, true) => {
            let root = trust.sigstore.as_ref();
            let root = root.ok_or(Refusal::NoTrust { expected: "a trusted root for keyless signatures" })?;
            if material.tlog_entries.is_empty() {
                return Err(Refusal::Log { why: "expected an entry of a log, got none".into() });
            }
            let (payload, signer) = root.verify(bytes, &trust.identities, now)?;
            Ok((Statement::parse(&payload)?, vec![signer]))
        }
        (key, _) => {
            let got = if key.is_some() { "both" } else { "neither" };
            let expected = "a key or a certificate".into();
            Err(Refusal::Kind { what: "a bundle with", expected, got: got.into() })
        }
    }
}

/// Its envelope, which has one signature.
fn envelope(wire: &Wire) -> Result<&Dsse, Refusal> {
    let envelope = match (&wire.dsse_envelope, &wire.message_signature) {
        (Some(envelope), None) => envelope,
        (envelope, _) => {
            let got = if envelope.is_some() { "both" } else { "a signature over bytes that it doesn't hold" };
            let expected = "a DSSE envelope".into();
            return Err(Refusal::Kind { what: "a bundle of", expected, got: got.into() });
        }
    };
    dsse::expect_statement(envelope)?;
    match envelope.signatures.len() {
        1 => Ok(envelope),
        got => Err(Refusal::Signatures { expected: 1, got }),
    }
}

/// Two hints must be one, though neither decides anything (sigstore bundle format, "publicKey").
fn expect_one_hint(hint: &Hint, envelope: &Dsse) -> Result<(), Refusal> {
    let keyid =
        envelope.signatures.first().map(|DsseSignature { keyid, .. }| keyid.as_str()).unwrap_or_default();
    if hint.hint.is_empty() || keyid.is_empty() || hint.hint == keyid {
        return Ok(());
    }
    Err(Refusal::Kind { what: "a key hint", expected: hint.hint.clone(), got: keyid.into() })
}
