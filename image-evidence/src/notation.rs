//! notation's envelopes, JWS and COSE (notary signature specification 1.1), by its own rules for certificates and by a
//! trust policy.
//!
//! Not here: revocation, for which others would have to be asked. Where a policy asks for it and there is something to
//! ask, the signature is refused.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use image_signatures::{CertificateChain, ChainError, Jws, is_signed_by};
use oci_image::Digest;
use serde::Deserialize;
use serde_json::Value;
use tuf_core::key::Key;

use crate::cose;
use crate::limits::SIGNATURE_MAX;
use crate::piece::Context;
use crate::refusal::Refusal;
use crate::strict;
use crate::time_stamp::{self, TimeStamp};
use crate::trust::{Signer, Trust, key_id};
use crate::trust_policy::{Action, NotationTrust, Policy, StoreKind};

const PAYLOAD: &str = "application/vnd.cncf.notary.payload.v1+json";
pub(crate) const SCHEME: &str = "io.cncf.notary.signingScheme";
pub(crate) const EXPIRY: &str = "io.cncf.notary.expiry";
pub(crate) const SIGNING_TIME: &str = "io.cncf.notary.signingTime";
pub(crate) const AUTHENTIC_TIME: &str = "io.cncf.notary.authenticSigningTime";
/// Not signed: it is over the signature.
pub(crate) const TIME_STAMP: &str = "io.cncf.notary.timestampSignature";
const PLUGIN: &str = "io.cncf.notary.verificationPlugin";

/// What was signed with the payload.
#[derive(Deserialize)]
pub(crate) struct Protected {
    pub(crate) cty: String,
    pub(crate) crit: Vec<String>,
    #[serde(rename = "io.cncf.notary.signingScheme")]
    pub(crate) scheme: String,
    #[serde(rename = "io.cncf.notary.signingTime")]
    pub(crate) signing_time: Option<DateTime<Utc>>,
    #[serde(rename = "io.cncf.notary.authenticSigningTime")]
    pub(crate) authentic_time: Option<DateTime<Utc>>,
    #[serde(rename = "io.cncf.notary.expiry")]
    pub(crate) expiry: Option<DateTime<Utc>>,
    /// The names of all members.
    #[serde(skip)]
    pub(crate) names: BTreeSet<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    target_artifact: Target,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Target {
    media_type: String,
    digest: String,
    size: u64,
}

/// What an envelope holds, in either form.
pub(crate) struct Envelope {
    /// Certificates in DER, as they came.
    pub(crate) certificates: Vec<Vec<u8>>,
    pub(crate) protected: Protected,
    /// The payload's bytes.
    pub(crate) payload: Vec<u8>,
    /// An algorithm of RFC 7518, section 3.1.
    pub(crate) algorithm: String,
    /// The bytes that are signed.
    pub(crate) message: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    /// A time stamp over the signature, by whomever.
    pub(crate) time_stamp: Option<Vec<u8>>,
}

/// An envelope whose signature is that of its first certificate. Who that is, is still to be weighed.
struct Signed {
    chain: CertificateChain,
    key: Key,
    protected: Protected,
    payload: Payload,
    signature: Vec<u8>,
    time_stamp: Option<Vec<u8>>,
}

/// Who signed a JWS, of those whom the policy trusts for this repository.
pub(crate) fn verify_jws(bytes: &[u8], context: &Context<'_>, trust: &Trust) -> Result<Vec<Signer>, Refusal> {
    verify(jws, bytes, context, trust)
}

/// As [`verify_jws`], of a COSE envelope.
pub(crate) fn verify_cose(
    bytes: &[u8],
    context: &Context<'_>,
    trust: &Trust,
) -> Result<Vec<Signer>, Refusal> {
    verify(cose::read, bytes, context, trust)
}

fn verify(
    read: fn(&[u8]) -> Result<Envelope, Refusal>,
    bytes: &[u8],
    context: &Context<'_>,
    trust: &Trust,
) -> Result<Vec<Signer>, Refusal> {
    let notation = trust.notation.as_ref();
    let notation = notation.ok_or(Refusal::NoTrust { expected: "a trust policy of notation" })?;
    Refusal::expect_size("a signature in bytes", SIGNATURE_MAX, bytes.len())?;
    let signed = Signed::by_its_certificate(read(bytes)?)?;
    signed.expect_about(context)?;
    let policy = notation.policy(context.repository)?;
    let signer = signed.signer()?;
    signed.expect_trusted(notation, policy)?;
    signed.expect_times(notation, policy, context.now)?;
    signed.expect_not_revoked(policy)?;
    Ok(vec![signer])
}

/// Whether an envelope says that it is about this manifest, whoever may have written it.
pub(crate) fn is_about(read: fn(&[u8]) -> Result<Envelope, Refusal>, bytes: &[u8], image: Digest) -> bool {
    let is_small = Refusal::expect_size("a signature in bytes", SIGNATURE_MAX, bytes.len()).is_ok();
    let envelope = is_small.then(|| read(bytes).ok()).flatten();
    let payload =
        envelope.and_then(|one| strict::read::<Payload>("a payload of notation", &one.payload).ok());
    payload.is_some_and(|payload| payload.target_artifact.digest == image.to_string())
}

/// A JWS in flattened JSON (RFC 7515, section 7.2.2).
pub(crate) fn jws(bytes: &[u8]) -> Result<Envelope, Refusal> {
    const WHAT: &str = "a JWS envelope of notation";
    const HEADER: &str = "a protected header";
    let jws: Jws = strict::read(WHAT, bytes)?;
    let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|why| Refusal::malformed(WHAT, why));
    let (header, payload, signature) =
        (decoded(&jws.protected)?, decoded(&jws.payload)?, decoded(&jws.signature)?);
    let members: BTreeMap<String, Value> = strict::read(HEADER, &header)?;
    let mut protected: Protected = strict::read(HEADER, &header)?;
    let algorithm = members.get("alg").and_then(Value::as_str).unwrap_or("none").to_owned();
    protected.names = members.into_keys().collect();
    let certificates = jws.header.x5c.iter().map(|text| STANDARD.decode(text)).collect::<Result<_, _>>();
    let certificates = certificates.map_err(|why| Refusal::malformed("certificates in base64", why))?;
    let message = jws.signing_input().into_bytes();
    let stamp = Some(&jws.header.time_stamp).filter(|text| !text.is_empty());
    let time_stamp = stamp.map(|text| STANDARD.decode(text)).transpose();
    let time_stamp = time_stamp.map_err(|why| Refusal::malformed("a time stamp in base64", why))?;
    Ok(Envelope { certificates, protected, payload, algorithm, message, signature, time_stamp })
}

