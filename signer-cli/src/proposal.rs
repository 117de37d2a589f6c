//! What the next state will say, before it is signed: the root and the targets roles that change, each with
//! the keys that must sign it. Snapshot and timestamp follow from them when they are published.

mod next;

use std::collections::BTreeMap;
use std::sync::Arc;

use oci_image::Digest;
use tuf_core::authoring::Document;
use tuf_core::key::Key;
use tuf_core::schema::{RoleKeys, Target};
use tuf_core::{Instant, Role, crypto};

use crate::config::Config;
use crate::edit::{Edit, role_named};
use crate::failure::Failure;
use crate::progress::Progress;
use crate::published::{Published, bin_order, malformed};
use crate::report::{self, Action};
use crate::staged::{Change, Staged, digest_of};

use next::Next;

/// Why a role signs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Why {
    /// What it says has changed.
    Changed,
    /// Others must sign it now.
    Rekeyed,
    /// It would expire too early.
    Renewed,
}

/// Keys by their ids, and how many must sign.
pub(crate) type Keyed = (BTreeMap<String, Key>, RoleKeys);

/// Keys of which so many must sign.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct KeySet {
    pub(crate) keys: BTreeMap<String, Key>,
    pub(crate) role_keys: RoleKeys,
    /// Without it clients refuse the document. Where it isn't, they refuse it between two writes.
    pub(crate) required: bool,
}

/// A document to be signed.
#[derive(Clone, Debug)]
pub(crate) struct Proposed {
    pub(crate) role: Role,
    pub(crate) document: Document,
    pub(crate) why: Why,
    pub(crate) sets: Vec<KeySet>,
    /// Who delegates to it.
    pub(crate) delegator: Option<Role>,
}

/// A change that is to be published.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    pub(crate) path: Arc<str>,
    pub(crate) change: Arc<Change>,
    /// What it does to what is published.
    pub(crate) action: Action,
    /// The digest that the path means now.
    pub(crate) was: Option<Digest>,
}

/// All documents but snapshot and timestamp, the delegated roles first, the root last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proposal {
    pub(crate) documents: Vec<Proposed>,
    /// Staged changes that the published state doesn't say yet.
    pub(crate) changes: Vec<Planned>,
    pub(crate) edits: Vec<Edit>,
}

impl Planned {
    /// `target`: what is published of the path.
    pub(crate) fn of(path: &Arc<str>, change: &Arc<Change>, target: Option<&Target>) -> Self {
        let action = match (&**change, target) {
            (Change::Remove { .. }, _) => Action::Remove,
            (Change::Add { .. }, None) => Action::Add,
            (Change::Add { .. }, Some(_)) => Action::Change,
        };
        let (path, change) = (Arc::clone(path), Arc::clone(change));
        Self { path, change, action, was: target.and_then(digest_of) }
    }

    /// As reports say it.
    pub(crate) fn report(&self) -> report::Change {
        report::Change { action: self.action, name: Arc::clone(&self.path), digest: self.change.digest() }
    }
}

impl KeySet {
    pub(crate) fn of((keys, role_keys): Keyed, required: bool) -> Self {
        Self { keys, role_keys, required }
    }

    /// How many of its keys signed, counted as a client counts.
    pub(crate) fn is_reached(&self, role: &Role, document: &Document) -> bool {
        document.signers(role, &self.keys, &self.role_keys, crypto::default()).is_ok()
    }

    fn same_keys(&self, other: &Self) -> bool {
        self.keys == other.keys && self.role_keys == other.role_keys
    }
}

impl Proposal {
    /// What the staged changes make of the published state. `horizon`: what expires by then is renewed.
    pub(crate) fn of(
        published: &Published<'_>,
        staged: &Staged,
        config: &Config,
        now: Instant,
    ) -> Result<Self, Failure> {
        let mut next = Next::of(published);
        for edit in &staged.edits {
            next.edit(edit, config, now)?;
        }
        next.expect_own_delegations(&staged.edits)?;
        next.expect_enough_keys(&staged.edits)?;
        let mut changes = Vec::new();
        let mut progress = Progress::new("names placed", staged.changes.len());
        for (path, change) in &staged.changes {
            progress.step();
            let found = published.find(path)?;
            let target = found.as_ref().map(|(_, target)| target);
            if !change.is_done(target) {
                change.expect_base(path, target)?;
                changes.push(Planned::of(path, change, target));
                if !next.has_bins() {
                    next.change(path, change, found.map(|(role, _)| role))?;
                }
            }
        }
        if next.has_bins() {
            // Bin by bin, so that each is in the processor's cache for all of its names.
            let mut in_order: Vec<&Planned> = changes.iter().collect();
            in_order.sort_by_cached_key(|one| bin_order(&one.path));
            for Planned { path, change, .. } in in_order {
                next.change(path, change, None)?;
            }
        }
        next.name_by_version()?;
        next.renew(config, now)?;
        let documents = next.finish(config, now)?;
        Ok(Self { documents, changes, edits: staged.edits.clone() })
    }

