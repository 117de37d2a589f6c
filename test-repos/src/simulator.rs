//! A TUF repository in memory that signs when it is asked, so that an attack is a few lines.
//!
//! ```
//! # fn main() -> Result<(), tuf_core::authoring::AuthorError> {
//! use test_repos::simulator::Simulator;
//! # let now = tuf_core::Instant::from_timestamp(1_893_456_000, 0).unwrap_or_default();
//! let mut repo = Simulator::new(now)?;
//! repo.role_mut("targets").set_expires(now); // whatever a publisher may get wrong …
//! repo.publish()?; // … properly versioned, stated and signed
//! assert!(repo.fetch("2.targets.json")?.is_some());
//! # Ok(())
//! # }
//! ```
//!
//! Documents are public and edited freely; [`Simulator::publish`] gives what changed a new version and
//! states it in snapshot and timestamp. Everything ever published is remembered, for replays. Signing is
//! deterministic (RFC 8032), so what was stated at publishing is what is served afterwards.
//!
//! Not here: any check of what is made. That is what attacks need, and what the code under test is for.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;
use tuf_core::authoring::{AuthorError, Delegation, Document, meta_of};
use tuf_core::canonical::JsonError;
use tuf_core::crypto::{DefaultCrypto, Ed25519Signer, Sign, SignError};
use tuf_core::hash::sha256;
use tuf_core::key::Key;
use tuf_core::{Instant, Role, metadata_file_name};

/// How long each role's statement holds after publishing: the online roles briefly, the others long.
/// Each expires well before the next, so that one alone can be let expire.
const DAYS: [(&str, i64); 4] = [("timestamp", 1), ("snapshot", 7), ("targets", 90), ("root", 365)];

/// Whatever is done to a role's file after it was signed and before it is stated elsewhere.
pub type Forge = fn(Vec<u8>) -> Vec<u8>;

/// A key pair made from a name. The same name makes the same key, at every run.
#[derive(Clone, Debug)]
pub struct Keyholder {
    id: String,
    signer: Arc<Ed25519Signer>,
}

impl Keyholder {
    /// The keyholder of that name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let signer = Ed25519Signer::from_seed(&sha256(format!("test keyholder {name}").as_bytes()));
        Self { id: signer.key_id(), signer: Arc::new(signer) }
    }

    /// The same key, under an id that isn't computed from it.
    #[must_use]
    pub fn under_id(&self, id: &str) -> Self {
        Self { id: id.into(), signer: Arc::clone(&self.signer) }
    }
}

impl Sign for Keyholder {
    fn key(&self) -> &Key {
        self.signer.key()
    }

    fn key_id(&self) -> String {
        self.id.clone()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.signer.sign(message)
    }
}

/// What lay in the repository after one [`Simulator::publish`].
#[derive(Clone, Debug, Default)]
pub struct Release {
    files: BTreeMap<String, Vec<u8>>,
    names: BTreeMap<String, String>,
}

impl Release {
    /// A file by its name, such as `3.targets.json`.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&Vec<u8>> {
        self.files.get(name)
    }

    /// The file of a role.
    #[must_use]
    pub fn of(&self, role: &str) -> Option<&Vec<u8>> {
        self.files.get(self.names.get(role)?)
    }

    /// The name of a role's file, such as `3.targets.json` for `targets`.
    #[must_use]
    pub fn name(&self, role: &str) -> Option<&str> {
        self.names.get(role).map(String::as_str)
    }
}

/// The repository. Consistent snapshots (6.2), Ed25519 keys; root and targets have three keys, of which
/// two must sign, and the online roles one.
#[derive(Clone, Debug)]
pub struct Simulator {
    /// The documents by role: the four top-level ones, and delegated targets under their names.
    pub documents: BTreeMap<String, Document>,
    /// Who signs for a role. Whether the role lists them is another matter.
    pub signers: BTreeMap<String, Vec<Keyholder>>,
    /// What is done to a role's file after signing.
    pub forges: BTreeMap<String, Forge>,
    /// Files served in the place of others, whatever the documents say.
    pub overrides: BTreeMap<String, Vec<u8>>,
    history: Vec<Release>,
}