fn certificate(why: ChainError) -> Refusal {
    Refusal::Certificate { why: why.to_string() }
}

impl Protected {
    /// That nothing critical is there that isn't known (RFC 7515, section 4.1.11), and what must be is.
    fn expect_understood(&self) -> Result<(), Refusal> {
        let has = |name: &str| self.names.contains(name);
        if self.cty != PAYLOAD {
            let expected = PAYLOAD.into();
            return Err(Refusal::Kind { what: "a payload of type", expected, got: self.cty.clone() });
        }
        for name in &self.crit {
            let known = [SCHEME, EXPIRY, AUTHENTIC_TIME].contains(&name.as_str());
            if !known {
                return Err(Refusal::Unchecked { got: format!("the critical header {name}") });
            }
            if !has(name) {
                return Err(Refusal::malformed("a protected header", format!("critical {name} isn't there")));
            }
        }
        if has(PLUGIN) {
            return Err(Refusal::Unchecked { got: format!("the header {PLUGIN}") });
        }
        let critical = |name: &str| self.crit.iter().any(|one| one == name);
        for name in [SCHEME, EXPIRY, AUTHENTIC_TIME] {
            if has(name) && !critical(name) {
                return Err(Refusal::malformed("a protected header", format!("{name} isn't critical")));
            }
        }
        Ok(())
    }

    fn store(&self) -> Result<StoreKind, Refusal> {
        match (self.scheme.as_str(), self.authentic_time) {
            ("notary.x509", None) if self.signing_time.is_some() => Ok(StoreKind::Ca),
            ("notary.x509.signingAuthority", Some(_)) => Ok(StoreKind::SigningAuthority),
            (other, _) => {
                let expected = format!("notary.x509 with {SIGNING_TIME}, or its signingAuthority");
                Err(Refusal::Kind { what: "a signing scheme", expected, got: other.into() })
            }
        }
    }
}

impl Signed {
    fn by_its_certificate(envelope: Envelope) -> Result<Self, Refusal> {
        let Envelope { certificates, protected, payload, algorithm, message, signature, time_stamp } =
            envelope;
        let chain = CertificateChain::from_der(&certificates).map_err(certificate)?;
        let key = chain.leaf_key().map_err(certificate)?;
        let material = key.material().map_err(|why| Refusal::Certificate { why: why.to_string() })?;
        match is_signed_by(&material, &algorithm, &message, &signature) {
            Ok(true) => {}
            Ok(false) => return Err(Refusal::Signature { expected: chain.leaf_subject() }),
            Err(why) => return Err(Refusal::Certificate { why }),
        }
        protected.expect_understood()?;
        let payload = strict::read("a payload of notation", &payload)?;
        Ok(Self { chain, key, protected, payload, signature, time_stamp })
    }

