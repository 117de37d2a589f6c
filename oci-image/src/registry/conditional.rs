//! A tag that moves only if it stands where it was seen, at a registry that can do so (RFC 9110, section 13.1).
//!
//! The distribution specification 1.1 asks no registry for this, and most take the condition and ignore it.
//! Whoever relies on it tries it first.

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};

use super::Registry;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::http::{self, Action};
use crate::manifest::MANIFEST_MAX;
use crate::reference::Tag;
use crate::source::SourceError;

/// What must stand under a tag for it to be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expected {
    /// Whatever there is.
    Anything,
    /// No manifest.
    Nothing,
    /// The manifest of this digest.
    Manifest(Digest),
}

impl Registry {
    /// Writes a manifest under a tag, once: where nobody knows what became of it, it isn't sent again, since
    /// it would take the place of what others wrote in the meantime. `false` where the registry says that
    /// another one stands there than `expected`; most don't look.
    ///
    /// # Errors
    /// As [`Registry::push_manifest`].
    pub fn replace_manifest(
        &self,
        tag: &Tag,
        bytes: &[u8],
        media_type: &str,
        expected: Expected,
    ) -> Result<bool, SourceError> {
        let descriptor = Descriptor::of(media_type, bytes);
        if descriptor.size > MANIFEST_MAX {
            let (at, limit) = (format!("a manifest for {}", self.name), MANIFEST_MAX);
            return Err(SourceError::TooLarge { at, limit, got: Some(descriptor.size) });
        }
        let header = |text: &str| {
            let bad = |_| self.malformed(format!("expected a header, got {:?}", http::printable(text)));
            HeaderValue::from_str(text).map_err(bad)
        };
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, header(media_type)?)]);
        match expected {
            Expected::Anything => {}
            Expected::Nothing => {
                headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
            }
            Expected::Manifest(digest) => {
                headers.insert(IF_MATCH, header(&format!("\"{digest}\""))?);
            }
        }
        let deadline = self.whole();
        let url = self.address(&format!("manifests/{tag}"), deadline)?;
        let answer = self.request(&url, headers, Action::Finish(bytes), deadline)?;
        if answer.status == 412 {
            return Ok(false);
        }
        let answer = self.expect(answer, "place for manifests", 201)?;
        self.expect_honest(answer.header(&HeaderName::from_static("docker-content-digest")), bytes)?;
        Ok(true)
    }
}
