//! What is published, read back and verified: a repository that was changed behind our back is not signed
//! on top of.

use std::path::Path;

use serde_json::Value;
use tuf_core::authoring::Document;
use tuf_core::schema::{Root, Target};
use tuf_core::{Instant, Refusal, Role, TrustedRoot, TrustedTargets, crypto, limits, metadata_file_name};

use crate::failure::Failure;
use crate::files;
use crate::repository::Repository;

/// The published state, verified but for its age: a publisher may come back late.
#[derive(Debug)]
pub(crate) struct Published {
    /// Roots from the first on.
    roots: Vec<Vec<u8>>,
    pub(crate) root: Root,
    pub(crate) timestamp: Statement,
    pub(crate) snapshot: Statement,
    pub(crate) targets: Statement,
    trusted: TrustedTargets,
}

/// One role's document.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) bytes: Vec<u8>,
    pub(crate) document: Document,
    pub(crate) version: u64,
    pub(crate) expires: Instant,
}

/// What a client has seen before, and compares with what it is offered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen<'s> {
    pub(crate) timestamp: Option<&'s [u8]>,
    pub(crate) snapshot: Option<&'s [u8]>,
}

/// The documents of one state, to be weighed together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct State<'s> {
    pub(crate) timestamp: &'s [u8],
    pub(crate) snapshot: &'s [u8],
    pub(crate) targets: &'s [u8],
}

impl Published {
    /// Reads and verifies what is published.
    pub(crate) fn read(repository: &Repository, now: Instant) -> Result<Self, Failure> {
        let dir = repository.metadata();
        let roots = roots(repository, &dir)?;
        let root = Document::parse(roots.last().map_or(&[], Vec::as_slice)).map_err(malformed("root"))?;
        let timestamp = document(&dir, &Role::Timestamp, None, limits::TIMESTAMP_BYTES)?;
        let snapshot_version = listed(&timestamp.1, "snapshot.json");
        let snapshot = document(&dir, &Role::Snapshot, Some(snapshot_version), limits::SNAPSHOT_BYTES)?;
        let targets_version = listed(&snapshot.1, "targets.json");
        let targets = document(&dir, &Role::Targets, Some(targets_version), limits::TARGETS_BYTES)?;

        let state = State { timestamp: &timestamp.0, snapshot: &snapshot.0, targets: &targets.0 };
        let as_of = before_expiry(now, [&root, &timestamp.1, &snapshot.1, &targets.1]);
        // Who can write to published/ alone must not get an older state signed anew.
        let last = last_timestamp(repository)?;
        let seen = Seen { timestamp: last.as_deref(), snapshot: None };
        let trusted = weigh(&roots, seen, state, as_of).map_err(|refusal| refused(&dir, &refusal))?;
        Ok(Self {
            root: root_of(&root)?,
            timestamp: Statement::of("timestamp", timestamp)?,
            snapshot: Statement::of("snapshot", snapshot)?,
            targets: Statement::of("targets", targets)?,
            roots,
            trusted,
        })
    }

    /// What a name means.
    pub(crate) fn target(&self, path: &str) -> Option<Target> {
        self.trusted.document().target(path)
    }

    /// Everything the top-level targets role says.
    pub(crate) fn listed(&self) -> impl Iterator<Item = (String, Target)> {
        self.trusted.document().targets()
    }

    /// Weighs the next state as a client does that has seen this one.
    pub(crate) fn weigh_next(&self, next: State<'_>, now: Instant) -> Result<TrustedTargets, Refusal> {
        let seen = Seen { timestamp: Some(&self.timestamp.bytes), snapshot: Some(&self.snapshot.bytes) };
        weigh(&self.roots, seen, next, now)
    }
}

impl Statement {
    fn of(role: &str, (bytes, document): (Vec<u8>, Document)) -> Result<Self, Failure> {
        let version = document.version();
        // Verified before: it has one that can be read.
        let expires = document.expires().ok_or_else(|| Failure::refused(format!("{role} has no expiry")))?;
        Ok(Self { bytes, document, version, expires })
    }
}

