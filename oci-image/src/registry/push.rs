//! Writing to a repository: blobs, manifests and tags (distribution specification 1.1, "Push").
//!
//! A blob is named by our own digest, and a registry that answers with another one is not believed. What
//! was begun is not repeated, unless a busy registry turned it away: an upload that broke off is begun anew by
//! whoever calls.

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION};
use url::Url;

use super::Registry;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::http::{self, Action, Call, Deadline, Streaming};
use crate::manifest::MANIFEST_MAX;
use crate::media;
use crate::reference::Tag;
use crate::source::{Selector, SourceError};

/// What a registry says that the digest is.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// By which a registry says that it will list a manifest among its subject's referrers.
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

impl Registry {
    /// Writes a blob, if it isn't there, and returns its digest.
    ///
    /// # Errors
    /// When the registry gives no usable answer, refuses, or says another digest than ours.
    pub fn push_blob(&self, bytes: &[u8]) -> Result<Digest, SourceError> {
        let (digest, deadline) = (Digest::of(bytes), self.whole());
        if self.is_there(&format!("blobs/{digest}"), &format!("blob {digest}"), deadline)? {
            return Ok(digest);
        }
        let what = "place for uploads";
        let start = self.address("blobs/uploads/", deadline)?;
        let begun = self.request(&start, HeaderMap::new(), Action::Begin, deadline)?;
        let begun = self.expect(begun, what, 202)?;
        let mut upload = self.upload_address(&begun)?;
        upload.query_pairs_mut().append_pair("digest", &digest.to_string());
        let octets = HeaderValue::from_static("application/octet-stream");
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, octets)]);
        let action = Action::Finish(bytes);
        let ended = if upload.origin() == start.origin() {
            self.request(&upload, headers, action, deadline)?
        } else {
            // Storage of others has no business with our login.
            self.fetcher.open(&Call { url: &upload, headers, action, deadline })?
        };
        let ended = self.expect(ended, what, 201)?;
        self.expect_honest(ended.header(&CONTENT_DIGEST), bytes)?;
        Ok(digest)
    }

    /// Writes a manifest under a tag, or under its digest alone. All that it names must be there.
    ///
    /// # Errors
    /// When the bytes are more than a manifest may have, when the digest or tag can't be theirs, or when
    /// the registry gives no usable answer, refuses, or says another digest than ours.
    pub fn push_manifest(
        &self,
        which: Selector<'_>,
        bytes: &[u8],
        media_type: &str,
    ) -> Result<Descriptor, SourceError> {
        self.put_manifest(which, bytes, media_type).map(|(descriptor, _)| descriptor)
    }

    /// Whether there is such a tag.
    ///
    /// # Errors
    /// When the registry gives no usable answer.
    pub fn tag_exists(&self, tag: &Tag) -> Result<bool, SourceError> {
        self.is_there(&format!("manifests/{tag}"), &format!("tag {tag}"), self.whole())
    }

    /// As [`Self::push_manifest`]; and whether the registry lists it among its subject's referrers.
    pub(super) fn put_manifest(
        &self,
        which: Selector<'_>,
        bytes: &[u8],
        media_type: &str,
    ) -> Result<(Descriptor, bool), SourceError> {
        let descriptor = Descriptor::of(media_type, bytes);
        match which {
            Selector::Digest(digest) if digest != descriptor.digest => {
                let got = descriptor.digest;
                return Err(self.malformed(format!("expected a manifest with digest {digest}, got {got}")));
            }
            Selector::Tag(tag) if tag.parse::<Tag>().is_err() => {
                return Err(self.malformed(format!("expected a tag, got {:?}", http::printable(tag))));
            }
            _ => {}
        }
        let answer = self.put(which, &descriptor, HeaderMap::new(), Action::Put(bytes))?;
        self.expect_written(answer, bytes).map(|answer| (descriptor, answer.header(&OCI_SUBJECT).is_some()))
    }

    /// Sends a manifest.
    pub(super) fn put(
        &self,
        which: Selector<'_>,
        manifest: &Descriptor,
        mut headers: HeaderMap,
        action: Action<'_>,
    ) -> Result<Streaming, SourceError> {
        if manifest.size > MANIFEST_MAX {
            let (at, limit) = (format!("a manifest for {}", self.name), MANIFEST_MAX);
            return Err(SourceError::TooLarge { at, limit, got: Some(manifest.size) });
        }
        let content_type = HeaderValue::from_str(&manifest.media_type)
            .map_err(|_| self.malformed("expected a media type that can be a header".into()))?;
        headers.insert(CONTENT_TYPE, content_type);
        let deadline = self.whole();
        let url = self.address(&format!("manifests/{which}"), deadline)?;
        self.request(&url, headers, action, deadline)
    }

    /// Whether a manifest was taken, and for what it is.
    pub(super) fn expect_written(&self, answer: Streaming, bytes: &[u8]) -> Result<Streaming, SourceError> {
        let answer = self.expect(answer, "place for manifests", 201)?;
        self.expect_honest(answer.header(&CONTENT_DIGEST), bytes)?;
        Ok(answer)
    }

    fn is_there(&self, rest: &str, what: &str, deadline: Deadline) -> Result<bool, SourceError> {
        let url = self.address(rest, deadline)?;
        let accept = HeaderValue::from_str(&media::MANIFESTS.join(", "));
        let headers = accept.into_iter().map(|value| (ACCEPT, value)).collect();
        let answer = self.request(&url, headers, Action::Head, deadline)?;
        match self.expect(answer, what, 200) {
            Ok(_) => Ok(true),
            Err(SourceError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Where the bytes go, weighed as a redirect is.
    fn upload_address(&self, begun: &Streaming) -> Result<Url, SourceError> {
        let location = begun.header(&LOCATION);
        let location =
            location.ok_or_else(|| self.malformed("expected a Location for the upload, got none".into()))?;
        http::follow_address(&begun.url, &location, self.fetcher.options().allow_http)
    }
}
