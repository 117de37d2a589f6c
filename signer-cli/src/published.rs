//! What is published, read back and verified: a repository that was changed behind our back is not signed
//! on top of.
//!
//! The top-level documents are read at once, delegated ones when they are asked for: of sixteen thousand
//! bins one change touches one.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use publish_store::{Head, Store, StoreError, Token};
use serde_json::Value;
use tuf_core::authoring::Document;
use tuf_core::schema::{Delegations, Root, Target};
use tuf_core::{
    FreshSnapshot, Instant, Receipt, Refusal, Role, Step, TrustedRoot, TrustedTargets, limits,
    metadata_file_name,
};

use crate::checked;
use crate::failure::Failure;
use crate::files;
use crate::proposal::Keyed;
use crate::repository::Repository;
use crate::terminal;

/// The published state, verified but for its age: a publisher may come back late.
#[derive(Debug)]
pub(crate) struct Published<'s> {
    store: &'s dyn Store,
    /// What was there when this was read; the next state takes its place, or none does.
    pub(crate) token: Token,
    /// Another publisher's state stands where one of ours of the same version did.
    pub(crate) overtaken: bool,
    /// Roots from the first on.
    pub(crate) roots: Vec<Vec<u8>>,
    pub(crate) root: Root,
    pub(crate) timestamp: Statement,
    pub(crate) snapshot: Statement,
    fresh: FreshSnapshot,
    targets: Arc<Loaded>,
    delegated: RefCell<HashMap<String, Arc<Loaded>>>,
}

/// One role's document.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) bytes: Arc<Vec<u8>>,
    pub(crate) version: u64,
    pub(crate) expires: Instant,
}

/// A targets role, top-level or delegated, weighed under the one that leads to it.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) statement: Statement,
    pub(crate) trusted: TrustedTargets,
    pub(crate) delegator: Option<Role>,
}

/// What a client has seen before, and compares with what it is offered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen<'s> {
    pub(crate) timestamp: Option<&'s [u8]>,
    pub(crate) snapshot: Option<&'s [u8]>,
}

/// The top-level documents of one state, to be weighed together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State<'s> {
    pub(crate) timestamp: &'s [u8],
    pub(crate) snapshot: &'s [u8],
    pub(crate) targets: &'s Arc<Vec<u8>>,
}

impl<'s> Published<'s> {
    /// Reads and verifies what is published there.
    pub(crate) fn read(repository: &Repository, store: &'s dyn Store) -> Result<Self, Failure> {
        let Some(Head { timestamp, token }) = store.head().map_err(|error| unreadable(store, &error))? else {
            return Err(damaged(store).detail("expected timestamp.json, got nothing"));
        };
        let roots = roots(repository, store)?;
        // Who can write there alone must not get an older state signed anew.
        let last = last_timestamp(repository)?;
        let overtaken = last.as_ref().is_some_and(|last| is_overtaken(last, &timestamp));
        let seen = Seen { timestamp: last.as_deref().filter(|_| !overtaken), snapshot: None };
        let refused = |refusal: Refusal| damaged(store).detail(refusal);
        // Whether it is too old for clients is no reason not to publish a newer one.
        let fresh_timestamp =
            weigh_timestamp(&roots, seen, &timestamp, Instant::UNIX_EPOCH).map_err(refused)?;
        if overtaken {
            terminal::warn(&format!(
                "what was last published from here is no longer in {}: another publisher wrote over it; see what is missing",
                store.describe()
            ));
        }
        let version = fresh_timestamp.snapshot_file().version;
        let snapshot = Arc::new(file(store, &Role::Snapshot, version, limits::SNAPSHOT_BYTES)?);
        let fresh = fresh_timestamp.snapshot(None, &snapshot).map_err(refused)?;
        let version = fresh.targets_file(&Role::Targets).map_err(refused)?.version;
        let targets = Arc::new(file(store, &Role::Targets, version, limits::TARGETS_BYTES)?);
        let known = receipt(repository).and_then(|receipt| fresh.targets_known(&receipt, &targets));
        let trusted = known.map_or_else(|| fresh.targets_shared(&targets), Ok).map_err(refused)?;
        let statement = Statement { bytes: targets, version: trusted.version(), expires: trusted.expires() };
        Ok(Self {
            root: fresh.timestamp().root().document().clone(),
            timestamp: Statement {
                bytes: Arc::new(timestamp),
                version: fresh.timestamp().version(),
                expires: fresh.timestamp().expires(),
            },
            snapshot: Statement { bytes: snapshot, version: fresh.version(), expires: fresh.expires() },
            targets: Arc::new(Loaded { statement, trusted, delegator: None }),
            delegated: RefCell::default(),
            store,
            token,
            overtaken,
            roots,
            fresh,
        })
    }

