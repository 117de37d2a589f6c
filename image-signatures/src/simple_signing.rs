//! cosign up to version 2, and podman: simple signing under the tag `sha256-HEX.sig`.
//!
//! The tag's manifest has one layer a signature, and many may write it: what others put there stays.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_image::{Descriptor, Digest, ImageName, Registry, SourceError, Tag};
use serde_json::{Value, json};
use tuf_core::crypto::Sign;
use tuf_core::key::PublicKey;

use crate::error::SigningError;
use crate::format::Format;
use crate::{keys, tag_list};

/// The media type of a payload.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

/// Where a layer has its signature. The other annotations begin with `dev.sigstore.cosign/`.
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// What a payload says that it is. containers/image's older form, signed by GPG, says something else.
const KIND: &str = "cosign container image signature";

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
        let (written, was_there) =
            tag_list::push(registry, &tag, &self.layer(), &|layer| self.is(layer, key))?;
        Ok((tag, written, was_there))
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
    tag_list::tag(image, "sig")
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
