//! Manifests and blobs that are at hand: no socket, no disk.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Cursor, Read};
use std::sync::Arc;

use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::MANIFEST_MAX;
use crate::source::{FetchedManifest, ImageSource, Selector, SourceError};

/// Bytes that the caller holds, found by their digests. It knows no tags: who has bytes at hand knows which are
/// meant. What it wasn't given is *not to be told*, since that says nothing of any registry.
#[derive(Clone, Default)]
pub struct MemorySource {
    parts: BTreeMap<Digest, (Arc<[u8]>, Option<String>)>,
}

impl fmt::Debug for MemorySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.parts.keys()).finish()
    }
}

impl MemorySource {
    /// With a manifest or index besides, and what somebody called it, if anybody did.
    #[must_use]
    pub fn with_manifest(mut self, bytes: &[u8], media_type: Option<&str>) -> Self {
        self.parts.insert(Digest::of(bytes), (bytes.into(), media_type.map(str::to_owned)));
        self
    }

    /// With a configuration or layer besides.
    #[must_use]
    pub fn with_blob(mut self, bytes: &[u8]) -> Self {
        self.parts.entry(Digest::of(bytes)).or_insert_with(|| (bytes.into(), None));
        self
    }

    fn absent(&self, what: impl fmt::Display) -> SourceError {
        SourceError::Unreachable { at: self.describe(), why: format!("{what} is not among the bytes given") }
    }
}

impl ImageSource for MemorySource {
    fn manifest(&self, which: Selector<'_>) -> Result<FetchedManifest, SourceError> {
        let Selector::Digest(digest) = which else { return Err(self.absent(format!("tag {which}"))) };
        let (bytes, media_type) = self.parts.get(&digest).ok_or_else(|| self.absent(digest))?;
        let got = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if got > MANIFEST_MAX {
            return Err(SourceError::TooLarge { at: self.describe(), limit: MANIFEST_MAX, got: Some(got) });
        }
        Ok(FetchedManifest { bytes: bytes.to_vec(), media_type: media_type.clone() })
    }

    fn blob(&self, want: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        let (bytes, _) = self.parts.get(&want.digest).ok_or_else(|| self.absent(want.digest))?;
        Ok(Box::new(Cursor::new(Arc::clone(bytes))))
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media;

    #[test]
    fn what_was_given_is_found_by_its_digest() {
        let source = MemorySource::default().with_manifest(b"{}", Some("a/b")).with_blob(b"layer");
        let found = source.manifest(Selector::Digest(Digest::of(b"{}"))).unwrap();
        assert_eq!((found.bytes.as_slice(), found.media_type.as_deref()), (&b"{}"[..], Some("a/b")));
        let mut read = String::new();
        source
            .blob(&Descriptor::of(media::OCI_MANIFEST, b"layer"))
            .unwrap()
            .read_to_string(&mut read)
            .unwrap();
        assert_eq!(read, "layer");
    }

    #[test]
    fn what_was_not_given_is_not_to_be_told() {
        let source = MemorySource::default().with_manifest(b"{}", None);
        for error in [
            source.manifest(Selector::Tag("1.4")).unwrap_err(),
            source.manifest(Selector::Digest(Digest::of(b"other"))).unwrap_err(),
            source.blob(&Descriptor::of(media::OCI_MANIFEST, b"other")).err().unwrap(),
        ] {
            assert!(error.unreachable(), "{error}");
        }
        let large = vec![b' '; usize::try_from(MANIFEST_MAX).unwrap() + 1];
        let error = MemorySource::default().with_manifest(&large, None);
        let error = error.manifest(Selector::Digest(Digest::of(&large))).unwrap_err();
        assert!(matches!(error, SourceError::TooLarge { .. }), "{error}");
    }
}
