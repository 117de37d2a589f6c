//! The next state of the repository: signed, weighed as a client will, and only then written.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use oci_image::Digest;
use publish_store::{StoreError, Token};
use serde_json::Value;
use tuf_core::authoring::{Document, meta_of};
use tuf_core::schema::{MetaFile, Target};
use tuf_core::{
    FreshSnapshot, Instant, Receipt, Role, Step, TrustedTargets, consistent_target_name, metadata_file_name,
};

use crate::config::Config;
use crate::failure::Failure;
use crate::files::{self, Readers};
use crate::key_ring::KeyRing;
use crate::parallel;
use crate::progress::Progress;
use crate::proposal::{KeySet, Planned, Proposal, Proposed, Why, free_version};
use crate::published::{Published, Seen, State, bin_order, ends_search, only_bin, stated, weigh};
use crate::repository::Repository;
use crate::terminal;

/// Above so many delegated roles the snapshot states only their versions: with lengths and hashes every
/// client would download three times as much (section 4.4 leaves both out where they cost too much).
const STATED_IN_FULL: usize = 64;

/// Targets of this size take longer to weigh than to read.
const LARGE: usize = 1 << 20;

/// The targets roles of a new state, each weighed under the one that leads to it.
type Weighed = BTreeMap<Role, TrustedTargets>;

/// A signed document, to be written.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) role: Role,
    pub(crate) version: u64,
    pub(crate) expires: Instant,
    pub(crate) why: Why,
    /// Who delegates to it.
    delegator: Option<Role>,
    bytes: Arc<Vec<u8>>,
}

/// A whole next state that a client accepts. To hold one is to know that it was weighed.
#[derive(Debug)]
pub(crate) struct Draft {
    /// In the order of writing: delegated roles, targets, snapshot, timestamp, root.
    pub(crate) signed: Vec<Signed>,
    /// What was staged, and is said in it.
    pub(crate) changes: Vec<Planned>,
    /// Where each role's document is in that.
    places: BTreeMap<Role, usize>,
    manifests: Vec<(String, Vec<u8>)>,
    /// Whether the root is put before clients are led on.
    root_first: bool,
    /// That large targets were weighed.
    receipt: Option<Receipt>,
}

/// What a draft starts from.
#[derive(Debug)]
pub(crate) struct Base<'b, 's> {
    pub(crate) published: &'b Published<'s>,
    pub(crate) config: &'b Config,
    pub(crate) now: Instant,
}

impl Draft {
    /// Makes, signs and weighs the state that a proposal asks for.
    pub(crate) fn make(
        mut proposal: Proposal,
        base: &Base<'_, '_>,
        manifest: impl Fn(Digest) -> Result<Vec<u8>, Failure>,
        ring: &mut KeyRing,
    ) -> Result<Self, Failure> {
        let documents = std::mem::take(&mut proposal.documents);
        let progress = Mutex::new(Progress::new("roles signed", documents.len()));
        let mut waiting = Vec::with_capacity(documents.len());
        for one in documents {
            let keys = ring.open(&one.role, &one.sets)?;
            waiting.push((keys, Mutex::new(Some(one))));
        }
        let ring_now: &KeyRing = ring;
        let signed = parallel::each(&waiting, |(keys, one)| {
            let taken = one.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(mut one) = taken else { return Err(Failure::refused("a role was signed twice")) };
            ring_now.sign_enough_with(keys, &mut one.document, &one.role, &one.sets)?;
            progress.lock().unwrap_or_else(PoisonError::into_inner).step();
            // The root says whose snapshot and timestamp are. Of the others, which may list a million names, the
            // bytes are all that is kept.
            Ok((Signed::of(&mut one), Some(one).filter(|one| one.role == Role::Root)))
        })?;
        let (signed, roots): (Vec<Signed>, Vec<Option<Proposed>>) = signed.into_iter().unzip();
        proposal.documents.extend(roots.into_iter().flatten());
        drop(progress);
        Self::finish(signed, proposal, base, manifest, ring)
    }

