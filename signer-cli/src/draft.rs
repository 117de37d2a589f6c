//! The next state of the repository: made, signed, weighed as a client will, and only then written.

use serde_json::Value;
use tuf_core::authoring::{Document, meta_of};
use tuf_core::{Instant, Role, consistent_target_name, metadata_file_name};

use crate::config::Config;
use crate::failure::Failure;
use crate::files::{self, Readers};
use crate::key_ring::KeyRing;
use crate::published::{Published, State, Statement};
use crate::repository::Repository;
use crate::staged::{Change, Staged};

/// Which roles sign, and why.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Staged changes that the published state doesn't say yet.
    pub(crate) changes: Vec<(String, Change)>,
    pub(crate) targets: Option<Why>,
    pub(crate) snapshot: Option<Why>,
}

/// Why a role signs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Why {
    /// What it says has changed.
    Changed,
    /// It would not outlast the new timestamp.
    Renewed,
}

impl Plan {
    /// Only what must be signed is, so that no more keys are opened than needed. After a publish
    /// nothing expires before the timestamp: one date to keep in mind.
    pub(crate) fn of(published: &Published, staged: &Staged, config: &Config, now: Instant) -> Self {
        let horizon = config.expiry(&Role::Timestamp, now);
        let late = |statement: &Statement| (statement.expires <= horizon).then_some(Why::Renewed);
        let open = |(path, change): &(&String, &Change)| !change.is_done(path, published);
        let changes: Vec<(String, Change)> =
            staged.changes.iter().filter(open).map(|(path, change)| (path.clone(), change.clone())).collect();
        let targets = if changes.is_empty() { late(&published.targets) } else { Some(Why::Changed) };
        let snapshot = targets.or_else(|| late(&published.snapshot));
        Self { changes, targets, snapshot }
    }

    /// The roles whose keys are needed, in the order of signing.
    pub(crate) fn roles(&self) -> impl Iterator<Item = Role> {
        let targets = self.targets.map(|_| Role::Targets);
        let snapshot = self.snapshot.map(|_| Role::Snapshot);
        targets.into_iter().chain(snapshot).chain([Role::Timestamp])
    }
}

/// A signed document, to be written.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) role: Role,
    pub(crate) version: u64,
    pub(crate) expires: Instant,
    pub(crate) why: Why,
    bytes: Vec<u8>,
}

/// A whole next state that a client accepts. To hold one is to know that it was weighed.
#[derive(Debug)]
pub(crate) struct Draft {
    /// In the order of writing: the timestamp comes last.
    pub(crate) signed: Vec<Signed>,
    manifests: Vec<(String, Vec<u8>)>,
}

impl Draft {
    /// Makes, signs and weighs what the plan asks for.
    pub(crate) fn make(
        plan: &Plan,
        base: &Base<'_>,
        staged: &Staged,
        ring: &mut KeyRing,
    ) -> Result<Self, Failure> {
        let published = base.published;
        let mut manifests = Vec::new();
        let mut signed = Vec::new();
        if let Some(why) = plan.targets {
            let mut document = published.targets.document.clone();
            for (path, change) in &plan.changes {
                apply(&mut document, path, change)?;
                if let Some(digest) = change.digest() {
                    manifests.push((consistent_target_name(path, &digest.hex()), staged.manifest(digest)?));
                }
            }
            signed.push(base.sign(document, Role::Targets, why, ring)?);
        }
        if let Some(why) = plan.snapshot {
            let mut document = published.snapshot.document.clone();
            if let Some(targets) = signed.last() {
                document.set_meta("targets.json", &meta_of(targets.version, &targets.bytes));
            }
            signed.push(base.sign(document, Role::Snapshot, why, ring)?);
        }
        let mut document = published.timestamp.document.clone();
        let why = plan.snapshot.unwrap_or(Why::Renewed);
        if let Some(snapshot) = signed.last() {
            document.set_meta("snapshot.json", &meta_of(snapshot.version, &snapshot.bytes));
        }
        signed.push(base.sign(document, Role::Timestamp, why, ring)?);
        let draft = Self { signed, manifests };
        draft.weigh(plan, base)?;
        Ok(draft)
    }

