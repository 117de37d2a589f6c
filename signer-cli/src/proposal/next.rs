//! The state that is being made, role by role.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;
use tuf_core::authoring::{Document, bin_names};
use tuf_core::schema::{DelegatedRole, SuccinctRoles, Target};
use tuf_core::{Instant, Role};

use super::{KeySet, Proposed, Why, free_version, root_document, sets_in_root};
use crate::config::Config;
use crate::edit::{Edit, Holder, role_named};
use crate::failure::Failure;
use crate::published::{Published, ends_search};
use crate::staged::Change;

/// The state that is being made, role by role.
pub(super) struct Next<'p, 's> {
    published: &'p Published<'s>,
    root: Option<(Document, Why)>,
    roles: BTreeMap<Role, Edited>,
    /// Roles were edited, so that a name may belong elsewhere than where it is published.
    is_edited: bool,
    /// The bins over which all names are spread in the state that is made, where that is so.
    bins: OnceCell<Option<SuccinctRoles>>,
}

/// A targets role that changes.
pub(super) struct Edited {
    document: Document,
    why: Why,
    delegator: Option<Role>,
    /// Its delegations changed, so that they are read from the document.
    redelegated: bool,
    /// It was never published.
    is_new: bool,
}

impl<'p, 's> Next<'p, 's> {
    pub(super) fn of(published: &'p Published<'s>) -> Self {
        Self { published, root: None, roles: BTreeMap::new(), is_edited: false, bins: OnceCell::new() }
    }