    /// As [`Self::make`], of a proposal that others have signed. Whoever only publishes it adds no signature
    /// to it: what is signed was looked at, with `signer ceremony sign`.
    pub(crate) fn of_signed(
        mut proposal: Proposal,
        base: &Base<'_, '_>,
        manifest: impl Fn(Digest) -> Result<Vec<u8>, Failure>,
        ring: &mut KeyRing,
    ) -> Result<Self, Failure> {
        for Proposed { role, document, sets, .. } in &proposal.documents {
            if let Some(set) = sets.iter().find(|set| set.required && !set.is_reached(role, document)) {
                return Err(ring.short_of(document, role, set));
            }
        }
        let signed = proposal.documents.iter_mut().map(Signed::of).collect();
        Self::finish(signed, proposal, base, manifest, ring)
    }

    /// What follows from the signed documents of a proposal: snapshot and timestamp, and the targets beside them.
    fn finish(
        mut signed: Vec<Signed>,
        mut proposal: Proposal,
        base: &Base<'_, '_>,
        manifest: impl Fn(Digest) -> Result<Vec<u8>, Failure>,
        ring: &mut KeyRing,
    ) -> Result<Self, Failure> {
        let changes = std::mem::take(&mut proposal.changes);
        let mut manifests = Vec::new();
        for Planned { path, change, was, .. } in &changes {
            // The bytes of what is listed are in a registry.
            let Some(digest) = change.digest().filter(|_| !change.is_listed()) else { continue };
            match manifest(digest) {
                Ok(bytes) => manifests.push((consistent_target_name(path, &digest.hex()), bytes)),
                // What is said of it changes, and its bytes are where they were.
                Err(_) if *was == Some(digest) => {}
                Err(failure) => return Err(failure),
            }
        }
        let root = signed.pop_if(|last| last.role == Role::Root);
        if let Some(snapshot) = base.snapshot(&signed, &proposal, ring)? {
            signed.push(snapshot);
        }
        signed.push(base.timestamp(&signed, &proposal, root.as_ref(), ring)?);
        signed.extend(root);
        let mut draft = Self::holding(signed, changes, manifests);
        draft.receipt = draft.weigh(base)?;
        draft.root_first = draft.root_may_be_first(base.published);
        Ok(draft)
    }

    /// Makes, signs and weighs a state that says the same for longer. The documents of the proposal may be
    /// signed already.
    pub(crate) fn refresh(
        mut proposal: Proposal,
        base: &Base<'_, '_>,
        snapshot: bool,
        ring: &mut KeyRing,
    ) -> Result<Self, Failure> {
        for Proposed { role, document, sets, .. } in &mut proposal.documents {
            ring.sign(document, role, sets)?;
        }
        let mut signed: Vec<Signed> = proposal.documents.iter_mut().map(Signed::of).collect();
        if snapshot {
            let sets = proposal.online_sets(&Role::Snapshot, base.published)?;
            signed.push(base.sign_snapshot(&signed, Why::Renewed, &sets, ring)?);
        }
        signed.push(base.timestamp(&signed, &proposal, None, ring)?);
        let mut draft = Self::holding(signed, Vec::new(), Vec::new());
        draft.receipt = draft.weigh(base)?;
        Ok(draft)
    }

    /// Writes it: what clients are led to first, what leads them there last. A crash between two writes
    /// leaves them with the old state, and the next publish begins again.
    pub(crate) fn write(&self, base: &Base<'_, '_>) -> Result<Token, StoreError> {
        let store = base.published.store();
        for (name, bytes) in &self.manifests {
            store.put_target(name, bytes)?;
        }
        let mut roots = Vec::new();
        let mut timestamp: &[u8] = &[];
        let mut versioned = Vec::new();
        for Signed { role, version, bytes, .. } in &self.signed {
            let name = metadata_file_name(role.name(), Some(*version));
            match role {
                Role::Timestamp => timestamp = bytes,
                Role::Root => roots.push((name, bytes.to_vec())),
                _ => versioned.push((name, bytes)),
            }
        }
        match versioned.as_slice() {
            few if few.len() < 8 => {
                few.iter().try_for_each(|(name, bytes)| store.put_metadata(name, bytes))?;
            }
            many => {
                let mut files = many.iter().map(|(name, bytes)| (name.clone(), bytes.to_vec()));
                let progress = RefCell::new(Progress::new("files written", many.len()));
                let written = |done| progress.borrow_mut().at(usize::try_from(done).unwrap_or(usize::MAX));
                store.put_all_metadata(&mut files, &written)?;
            }
        }
        if self.root_first {
            for (name, bytes) in &roots {
                store.put_metadata(name, bytes)?;
            }
        }
        store.advance(Some(&base.published.token), timestamp, &roots)
    }

