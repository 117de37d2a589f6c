//! One update: the workflow of TUF section 5 with files read, bounded and kept. Written once, as async
//! code; a blocking transport's futures are ready at once.
//!
//! It decides nothing about a document: each is handed to `tuf-core`. What is kept is written only after
//! it was accepted.
//!
//! The order of requests is the specification's: the next root until there is none, timestamp, snapshot,
//! targets. The timestamp alone may be asked for earlier, and is weighed in its turn. Store files are read and written in the task that polls: they are small, and local.

mod ahead;
mod root;
mod targets;

use std::sync::Arc;

use tuf_core::crypto::Verify;
use tuf_core::schema::MetaFile;
use tuf_core::{
    CurrentRoot, FreshSnapshot, FreshTimestamp, Instant, Reason, Refusal, Role, TrustedTargets, limits,
    metadata_file_name,
};

use crate::clock::Clock;
use crate::error::ClientError;
use crate::face::Face;
use crate::limits::{Budget, Limits};
use crate::sources::{Absence, Answer, Ask, Sources};
use crate::store::Store;
use crate::tag::Known;

use ahead::Early;
pub(crate) use targets::{Memory, Wanted};

/// What a client was told.
pub(crate) struct Config<T: ?Sized> {
    pub(crate) root: Vec<u8>,
    pub(crate) mirrors: Vec<Arc<T>>,
    /// Where target files are.
    pub(crate) targets: Vec<Arc<T>>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) crypto: &'static dyn Verify,
    pub(crate) limits: Limits,
    pub(crate) offline: bool,
    /// Whether receipts are made and honoured.
    pub(crate) receipts: bool,
    /// Whether the timestamp is asked for before its turn.
    pub(crate) ahead: bool,
    pub(crate) memory: Arc<Memory>,
}

/// By hand: a transport need not be cloneable.
impl<T: ?Sized> Clone for Config<T> {
    fn clone(&self) -> Self {
        Self {
            root: self.root.clone(),
            mirrors: self.mirrors.clone(),
            targets: self.targets.clone(),
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            memory: Arc::default(),
            ..*self
        }
    }
}

/// What an update came to.
pub(crate) struct Accepted<T: ?Sized> {
    pub(crate) snapshot: FreshSnapshot,
    pub(crate) targets: TrustedTargets,
    pub(crate) mirrors: Arc<Sources<T>>,
}

/// An update, or a search, under way.
pub(crate) struct Session<T: ?Sized> {
    pub(crate) config: Arc<Config<T>>,
    pub(crate) mirrors: Arc<Sources<T>>,
    pub(crate) budget: Budget,
}

/// 5.1 to 5.6.6, while no other update of the same store runs.
pub(crate) async fn update<T: Face + ?Sized>(config: Arc<Config<T>>) -> Result<Accepted<T>, ClientError> {
    let lock = T::lock(Arc::clone(&config.store), config.limits.lock).await?;
    // After the wait for the lock: 5.1 fixes the time at which the update starts.
    let now = config.clock.now();
    let mirrors = Arc::new(Sources::new(config.mirrors.clone()));
    let budget = Budget::begin(config.limits.update);
    let session = Session { config, mirrors, budget };
    let mut ahead = session.ahead()?;
    let root = ahead.along(session.current_root(now)).await?;
    let timestamp = session.timestamp(&root, ahead.end().await).await?;
    let snapshot = session.snapshot(&timestamp).await?;
    let targets = session.targets(&snapshot).await?;
    drop(lock);
    Ok(Accepted { snapshot, targets, mirrors: session.mirrors })
}

impl<T: Face + ?Sized> Session<T> {
    pub(crate) fn store(&self) -> &dyn Store {
        &*self.config.store
    }

    /// 5.4.
    async fn timestamp(
        &self,
        root: &CurrentRoot,
        early: Option<Early>,
    ) -> Result<FreshTimestamp, ClientError> {
        let file = ahead::TIMESTAMP;
        let kept = self.store().read(file, limits::TIMESTAMP_BYTES)?;
        let kept = kept.and_then(|bytes| Some((root.remembered(&bytes).ok()?, bytes)));
        if self.config.offline {
            let (seen, _) =
                kept.ok_or_else(|| ClientError::Offline { what: "no timestamp is kept".to_owned() })?;
            return root.timestamp_offline(&seen).map_err(|refusal| self.expired_offline(refusal));
        }
        // A tag is sent only with bytes that still hold up under this root.
        let known = match &kept {
            Some((_, bytes)) => Known::read(self.store(), bytes)?,
            None => None,
        };
        let seen = kept.as_ref().map(|(seen, _)| seen);
        let early = self.accepted_early(early, known.as_ref(), |bytes| root.timestamp(seen, bytes).ok());
        let answer = match early {
            Some(answer) => answer,
            None => self.ask_timestamp(known.as_ref(), |bytes| Ok(root.timestamp(seen, bytes)?)).await?,
        };
        if answer.value.is_new() {
            self.store().write(file, &answer.bytes)?;
        }
        if let Some(tag) = &answer.tag {
            Known::keep(self.store(), &answer.bytes, tag)?;
        }
        Ok(answer.value)
    }

