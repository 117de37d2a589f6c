//! notation: a JWS envelope with the certificates of the key (notary signature specification 1.1, "JWS
//! envelope").

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, SecondsFormat, Utc};
use oci_image::{Descriptor, Digest};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tuf_core::crypto::Sign;
use tuf_core::key::PublicKey;

use crate::chain::CertificateChain;
use crate::error::SigningError;
use crate::format::Format;
use crate::keys::{self, Jwa};
use crate::referrer::Referrer;

/// The artifact type of a manifest that holds such a signature.
pub const NOTATION: &str = "application/vnd.cncf.notary.signature";

const JOSE: &str = "application/jose+json";
const PAYLOAD: &str = "application/vnd.cncf.notary.payload.v1+json";
const SCHEME: &str = "io.cncf.notary.signingScheme";
const THUMBPRINTS: &str = "io.cncf.notary.x509chain.thumbprint#S256";

/// A JWS in flattened JSON (RFC 7515, section 7.2.2).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Jws {
    /// What was signed, in base64url.
    pub payload: String,
    /// The header that was signed with it, in base64url.
    pub protected: String,
    /// What was not signed.
    pub header: JwsHeader,
    /// In base64url; of ECDSA both numbers at full length.
    pub signature: String,
}

/// The part of a JWS that isn't signed. Members that we don't know are left out when read.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct JwsHeader {
    /// Certificates in DER in base64, that of the key first (RFC 7515, section 4.1.6).
    pub x5c: Vec<String>,
    /// Who made it.
    #[serde(rename = "io.cncf.notary.signingAgent", default, skip_serializing_if = "String::is_empty")]
    pub signing_agent: String,
    /// That an authority saw the signature, and when: a time stamp token of RFC 3161 in base64.
    #[serde(rename = "io.cncf.notary.timestampSignature", default, skip_serializing_if = "String::is_empty")]
    pub time_stamp: String,
}

impl Jws {
    /// The bytes that are signed.
    #[must_use]
    pub fn signing_input(&self) -> String {
        format!("{}.{}", self.protected, self.payload)
    }

    /// Whether the signature is this key's, by the algorithm that follows from the key and that the protected
    /// header names.
    ///
    /// # Errors
    /// Says what was expected of the algorithm, and what came.
    pub fn is_signed_by(&self, key: &PublicKey) -> Result<bool, String> {
        let named =
            self.unverified().and_then(|(protected, _)| protected.get("alg")?.as_str().map(str::to_owned));
        let Ok(signature) = URL_SAFE_NO_PAD.decode(&self.signature) else { return Ok(false) };
        let named = named.as_deref().unwrap_or("none");
        is_signed_by(key, named, self.signing_input().as_bytes(), &signature)
    }

    /// The protected header and the payload as JSON, not verified; `None` where they are none.
    #[must_use]
    pub fn unverified(&self) -> Option<(Value, Value)> {
        let json = |text: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok();
        Some((json(&self.protected)?, json(&self.payload)?))
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

/// Signs the descriptor of the image.
pub(crate) fn make(
    image: &Descriptor,
    key: &dyn Sign,
    chain: &CertificateChain,
    now: DateTime<Utc>,
) -> Result<Referrer, SigningError> {
    let format = Format::Notation;
    let material = keys::material(format, key.key())?;
    let algorithm = Jwa::of(&material).map_err(|why| SigningError::Key { format, why })?;
    chain.expect_usable(key.key(), now)?;
    let payload = payload(image);
    let protected = json!({
        "alg": algorithm.name(),
        "cty": PAYLOAD,
        "crit": [SCHEME],
        SCHEME: "notary.x509",
        "io.cncf.notary.signingTime": now.to_rfc3339_opts(SecondsFormat::Secs, true),
    });
    let encoded = |document: &Value| URL_SAFE_NO_PAD.encode(document.to_string());
    let mut jws = Jws {
        payload: encoded(&payload),
        protected: encoded(&protected),
        header: JwsHeader {
            x5c: chain.certificates().map(|der| STANDARD.encode(der)).collect(),
            signing_agent: concat!("hallmark/", env!("CARGO_PKG_VERSION")).into(),
            time_stamp: String::new(),
        },
        signature: String::new(),
    };
    jws.signature = URL_SAFE_NO_PAD.encode(algorithm.sign(key, jws.signing_input().as_bytes())?);
    let blob =
        serde_json::to_vec(&jws).map_err(|why| SigningError::NotSigned { format, why: why.to_string() })?;
    let annotations = annotations(chain, now);
    Ok(Referrer { artifact_type: NOTATION, layer_type: JOSE, blob, annotations })
}

fn payload(image: &Descriptor) -> Value {
    json!({ "targetArtifact": { "mediaType": image.media_type, "digest": image.digest, "size": image.size } })
}

/// Whether a blob is this key's signature of this image, with these certificates and without an end.
pub(crate) fn is_by(key: &PublicKey, chain: &CertificateChain, image: &Descriptor, blob: &[u8]) -> bool {
    let Ok(jws) = serde_json::from_slice::<Jws>(blob) else { return false };
    let Some((protected, signed)) = jws.unverified() else { return false };
    let (Ok(algorithm), Ok(signature)) = (Jwa::of(key), URL_SAFE_NO_PAD.decode(&jws.signature)) else {
        return false;
    };
    let certificates = chain.certificates().map(|der| STANDARD.encode(der));
    signed == payload(image)
        && protected.get("alg").and_then(Value::as_str) == Some(algorithm.name())
        // Whatever else is critical, such as an end, is none of ours.
        && protected.get("crit") == Some(&json!([SCHEME]))
        && jws.header.x5c.iter().cloned().eq(certificates)
        && algorithm.verify(key, jws.signing_input().as_bytes(), &signature)
}

/// The thumbprints are a JSON list in a text, in lower-case hex as notation writes them.
fn annotations(chain: &CertificateChain, now: DateTime<Utc>) -> BTreeMap<String, String> {
    let thumbprints: Vec<_> = chain.certificates().map(|der| Digest::of(der).hex()).collect();
    BTreeMap::from([
        (THUMBPRINTS.to_owned(), json!(thumbprints).to_string()),
        ("org.opencontainers.image.created".to_owned(), now.to_rfc3339_opts(SecondsFormat::Secs, true)),
    ])
}