    /// The timestamp that this leads clients to.
    pub(crate) fn timestamp(&self) -> &[u8] {
        let timestamp = self.signed.iter().find(|one| one.role == Role::Timestamp);
        timestamp.map_or(&[], |timestamp| &timestamp.bytes)
    }

    fn holding(signed: Vec<Signed>, changes: Vec<Planned>, manifests: Vec<(String, Vec<u8>)>) -> Self {
        let places = signed.iter().enumerate().map(|(at, one)| (one.role.clone(), at)).collect();
        Self { signed, changes, places, manifests, root_first: false, receipt: None }
    }

    fn bytes_of(&self, role: &Role) -> Option<&Arc<Vec<u8>>> {
        Some(&self.signed.get(*self.places.get(role)?)?.bytes)
    }

    /// Clients that take names without versions must not meet a timestamp that leads to a name with one, and what
    /// stands now is there under both. So the root comes first there, if it trusts the keys of what stands: else
    /// nobody could go on from it, were this the last write.
    fn root_may_be_first(&self, published: &Published<'_>) -> bool {
        let standing = State {
            timestamp: &published.timestamp.bytes,
            snapshot: &published.snapshot.bytes,
            targets: &published.targets().statement.bytes,
        };
        let mut roots = published.roots.clone();
        roots.extend(self.bytes_of(&Role::Root).map(|root| root.to_vec()));
        !published.root.consistent_snapshot
            && weigh(&roots, Seen::default(), standing, Instant::UNIX_EPOCH).is_ok()
    }

    /// Notes what was published, so that nobody can lead us back behind it.
    pub(crate) fn remember(&self, repository: &Repository) -> Result<(), Failure> {
        files::replace(&repository.timestamp(), self.timestamp(), Readers::Everyone)?;
        let Some(receipt) = &self.receipt else { return Ok(()) };
        // Without it the next publish takes longer, and that is all.
        if files::replace(&repository.receipt(), &receipt.to_bytes(), Readers::Owner).is_err() {
            terminal::note("receipt.json can't be written: the next publish weighs everything anew");
        }
        Ok(())
    }

    /// Nothing is published that a client would refuse, or in which it would not find what was added.
    fn weigh(&self, base: &Base<'_, '_>) -> Result<Option<Receipt>, Failure> {
        let published = base.published;
        let next = State {
            timestamp: self.bytes_of(&Role::Timestamp).unwrap_or(&published.timestamp.bytes),
            snapshot: self.bytes_of(&Role::Snapshot).unwrap_or(&published.snapshot.bytes),
            targets: self.bytes_of(&Role::Targets).unwrap_or(&published.targets().statement.bytes),
        };
        let seen =
            Seen { timestamp: Some(&published.timestamp.bytes), snapshot: Some(&published.snapshot.bytes) };
        let mut roots = published.roots.clone();
        roots.extend(self.bytes_of(&Role::Root).map(|root| root.to_vec()));
        let (fresh, targets) =
            weigh(&roots, seen, next, base.now).map_err(|refusal| not_publishable(&refusal))?;
        if !fresh.timestamp().root().consistent_snapshot()
            && self.signed.iter().any(|one| one.role != Role::Timestamp)
        {
            return Err(not_publishable(
                &"expected a root that names files by version and hash, got one that doesn't",
            )
            .hint("`signer publish` signs such a root first; it needs the keys of root"));
        }
        let weighed = self.weigh_delegated(&fresh, &targets, published)?;
        let mut in_order: Vec<&Planned> = self.changes.iter().collect();
        in_order.sort_by_cached_key(|one| bin_order(&one.path));
        let mut in_bins: Vec<(&TrustedTargets, Vec<&Planned>)> = Vec::new();
        let mut left = in_order.into_iter().peekable();
        while let Some(one) = left.next() {
            let bin = only_bin(&targets, &one.path);
            let mut changes = vec![one];
            while let Some(next) = left.next_if(|next| bin.is_some() && only_bin(&targets, &next.path) == bin)
            {
                changes.push(next);
            }
            let bin = bin.and_then(|bin| weighed.get(&Role::Delegated(bin)));
            if let Some(bin) = bin.filter(|bin| targets.document().count() == 0 && ends_search(bin)) {
                in_bins.push((bin, changes));
                continue;
            }
            for one in changes {
                one.expect_said(self.find(&fresh, &weighed, &one.path, published)?.as_ref())?;
            }
        }
        parallel::each(&in_bins, |(bin, changes)| expect_listed(bin, changes.clone()))?;
        let large = self.bytes_of(&Role::Targets).filter(|bytes| bytes.len() >= LARGE);
        Ok(large.and_then(|bytes| targets.receipt(bytes)))
    }

