//! The client workflow of section 5, a type a state.
//!
//! Left out here, and done by whoever drives these types: choosing and downloading files (5.3.3, 5.4.1,
//! 5.5.1, 5.6.1, 5.7.3), bounding what is read of them, and keeping what was accepted (5.3.8, 5.4.5,
//! 5.5.7, 5.6.6). A length that a document states is checked here all the same.

mod targets;

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::num::NonZeroU32;

use crate::crypto::Verify;
use crate::envelope::Envelope;
use crate::hash;
use crate::schema::{MetaFile, RoleKeys, Root, Snapshot, Timestamp};
use crate::search::Search;
use crate::threshold::weigh;
use crate::{Instant, Reason, Refusal, Role, Signers};

pub use targets::TrustedTargets;

/// What stays the same during one update: its time (5.1) and who checks signatures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    pub(crate) now: Instant,
    pub(crate) crypto: &'static dyn Verify,
}

impl Context {
    fn unexpired(&self, role: &Role, step: &'static str, expires: Instant) -> Result<(), Refusal> {
        // "MUST be higher than the fixed update start time".
        if expires > self.now {
            return Ok(());
        }
        Err(Refusal { role: role.clone(), step, reason: Reason::Expired { expires, now: self.now } })
    }
}

/// Compares a file with what another document states of it.
fn as_stated(role: &Role, step: &'static str, stated: &MetaFile, bytes: &[u8]) -> Result<(), Refusal> {
    let refuse = |reason| Refusal { role: role.clone(), step, reason };
    let got = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if let Some(expected) = stated.length.filter(|&expected| expected != got) {
        return Err(refuse(Reason::Length { expected, got }));
    }
    match &stated.hashes {
        Some(hashes) => {
            hash::check(hashes, bytes).map_err(|(expected, got)| refuse(Reason::Hash { expected, got }))
        }
        None => Ok(()),
    }
}

/// Documents are kept as the bytes they came in.
pub(crate) fn shared(bytes: &[u8]) -> Arc<Vec<u8>> {
    Arc::new(bytes.to_vec())
}

fn exact_version(role: &Role, step: &'static str, expected: u64, got: u64) -> Result<(), Refusal> {
    if expected == got {
        return Ok(());
    }
    Err(Refusal { role: role.clone(), step, reason: Reason::Version { expected, got } })
}

/// A root we trust, not yet known to be the newest.
#[derive(Clone, Debug)]
pub struct TrustedRoot {
    context: Context,
    root: Arc<Root>,
    signers: Signers,
    /// The root that this client trusted when the update began.
    before: Arc<Root>,
    /// The lowest thresholds of timestamp and snapshot since a key of one of them was last taken away.
    least: Thresholds,
}

/// How many keys had to sign what a client may have seen.
#[derive(Clone, Copy, Debug)]
struct Thresholds {
    timestamp: NonZeroU32,
    snapshot: NonZeroU32,
}

impl Thresholds {
    fn of(root: &Root) -> Self {
        Self { timestamp: root.roles.timestamp.threshold, snapshot: root.roles.snapshot.threshold }
    }

    fn min(self, other: Self) -> Self {
        Self { timestamp: self.timestamp.min(other.timestamp), snapshot: self.snapshot.min(other.snapshot) }
    }
}

/// Whether `now` no longer has a timestamp or snapshot key that `before` had.
fn takes_away(before: &Root, now: &Root) -> bool {
    let removed = |was: &RoleKeys, is: &RoleKeys| {
        was.keyids.iter().any(|id| match before.keys.get(id) {
            Some(key) => !is.keyids.iter().any(|id| now.keys.get(id).is_some_and(|kept| kept.is(key))),
            None => false,
        })
    };
    removed(&before.roles.timestamp, &now.roles.timestamp)
        || removed(&before.roles.snapshot, &now.roles.snapshot)
}

impl TrustedRoot {
    /// 5.1 and 5.2: fixes the time of the update and starts from the root that was handed over out of
    /// band. It may be expired.
    ///
    /// # Errors
    /// Refuses a root that is malformed or not signed by a threshold of its own keys.
    pub fn bootstrap(bytes: &[u8], now: Instant, crypto: &'static dyn Verify) -> Result<Self, Refusal> {
        let (role, step) = (Role::Root, "5.2");
        let envelope = Envelope::parse(&role, step, shared(bytes))?;
        let root: Root = envelope.read(&role, step)?;
        let signers = weigh(crypto, &role, step, &envelope, &root.keys, &root.roles.root)?;
        let root = Arc::new(root);
        let least = Thresholds::of(&root);
        Ok(Self { context: Context { now, crypto }, before: Arc::clone(&root), root, signers, least })
    }

