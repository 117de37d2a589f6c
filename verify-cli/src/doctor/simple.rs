//! Simple signing as its readers read it: cosign asks for the digest alone, containers/image for every member.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::look::Blob;
use super::model::{Why, Word};
use super::{Key, bytes};

const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const LOG: &str = "dev.sigstore.cosign/bundle";

/// What a payload says that it is.
const KIND: &str = "cosign container image signature";

/// A payload, of which the signature is good.
pub(super) struct Payload {
    document: Value,
}

impl Payload {
    /// What this key signed in such a blob.
    pub(super) fn by(key: &Key, blob: &Blob) -> Result<Self, Why> {
        let message = bytes(blob)?;
        let annotations = &blob.descriptor.annotations;
        let malformed = |why: String| Why::new(Word::Malformed, why);
        let signature = annotations.get(SIGNATURE);
        let signature =
            signature.ok_or_else(|| malformed(format!("expected the annotation {SIGNATURE}, got none")))?;
        let signature = STANDARD.decode(signature);
        let signature =
            signature.map_err(|why| malformed(format!("expected a signature in base64: {why}")))?;
        if !key.has_signed(message, &signature) {
            return Err(match key.has_signed_with_sha384(message, &signature) {
                true => Why::new(Word::KeyKind, "expected a signature with SHA-256, got one with SHA-384"),
                false => Why::new(
                    Word::OtherKey,
                    format!(
                        "expected a signature by {}, got one by another key or over other bytes",
                        key.name
                    ),
                ),
            });
        }
        let document = serde_json::from_slice(message);
        let document =
            document.map_err(|why| malformed(format!("expected a payload of simple signing: {why}")))?;
        Ok(Self { document })
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        self.document.pointer(pointer).and_then(Value::as_str)
    }

    /// The digest of the image that was signed.
    pub(super) fn image(&self) -> &str {
        self.text("/critical/image/docker-manifest-digest").unwrap_or("nothing")
    }

    /// The name under which it was signed.
    pub(super) fn name(&self) -> &str {
        self.text("/critical/identity/docker-reference").unwrap_or_default()
    }

    /// That it has the members that containers/image wants, and no others.
    pub(super) fn expect_exact(&self) -> Result<(), Why> {
        for (pointer, expected) in [
            ("", &["critical", "optional"][..]),
            ("/critical", &["identity", "image", "type"]),
            ("/critical/image", &["docker-manifest-digest"]),
            ("/critical/identity", &["docker-reference"]),
        ] {
            let got: Vec<_> = match self.document.pointer(pointer) {
                Some(Value::Object(members)) => members.keys().map(String::as_str).collect(),
                _ => Vec::new(),
            };
            let mut sorted = got.clone();
            sorted.sort_unstable();
            if sorted != expected {
                let detail = format!(
                    "expected a payload with {} and nothing else, got {}",
                    expected.join(", "),
                    got.join(", ")
                );
                return Err(Why::new(Word::Malformed, detail));
            }
        }
        match self.text("/critical/type") {
            Some(KIND) => {}
            got => {
                let got = got.unwrap_or("nothing");
                return Err(Why::new(Word::Malformed, format!("expected a {KIND:?}, got {got:?}")));
            }
        }
        match self.document.pointer("/optional") {
            Some(Value::Object(_) | Value::Null) => Ok(()),
            _ => Err(Why::new(Word::Malformed, "expected optional members, got something else")),
        }
    }
}

/// Whether there is a certificate beside the signature.
pub(super) fn has_certificate(blob: &Blob) -> bool {
    blob.descriptor.annotations.contains_key(CERTIFICATE)
}

/// Whether there is a log's entry beside it.
pub(super) fn has_log_entry(blob: &Blob) -> bool {
    blob.descriptor.annotations.contains_key(LOG)
}
