//! Where manifests and blobs come from: a registry, or a layout.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use oci_image::{
    Descriptor, FetchedManifest, ImageName, ImageSource, LayoutSource, Manifest, Registry, RegistryOptions,
    Selector, SourceError,
};

/// A registry's repository, or a folder.
#[derive(Debug)]
pub(in crate::transport) enum Place {
    Registry(Box<Registry>),
    /// The layout is opened for each question: its index is what moves when something is published.
    Layout(PathBuf),
    /// A name that can be no address. Whoever asks is told.
    Nowhere {
        name: ImageName,
        why: String,
    },
}

impl Place {
    pub(in crate::transport) fn registry(name: &ImageName, options: RegistryOptions) -> Self {
        match Registry::new(name, options) {
            Ok(registry) => Self::Registry(Box::new(registry)),
            Err(error) => Self::Nowhere { name: name.clone(), why: error.to_string() },
        }
    }

    /// A place for a name that can be no address.
    pub(in crate::transport) fn nowhere_for(name: &ImageName, why: &dyn std::fmt::Display) -> Self {
        Self::Nowhere { name: name.clone(), why: why.to_string() }
    }

    /// The layers of the manifest that this tag names.
    pub(super) fn layers(&self, tag: &str, time: Duration) -> Result<Vec<Descriptor>, SourceError> {
        let tag = Selector::Tag(tag);
        let FetchedManifest { bytes, media_type } = match self {
            Self::Registry(registry) => registry.manifest_within(tag, time)?,
            Self::Layout(dir) => open(dir)?.manifest(tag)?,
            Self::Nowhere { .. } => return Err(self.nowhere()),
        };
        let malformed = |why| SourceError::Malformed { at: self.describe(), why };
        match Manifest::parse(&bytes, media_type.as_deref()) {
            Ok(Manifest::Image(image)) => Ok(image.layers),
            Ok(Manifest::Index(_)) => {
                Err(malformed(format!("expected a manifest under {tag}, got an index")))
            }
            Err(error) => Err(malformed(format!("the manifest under {tag}: {error}"))),
        }
    }

    pub(super) fn blob(
        &self,
        want: &Descriptor,
        time: Duration,
    ) -> Result<Box<dyn Read + Send>, SourceError> {
        match self {
            Self::Registry(registry) => registry.blob_within(want, time),
            Self::Layout(dir) => open(dir)?.blob(want),
            Self::Nowhere { .. } => Err(self.nowhere()),
        }
    }

    pub(super) fn describe(&self) -> String {
        match self {
            Self::Registry(registry) => registry.describe(),
            Self::Layout(dir) => format!("OCI layout {}", dir.display()),
            Self::Nowhere { name, .. } => format!("registry {name}"),
        }
    }

    fn nowhere(&self) -> SourceError {
        let why = if let Self::Nowhere { why, .. } = self { why.clone() } else { String::new() };
        SourceError::Malformed { at: self.describe(), why }
    }
}

/// A folder that isn't there, or is no layout, is not the same as one in which a file is missing.
fn open(dir: &Path) -> Result<LayoutSource, SourceError> {
    LayoutSource::open(dir).map_err(|error| match error {
        SourceError::NotFound { at, what, .. } => {
            SourceError::Unreachable { at, why: format!("there is no {what}") }
        }
        other => other,
    })
}
