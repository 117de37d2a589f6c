//! What the next publish will say: `staged/changes.json`, and the manifests beside it by their digest.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use oci_image::{Descriptor, Digest, Reference, VerifyingReader};
use serde::{Deserialize, Serialize};
use tuf_core::schema::Target;

use crate::custom::Custom;
use crate::edit::Edit;
use crate::evidence;
use crate::failure::Failure;
use crate::files::{self, Readers, is_file_name};
use crate::parallel;
use crate::proposal::Planned;
use crate::repository::Repository;

const VERSION: u32 = 3;
/// A million images have 300 MB of changes.
const STAGED_MAX: u64 = 1 << 30;

/// The largest file that is signed as a target: it is held in memory while it is put to its place. A database of
/// 47,000 advisories has 31 MB; all of OSV's bucket some 300.
pub(crate) const TARGET_MAX: u64 = 1 << 30;

/// Changes by target path. There may be a million, so that nobody copies them.
pub(crate) type Changes = BTreeMap<Arc<str>, Arc<Change>>;

/// What is staged.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Staged {
    version: u32,
    pub(crate) changes: Changes,
    /// Changes to the roles, in the order in which they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) edits: Vec<Edit>,
    #[serde(skip)]
    dir: PathBuf,
    /// The file that this was read from; nothing where there was none.
    #[serde(skip)]
    read: Option<Descriptor>,
}

/// What happens to one target path.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case", try_from = "Plain")]
pub(crate) enum Change {
    /// It is listed, or listed with other bytes.
    Add {
        /// How many bytes the manifest has.
        length: u64,
        /// Its digest.
        digest: Digest,
        /// What else is said of it.
        custom: Custom,
        /// Its bytes are in a registry only: nothing is kept of them here.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        listed: bool,
        /// What was published when this was staged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        was: Option<Box<Was>>,
        /// The role that shall list it, where somebody chose one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        role: Option<String>,
    },
    /// It is listed no more.
    Remove {
        /// What was published when this was staged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        was: Option<Box<Was>>,
    },
}

/// What a path meant. Of a million new names none meant anything, so it stands apart.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Was {
    digest: Digest,
    /// What else was said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    said: Option<Custom>,
}

impl Was {
    pub(crate) fn of(published: Option<&Target>) -> Option<Box<Self>> {
        let target = published?;
        Some(Box::new(Self { digest: digest_of(target)?, said: Custom::of_target(target) }))
    }
}

impl Change {
    /// The digest that the path will mean.
    pub(crate) fn digest(&self) -> Option<Digest> {
        match self {
            Self::Add { digest, .. } => Some(*digest),
            Self::Remove { .. } => None,
        }
    }

    /// The target as metadata will list it; `None` for a removal.
    pub(crate) fn target(&self) -> Result<Option<Target>, Failure> {
        let Self::Add { length, digest, custom, .. } = self else { return Ok(None) };
        let hashes = BTreeMap::from([("sha256".to_owned(), digest.hex())]);
        Ok(Some(Target { length: *length, hashes, custom: Some(custom.raw()?) }))
    }

    /// Whether the published state says so already: after a crash between publishing and clearing.
    pub(crate) fn is_done(&self, published: Option<&Target>) -> bool {
        match (self, published) {
            (Self::Remove { .. }, listed) => listed.is_none(),
            (Self::Add { .. }, None) => false,
            (Self::Add { length, digest, custom, .. }, Some(target)) => {
                target.length == *length
                    && digest_of(target) == Some(*digest)
                    && target.custom.as_ref().is_some_and(|listed| custom.is_said(listed))
            }
        }
    }

    /// Whether what a client finds is what this says, but for what else is said of it.
    pub(crate) fn is_said(&self, found: Option<&Target>) -> bool {
        let said = match self {
            Self::Add { length, digest, .. } => Some((*length, Some(*digest))),
            Self::Remove { .. } => None,
        };
        found.map(|target| (target.length, digest_of(target))) == said
    }