    /// Each delegated role that signed, under the one that leads to it in the new state.
    fn weigh_delegated(
        &self,
        fresh: &FreshSnapshot,
        targets: &TrustedTargets,
        published: &Published<'_>,
    ) -> Result<Weighed, Failure> {
        let mut trusted = BTreeMap::from([(Role::Targets, targets.clone())]);
        let mut waiting: Vec<&Signed> = self.signed.iter().filter(|one| one.delegator.is_some()).collect();
        while !waiting.is_empty() {
            let (mut ready, mut later) = (Vec::new(), Vec::new());
            for one in waiting {
                let Some(delegator) = &one.delegator else { continue };
                let under = match trusted.get(delegator) {
                    Some(under) => Some(under.clone()),
                    None if self.places.contains_key(delegator) => None,
                    None => published.role(delegator)?.map(|loaded| loaded.trusted.clone()),
                };
                match under {
                    Some(under) => ready.push((one, under)),
                    None => later.push(one),
                }
            }
            if let (true, Some(one)) = (ready.is_empty(), later.first()) {
                return Err(not_publishable(&format!("nothing leads to {}", one.role)));
            }
            let weighed = parallel::each(&ready, |(one, under)| {
                fresh
                    .delegated_shared(under, one.role.name(), &one.bytes)
                    .map_err(|refusal| not_publishable(&refusal))
            })?;
            trusted.extend(weighed.into_iter().map(|one| (one.role().clone(), one)));
            waiting = later;
        }
        Ok(trusted)
    }

    /// What a client finds in the new state.
    fn find(
        &self,
        fresh: &FreshSnapshot,
        weighed: &Weighed,
        path: &str,
        published: &Published<'_>,
    ) -> Result<Option<Target>, Failure> {
        let refused = |refusal: tuf_core::Refusal| not_publishable(&refusal);
        let Some(targets) = weighed.get(&Role::Targets) else { return Ok(None) };
        let mut search = fresh.search(targets.clone(), path);
        loop {
            match search.step().map_err(refused)? {
                Step::Found { target, .. } => return Ok(Some(target)),
                Step::NotFound(_) => return Ok(None),
                Step::Need(wanted) => {
                    // What was weighed just now isn't weighed for each of its names.
                    let known = weighed.get(&wanted.role);
                    if known.is_some_and(|known| search.supply_still(known).is_some()) {
                        continue;
                    }
                    let bytes = match self.bytes_of(&wanted.role) {
                        Some(bytes) => Arc::clone(bytes),
                        None => Arc::new(published.file(&wanted.role, wanted.file.version)?),
                    };
                    search.supply_shared(&bytes).map_err(refused)?;
                }
            }
        }
    }
}

/// Of a bin many names change, so that it is read through once.
fn expect_listed(bin: &TrustedTargets, mut changes: Vec<&Planned>) -> Result<(), Failure> {
    changes.sort_by_key(|one| &one.path);
    let mut listed = bin.document().targets().peekable();
    for one in changes {
        while listed.next_if(|(path, _)| **path < *one.path).is_some() {}
        let found = listed.next_if(|(path, _)| **path == *one.path);
        one.expect_said(found.as_ref().map(|(_, target)| target))?;
    }
    Ok(())
}

impl Planned {
    /// Refuses a state in which a client finds something else.
    fn expect_said(&self, found: Option<&Target>) -> Result<(), Failure> {
        match self.change.is_said(found) {
            true => Ok(()),
            false => Err(not_publishable(&format!("{} is not listed as it was staged", self.path))),
        }
    }
}

impl Signed {
    fn of(one: &mut Proposed) -> Self {
        let delegator = one.delegator.clone();
        Self { delegator, ..Self::from(&one.role, &mut one.document, one.why) }
    }

