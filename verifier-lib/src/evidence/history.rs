//! What an image says about its own layers: told by whoever made it, and by nobody else.

use std::io::Read as _;

use oci_image::{BlobError, Digest, MANIFEST_MAX, Manifest, Selector, SourceError, VerifyingReader};
use serde::Deserialize;

use super::{EvidenceSource, Subjects};

/// One step of an image's history (OCI image specification 1.1, "OCI Image Configuration").
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
pub struct Step {
    /// When.
    #[serde(default)]
    pub created: Option<String>,
    /// By what: a line of a build file, mostly.
    #[serde(default)]
    pub created_by: String,
    /// Whether it made no layer.
    #[serde(default)]
    pub empty_layer: bool,
}

#[derive(Deserialize)]
struct Config {
    #[serde(default)]
    history: Option<Vec<Step>>,
}

/// The history of the first part that was chosen, or of the image.
///
/// # Errors
/// When its manifest or configuration can't be had, or is none.
pub fn history(source: &dyn EvidenceSource, subjects: &Subjects) -> Result<Vec<Step>, SourceError> {
    let image = subjects.parts().first().unwrap_or(subjects.top());
    let malformed = |why: String| SourceError::Malformed { at: format!("image {}", image.digest), why };
    let bytes = source.manifest(Selector::Digest(image.digest))?.bytes;
    let got = Digest::of(&bytes);
    if got != image.digest {
        let (at, claimed) = (source.describe(), image.digest.to_string());
        return Err(SourceError::FalseDigest { at, claimed, got });
    }
    let manifest =
        Manifest::parse(&bytes, Some(&image.media_type)).map_err(|why| malformed(why.to_string()))?;
    let Manifest::Image(manifest) = manifest else {
        return Err(malformed("expected the image of one platform, got an index".into()));
    };
    let config = &manifest.config;
    if config.size > MANIFEST_MAX {
        let (at, got) = (format!("image {}", image.digest), Some(config.size));
        return Err(SourceError::TooLarge { at, limit: MANIFEST_MAX, got });
    }
    let mut bytes = Vec::new();
    let read = VerifyingReader::for_blob(source.blob(config)?, config).read_to_end(&mut bytes);
    read.map_err(|why| malformed(BlobError::from(why).to_string()))?;
    let config: Config = serde_json::from_slice(&bytes).map_err(|why| malformed(why.to_string()))?;
    Ok(config.history.unwrap_or_default())
}
