//! Where accepted metadata is kept between updates: byte for byte as it came (TUF 5.3.8, 5.4.5, 5.5.7,
//! 5.6.6). What is read back is weighed anew each time, so a damaged store costs a download, not trust.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use thiserror::Error;

/// What the name of an old root starts with. No role's file can: `tuf-core` percent-encodes the slash, so
/// a role that calls itself `2.root` is still no root.
pub(crate) const ROOT_HISTORY: &str = "root_history/";

/// Keeps files by name: a role's file name, or `root_history/` and that of an old root.
pub trait Store: Send + Sync {
    /// Keeps other updates out until the guard is dropped.
    ///
    /// # Errors
    /// When the lock can't be had.
    fn lock(&self) -> Result<StoreLock, StoreError>;

    /// A file's bytes, at most `limit` of them; `None` where there is none, or a longer one.
    ///
    /// # Errors
    /// When the store can't be read.
    fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError>;

    /// Keeps a file, whole or not at all.
    ///
    /// # Errors
    /// When the store can't be written. The file is then as it was.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// Forgets a file, if there is one.
    ///
    /// # Errors
    /// When the store can't be written.
    fn remove(&self, name: &str) -> Result<(), StoreError>;
}

/// Keeps other updates out while it lives.
#[derive(Debug)]
pub struct StoreLock {
    /// The lock of the operating system goes with the open file.
    _file: Option<File>,
}

/// The store failed. Nothing is known about the repository then.
#[derive(Debug, Error)]
#[error("{}: {error}", path.display())]
pub struct StoreError {
    path: PathBuf,
    error: io::Error,
}

/// A folder: metadata under its own names in `metadata/`, every root in `root_history/`, and a lock.
#[derive(Debug)]
pub struct DirStore {
    metadata: PathBuf,
    private: PathBuf,
}

impl DirStore {
    /// Opens a store, and makes it where there is none.
    ///
    /// # Errors
    /// When the folder can't be made.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let private = dir.into();
        Self::with_metadata(private.join("metadata"), private)
    }

    /// A store whose metadata is in a folder of the caller's, apart from what is private to the client.
    ///
    /// # Errors
    /// When a folder can't be made.
    pub fn with_metadata(metadata: PathBuf, private: PathBuf) -> Result<Self, StoreError> {
        for dir in [metadata.clone(), private.join("root_history")] {
            fs::create_dir_all(&dir).map_err(at(&dir))?;
        }
        Ok(Self { metadata, private })
    }

    fn path(&self, name: &str) -> PathBuf {
        match name.strip_prefix(ROOT_HISTORY) {
            Some(root) => self.private.join("root_history").join(root),
            None => self.metadata.join(name),
        }
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |error| StoreError { path, error }
}

impl Store for DirStore {
    fn lock(&self) -> Result<StoreLock, StoreError> {
        let path = self.private.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(at(&path))?;
        file.lock().map_err(at(&path))?;
        Ok(StoreLock { _file: Some(file) })
    }

    fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(name);
        read_bounded(&path, limit).map_err(at(&path))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.path(name);
        write_whole(&path, bytes).map_err(at(&path))
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(&path)(error)),
            _ => Ok(()),
        }
    }
}

fn read_bounded(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    Ok((length <= limit).then_some(bytes))
}

/// A temporary file beside the old one, synced, renamed over it, and the folder synced.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|failed| failed.error)?;
    File::open(dir)?.sync_all()
}

/// A store that ends with the program: no protection against rollback from one run to the next.
#[derive(Debug, Default)]
pub struct MemoryStore {
    files: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl Store for MemoryStore {
    /// One client is one update at a time; two clients don't share a memory store.
    fn lock(&self) -> Result<StoreLock, StoreError> {
        Ok(StoreLock { _file: None })
    }

    fn read(&self, name: &str, _limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.files.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_back_as_it_was_kept_and_a_longer_one_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let store = DirStore::open(dir.path()).unwrap();
        store.write("timestamp.json", b"{ }\n").unwrap();
        assert_eq!(store.read("timestamp.json", 4).unwrap().as_deref(), Some(&b"{ }\n"[..]));
        assert_eq!(store.read("timestamp.json", 3).unwrap(), None);
        assert_eq!(store.read("snapshot.json", 3).unwrap(), None);
        store.remove("timestamp.json").unwrap();
        store.remove("timestamp.json").unwrap();
        assert_eq!(store.read("timestamp.json", 4).unwrap(), None);
    }

    #[test]
    fn old_roots_are_kept_apart_from_the_metadata() {
        let dir = tempfile::tempdir().unwrap();
        let store = DirStore::open(dir.path()).unwrap();
        store.write("root_history/2.root.json", b"{}").unwrap();
        // A delegated role may call itself "2.root".
        store.write("2.root.json", b"[]").unwrap();
        assert_eq!(fs::read(dir.path().join("root_history/2.root.json")).unwrap(), b"{}");
        assert_eq!(fs::read(dir.path().join("metadata/2.root.json")).unwrap(), b"[]");
    }
}
