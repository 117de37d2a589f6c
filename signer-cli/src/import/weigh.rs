//! What a client says of a repository that is to be taken over: `tuf_core`'s own workflow, from the root that
//! the user named to every delegated role.

use std::collections::BTreeSet;
use std::path::Path;

use tuf_core::authoring::Document;
use tuf_core::schema::Root;
use tuf_core::{FreshSnapshot, Instant, Refusal, Role, TrustedRoot, TrustedTargets, crypto, limits};

use super::source::Source;
use crate::edit::short;
use crate::failure::Failure;
use crate::published::every;

/// Roots by their versions, in order.
pub(crate) type Roots = Vec<(u64, Vec<u8>)>;

/// A whole state that a client accepts now. To hold one is to know that it was weighed.
#[derive(Debug)]
pub(crate) struct Adopted {
    /// From the one that the user named to the newest.
    pub(crate) roots: Roots,
    pub(crate) root: Root,
    pub(crate) timestamp: Vec<u8>,
    pub(crate) snapshot: Vec<u8>,
    pub(crate) fresh: FreshSnapshot,
    /// The targets first, then level by level what they delegate to.
    pub(crate) roles: Vec<Adoptee>,
}

/// A targets role.
#[derive(Debug)]
pub(crate) struct Adoptee {
    pub(crate) bytes: Vec<u8>,
    pub(crate) trusted: TrustedTargets,
    pub(crate) delegator: Option<Role>,
}

/// Weighs what is there under the root that the user named.
pub(crate) fn weigh(source: &Source, first: Vec<u8>, file: &Path, now: Instant) -> Result<Adopted, Failure> {
    let root = TrustedRoot::bootstrap(&first, now, crypto::default()).map_err(|refusal| {
        Failure::refused(format!("{} can't be trusted", file.display()))
            .detail(&refusal)
            .with_details(unusable_keys(&first, &Role::Root))
            .hint("--root names a root that you know to be right: ask its owner, or take it from a client")
    })?;
    let (root, roots) = walk(source, root, first)?;
    let newest = roots.last().map(|(_, bytes)| bytes.clone()).unwrap_or_default();
    let refused = |refusal: Refusal| refused(source, &refusal, &newest);

    let root = root.resumed().current().map_err(refused)?;
    let timestamp = source.timestamp(limits::TIMESTAMP_BYTES)?;
    let stamped = root.timestamp(None, &timestamp).map_err(refused)?;
    let snapshot = file_of(source, &Role::Snapshot, stamped.snapshot_file().version, limits::SNAPSHOT_BYTES)?;
    let fresh = stamped.snapshot(None, &snapshot).map_err(refused)?;
    let version = fresh.targets_file(&Role::Targets).map_err(refused)?.version;
    let bytes = file_of(source, &Role::Targets, version, limits::TARGETS_BYTES)?;
    let trusted = fresh.targets(&bytes).map_err(refused)?;
    let mut roles = vec![Adoptee { bytes, trusted, delegator: None }];
    let mut seen = BTreeSet::new();
    let mut at = 0_usize;
    while let Some(by) = roles.get(at).map(|one| one.trusted.clone()) {
        at = at.saturating_add(1);
        let Some(delegations) = &by.document().delegations else { continue };
        for name in every(delegations) {
            if seen.insert(name.clone()) {
                let role = Role::of_targets(&name);
                let version = fresh.targets_file(&role).map_err(refused)?.version;
                let bytes = file_of(source, &role, version, limits::TARGETS_BYTES)?;
                let trusted = fresh.delegated(&by, &name, &bytes).map_err(refused)?;
                roles.push(Adoptee { bytes, trusted, delegator: Some(by.role().clone()) });
            }
        }
    }
    Ok(Adopted { roots, root: root.document().clone(), timestamp, snapshot, fresh, roles })
}

/// 5.3: to the newest root, each signed by the one before.
fn walk(source: &Source, mut root: TrustedRoot, first: Vec<u8>) -> Result<(TrustedRoot, Roots), Failure> {
    let mut roots = vec![(root.version(), first)];
    for _ in 0..limits::ROOT_STEPS {
        let next = root.version().saturating_add(1);
        let Some(bytes) = source.document("root", next, limits::ROOT_BYTES, &mut Vec::new())? else { break };
        let before = roots.last().map(|(_, bytes)| bytes.clone()).unwrap_or_default();
        root = root.next(&bytes).map_err(|refusal| refused(source, &refusal, &before))?;
        roots.push((next, bytes));
    }
    let (newest, last) = (root.version(), source.last_root());
    if last > newest {
        let missing = newest.saturating_add(1);
        let what = match last == missing {
            true => format!("{missing}.root.json is there, and holds another version than {missing}"),
            false => {
                format!("the roots have a gap: {last}.root.json is there, and {missing}.root.json is not")
            }
        };
        return Err(not_imported(source)
            .detail(what)
            .hint("put the missing roots back, or name a later root that you know to be right with --root"));
    }
    Ok((root, roots))
}

fn file_of(source: &Source, role: &Role, version: u64, limit: u64) -> Result<Vec<u8>, Failure> {
    let mut seen = Vec::new();
    let found = source.document(role.name(), version, limit, &mut seen)?;
    found.ok_or_else(|| {
        let got = if seen.is_empty() { "nothing".to_owned() } else { seen.join(", ") };
        not_imported(source)
            .detail(format!("expected version {version} of {role}, got {got}"))
            .hint("copy the whole of what is served, of one moment")
    })
}

fn not_imported(source: &Source) -> Failure {
    Failure::refused(format!("{} was not imported: clients would refuse it", source.metadata.display()))
}

fn refused(source: &Source, refusal: &Refusal, root: &[u8]) -> Failure {
    let failure = not_imported(source).detail(refusal).with_details(unusable_keys(root, &refusal.role));
    match refusal.to_string() {
        text if text.contains("expired") => failure.hint(
            "sign it anew with the program that made it; then import. If only this clock is wrong, set it",
        ),
        text if text.contains("not there") || text.contains("in snapshot") => {
            failure.hint("let the role sign first, or take its delegation away; then import")
        }
        _ => failure.hint("see that --root is the root of this repository, and that all of it was copied"),
    }
}

/// The keys of a top-level role that no client here can check, and why: the likeliest reason that signatures
/// are missing.
fn unusable_keys(root: &[u8], role: &Role) -> Vec<String> {
    let keys = Document::parse(root).ok().and_then(|root| root.keys_of(role));
    let keys = keys.map(|(keys, _)| keys).unwrap_or_default();
    let why = |(id, key): (&String, &tuf_core::key::Key)| {
        let why = key.material().err()?;
        Some(format!("key {} of {role} can't be used: {why}", short(id)))
    };
    keys.iter().filter_map(why).collect()
}
