//! One update: the workflow of TUF section 5 with files read, bounded and kept.

use std::sync::Arc;
use std::time::Duration;

use oci_image::SourceError;
use thiserror::Error;
use tuf_core::crypto::{self, Verify};
use tuf_core::schema::{MetaFile, Target};
use tuf_core::{
    CurrentRoot, FreshSnapshot, FreshTimestamp, Instant, NotFound, Reason, Refusal, Role, Search, Step,
    TrustedRoot, TrustedTargets, Wanted, limits, metadata_file_name,
};

use crate::store::{ROOT_HISTORY, Store, StoreError, StoreLock};
use crate::transport::{Fetch, Fetched, Transport};

/// The most time that one file may take.
const UPDATE_TIME: Duration = Duration::from_secs(120);

/// A client of one repository, at one moment.
pub struct Client {
    root: Vec<u8>,
    transport: Arc<dyn Transport>,
    store: Box<dyn Store>,
    now: Instant,
    crypto: &'static dyn Verify,
    offline: bool,
}

/// Why an update, or a search, gave no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// A document is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A document could not be had, or what came instead can't be used.
    #[error("{role}: {error}")]
    Source {
        /// The role whose document was wanted.
        role: Role,
        /// What happened.
        error: SourceError,
    },
    /// The place has no repository.
    #[error("{at} has no TUF repository: expected {file}, got nothing")]
    NoRepository {
        /// Where it was looked for.
        at: String,
        /// The file that every repository has.
        file: String,
    },
    /// Without the network, and what is kept doesn't suffice.
    #[error("offline, and {what}")]
    Offline {
        /// What is missing, or since when it is expired.
        what: String,
    },
    /// What was accepted can't be kept, or read back.
    #[error("the trusted store failed: {0}")]
    Store(#[from] StoreError),
}

impl ClientError {
    /// Whether nothing was learnt about the repository: *could not tell*. Otherwise it is refused.
    #[must_use]
    pub fn unreachable(&self) -> bool {
        match self {
            Self::Refused(_) => false,
            Self::Source { error, .. } => error.unreachable(),
            Self::NoRepository { .. } | Self::Offline { .. } | Self::Store(_) => true,
        }
    }

    /// The role whose document was refused or wanted; the timestamp where no document was reached.
    #[must_use]
    pub fn role(&self) -> Role {
        match self {
            Self::Refused(refusal) => refusal.role.clone(),
            Self::Source { role, .. } => role.clone(),
            Self::NoRepository { .. } | Self::Offline { .. } | Self::Store(_) => Role::Timestamp,
        }
    }
}

impl Client {
    /// A client that starts from `root`, a root file that came by a way that is trusted, at every update.
    /// `now` is the time of the update (TUF 5.1).
    #[must_use]
    pub fn new(root: Vec<u8>, transport: Arc<dyn Transport>, store: Box<dyn Store>, now: Instant) -> Self {
        Self { root, transport, store, now, crypto: crypto::default(), offline: false }
    }

    /// Checks signatures with another provider than the default one.
    #[must_use]
    pub fn with_crypto(self, crypto: &'static dyn Verify) -> Self {
        Self { crypto, ..self }
    }

    /// Uses only what is kept: the transport is never asked.
    #[must_use]
    pub fn offline(self) -> Self {
        Self { offline: true, ..self }
    }

