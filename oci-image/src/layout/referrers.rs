//! What refers to a manifest in a layout: found by looking into what the index lists.

use super::LayoutSource;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::Manifest;
use crate::source::{ImageSource as _, Selector, SourceError};

/// The most manifests that are looked into: as many as a registry may list.
const LOOKED_INTO: usize = 1000;

impl LayoutSource {
    /// The manifests that have this one as their subject: those that the index lists, and those of the list that
    /// clients keep under the tag `sha256-HEX`.
    ///
    /// # Errors
    /// When there are more than 1000 to look into, or one can't be read.
    pub fn referrers(&self, subject: Digest) -> Result<Vec<Descriptor>, SourceError> {
        let tag = subject.to_string().replace(':', "-");
        let mut candidates = self.index.manifests.clone();
        if let Some(list) = candidates.iter().find(|entry| entry.ref_name() == Some(&tag)) {
            let bytes = self.manifest(Selector::Digest(list.digest))?.bytes;
            if let Ok(Manifest::Index(list)) = Manifest::parse(&bytes, None) {
                candidates.extend(list.manifests);
            }
        }
        if candidates.len() > LOOKED_INTO {
            let why =
                format!("expected at most {LOOKED_INTO} manifests to look into, got {}", candidates.len());
            return Err(SourceError::Malformed { at: self.describe(), why });
        }
        let mut found: Vec<Descriptor> = Vec::new();
        for entry in candidates {
            if found.iter().any(|other| other.digest == entry.digest) {
                continue;
            }
            // What isn't there, or is no manifest, refers to nothing.
            let Ok(fetched) = self.manifest(Selector::Digest(entry.digest)) else { continue };
            let manifest = Manifest::parse(&fetched.bytes, None);
            if manifest.is_ok_and(|manifest| manifest.subject().is_some_and(|to| to.digest == subject)) {
                found.push(entry);
            }
        }
        Ok(found)
    }
}
