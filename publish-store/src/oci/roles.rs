//! The tags of delegated roles, and those of folders of targets, which move before the one that clients begin
//! with does.
//!
//! Under a role's tag lie several versions: the one that clients are led to now, and the one that they will be
//! led to in a moment. So neither of the two finds nothing.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use oci_image::tuf_layout::tag_of;
use oci_image::{Descriptor, Expected, ImageSource as _, MANIFEST_MAX, Selector, SourceError, Tag, media};
use serde_json::{Value, json};

use super::OciStore;
use super::layout::{Annotations, Files, Held, Stated, manifest, version_and_role, version_tag};
use crate::StoreError;

/// Requests that are under way at once.
const AT_ONCE: usize = 8;
/// Versions that lie under a role's tag for clients who began a while ago, beside those that are needed.
const KEPT: usize = 4;
/// Up to so many roles, all are looked after, also those that don't change: others may have taken what was
/// there, in the moment before they were told that they had lost.
const LOOKED_AFTER: usize = 256;
/// How often a role's tag is written again.
const TRIES: u32 = 5;
/// The most targets in one index, of those that came last. Readers stop at 4096 entries.
const INDEXED: usize = 4000;

/// A delegated role, and the file that clients will be led to.
type Wanted = (String, String);

/// Does something with each, several at once; the first error ends it.
pub(super) fn each<T: Sync>(
    items: &[T],
    work: impl Fn(&T) -> Result<(), StoreError> + Sync,
) -> Result<(), StoreError> {
    let next = AtomicUsize::new(0);
    let run = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = work(item) {
                next.store(items.len(), Ordering::Relaxed);
                return Err(error);
            }
        }
        Ok(())
    };
    if items.len() < 2 {
        return run();
    }
    thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE.min(items.len())).map(|_| scope.spawn(run)).collect();
        // A worker that panicked did not do its work.
        let lost =
            || StoreError::Unreachable { at: "the registry".into(), why: "a request broke off".into() };
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|_| Err(lost())))
    })
}

impl OciStore {
    /// The roles whose tags have to hold what a snapshot states.
    pub(super) fn wanted(&self, snapshot: &Stated) -> Vec<Wanted> {
        let stated = snapshot.delegated();
        let few = stated.len() <= LOOKED_AFTER;
        let state = self.state();
        stated.into_iter().filter(|(_, name)| few || state.put.contains_key(name)).collect()
    }

    /// Sees to it that each role's tag holds the file that clients will be led to, beside the one that they
    /// are led to `before`.
    pub(super) fn lead_roles(&self, wanted: &[Wanted], before: Option<&Stated>) -> Result<(), StoreError> {
        let before = before.map(Stated::delegated).unwrap_or_default();
        each(wanted, |(role, name)| self.lead_role(role, name, before.get(role)))
    }

    fn lead_role(&self, role: &str, name: &str, before: Option<&String>) -> Result<(), StoreError> {
        let tag = tag_of(role, self.tag.as_str());
        let tag: Tag = tag.parse().map_err(|_| self.malformed(format!("expected a tag, got {tag:?}")))?;
        let put = self.state().put.get(name).cloned();
        for _ in 0..TRIES {
            let held = self.held(&tag)?;
            if let Some(held) = &held
                && held.files.is_empty()
            {
                return Err(self
                    .malformed(format!("expected files of the role {role} under tag {tag}, got an image")));
            }
            let files = held.as_ref().map(|held| &held.files);
            match (files.and_then(|files| files.get(name)), &put) {
                (Some(there), Some(put)) if there.digest != put.digest => {
                    return Err(StoreError::Taken { name: name.to_owned() });
                }
                (Some(_), _) => return Ok(()),
                (None, _) => {}
            }
            // What neither we nor its own tag have was missing before: whoever reads it says so.
            let Some(layer) = put.clone().map_or_else(|| self.claimed(name), |layer| Ok(Some(layer)))? else {
                return Ok(());
            };
            let kept = kept(files, before);
            let layers = kept.iter().copied().chain([&layer]);
            let bytes = manifest(layers, &Annotations::new());
            let expected = match (self.state().conditions, &held) {
                (Some(true), Some(held)) => Expected::Manifest(held.digest),
                (Some(true), None) => Expected::Nothing,
                _ => Expected::Anything,
            };
            let registry = &self.metadata.registry;
            if self.patiently(|| registry.replace_manifest(&tag, &bytes, media::OCI_MANIFEST, expected))? {
                return Ok(());
            }
        }
        Err(StoreError::Moved)
    }

    /// A version of a role under its own tag.
    pub(super) fn claimed(&self, name: &str) -> Result<Option<Descriptor>, StoreError> {
        let held = version_tag(name).map(|tag| self.held(&tag)).transpose()?.flatten();
        Ok(held.and_then(|mut held: Held| held.files.remove(name)))
    }

    /// Lists what was put in the index of its folder, as docker/attest looks for it.
    pub(super) fn list_targets(&self) -> Result<(), StoreError> {
        let folders = self.state().folders.clone();
        for (tag, entries) in folders {
            let tag: Tag = tag.parse().map_err(|_| self.malformed(format!("expected a tag, got {tag:?}")))?;
            let registry = &self.targets.registry;
            let amend =
                || registry.amend_manifest(&tag, media::OCI_INDEX, &mut |there| with(there, &entries));
            self.patiently(amend)?;
            self.state().folders.remove(tag.as_str());
        }
        Ok(())
    }