    /// Brings the repository's state up to date: TUF 5.1 to 5.6.6.
    ///
    /// # Errors
    /// When a document is refused or can't be had. What was accepted before is kept, as TUF demands;
    /// what was refused changes nothing.
    pub fn refresh(&self) -> Result<Refreshed<'_>, ClientError> {
        let lock = self.store.lock()?;
        let root = self.current_root()?;
        let timestamp = self.timestamp(&root)?;
        let snapshot = self.snapshot(&timestamp)?;
        let targets = self.targets(&snapshot)?;
        Ok(Refreshed { client: self, snapshot, targets, _lock: lock })
    }

    /// 5.2 and 5.3.
    fn current_root(&self) -> Result<CurrentRoot, ClientError> {
        let trusted = TrustedRoot::bootstrap(&self.root, self.now, self.crypto)?;
        let kept = self.kept_roots(trusted)?.resumed();
        let mut accepted = Vec::new();
        let walked = self.walk_roots(kept.clone(), &mut accepted);
        let newest = walked.as_ref().unwrap_or_else(|(reached, _)| reached);
        self.not_before_kept(newest)?;
        if newest.rotated() {
            // 5.3.11, before the roots are kept: a crash in between must not hide the rotation.
            self.store.remove("timestamp.json")?;
            self.store.remove("snapshot.json")?;
        }
        for (version, bytes) in &accepted {
            self.store.write(&old_root(*version), bytes)?;
        }
        let latest = accepted.last().map_or(&self.root, |(_, bytes)| bytes);
        let nothing_kept = self.store.read("root.json", limits::ROOT_BYTES)?.is_none();
        if nothing_kept || !accepted.is_empty() {
            self.store.write("root.json", latest)?;
        }
        let root = walked.map_err(|(_, error)| error)?;
        root.current().map_err(|refusal| self.expired_offline(refusal))
    }

    /// A root older than the one accepted last would bring back keys that were taken away. It can only
    /// come up when the history was damaged and the repository doesn't show what follows.
    fn not_before_kept(&self, newest: &TrustedRoot) -> Result<(), ClientError> {
        let kept = self.store.read("root.json", limits::ROOT_BYTES)?;
        let kept = kept.and_then(|bytes| TrustedRoot::bootstrap(&bytes, self.now, self.crypto).ok());
        match kept.map(|kept| kept.version()).filter(|kept| *kept > newest.version()) {
            Some(expected) => {
                let reason = Reason::Version { expected, got: newest.version() };
                Err(Refusal { role: Role::Root, step: "5.3.5", reason }.into())
            }
            None => Ok(()),
        }
    }

    /// The roots that were accepted before. One that doesn't follow is damage, and the walk begins there.
    fn kept_roots(&self, mut trusted: TrustedRoot) -> Result<TrustedRoot, ClientError> {
        for _ in 0..limits::ROOT_STEPS {
            let Some(bytes) =
                self.store.read(&old_root(trusted.version().saturating_add(1)), limits::ROOT_BYTES)?
            else {
                break;
            };
            let Ok(next) = trusted.next(&bytes) else { break };
            trusted = next;
        }
        Ok(trusted)
    }

    /// 5.3.3 to 5.3.9. On failure: how far it came, and why not further.
    #[expect(clippy::result_large_err, reason = "one caller, which takes it apart at once")]
    fn walk_roots(
        &self,
        mut trusted: TrustedRoot,
        accepted: &mut Vec<(u64, Vec<u8>)>,
    ) -> Result<TrustedRoot, (TrustedRoot, ClientError)> {
        if self.offline {
            return Ok(trusted);
        }
        for _ in 0..limits::ROOT_STEPS {
            let version = trusted.version().saturating_add(1);
            let name = metadata_file_name("root", Some(version));
            let bytes = match self.fetch(&Role::Root, &name, limits::ROOT_BYTES) {
                Ok(Some(bytes)) => bytes,
                Ok(None) => break,
                Err(error) => return Err((trusted, error)),
            };
            match trusted.next(&bytes) {
                Ok(next) => trusted = next,
                Err(refusal) => return Err((trusted, refusal.into())),
            }
            accepted.push((version, bytes));
        }
        Ok(trusted)
    }

    /// 5.4.
    fn timestamp(&self, root: &CurrentRoot) -> Result<FreshTimestamp, ClientError> {
        let kept = self.store.read("timestamp.json", limits::TIMESTAMP_BYTES)?;
        let seen = kept.and_then(|bytes| root.remembered(&bytes).ok());
        if self.offline {
            let seen =
                seen.ok_or_else(|| ClientError::Offline { what: "no timestamp is kept".to_owned() })?;
            return root.timestamp_offline(&seen).map_err(|refusal| self.expired_offline(refusal));
        }
        let bytes = self
            .fetch(&Role::Timestamp, "timestamp.json", limits::TIMESTAMP_BYTES)?
            .ok_or_else(|| self.no_repository("timestamp.json"))?;
        let timestamp = root.timestamp(seen.as_ref(), &bytes)?;
        if timestamp.is_new() {
            self.store.write("timestamp.json", &bytes)?;
        }
        Ok(timestamp)
    }

    /// 5.5: the kept snapshot where it is still the one stated, else a download.
    fn snapshot(&self, timestamp: &FreshTimestamp) -> Result<FreshSnapshot, ClientError> {
        let stated = timestamp.snapshot_file();
        let limit = bounded(stated, limits::SNAPSHOT_BYTES);
        let kept = self.store.read("snapshot.json", limits::SNAPSHOT_BYTES)?;
        if let Some(Ok(snapshot)) = kept.as_ref().map(|bytes| timestamp.snapshot(None, bytes)) {
            return Ok(snapshot);
        }
        let seen = kept.and_then(|bytes| timestamp.remembered(&bytes).ok());
        let bytes = self.stated_file(timestamp.root(), &Role::Snapshot, "5.5.1", stated, limit)?;
        let snapshot = timestamp.snapshot(seen.as_ref(), &bytes)?;
        self.store.write("snapshot.json", &bytes)?;
        Ok(snapshot)
    }

    /// 5.6.1 to 5.6.6 for the top-level targets.
    fn targets(&self, snapshot: &FreshSnapshot) -> Result<TrustedTargets, ClientError> {
        let stated = snapshot.targets_file(&Role::Targets)?;
        self.kept_or_fetched(snapshot, &Role::Targets, &stated, |file| snapshot.targets_shared(file))
    }

    fn kept_or_fetched(
        &self,
        snapshot: &FreshSnapshot,
        role: &Role,
        stated: &MetaFile,
        mut weigh: impl FnMut(&Arc<Vec<u8>>) -> Result<TrustedTargets, Refusal>,
    ) -> Result<TrustedTargets, ClientError> {
        let name = metadata_file_name(role.name(), None);
        let limit = bounded(stated, limits::TARGETS_BYTES);
        let kept = self.store.read(&name, limit)?;
        if let Some(Ok(targets)) = kept.map(|bytes| weigh(&Arc::new(bytes))) {
            return Ok(targets);
        }
        let root = snapshot.timestamp().root();
        let bytes = Arc::new(self.stated_file(root, role, "5.6.1", stated, limit)?);
        let targets = weigh(&bytes)?;
        self.store.write(&name, &bytes)?;
        Ok(targets)
    }

    /// Fetches a file that another document names, so that its absence is a broken promise.
    fn stated_file(
        &self,
        root: &CurrentRoot,
        role: &Role,
        step: &'static str,
        stated: &MetaFile,
        limit: u64,
    ) -> Result<Vec<u8>, ClientError> {
        let name = metadata_file_name(role.name(), root.consistent_snapshot().then_some(stated.version));
        if self.offline {
            return Err(ClientError::Offline { what: format!("{name} is not kept, or no longer good") });
        }
        self.fetch(role, &name, limit)?.ok_or_else(|| {
            Refusal { role: role.clone(), step, reason: Reason::Missing { file: name } }.into()
        })
    }

    fn fetch(&self, role: &Role, name: &str, limit: u64) -> Result<Option<Vec<u8>>, ClientError> {
        let wanted = Fetch { name, limit, known: None, time: UPDATE_TIME };
        match self.transport.fetch(&wanted) {
            Ok(Fetched::File { bytes, .. }) => Ok(Some(bytes)),
            Ok(Fetched::Absent | Fetched::Unchanged) => Ok(None),
            Err(error) => Err(ClientError::Source { role: role.clone(), error }),
        }
    }

    fn no_repository(&self, file: &str) -> ClientError {
        ClientError::NoRepository { at: self.transport.describe(), file: file.to_owned() }
    }

    /// Offline, an expired document says only that the network is needed again.
    fn expired_offline(&self, refusal: Refusal) -> ClientError {
        match refusal.reason {
            Reason::Expired { .. } if self.offline => ClientError::Offline { what: refusal.to_string() },
            _ => refusal.into(),
        }
    }
}

