//! What a registry holds.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::text;
use crate::digest::sha256_digest;

/// Repositories by name, and uploads under way.
#[derive(Default)]
pub(super) struct Store {
    repos: BTreeMap<String, Repo>,
    uploads: BTreeMap<String, Vec<u8>>,
    started: u64,
}

impl Store {
    pub(super) fn repo(&self, name: &str) -> Option<&Repo> {
        self.repos.get(name)
    }

    /// The repository of that name; made when it is first written to.
    pub(super) fn repo_mut(&mut self, name: &str) -> &mut Repo {
        self.repos.entry(name.into()).or_default()
    }

    pub(super) fn forget(&mut self, name: &str) {
        self.repos.remove(name);
    }

    /// Starts an upload and names it.
    pub(super) fn start_upload(&mut self) -> String {
        self.started = self.started.saturating_add(1);
        let id = format!("upload-{}", self.started);
        self.uploads.insert(id.clone(), Vec::new());
        id
    }

    pub(super) fn upload(&mut self, id: &str) -> Option<&mut Vec<u8>> {
        self.uploads.get_mut(id)
    }

    pub(super) fn take_upload(&mut self, id: &str) -> Option<Vec<u8>> {
        self.uploads.remove(id)
    }
}

/// A manifest or index as it was pushed.
pub(super) struct Manifest {
    pub(super) media_type: String,
    pub(super) bytes: Vec<u8>,
}

impl Manifest {
    /// The document; `null` where it is no JSON.
    pub(super) fn document(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }

    /// The digest that it says it refers to.
    fn subject(&self) -> Option<String> {
        Some(text(self.document().get("subject")?, "digest").to_owned())
    }
}

/// One repository.
#[derive(Default)]
pub(super) struct Repo {
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<String, Manifest>,
    /// By what they refer to, the digests of manifests: no list is searched for as long as there are manifests.
    referrers: BTreeMap<String, BTreeSet<String>>,
    tags: BTreeMap<String, String>,
}

impl Repo {
    /// The digest and manifest that a tag or digest names.
    pub(super) fn find(&self, reference: &str) -> Option<(&str, &Manifest)> {
        let digest = self.tags.get(reference).map_or(reference, String::as_str);
        self.manifests.get_key_value(digest).map(|(digest, manifest)| (digest.as_str(), manifest))
    }

    /// Stores a manifest, under its digest always, and under `reference` if that is a tag.
    pub(super) fn put(&mut self, reference: &str, manifest: Manifest) -> String {
        let digest = sha256_digest(&manifest.bytes);
        if let Some(subject) = manifest.subject() {
            self.referrers.entry(subject).or_default().insert(digest.clone());
        }
        self.manifests.insert(digest.clone(), manifest);
        if !is_digest(reference) {
            self.tag(reference, &digest);
        }
        digest
    }

    pub(super) fn tag(&mut self, tag: &str, digest: &str) {
        self.tags.insert(tag.into(), digest.into());
    }

    pub(super) fn tags(&self) -> impl Iterator<Item = &str> {
        self.tags.keys().map(String::as_str)
    }

    /// The manifests that refer to this digest, with their own.
    pub(super) fn referrers(&self, subject: &str) -> impl Iterator<Item = (&str, &Manifest)> {
        let digests = self.referrers.get(subject).into_iter().flatten();
        digests.filter_map(|digest| self.find(digest))
    }

    /// Forgets a tag, or a manifest with the tags that name it. Says whether there was one.
    pub(super) fn remove(&mut self, reference: &str) -> bool {
        if self.tags.remove(reference).is_some() {
            return true;
        }
        self.tags.retain(|_, digest| digest != reference);
        let Some(manifest) = self.manifests.remove(reference) else { return false };
        if let Some(same) = manifest.subject().and_then(|subject| self.referrers.get_mut(&subject)) {
            same.remove(reference);
        }
        true
    }

    pub(super) fn blob(&self, digest: &str) -> Option<&Vec<u8>> {
        self.blobs.get(digest)
    }

    pub(super) fn put_blob(&mut self, bytes: Vec<u8>) -> String {
        let digest = sha256_digest(&bytes);
        self.blobs.insert(digest.clone(), bytes);
        digest
    }

    /// Says whether there was one.
    pub(super) fn remove_blob(&mut self, digest: &str) -> bool {
        self.blobs.remove(digest).is_some()
    }
}

/// A tag can't hold a colon.
pub(super) fn is_digest(reference: &str) -> bool {
    reference.contains(':')
}