    /// A target of an index that others wrote, which has no tag of its own.
    pub(super) fn indexed_target(&self, tag: &Tag, name: &str) -> Result<Option<Held>, StoreError> {
        let fetched = match self.targets.registry.manifest(Selector::Tag(tag.as_str())) {
            Err(SourceError::NotFound { .. }) => return Ok(None),
            fetched => fetched.map_err(|error| self.failed(error))?,
        };
        let index: Value = serde_json::from_slice(&fetched.bytes).unwrap_or_default();
        let entries = index.get("manifests").and_then(Value::as_array).into_iter().flatten();
        let digest = entries
            .filter(|entry| file_name(entry) == Some(name))
            .find_map(|entry| entry.get("digest")?.as_str()?.parse().ok());
        match digest {
            Some(digest) => self.held_in(&self.targets, Selector::Digest(digest)),
            None => Ok(None),
        }
    }
}

/// The versions to keep: the one that clients are led to now, and the newest others.
fn kept<'f>(files: Option<&'f Files>, before: Option<&String>) -> Vec<&'f Descriptor> {
    let version = |name: &str| version_and_role(name).map_or(0, |(version, _)| version);
    let mut all: Vec<(&String, &Descriptor)> = files.into_iter().flatten().collect();
    all.sort_by_key(|(name, _)| std::cmp::Reverse((before == Some(*name), version(name))));
    all.truncate(KEPT);
    all.sort_by_key(|(name, _)| version(name));
    all.into_iter().map(|(_, layer)| layer).collect()
}

fn file_name(entry: &Value) -> Option<&str> {
    entry.get("annotations")?.get(oci_image::tuf_layout::FILE_NAME)?.as_str()
}

/// The index with these entries in it; `None` where they are. What others wrote stays as it is.
fn with(
    there: Option<&[u8]>,
    entries: &BTreeMap<String, Descriptor>,
) -> Result<Option<Vec<u8>>, SourceError> {
    let refused = |why: String| SourceError::Malformed { at: "the index of targets".into(), why };
    let mut index: Value = match there {
        None => json!({"schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": []}),
        Some(bytes) => serde_json::from_slice(bytes).map_err(|error| refused(error.to_string()))?,
    };
    let Some(listed) = index.get_mut("manifests").and_then(Value::as_array_mut) else {
        return Err(refused("expected an index, got another manifest".into()));
    };
    // Of more than fit, the last ones count: what was just left out isn't missed.
    if there.is_some() && entries.len() > INDEXED {
        return Ok(None);
    }
    let digest = |entry: &Value| entry.get("digest").and_then(Value::as_str).map(str::to_owned);
    let is_listed = |name: &str, wanted: &Descriptor, listed: &[Value]| {
        let same = |entry: &&Value| digest(entry) == Some(wanted.digest.to_string());
        listed.iter().any(|entry| file_name(entry) == Some(name) && same(&entry))
    };
    let missing: Vec<(&String, &Descriptor)> =
        entries.iter().filter(|(name, entry)| !is_listed(name, entry, listed)).collect();
    if there.is_some() && missing.is_empty() {
        return Ok(None);
    }
    listed.retain(|entry| missing.iter().all(|(name, _)| file_name(entry) != Some(name.as_str())));
    listed.extend(missing.iter().map(|(_, entry)| json!(entry)));
    let surplus = listed.len().saturating_sub(INDEXED);
    listed.drain(..surplus);
    let mut bytes = index.to_string().into_bytes();
    while u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MANIFEST_MAX {
        let Some(listed) = index.get_mut("manifests").and_then(Value::as_array_mut) else { break };
        let half = listed.len().checked_div(2).unwrap_or_default();
        listed.drain(..half);
        bytes = index.to_string().into_bytes();
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::super::layout::layer;
    use super::*;

    fn entry(name: &str) -> (String, Descriptor) {
        (name.to_owned(), layer(name, media::OCI_MANIFEST, name.as_bytes()))
    }

    #[test]
    fn what_clients_are_led_to_is_kept_however_old_it_is() {
        let files: Files = (1..=9).map(|version| entry(&format!("{version}.a.json"))).collect();
        let names = |before: &str| {
            let kept = kept(Some(&files), Some(&before.to_owned()));
            kept.iter().map(|layer| layer.annotations["tuf.io/filename"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(names("2.a.json"), ["2.a.json", "7.a.json", "8.a.json", "9.a.json"]);
        assert_eq!(names("9.a.json"), ["6.a.json", "7.a.json", "8.a.json", "9.a.json"]);
        assert!(kept(None, None).is_empty());
    }

    #[test]
    fn an_index_keeps_what_others_wrote_and_has_the_newest() {
        let entries = |names: &[&str]| names.iter().map(|name| entry(name)).collect::<BTreeMap<_, _>>();
        let first = with(None, &entries(&["d/1.a", "d/1.b"])).unwrap().unwrap();
        assert_eq!(with(Some(&first), &entries(&["d/1.a"])).unwrap(), None);
        let mut theirs: Value = serde_json::from_slice(&first).unwrap();
        theirs["x"] = json!(1);
        let next = with(Some(theirs.to_string().as_bytes()), &entries(&["d/2.a"])).unwrap().unwrap();
        let next: Value = serde_json::from_slice(&next).unwrap();
        assert_eq!((next["x"].as_u64(), next["manifests"].as_array().unwrap().len()), (Some(1), 3));
        let many: BTreeMap<_, _> = (0..4000).map(|number| entry(&format!("d/{number}.a"))).collect();
        let full = with(Some(&first), &many).unwrap().unwrap();
        assert!(u64::try_from(full.len()).unwrap() <= MANIFEST_MAX);
        let full: Value = serde_json::from_slice(&full).unwrap();
        assert_eq!(full["manifests"].as_array().unwrap().len(), 4000);
        assert!(with(Some(b"{\"layers\":[]}"), &many).is_err());
    }
}