    /// 5.3.4 to 5.3.7: steps to the next root. Its own expiry doesn't matter yet (5.3.6).
    ///
    /// # Errors
    /// Refuses a root below the threshold of this one's keys or of its own, or with another version
    /// than the next.
    pub fn next(&self, bytes: &[u8]) -> Result<Self, Refusal> {
        let (role, crypto) = (Role::Root, self.context.crypto);
        let envelope = Envelope::parse(&role, "5.3.4", shared(bytes))?;
        weigh(crypto, &role, "5.3.4", &envelope, &self.root.keys, &self.root.roles.root)?;
        let root: Root = envelope.read(&role, "5.3.4")?;
        let signers = weigh(crypto, &role, "5.3.4", &envelope, &root.keys, &root.roles.root)?;
        exact_version(&role, "5.3.5", self.root.version.saturating_add(1), root.version)?;
        let own = Thresholds::of(&root);
        let least = if takes_away(&self.root, &root) { own } else { self.least.min(own) };
        Ok(Self { root: Arc::new(root), signers, least, ..self.clone() })
    }

    /// Declares that the client trusted this root already before the update: what came earlier is no
    /// rotation of today.
    #[must_use]
    pub fn resumed(self) -> Self {
        Self { before: Arc::clone(&self.root), ..self }
    }

    /// 5.3.10 to 5.3.12: declares that no newer root exists.
    ///
    /// # Errors
    /// Refuses an expired root.
    pub fn current(self) -> Result<CurrentRoot, Refusal> {
        self.context.unexpired(&Role::Root, "5.3.10", self.root.expires)?;
        Ok(CurrentRoot { trusted: self })
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.root.version
    }

    /// 5.3.11: whether a timestamp or snapshot key of the root before is no longer one. Then what was
    /// trusted under it must be forgotten, so that a repository recovers from a fast-forward attack.
    #[must_use]
    pub fn rotated(&self) -> bool {
        takes_away(&self.before, &self.root)
    }
}

/// The newest root, unexpired. The only way on to a timestamp.
#[derive(Clone, Debug)]
pub struct CurrentRoot {
    trusted: TrustedRoot,
}

/// A timestamp good enough to refuse older ones, and for nothing else.
#[derive(Clone, Debug)]
pub struct Baseline {
    timestamp: Arc<Timestamp>,
    /// Where it meets today's threshold too.
    signers: Result<Signers, Refusal>,
}