    async fn ask_timestamp<A: Send>(
        &self,
        known: Option<&Known>,
        weigh: impl FnMut(&Arc<Vec<u8>>) -> Result<A, ClientError> + Send,
    ) -> Result<Answer<A>, ClientError> {
        let none = |at| ClientError::NoRepository { at, file: ahead::TIMESTAMP.to_owned() };
        let ask = Ask {
            role: &Role::Timestamp,
            name: ahead::TIMESTAMP,
            limit: limits::TIMESTAMP_BYTES,
            known,
            absence: Absence::Breaks(&none),
        };
        self.ask(&ask, weigh).await
    }

    /// 5.5: the kept snapshot where it is still the one stated, else a download.
    async fn snapshot(&self, timestamp: &FreshTimestamp) -> Result<FreshSnapshot, ClientError> {
        let stated = timestamp.snapshot_file();
        let limit = bounded(stated, limits::SNAPSHOT_BYTES);
        let kept = self.store().read("snapshot.json", limits::SNAPSHOT_BYTES)?;
        if let Some(Ok(snapshot)) = kept.as_ref().map(|bytes| timestamp.snapshot(None, bytes)) {
            return Ok(snapshot);
        }
        let seen = kept.and_then(|bytes| timestamp.remembered(&bytes).ok());
        let role = Role::Snapshot;
        let weigh = |bytes: &Arc<Vec<u8>>| timestamp.snapshot(seen.as_ref(), bytes);
        let (snapshot, bytes) =
            self.stated_file(timestamp.root(), &role, "5.5.1", stated, limit, weigh).await?;
        self.store().write("snapshot.json", &bytes)?;
        Ok(snapshot)
    }

    /// 5.6.1 to 5.6.6 for the top-level targets.
    async fn targets(&self, snapshot: &FreshSnapshot) -> Result<TrustedTargets, ClientError> {
        let stated = snapshot.targets_file(&Role::Targets)?;
        self.targets_of(snapshot, &Role::Targets, &stated, Wanted::Top(snapshot)).await
    }

    /// Fetches a file that another document names, so that its absence is a broken promise.
    async fn stated_file<A: Send>(
        &self,
        root: &CurrentRoot,
        role: &Role,
        step: &'static str,
        stated: &MetaFile,
        limit: u64,
        mut weigh: impl FnMut(&Arc<Vec<u8>>) -> Result<A, Refusal> + Send,
    ) -> Result<(A, Arc<Vec<u8>>), ClientError> {
        let name = metadata_file_name(role.name(), root.consistent_snapshot().then_some(stated.version));
        if self.config.offline {
            return Err(ClientError::Offline { what: format!("{name} is not kept, or no longer good") });
        }
        let broken = |_| {
            let reason = Reason::Missing { file: name.clone() };
            ClientError::Refused(Refusal { role: role.clone(), step, reason })
        };
        let ask = Ask { role, name: &name, limit, known: None, absence: Absence::Breaks(&broken) };
        let answer = self.ask(&ask, |bytes| Ok(weigh(bytes)?)).await?;
        Ok((answer.value, answer.bytes))
    }

    async fn ask<A: Send>(
        &self,
        ask: &Ask<'_>,
        weigh: impl FnMut(&Arc<Vec<u8>>) -> Result<A, ClientError> + Send,
    ) -> Result<Answer<A>, ClientError> {
        let answer = self.mirrors.ask(ask, &self.budget, weigh).await?;
        let none = || ClientError::NoRepository { at: self.mirrors.describe(), file: ask.name.to_owned() };
        answer.ok_or_else(none)
    }

    /// Offline, an expired document says only that the network is needed again.
    fn expired_offline(&self, refusal: Refusal) -> ClientError {
        match refusal.reason {
            Reason::Expired { .. } if self.config.offline => {
                ClientError::Offline { what: refusal.to_string() }
            }
            _ => refusal.into(),
        }
    }

    /// The time of an update, for the root that fixes it.
    fn bootstrap(&self, bytes: &[u8], now: Instant) -> Result<tuf_core::TrustedRoot, Refusal> {
        tuf_core::TrustedRoot::bootstrap(bytes, now, self.config.crypto)
    }
}

/// The most that is read of a file: what is stated of it, and never more than `most`. Who holds a
/// timestamp key may state any length, and must not fill our memory with it.
fn bounded(stated: &MetaFile, most: u64) -> u64 {
    stated.length.map_or(most, |length| length.min(most))
}
