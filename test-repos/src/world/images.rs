//! What a registry or layout holds, and how it is spoilt on its way to a client.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::Setback;
use crate::images::{Format, Index, Part};
use crate::registry::{Fault, Place, Registry};
use crate::sha256_digest;

/// Where a layout's index keeps a tag.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The stand-in, on disk, for what never ends: sparse, and larger than any limit on a small image.
const ENDLESS: u64 = 1 << 30;
/// The pause before each byte of what drips. Two a second is slow for everyone.
pub(crate) const DRIP: Duration = Duration::from_millis(500);

/// What happens to a manifest or blob on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spoil {
    /// One bit is another.
    Flip,
    /// The last byte is missing.
    Truncate,
    /// There is one byte more.
    Extend,
    /// It isn't there.
    Remove,
    /// Another manifest comes in its place.
    Swap(Vec<u8>),
    /// It never ends.
    Endless,
    /// One byte now and then. Registry only.
    Drip,
    /// The registry says that it has this digest. Registry only.
    Claim(String),
    /// The registry sends the client to another server for it. Registry only.
    Redirect,
}

/// Manifests and blobs by digest, and tags.
#[derive(Clone, Debug, Default)]
pub struct Images {
    /// The digest that each tag names.
    pub tags: BTreeMap<String, String>,
    /// What is spoilt, by digest.
    pub spoilt: BTreeMap<String, Spoil>,
    /// Whether the registry says that it can't answer now. Registry only.
    pub unavailable: bool,
    pub(super) manifests: BTreeMap<String, Part>,
    pub(super) blobs: BTreeMap<String, Part>,
    /// The manifests that lie beside others.
    pub(super) attached: BTreeSet<String>,
}

impl Images {
    /// Holds an index and everything below it from now on.
    pub(super) fn store(&mut self, index: &Index) {
        self.manifests.insert(index.digest(), index.manifest.clone());
        for image in &index.images {
            self.manifests.insert(image.digest(), image.manifest.clone());
            for part in image.layers.iter().chain([&image.config]) {
                self.blobs.insert(part.digest(), part.clone());
            }
        }
    }

    /// A manifest or blob by its digest, unspoilt.
    ///
    /// # Errors
    /// There is none.
    pub fn part(&self, digest: &str) -> Result<&Part, Setback> {
        let part = self.manifests.get(digest).or_else(|| self.blobs.get(digest));
        part.ok_or_else(|| Setback::Absent(format!("manifest or blob {digest:?}")))
    }

    /// Flips a bit, and says which digest is expected and which comes.
    ///
    /// # Errors
    /// There is no such manifest or blob.
    pub fn flip(&mut self, digest: &str) -> Result<Vec<String>, Setback> {
        let mut bytes = self.part(digest)?.bytes.clone();
        Spoil::Flip.apply(&mut bytes);
        self.spoilt.insert(digest.into(), Spoil::Flip);
        Ok(vec![digest.into(), sha256_digest(&bytes)])
    }

    /// Spoils a manifest or blob, and says how long it should be.
    ///
    /// # Errors
    /// There is no such manifest or blob.
    pub fn spoil(&mut self, digest: &str, how: Spoil) -> Result<usize, Setback> {
        let length = self.part(digest)?.bytes.len();
        self.spoilt.insert(digest.into(), how);
        Ok(length)
    }

    /// Moves a tag, and says which digest it named and which it names now.
    ///
    /// # Errors
    /// There is no such manifest.
    pub fn move_tag(&mut self, tag: &str, digest: &str) -> Result<Vec<String>, Setback> {
        self.part(digest)?;
        let before = self.tags.insert(tag.into(), digest.into());
        let before = before.ok_or_else(|| Setback::Absent(format!("tag {tag:?}")))?;
        Ok(vec![before, digest.into()])
    }

