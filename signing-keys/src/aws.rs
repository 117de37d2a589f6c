//! Keys in AWS's key service, KMS: it makes and keeps them, and signs digests. What is sent goes through
//! [`Cloud`], which the caller gives: this crate opens no connection and reads no clock.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use der::pem::LineEnding;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use tuf_core::Instant;
use tuf_core::crypto::{RsaScheme, Sign, SignError};
use tuf_core::key::{self, Key, RsaHash};

use crate::sigv4::Post;
use crate::uri::Kms;
use crate::{Around, Secret, Why};

/// Its answers are a public key or a signature, with some names around them.
pub const ANSWER_MAX: u64 = 64 * 1024;
/// `Sign`: a message may have 4096 bytes, else its digest is sent. A small one is sent whole, so that the
/// service hashes what it signs.
const MESSAGE_MAX: usize = 4096;
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// The way to a service in the network.
pub trait Cloud: fmt::Debug + Send + Sync {
    /// The time now: a request is valid for minutes.
    fn now(&self) -> Instant;

    /// Posts a body and gives the status and the answer, of at most [`ANSWER_MAX`] bytes. `content-type` is
    /// among the headers. No redirect may be followed.
    ///
    /// # Errors
    /// Says why nothing answered, for a person.
    fn post(&self, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<(u16, Vec<u8>), String>;
}

/// What shows AWS who asks.
#[derive(Clone)]
pub struct AwsKeys {
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: Secret,
    /// `AWS_SESSION_TOKEN`.
    pub session_token: Option<Secret>,
    /// `AWS_REGION`, where an address names none.
    pub region: Option<String>,
}

/// Shows no secret.
impl fmt::Debug for AwsKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AwsKeys").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// A key in KMS.
pub(crate) struct KmsKey {
    service: Service,
    key: Key,
}

/// Where it is, and who asks.
struct Service {
    cloud: Arc<dyn Cloud>,
    keys: AwsKeys,
    region: String,
    endpoint: String,
    host: String,
    name: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetPublicKey<'a> {
    key_id: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PublicKey {
    public_key: String,
    key_usage: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SignRequest<'a> {
    key_id: &'a str,
    message: &'a str,
    message_type: &'a str,
    signing_algorithm: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Signature {
    signature: String,
}

/// An error of the service: `__type`, and a message whose first letter it writes in both ways.
#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default, rename = "__type")]
    kind: String,
    #[serde(default, alias = "Message")]
    message: String,
}

pub(crate) fn open(wanted: &Kms, around: &Around) -> Result<KmsKey, Why> {
    let service = Service::new(wanted, around)?;
    let answer = service.ask("GetPublicKey", &GetPublicKey { key_id: &service.name })?;
    let PublicKey { public_key, key_usage } = serde_json::from_slice(&answer)
        .map_err(|why| Why::Answer(format!("expected a public key of the key service, got {why}")))?;
    if key_usage != "SIGN_VERIFY" {
        return Err(Why::Kind(format!("one for {}", key_usage.to_lowercase().replace('_', " and "))));
    }
    let key = key_of(&public_key)?;
    match algorithm(&key) {
        Some(_) => Ok(KmsKey { service, key }),
        None => Err(Why::Kind(key.scheme)),
    }
}

/// The key of a SubjectPublicKeyInfo in base64.
fn key_of(public: &str) -> Result<Key, Why> {
    let malformed = || Why::Answer("the key service's public key is malformed".into());
    let info = STANDARD.decode(public).map_err(|_| malformed())?;
    let document = der::Document::try_from(info.as_slice()).map_err(|_| malformed())?;
    let pem = document.to_pem("PUBLIC KEY", LineEnding::LF).map_err(|_| malformed())?;
    Key::from_pem(&pem).map_err(|_| Why::Kind("another kind".into()))
}

/// What KMS calls the scheme of a key.
fn algorithm(key: &Key) -> Option<&'static str> {
    match key.scheme.as_str() {
        "ecdsa-sha2-nistp256" => Some("ECDSA_SHA_256"),
        "ecdsa-sha2-nistp384" => Some("ECDSA_SHA_384"),
        // Its salt is as long as the hash, as clients ask (section 4.2.1).
        "rsassa-pss-sha256" => Some("RSASSA_PSS_SHA_256"),
        _ => None,
    }
}

impl Service {
    fn new(wanted: &Kms, around: &Around) -> Result<Self, Why> {
        let cloud = around.cloud.clone().ok_or_else(|| Why::Missing("there is no network here".into()))?;
        let keys = around.aws.clone().ok_or_else(|| {
            Why::Denied("no keys for AWS: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".into())
        })?;
        let region = wanted.region().or(keys.region.as_deref()).map(str::to_owned);
        let region = region.ok_or_else(|| {
            Why::Denied("no region: add ?region=… to the address, or set AWS_REGION".into())
        })?;
        let (endpoint, host) = wanted.endpoint_in(&region);
        Ok(Self { cloud, keys, region, endpoint, host, name: wanted.key.clone() })
    }