    /// Whether its bytes are in a registry only.
    pub(crate) fn is_listed(&self) -> bool {
        matches!(self, Self::Add { listed: true, .. })
    }

    /// The role that shall list it, where somebody chose one.
    pub(crate) fn role(&self) -> Option<&str> {
        match self {
            Self::Add { role, .. } => role.as_deref(),
            Self::Remove { .. } => None,
        }
    }

    /// Refuses a change that was meant for another state: somebody else let the name mean something new, or said
    /// something else of it.
    pub(crate) fn expect_base(&self, path: &str, published: Option<&Target>) -> Result<(), Failure> {
        let now = published.and_then(digest_of);
        let refused = |detail: String| {
            Failure::refused(format!("{path} was changed by another publisher"))
                .detail(detail)
                .hint("look at it with `signer status`; then say it again, or `signer reset`")
        };
        let base = |was: &Option<Box<Was>>| was.as_ref().map(|was| was.digest);
        let shown = |digest: Option<Digest>| digest.map_or("nothing".to_owned(), |digest| digest.to_string());
        let moved =
            |base| Err(refused(format!("expected it to mean {} still, got {}", shown(base), shown(now))));
        match self {
            Self::Remove { was: Some(was) } if now != Some(was.digest) => moved(Some(was.digest)),
            Self::Remove { .. } => Ok(()),
            Self::Add { digest, was, .. } if now != base(was) && now != Some(*digest) => moved(base(was)),
            Self::Add { digest, custom, was, .. } => {
                let Some(listed) = published.and_then(|target| target.custom.as_ref()) else { return Ok(()) };
                let said = was.as_ref().and_then(|was| was.said.as_ref());
                let kept = match said.filter(|_| now == base(was)) {
                    Some(said) => said.is_said(listed),
                    // It came there in the meantime.
                    None => now != Some(*digest) || evidence::keeps(&custom.value(), listed),
                };
                let what = "expected what is said of it to be as it was, got something else: ";
                if kept { Ok(()) } else { Err(refused(format!("{what}{}", evidence::in_words(listed)))) }
            }
        }
    }
}

/// A [`Change`] as it stands in a file: serde would read all members into values first, to find `action` among
/// them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    action: Action,
    length: Option<u64>,
    digest: Option<Digest>,
    custom: Option<Custom>,
    #[serde(default)]
    listed: bool,
    was: Option<Box<Was>>,
    /// In place of `was`, up to version 2.
    base: Option<Digest>,
    role: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Action {
    Add,
    Remove,
}

impl TryFrom<Plain> for Change {
    type Error = String;

    fn try_from(plain: Plain) -> Result<Self, String> {
        let Plain { action, length, digest, custom, listed, was, base, role } = plain;
        let was = was.or_else(|| base.map(|digest| Box::new(Was { digest, said: None })));
        let missing = |name: &str| format!("missing field `{name}`");
        match action {
            Action::Add => Ok(Self::Add {
                length: length.ok_or_else(|| missing("length"))?,
                digest: digest.ok_or_else(|| missing("digest"))?,
                custom: custom.ok_or_else(|| missing("custom"))?,
                listed,
                was,
                role,
            }),
            Action::Remove => {
                let bare = length.is_none() && digest.is_none() && custom.is_none() && !listed;
                let bare = bare && role.is_none();
                bare.then_some(Self::Remove { was })
                    .ok_or_else(|| "expected a removal to say no more, got more".into())
            }
        }
    }
}

/// The SHA-256 that a target lists.
pub(crate) fn digest_of(target: &Target) -> Option<Digest> {
    let hex = target.hashes.get("sha256")?;
    Digest::from_hex(hex).or_else(|_| Digest::from_hex(&hex.to_ascii_lowercase())).ok()
}