    pub(crate) fn store(&self) -> &'s dyn Store {
        self.store
    }

    /// The latest root's document.
    pub(crate) fn root_bytes(&self) -> &[u8] {
        self.roots.last().map_or(&[], Vec::as_slice)
    }

    /// The top-level targets.
    pub(crate) fn targets(&self) -> &Loaded {
        &self.targets
    }

    /// What a name means: what a client finds.
    pub(crate) fn target(&self, path: &str) -> Result<Option<Target>, Failure> {
        Ok(self.find(path)?.map(|(_, target)| target))
    }

    /// The role that a client finds a name in, and what it says.
    pub(crate) fn find(&self, path: &str) -> Result<Option<(Role, Target)>, Failure> {
        let top = &self.targets.trusted;
        let listed = |role: &TrustedTargets| Some((role.role().clone(), role.document().target(path)?));
        if let Some(found) = listed(top) {
            return Ok(Some(found));
        }
        if ends_search(top) {
            return Ok(None);
        }
        if let Some(bin) = only_bin(top, path) {
            let bin = self.load(&self.targets, &bin)?;
            if ends_search(&bin.trusted) {
                return Ok(listed(&bin.trusted));
            }
        }
        let mut search = self.fresh.search(self.targets.trusted.clone(), path);
        loop {
            match search.step().map_err(|refusal| self.refused(&refusal))? {
                Step::Found { target, chain } => {
                    let role = chain.last().map_or(Role::Targets, |last| last.role().clone());
                    return Ok(Some((role, target)));
                }
                Step::NotFound(_) => return Ok(None),
                Step::Need(wanted) => {
                    let known = self.delegated.borrow().get(wanted.role.name()).cloned();
                    if known.is_some_and(|known| search.supply_still(&known.trusted).is_some()) {
                        continue;
                    }
                    let version = wanted.file.version;
                    let bytes = Arc::new(file(self.store, &wanted.role, version, limits::TARGETS_BYTES)?);
                    let trusted = search.supply_shared(&bytes).map_err(|refusal| self.refused(&refusal))?;
                    self.keep(bytes, trusted, None);
                }
            }
        }
    }

    /// A targets role by its name, wherever it is delegated; `None` where nobody delegates to it.
    pub(crate) fn role(&self, role: &Role) -> Result<Option<Arc<Loaded>>, Failure> {
        if *role == Role::Targets {
            return Ok(Some(Arc::clone(&self.targets)));
        }
        let Some(delegator) = self.delegator(role.name())? else { return Ok(None) };
        self.load(&delegator, role.name()).map(Some)
    }

    /// The role that delegates to the one of this name. The top-level targets are asked first, then those
    /// below, level by level.
    fn delegator(&self, name: &str) -> Result<Option<Arc<Loaded>>, Failure> {
        let mut level = vec![Arc::clone(&self.targets)];
        let mut seen = BTreeSet::new();
        while !level.is_empty() {
            let mut below = Vec::new();
            for loaded in level {
                let Some(delegations) = &loaded.trusted.document().delegations else { continue };
                if delegations.keys_of(name).is_some() {
                    return Ok(Some(loaded));
                }
                for role in named(delegations) {
                    if seen.insert(role.clone()) {
                        below.push(self.load(&loaded, &role)?);
                    }
                }
            }
            level = below;
        }
        Ok(None)
    }

    /// Every delegated role, with the one that delegates to it: level by level. Bins are roles as well, and
    /// are visited only where `bins` says so.
    pub(crate) fn delegated(&self, bins: bool) -> Result<Vec<Arc<Loaded>>, Failure> {
        let mut all = Vec::new();
        let mut level = vec![Arc::clone(&self.targets)];
        let mut seen = BTreeSet::new();
        while !level.is_empty() {
            let mut below = Vec::new();
            for loaded in level {
                let Some(delegations) = &loaded.trusted.document().delegations else { continue };
                let names = if bins { every(delegations) } else { named(delegations) };
                for name in names {
                    if seen.insert(name.clone()) {
                        below.push(self.load(&loaded, &name)?);
                    }
                }
            }
            all.extend(below.iter().cloned());
            level = below;
        }
        Ok(all)
    }

    fn load(&self, delegator: &Loaded, name: &str) -> Result<Arc<Loaded>, Failure> {
        if let Some(known) = self.delegated.borrow().get(name).filter(|known| known.delegator.is_some()) {
            return Ok(Arc::clone(known));
        }
        let role = Role::of_targets(name);
        let version = self.fresh.targets_file(&role).map_err(|refusal| self.refused(&refusal))?.version;
        let bytes = Arc::new(file(self.store, &role, version, limits::TARGETS_BYTES)?);
        let trusted = self
            .fresh
            .delegated_shared(&delegator.trusted, name, &bytes)
            .map_err(|refusal| self.refused(&refusal))?;
        Ok(self.keep(bytes, trusted, Some(delegator.trusted.role().clone())))
    }

    fn keep(&self, bytes: Arc<Vec<u8>>, trusted: TrustedTargets, delegator: Option<Role>) -> Arc<Loaded> {
        let name = trusted.role().name().to_owned();
        let statement = Statement { bytes, version: trusted.version(), expires: trusted.expires() };
        let loaded = Arc::new(Loaded { statement, trusted, delegator });
        self.delegated.borrow_mut().insert(name, Arc::clone(&loaded));
        loaded
    }

    /// Whether the snapshot lists a role.
    pub(crate) fn lists(&self, role: &Role) -> bool {
        self.fresh.targets_file(role).is_ok()
    }

    /// Everything that the top-level targets and the named roles list. What bins list is left out.
    pub(crate) fn listed(&self) -> Result<Vec<(String, Target)>, Failure> {
        let mut all: Vec<(String, Target)> = self.targets.trusted.document().targets().collect();
        for loaded in self.delegated(false)? {
            all.extend(loaded.trusted.document().targets());
        }
        Ok(all)
    }

    /// A file of this state, as it is served.
    pub(crate) fn file(&self, role: &Role, version: u64) -> Result<Vec<u8>, Failure> {
        file(self.store, role, version, limits::TARGETS_BYTES)
    }

    fn refused(&self, refusal: &Refusal) -> Failure {
        damaged(self.store).detail(refusal)
    }
}