    fn from(role: &Role, document: &mut Document, why: Why) -> Self {
        Self {
            role: role.clone(),
            version: document.version(),
            expires: document.expires().unwrap_or(Instant::UNIX_EPOCH),
            why,
            delegator: None,
            bytes: Arc::new(document.take_bytes()),
        }
    }

    /// The document, to look at.
    pub(crate) fn document(&self) -> Result<Document, Failure> {
        Document::parse(&self.bytes).map_err(Failure::refused)
    }

    fn meta(&self, in_full: bool) -> MetaFile {
        match in_full {
            true => meta_of(self.version, &self.bytes),
            false => MetaFile { version: self.version, length: None, hashes: None },
        }
    }
}

impl Base<'_, '_> {
    /// The snapshot, if anything in it changes or it would expire too early.
    fn snapshot(
        &self,
        signed: &[Signed],
        proposal: &Proposal,
        ring: &mut KeyRing,
    ) -> Result<Option<Signed>, Failure> {
        let role = Role::Snapshot;
        let published = self.published;
        let sets = proposal.online_sets(&role, published)?;
        let document = published.snapshot.document(&role)?;
        let why = match signed.iter().map(|one| one.why).reduce(|a, b| if b == Why::Changed { b } else { a })
        {
            Some(why) => why,
            None if published.snapshot.expires <= self.config.expiry(&Role::Timestamp, self.now) => {
                Why::Renewed
            }
            None if sets.iter().any(|set| set.required && !set.is_reached(&role, &document)) => Why::Rekeyed,
            None => return Ok(None),
        };
        self.sign_snapshot(signed, why, &sets, ring).map(Some)
    }

    fn sign_snapshot(
        &self,
        signed: &[Signed],
        why: Why,
        sets: &[KeySet],
        ring: &mut KeyRing,
    ) -> Result<Signed, Failure> {
        let role = Role::Snapshot;
        let published = self.published;
        let mut document = published.snapshot.document(&role)?;
        let listed = document.count_of("meta");
        let in_full = listed.saturating_add(signed.len()) <= STATED_IN_FULL;
        for one in signed {
            let meta = one.meta(in_full || one.role == Role::Targets);
            document.set_meta(&format!("{}.json", one.role.name()), &meta);
        }
        let version = free_version(published, &role, published.snapshot.version.saturating_add(1))?;
        document.set_version(version);
        document.set_expires(self.config.expiry(&role, self.now));
        ring.sign(&mut document, &role, sets)?;
        Ok(Signed::from(&role, &mut document, why))
    }

    fn timestamp(
        &self,
        signed: &[Signed],
        proposal: &Proposal,
        root: Option<&Signed>,
        ring: &mut KeyRing,
    ) -> Result<Signed, Failure> {
        let role = Role::Timestamp;
        let mut document = self.published.timestamp.document(&role)?;
        let snapshot = signed.iter().find(|one| one.role == Role::Snapshot);
        if let Some(snapshot) = snapshot {
            document.set_meta("snapshot.json", &snapshot.meta(true));
        }
        let why = snapshot.or(root).map_or(Why::Renewed, |one| one.why);
        document.set_version(self.published.timestamp.version.saturating_add(1));
        document.set_expires(self.config.expiry(&role, self.now));
        ring.sign(&mut document, &role, &proposal.online_sets(&role, self.published)?)?;
        // What clients are led to is what was just signed.
        debug_assert!(snapshot.is_none_or(|one| stated(&document, "snapshot.json") == Some(one.version)));
        Ok(Signed::from(&role, &mut document, why))
    }
}

pub(crate) fn not_publishable(why: &dyn std::fmt::Display) -> Failure {
    let failure = Failure::refused("the new state was not published: clients would refuse it").detail(why);
    let text = why.to_string();
    if text.starts_with("root expired") {
        return failure.hint("renew the root: `signer publish --renew root`");
    }
    failure
}

/// The `custom` member of a target, as we write it.
pub(crate) fn custom(media_type: &str, platforms: Option<Vec<String>>, previous: Option<Digest>) -> Value {
    let mut hallmark = serde_json::Map::new();
    hallmark.insert("version".into(), 1.into());
    hallmark.insert("media_type".into(), media_type.into());
    if let Some(platforms) = platforms {
        hallmark.insert("platforms".into(), platforms.into());
    }
    if let Some(previous) = previous {
        hallmark.insert("previous".into(), previous.to_string().into());
    }
    serde_json::json!({ "hallmark": hallmark })
}
