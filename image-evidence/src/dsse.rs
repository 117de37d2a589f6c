//! DSSE envelopes (DSSE 1.0.2), as cosign lays them under the tag `sha256-HEX.att`.

use image_signatures::{Dsse, IN_TOTO};

use crate::limits::{ATTESTATION_MAX, ENVELOPE_SIGNATURES_MAX};
use crate::refusal::Refusal;
use crate::statement::Statement;
use crate::strict;
use crate::trust::{Signer, TrustedKey};

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

/// The statement and those of the keys that signed it. Which key is tried first is no matter: what an
/// envelope says of keys decides nothing.
pub(crate) fn by_keys(envelope: &Dsse, keys: &[TrustedKey]) -> Result<(Statement, Vec<Signer>), Refusal> {
    if envelope.signatures.is_empty() {
        return Err(Refusal::Unsigned);
    }
    if keys.is_empty() {
        return Err(Refusal::NoTrust { expected: "a key" });
    }
    let mut signers = Vec::new();
    let mut signed = None;
    for key in keys {
        if let Some(payload) = envelope.verified(&key.material) {
            signers.push(Signer::Key { name: key.name.clone(), id: key.id });
            signed = Some(payload);
        }
    }
    let payload = signed.ok_or(Refusal::Key { expected: keys.len() })?;
    Ok((Statement::parse(&payload)?, signers))
}
