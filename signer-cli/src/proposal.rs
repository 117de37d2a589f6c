//! What the next state will say, before it is signed: the root and the targets roles that change, each with
//! the keys that must sign it. Snapshot and timestamp follow from them when they are published.

use std::collections::BTreeMap;

use tuf_core::authoring::Document;
use tuf_core::key::Key;
use tuf_core::schema::{DelegatedRole, RoleKeys, SuccinctRoles, Target};
use tuf_core::{Instant, Role, crypto};

use crate::config::Config;
use crate::edit::{Edit, Holder, role_named};
use crate::failure::Failure;
use crate::published::{Published, malformed};
use crate::staged::{Change, Staged};

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

/// All documents but snapshot and timestamp, the delegated roles first, the root last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proposal {
    pub(crate) documents: Vec<Proposed>,
    /// Staged changes that the published state doesn't say yet.
    pub(crate) changes: Vec<(String, Change)>,
    pub(crate) edits: Vec<Edit>,
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
        next.expect_enough_keys(&staged.edits)?;
        let mut changes = Vec::new();
        for (path, change) in &staged.changes {
            if !change.is_done(path, published)? {
                change.expect_base(path, published)?;
                next.change(path, change, config, now)?;
                changes.push((path.clone(), change.clone()));
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
            let Some(delegator) = &loaded.delegator else { return Ok(None) };
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

/// The state that is being made, role by role.
struct Next<'p, 's> {
    published: &'p Published<'s>,
    root: Option<(Document, Why)>,
    roles: BTreeMap<Role, Edited>,
}

/// A targets role that changes.
struct Edited {
    document: Document,
    why: Why,
    delegator: Option<Role>,
    /// Its delegations changed, so that they are read from the document.
    redelegated: bool,
    /// It was never published.
    is_new: bool,
}

impl<'p, 's> Next<'p, 's> {
    fn of(published: &'p Published<'s>) -> Self {
        Self { published, root: None, roles: BTreeMap::new() }
    }

    fn edit(&mut self, edit: &Edit, config: &Config, now: Instant) -> Result<(), Failure> {
        match edit.holder() {
            Holder::Root => {
                let mut document = self.root_now()?;
                edit.apply(&mut document)?;
                self.root = Some((document, Why::Changed));
                Ok(())
            }
            Holder::Role(Role::Root) => {
                let document = self.root_now()?;
                self.root.get_or_insert((document, Why::Renewed));
                Ok(())
            }
            // They are renewed by every publish.
            Holder::Role(Role::Snapshot | Role::Timestamp) => Ok(()),
            Holder::Role(role) => {
                let renews = matches!(edit, Edit::Renew { .. });
                let edited = self.edited(&role, if renews { Why::Renewed } else { Why::Changed })?;
                edit.apply(&mut edited.document)?;
                edited.redelegated |= !renews;
                self.settle(edit, &role, config, now)
            }
            Holder::DelegatorOf(name) => {
                let delegator = self.delegator(name)?;
                let edited = self.edited(&delegator, Why::Changed)?;
                edit.apply(&mut edited.document)?;
                edited.redelegated = true;
                Ok(())
            }
        }
    }

    /// A role whose threshold is above the number of its keys could never sign again.
    fn expect_enough_keys(&self, edits: &[Edit]) -> Result<(), Failure> {
        for edit in edits {
            let (Edit::AddKey { role, .. }
            | Edit::RemoveKey { role, .. }
            | Edit::Threshold { role, .. }
            | Edit::Delegate { role, .. }) = edit
            else {
                continue;
            };
            let named = role_named(role);
            let root = self.root.as_ref().map(|(root, _)| root);
            let mut documents = root.into_iter().chain(self.roles.values().map(|one| &one.document));
            let Some((keys, role_keys)) = documents.find_map(|document| document.keys_of(&named)) else {
                continue;
            };
            let (need, got) = (role_keys.threshold.get(), keys.len());
            if usize::try_from(need).unwrap_or(usize::MAX) > got {
                return Err(Failure::refused(format!("{role} could never sign again"))
                    .detail(format!("expected at least {need} key(s), for that is its threshold, got {got}"))
                    .hint("add keys first, or lower the threshold; nothing was staged"));
            }
        }
        Ok(())
    }

    /// What follows from an edit: a role that may speak from now on says something, if only that it has
    /// nothing to say; and names that were spread anew are listed where clients will look.
    fn settle(&mut self, edit: &Edit, by: &Role, config: &Config, now: Instant) -> Result<(), Failure> {
        match edit {
            Edit::Delegate { role, .. } => self.begin(role, by, config, now),
            Edit::Bins { prefix, bit_length, .. } => self.rebin(prefix, *bit_length, config, now),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, name: &str, by: &Role, config: &Config, now: Instant) -> Result<(), Failure> {
        let role = Role::of_targets(name);
        if self.roles.contains_key(&role) || self.published.role(&role)?.is_some() {
            return Ok(());
        }
        let document = Document::targets(config.expiry(&role, now));
        let (delegator, is_new) = (Some(by.clone()), true);
        let edited = Edited { document, why: Why::Changed, delegator, redelegated: true, is_new };
        self.roles.insert(role, edited);
        Ok(())
    }

    /// Moves every name of the top-level targets, and of the bins before, into the bins of now.
    fn rebin(&mut self, prefix: &str, bit_length: u32, config: &Config, now: Instant) -> Result<(), Failure> {
        let mut names: Vec<(String, Target)> = Vec::new();
        let top = self.published.targets().trusted.document();
        names.extend(top.targets());
        for loaded in self.published.delegated(true)? {
            let role = loaded.trusted.role();
            let is_bin = loaded.delegator == Some(Role::Targets)
                && top.delegations.as_ref().is_some_and(|all| {
                    let by_hash = |role: &DelegatedRole| role.path_hash_prefixes.is_some();
                    all.succinct_roles.as_ref().is_some_and(|bins| bins.number_of(role.name()).is_some())
                        || all.roles().any(|one| one.name == role.name() && by_hash(&one))
                });
            if !is_bin {
                return Err(Failure::refused("the names can't be spread over bins")
                    .detail(format!("expected no other delegations, got {role}"))
                    .hint("remove the delegation first: bins take the place of all others"));
            }
            names.extend(loaded.trusted.document().targets());
        }
        for bin in tuf_core::authoring::bin_names(prefix, bit_length) {
            let role = Role::Delegated(bin);
            let known = self.published.role(&role)?;
            let mut document = match &known {
                Some(loaded) => loaded.statement.document(&role)?,
                None if self.published.lists(&role) => {
                    return Err(Failure::refused("the names can't be spread over these bins")
                        .detail(format!("{role} was there before, and its versions must go on"))
                        .hint("choose another --prefix"));
                }
                None => Document::targets(config.expiry(&role, now)),
            };
            document.clear_targets();
            let (delegator, is_new) = (Some(Role::Targets), known.is_none());
            let edited = Edited { document, why: Why::Changed, delegator, redelegated: false, is_new };
            self.roles.insert(role, edited);
        }
        self.edited(&Role::Targets, Why::Changed)?.document.clear_targets();
        for (path, target) in names {
            let role = self.home_of(&path)?;
            self.edited(&role, Why::Changed)?
                .document
                .set_target(&path, &target)
                .map_err(Failure::refused)?;
        }
        Ok(())
    }

    /// Lists a name, or lists it no more, where a client looks for it.
    fn change(&mut self, path: &str, change: &Change, config: &Config, now: Instant) -> Result<(), Failure> {
        let _ = (config, now);
        match change.target()? {
            Some(target) => {
                let role = match change.role() {
                    Some(role) => role_named(role),
                    None => self.listing(path)?.into_iter().next().map_or_else(|| self.home_of(path), Ok)?,
                };
                let document = &mut self.edited(&role, Why::Changed)?.document;
                document.set_target(path, &target).map_err(Failure::refused)
            }
            None => {
                for role in self.listing(path)? {
                    self.edited(&role, Why::Changed)?.document.remove_target(path);
                }
                Ok(())
            }
        }
    }

    /// The roles that list a path, in the order in which a client looks.
    fn listing(&self, path: &str) -> Result<Vec<Role>, Failure> {
        let mut found = Vec::new();
        let mut pending = vec![Role::Targets];
        let mut visited = Vec::new();
        while let Some(role) = pending.pop() {
            if visited.contains(&role) {
                continue;
            }
            if self.lists(&role, path)? {
                found.push(role.clone());
            }
            let below = self.covering(&role, path)?;
            pending.extend(below.into_iter().rev().map(|name| Role::of_targets(&name)));
            visited.push(role);
        }
        Ok(found)
    }

    /// Where a name that nobody lists belongs: the last of the roles that a client asks first.
    fn home_of(&self, path: &str) -> Result<Role, Failure> {
        let mut visited = vec![Role::Targets];
        loop {
            let role = visited.last().cloned().unwrap_or(Role::Targets);
            let below = self.covering(&role, path)?;
            let next = below.into_iter().map(|name| Role::of_targets(&name));
            let Some(next) = next.into_iter().find(|next| !visited.contains(next)) else { return Ok(role) };
            visited.push(next);
        }
    }

    fn lists(&self, role: &Role, path: &str) -> Result<bool, Failure> {
        if let Some(edited) = self.roles.get(role) {
            return Ok(edited.document.has_target(path));
        }
        let loaded = self.published.role(role)?;
        Ok(loaded.is_some_and(|loaded| loaded.trusted.document().target(path).is_some()))
    }

    /// The roles to which one delegates a path, in order.
    fn covering(&self, role: &Role, path: &str) -> Result<Vec<String>, Failure> {
        if let Some(edited) = self.roles.get(role).filter(|edited| edited.redelegated) {
            return Ok(covering(&edited.document, path));
        }
        let Some(loaded) = self.published.role(role)? else { return Ok(Vec::new()) };
        let delegations = loaded.trusted.document().delegations.as_ref();
        Ok(delegations.map(|all| all.covering_names(path)).unwrap_or_default())
    }

    /// Who delegates to a role, now or in what is published.
    fn delegator(&self, name: &str) -> Result<Role, Failure> {
        let role = Role::of_targets(name);
        let now = self.roles.iter().find(|(_, edited)| edited.document.keys_of(&role).is_some());
        if let Some((delegator, _)) = now {
            return Ok(delegator.clone());
        }
        let loaded = self.published.role(&role)?;
        loaded.and_then(|loaded| loaded.delegator.clone()).ok_or_else(|| {
            Failure::refused(format!("{name} can't be changed"))
                .detail(format!("expected a role called {name}, got none"))
                .hint("`signer status` lists the roles")
        })
    }

    fn edited(&mut self, role: &Role, why: Why) -> Result<&mut Edited, Failure> {
        if !self.roles.contains_key(role) {
            let Some(loaded) = self.published.role(role)? else {
                return Err(Failure::refused(format!("{role} can't be changed"))
                    .detail("expected a role that others delegate to, got none of this name")
                    .hint("`signer status` lists the roles"));
            };
            let document = loaded.statement.document(role)?;
            let delegator = loaded.delegator.clone();
            let edited = Edited { document, why, delegator, redelegated: false, is_new: false };
            self.roles.insert(role.clone(), edited);
        }
        // Just made where it wasn't there.
        let edited = self.roles.get_mut(role).ok_or_else(|| Failure::refused(format!("{role} is gone")))?;
        if why == Why::Changed {
            edited.why = why;
        }
        Ok(edited)
    }

    fn root_now(&self) -> Result<Document, Failure> {
        self.root.as_ref().map_or_else(|| root_document(self.published), |(root, _)| Ok(root.clone()))
    }

    /// What is published here is named by version and hash (6.2). A repository that was imported says so from
    /// its first publish on.
    fn name_by_version(&mut self) -> Result<(), Failure> {
        if !self.published.root.consistent_snapshot {
            let mut root = self.root_now()?;
            root.signed_mut().insert("consistent_snapshot".to_owned(), true.into());
            self.root = Some((root, Why::Changed));
        }
        Ok(())
    }

    /// After a publish nothing expires before the timestamp: one date to keep in mind. Bins are left to
    /// `signer refresh`, which reads them all.
    fn renew(&mut self, config: &Config, now: Instant) -> Result<(), Failure> {
        let horizon = config.expiry(&Role::Timestamp, now);
        let mut late = Vec::new();
        if self.published.targets().statement.expires <= horizon {
            late.push(Role::Targets);
        }
        for loaded in self.published.delegated(false)? {
            if loaded.statement.expires <= horizon && self.still_delegated(&loaded.trusted) {
                late.push(loaded.trusted.role().clone());
            }
        }
        for role in late {
            self.edited(&role, Why::Renewed)?;
        }
        self.rekey()
    }

    fn still_delegated(&self, role: &tuf_core::TrustedTargets) -> bool {
        self.delegator(role.role().name()).is_ok()
    }

    /// Roles whose keys change sign again, where those who signed don't suffice any more.
    fn rekey(&mut self) -> Result<(), Failure> {
        if let Some((root, _)) = &self.root {
            let role = Role::Targets;
            let sets = sets_in_root(&role, &root_document(self.published)?, Some(root))?;
            self.rekey_where_needed(&role, &sets)?;
        }
        let redelegated: Vec<Role> = self
            .roles
            .iter()
            .filter(|(_, edited)| edited.redelegated)
            .map(|(role, _)| role.clone())
            .collect();
        for delegator in redelegated {
            let Some(loaded) = self.published.role(&delegator)? else { continue };
            let Some(delegations) = &loaded.trusted.document().delegations else { continue };
            let mut names = crate::published::named(delegations);
            if let Some(bins) = &delegations.succinct_roles {
                names.extend(tuf_core::authoring::bin_names(&bins.name_prefix, bins.bit_length));
            }
            let before = loaded.statement.document(&delegator)?;
            for name in names {
                let role = Role::of_targets(&name);
                let now = self.roles.get(&delegator).and_then(|edited| edited.document.keys_of(&role));
                let Some(now) = now else { continue };
                if before.keys_of(&role).as_ref() != Some(&now) {
                    self.rekey_where_needed(&role, &[KeySet::of(now, true)])?;
                }
            }
        }
        Ok(())
    }

    fn rekey_where_needed(&mut self, role: &Role, sets: &[KeySet]) -> Result<(), Failure> {
        if self.roles.contains_key(role) {
            return Ok(());
        }
        let Some(loaded) = self.published.role(role)? else { return Ok(()) };
        let document = loaded.statement.document(role)?;
        if sets.iter().all(|set| set.is_reached(role, &document)) {
            return Ok(());
        }
        self.edited(role, Why::Rekeyed).map(|_| ())
    }

    /// Numbers and dates the documents, and says who must sign each.
    fn finish(self, config: &Config, now: Instant) -> Result<Vec<Proposed>, Failure> {
        let old_root = root_document(self.published)?;
        let new_root = self.root.as_ref().map(|(root, _)| root);
        let mut sets = BTreeMap::new();
        for (role, edited) in &self.roles {
            let of_role = match &edited.delegator {
                None => sets_in_root(role, &old_root, new_root)?,
                Some(delegator) => vec![self.delegated_set(role, delegator)?],
            };
            sets.insert(role.clone(), of_role);
        }
        let mut documents = Vec::new();
        for (role, edited) in self.roles {
            let Edited { mut document, why, delegator, is_new, .. } = edited;
            let version = if is_new { 1 } else { document.version().saturating_add(1) };
            document.set_version(free_version(self.published, &role, version)?);
            document.set_expires(config.expiry(&role, now));
            let sets = sets.remove(&role).unwrap_or_default();
            documents.push(Proposed { role, document, why, sets, delegator });
        }
        if let Some((mut document, why)) = self.root {
            document.set_version(document.version().saturating_add(1));
            document.set_expires(config.expiry(&Role::Root, now));
            let sets = sets_in_root(&Role::Root, &old_root, Some(&document))?;
            documents.push(Proposed { role: Role::Root, document, why, sets, delegator: None });
        }
        // Delegated roles first, the root last: in the order in which clients are led to them.
        documents.sort_by_key(|one| match one.role {
            Role::Delegated(_) => 0,
            Role::Root => 2,
            _ => 1,
        });
        Ok(documents)
    }

    fn delegated_set(&self, role: &Role, delegator: &Role) -> Result<KeySet, Failure> {
        let found = match self.roles.get(delegator) {
            Some(edited) => edited.document.keys_of(role),
            None => match self.published.role(delegator)? {
                Some(loaded) => loaded.keys_of(role.name()),
                None => None,
            },
        };
        found.map(|found| KeySet::of(found, true)).ok_or_else(|| {
            Failure::refused(format!("{role} can't be signed"))
                .detail(format!("expected {delegator} to delegate to it, got no such delegation"))
        })
    }
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

/// The roles to which a document delegates a path, read from the document itself.
fn covering(document: &Document, path: &str) -> Vec<String> {
    let Some(delegations) = document.signed().get("delegations") else { return Vec::new() };
    let bins = delegations.get("succinct_roles");
    let bins = bins.and_then(|bins| serde_json::from_value::<SuccinctRoles>(bins.clone()).ok());
    let roles = delegations.get("roles").and_then(serde_json::Value::as_array);
    let named = roles.into_iter().flatten().filter_map(|role| {
        let role: DelegatedRole = serde_json::from_value(role.clone()).ok()?;
        role.may_speak_for(path).then_some(role.name)
    });
    bins.map(|bins| bins.bin_of(path)).into_iter().chain(named).collect()
}
