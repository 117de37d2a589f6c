//! What a name means, as far as bytes at hand can show: a manifest or index that was verified.

use oci_image::{Descriptor, Digest, Manifest, Reference};

use crate::proof::{Link, Proof, Stage, Status};

/// A manifest or index whose chain held, from the root of trust to its bytes. Only a completed verification makes
/// one.
///
/// What it names (the manifests of an index, a configuration, layers) is known by digest and was not looked at, so it
/// is not a [`crate::VerifiedImage`], and no scan takes it. Whoever pulls what [`Self::pinned`] says gets these bytes or
/// an error.
#[derive(Clone, Debug)]
pub struct VerifiedManifest {
    pub(crate) name: Reference,
    pub(crate) top: Descriptor,
    pub(crate) bytes: Vec<u8>,
    pub(crate) proof: Proof,
    pub(crate) role: String,
}

impl VerifiedManifest {
    /// The name that was verified.
    #[must_use]
    pub fn name(&self) -> &Reference {
        &self.name
    }

    /// The digest of the manifest or index.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.top.digest
    }

    /// What to pull so that exactly these bytes come: `registry/repository@sha256:…`.
    #[must_use]
    pub fn pinned(&self) -> String {
        self.name.digest_path(self.top.digest)
    }

    /// The targets role that speaks for it.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.role
    }

    /// The manifest or index: media type, digest, size.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.top
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Every link of the chain.
    #[must_use]
    pub fn proof(&self) -> &Proof {
        &self.proof
    }
}

/// What a manifest names: known by digest, and left to whoever reads it.
pub(crate) fn left_to_readers(manifest: &Manifest) -> Vec<Link> {
    let deferred = |stage: Stage, part: &Descriptor| {
        let detail = format!("{} bytes, hashed when they are read", part.size);
        Link::new(stage, Status::Deferred, part.digest.to_string(), detail)
    };
    match manifest {
        Manifest::Index(index) => index.manifests.iter().map(|part| deferred(Stage::Child, part)).collect(),
        Manifest::Image(image) => {
            let layers = image.layers.iter().map(|part| deferred(Stage::Layer, part));
            std::iter::once(deferred(Stage::Config, &image.config)).chain(layers).collect()
        }
    }
}
