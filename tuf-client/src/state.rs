//! An up-to-date state of the repository: what it says of a target, and the target's bytes.
//!
//! It holds no lock. A delegated role's file is written whole or not at all, and weighed anew under the
//! delegator that leads to it whenever it is read: whoever writes at the same time costs a download, not
//! trust. So a state may be searched for as long as the caller likes; each document's expiry was weighed at
//! the time of the update, and a search weighs at that time too (5.1).

use std::io::{self, Write};
use std::sync::Arc;

use tuf_core::schema::Target;
use tuf_core::{FreshSnapshot, NotFound, Reason, Search, Step, TrustedTargets, consistent_target_name};

use crate::address;
use crate::aio::AsyncTransport;
use crate::copy;
use crate::error::{Blame, ClientError};
use crate::face::Face;
use crate::limits::Budget;
use crate::sources::{Ask, Sources};
use crate::transport::Transport;
use crate::update::{Accepted, Config, Session, Wanted};
use crate::wait::block_on;

/// An up-to-date state of the repository. It owns what it says, and holds no lock.
pub struct Refreshed<T: ?Sized = dyn Transport> {
    config: Arc<Config<T>>,
    accepted: Arc<Accepted<T>>,
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

/// A target's bytes, which are those that the metadata states.
#[derive(Clone, Debug, PartialEq)]
pub struct Download {
    /// What the metadata says of it.
    pub target: Target,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Whether they came now; otherwise they are those that the caller had.
    pub fetched: bool,
}

impl Refreshed {
    /// Searches for a target (TUF 5.6.7), fetching the delegated roles that may speak for it.
    ///
    /// # Errors
    /// When a delegated role's document is refused or can't be had.
    pub fn find(&self, path: &str) -> Result<Found, ClientError> {
        block_on(self.find_target(path))
    }

    /// Fetches a target that was found, from where [`crate::Client::with_targets`] said (TUF 5.7): by its
    /// hash where snapshots are consistent, no more bytes than are stated, and only these.
    ///
    /// The path is a name, not a place on this machine. Whoever writes it to disk must see to it that
    /// `..` or a leading slash in it leads nowhere.
    ///
    /// # Errors
    /// When no source has the bytes that are stated.
    pub fn fetch_target(&self, path: &str, target: &Target) -> Result<Vec<u8>, ClientError> {
        block_on(self.target_bytes(path, target))
    }

    /// As [`Self::fetch_target`], but the bytes are written as they come, and never held: for large files. They are
    /// checked on the way, so that what was written is worthless until it is given back. `begin` makes a new place
    /// for them for each source that is asked; one that is dropped must leave nothing.
    ///
    /// # Errors
    /// As [`Self::fetch_target`], when the metadata states no SHA-256, and when the bytes can't be written.
    pub fn copy_target<W: Write>(
        &self,
        path: &str,
        target: &Target,
        begin: impl FnMut() -> io::Result<W>,
    ) -> Result<W, ClientError> {
        let name = self.expect_stored(path, target)?;
        let budget = Budget::begin(self.config.limits.download);
        copy::of_target(&self.config.targets, &copy::Wanted { path, target, name: &name }, &budget, begin)
    }

    /// Searches for a target and fetches it: [`Self::find`], then [`Self::fetch_target`].
    ///
    /// # Errors
    /// When it isn't listed, or its bytes can't be had.
    pub fn download(&self, path: &str) -> Result<Download, ClientError> {
        self.download_unless(path, |_| None)
    }

    /// As [`Self::download`], but fetches nothing where `kept` has the bytes that are stated.
    ///
    /// # Errors
    /// As [`Self::download`].
    pub fn download_unless(
        &self,
        path: &str,
        kept: impl FnOnce(&Target) -> Option<Vec<u8>> + Send,
    ) -> Result<Download, ClientError> {
        block_on(self.downloaded(path, kept))
    }
}

impl Refreshed<dyn AsyncTransport> {
    /// As [`Refreshed::find`].
    ///
    /// # Errors
    /// As [`Refreshed::find`].
    pub async fn find(&self, path: &str) -> Result<Found, ClientError> {
        self.find_target(path).await
    }

    /// As [`Refreshed::fetch_target`].
    ///
    /// # Errors
    /// As [`Refreshed::fetch_target`].
    pub async fn fetch_target(&self, path: &str, target: &Target) -> Result<Vec<u8>, ClientError> {
        self.target_bytes(path, target).await
    }

    /// As [`Refreshed::download`].
    ///
    /// # Errors
    /// As [`Refreshed::download`].
    pub async fn download(&self, path: &str) -> Result<Download, ClientError> {
        self.downloaded(path, |_| None).await
    }

