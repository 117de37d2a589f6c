//! What refers to a manifest, such as its signatures: listed by the registry, or under a tag that the
//! writers keep (distribution specification 1.1, "Listing Referrers" and "Referrers Tag Schema").
//!
//! A list is a hint where to look. Whoever decides fetches what it names and looks inside.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::Registry;
use crate::descriptor::{Descriptor, null_is_empty};
use crate::digest::Digest;
use crate::http::{Action, Deadline};
use crate::manifest::MANIFEST_MAX;
use crate::media;
use crate::reference::{BadReference, Tag};
use crate::source::{ImageSource, Selector, SourceError};

/// The most referrers that are listed: cosign takes 1000 signatures of an image.
const REFERRERS_MAX: usize = 1000;

/// The most pages of a list. Registries put 10 to 1000 on one.
const PAGES_MAX: usize = 100;

/// Where a list of referrers came from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReferrersPlace {
    /// The registry's own list.
    Api,
    /// The index under the tag `sha256-HEX`.
    Tag,
}

/// What refers to a manifest.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Referrers {
    /// The manifests that refer to it, as listed.
    pub manifests: Vec<Descriptor>,
    /// Where the list was.
    pub place: ReferrersPlace,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default, deserialize_with = "null_is_empty")]
    manifests: Vec<Descriptor>,
}

/// What a manifest says of itself that its descriptor repeats.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Referrer {
    subject: Descriptor,
    artifact_type: Option<String>,
    config: Option<Descriptor>,
    #[serde(default, deserialize_with = "null_is_empty")]
    annotations: BTreeMap<String, String>,
}

impl Registry {
    /// What refers to this manifest. With `artifact_type` the registry's list has only those; the list
    /// under the tag is returned whole, since its writers often leave types out.
    ///
    /// # Errors
    /// When there is no usable answer, or there are more than 1000.
    pub fn referrers(&self, subject: Digest, artifact_type: Option<&str>) -> Result<Referrers, SourceError> {
        if let Some(manifests) = self.listed(subject, artifact_type)? {
            return Ok(Referrers { manifests, place: ReferrersPlace::Api });
        }
        let index = self.fallback(subject)?.unwrap_or_else(|| json!({}));
        let page = Page::deserialize(index).map_err(|error| self.malformed(error.to_string()))?;
        self.expect_few(page.manifests.len())?;
        Ok(Referrers { manifests: page.manifests, place: ReferrersPlace::Tag })
    }

    /// Writes a manifest that has a `subject`, by its digest, and sees to it that it is listed. The list
    /// under the tag keeps what others put there.
    ///
    /// # Errors
    /// As for [`Registry::push_manifest`]; when the manifest has no subject; when what is under the tag
    /// is no index; when others write that index at the same time again and again.
    pub fn push_referrer(
        &self,
        bytes: &[u8],
        media_type: &str,
    ) -> Result<(Descriptor, ReferrersPlace), SourceError> {
        let referrer: Referrer = serde_json::from_slice(bytes)
            .map_err(|error| self.malformed(format!("expected a manifest with a subject: {error}")))?;
        let (mut descriptor, listed) =
            self.put_manifest(Selector::Digest(Digest::of(bytes)), bytes, media_type)?;
        descriptor.artifact_type = referrer.artifact_type.or(referrer.config.map(|config| config.media_type));
        descriptor.annotations = referrer.annotations;
        if listed {
            return Ok((descriptor, ReferrersPlace::Api));
        }
        self.list_under_tag(referrer.subject.digest, &descriptor)?;
        Ok((descriptor, ReferrersPlace::Tag))
    }

