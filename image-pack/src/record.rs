//! What a verification rests on, taken down while it runs: the metadata that it accepted, and what a place of images
//! said when it was asked for evidence.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oci_image::{Descriptor, Digest, FetchedManifest, ImageSource, Selector, SourceError};
use serde::Deserialize;
use tuf_client::{Store, StoreError, StoreLock};
use tuf_core::metadata_file_name;
use verifier_lib::evidence::{EvidenceSource, Place};

use crate::error::PackError;
use crate::index::{Listed, Listing};
use crate::limits;

/// Takes down what a store of accepted metadata is asked for and given: byte for byte what was accepted, whether it
/// came now or was kept.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

struct RecordedStore {
    inner: Box<dyn Store>,
    recorder: Recorder,
}

/// What is needed of a document to give it the name that it is served under.
#[derive(Deserialize)]
struct Document {
    signed: Signed,
}

#[derive(Deserialize)]
struct Signed {
    version: u64,
    #[serde(default)]
    consistent_snapshot: bool,
}

impl Recorder {
    /// The same store, of which this takes notes.
    #[must_use]
    pub fn over(&self, store: Box<dyn Store>) -> Box<dyn Store> {
        Box::new(RecordedStore { inner: store, recorder: self.clone() })
    }

    /// The metadata of an update and the searches after it, under the names that a server has for it. `root` is
    /// the root that it began with, and `newest` the version of the one that it came to.
    ///
    /// # Errors
    /// When the update didn't come to its end.
    pub fn metadata(&self, root: &[u8], newest: u64) -> Result<BTreeMap<String, Vec<u8>>, PackError> {
        let files = locked(&self.files);
        let mut roots = BTreeMap::from([(signed("root", root)?.version, root.to_vec())]);
        let first = signed("root", root)?.version;
        for version in first.saturating_add(1)..=newest {
            let name = metadata_file_name("root", Some(version));
            let kept = files.get(&format!("root_history/{name}"));
            let kept = kept.ok_or_else(|| PackError::part(&name, "a root that was accepted", "nothing"))?;
            roots.insert(version, kept.clone());
        }
        let last = roots.values().next_back().map_or(root, Vec::as_slice);
        let consistent = signed("root", last)?.consistent_snapshot;
        let mut named = BTreeMap::new();
        for (name, bytes) in files.iter().filter(|(name, _)| !name.contains('/') && *name != "root.json") {
            let served = match name.as_str() {
                "timestamp.json" => name.clone(),
                _ if consistent => format!("{}.{name}", signed(name, bytes)?.version),
                _ => name.clone(),
            };
            named.insert(served, bytes.clone());
        }
        let rooted = |(version, bytes)| (metadata_file_name("root", Some(version)), bytes);
        named.extend(roots.into_iter().map(rooted));
        Ok(named)
    }

    fn note(&self, name: &str, bytes: &[u8]) {
        locked(&self.files).insert(name.to_owned(), bytes.to_vec());
    }
}

fn signed(name: &str, bytes: &[u8]) -> Result<Signed, PackError> {
    match serde_json::from_slice::<Document>(bytes) {
        Ok(document) => Ok(document.signed),
        Err(why) => Err(PackError::part(name, "a metadata document", why.to_string())),
    }
}

impl Store for RecordedStore {
    fn try_lock(&self) -> Result<Option<StoreLock>, StoreError> {
        self.inner.try_lock()
    }

    fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let read = self.inner.read(name, limit)?;
        // What is found to be out of date is written over, or the verification fails.
        if let Some(bytes) = &read {
            self.recorder.note(name, bytes);
        }
        Ok(read)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.inner.write(name, bytes)?;
        self.recorder.note(name, bytes);
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.inner.remove(name)?;
        locked(&self.recorder.files).remove(name);
        Ok(())
    }

    fn is_private(&self, name: &str) -> Result<bool, StoreError> {
        self.inner.is_private(name)
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

/// What a place of images said while it was searched.
#[derive(Debug, Default)]
pub struct Seen {
    pub(crate) tags: BTreeMap<String, Option<Digest>>,
    pub(crate) manifests: BTreeMap<Digest, Vec<u8>>,
    pub(crate) listings: BTreeMap<String, Listing>,
    bytes: usize,
}

/// A place of images, and notes of what it says.
pub struct Witness<'a> {
    inner: &'a dyn EvidenceSource,
    seen: Mutex<Seen>,
}

impl<'a> Witness<'a> {
    /// Nothing was asked yet.
    #[must_use]
    pub fn of(inner: &'a dyn EvidenceSource) -> Self {
        Self { inner, seen: Mutex::default() }
    }

    /// The notes.
    #[must_use]
    pub fn seen(self) -> Seen {
        self.seen.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ImageSource for Witness<'_> {
    fn manifest(&self, which: Selector<'_>) -> Result<FetchedManifest, SourceError> {
        let fetched = self.inner.manifest(which);
        let mut seen = locked(&self.seen);
        if let (Err(SourceError::NotFound { .. }), Selector::Tag(tag)) = (&fetched, which) {
            seen.tags.insert(tag.to_owned(), None);
        }
        if let Ok(fetched) = &fetched {
            let digest = Digest::of(&fetched.bytes);
            let all = seen.bytes.saturating_add(fetched.bytes.len());
            if seen.manifests.contains_key(&digest) || all <= limits::RECORDED_BYTES {
                if let Selector::Tag(tag) = which {
                    seen.tags.insert(tag.to_owned(), Some(digest));
                }
                if seen.manifests.insert(digest, fetched.bytes.clone()).is_none() {
                    seen.bytes = all;
                }
            }
        }
        fetched
    }

    fn blob(&self, want: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError> {
        self.inner.blob(want)
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

impl EvidenceSource for Witness<'_> {
    fn refers_to(&self, subject: Digest) -> Result<(Vec<Descriptor>, Place), SourceError> {
        let (manifests, place) = self.inner.refers_to(subject)?;
        let listed = |one: &Descriptor| Listed {
            media_type: one.media_type.clone(),
            digest: one.digest,
            size: one.size,
        };
        let listing =
            Listing { place: place.name().to_owned(), manifests: manifests.iter().map(listed).collect() };
        locked(&self.seen).listings.insert(subject.to_string(), listing);
        Ok((manifests, place))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
