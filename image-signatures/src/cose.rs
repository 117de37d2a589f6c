//! notation's COSE envelope (notary signature specification 1.1, "COSE envelope"; RFC 9052): a tagged `COSE_Sign1`
//! with its payload inside.

use coset::cbor::value::Value;
use coset::iana;
use coset::{
    CoseError, CoseSign1, CoseSign1Builder, Header, HeaderBuilder, Label, RegisteredLabelWithPrivate,
    TaggedCborSerializable as _,
};
use tuf_core::key::RsaHash;

use crate::error::SigningError;
use crate::format::Format;
use crate::keys::Jwa;
use crate::notation::{AGENT, Draft, Opened, PAYLOAD, SCHEME, SIGNING_AGENT, SIGNING_TIME, X509};

/// `x5chain` (RFC 9360, section 2).
const X5CHAIN: i64 = 33;

/// A time in seconds (RFC 8949, section 3.4.2).
const EPOCH_TAG: u64 = 1;

/// Signs the draft.
pub(crate) fn make(draft: &Draft<'_>) -> Result<Vec<u8>, SigningError> {
    // RFC 8949's order of members: shorter names come first.
    let protected = HeaderBuilder::new()
        .algorithm(algorithm(draft.algorithm))
        .add_critical_label(critical())
        .content_type(PAYLOAD.into())
        .text_value(SIGNING_TIME.into(), Value::Tag(EPOCH_TAG, Box::new(draft.now.timestamp().into())))
        .text_value(SCHEME.into(), X509.into())
        .build();
    // A list, also of one: notation reads no certificate that stands alone, as RFC 9360 would have it.
    let certificates = draft.chain.certificates().map(|der| Value::Bytes(der.to_vec())).collect();
    let unprotected = HeaderBuilder::new()
        .value(X5CHAIN, Value::Array(certificates))
        .text_value(SIGNING_AGENT.into(), AGENT.into())
        .build();
    let sign1 = CoseSign1Builder::new()
        .protected(protected)
        .unprotected(unprotected)
        .payload(draft.payload.clone().into_bytes())
        .try_create_signature(&[], |message| draft.algorithm.sign(draft.key, message))?
        .build();
    let failed = |why: CoseError| SigningError::NotSigned { format: Format::Notation, why: why.to_string() };
    sign1.to_tagged_vec().map_err(failed)
}

/// See [`Opened`].
pub(crate) fn open(blob: &[u8], named: Jwa) -> Option<Opened> {
    let sign1 = CoseSign1::from_tagged_slice(blob).ok()?;
    let header = &sign1.protected.header;
    let named = RegisteredLabelWithPrivate::Assigned(algorithm(named));
    if header.alg != Some(named) || header.crit != [critical()] {
        return None;
    }
    Some(Opened {
        certificates: certificates(&sign1.unprotected)?,
        // Over the bytes of the protected header as they came.
        message: sign1.tbs_data(&[]),
        payload: sign1.payload?,
        signature: sign1.signature,
    })
}

fn certificates(unprotected: &Header) -> Option<Vec<Vec<u8>>> {
    let (_, chain) = unprotected.rest.iter().find(|(label, _)| *label == Label::Int(X5CHAIN))?;
    chain.as_array()?.iter().map(|one| one.as_bytes().cloned()).collect()
}

fn critical() -> RegisteredLabelWithPrivate<iana::HeaderParameter> {
    RegisteredLabelWithPrivate::Text(SCHEME.into())
}

/// The same under the numbers of RFC 9053, section 2.1, and RFC 8230, section 2.
fn algorithm(algorithm: Jwa) -> iana::Algorithm {
    match algorithm {
        Jwa::Es256 => iana::Algorithm::ES256,
        Jwa::Es384 => iana::Algorithm::ES384,
        Jwa::Ps(RsaHash::Sha256) => iana::Algorithm::PS256,
        Jwa::Ps(RsaHash::Sha384) => iana::Algorithm::PS384,
        Jwa::Ps(RsaHash::Sha512) => iana::Algorithm::PS512,
    }
}
