//! A manifest that refers to an image and holds one blob (OCI image 1.1, "Guidelines for Artifact Usage").

use std::collections::BTreeMap;
use std::io::Read as _;
use std::ops::RangeInclusive;

use oci_image::{
    Descriptor, Digest, ImageSource as _, ReferrersPlace, Registry, Selector, SourceError, media,
};
use serde::Deserialize;
use serde_json::json;

/// The empty config of an artifact.
const EMPTY: &[u8] = b"{}";

/// Into how many of an image's signatures is looked for our own. Beyond that one more is written: images have
/// a handful, unless somebody wants to keep us busy.
const LOOKED_INTO: usize = 50;

/// The largest signature that is looked into: a bundle, or ten certificates, have some 30 KiB.
const BLOB_MAX: u64 = 256 * 1024;

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

    /// The manifest of a blob of this kind that `is_ours`, among what refers to the image. What others wrote
    /// and can't be read is passed over; only of the newest few is it asked what they are.
    pub(crate) fn find(
        &self,
        registry: &Registry,
        subject: &Descriptor,
        is_ours: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Option<(Digest, ReferrersPlace)>, SourceError> {
        self.find_of(registry, subject, 0..=BLOB_MAX, is_ours)
    }

    /// As [`Self::find`], of a blob of so many bytes.
    pub(crate) fn find_of(
        &self,
        registry: &Registry,
        subject: &Descriptor,
        sizes: RangeInclusive<u64>,
        is_ours: &dyn Fn(&[u8]) -> bool,
    ) -> Result<Option<(Digest, ReferrersPlace)>, SourceError> {
        let listed = registry.referrers(subject.digest, Some(self.artifact_type))?;
        // Under the tag many writers leave the type out, or write that of the config.
        let may_be = |kind: Option<&str>| {
            kind.is_none_or(|kind| kind == self.artifact_type || kind == media::OCI_EMPTY)
        };
        let candidates = listed.manifests.iter().rev().filter(|entry| may_be(entry.artifact_type.as_deref()));
        for entry in candidates.take(LOOKED_INTO) {
            match self.blob_of(registry, entry.digest, subject, &sizes) {
                Ok(Some(blob)) if is_ours(&blob) => return Ok(Some((entry.digest, listed.place))),
                Err(error) if error.unreachable() => return Err(error),
                _ => {}
            }
        }
        Ok(None)
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

    /// The one blob of a manifest that refers to the image, where it is of our kind in all that readers look at.
    fn blob_of(
        &self,
        registry: &Registry,
        manifest: Digest,
        subject: &Descriptor,
        sizes: &RangeInclusive<u64>,
    ) -> Result<Option<Vec<u8>>, SourceError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Document {
            artifact_type: Option<String>,
            config: Option<Descriptor>,
            subject: Option<Descriptor>,
            #[serde(default)]
            layers: Vec<Descriptor>,
        }
        let bytes = registry.manifest(Selector::Digest(manifest))?.bytes;
        let Ok(document) = serde_json::from_slice::<Document>(&bytes) else { return Ok(None) };
        let [layer] = document.layers.as_slice() else { return Ok(None) };
        let refers = document.subject.is_some_and(|to| to.digest == subject.digest);
        // Before version 1.1 of the format the config told the type.
        let kind = document.artifact_type.or(document.config.map(|config| config.media_type));
        let is_ours = kind.as_deref() == Some(self.artifact_type) && layer.media_type == self.layer_type;
        if !refers || !is_ours || !sizes.contains(&layer.size) {
            return Ok(None);
        }
        let mut blob = Vec::new();
        let read = registry.blob(layer)?.take(layer.size).read_to_end(&mut blob);
        read.map_err(|error| SourceError::from_read(error, "a signature"))?;
        Ok(Some(blob))
    }
}
