//! DSSE envelopes (DSSE 1.0.2), as cosign lays them under the tag `sha256-HEX.att`.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use image_signatures::{Dsse, IN_TOTO};

use crate::annotations::{self, Content};
use crate::bundle;
use crate::limits::{ATTESTATION_MAX, ENVELOPE_SIGNATURES_MAX, HASHED_MAX};
use crate::refusal::Refusal;
use crate::statement::Statement;
use crate::strict;
use crate::trust::{Signer, Trust, TrustedKey};

/// Reads an envelope of a statement.
pub(crate) fn read(bytes: &[u8]) -> Result<Dsse, Refusal> {
    // In base64 a third is added.
    Refusal::expect_size("an envelope in bytes", ATTESTATION_MAX.saturating_mul(2), bytes.len())?;
    let envelope: Dsse = strict::read("a DSSE envelope", bytes)?;
    expect_statement(&envelope)?;
    Ok(envelope)
}

/// That it holds a statement, and few signatures.
pub(crate) fn expect_statement(envelope: &Dsse) -> Result<(), Refusal> {
    if envelope.payload_type != IN_TOTO {
        let (expected, got) = (IN_TOTO.to_owned(), envelope.payload_type.clone());
        return Err(Refusal::Kind { what: "a payload of type", expected, got });
    }
    let most = u64::try_from(ENVELOPE_SIGNATURES_MAX).unwrap_or(u64::MAX);
    Refusal::expect_size("a list of signatures", most, envelope.signatures.len())
}

/// The statement of an envelope, and who signed it: by key; or keyless, where the annotations have a certificate.
pub(crate) fn verify(
    bytes: &[u8],
    annotations: &BTreeMap<String, String>,
    trust: &Trust,
    now: DateTime<Utc>,
) -> Result<(Statement, Vec<Signer>), Refusal> {
    let envelope = read(bytes)?;
    if !annotations::are_keyless(annotations) {
        return by_keys(&envelope, &trust.keys, "");
    }
    let raw = strict::read("a DSSE envelope", bytes)?;
    let bundle = annotations::bundle(annotations, &Content::DsseEnvelope(raw))?;
    bundle::verify(&bundle, trust, now)
}

/// The statement and those of the keys that signed it. A hint tells which key is tried first, and decides nothing; what
/// an envelope says of keys isn't even read.
pub(crate) fn by_keys(
    envelope: &Dsse,
    keys: &[TrustedKey],
    hint: &str,
) -> Result<(Statement, Vec<Signer>), Refusal> {
    if envelope.signatures.is_empty() {
        return Err(Refusal::Unsigned);
    }
    if keys.is_empty() {
        return Err(Refusal::NoTrust { expected: "a key" });
    }
    expect_work(envelope, keys.len())?;
    let nobody = Refusal::Key { expected: keys.len() };
    let Some(mut opened) = envelope.opened() else { return Err(nobody) };
    let (hinted, others): (Vec<_>, Vec<_>) = keys.iter().partition(|key| key.hint == hint);
    let mut signed = BTreeSet::new();
    for key in hinted.into_iter().chain(others) {
        if opened.is_spent() {
            break;
        }
        if !signed.contains(&key.id) && opened.takes_signature_of(&key.material) {
            signed.insert(key.id);
        }
    }
    // One key may have been given under several names.
    let signers = keys.iter().filter(|key| signed.contains(&key.id));
    let signers: Vec<_> = signers.map(|key| Signer::Key { name: key.name.clone(), id: key.id }).collect();
    if signers.is_empty() {
        return Err(nobody);
    }
    Ok((Statement::parse(opened.payload())?, signers))
}

/// That it isn't made to keep us busy: each key hashes all of it for each signature.
fn expect_work(envelope: &Dsse, keys: usize) -> Result<(), Refusal> {
    let work = envelope.payload.len().saturating_mul(envelope.signatures.len()).saturating_mul(keys);
    Refusal::expect_size("bytes to hash for its signatures", HASHED_MAX, work)
}