    /// Writes the OCI layout `dir` anew (image-spec 1.1, image-layout.md).
    pub(crate) fn write_layout(&self, dir: &Path) -> Result<(), Setback> {
        let folder = dir.join("blobs/sha256");
        if dir.exists() {
            fs::remove_dir_all(dir)?;
        }
        fs::create_dir_all(&folder)?;
        for (digest, part) in self.manifests.iter().chain(&self.blobs) {
            let path = folder.join(digest.trim_start_matches("sha256:"));
            write_spoilt(&path, &part.bytes, self.spoilt.get(digest))?;
        }
        let entries = self.tags.iter().map(|(tag, digest)| {
            let part = self.part(digest)?;
            Ok(json!({ "mediaType": part.media_type, "digest": digest, "size": part.bytes.len(),
                       "annotations": { REF_NAME: tag } }))
        });
        let attached = self.attached.iter().map(|digest| {
            let part = self.part(digest)?;
            Ok(json!({ "mediaType": part.media_type, "digest": digest, "size": part.bytes.len() }))
        });
        let entries: Vec<_> = entries.chain(attached).collect::<Result<_, Setback>>()?;
        let index = json!({ "schemaVersion": 2, "mediaType": Format::Oci.index(), "manifests": entries });
        fs::write(dir.join("oci-layout"), br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        Ok(fs::write(dir.join("index.json"), serde_json::to_vec(&index)?)?)
    }

    /// Makes a registry's repository hold the same. `elsewhere` is where redirects lead.
    pub(crate) fn fill(&self, registry: &Registry, repo: &str, elsewhere: &str) {
        registry.forget(repo);
        for (digest, part) in &self.manifests {
            registry.put_manifest(repo, digest, &part.media_type, &part.bytes);
        }
        for part in self.blobs.values() {
            registry.put_blob(repo, &part.bytes);
        }
        for (tag, digest) in &self.tags {
            registry.tag(repo, tag, digest);
        }
        registry.clear_faults();
        if self.unavailable {
            registry.set_fault(Place::everything(), Fault::Unavailable);
        }
        for (digest, spoil) in &self.spoilt {
            let manifest = self.manifests.contains_key(digest);
            let place = if manifest { Place::manifest(repo, digest) } else { Place::blob(repo, digest) };
            registry.set_fault(place, spoil.fault(elsewhere));
        }
    }
}

impl Spoil {
    fn fault(&self, elsewhere: &str) -> Fault {
        match self {
            Self::Flip => Fault::FlipByte,
            Self::Truncate => Fault::Truncate,
            Self::Extend => Fault::Extend,
            Self::Remove => Fault::Missing,
            Self::Swap(with) => Fault::SwapManifest { with: with.clone() },
            Self::Endless => Fault::Endless,
            Self::Drip => Fault::Drip { every: DRIP },
            Self::Claim(digest) => Fault::LieInDigestHeader { digest: digest.clone() },
            Self::Redirect => Fault::RedirectElsewhere { to: elsewhere.into() },
        }
    }

    /// The bytes as they come, where it is a matter of bytes. Agrees with [`Fault`].
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Flip => {
                let middle = bytes.len() >> 1;
                if let Some(byte) = bytes.get_mut(middle) {
                    *byte ^= 1;
                }
            }
            Self::Truncate => bytes.truncate(bytes.len().saturating_sub(1)),
            Self::Extend => bytes.push(b' '),
            Self::Swap(with) => with.clone_into(bytes),
            Self::Remove | Self::Endless | Self::Drip | Self::Claim(_) | Self::Redirect => {}
        }
    }
}

fn write_spoilt(path: &Path, bytes: &[u8], spoil: Option<&Spoil>) -> io::Result<()> {
    match spoil {
        Some(Spoil::Remove) => Ok(()),
        Some(Spoil::Endless) => write_endless(path, bytes),
        Some(spoil) => {
            let mut bytes = bytes.to_vec();
            spoil.apply(&mut bytes);
            fs::write(path, bytes)
        }
        None => fs::write(path, bytes),
    }
}

/// The bytes, and then a hole.
pub(crate) fn write_endless(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::write(path, bytes)?;
    File::options().write(true).open(path)?.set_len(ENDLESS)
}
