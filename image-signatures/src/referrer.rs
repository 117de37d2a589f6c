//! A manifest that refers to an image and holds one blob (OCI image 1.1, "Guidelines for Artifact Usage").

use std::collections::BTreeMap;

use oci_image::{Descriptor, Digest, ReferrersPlace, Registry, SourceError, media};
use serde_json::json;

/// The empty config of an artifact.
const EMPTY: &[u8] = b"{}";

/// One blob that refers to an image.
#[derive(Clone, Debug)]
pub(crate) struct Referrer {
    pub(crate) artifact_type: &'static str,
    pub(crate) layer_type: &'static str,
    pub(crate) blob: Vec<u8>,
    pub(crate) annotations: BTreeMap<String, String>,
}

impl Referrer {
    /// The manifest's bytes.
    pub(crate) fn manifest(&self, subject: &Descriptor) -> Vec<u8> {
        let layer = Descriptor::of(self.layer_type, &self.blob);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media::OCI_MANIFEST,
            "artifactType": self.artifact_type,
            "config": { "mediaType": media::OCI_EMPTY, "digest": Digest::of(EMPTY), "size": EMPTY.len() },
            "layers": [{ "mediaType": layer.media_type, "digest": layer.digest, "size": layer.size }],
            "subject": { "mediaType": subject.media_type, "digest": subject.digest, "size": subject.size },
            "annotations": self.annotations,
        });
        manifest.to_string().into_bytes()
    }

    /// Writes the blob and the manifest, and sees to it that it is listed.
    pub(crate) fn push(
        &self,
        registry: &Registry,
        subject: &Descriptor,
    ) -> Result<(Descriptor, ReferrersPlace), SourceError> {
        registry.push_blob(EMPTY)?;
        registry.push_blob(&self.blob)?;
        registry.push_referrer(&self.manifest(subject), media::OCI_MANIFEST)
    }
}
