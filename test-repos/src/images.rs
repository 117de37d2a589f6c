//! Tiny images that real tools accept, the same bytes at every run.
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! use test_repos::images::ImageBuilder;
//!
//! let image = ImageBuilder::new().file("etc/motd", b"hello").cmd(&["/bin/sh"]).build()?;
//! let folder = tempfile::tempdir()?;
//! image.write_layout(folder.path(), "1.4")?; // skopeo inspect oci:FOLDER:1.4
//! # Ok(())
//! # }
//! ```
//!
//! The parts are public fields: an attack changes one and keeps the rest. What is made here is right by
//! itself; nothing here checks what an attack makes of it.

use std::io;
use std::path::Path;

use serde_json::{Value, json};

mod builder;
mod layer;
mod layout;

pub use builder::{ImageBuilder, IndexBuilder};

use crate::digest::sha256_digest;
use crate::registry::Registry;

/// Whose media types a manifest and what it names carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `application/vnd.oci.image.…`
    #[default]
    Oci,
    /// `application/vnd.docker.distribution.manifest.v2+json` and its kin.
    Docker,
}

impl Format {
    /// The media type of an image manifest.
    #[must_use]
    pub fn manifest(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.manifest.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.v2+json",
        }
    }

    /// The media type of an index, which Docker calls a manifest list.
    #[must_use]
    pub fn index(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.index.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.list.v2+json",
        }
    }

    /// The media type of an image config.
    #[must_use]
    pub fn config(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.config.v1+json",
            Self::Docker => "application/vnd.docker.container.image.v1+json",
        }
    }

    /// The media type of a gzipped layer.
    #[must_use]
    pub fn layer(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Docker => "application/vnd.docker.image.rootfs.diff.tar.gzip",
        }
    }
}

/// A manifest, config or layer: bytes and what they are said to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The media type under which others name it.
    pub media_type: String,
    /// What is hashed and sent.
    pub bytes: Vec<u8>,
}

impl Part {
    fn new(media_type: &str, bytes: Vec<u8>) -> Self {
        Self { media_type: media_type.into(), bytes }
    }

    fn json(media_type: &str, content: &Value) -> io::Result<Self> {
        Ok(Self::new(media_type, serde_json::to_vec(content)?))
    }

    /// `sha256:…` of the bytes as they are now.
    #[must_use]
    pub fn digest(&self) -> String {
        sha256_digest(&self.bytes)
    }

    /// The descriptor by which another document names this part.
    #[must_use]
    pub fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest(), "size": self.bytes.len() })
    }
}

/// An image for one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// `os/architecture`, or `os/architecture/variant`.
    pub platform: String,
    /// Names the config and the layers.
    pub manifest: Part,
    /// Environment, command, the layers' uncompressed digests.
    pub config: Part,
    /// Gzipped tar archives, lowest first.
    pub layers: Vec<Part>,
}

impl Image {
    /// A small image that differs from every other name's.
    ///
    /// # Errors
    /// The archive could not be written to memory.
    pub fn named(name: &str) -> io::Result<Self> {
        ImageBuilder::new().file("etc/name", name.as_bytes()).cmd(&["/bin/true"]).build()
    }

    /// The manifest's digest.
    #[must_use]
    pub fn digest(&self) -> String {
        self.manifest.digest()
    }

    /// How an index names this image: with its platform.
    #[must_use]
    pub fn descriptor(&self) -> Value {
        let mut descriptor = self.manifest.descriptor();
        let mut words = self.platform.splitn(3, '/');
        let mut platform = json!({ "os": words.next(), "architecture": words.next() });
        if let (Some(variant), Some(platform)) = (words.next(), platform.as_object_mut()) {
            platform.insert("variant".into(), variant.into());
        }
        if let Some(descriptor) = descriptor.as_object_mut() {
            descriptor.insert("platform".into(), platform);
        }
        descriptor
    }

    /// Puts the image into the OCI layout at `dir` under `tag`, beside what is there.
    ///
    /// skopeo and podman find only OCI's media types in a layout; in Docker's format, push to a registry.
    ///
    /// # Errors
    /// The folder can't be written, or holds no layout that can be read.
    pub fn write_layout(&self, dir: impl AsRef<Path>, tag: &str) -> io::Result<()> {
        self.content().write(dir.as_ref(), tag)
    }

    /// Stores the image in a registry, under `tag` or a digest, and returns the digest.
    pub fn push_to(&self, registry: &Registry, repo: &str, tag: &str) -> String {
        self.content().push(registry, repo, tag)
    }

    fn content(&self) -> Content<'_> {
        let blobs = self.layers.iter().chain([&self.config]).collect();
        Content { blobs, children: Vec::new(), top: &self.manifest }
    }
}

/// An index, and the images it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// The index document.
    pub manifest: Part,
    /// In the order of the document.
    pub images: Vec<Image>,
}

impl Index {
    /// The index document's digest.
    #[must_use]
    pub fn digest(&self) -> String {
        self.manifest.digest()
    }

    /// Puts index and images into the OCI layout at `dir` under `tag`, beside what is there.
    ///
    /// # Errors
    /// The folder can't be written, or holds no layout that can be read.
    pub fn write_layout(&self, dir: impl AsRef<Path>, tag: &str) -> io::Result<()> {
        self.content().write(dir.as_ref(), tag)
    }

    /// Stores index and images in a registry, under `tag` or a digest, and returns the digest.
    pub fn push_to(&self, registry: &Registry, repo: &str, tag: &str) -> String {
        self.content().push(registry, repo, tag)
    }

    fn content(&self) -> Content<'_> {
        let blobs = self.images.iter().flat_map(|image| image.content().blobs).collect();
        let children = self.images.iter().map(|image| &image.manifest).collect();
        Content { blobs, children, top: &self.manifest }
    }
}

/// Everything below one manifest, in the order in which a registry takes it.
struct Content<'a> {
    blobs: Vec<&'a Part>,
    children: Vec<&'a Part>,
    top: &'a Part,
}

impl Content<'_> {
    fn push(&self, registry: &Registry, repo: &str, tag: &str) -> String {
        for blob in &self.blobs {
            registry.put_blob(repo, &blob.bytes);
        }
        for child in &self.children {
            registry.put_manifest(repo, &child.digest(), &child.media_type, &child.bytes);
        }
        registry.put_manifest(repo, tag, &self.top.media_type, &self.top.bytes)
    }
}

#[cfg(test)]
mod tests;