    /// The same statements again, with later expiries, of these targets roles.
    pub(crate) fn renewing(
        published: &Published<'_>,
        roles: &[Role],
        config: &Config,
        now: Instant,
    ) -> Result<Self, Failure> {
        let mut next = Next::of(published);
        for role in roles.iter().filter(|role| matches!(role, Role::Targets | Role::Delegated(_))) {
            next.edited(role, Why::Renewed)?;
        }
        Ok(Self { documents: next.finish(config, now)?, ..Self::default() })
    }

    /// The root after this.
    pub(crate) fn root(&self) -> Option<&Proposed> {
        self.documents.iter().find(|one| one.role == Role::Root)
    }

    /// The same, but for what is to be signed: of that the root alone.
    pub(crate) fn without_documents(&self) -> Self {
        let documents = self.root().into_iter().cloned().collect();
        Self { documents, changes: self.changes.clone(), edits: self.edits.clone() }
    }

    pub(crate) fn document(&self, role: &Role) -> Option<&Proposed> {
        self.documents.iter().find(|one| one.role == *role)
    }

    /// The keys of a role after this; `None` where there is no such role.
    pub(crate) fn keys_of(&self, name: &str, published: &Published<'_>) -> Result<Option<Keyed>, Failure> {
        let role = role_named(name);
        if let Role::Delegated(name) = &role {
            let changed = self.documents.iter().find_map(|one| one.document.keys_of(&role));
            if changed.is_some() {
                return Ok(changed);
            }
            let Some(loaded) = published.role(&role)? else { return Ok(None) };
            let Some(delegator) = loaded.delegator.as_ref() else { return Ok(None) };
            // It will delegate to the role no more.
            if self.document(delegator).is_some() {
                return Ok(None);
            }
            return Ok(published.role(delegator)?.and_then(|by| by.keys_of(name)));
        }
        match self.root() {
            Some(root) => Ok(root.document.keys_of(&role)),
            None => Ok(root_document(published)?.keys_of(&role)),
        }
    }

    /// The keys of snapshot or timestamp: those of the new root, and of the old one for the moment in which
    /// clients have the new timestamp and not yet the new root.
    pub(crate) fn online_sets(&self, role: &Role, published: &Published<'_>) -> Result<Vec<KeySet>, Failure> {
        sets_in_root(role, &root_document(published)?, self.root().map(|root| &root.document))
    }
}

/// Who must sign a document: the root's keys are in the roots, those of a delegated role with its delegator.
pub(crate) fn sets_of(
    role: &Role,
    delegator: Option<&Role>,
    old_root: &Document,
    new_root: Option<&Document>,
    under: impl FnOnce(&Role) -> Option<Keyed>,
) -> Result<Vec<KeySet>, Failure> {
    let Some(delegator) = delegator else { return sets_in_root(role, old_root, new_root) };
    let found = under(delegator).ok_or_else(|| {
        Failure::refused(format!("{role} can't be signed"))
            .detail(format!("expected {delegator} to delegate to it, got no such delegation"))
    })?;
    Ok(vec![KeySet::of(found, true)])
}

/// The sets of a top-level role, where the root changes from one to the other.
fn sets_in_root(role: &Role, old: &Document, new: Option<&Document>) -> Result<Vec<KeySet>, Failure> {
    let in_root = |root: &Document| {
        root.keys_of(role).ok_or_else(|| Failure::refused(format!("the root names no usable {role}")))
    };
    let old = KeySet::of(in_root(old)?, true);
    let Some(new) = new else { return Ok(vec![old]) };
    let new = KeySet::of(in_root(new)?, true);
    if old.same_keys(&new) {
        return Ok(vec![new]);
    }
    // A root must be signed by those who were trusted before (5.3.4).
    Ok(vec![new, KeySet { required: *role == Role::Root, ..old }])
}

fn root_document(published: &Published<'_>) -> Result<Document, Failure> {
    Document::parse(published.root_bytes()).map_err(malformed("root"))
}

/// The next version of which no file is there. One that a crash left behind was never pointed to; but it
/// may have been fetched, so it is passed over and never replaced.
pub(crate) fn free_version(published: &Published<'_>, role: &Role, from: u64) -> Result<u64, Failure> {
    let store = published.store();
    let mut version = from;
    loop {
        let name = tuf_core::metadata_file_name(role.name(), Some(version));
        if !store.has_metadata(&name).map_err(|error| Failure::of_store(store, &error))? {
            return Ok(version);
        }
        version = version.saturating_add(1);
    }
}