/// The name under which an accepted root is kept.
fn old_root(version: u64) -> String {
    format!("{ROOT_HISTORY}{}", metadata_file_name("root", Some(version)))
}

/// The most that is read of a file: what is stated of it, and never more than `most`. Who holds a
/// timestamp key may state any length, and must not fill our memory with it.
fn bounded(stated: &MetaFile, most: u64) -> u64 {
    stated.length.map_or(most, |length| length.min(most))
}

/// An up-to-date state of the repository. No other update of the same store runs while it lives.
pub struct Refreshed<'c> {
    client: &'c Client,
    snapshot: FreshSnapshot,
    targets: TrustedTargets,
    _lock: StoreLock,
}

/// The answer of a search.
#[derive(Debug)]
pub enum Found {
    /// A role that may speak for the path lists it.
    Target {
        /// What it says of the target.
        target: Target,
        /// The roles that lead to it, from the top-level targets to the one that lists it.
        chain: Vec<TrustedTargets>,
    },
    /// No role that may speak for the path lists it.
    Absent(NotFound),
}

impl Refreshed<'_> {
    /// The snapshot, and through it the timestamp and the root.
    #[must_use]
    pub fn snapshot(&self) -> &FreshSnapshot {
        &self.snapshot
    }

    /// The top-level targets.
    #[must_use]
    pub fn targets(&self) -> &TrustedTargets {
        &self.targets
    }

    /// Whether target files are named by their hash (TUF 5.7.3).
    #[must_use]
    pub fn consistent_snapshot(&self) -> bool {
        self.snapshot.timestamp().root().consistent_snapshot()
    }

    /// Searches for a target (TUF 5.6.7), fetching the delegated roles that may speak for it.
    ///
    /// # Errors
    /// When a delegated role's document is refused or can't be had.
    pub fn find(&self, path: &str) -> Result<Found, ClientError> {
        let mut search = self.snapshot.search(self.targets.clone(), path);
        loop {
            match search.step()? {
                Step::Need(wanted) => self.supply(&mut search, &wanted)?,
                Step::Found { target, chain } => return Ok(Found::Target { target, chain }),
                Step::NotFound(absent) => return Ok(Found::Absent(absent)),
            }
        }
    }

    fn supply(&self, search: &mut Search, wanted: &Wanted) -> Result<(), ClientError> {
        let Wanted { role, file } = wanted;
        self.client.kept_or_fetched(&self.snapshot, role, file, |bytes| search.supply_shared(bytes))?;
        Ok(())
    }
}