/// tuf-core's own client workflow over a whole state: bootstrap, roots, timestamp, snapshot, targets.
pub(crate) fn weigh(
    roots: &[Vec<u8>],
    seen: Seen<'_>,
    next: State<'_>,
    now: Instant,
) -> Result<TrustedTargets, Refusal> {
    let (first, later) = roots.split_first().map_or((&[][..], &[][..]), |(first, rest)| (first, rest));
    let mut root = TrustedRoot::bootstrap(first, now, crypto::default())?;
    for bytes in later {
        root = root.next(bytes)?;
    }
    let root = root.resumed().current()?;
    // What was signed by keys that were rotated away is forgotten, as a client forgets it (5.3.11).
    let seen_timestamp = seen.timestamp.and_then(|bytes| root.remembered(bytes).ok());
    let timestamp = root.timestamp(seen_timestamp.as_ref(), next.timestamp)?;
    let seen_snapshot = seen.snapshot.and_then(|bytes| timestamp.remembered(bytes).ok());
    timestamp.snapshot(seen_snapshot.as_ref(), next.snapshot)?.targets(next.targets)
}

fn last_timestamp(repository: &Repository) -> Result<Option<Vec<u8>>, Failure> {
    let path = repository.timestamp();
    if path.exists() { files::read(&path, limits::TIMESTAMP_BYTES).map(Some) } else { Ok(None) }
}

/// The time at which the state was last whole. What it says is verified as of then; whether it is too
/// old for clients is no reason not to publish a newer one.
fn before_expiry<'d>(now: Instant, documents: impl IntoIterator<Item = &'d Document>) -> Instant {
    let earliest = documents.into_iter().filter_map(Document::expires).min();
    let before = earliest.and_then(|moment| moment.checked_sub_signed(chrono::TimeDelta::seconds(1)));
    before.map_or(now, |before| now.min(before))
}

/// Our own first root, then what is published after it.
fn roots(repository: &Repository, dir: &Path) -> Result<Vec<Vec<u8>>, Failure> {
    let own = repository.root();
    let first = files::read(&own, limits::ROOT_BYTES)
        .map_err(|failure| failure.hint("root.json is the root that `signer init` made: restore it"))?;
    let version = Document::parse(&first).map_err(malformed("root"))?.version();
    let mut roots = vec![first];
    for step in 1..=u64::from(limits::ROOT_STEPS) {
        let path = dir.join(metadata_file_name("root", Some(version.saturating_add(step))));
        if !path.exists() {
            break;
        }
        roots.push(files::read(&path, limits::ROOT_BYTES)?);
    }
    Ok(roots)
}

fn document(
    dir: &Path,
    role: &Role,
    version: Option<u64>,
    limit: u64,
) -> Result<(Vec<u8>, Document), Failure> {
    let path = dir.join(metadata_file_name(role.name(), version));
    if !path.exists() {
        return Err(damaged(dir).detail(format!("expected {}, got nothing", path.display())));
    }
    let bytes = files::read(&path, limit)?;
    let document = Document::parse(&bytes).map_err(malformed(role.name()))?;
    Ok((bytes, document))
}

/// The version that a document states of a file; not trusted before the whole was weighed.
fn listed(document: &Document, file: &str) -> u64 {
    let meta = document.signed().get("meta").and_then(|meta| meta.get(file));
    meta.and_then(|meta| meta.get("version")).and_then(Value::as_u64).unwrap_or(0)
}

pub(crate) fn root_of(document: &Document) -> Result<Root, Failure> {
    serde_json::from_value(Value::Object(document.signed().clone())).map_err(malformed("root"))
}

fn malformed<E: std::fmt::Display>(role: &str) -> impl Fn(E) -> Failure {
    move |why| Failure::refused(format!("the published {role} is malformed: {why}"))
}

fn refused(dir: &Path, refusal: &Refusal) -> Failure {
    damaged(dir).detail(refusal)
}

fn damaged(dir: &Path) -> Failure {
    Failure::refused(format!("what is published in {} doesn't verify", dir.display()))
        .hint("nothing was changed. Restore published/ from a copy, or from where it is served")
}