impl Loaded {
    /// The document, to change it.
    pub(crate) fn document(&self) -> Result<Document, Failure> {
        let role = self.trusted.role();
        self.trusted.to_document(&self.statement.bytes).map_err(malformed(role.name()))
    }

    /// The keys of a role that this one delegates to.
    pub(crate) fn keys_of(&self, name: &str) -> Option<Keyed> {
        let delegations = self.trusted.document().delegations.as_ref()?;
        let role_keys = delegations.keys_of(name)?;
        let listed = |id: &String| Some((id.clone(), delegations.keys.get(id)?.clone()));
        Some((role_keys.keyids.iter().filter_map(listed).collect(), role_keys))
    }
}

impl Statement {
    /// The document, to change it.
    pub(crate) fn document(&self, role: &Role) -> Result<Document, Failure> {
        let read = match role {
            Role::Root | Role::Timestamp => Document::parse(&self.bytes),
            // These may list a hundred thousand things, of which a publish changes a few.
            Role::Snapshot | Role::Targets | Role::Delegated(_) => Document::parse_listed_shared(&self.bytes),
        };
        read.map_err(malformed(role.name()))
    }
}

/// The bin of a path, where bins are all that is delegated to (TAP 15): of a million names each is found so, and
/// the search of 5.6.7, which comes to the same, takes ten times as long.
pub(crate) fn only_bin(top: &TrustedTargets, path: &str) -> Option<String> {
    let delegations = top.document().delegations.as_ref()?;
    let bins = delegations.succinct_roles.as_ref()?;
    delegations.roles().next().is_none().then(|| bins.bin_of(path))
}

