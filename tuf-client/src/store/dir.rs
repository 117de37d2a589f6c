//! A store in a folder, for any number of processes: locked, atomic, and synced to the disk.
//!
//! Two locks, because they keep out different things. `lock` is held for a whole update. `writing` is
//! shared by all who write a file, also by a search, which holds no `lock`; who has it alone knows that a
//! temporary file is left over from a crash.

use std::borrow::Cow;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use tuf_core::hash::sha256_hex;

use super::{PRIVATE, ROOT_HISTORY, Store, StoreError, StoreLock};

/// What the name of a file that is being written starts with: no role's file can, because `tuf-core`
/// percent-encodes the plus.
const UNFINISHED: &str = "+new-";
/// What the name of a file starts with whose own name a folder can't take.
const HASHED: &str = "+sha256-";
/// The longest name that the file systems of Linux, macOS and Windows take.
const NAME_MAX: usize = 255;
/// The top-level roles' files.
const TOP_LEVEL: [&str; 4] = ["root.json", "timestamp.json", "snapshot.json", "targets.json"];

/// A folder: metadata under its own names in `metadata/`, every root in `root_history/`, and beside them
/// what is private to the client.
#[derive(Debug)]
pub struct DirStore {
    metadata: PathBuf,
    private: PathBuf,
    swept: AtomicBool,
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
        make(&private).map_err(at(&private))?;
        for dir in [metadata.clone(), private.join(ROOT_HISTORY)] {
            fs::create_dir_all(&dir).map_err(at(&dir))?;
        }
        Ok(Self { metadata, private, swept: AtomicBool::new(false) })
    }

    fn path(&self, name: &str) -> PathBuf {
        match (name.strip_prefix(ROOT_HISTORY), name.strip_prefix(PRIVATE)) {
            (Some(root), _) => self.private.join(ROOT_HISTORY).join(root),
            (_, Some(private)) => self.private.join(&*file_name(private)),
            (None, None) => self.metadata.join(&*file_name(name)),
        }
    }

    fn lock_file(&self, name: &str) -> Result<(PathBuf, File), StoreError> {
        let path = self.private.join(name);
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(at(&path))?;
        Ok((path, file))
    }

    /// Clears away what a crash left half written, once for each opened store. While somebody writes, it
    /// is left to a later run; so is what can't be removed, because it harms nobody.
    fn sweep(&self) -> Result<(), StoreError> {
        if self.swept.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let (path, alone) = self.lock_file("writing")?;
        match alone.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(at(&path)(error)),
        }
        for dir in [self.metadata.clone(), self.private.clone(), self.private.join(ROOT_HISTORY)] {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
        Ok(())
    }
}

/// Makes a folder, and those above it, in which nobody else writes.
fn make(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Whether a file or folder is this user's, and nobody else may write in it.
#[cfg(unix)]
fn is_ours(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    /// Group and others may write.
    const OTHERS_WRITE: u32 = 0o022;
    let metadata = fs::symlink_metadata(path)?;
    Ok(metadata.uid() == rustix::process::geteuid().as_raw() && metadata.mode() & OTHERS_WRITE == 0)
}

/// Where this can't be told, it isn't.
#[cfg(not(unix))]
fn is_ours(_: &Path) -> io::Result<bool> {
    Ok(false)
}

/// The name of the file that is kept as `name`. A role may call itself what it likes: one whose name is too
/// long for a folder, or is a top-level role's but for case (which macOS and Windows don't tell apart), gets
/// a file named by hash.
fn file_name(name: &str) -> Cow<'_, str> {
    let top_level = |name: &str| TOP_LEVEL.iter().any(|own| own.eq_ignore_ascii_case(name));
    let disguised = !TOP_LEVEL.contains(&name) && top_level(name);
    if name.len() <= NAME_MAX && !disguised {
        return Cow::Borrowed(name);
    }
    Cow::Owned(format!("{HASHED}{}.json", sha256_hex(name.as_bytes())))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |error| StoreError::Io { path, error }
}

impl Store for DirStore {
    fn try_lock(&self) -> Result<Option<StoreLock>, StoreError> {
        let (path, file) = self.lock_file("lock")?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(at(&path)(error)),
        }
        self.sweep()?;
        // The lock of the operating system goes with the open file, however this process ends.
        Ok(Some(StoreLock::holding(file)))
    }

    fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.path(name);
        read_bounded(&path, limit).map_err(at(&path))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let (lock, among_others) = self.lock_file("writing")?;
        // Waits for a sweep at most, which lists three folders.
        among_others.lock_shared().map_err(at(&lock))?;
        let path = self.path(name);
        write_whole(&path, bytes).map_err(at(&path))
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.and_then(|()| sync_folder_of(&path)).map_err(at(&path)),
        }
    }

    fn is_private(&self, name: &str) -> Result<bool, StoreError> {
        let path = self.path(name);
        let dir = path.parent().unwrap_or(&self.private);
        if !is_ours(dir).map_err(at(dir))? {
            return Ok(false);
        }
        match is_ours(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            told => told.map_err(at(&path)),
        }
    }

    fn describe(&self) -> String {
        self.private.display().to_string()
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
    let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(dir)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|failed| failed.error)?;
    sync_folder_of(path)
}

/// A new or removed name is on the disk only when its folder is.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
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
    fn roots_and_private_files_are_kept_apart_from_the_metadata() {
        let dir = tempfile::tempdir().unwrap();
        let store = DirStore::open(dir.path()).unwrap();
        store.write("root_history/2.root.json", b"{}").unwrap();
        store.write("private/timestamp.tag", b"tag").unwrap();
        // A delegated role may call itself "2.root".
        store.write("2.root.json", b"[]").unwrap();
        assert_eq!(fs::read(dir.path().join("root_history/2.root.json")).unwrap(), b"{}");
        assert_eq!(fs::read(dir.path().join("metadata/2.root.json")).unwrap(), b"[]");
        assert_eq!(fs::read(dir.path().join("timestamp.tag")).unwrap(), b"tag");
    }

    #[test]
    fn what_a_crash_left_is_cleared_by_the_next_who_holds_the_lock_unless_somebody_writes() {
        let dir = tempfile::tempdir().unwrap();
        let store = DirStore::open(dir.path()).unwrap();
        store.write("timestamp.json", b"{}").unwrap();
        let leftovers =
            ["metadata/+new-a", "root_history/+new-b", "+new-c"].map(|name| dir.path().join(name));
        leftovers.iter().for_each(|path| fs::write(path, b"{").unwrap());

        // Somebody is writing: nobody knows whose these are.
        let (_, writing) = store.lock_file("writing").unwrap();
        writing.lock_shared().unwrap();
        drop(store.try_lock().unwrap().unwrap());
        assert!(leftovers.iter().all(|path| path.exists()));
        drop(writing);

        let later = DirStore::open(dir.path()).unwrap();
        let lock = later.try_lock().unwrap().unwrap();
        assert!(!leftovers.iter().any(|path| path.exists()));
        assert_eq!(later.read("timestamp.json", 9).unwrap().unwrap(), b"{}");
        assert!(store.try_lock().unwrap().is_none(), "the lock is held");
        drop(lock);
        assert!(store.try_lock().unwrap().is_some());
    }
}
