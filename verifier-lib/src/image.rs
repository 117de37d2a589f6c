//! An image that was verified, and what may be done with it.

use std::io::{self, Read};

use oci_image::{
    BlobError, Descriptor, Digest, ImageManifest, ImageSource, LayoutError, LayoutWriter, Platform,
    Reference, SourceError, VerifyingReader,
};
use thiserror::Error;

use crate::proof::{Link, Proof, Stage, Status};
use crate::{Broken, Progress, Verdict};

/// An image whose chain held, from the root of trust to its bytes. Only a completed verification makes one.
#[derive(Debug)]
pub struct VerifiedImage {
    pub(crate) name: Reference,
    pub(crate) top: Descriptor,
    pub(crate) top_bytes: Vec<u8>,
    pub(crate) platforms: Vec<VerifiedPlatform>,
    pub(crate) attestations: Vec<VerifiedPlatform>,
    pub(crate) proof: Proof,
    pub(crate) role: String,
    pub(crate) delegation_path: Vec<String>,
    pub(crate) evidence: Vec<String>,
}

/// The image of one platform: its manifest and configuration were hashed.
#[derive(Clone, Debug)]
pub struct VerifiedPlatform {
    pub(crate) platform: Option<Platform>,
    pub(crate) descriptor: Descriptor,
    pub(crate) manifest: ImageManifest,
    pub(crate) manifest_bytes: Vec<u8>,
    pub(crate) config_bytes: Vec<u8>,
}

impl VerifiedPlatform {
    /// The platform that the index names; `None` where the image has no index.
    #[must_use]
    pub fn platform(&self) -> Option<&Platform> {
        self.platform.as_ref()
    }

    /// The descriptor of the manifest.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &ImageManifest {
        &self.manifest
    }

    /// The bytes of the manifest.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.manifest_bytes
    }

    /// The bytes of the configuration.
    #[must_use]
    pub fn config(&self) -> &[u8] {
        &self.config_bytes
    }
}

impl VerifiedImage {
    /// The name that was verified.
    #[must_use]
    pub fn name(&self) -> &Reference {
        &self.name
    }

