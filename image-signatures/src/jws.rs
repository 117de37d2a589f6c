//! notation's JWS envelope (notary signature specification 1.1, "JWS envelope").

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tuf_core::key::PublicKey;

use crate::error::SigningError;
use crate::format::Format;
use crate::keys::Jwa;
use crate::notation::{AGENT, Draft, Opened, PAYLOAD, SCHEME, SIGNING_TIME, X509, is_signed_by};

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

/// Signs the draft.
pub(crate) fn make(draft: &Draft<'_>) -> Result<Vec<u8>, SigningError> {
    let protected = json!({
        "alg": draft.algorithm.name(),
        "cty": PAYLOAD,
        "crit": [SCHEME],
        SCHEME: X509,
        SIGNING_TIME: draft.now.to_rfc3339_opts(SecondsFormat::Secs, true),
    });
    let mut jws = Jws {
        payload: URL_SAFE_NO_PAD.encode(&draft.payload),
        protected: URL_SAFE_NO_PAD.encode(protected.to_string()),
        header: JwsHeader {
            x5c: draft.chain.certificates().map(|der| STANDARD.encode(der)).collect(),
            signing_agent: AGENT.into(),
            time_stamp: String::new(),
        },
        signature: String::new(),
    };
    let signature = draft.algorithm.sign(draft.key, jws.signing_input().as_bytes())?;
    jws.signature = URL_SAFE_NO_PAD.encode(signature);
    serde_json::to_vec(&jws)
        .map_err(|why| SigningError::NotSigned { format: Format::Notation, why: why.to_string() })
}

/// See [`Opened`].
pub(crate) fn open(blob: &[u8], algorithm: Jwa) -> Option<Opened> {
    let jws: Jws = serde_json::from_slice(blob).ok()?;
    let decoded = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    let protected: Value = serde_json::from_slice(&decoded(&jws.protected)?).ok()?;
    let named = protected.get("alg").and_then(Value::as_str);
    if named != Some(algorithm.name()) || protected.get("crit") != Some(&json!([SCHEME])) {
        return None;
    }
    Some(Opened {
        payload: decoded(&jws.payload)?,
        certificates: jws.header.x5c.iter().map(|text| STANDARD.decode(text).ok()).collect::<Option<_>>()?,
        message: jws.signing_input().into_bytes(),
        signature: decoded(&jws.signature)?,
    })
}
