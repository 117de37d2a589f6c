//! Signatures for other tools that were promised and may not be in their registries: `for-others.json`.
//!
//! They are written down before an image is published and crossed out when they are pushed. So whatever ends a
//! publish in between, the next one with `--for`, or `signer sign-for`, makes good what is missing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::PathBuf;

use image_signatures::Format;
use oci_image::{Digest, Reference};
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::files::{self, Readers};
use crate::for_others::{Images, Wanted, by_path, is_withdrawn, is_yanked_target};
use crate::proposal::Proposal;
use crate::published::Published;
use crate::repository::Repository;
use crate::rules::is_yanked;
use crate::staged::{Change, digest_of};

const VERSION: u32 = 1;

/// A hundred thousand images have some 20 MB.
const OWED_MAX: u64 = 256 << 20;

/// The file, read.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Owed {
    version: u32,
    /// By `registry/repository@sha256:…`.
    images: BTreeMap<String, One>,
    #[serde(skip)]
    path: PathBuf,
    /// Of images, what the publish that is being made says no more.
    #[serde(skip)]
    leaving: Vec<String>,
}

/// What is owed to one image.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct One {
    /// A name that leads to it in the metadata.
    name: String,
    digest: Digest,
    /// Who waits for a signature.
    #[serde(rename = "for")]
    formats: BTreeSet<String>,
}

impl Owed {
    /// Reads what is owed; nothing where there is nothing.
    pub(crate) fn read(repository: &Repository) -> Result<Self, Failure> {
        let path = repository.owed();
        match std::fs::metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Self { version: VERSION, images: BTreeMap::new(), path, leaving: Vec::new() });
            }
            _ => {}
        }
        let bytes = files::read(&path, OWED_MAX)?;
        let unusable = |why: String| {
            Failure::refused(format!("{} can't be used", path.display()))
                .detail(why)
                .hint("remove the file; `signer sign-for NAME` signs what is published")
        };
        let owed: Self = serde_json::from_slice(&bytes).map_err(|why| unusable(why.to_string()))?;
        match owed.version {
            VERSION => Ok(Self { path, ..owed }),
            other => Err(unusable(format!("expected version {VERSION}, got {other}"))),
        }
    }

    /// What is owed to these readers, is said in the metadata, and still will be. What isn't said there is
    /// forgotten.
    pub(crate) fn still_meant(
        &mut self,
        formats: &BTreeSet<Format>,
        proposal: &Proposal,
        published: &Published<'_>,
    ) -> Result<Images, Failure> {
        let (mut images, mut kept) = (BTreeMap::new(), BTreeMap::new());
        let changes = by_path(proposal);
        self.leaving.clear();
        for (key, one) in std::mem::take(&mut self.images) {
            let Ok(known_as) = one.name.parse::<Reference>() else { continue };
            let target = published.target(&one.name)?.filter(|target| !is_yanked_target(target));
            if target.as_ref().and_then(digest_of) != Some(one.digest) {
                continue;
            }
            let moves = changes.get(one.name.as_str()).is_some_and(|change| match change {
                Change::Add { digest, custom, .. } => *digest != one.digest || is_yanked(&custom.value()),
                Change::Remove { .. } => true,
            });
            if moves || is_withdrawn(&known_as, one.digest, &changes, published)? {
                self.leaving.push(key.clone());
            } else if formats.iter().any(|format| one.formats.contains(&format.to_string())) {
                images.insert(Wanted::of(&known_as, one.digest), known_as);
            }
            kept.insert(key, one);
        }
        self.images = kept;
        Ok(images)
    }

    /// Writes down that these are owed.
    pub(crate) fn promise(&mut self, images: &Images, formats: &BTreeSet<Format>) -> Result<(), Failure> {
        for (wanted, known_as) in images {
            let (name, digest) = (path_of(known_as), wanted.digest());
            let new = One { name, digest, formats: BTreeSet::new() };
            let one = self.images.entry(wanted.to_string()).or_insert(new);
            one.formats.extend(formats.iter().map(ToString::to_string));
        }
        self.write()
    }

    /// Forgets what the metadata says no more, now that it is published.
    pub(crate) fn leave(&mut self) -> Result<(), Failure> {
        let leaving = std::mem::take(&mut self.leaving);
        let before = self.images.len();
        leaving.iter().for_each(|key| drop(self.images.remove(key)));
        if self.images.len() == before { Ok(()) } else { self.write() }
    }

    /// Crosses out what was done for these readers, but for what is missing of it.
    pub(crate) fn settle(
        &mut self,
        tried: &[(Wanted, BTreeSet<Format>)],
        formats: &BTreeSet<Format>,
    ) -> Result<(), Failure> {
        for (wanted, missing) in tried {
            let done: Vec<_> = formats.difference(missing).map(ToString::to_string).collect();
            if let Some(one) = self.images.get_mut(&wanted.to_string()) {
                one.formats.retain(|format| !done.contains(format));
            }
        }
        self.images.retain(|_, one| !one.formats.is_empty());
        self.write()
    }

    /// A line for each image, for a person.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |one: &One| {
            let formats: Vec<_> = one.formats.iter().map(String::as_str).collect();
            format!("{} for {}", one.name, formats.join(", "))
        };
        self.images.values().map(line).collect()
    }

    fn write(&self) -> Result<(), Failure> {
        if self.images.is_empty() {
            return match self.path.exists() {
                true => files::remove(&self.path),
                false => Ok(()),
            };
        }
        let mut bytes = serde_json::to_vec(self).map_err(Failure::refused)?;
        bytes.push(b'\n');
        files::replace(&self.path, &bytes, Readers::Everyone)
    }
}

/// The target path that leads there.
fn path_of(known_as: &Reference) -> String {
    match (known_as.digest(), known_as.tag_path()) {
        (Some(digest), _) => known_as.digest_path(digest),
        (None, path) => path.unwrap_or_default(),
    }
}
