//! cosign up to version 2, and podman: simple signing under the tag `sha256-HEX.sig`.
//!
//! The tag's manifest has one layer a signature, and many may write it: what others put there stays.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_image::{Descriptor, Digest, ImageName, Registry, SourceError, Tag, media};
use serde_json::{Value, json};
use tuf_core::crypto::Sign;
use tuf_core::key::PublicKey;

use crate::error::SigningError;
use crate::format::Format;
use crate::keys;

/// The media type of a payload.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// Where a layer has its signature. The other annotations begin with `dev.sigstore.cosign/`.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// What a payload says that it is. containers/image's older form, signed by GPG, says something else.
const KIND: &str = "cosign container image signature";

/// The most signatures of an image that cosign reads.
const LAYERS_MAX: usize = 1000;

/// A payload and a signature over its bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SimpleSigning {
    /// The bytes that are signed. No form is canonical: these count.
    pub payload: Vec<u8>,
    /// By ECDSA in DER, Ed25519, or RSA by PKCS#1 v1.5; each with SHA-256.
    pub signature: Vec<u8>,
}

/// What a payload says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    /// The name under which the image was signed. cosign pays no heed to it; podman does.
    pub name: String,
    /// The digest of the image's manifest or index.
    pub image: Digest,
}

impl SimpleSigning {
    /// Signs the image under this name, without a tag: so podman accepts it for each, by
    /// `matchRepository`.
    pub(crate) fn make(
        format: Format,
        name: &ImageName,
        image: Digest,
        key: &dyn Sign,
    ) -> Result<Self, SigningError> {
        let payload = payload(name, image);
        let signature = keys::sign_for_cosign(format, key, &payload)?;
        Ok(Self { payload, signature })
    }

    /// Whether the signature is this key's over the payload, whatever that says.
    #[must_use]
    pub fn is_signed_by(&self, key: &PublicKey) -> bool {
        keys::verify_for_cosign(key, &self.payload, &self.signature)
    }

    /// What the payload says, if the signature is this key's and it is a payload of this kind.
    #[must_use]
    pub fn verified(&self, key: &PublicKey) -> Option<Claim> {
        if !keys::verify_for_cosign(key, &self.payload, &self.signature) {
            return None;
        }
        let document: Value = serde_json::from_slice(&self.payload).ok()?;
        let text = |pointer: &str| document.pointer(pointer).and_then(Value::as_str);
        if text("/critical/type") != Some(KIND) {
            return None;
        }
        let name = text("/critical/identity/docker-reference")?.to_owned();
        Some(Claim { name, image: text("/critical/image/docker-manifest-digest")?.parse().ok()? })
    }

    /// Adds it to what is under the tag, and returns the manifest that is there then, and whether it was there
    /// before.
    pub(crate) fn push(
        &self,
        registry: &Registry,
        image: Digest,
        key: &PublicKey,
    ) -> Result<(Tag, Descriptor, bool), SourceError> {
        let tag = signature_tag(image)?;
        registry.push_blob(&self.payload)?;
        let mut was_there = true;
        let written = registry.amend_manifest(&tag, media::OCI_MANIFEST, &mut |there| {
            let Some(manifest) = self.added(there, key).map_err(|why| at(&tag, why))? else {
                return Ok(None);
            };
            was_there = false;
            let config = config(&manifest);
            let descriptor = Descriptor::of(media::OCI_CONFIG, &config);
            registry.push_blob(&config)?;
            with_config(manifest, &descriptor).map(Some).map_err(|why| at(&tag, why))
        })?;
        Ok((tag, written, was_there))
    }

    /// The manifest with this signature in it; `None` if one by the same key over the same bytes is there.
    fn added(&self, there: Option<&[u8]>, key: &PublicKey) -> Result<Option<Value>, String> {
        let mut manifest = match there {
            Some(bytes) => serde_json::from_slice(bytes).map_err(|why| why.to_string())?,
            None => json!({ "schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "layers": [] }),
        };
        if let Some(other) = manifest.get("mediaType").filter(|kind| *kind != media::OCI_MANIFEST) {
            return Err(format!("expected an OCI manifest of signatures, got media type {other}"));
        }
        let layers = manifest.get_mut("layers").and_then(Value::as_array_mut);
        let layers = layers.ok_or("expected an OCI manifest of signatures, got one without layers")?;
        if layers.iter().any(|layer| self.is(layer, key)) {
            return Ok(None);
        }
        if layers.len() >= LAYERS_MAX {
            return Err(format!("expected at most {LAYERS_MAX} signatures, got one more"));
        }
        layers.push(self.layer());
        Ok(Some(manifest))
    }

    /// Whether the layer is this key's signature over the same payload. ECDSA's differ each time.
    fn is(&self, layer: &Value, key: &PublicKey) -> bool {
        let digest = Digest::of(&self.payload).to_string();
        let text = layer.get("annotations").and_then(|annotations| annotations.get(SIGNATURE)?.as_str());
        let signature = text.and_then(|text| STANDARD.decode(text).ok());
        layer.get("digest").and_then(Value::as_str) == Some(digest.as_str())
            && layer.get("mediaType").and_then(Value::as_str) == Some(SIMPLE_SIGNING)
            && layer.get("size").and_then(Value::as_u64) == u64::try_from(self.payload.len()).ok()
            && signature.is_some_and(|signature| keys::verify_for_cosign(key, &self.payload, &signature))
    }

    fn layer(&self) -> Value {
        let Descriptor { media_type, digest, size, .. } = Descriptor::of(SIMPLE_SIGNING, &self.payload);
        let annotations = json!({ SIGNATURE: STANDARD.encode(&self.signature) });
        json!({ "mediaType": media_type, "digest": digest, "size": size, "annotations": annotations })
    }
}

/// The tag under which an image's signatures are.
///
/// # Errors
/// Never, for a digest that there is.
pub fn signature_tag(image: Digest) -> Result<Tag, SourceError> {
    let text = format!("sha256-{}.sig", image.hex());
    text.parse::<Tag>().map_err(|why| SourceError::Malformed { at: text, why: why.to_string() })
}

/// As cosign writes it, with `optional` empty.
fn payload(name: &ImageName, image: Digest) -> Vec<u8> {
    let payload = json!({
        "critical": {
            "identity": { "docker-reference": name.to_string() },
            "image": { "docker-manifest-digest": image },
            "type": KIND,
        },
        "optional": null,
    });
    payload.to_string().into_bytes()
}

/// A config of as many layers as the manifest has, as cosign writes it. Nobody needs it; libraries that take
/// the manifest for an image's do.
fn config(manifest: &Value) -> Vec<u8> {
    const NEVER: &str = "0001-01-01T00:00:00Z";
    let layers = manifest.get("layers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let digests: Vec<_> = layers.iter().map(|layer| layer.get("digest")).collect();
    let history: Vec<_> = layers.iter().map(|_| json!({ "created": NEVER })).collect();
    let config = json!({
        "architecture": "", "os": "", "created": NEVER, "config": {}, "history": history,
        "rootfs": { "type": "layers", "diff_ids": digests },
    });
    config.to_string().into_bytes()
}

fn with_config(mut manifest: Value, config: &Descriptor) -> Result<Vec<u8>, String> {
    let config = serde_json::to_value(config).map_err(|why| why.to_string())?;
    let members = manifest.as_object_mut().ok_or("expected an object")?;
    members.insert("config".into(), config);
    serde_json::to_vec(&manifest).map_err(|why| why.to_string())
}

fn at(tag: &Tag, why: String) -> SourceError {
    SourceError::Malformed { at: format!("tag {tag}"), why }
}
