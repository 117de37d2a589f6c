//! notation: an envelope, JWS or COSE, with the certificates of the key (notary signature specification 1.1).

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, SecondsFormat, Utc};
use oci_image::{Descriptor, Digest};
use serde_json::{Value, json};
use tuf_core::crypto::Sign;
use tuf_core::key::PublicKey;

use crate::chain::CertificateChain;
use crate::error::SigningError;
use crate::format::Format;
use crate::keys::{self, Jwa};
use crate::referrer::Referrer;
use crate::{cose, jws};

/// The artifact type of a manifest that holds such a signature.
pub const NOTATION: &str = "application/vnd.cncf.notary.signature";

/// The type of what is signed.
pub(crate) const PAYLOAD: &str = "application/vnd.cncf.notary.payload.v1+json";
/// The one header that must be understood.
pub(crate) const SCHEME: &str = "io.cncf.notary.signingScheme";
/// Certificates vouch for the key, and the time is its own word.
pub(crate) const X509: &str = "notary.x509";
pub(crate) const SIGNING_TIME: &str = "io.cncf.notary.signingTime";
pub(crate) const SIGNING_AGENT: &str = "io.cncf.notary.signingAgent";
pub(crate) const AGENT: &str = concat!("hallmark/", env!("CARGO_PKG_VERSION"));
const THUMBPRINTS: &str = "io.cncf.notary.x509chain.thumbprint#S256";

/// How notation's signatures are written: what it calls a signature format. It reads both.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Envelope {
    /// In JSON (RFC 7515).
    #[default]
    Jws,
    /// In CBOR (RFC 9052).
    Cose,
}

impl Envelope {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Jws, Self::Cose];

    fn media_type(self) -> &'static str {
        match self {
            Self::Jws => "application/jose+json",
            Self::Cose => "application/cose",
        }
    }
}

impl fmt::Display for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jws => "jws",
            Self::Cose => "cose",
        })
    }
}

/// There is no such envelope.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected jws or cose, got {0:?}")]
pub struct BadEnvelope(pub String);

impl FromStr for Envelope {
    type Err = BadEnvelope;

    fn from_str(text: &str) -> Result<Self, BadEnvelope> {
        let named = Self::ALL.into_iter().find(|envelope| envelope.to_string() == text);
        named.ok_or_else(|| BadEnvelope(text.into()))
    }
}

/// Whether a signature in JOSE's form is this key's, by the algorithm of RFC 7518 that is named and that follows
/// from the key (notary signature specification 1.1, "Algorithm selection").
///
/// # Errors
/// Says what was expected of the algorithm, and what came.
pub fn is_signed_by(key: &PublicKey, named: &str, message: &[u8], signature: &[u8]) -> Result<bool, String> {
    let algorithm = Jwa::of(key)?;
    if named != algorithm.name() {
        return Err(format!("expected algorithm {}, got {named}", algorithm.name()));
    }
    Ok(algorithm.verify(key, message, signature))
}

/// What is to be signed, by whom.
pub(crate) struct Draft<'a> {
    pub(crate) payload: String,
    pub(crate) algorithm: Jwa,
    pub(crate) key: &'a dyn Sign,
    pub(crate) chain: &'a CertificateChain,
    pub(crate) now: DateTime<Utc>,
}

/// What was signed, in an envelope that names the algorithm that was asked for, and in which nothing is critical
/// but the scheme: whatever else is, such as an end, is none of ours.
pub(crate) struct Opened {
    pub(crate) payload: Vec<u8>,
    /// In DER.
    pub(crate) certificates: Vec<Vec<u8>>,
    /// The bytes that are signed.
    pub(crate) message: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

/// Signs the descriptor of the image.
pub(crate) fn make(
    image: &Descriptor,
    envelope: Envelope,
    key: &dyn Sign,
    chain: &CertificateChain,
    now: DateTime<Utc>,
) -> Result<Referrer, SigningError> {
    let format = Format::Notation;
    let material = keys::material(format, key.key())?;
    let algorithm = Jwa::of(&material).map_err(|why| SigningError::Key { format, why })?;
    chain.expect_usable(key.key(), now)?;
    let draft = Draft { payload: payload(image).to_string(), algorithm, key, chain, now };
    let blob = match envelope {
        Envelope::Jws => jws::make(&draft)?,
        Envelope::Cose => cose::make(&draft)?,
    };
    let annotations = annotations(chain, now);
    Ok(Referrer { artifact_type: NOTATION, layer_type: envelope.media_type(), blob, annotations })
}

fn payload(image: &Descriptor) -> Value {
    json!({ "targetArtifact": { "mediaType": image.media_type, "digest": image.digest, "size": image.size } })
}

/// Whether a blob is this key's signature of this image, with these certificates and without an end.
pub(crate) fn is_by(
    key: &PublicKey,
    chain: &CertificateChain,
    envelope: Envelope,
    image: &Descriptor,
    blob: &[u8],
) -> bool {
    let Ok(algorithm) = Jwa::of(key) else { return false };
    let opened = match envelope {
        Envelope::Jws => jws::open(blob, algorithm),
        Envelope::Cose => cose::open(blob, algorithm),
    };
    opened.is_some_and(|opened| {
        serde_json::from_slice::<Value>(&opened.payload).is_ok_and(|signed| signed == payload(image))
            && opened.certificates.iter().map(Vec::as_slice).eq(chain.certificates())
            && algorithm.verify(key, &opened.message, &opened.signature)
    })
}

/// The thumbprints are a JSON list in a text, in lower-case hex as notation writes them.
fn annotations(chain: &CertificateChain, now: DateTime<Utc>) -> BTreeMap<String, String> {
    let thumbprints: Vec<_> = chain.certificates().map(|der| Digest::of(der).hex()).collect();
    BTreeMap::from([
        (THUMBPRINTS.to_owned(), json!(thumbprints).to_string()),
        ("org.opencontainers.image.created".to_owned(), now.to_rfc3339_opts(SecondsFormat::Secs, true)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_envelope_is_read_by_its_name() {
        for envelope in Envelope::ALL {
            assert_eq!(envelope.to_string().parse(), Ok(envelope));
        }
        let error = "JWS".parse::<Envelope>().unwrap_err().to_string();
        assert_eq!(error, "expected jws or cose, got \"JWS\"");
    }
}