impl Staged {
    /// Reads what is staged; nothing where there is nothing.
    pub(crate) fn read(repository: &Repository) -> Result<Self, Failure> {
        let dir = repository.staged();
        let path = dir.join("changes.json");
        let bytes = match fs::metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let (changes, edits) = (Changes::new(), Vec::new());
                return Ok(Self { version: VERSION, changes, edits, dir, read: None });
            }
            _ => files::read(&path, STAGED_MAX)?,
        };
        let unusable = |why: String| {
            Failure::refused(format!("{} can't be used", path.display()))
                .detail(why)
                .hint("remove the file, and add again what should be published")
        };
        let staged: Self = serde_json::from_slice(&bytes).map_err(|why| unusable(why.to_string()))?;
        if !(1..=VERSION).contains(&staged.version) {
            return Err(unusable(format!("expected version 1 to {VERSION}, got {}", staged.version)));
        }
        let adds = |change: &Arc<Change>| matches!(**change, Change::Add { .. });
        let added: Vec<_> = staged.changes.iter().filter(|(_, change)| adds(change)).collect();
        parallel::each(&added, |(path, _)| match is_image_path(path) || is_file_path(path) {
            true => Ok(()),
            false => Err(unusable(format!("expected the name of an image or of a file, got {path:?}"))),
        })?;
        let read = Some(Descriptor::of("application/json", &bytes));
        Ok(Self { dir, version: VERSION, read, ..staged })
    }

    /// Whether the file is as it was when this was read.
    pub(crate) fn is_still_so(&self) -> bool {
        let file = File::open(self.dir.join("changes.json"));
        match (&self.read, file) {
            (None, Err(error)) => error.kind() == ErrorKind::NotFound,
            (Some(read), Ok(file)) => {
                io::copy(&mut VerifyingReader::for_blob(file, read), &mut io::sink()).is_ok()
            }
            _ => false,
        }
    }

    /// Stages a change, in place of what was staged of the path.
    pub(crate) fn set(&mut self, path: &str, change: Change) {
        self.changes.insert(path.into(), Arc::new(change));
    }

    /// Stages an edit behind those that were staged before: whatever they said, it is the last word.
    pub(crate) fn push(&mut self, edit: &Edit) {
        // These come to the same wherever they stand before; of others, what stands between may build on them.
        if matches!(
            edit,
            Edit::AddKey { .. } | Edit::RemoveKey { .. } | Edit::Threshold { .. } | Edit::Renew { .. }
        ) {
            self.edits.retain(|before| before != edit);
        }
        if self.edits.last() != Some(edit) {
            self.edits.push(edit.clone());
        }
    }

    /// Lets go of what was staged of a path that shall mean what it does. What else was to be said of the same
    /// bytes, such as that they are yanked, stays.
    pub(crate) fn forget_other_bytes(&mut self, path: &str, published: Digest) {
        if self.changes.get(path).is_some_and(|change| change.digest() != Some(published)) {
            self.changes.remove(path);
        }
    }

    /// Keeps the bytes of a manifest until they are published.
    pub(crate) fn keep(&self, digest: Digest, bytes: &[u8]) -> Result<(), Failure> {
        files::folder(&self.dir)?;
        files::replace(&self.manifest_path(digest), bytes, Readers::Everyone)
    }

    /// Lets go of a manifest that nothing staged needs.
    pub(crate) fn drop_manifest(&self, digest: Digest) -> Result<(), Failure> {
        files::remove(&self.manifest_path(digest))
    }

    /// The bytes of a manifest that was kept, checked again.
    pub(crate) fn manifest(&self, digest: Digest) -> Result<Vec<u8>, Failure> {
        let path = self.manifest_path(digest);
        let again = |failure: Failure| failure.hint("add the image again");
        let bytes = files::read(&path, TARGET_MAX).map_err(again)?;
        let got = Digest::of(&bytes);
        if got == digest {
            return Ok(bytes);
        }
        Err(Failure::refused(format!("{} was changed since it was added", path.display()))
            .detail(format!("expected {digest}, got {got}"))
            .hint("add the image again"))
    }

    /// Writes the changes.
    pub(crate) fn write(&self) -> Result<(), Failure> {
        files::folder(&self.dir)?;
        let mut bytes = serde_json::to_vec(self).map_err(Failure::refused)?;
        bytes.push(b'\n');
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if length > STAGED_MAX {
            return Err(Failure::refused("so much can't be staged at once")
                .detail(format!("expected at most {STAGED_MAX} bytes of changes, got {length}"))
                .hint("publish a part of it first; nothing was changed"));
        }
        files::replace(&self.dir.join("changes.json"), &bytes, Readers::Everyone)
    }

    /// Forgets what was published otherwise, and everything if nothing else is staged.
    pub(crate) fn forget(&mut self, changes: &[Planned], edits: &[Edit]) -> Result<(), Failure> {
        for Planned { path, change, .. } in changes {
            if self.changes.get(path) == Some(change) {
                self.changes.remove(path);
            }
        }
        self.edits.retain(|edit| !edits.contains(edit));
        if self.changes.is_empty() && self.edits.is_empty() {
            return self.remove_all();
        }
        self.write()
    }

    /// Forgets everything staged, the list first: without it the manifests mean nothing.
    pub(crate) fn clear(self) -> Result<(), Failure> {
        self.remove_all()
    }

    fn remove_all(&self) -> Result<(), Failure> {
        if !self.dir.exists() {
            return Ok(());
        }
        files::remove(&self.dir.join("changes.json"))?;
        // All of them: one that was added and then replaced is in no list.
        for entry in fs::read_dir(&self.dir).map_err(Failure::io(&self.dir))? {
            let path = entry.map_err(Failure::io(&self.dir))?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                files::remove(&path)?;
            }
        }
        files::clear_unfinished(&self.dir)
    }

    fn manifest_path(&self, digest: Digest) -> PathBuf {
        self.dir.join(format!("{}.json", digest.hex()))
    }
}

