//! A pack about to be written: gathered from a verified image, and from nothing else.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write};

use oci_image::{Descriptor, Digest, Manifest, Selector};
use verifier_lib::VerifiedImage;
use verifier_lib::evidence::Collection;

use crate::archive;
use crate::embedded::Embedded;
use crate::error::PackError;
use crate::index::{
    LAYOUT, LAYOUT_INDEX, LAYOUT_MARKER, Missing, PACK_VERSION, POLICY, PackIndex, Part, blob_path,
    layout_index, metadata_path,
};
use crate::pack::Pack;
use crate::record::Seen;

/// A pack about to be written. Only an image whose chain held has one.
#[derive(Debug)]
pub struct Draft {
    index: PackIndex,
    files: BTreeMap<String, Vec<u8>>,
    /// What is copied as the pack is written.
    layers: BTreeMap<String, Descriptor>,
    all_layers: Vec<Descriptor>,
}

impl Draft {
    /// The manifests and configurations of an image, which was found by `selector`, and the metadata that led to it
    /// ([`crate::Recorder::metadata`]).
    #[must_use]
    pub fn of(image: &VerifiedImage, selector: Selector<'_>, metadata: BTreeMap<String, Vec<u8>>) -> Self {
        let top = image.descriptor();
        let platforms = image.platforms();
        let listed = match Manifest::parse(image.bytes(), Some(&top.media_type)) {
            Ok(Manifest::Index(index)) => index.manifests.len(),
            _ => 1,
        };
        let mut files: BTreeMap<_, _> =
            metadata.into_iter().map(|(name, bytes)| (metadata_path(&name), bytes)).collect();
        files.insert(blob_path(top.digest), image.bytes().to_vec());
        for platform in image.parts() {
            files.insert(blob_path(platform.descriptor().digest), platform.bytes().to_vec());
            files.insert(blob_path(platform.manifest().config.digest), platform.config().to_vec());
        }
        let tag = image.name().tag().map(|tag| tag.as_str().to_owned());
        files.insert(LAYOUT.to_owned(), LAYOUT_MARKER.to_vec());
        files.insert(
            LAYOUT_INDEX.to_owned(),
            layout_index(top.digest, &top.media_type, top.size, tag.as_deref()),
        );
        let asked = match selector {
            Selector::Tag(tag) => Some(tag.to_owned()),
            Selector::Digest(_) => None,
        };
        let tags = tag.into_iter().chain(asked).map(|tag| (tag, Some(top.digest))).collect();
        let named = platforms.iter().filter_map(|one| one.platform()).map(ToString::to_string);
        let index = PackIndex {
            version: PACK_VERSION,
            reference: image.name().to_string(),
            digest: top.digest,
            media_type: top.media_type.clone(),
            platforms: named.collect(),
            complete: listed == image.parts().count(),
            layers: false,
            tags,
            referrers: BTreeMap::new(),
            gaps: Vec::new(),
            parts: Vec::new(),
        };
        let all_layers = image.parts().flat_map(|one| one.manifest().layers.iter().cloned()).collect();
        Self { index, files, layers: BTreeMap::new(), all_layers }
    }

    /// And what others signed about it: what was found, and where it was looked for.
    #[must_use]
    pub fn with_evidence(mut self, seen: Seen, collection: &Collection) -> Self {
        for (digest, bytes) in seen.manifests {
            self.files.insert(blob_path(digest), bytes);
        }
        for found in &collection.pieces {
            if let Ok(bytes) = &found.bytes {
                self.files.insert(blob_path(found.blob.digest), bytes.clone());
            }
        }
        // The image's own tag stays: an answer about evidence never moves it.
        for (tag, digest) in seen.tags {
            self.index.tags.entry(tag).or_insert(digest);
        }
        self.index.referrers = seen.listings;
        let gaps = collection.gaps.iter().map(|gap| Missing { what: gap.what.clone(), why: gap.why.clone() });
        self.index.gaps = gaps.collect();
        self
    }

    /// And the rules that it was verified by, for the record.
    #[must_use]
    pub fn with_policy(mut self, rules: Vec<u8>) -> Self {
        self.files.insert(POLICY.to_owned(), rules);
        self
    }

    /// And the layers, which are copied when the pack is written.
    #[must_use]
    pub fn with_layers(mut self) -> Self {
        self.index.layers = true;
        let layers = self.all_layers.iter().map(|layer| (blob_path(layer.digest), layer.clone()));
        self.layers = layers.filter(|(name, _)| !self.files.contains_key(name)).collect();
        self
    }

    /// The index as it will be in the pack.
    #[must_use]
    pub fn index(&self) -> PackIndex {
        let file = |(name, bytes): (&String, &Vec<u8>)| Part {
            name: name.clone(),
            size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            sha256: Digest::of(bytes).hex(),
        };
        let layer = |(name, layer): (&String, &Descriptor)| Part {
            name: name.clone(),
            size: layer.size,
            sha256: layer.digest.hex(),
        };
        let mut parts: Vec<_> = self.files.iter().map(file).chain(self.layers.iter().map(layer)).collect();
        parts.sort_by(|a, b| a.name.cmp(&b.name));
        PackIndex { parts, ..self.index.clone() }
    }

    /// Writes the pack, the same bytes for the same content. `open` reads a layer.
    ///
    /// # Errors
    /// When there is more than a pack may hold, a layer isn't what the manifest says, or the disk is full.
    pub fn write<W: Write>(
        &self,
        out: &mut W,
        open: &mut dyn FnMut(&Descriptor) -> io::Result<Box<dyn Read>>,
    ) -> io::Result<()> {
        let index = self.index();
        index.check().map_err(io::Error::other)?;
        archive::write(out, &index, &mut |part| match (
            self.files.get(&part.name),
            self.layers.get(&part.name),
        ) {
            (Some(bytes), _) => Ok(Box::new(Cursor::new(bytes.clone()))),
            (None, Some(layer)) => open(layer),
            (None, None) => Err(io::ErrorKind::NotFound.into()),
        })
    }

    /// The same within a report, without layers. `as_of` is the time as of which it was judged.
    #[must_use]
    pub fn embedded(&self, as_of: String) -> Embedded {
        Embedded::of(as_of, self.index(), &self.files)
    }

    /// The same in memory, without layers.
    ///
    /// # Errors
    /// When there is more than a pack may hold.
    pub fn in_memory(&self) -> Result<Pack, PackError> {
        Pack::in_memory("pack in memory", self.index(), self.files.values().cloned().collect())
    }
}