    /// Writes it: what clients are led to first, what leads them there last. A crash between two
    /// writes leaves them with the old state, and the next publish begins again.
    pub(crate) fn write(&self, repository: &Repository) -> Result<(), Failure> {
        for (name, bytes) in &self.manifests {
            let path = repository.targets().join(name);
            files::folder(path.parent().unwrap_or(&path))?;
            // Named by its hash: other bytes there are damage, and are repaired.
            files::replace(&path, bytes, Readers::Everyone)?;
        }
        for Signed { role, version, bytes, .. } in &self.signed {
            let dir = repository.metadata();
            match role {
                Role::Timestamp => {
                    files::replace(&dir.join("timestamp.json"), bytes, Readers::Everyone)?;
                    files::replace(&repository.timestamp(), bytes, Readers::Everyone)?;
                }
                role => {
                    let name = metadata_file_name(role.name(), Some(*version));
                    files::write_once(&dir.join(name), bytes, Readers::Everyone)?;
                }
            }
        }
        Ok(())
    }

    /// Nothing is published that a client would refuse, or in which it would not find what was added.
    fn weigh(&self, plan: &Plan, base: &Base<'_>) -> Result<(), Failure> {
        let of = |role: Role, old: &'_ Statement| {
            let new = self.signed.iter().find(|signed| signed.role == role);
            new.map_or_else(|| old.bytes.clone(), |signed| signed.bytes.clone())
        };
        let published = base.published;
        let (timestamp, snapshot, targets) = (
            of(Role::Timestamp, &published.timestamp),
            of(Role::Snapshot, &published.snapshot),
            of(Role::Targets, &published.targets),
        );
        let next = State { timestamp: &timestamp, snapshot: &snapshot, targets: &targets };
        let trusted = published.weigh_next(next, base.now).map_err(|refusal| not_publishable(&refusal))?;
        for (path, change) in &plan.changes {
            let listed = trusted.document().target(path);
            if listed.as_ref().map(|target| (target.length, &target.hashes))
                != change.target()?.as_ref().map(|target| (target.length, &target.hashes))
            {
                return Err(not_publishable(&format!("{path} is not listed as it was staged")));
            }
        }
        Ok(())
    }
}

/// What a draft starts from.
#[derive(Debug)]
pub(crate) struct Base<'b> {
    pub(crate) repository: &'b Repository,
    pub(crate) published: &'b Published,
    pub(crate) config: &'b Config,
    pub(crate) now: Instant,
}

impl Base<'_> {
    fn sign(
        &self,
        mut document: Document,
        role: Role,
        why: Why,
        ring: &mut KeyRing,
    ) -> Result<Signed, Failure> {
        let version = self.next_version(&role, document.version());
        let expires = self.config.expiry(&role, self.now);
        document.set_version(version);
        document.set_expires(expires);
        ring.sign(&mut document, &role, &self.published.root)?;
        let expires = document.expires().unwrap_or(expires);
        Ok(Signed { role, version, expires, why, bytes: document.to_bytes() })
    }

    /// The next version of which no file is there. One that a crash left behind was never pointed to;
    /// but it may have been fetched, so it is passed over and never replaced.
    fn next_version(&self, role: &Role, current: u64) -> u64 {
        let mut version = current.saturating_add(1);
        let taken =
            |version| self.repository.metadata().join(metadata_file_name(role.name(), version)).exists();
        while *role != Role::Timestamp && taken(Some(version)) {
            version = version.saturating_add(1);
        }
        version
    }
}

fn apply(document: &mut Document, path: &str, change: &Change) -> Result<(), Failure> {
    match change.target()? {
        Some(target) => document.set_target(path, &target).map_err(Failure::refused)?,
        None => {
            document.remove_target(path);
        }
    }
    Ok(())
}

pub(crate) fn not_publishable(why: &dyn std::fmt::Display) -> Failure {
    let failure = Failure::refused("the new state was not published: clients would refuse it").detail(why);
    let text = why.to_string();
    if text.starts_with("root expired") {
        return failure.hint("the root must be renewed first, and handed to users through its chain");
    }
    failure
}

/// The `custom` member of a target, as we write it.
pub(crate) fn custom(media_type: &str, platforms: Option<Vec<String>>, previous: Option<String>) -> Value {
    let mut hallmark = serde_json::Map::new();
    hallmark.insert("version".into(), 1.into());
    hallmark.insert("media_type".into(), media_type.into());
    if let Some(platforms) = platforms {
        hallmark.insert("platforms".into(), platforms.into());
    }
    if let Some(previous) = previous {
        hallmark.insert("previous".into(), previous.into());
    }
    serde_json::json!({ "hallmark": hallmark })
}