    /// The digest of the manifest or index that the name stands for.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.top.digest
    }

    /// What to pull so that exactly the verified bytes come: `registry/repository@sha256:…`.
    #[must_use]
    pub fn pinned(&self) -> String {
        self.name.digest_path(self.top.digest)
    }

    /// The targets role that speaks for it.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.role
    }

    /// The delegated roles on the way from the top-level targets, the one that speaks for it last; none where the
    /// top-level targets do. Each of them could have delegated to a role of any name.
    #[must_use]
    pub fn delegation_path(&self) -> &[String] {
        &self.delegation_path
    }

    /// The manifest or index that the name stands for.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.top
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.top_bytes
    }

    /// The digests of evidence that its publisher names for it.
    #[must_use]
    pub fn named_evidence(&self) -> &[String] {
        &self.evidence
    }

    /// The images of the platforms that were asked for.
    #[must_use]
    pub fn platforms(&self) -> &[VerifiedPlatform] {
        &self.platforms
    }

    /// What the index lists beside images: manifests of attestations, as BuildKit writes them. They are hashed where all
    /// platforms were asked for, and run nowhere.
    #[must_use]
    pub fn attestations(&self) -> &[VerifiedPlatform] {
        &self.attestations
    }

    /// All manifests below the index that were verified: of images, and of attestations.
    pub fn parts(&self) -> impl Iterator<Item = &VerifiedPlatform> {
        self.platforms.iter().chain(&self.attestations)
    }

    /// Every link of the chain.
    #[must_use]
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// Opens a layer for a later stage, such as a scan. Reading fails before its end where the bytes are
    /// not those of the verified manifest, so whoever reads to the end has read what was signed.
    ///
    /// # Errors
    /// When the source has no usable answer.
    pub fn layer(
        &self,
        source: &dyn ImageSource,
        layer: &Descriptor,
    ) -> Result<VerifyingReader<Box<dyn Read + Send>>, SourceError> {
        Ok(VerifyingReader::for_blob(source.blob(layer)?, layer))
    }

    /// Writes the image into a layout, hashing every layer on the way, and names it `tag` there. Unless
    /// all of it is good, nothing is written.
    ///
    /// An index of several platforms is written whole only when all of them were verified; of a single
    /// one its own manifest is what the tag will name.
    ///
    /// # Errors
    /// Names the layer whose bytes are not those that were signed, or what could not be read or written.
    pub fn write(
        &self,
        source: &dyn ImageSource,
        mut writer: LayoutWriter,
        tag: Option<&str>,
        progress: Progress<'_>,
    ) -> Result<Descriptor, PullError> {
        for platform in self.parts() {
            for layer in &platform.manifest.layers {
                self.write_layer(source, &mut writer, layer, progress)?;
            }
            let config = &platform.manifest.config;
            writer
                .put_blob(config, platform.config_bytes.as_slice(), &mut |_| ())
                .map_err(PullError::Write)?;
            writer.put_manifest(&platform.descriptor, &platform.manifest_bytes).map_err(PullError::Write)?;
        }
        let named = self.named();
        if named.digest == self.top.digest {
            writer.put_manifest(&self.top, &self.top_bytes).map_err(PullError::Write)?;
        }
        writer.commit(tag, named.clone()).map_err(PullError::Write)?;
        Ok(named)
    }

    /// Hashes what the attestations hold, which no scan reads.
    ///
    /// # Errors
    /// The link that doesn't hold.
    pub fn hash_attestations(&self, source: &dyn ImageSource) -> Result<(), Box<Link>> {
        for blob in self.attestations.iter().flat_map(|one| &one.manifest.layers) {
            let opened = self.layer(source, blob).map_err(BlobError::Source);
            let read =
                opened.and_then(|mut bytes| io::copy(&mut bytes, &mut io::sink()).map_err(BlobError::from));
            read.map_err(|error| Box::new(crate::verify::blob_link(Stage::Layer, blob, &error)))?;
        }
        Ok(())
    }

    /// The same image after [`VerifiedImage::write`], or a scan and [`VerifiedImage::hash_attestations`], came to its end:
    /// every layer has been hashed.
    #[must_use]
    pub fn layers_hashed(mut self) -> Self {
        for link in self.proof.links.iter_mut().filter(|link| link.status == Status::Deferred) {
            link.status = Status::Passed;
            link.detail = link.detail.replace("hashed when they are read", "hashed as they were read");
        }
        self
    }

    /// The verdict after one more link, of a stage that comes after the chain.
    #[must_use]
    pub fn then(mut self: Box<Self>, link: Link) -> Verdict {
        match link.status {
            Status::Passed | Status::Deferred => {
                self.proof.push(link);
                Verdict::Trusted(self)
            }
            Status::Broken => Verdict::Refused(Box::new(Broken::new(link, self.proof))),
            Status::Unknown => Verdict::Unknown(Box::new(Broken::new(link, self.proof))),
        }
    }

    /// What a written tag names: the index where all that it lists was verified, else the one image.
    fn named(&self) -> Descriptor {
        match self.platforms.as_slice() {
            [only] if !self.whole() => only.descriptor.clone(),
            _ => self.top.clone(),
        }
    }

    fn whole(&self) -> bool {
        let listed = match oci_image::Manifest::parse(&self.top_bytes, None) {
            Ok(oci_image::Manifest::Index(index)) => index.manifests.len(),
            _ => 1,
        };
        listed == self.parts().count()
    }

    fn write_layer(
        &self,
        source: &dyn ImageSource,
        writer: &mut LayoutWriter,
        layer: &Descriptor,
        progress: Progress<'_>,
    ) -> Result<(), PullError> {
        let reader = Unopened { source, blob: layer, opened: None };
        match writer.put_blob(layer, reader, &mut |done| progress((layer, done))) {
            Ok(_) => Ok(()),
            Err(LayoutError::Blob { error, .. }) if !matches!(error, BlobError::Write(_)) => {
                Err(self.broken(layer, &error))
            }
            Err(error) => Err(PullError::Write(error)),
        }
    }

    fn broken(&self, layer: &Descriptor, error: &BlobError) -> PullError {
        let link = crate::verify::blob_link(Stage::Layer, layer, error);
        PullError::Source(Box::new(Broken::new(link, self.proof.clone())))
    }
}

/// A blob that is asked for when its first byte is: a layout that has it needs no second copy.
struct Unopened<'s> {
    source: &'s dyn ImageSource,
    blob: &'s Descriptor,
    opened: Option<Box<dyn Read + Send>>,
}

impl Read for Unopened<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.opened {
            Some(reader) => reader.read(buffer),
            None => {
                let reader = self.source.blob(self.blob).map_err(io::Error::other)?;
                self.opened.insert(reader).read(buffer)
            }
        }
    }
}

/// Why a verified image was not written.
#[derive(Debug, Error)]
pub enum PullError {
    /// A blob is not what was signed, or could not be had: see the link's status.
    #[error("{0}")]
    Source(Box<Broken>),
    /// The layout could not be written.
    #[error("could not write the layout: {0}")]
    Write(LayoutError),
}

impl PullError {
    /// The broken link, where the source is at fault.
    #[must_use]
    pub fn broken(&self) -> Option<&Link> {
        match self {
            Self::Source(broken) => Some(&broken.link),
            Self::Write(_) => None,
        }
    }
}
