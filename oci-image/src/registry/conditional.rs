//! A tag that moves only if it stands where it was seen, at a registry that can do so (RFC 9110, section 13.1).
//!
//! The distribution specification 1.1 asks no registry for this, and most take the condition and ignore it.
//! Whoever relies on it tries it first.

use reqwest::header::{HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH};

use super::Registry;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::http::Action;
use crate::reference::Tag;
use crate::source::{Selector, SourceError};

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
    /// Writes a manifest under a tag, once and now: it isn't sent again, neither where nobody knows what became of
    /// it nor after a wait that the registry asks for, since it would take the place of what others wrote in the
    /// meantime. `false` where the registry says that another one stands there than `expected`; most don't look.
    ///
    /// # Errors
    /// As [`Registry::push_manifest`]. Where a login had to be renewed, [`SourceError::Denied`] with status 401:
    /// whoever calls looks again, and may write then.
    pub fn replace_manifest(
        &self,
        tag: &Tag,
        bytes: &[u8],
        media_type: &str,
        expected: Expected,
    ) -> Result<bool, SourceError> {
        let mut headers = HeaderMap::new();
        match expected {
            Expected::Anything => {}
            Expected::Nothing => {
                headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
            }
            Expected::Manifest(digest) => {
                let quoted = HeaderValue::from_str(&format!("\"{digest}\""));
                let quoted = quoted.map_err(|why| self.malformed(format!("expected a header: {why}")))?;
                headers.insert(IF_MATCH, quoted);
            }
        }
        let (which, manifest) = (Selector::Tag(tag.as_str()), Descriptor::of(media_type, bytes));
        let answer = self.put(which, &manifest, headers, Action::Now(bytes))?;
        if answer.status == 412 {
            return Ok(false);
        }
        self.expect_written(answer, bytes).map(|_| true)
    }
}