    pub(super) fn edit(&mut self, edit: &Edit, config: &Config, now: Instant) -> Result<(), Failure> {
        self.is_edited = true;
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
                if let (Edit::Delegate { role, .. }, Some(_)) = (edit, bins(&edited.document)) {
                    return Err(Failure::refused(format!("{role} can't be delegated to"))
                        .detail("expected no bins, which take the place of all other delegations, got some")
                        .hint("nothing was changed"));
                }
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
    pub(super) fn expect_enough_keys(&self, edits: &[Edit]) -> Result<(), Failure> {
        for edit in edits {
            let role = match edit {
                Edit::AddKey { role, .. }
                | Edit::RemoveKey { role, .. }
                | Edit::Threshold { role, .. }
                | Edit::Delegate { role, .. } => role.clone(),
                Edit::Bins { prefix, bit_length, .. } => {
                    bin_names(prefix, *bit_length).next().unwrap_or_default()
                }
                Edit::Undelegate { .. } | Edit::Renew { .. } => continue,
            };
            let named = role_named(&role);
            let root = self.root.as_ref().map(|(root, _)| root);
            let mut documents = root.into_iter().chain(self.roles.values().map(|one| &one.document));
            let Some((keys, role_keys)) = documents.find_map(|document| document.keys_of(&named)) else {
                continue;
            };
            // One key counts once, under however many ids it is listed.
            let distinct: BTreeSet<String> = keys.values().filter_map(|key| key.to_pem().ok()).collect();
            let (need, got) = (role_keys.threshold.get(), distinct.len());
            if usize::try_from(need).unwrap_or(usize::MAX) > got {
                return Err(Failure::refused(format!("{role} could never sign again"))
                    .detail(format!("expected at least {need} key(s), for that is its threshold, got {got}"))
                    .hint("add keys first, or lower the threshold; nothing was staged"));
            }
        }
        Ok(())
    }

    /// Refuses a delegation that another publisher made meanwhile, otherwise: ours would take its place.
    pub(super) fn expect_own_delegations(&self, edits: &[Edit]) -> Result<(), Failure> {
        let mut gone: Vec<&str> = Vec::new();
        for edit in edits {
            match edit {
                Edit::Undelegate { role, .. } => gone.push(role),
                Edit::Delegate { by, role, .. } if !gone.contains(&role.as_str()) => {
                    let by = Role::of_targets(by);
                    let Some(loaded) = self.published.role(&by)? else { continue };
                    let before = loaded.statement.document(&by)?;
                    let is = |document: &Document| roles(document).find(|one| is_called(one, role)).cloned();
                    let (was, now) = (is(&before), self.roles.get(&by).and_then(|one| is(&one.document)));
                    if was.is_some() && was != now {
                        return Err(Failure::refused(format!("another publisher delegated to {role} too"))
                            .detail("expected no role of that name yet, got one with other keys or names")
                            .hint("see it with `signer delegate list`, forget yours with `signer reset`"));
                    }
                }
                _ => {}
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
        let document = new_targets(config.expiry(&role, now))?;
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
                    let by_hash = |role: DelegatedRole| role.path_hash_prefixes.is_some();
                    all.succinct_roles.as_ref().is_some_and(|bins| bins.number_of(role.name()).is_some())
                        || all.role(role.name()).is_some_and(by_hash)
                });
            if !is_bin {
                return Err(Failure::refused("the names can't be spread over bins")
                    .detail(format!("expected no other delegations, got {role}"))
                    .hint("remove the delegation first: bins take the place of all others"));
            }
            names.extend(loaded.trusted.document().targets());
        }
        for bin in bin_names(prefix, bit_length) {
            let role = Role::Delegated(bin);
            let known = self.published.role(&role)?;
            let mut document = match &known {
                Some(loaded) => loaded.statement.document(&role)?,
                None if self.published.lists(&role) => {
                    return Err(Failure::refused("the names can't be spread over these bins")
                        .detail(format!("{role} was there before, and its versions must go on"))
                        .hint("choose another --prefix"));
                }
                None => new_targets(config.expiry(&role, now))?,
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

    /// Lists a name, or lists it no more, where a client looks for it. `found`: the role in which one finds it
    /// in what is published.
    pub(super) fn change(
        &mut self,
        path: &Arc<str>,
        change: &Change,
        found: Option<Role>,
    ) -> Result<(), Failure> {
        let Some(target) = change.target()? else {
            for role in self.listing(path)? {
                self.edited(&role, Why::Changed)?.document.remove_target(path);
            }
            return Ok(());
        };
        let role = match (change.role(), found) {
            (Some(role), _) => role_named(role),
            (None, Some(found)) if !self.is_edited => found,
            (None, None) if !self.is_edited && !self.has_bins() => self.home_of(path)?,
            (None, _) => match self.bin_of(path)? {
                Some(bin) => bin,
                None => self.listing(path)?.into_iter().next().map_or_else(|| self.home_of(path), Ok)?,
            },
        };
        let document = &mut self.edited(&role, Why::Changed)?.document;
        document.set_shared_target(Arc::clone(path), &target).map_err(Failure::refused)
    }

    /// Whether all names are spread over bins in the state that is made. Not to be asked before the last edit.
    pub(super) fn has_bins(&self) -> bool {
        self.bins().is_some()
    }

    fn bins(&self) -> Option<&SuccinctRoles> {
        let top = self.roles.get(&Role::Targets);
        let find = || match top.filter(|top| top.redelegated) {
            Some(top) => bins(&top.document).filter(|_| roles(&top.document).next().is_none()),
            None => {
                let delegations = self.published.targets().trusted.document().delegations.as_ref()?;
                delegations.succinct_roles.clone().filter(|_| delegations.roles().next().is_none())
            }
        };
        self.bins.get_or_init(find).as_ref()
    }

    /// The bin of a path, where it is the only role that may list it: a million names find theirs so.
    fn bin_of(&self, path: &str) -> Result<Option<Role>, Failure> {
        let Some(bins) = self.bins() else { return Ok(None) };
        if self.lists(&Role::Targets, path)? {
            return Ok(None);
        }
        let bin = Role::Delegated(bins.bin_of(path));
        let ends = match self.roles.get(&bin) {
            Some(edited) => !edited.document.signed().contains_key("delegations"),
            None => self.published.role(&bin)?.is_some_and(|loaded| ends_search(&loaded.trusted)),
        };
        Ok(ends.then_some(bin))
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

    pub(super) fn edited(&mut self, role: &Role, why: Why) -> Result<&mut Edited, Failure> {
        if !self.roles.contains_key(role) {
            let Some(loaded) = self.published.role(role)? else {
                return Err(Failure::refused(format!("{role} can't be changed"))
                    .detail("expected a role that others delegate to, got none of this name")
                    .hint("`signer status` lists the roles"));
            };
            let document = loaded.document()?;
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
    pub(super) fn name_by_version(&mut self) -> Result<(), Failure> {
        if !self.published.root.consistent_snapshot {
            let mut root = self.root_now()?;
            root.signed_mut().insert("consistent_snapshot".to_owned(), true.into());
            self.root = Some((root, Why::Changed));
        }
        Ok(())
    }

    /// After a publish nothing expires before the timestamp: one date to keep in mind. Bins are left to
    /// `signer refresh`, which reads them all.
    pub(super) fn renew(&mut self, config: &Config, now: Instant) -> Result<(), Failure> {
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
                names.extend(bin_names(&bins.name_prefix, bins.bit_length));
            }
            let before = loaded.statement.document(&delegator)?;
            if let Some(edited) = self.roles.get(&delegator) {
                names.extend(rekeyed_bins(&before, &edited.document));
            }
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
    pub(super) fn finish(self, config: &Config, now: Instant) -> Result<Vec<Proposed>, Failure> {
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

/// A role's first document, whose targets are kept as text.
fn new_targets(expires: Instant) -> Result<Document, Failure> {
    Document::parse_listed(&Document::targets(expires).to_bytes()).map_err(Failure::refused)
}

/// The roles to which a document delegates a path, read from the document itself.
fn covering(document: &Document, path: &str) -> Vec<String> {
    let named = roles(document).filter_map(|role| {
        let role: DelegatedRole = serde_json::from_value(role.clone()).ok()?;
        role.may_speak_for(path).then_some(role.name)
    });
    bins(document).map(|bins| bins.bin_of(path)).into_iter().chain(named).collect()
}

fn bins(document: &Document) -> Option<SuccinctRoles> {
    let bins = document.signed().get("delegations")?.get("succinct_roles")?;
    serde_json::from_value(bins.clone()).ok()
}

/// The bins that are written out one by one, of which others must sign now. There may be thousands: so what is
/// said of them is compared, and none is searched for by its name.
fn rekeyed_bins(before: &Document, now: &Document) -> Vec<String> {
    let name = |role: &Value| role.get("name").and_then(Value::as_str).map(str::to_owned);
    let is: BTreeMap<String, &Value> = roles(now).filter_map(|role| Some((name(role)?, role))).collect();
    let key = |document: &Document, id: &str| {
        document.signed().get("delegations").and_then(|all| all.get("keys")?.get(id).cloned())
    };
    let mut rekeyed = Vec::new();
    let mut keys: BTreeMap<String, bool> = BTreeMap::new();
    for was in roles(before).filter(|role| role.get("path_hash_prefixes").is_some()) {
        let Some((name, is)) = name(was).and_then(|name| is.get(&name).map(|is| (name, *is))) else {
            continue;
        };
        let mut ids =
            is.get("keyids").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let mut same_key =
            |id: &str| *keys.entry(id.to_owned()).or_insert_with(|| key(before, id) == key(now, id));
        let same = ["keyids", "threshold"].iter().all(|member| was.get(*member) == is.get(*member));
        if !(same && ids.all(&mut same_key)) {
            rekeyed.push(name);
        }
    }
    rekeyed
}

fn is_called(role: &Value, name: &str) -> bool {
    role.get("name").and_then(Value::as_str) == Some(name)
}

/// The roles that a document delegates to by name.
fn roles(document: &Document) -> impl Iterator<Item = &Value> {
    let roles = document.signed().get("delegations").and_then(|all| all.get("roles")?.as_array());
    roles.into_iter().flatten()
}