impl CurrentRoot {
    /// The version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.trusted.root.version
    }

    /// When it expires.
    #[must_use]
    pub fn expires(&self) -> Instant {
        self.trusted.root.expires
    }

    /// Whose signatures it carries.
    #[must_use]
    pub fn signers(&self) -> &Signers {
        &self.trusted.signers
    }

    /// What it says.
    #[must_use]
    pub fn document(&self) -> &Root {
        &self.trusted.root
    }

    /// 5.3.12: whether files are named by version and hash.
    #[must_use]
    pub fn consistent_snapshot(&self) -> bool {
        self.trusted.root.consistent_snapshot
    }

    /// See [`TrustedRoot::rotated`].
    #[must_use]
    pub fn rotated(&self) -> bool {
        self.trusted.rotated()
    }

    fn weigh(
        &self,
        role: &Role,
        step: &'static str,
        envelope: &Envelope,
        keys: &RoleKeys,
    ) -> Result<Signers, Refusal> {
        weigh(self.trusted.context.crypto, role, step, envelope, &self.trusted.root.keys, keys)
    }

    /// Reads the timestamp that this client saw last: signatures are checked, expiry is not. Where the
    /// threshold was raised since, and no key taken away, it still refuses older ones (5.4.3): they would
    /// otherwise come back, and whoever serves them needs no key for that.
    ///
    /// # Errors
    /// Refuses a timestamp that is malformed, or below each threshold under which it can have been seen.
    /// Such a one is to be forgotten.
    pub fn remembered(&self, bytes: &[u8]) -> Result<Baseline, Refusal> {
        let (role, step) = (Role::Timestamp, "5.4.2");
        let envelope = Envelope::parse(&role, step, shared(bytes))?;
        let keys = &self.trusted.root.roles.timestamp;
        let signers = self.weigh(&role, step, &envelope, keys);
        if let Err(refusal) = &signers {
            let least = RoleKeys { threshold: self.trusted.least.timestamp, ..keys.clone() };
            self.weigh(&role, step, &envelope, &least).map_err(|_| refusal.clone())?;
        }
        Ok(Baseline { timestamp: Arc::new(envelope.read(&role, step)?), signers })
    }

    /// 5.4.2 to 5.4.4: weighs the timestamp that the repository offers. One with the version already
    /// seen changes nothing, and the seen one is kept: the ordinary quiet day is no error (5.4.3.1).
    ///
    /// # Errors
    /// Refuses one that is malformed, below threshold, older than `seen`, with an older snapshot than
    /// `seen`, or expired.
    pub fn timestamp(&self, seen: Option<&Baseline>, bytes: &[u8]) -> Result<FreshTimestamp, Refusal> {
        let role = Role::Timestamp;
        let offered = self.remembered(bytes)?;
        let (timestamp, signers) = (offered.timestamp, offered.signers?);
        let Some(seen) = seen else { return self.fresh(timestamp, signers, true) };
        let before = &seen.timestamp;
        match (timestamp.version.cmp(&before.version), &seen.signers) {
            (Ordering::Less, _) => {
                exact_version(&role, "5.4.3.1", before.version, timestamp.version)?;
            }
            (Ordering::Equal, Ok(signers)) => {
                return self.fresh(Arc::clone(before), signers.clone(), false);
            }
            (Ordering::Equal | Ordering::Greater, _) => {
                let (was, is) = (&before.meta.snapshot, &timestamp.meta.snapshot);
                not_older(&role, "5.4.3.2", "snapshot.json", was, Some(is))?;
            }
        }
        self.fresh(timestamp, signers, true)
    }

    /// For offline use: takes the timestamp seen last as the newest there is, while it is unexpired.
    ///
    /// # Errors
    /// Refuses an expired one (5.4.4), and one below today's threshold (5.4.2).
    pub fn timestamp_offline(&self, seen: &Baseline) -> Result<FreshTimestamp, Refusal> {
        self.fresh(Arc::clone(&seen.timestamp), seen.signers.clone()?, false)
    }

    fn fresh(
        &self,
        timestamp: Arc<Timestamp>,
        signers: Signers,
        new: bool,
    ) -> Result<FreshTimestamp, Refusal> {
        self.trusted.context.unexpired(&Role::Timestamp, "5.4.4", timestamp.expires)?;
        Ok(FreshTimestamp { root: self.clone(), timestamp, signers, new })
    }
}

/// `file` must still be listed, and not with an older version.
fn not_older(
    role: &Role,
    step: &'static str,
    file: &str,
    seen: &MetaFile,
    offered: Option<&MetaFile>,
) -> Result<(), Refusal> {
    if offered.is_some_and(|offered| offered.version >= seen.version) {
        return Ok(());
    }
    let got = offered.map(|offered| offered.version);
    let reason = Reason::Listed { file: file.to_string(), expected: seen.version, got };
    Err(Refusal { role: role.clone(), step, reason })
}

/// A fresh timestamp. The only way on to a snapshot.
#[derive(Clone, Debug)]
pub struct FreshTimestamp {
    root: CurrentRoot,
    timestamp: Arc<Timestamp>,
    signers: Signers,
    new: bool,
}

/// A snapshot good enough to refuse older ones, and for nothing else.
#[derive(Clone, Debug)]
pub struct SnapshotBaseline(Arc<Snapshot>);