/// Paths of one bin are beside each other in this order, whatever the number of bins.
pub(crate) fn bin_order(path: &str) -> u64 {
    tuf_core::hash::sha256(path.as_bytes()).first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// Whether a search that comes here goes no further.
pub(crate) fn ends_search(role: &TrustedTargets) -> bool {
    role.document().delegations.is_none()
}

/// The roles that are delegated to by name, and not by the hash of a path.
pub(crate) fn named(delegations: &Delegations) -> Vec<String> {
    delegations.roles_by_path().map(|role| role.name).collect()
}

/// A mark for every 32nd name, of up to ten digits: four times what the largest targets have.
const RECEIPT_MAX: u64 = 32 << 20;

/// A snapshot of the size that is read lists fewer: whoever delegates to more has bins that it doesn't list.
const BINS: usize = 1 << 20;

/// The roles that are delegated to, bins too.
pub(crate) fn every(delegations: &Delegations) -> Vec<String> {
    let bins = delegations.succinct_roles.as_ref();
    let bins = bins.map(|bins| tuf_core::authoring::bin_names(&bins.name_prefix, bins.bit_length).take(BINS));
    delegations.roles().map(|role| role.name).chain(bins.into_iter().flatten()).collect()
}

/// tuf-core's own client workflow, up to the timestamp: bootstrap, roots, timestamp.
fn weigh_timestamp(
    roots: &[Vec<u8>],
    seen: Seen<'_>,
    timestamp: &[u8],
    now: Instant,
) -> Result<tuf_core::FreshTimestamp, Refusal> {
    let (first, later) = roots.split_first().map_or((&[][..], &[][..]), |(first, rest)| (first, rest));
    let mut root = TrustedRoot::bootstrap(first, now, checked::provider())?;
    for bytes in later {
        root = root.next(bytes)?;
    }
    let root = root.resumed().current()?;
    // What was signed by keys that were rotated away is forgotten, as a client forgets it (5.3.11).
    let seen = seen.timestamp.and_then(|bytes| root.remembered(bytes).ok());
    root.timestamp(seen.as_ref(), timestamp)
}

/// tuf-core's own client workflow over the top-level documents of a state.
pub(crate) fn weigh(
    roots: &[Vec<u8>],
    seen: Seen<'_>,
    next: State<'_>,
    now: Instant,
) -> Result<(FreshSnapshot, TrustedTargets), Refusal> {
    let timestamp = weigh_timestamp(roots, seen, next.timestamp, now)?;
    let seen = seen.snapshot.and_then(|bytes| timestamp.remembered(bytes).ok());
    let snapshot = timestamp.snapshot(seen.as_ref(), next.snapshot)?;
    let targets = snapshot.targets_shared(next.targets)?;
    Ok((snapshot, targets))
}

/// Whether another publisher's timestamp of the same version stands where ours did: a place couldn't keep one of
/// two from overwriting the other. Clients go on from what is there, and so do we.
fn is_overtaken(last: &[u8], there: &[u8]) -> bool {
    let version = |bytes: &[u8]| Document::parse(bytes).ok().map(|document| document.version());
    last != there && version(last).is_some() && version(last) == version(there)
}

fn last_timestamp(repository: &Repository) -> Result<Option<Vec<u8>>, Failure> {
    let path = repository.timestamp();
    if path.exists() { files::read(&path, limits::TIMESTAMP_BYTES).map(Some) } else { Ok(None) }
}

/// What was kept of the targets that were last published from here. Without one that can be read, and is of these
/// bytes and keys, they are weighed again.
fn receipt(repository: &Repository) -> Option<Receipt> {
    let path = repository.receipt();
    let bytes = path.exists().then(|| files::read(&path, RECEIPT_MAX))?.ok()?;
    Receipt::from_bytes(&bytes)
}

/// Our own first root, then what is published after it.
fn roots(repository: &Repository, store: &dyn Store) -> Result<Vec<Vec<u8>>, Failure> {
    let own = repository.root();
    let first = files::read(&own, limits::ROOT_BYTES).map_err(|failure| {
        failure.hint("root.json is the root that this repository began with: restore it")
    })?;
    let version = Document::parse(&first).map_err(malformed("root"))?.version();
    let mut roots = vec![first];
    for step in 1..=u64::from(limits::ROOT_STEPS) {
        let name = metadata_file_name("root", Some(version.saturating_add(step)));
        match store.metadata(&name, limits::ROOT_BYTES).map_err(|error| unreadable(store, &error))? {
            Some(bytes) => roots.push(bytes),
            None => break,
        }
    }
    Ok(roots)
}

fn file(store: &dyn Store, role: &Role, version: u64, limit: u64) -> Result<Vec<u8>, Failure> {
    let name = metadata_file_name(role.name(), Some(version));
    let bytes = store.metadata(&name, limit).map_err(|error| unreadable(store, &error))?;
    bytes.ok_or_else(|| damaged(store).detail(format!("expected {name}, got nothing")))
}

/// The version that a document states of a file; not trusted before the whole was weighed.
pub(crate) fn stated(document: &Document, file: &str) -> Option<u64> {
    document.signed().get("meta")?.get(file)?.get("version").and_then(Value::as_u64)
}

pub(crate) fn malformed<E: std::fmt::Display>(role: &str) -> impl Fn(E) -> Failure {
    move |why| Failure::refused(format!("the published {role} is malformed: {why}"))
}

fn unreadable(store: &dyn Store, error: &StoreError) -> Failure {
    Failure::of_store(store, error)
}

fn damaged(store: &dyn Store) -> Failure {
    Failure::refused(format!("what is published in {} doesn't verify", store.describe()))
        .hint("nothing was changed. Restore it from a copy, or from where it is served")
}