impl Simulator {
    /// A repository without targets, published once.
    ///
    /// # Errors
    /// A document can't be signed.
    pub fn new(now: Instant) -> Result<Self, AuthorError> {
        let mut documents = BTreeMap::from([
            ("root".into(), Document::root(now)),
            ("timestamp".into(), Document::timestamp(now)),
            ("snapshot".into(), Document::snapshot(now)),
            ("targets".into(), Document::targets(now)),
        ]);
        let mut signers = BTreeMap::new();
        if let Some(root) = documents.get_mut("root") {
            for (role, keys, threshold) in
                [(Role::Root, 3, 2), (Role::Targets, 3, 2), (Role::Snapshot, 1, 1), (Role::Timestamp, 1, 1)]
            {
                signers.insert(role.name().into(), staff(root, &role, keys, threshold));
            }
        }
        let (forges, overrides) = (BTreeMap::new(), BTreeMap::new());
        let mut repo = Self { documents, signers, forges, overrides, history: Vec::new() };
        repo.renew(now);
        repo.publish()?;
        Ok(repo)
    }

    /// A role's document, to change. Made empty where there was none: a targets role.
    pub fn role_mut(&mut self, role: &str) -> &mut Document {
        let expires = self.documents.get("targets").and_then(Document::expires).unwrap_or_default();
        self.documents.entry(role.into()).or_insert_with(|| Document::targets(expires))
    }

    /// Lets the top-level targets delegate `paths` to a role with that one key, which signs from now on
    /// if nobody did before.
    pub fn delegate(&mut self, role: &str, holder: &Keyholder, paths: &[&str]) {
        self.role_mut("targets").delegate(&Delegation {
            name: role.into(),
            keys: vec![holder.key().clone()],
            threshold: 1,
            terminating: false,
            paths: paths.iter().map(ToString::to_string).collect(),
        });
        self.signers.entry(role.into()).or_insert_with(|| vec![holder.clone()]);
        self.role_mut(role);
    }

    /// States what changed, gives it a new version, and remembers the files that are now served. The
    /// timestamp is new each time. A version that was set by hand is left as it is.
    ///
    /// # Errors
    /// A document can't be signed.
    pub fn publish(&mut self) -> Result<(), AuthorError> {
        let mut release = Release::default();
        self.settle("root", &mut release)?;
        for role in self.targets_roles() {
            let meta = self.settle(&role, &mut release)?;
            self.role_mut("snapshot").set_meta(&format!("{role}.json"), &meta);
        }
        let meta = self.settle("snapshot", &mut release)?;
        self.role_mut("timestamp").set_meta("snapshot.json", &meta);
        self.settle("timestamp", &mut release)?;
        self.history.push(release);
        Ok(())
    }

    /// Extends the expiry of the online roles and of targets, and that of a root which is past its own.
    pub fn renew(&mut self, now: Instant) {
        for (role, document) in &mut self.documents {
            let past = document.expires().is_none_or(|expires| expires <= now);
            if past || role != "root" {
                document.set_expires(expiry(role, now));
            }
        }
    }

    /// Extends the expiry of one role.
    pub fn renew_role(&mut self, role: &str, now: Instant) {
        self.role_mut(role).set_expires(expiry(role, now));
    }

    /// Gives every document a version above that of `other`, but for the root, whose versions have no gaps.
    pub fn outrun(&mut self, other: &Self) {
        for (role, document) in &mut self.documents {
            let theirs = other.documents.get(role).map_or(0, Document::version);
            if role != "root" && theirs >= document.version() {
                document.set_version(theirs.saturating_add(1));
            }
        }
    }

    /// The release that was published `back` releases ago; 0 is the newest.
    #[must_use]
    pub fn release(&self, back: usize) -> Release {
        self.history.iter().rev().nth(back).cloned().unwrap_or_default()
    }

    /// Makes a role's document what it was `back` releases ago, version and all.
    ///
    /// # Errors
    /// The file of that release is no document.
    pub fn rewind(&mut self, role: &str, back: usize) -> Result<(), JsonError> {
        let old = self.release(back);
        let document = Document::parse(old.of(role).map(Vec::as_slice).unwrap_or_default())?;
        self.documents.insert(role.into(), document);
        Ok(())
    }

