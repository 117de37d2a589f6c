//! The image in a pack, and the evidence about it, as a registry would have them.
//!
//! What a pack doesn't hold is *not seen*, never *not there*: whoever made it chose what to put in. Only tags and
//! lists that it says were asked for, and were empty, are empty; and no absence makes an image trusted.

use std::io::Read;

use oci_image::{Descriptor, Digest, FetchedManifest, ImageSource, MANIFEST_MAX, Selector, SourceError};
use verifier_lib::evidence::{EvidenceSource, Place};

use crate::index::{Listing, blob_path};
use crate::pack::Pack;
use crate::transport::unreadable;

/// Reads manifests, blobs and lists from a pack. It decides nothing.
#[derive(Debug)]
pub struct PackSource {
    pack: Pack,
}

impl PackSource {
    pub(crate) fn of(pack: Pack) -> Self {
        Self { pack }
    }

    fn not_seen(&self, what: &str) -> SourceError {
        SourceError::Unreachable { at: self.describe(), why: format!("{what} is not in it") }
    }
}

impl ImageSource for PackSource {
    fn manifest(&self, which: Selector<'_>) -> Result<FetchedManifest, SourceError> {
        let digest = match which {
            Selector::Digest(digest) => digest,
            Selector::Tag(tag) => match self.pack.index().tags.get(tag) {
                Some(Some(digest)) => *digest,
                Some(None) => {
                    let (at, what) = (self.describe(), format!("tag {tag}"));
                    return Err(SourceError::NotFound { at, what, message: String::new() });
                }
                None => return Err(self.not_seen(&format!("tag {tag}"))),
            },
        };
        let bytes = self.pack.bytes(&blob_path(digest), MANIFEST_MAX);
        let bytes = bytes.map_err(|error| unreadable(&error, self.describe()))?;
        let bytes = bytes.ok_or_else(|| self.not_seen(&format!("manifest {digest}")))?;
        let index = self.pack.index();
        let media_type = (digest == index.digest).then(|| index.media_type.clone());
        Ok(FetchedManifest { bytes, media_type })
    }

    fn blob(&self, want: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        let (_, reader) = self
            .pack
            .part(&blob_path(want.digest))
            .ok_or_else(|| self.not_seen(&format!("blob {}", want.digest)))?;
        Ok(Box::new(reader.take(want.size.saturating_add(1))))
    }

    fn describe(&self) -> String {
        self.pack.describe().to_owned()
    }
}

impl EvidenceSource for PackSource {
    fn refers_to(&self, subject: Digest) -> Result<(Vec<Descriptor>, Place), SourceError> {
        let listing = self.pack.index().referrers.get(&subject.to_string());
        let Listing { place, manifests } =
            listing.ok_or_else(|| self.not_seen(&format!("what refers to {subject}")))?;
        let place = match place.as_str() {
            "referrers" => Place::Referrers,
            _ => Place::ReferrersTag,
        };
        let descriptor = |listed: &crate::index::Listed| Descriptor {
            digest: listed.digest,
            size: listed.size,
            ..Descriptor::of(&listed.media_type, &[])
        };
        Ok((manifests.iter().map(descriptor).collect(), place))
    }
}