impl FreshTimestamp {
    /// The version accepted.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.timestamp.version
    }

    /// When it expires.
    #[must_use]
    pub fn expires(&self) -> Instant {
        self.timestamp.expires
    }

    /// Whose signatures it carries.
    #[must_use]
    pub fn signers(&self) -> &Signers {
        &self.signers
    }

    /// Whether it is the offered one, to be kept (5.4.5); otherwise the one already seen still holds.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.new
    }

    /// What it says of the snapshot.
    #[must_use]
    pub fn snapshot_file(&self) -> &MetaFile {
        &self.timestamp.meta.snapshot
    }

    /// The root it hangs on.
    #[must_use]
    pub fn root(&self) -> &CurrentRoot {
        &self.root
    }

    /// Reads the snapshot that this client saw last: signatures are checked, expiry and hash are not. As
    /// for the timestamp, a threshold that was raised since makes it forget nothing.
    ///
    /// # Errors
    /// Refuses a snapshot that is malformed or below threshold. Such a one is to be forgotten.
    pub fn remembered(&self, bytes: &[u8]) -> Result<SnapshotBaseline, Refusal> {
        let (role, step) = (Role::Snapshot, "5.5.3");
        let envelope = Envelope::parse(&role, step, shared(bytes))?;
        let trusted = &self.root.trusted;
        let least = RoleKeys { threshold: trusted.least.snapshot, ..trusted.root.roles.snapshot.clone() };
        self.root.weigh(&role, step, &envelope, &least)?;
        Ok(SnapshotBaseline(Arc::new(envelope.read(&role, step)?)))
    }

    /// 5.5.2 to 5.5.6: weighs a snapshot, kept or downloaded.
    ///
    /// # Errors
    /// Refuses one that isn't the one the timestamp states, is malformed, below threshold or expired, or
    /// in which a file goes backwards or away.
    pub fn snapshot(&self, seen: Option<&SnapshotBaseline>, bytes: &[u8]) -> Result<FreshSnapshot, Refusal> {
        let (role, stated) = (Role::Snapshot, self.snapshot_file());
        as_stated(&role, "5.5.2", stated, bytes)?;
        let envelope = Envelope::parse(&role, "5.5.3", shared(bytes))?;
        let signers = self.root.weigh(&role, "5.5.3", &envelope, &self.root.trusted.root.roles.snapshot)?;
        let snapshot: Snapshot = envelope.read(&role, "5.5.3")?;
        exact_version(&role, "5.5.4", stated.version, snapshot.version)?;
        if let Some((file, expected, got)) = seen.and_then(|seen| seen.0.first_older(&snapshot)) {
            return Err(Refusal { role, step: "5.5.5", reason: Reason::Listed { file, expected, got } });
        }
        self.root.trusted.context.unexpired(&role, "5.5.6", snapshot.expires)?;
        Ok(FreshSnapshot { timestamp: self.clone(), snapshot: Arc::new(snapshot), signers })
    }
}

/// A fresh snapshot: which versions belong together now. The only way on to targets.
#[derive(Clone, Debug)]
pub struct FreshSnapshot {
    timestamp: FreshTimestamp,
    snapshot: Arc<Snapshot>,
    signers: Signers,
}

impl FreshSnapshot {
    /// The version accepted.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.snapshot.version
    }

    /// When it expires.
    #[must_use]
    pub fn expires(&self) -> Instant {
        self.snapshot.expires
    }

    /// Whose signatures it carries.
    #[must_use]
    pub fn signers(&self) -> &Signers {
        &self.signers
    }

    /// The timestamp it hangs on.
    #[must_use]
    pub fn timestamp(&self) -> &FreshTimestamp {
        &self.timestamp
    }

    /// What it says of a targets role's file.
    ///
    /// # Errors
    /// Refuses a role that isn't listed (5.6.1), and one whose keys were changed by their holders: that
    /// isn't followed here, and the old keys must not count on (TAP 8).
    pub fn targets_file(&self, role: &Role) -> Result<MetaFile, Refusal> {
        if let Some(rotation) = self.snapshot.rotation(role.name()) {
            let what = alloc::format!(
                "expected the keys that its delegation names, got others by {rotation:?} (TAP 8)"
            );
            return Err(Refusal { role: role.clone(), step: "5.6.1", reason: Reason::Malformed { what } });
        }
        let file = alloc::format!("{}.json", role.name());
        self.snapshot.file(&file).ok_or_else(|| Refusal {
            role: role.clone(),
            step: "5.6.1",
            reason: Reason::Missing { file: alloc::format!("{file} in snapshot") },
        })
    }

    /// 5.6.7: starts the search for a target.
    #[must_use]
    pub fn search(&self, targets: TrustedTargets, path: &str) -> Search {
        Search::new(self.clone(), targets, path)
    }
}