    /// Serves, as the file `name`, a role's file of `back` releases ago. Returns what would be served,
    /// and what is.
    ///
    /// # Errors
    /// The document can't be signed.
    pub fn replay(&mut self, role: &str, back: usize, name: &str) -> Result<(Vec<u8>, Vec<u8>), AuthorError> {
        let honest = self.fetch(name)?.unwrap_or_default();
        let old = self.release(back).of(role).cloned().unwrap_or_default();
        self.overrides.insert(name.into(), old.clone());
        Ok((honest, old))
    }

    /// What a client gets for a file name, signed now. A file of an older release is as it was.
    ///
    /// # Errors
    /// The document can't be signed.
    pub fn fetch(&self, name: &str) -> Result<Option<Vec<u8>>, AuthorError> {
        if let Some(bytes) = self.overrides.get(name) {
            return Ok(Some(bytes.clone()));
        }
        for (role, document) in &self.documents {
            if file_name(role, document) == name {
                return self.signed(role, document).map(Some);
            }
        }
        Ok(self.history.iter().rev().find_map(|release| release.file(name)).cloned())
    }

    /// The names of all files that there are to fetch.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let live = self.documents.iter().map(|(role, document)| file_name(role, document));
        let past = self.history.iter().flat_map(|release| release.files.keys().cloned());
        let mut names: Vec<_> = live.chain(past).chain(self.overrides.keys().cloned()).collect();
        names.sort();
        names.dedup();
        names
    }

    fn targets_roles(&self) -> Vec<String> {
        let top = ["root", "timestamp", "snapshot"];
        self.documents.keys().filter(|role| !top.contains(&role.as_str())).cloned().collect()
    }

    /// Signs a role into `release`, under a new version where the last release has other bytes.
    fn settle(
        &mut self,
        role: &str,
        release: &mut Release,
    ) -> Result<tuf_core::schema::MetaFile, AuthorError> {
        let mut document = self.role_mut(role).clone();
        let mut bytes = self.signed(role, &document)?;
        let last = self.history.last().filter(|last| last.name(role) == Some(&file_name(role, &document)));
        let taken = last.and_then(|last| last.of(role)).is_some_and(|old| match role {
            "timestamp" => version_of(old) == document.version(),
            _ => *old != bytes,
        });
        if taken {
            document.set_version(document.version().saturating_add(1));
            bytes = self.signed(role, &document)?;
        }
        let meta = meta_of(document.version(), &bytes);
        let name = file_name(role, &document);
        release.names.insert(role.into(), name.clone());
        release.files.insert(name, bytes);
        self.documents.insert(role.into(), document);
        Ok(meta)
    }

    fn signed(&self, role: &str, document: &Document) -> Result<Vec<u8>, AuthorError> {
        let mut document = document.clone();
        for holder in self.signers.get(role).into_iter().flatten() {
            document.sign(holder, &DefaultCrypto)?;
        }
        let bytes = document.to_bytes();
        Ok(self.forges.get(role).map_or_else(|| bytes.clone(), |forge| forge(bytes.clone())))
    }
}

/// Lists `keys` new keys for a role in the root. As many as must sign do so.
fn staff(root: &mut Document, role: &Role, keys: usize, threshold: u32) -> Vec<Keyholder> {
    let holders: Vec<_> =
        (1..=keys).map(|number| Keyholder::named(&format!("{} {number}", role.name()))).collect();
    for holder in &holders {
        root.add_key(role, holder.key());
    }
    root.set_threshold(role, threshold);
    let enough = usize::try_from(threshold).unwrap_or(keys);
    holders.into_iter().take(enough).collect()
}

/// Until when a role's statement holds that is made now.
fn expiry(role: &str, now: Instant) -> Instant {
    let known = DAYS.iter().find(|(name, _)| *name == role);
    let days = known.map_or(90, |(_, days)| *days);
    now.checked_add_signed(TimeDelta::days(days)).unwrap_or(now)
}

/// Only the timestamp's name has no version (6.2).
fn file_name(role: &str, document: &Document) -> String {
    metadata_file_name(role, (role != "timestamp").then(|| document.version()))
}

fn version_of(bytes: &[u8]) -> u64 {
    Document::parse(bytes).map_or(0, |document| document.version())
}

#[cfg(test)]
mod tests;