    /// As [`Refreshed::download_unless`].
    ///
    /// # Errors
    /// As [`Refreshed::download`].
    pub async fn download_unless(
        &self,
        path: &str,
        kept: impl FnOnce(&Target) -> Option<Vec<u8>> + Send,
    ) -> Result<Download, ClientError> {
        self.downloaded(path, kept).await
    }
}

impl<T: ?Sized> Refreshed<T> {
    pub(crate) fn new(config: Arc<Config<T>>, accepted: Arc<Accepted<T>>) -> Self {
        Self { config, accepted }
    }

    /// The snapshot, and through it the timestamp and the root.
    #[must_use]
    pub fn snapshot(&self) -> &FreshSnapshot {
        &self.accepted.snapshot
    }

    /// The top-level targets.
    #[must_use]
    pub fn targets(&self) -> &TrustedTargets {
        &self.accepted.targets
    }

    /// Whether target files are named by their hash (TUF 5.7.3).
    #[must_use]
    pub fn consistent_snapshot(&self) -> bool {
        self.snapshot().timestamp().root().consistent_snapshot()
    }

    /// What mirrors did wrong during the update, and the searches so far, although another one sufficed.
    #[must_use]
    pub fn blames(&self) -> Vec<Blame> {
        self.accepted.mirrors.blames()
    }
}

#[expect(private_bounds, reason = "the two faces, blocking and async, are all that there are")]
impl<T: Face + ?Sized> Refreshed<T> {
    async fn find_target(&self, path: &str) -> Result<Found, ClientError> {
        let session = Session {
            config: Arc::clone(&self.config),
            mirrors: Arc::clone(&self.accepted.mirrors),
            budget: Budget::begin(self.config.limits.update),
        };
        let snapshot = self.snapshot();
        let mut search: Search = snapshot.search(self.targets().clone(), path);
        loop {
            match search.step()? {
                Step::Need(tuf_core::Wanted { role, file }) => {
                    session.targets_of(snapshot, &role, &file, Wanted::Delegated(&mut search)).await?;
                }
                Step::Found { target, chain } => return Ok(Found::Target { target, chain }),
                Step::NotFound(absent) => return Ok(Found::Absent(absent)),
            }
        }
    }

    async fn downloaded(
        &self,
        path: &str,
        kept: impl FnOnce(&Target) -> Option<Vec<u8>> + Send,
    ) -> Result<Download, ClientError> {
        let target = match self.find_target(path).await? {
            Found::Target { target, .. } => target,
            Found::Absent(absent) => return Err(ClientError::NotListed { path: path.to_owned(), absent }),
        };
        // 5.7.1.
        if let Some(bytes) = kept(&target).filter(|bytes| target.check(bytes).is_ok()) {
            return Ok(Download { target, bytes, fetched: false });
        }
        let bytes = self.target_bytes(path, &target).await?;
        Ok(Download { target, bytes, fetched: true })
    }

    /// 5.7.3.
    async fn target_bytes(&self, path: &str, target: &Target) -> Result<Vec<u8>, ClientError> {
        let refused = |reason| ClientError::Target { path: path.to_owned(), reason };
        let name = self.expect_stored(path, target)?;
        let absent = |_| refused(Reason::Missing { file: name.clone() });
        let ask = Ask::target(&name, target.length, &absent);
        let sources = Sources::new(self.config.targets.clone());
        let budget = Budget::begin(self.config.limits.download);
        let answer = sources.ask(&ask, &budget, |bytes| target.check(bytes).map_err(refused)).await?;
        let answer = answer.ok_or_else(|| refused(Reason::Missing { file: name.clone() }))?;
        Ok(Arc::unwrap_or_clone(answer.bytes))
    }

    /// The address of a target that can be asked for.
    fn expect_stored(&self, path: &str, target: &Target) -> Result<String, ClientError> {
        if self.config.offline {
            return Err(ClientError::Offline { what: format!("target {path:?} is not kept") });
        }
        if self.config.targets.is_empty() {
            return Err(ClientError::NoTargets { path: path.to_owned() });
        }
        let refused = |reason| ClientError::Target { path: path.to_owned(), reason };
        self.stored_name(path, target).map_err(refused)
    }

    /// The address under which a target is stored (6.2).
    fn stored_name(&self, path: &str, target: &Target) -> Result<String, Reason> {
        let malformed = |what: &str| Reason::Malformed { what: what.to_owned() };
        let hash = target.hashes.get("sha256").or_else(|| target.hashes.values().next());
        let stored = match (self.consistent_snapshot(), hash) {
            (false, _) => path.to_owned(),
            (true, Some(hash)) => consistent_target_name(path, hash),
            (true, None) => return Err(malformed("it has no hash to be stored under")),
        };
        // Both: behind a hash, `..` would look like a name, and a hash is what the repository says it is.
        match (address::of(path), address::of(&stored)) {
            (Some(_), Some(address)) => Ok(address),
            _ => Err(malformed("its path has a segment that no address can have")),
        }
    }
}