    fn signer(&self) -> Result<Signer, Refusal> {
        let id = self.key.material().and_then(|material| key_id(&material));
        let id = id.map_err(|why| Refusal::Certificate { why: why.to_string() })?;
        Ok(Signer::Certificate { subject: self.chain.leaf_subject(), id })
    }

    /// The descriptor that was signed is the image's own.
    fn expect_about(&self, context: &Context<'_>) -> Result<(), Refusal> {
        let (target, image) = (&self.payload.target_artifact, context.image);
        if target.digest != image.digest.to_string() {
            return Err(Refusal::Subject { expected: image.digest, got: target.digest.clone() });
        }
        if target.size != image.size || target.media_type != image.media_type {
            let got = format!("{} of {} and {} bytes", target.digest, target.media_type, target.size);
            return Err(Refusal::Subject { expected: image.digest, got });
        }
        Ok(())
    }

    fn expect_trusted(&self, notation: &NotationTrust, policy: &Policy) -> Result<(), Refusal> {
        let store = self.protected.store()?;
        let certificates: Vec<_> = self.chain.certificates().collect();
        let got = self.chain.leaf_subject();
        if !notation.trusts(policy, store, &certificates) {
            return Err(Refusal::Signer { expected: policy.stores_of(store), got });
        }
        if policy.names(&got) {
            return Ok(());
        }
        Err(Refusal::Signer { expected: policy.identities(), got })
    }

    /// The certificates hold now; or when an authority says that it signed; or when a time stamp says that it was
    /// signed. The signature's own end hasn't come.
    fn expect_times(
        &self,
        notation: &NotationTrust,
        policy: &Policy,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let usable = |at| self.chain.expect_usable(&self.key, at);
        match (self.protected.authentic_time, self.protected.signing_time) {
            (Some(at), _) if at > now => {
                return Err(Refusal::Certificate { why: format!("expected a time before {now}, got {at}") });
            }
            // An authority that says when it signed is believed without a time stamp.
            (Some(at), _) => usable(at).map_err(certificate)?,
            (None, then) => match (usable(now), then) {
                (Err(ChainError::Time { .. }), Some(then)) if policy.timestamp != Action::Enforce => {
                    usable(then).map_err(certificate)?;
                }
                (Err(ChainError::Time { .. }), _) if policy.wants_time_stamp(true) => {
                    self.expect_stamped(notation, policy, now)?;
                }
                (Ok(()), _) if policy.wants_time_stamp(false) => {
                    self.expect_stamped(notation, policy, now)?
                }
                (result, _) => result.map_err(certificate)?,
            },
        }
        match self.protected.expiry {
            Some(at) if at <= now && policy.expiry == Action::Enforce => Err(Refusal::Expired { at, now }),
            _ => Ok(()),
        }
    }

    /// A time stamp over the signature, by an authority that the policy trusts, of a time when the certificates held
    /// (notary trust policy 1.0, "Authentic timestamp").
    fn expect_stamped(
        &self,
        notation: &NotationTrust,
        policy: &Policy,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let bad = |why: String| Refusal::TimeStamp { why };
        let token = self.time_stamp.as_ref().ok_or_else(|| bad("got none".into()))?;
        let roots = notation.certificates(policy, StoreKind::TimeStamping);
        let TimeStamp { earliest, latest, authority } = time_stamp::verify(token, &self.signature, &roots)?;
        if earliest > now {
            return Err(bad(format!("expected a time before {now}, got {earliest}")));
        }
        // By however much the authority may be wrong: what wasn't there yet can't have been seen.
        if let Some(then) = self.protected.signing_time.filter(|then| latest < *then) {
            return Err(bad(format!("expected a time after the signature's own, {then}, got {latest}")));
        }
        for at in [earliest, latest] {
            self.chain.expect_usable(&self.key, at).map_err(certificate)?;
        }
        expect_not_revoked(&authority, policy)
    }

    fn expect_not_revoked(&self, policy: &Policy) -> Result<(), Refusal> {
        expect_not_revoked(&self.chain, policy)
    }
}

/// Without asking anybody: certificates that say where to ask can't be told to hold.
fn expect_not_revoked(chain: &CertificateChain, policy: &Policy) -> Result<(), Refusal> {
    match chain.revocable() {
        Some(subject) if policy.revocation == Action::Enforce => {
            Err(Refusal::Unchecked { got: format!("whether the certificate of {subject} was revoked") })
        }
        _ => Ok(()),
    }
}