    /// The registry's own list, if it has one.
    fn listed(&self, subject: Digest, kind: Option<&str>) -> Result<Option<Vec<Descriptor>>, SourceError> {
        let deadline = self.whole();
        let first = self.referrers_address(subject, kind, deadline)?;
        let (mut found, mut next) = (Vec::new(), Some(first.clone()));
        let mut pages = BTreeSet::new();
        while let Some(url) = next {
            if !pages.insert(url.to_string()) || pages.len() > PAGES_MAX {
                let why = "expected a list of referrers that ends, got one that leads back";
                return Err(self.malformed(format!("{why}, or has more than {PAGES_MAX} pages")));
            }
            // Some registries lead to a page for people there, or have another error than 404. Who isn't let
            // in hears so when the tag is asked for.
            let answer = match self.request(&url, HeaderMap::new(), Action::GetHere, deadline) {
                Err(SourceError::Redirect { .. }) if url == first => return Ok(None),
                answer => answer?,
            };
            if matches!(answer.status, 400 | 401 | 403..=406) && url == first {
                return Ok(None);
            }
            let answer = self.expect_success(answer, "list of referrers")?;
            next = self.next_page(&answer)?;
            let page: Page = serde_json::from_slice(&answer.read(MANIFEST_MAX)?)
                .map_err(|error| self.malformed(error.to_string()))?;
            // An empty page that leads to another one could go on for ever.
            next = next.filter(|_| !page.manifests.is_empty());
            self.expect_few(found.len().saturating_add(page.manifests.len()))?;
            found.extend(page.manifests);
        }
        // Whether the registry has left the others out is its choice.
        found.retain(|entry| kind.is_none() || entry.artifact_type.as_deref() == kind);
        Ok(Some(found))
    }

    fn referrers_address(
        &self,
        subject: Digest,
        kind: Option<&str>,
        deadline: Deadline,
    ) -> Result<Url, SourceError> {
        let mut url = self.address(&format!("referrers/{subject}"), deadline)?;
        if let Some(kind) = kind {
            url.query_pairs_mut().append_pair("artifactType", kind);
        }
        Ok(url)
    }

    /// The index under the tag.
    fn fallback(&self, subject: Digest) -> Result<Option<Value>, SourceError> {
        match self.manifest(Selector::Tag(fallback_tag(subject)?.as_str())) {
            Ok(fetched) => serde_json::from_slice(&fetched.bytes)
                .map(Some)
                .map_err(|error| self.malformed(error.to_string())),
            Err(SourceError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Adds the entry to the index under the tag, with all that the index holds.
    fn list_under_tag(&self, subject: Digest, entry: &Descriptor) -> Result<(), SourceError> {
        let malformed = |error: serde_json::Error| self.malformed(error.to_string());
        let entry = serde_json::to_value(entry).map_err(malformed)?;
        let tag = fallback_tag(subject)?;
        self.amend_manifest(&tag, media::OCI_INDEX, &mut |there| {
            let mut index = match there {
                Some(bytes) => serde_json::from_slice(bytes).map_err(malformed)?,
                None => json!({"schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": []}),
            };
            let manifests = index.get_mut("manifests").and_then(Value::as_array_mut);
            let manifests = manifests
                .ok_or_else(|| self.malformed("expected an index under the referrers tag".into()))?;
            if manifests.iter().any(|other| other.get("digest") == entry.get("digest")) {
                return Ok(None);
            }
            self.expect_few(manifests.len().saturating_add(1))?;
            manifests.push(entry.clone());
            serde_json::to_vec(&index).map(Some).map_err(malformed)
        })?;
        Ok(())
    }

    fn expect_few(&self, got: usize) -> Result<(), SourceError> {
        if got <= REFERRERS_MAX {
            return Ok(());
        }
        Err(self.malformed(format!("expected at most {REFERRERS_MAX} referrers, got {got}")))
    }
}

/// The tag under which clients keep the list: `sha256-HEX`.
fn fallback_tag(subject: Digest) -> Result<Tag, SourceError> {
    let tag = subject.to_string().replace(':', "-");
    tag.parse().map_err(|why: BadReference| SourceError::Malformed { at: tag, why: why.to_string() })
}