/// Whether a path is a file's: readable parts, and never the name of an image, which has a tag or a digest.
pub(crate) fn is_file_path(path: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let part = |part: &str| is_file_name(part) && !part.starts_with('.') && part.bytes().all(good);
    path.len() <= FILE_PATH_MAX && path.split('/').all(part)
}

/// The longest path of a file: it becomes a file's name on other systems too.
const FILE_PATH_MAX: usize = 200;

/// Whether a path is one that we would make: a name with a tag, or with a digest.
pub(crate) fn is_image_path(path: &str) -> bool {
    path.parse::<Reference>().is_ok_and(|name| match (name.tag_path(), name.digest()) {
        (Some(tag_path), None) => tag_path == path,
        (None, Some(digest)) => name.digest_path(digest) == path,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_older_signer_staged_is_read() {
        let (old, new) = (Digest::of(b"old"), Digest::of(b"new"));
        let text = format!(
            r#"{{"action":"add","length":3,"digest":"{new}","custom":{{}},"listed":true,"base":"{old}"}}"#
        );
        let change: Change = serde_json::from_str(&text).unwrap();
        let Change::Add { was: Some(was), listed: true, .. } = &change else { panic!("{change:?}") };
        assert_eq!((was.digest, &was.said), (old, &None));
        let moved = Target::of(b"moved");
        assert!(change.expect_base("a", Some(&moved)).is_err());
        change.expect_base("a", Some(&Target::of(b"old"))).unwrap();
        // What is written now is read as it was.
        let again = serde_json::to_string(&change).unwrap();
        assert_eq!(serde_json::from_str::<Change>(&again).unwrap(), change, "{again}");
        assert_eq!(
            serde_json::from_str::<Change>(r#"{"action":"remove"}"#).unwrap(),
            Change::Remove { was: None }
        );
    }
}
