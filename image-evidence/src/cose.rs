//! notation's COSE envelopes (notary signature specification 1.1, "COSE envelope"; RFC 9052): read into the same
//! parts as a JWS, and weighed by the same rules.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use coset::cbor::value::Value;
use coset::iana::{self, EnumI64 as _};
use coset::{ContentType, CoseSign1, Label, RegisteredLabelWithPrivate, TaggedCborSerializable as _};

use crate::notation::{AUTHENTIC_TIME, EXPIRY, Envelope, Protected, SCHEME, SIGNING_TIME, TIME_STAMP};
use crate::refusal::Refusal;

const WHAT: &str = "a COSE envelope of notation";

/// `x5chain` (RFC 9360, section 2).
const X5CHAIN: i64 = 33;

/// A time in seconds (RFC 8949, section 3.4.2).
const EPOCH_TAG: u64 = 1;

/// Reads an envelope: tagged `COSE_Sign1`, with its payload inside.
pub(crate) fn read(bytes: &[u8]) -> Result<Envelope, Refusal> {
    let sign1 = CoseSign1::from_tagged_slice(bytes).map_err(|why| Refusal::malformed(WHAT, why))?;
    let header = &sign1.protected.header;
    let algorithm = algorithm(header.alg.as_ref());
    let payload = sign1.payload.clone().ok_or_else(|| Refusal::malformed(WHAT, "it has no payload"))?;
    let protected = protected(header)?;
    let certificates = certificates(&sign1.unprotected.rest)?;
    let is_stamp = |label: &Label| matches!(label, Label::Text(name) if name == TIME_STAMP);
    let stamp = sign1.unprotected.rest.iter().find(|(label, _)| is_stamp(label));
    let time_stamp = stamp.and_then(|(_, value)| value.as_bytes().cloned());
    // Over the bytes of the protected header as they came.
    let message = sign1.tbs_data(&[]);
    let signature = sign1.signature;
    Ok(Envelope { certificates, protected, payload, algorithm, message, signature, time_stamp })
}

/// The name by which RFC 7518 calls it. notation knows no others.
fn algorithm(named: Option<&RegisteredLabelWithPrivate<iana::Algorithm>>) -> String {
    let known = match named {
        Some(RegisteredLabelWithPrivate::Assigned(known)) => match known {
            iana::Algorithm::PS256 => "PS256",
            iana::Algorithm::PS384 => "PS384",
            iana::Algorithm::PS512 => "PS512",
            iana::Algorithm::ES256 => "ES256",
            iana::Algorithm::ES384 => "ES384",
            other => return format!("{other:?}"),
        },
        Some(other) => return format!("{other:?}"),
        None => "none",
    };
    known.to_owned()
}

fn protected(header: &coset::Header) -> Result<Protected, Refusal> {
    let mut names = BTreeSet::new();
    for (label, _) in &header.rest {
        names.insert(match label {
            Label::Text(name) => name.clone(),
            Label::Int(number) => number.to_string(),
        });
    }
    let member = |name: &str| {
        let is = |label: &Label| matches!(label, Label::Text(text) if text == name);
        header.rest.iter().find(|(label, _)| is(label)).map(|(_, value)| value)
    };
    let time = |name: &str| member(name).map(epoch).transpose();
    let scheme = member(SCHEME).and_then(Value::as_text);
    let critical = |label: &RegisteredLabelWithPrivate<iana::HeaderParameter>| match label {
        RegisteredLabelWithPrivate::Text(name) => name.clone(),
        RegisteredLabelWithPrivate::PrivateUse(number) => number.to_string(),
        RegisteredLabelWithPrivate::Assigned(known) => known.to_i64().to_string(),
    };
    let cty = match &header.content_type {
        Some(ContentType::Text(kind)) => kind.clone(),
        other => format!("{other:?}"),
    };
    Ok(Protected {
        cty,
        crit: header.crit.iter().map(critical).collect(),
        scheme: scheme.ok_or_else(|| Refusal::malformed(WHAT, format!("it has no {SCHEME}")))?.to_owned(),
        signing_time: time(SIGNING_TIME)?,
        authentic_time: time(AUTHENTIC_TIME)?,
        expiry: time(EXPIRY)?,
        names,
    })
}

fn epoch(value: &Value) -> Result<DateTime<Utc>, Refusal> {
    let malformed = || Refusal::malformed(WHAT, "expected a time in whole seconds");
    let Value::Tag(EPOCH_TAG, inner) = value else { return Err(malformed()) };
    let seconds = inner.as_integer().and_then(|seconds| i64::try_from(seconds).ok());
    seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0)).ok_or_else(malformed)
}

fn certificates(unprotected: &[(Label, Value)]) -> Result<Vec<Vec<u8>>, Refusal> {
    let chain = unprotected.iter().find(|(label, _)| *label == Label::Int(X5CHAIN)).map(|(_, value)| value);
    let malformed = || Refusal::malformed(WHAT, "expected a list of certificates in x5chain");
    // Of one too: RFC 9360 lets a single one stand without a list, and notation's specification doesn't.
    let all = chain.and_then(Value::as_array).ok_or_else(malformed)?;
    all.iter().map(|one| one.as_bytes().cloned().ok_or_else(malformed)).collect()
}
