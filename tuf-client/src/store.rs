//! Where accepted metadata is kept between updates: byte for byte as it came (TUF 5.3.8, 5.4.5, 5.5.7,
//! 5.6.6). What is read back is weighed anew each time, so a damaged store costs a download, not trust.

mod dir;
mod memory;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

pub use dir::DirStore;
pub use memory::MemoryStore;

/// What the name of an old root starts with. No role's file can: `tuf-core` percent-encodes the slash, so
/// a role that calls itself `2.root` is still no root.
pub(crate) const ROOT_HISTORY: &str = "root_history/";

/// What the name of a file starts with that is no metadata, and is kept apart from it.
pub(crate) const PRIVATE: &str = "private/";

/// Keeps files by name: a role's file name, `root_history/` and that of an old root, or `private/` and
/// that of what is no metadata. Everything is read back as if a stranger had written it.
pub trait Store: Send + Sync {
    /// Keeps other updates out until the guard is dropped; `None` while another one does so. Never waits.
    ///
    /// # Errors
    /// When the lock can't be asked for.
    fn try_lock(&self) -> Result<Option<StoreLock>, StoreError>;

    /// A file's bytes, at most `limit` of them; `None` where there is none, or a longer one.
    ///
    /// # Errors
    /// When the store can't be read.
    fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError>;

    /// Keeps a file, whole or not at all, whoever writes at the same time. A search writes without the lock.
    ///
    /// # Errors
    /// When the store can't be written. The file is then as it was.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// Forgets a file, if there is one. What is written later must not outlast it in a crash.
    ///
    /// # Errors
    /// When the store can't be written.
    fn remove(&self, name: &str) -> Result<(), StoreError>;

    /// Whether nobody but the user who runs this can have written what is kept under this name. Only then
    /// is a note believed that says what was verified before (a receipt).
    ///
    /// # Errors
    /// When the store can't be read.
    fn is_private(&self, _name: &str) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// Where it is, for a report.
    fn describe(&self) -> String;
}

/// Keeps other updates out while it lives.
pub struct StoreLock {
    _guard: Box<dyn Send + Sync>,
}

impl StoreLock {
    /// A lock that is given back when `guard` is dropped.
    #[must_use]
    pub fn holding(guard: impl Send + Sync + 'static) -> Self {
        Self { _guard: Box::new(guard) }
    }
}

impl fmt::Debug for StoreLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreLock")
    }
}

/// The store failed. Nothing is known about the repository then.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file can't be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// Another update of the same store didn't end in time.
    #[error("another process holds the lock of {at}: expected it free within {waited:.1?}, got nothing")]
    Held {
        /// The store.
        at: String,
        /// How long was waited.
        waited: Duration,
    },
}