    /// One question and its answer.
    fn ask(&self, operation: &str, question: &impl Serialize) -> Result<Vec<u8>, Why> {
        let body = serde_json::to_vec(question).map_err(|why| Why::Answer(why.to_string()))?;
        let time = self.cloud.now().format("%Y%m%dT%H%M%SZ").to_string();
        let target = format!("TrentService.{operation}");
        let post = Post {
            host: &self.host,
            region: &self.region,
            service: "kms",
            time: &time,
            target: &target,
            content_type: CONTENT_TYPE,
            body: &body,
        };
        let authorization = post.authorization(&self.keys);
        let mut headers = vec![
            ("content-type", CONTENT_TYPE),
            ("x-amz-date", &time),
            ("x-amz-target", &target),
            ("authorization", &authorization),
        ];
        if let Some(token) = &self.keys.session_token {
            headers.push(("x-amz-security-token", token));
        }
        let (status, answer) = self.cloud.post(&self.endpoint, &headers, &body).map_err(Why::Missing)?;
        match status {
            200 => Ok(answer),
            status => Err(refusal(status, &answer)),
        }
    }
}

/// Which of them mean that the key isn't there, and which that we may not.
fn refusal(status: u16, answer: &[u8]) -> Why {
    let Refusal { kind, message } = serde_json::from_slice(answer).unwrap_or_default();
    // Before the name may stand a namespace.
    let kind = kind.rsplit('#').next().unwrap_or_default();
    let said: String = message.chars().filter(|c| !c.is_control()).take(300).collect();
    match kind {
        "" if matches!(status, 401 | 403) => {
            Why::Denied(format!("the key service refused with status {status}"))
        }
        "" => Why::Answer(format!("the key service answered with status {status}")),
        "NotFoundException" => Why::Missing(format!("the key service has no such key: {said}")),
        "KMSInternalException" | "DependencyTimeoutException" | "ThrottlingException" => {
            Why::Missing(format!("the key service can't answer now: {kind}: {said}"))
        }
        _ => Why::Denied(format!("the key service refused: {kind}: {said}")),
    }
}

impl Sign for KmsKey {
    fn key(&self) -> &Key {
        &self.key
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let algorithm = algorithm(&self.key);
        self.by(algorithm.ok_or_else(|| SignError { what: "no scheme of this key signs".into() })?, message)
    }

    fn sign_rsa(&self, scheme: RsaScheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        if !matches!(self.key.material(), Ok(key::PublicKey::RsaPss(..))) {
            return Err(SignError { what: format!("expected an RSA key, got one by {}", self.key.scheme) });
        }
        let algorithm = match scheme {
            RsaScheme::Pkcs1Sha256 => "RSASSA_PKCS1_V1_5_SHA_256",
            RsaScheme::Pss(RsaHash::Sha256) => "RSASSA_PSS_SHA_256",
            RsaScheme::Pss(RsaHash::Sha384) => "RSASSA_PSS_SHA_384",
            RsaScheme::Pss(RsaHash::Sha512) => "RSASSA_PSS_SHA_512",
        };
        self.by(algorithm, message)
    }
}

impl KmsKey {
    /// Asks for a signature by one of the service's algorithms; they are called after their hashes.
    fn by(&self, algorithm: &str, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let failed = |what: String| SignError { what };
        let (bytes, kind) = match message.len() {
            ..=MESSAGE_MAX => (message.to_vec(), "RAW"),
            _ if algorithm.ends_with("SHA_512") => (Sha512::digest(message).to_vec(), "DIGEST"),
            _ if algorithm.ends_with("SHA_384") => (Sha384::digest(message).to_vec(), "DIGEST"),
            _ => (Sha256::digest(message).to_vec(), "DIGEST"),
        };
        let question = SignRequest {
            key_id: &self.service.name,
            message: &STANDARD.encode(bytes),
            message_type: kind,
            signing_algorithm: algorithm,
        };
        let answer = self.service.ask("Sign", &question).map_err(|why| failed(why.to_string()))?;
        let Signature { signature } = serde_json::from_slice(&answer)
            .map_err(|why| failed(format!("expected a signature of the key service, got {why}")))?;
        let signature = STANDARD.decode(signature);
        signature.map_err(|_| failed("the key service's signature is no base64".into()))
    }
}
