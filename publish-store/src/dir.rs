//! A folder: `metadata/` and `targets/`, served by any web server. Files are there whole or not at all:
//! written beside their place, flushed, then renamed.

use std::fs::{self, File, Permissions, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use crate::{HEAD_MAX, Head, Store, StoreError, Token};

/// What an unfinished file is called, so that a later run can clear it away.
const UNFINISHED: &str = ".signer-unfinished-";
/// How long another publisher may take for one rename, or for one push: a slow disk takes a second.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// A repository in a folder.
#[derive(Debug)]
pub struct DirStore {
    dir: PathBuf,
}

impl DirStore {
    /// The repository in `dir`, which need not be there yet.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    fn metadata_dir(&self) -> PathBuf {
        self.dir.join("metadata")
    }

    fn timestamp(&self) -> PathBuf {
        self.metadata_dir().join("timestamp.json")
    }

    /// Held only for the moment in which clients are led on.
    fn lock(&self) -> Result<File, StoreError> {
        lock_within(&self.dir.join(".lock"))
    }
}

/// Takes the lock that a file is. Whoever is killed lets go of it.
pub(crate) fn lock_within(path: &Path) -> Result<File, StoreError> {
    let open = File::options().create(true).write(true).truncate(false).open(path);
    let file = open.map_err(failed(path))?;
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(failed(path)(error)),
            Err(TryLockError::WouldBlock) if began.elapsed() < LOCK_PATIENCE => sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => {
                let error = io::Error::new(ErrorKind::TimedOut, "another publisher holds the lock");
                return Err(failed(path)(error));
            }
        }
    }
}

impl Store for DirStore {
    fn describe(&self) -> String {
        self.dir.display().to_string()
    }

    fn metadata(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        read(&below(&self.metadata_dir(), name)?, limit)
    }

    fn has_metadata(&self, name: &str) -> Result<bool, StoreError> {
        let path = below(&self.metadata_dir(), name)?;
        path.try_exists().map_err(failed(&path))
    }

    fn target(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        read(&below(&self.dir.join("targets"), name)?, limit)
    }

    fn head(&self) -> Result<Option<Head>, StoreError> {
        let timestamp = read(&self.timestamp(), HEAD_MAX)?;
        Ok(timestamp.map(|timestamp| Head { token: token(&timestamp), timestamp }))
    }

    fn put_metadata(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = below(&self.metadata_dir(), name)?;
        place_once(&path, name, bytes, true)?;
        flush_folder(&path)
    }

    fn put_all_metadata(
        &self,
        files: &mut dyn Iterator<Item = (String, Vec<u8>)>,
        progress: &dyn Fn(u64),
    ) -> Result<(), StoreError> {
        let dir = self.metadata_dir();
        fs::create_dir_all(&dir).map_err(failed(&dir))?;
        let mut done = 0_u64;
        for (name, bytes) in files {
            // Nothing points to these yet, so all that counts is that they last before `advance` does.
            place_once(&below(&dir, &name)?, &name, &bytes, false)?;
            done = done.saturating_add(1);
            if done.is_multiple_of(64) {
                progress(done);
            }
        }
        progress(done);
        // One flush of the file system costs as much as those of a few files.
        let folder = File::open(&dir).map_err(failed(&dir))?;
        rustix::fs::syncfs(folder).map_err(|error| failed(&dir)(error.into()))
    }

    fn put_target(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = below(&self.dir.join("targets"), name)?;
        let folder = path.parent().unwrap_or(&path);
        fs::create_dir_all(folder).map_err(failed(folder))?;
        replace(&path, bytes)
    }

    fn advance(
        &self,
        from: Option<&Token>,
        timestamp: &[u8],
        roots: &[(String, Vec<u8>)],
    ) -> Result<Token, StoreError> {
        let dir = self.metadata_dir();
        fs::create_dir_all(&dir).map_err(failed(&dir))?;
        let _lock = self.lock()?;
        let there = self.head()?.map(|head| head.token);
        if there.as_ref() != from {
            return Err(StoreError::Moved);
        }
        for (name, bytes) in roots {
            let path = dir.join(name);
            if path.exists() && !holds(&path, bytes)? {
                return Err(StoreError::Taken { name: name.clone() });
            }
        }
        let put_roots = || roots.iter().try_for_each(|(name, bytes)| self.put_metadata(name, bytes));
        if from.is_none() {
            put_roots()?;
        }
        replace(&self.timestamp(), timestamp)?;
        if from.is_some() {
            put_roots()?;
        }
        Ok(token(timestamp))
    }

    fn sweep(&self) -> Result<(), StoreError> {
        clear_unfinished(&self.metadata_dir())
    }
}

/// Clears away what crashes left in a folder, but for what somebody is writing now.
pub(crate) fn clear_unfinished(dir: &Path) -> Result<(), StoreError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed(dir))?,
    };
    for entry in entries {
        let entry = entry.map_err(failed(dir))?;
        if entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) {
            clear(&entry.path())?;
        }
    }
    Ok(())
}

/// A file below a folder. Others may have chosen the name of a target.
fn below(dir: &Path, name: &str) -> Result<PathBuf, StoreError> {
    let is_name = |part: Component<'_>| matches!(part, Component::Normal(_));
    if !name.is_empty() && Path::new(name).components().all(is_name) {
        return Ok(dir.join(name));
    }
    let why = format!("expected the name of a file in it, got {name:?}");
    Err(StoreError::Malformed { at: dir.display().to_string(), why })
}

/// The timestamp itself is what stood there; times of files mean nothing.
fn token(timestamp: &[u8]) -> Token {
    Token(Sha256::digest(timestamp).iter().map(|byte| format!("{byte:02x}")).collect())
}

fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let length = match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        metadata => metadata.map_err(failed(path))?.len(),
    };
    if length > limit {
        return Err(StoreError::TooLarge { name: path.display().to_string(), limit, got: length });
    }
    // Counted as it is read: what was measured may have grown, or be a pipe.
    let mut bytes = Vec::with_capacity(usize::try_from(length.saturating_add(1)).unwrap_or(0));
    let file = File::open(path).map_err(failed(path))?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed(path))?;
    let got = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if got > limit {
        return Err(StoreError::TooLarge { name: path.display().to_string(), limit, got });
    }
    Ok(Some(bytes))
}

/// Whether a file holds these bytes and no others.
fn holds(path: &Path, bytes: &[u8]) -> Result<bool, StoreError> {
    match read(path, u64::try_from(bytes.len()).unwrap_or(u64::MAX)) {
        Ok(there) => Ok(there.is_some_and(|there| there == bytes)),
        Err(StoreError::TooLarge { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes a file that must not be there yet with other bytes.
fn place_once(path: &Path, name: &str, bytes: &[u8], last: bool) -> Result<(), StoreError> {
    let folder = path.parent().unwrap_or(path);
    if !folder.is_dir() {
        fs::create_dir_all(folder).map_err(failed(folder))?;
    }
    match unfinished(path, bytes, last)?.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(refused) if refused.error.kind() == ErrorKind::AlreadyExists => match holds(path, bytes)? {
            true => Ok(()),
            false => Err(StoreError::Taken { name: name.to_owned() }),
        },
        Err(refused) => Err(failed(path)(refused.error)),
    }
}

/// Writes a file, or replaces the one that is there in one step.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    unfinished(path, bytes, true)?.persist(path).map_err(|refused| failed(path)(refused.error))?;
    flush_folder(path)
}

fn unfinished(path: &Path, bytes: &[u8], last: bool) -> Result<NamedTempFile, StoreError> {
    let write = || -> io::Result<NamedTempFile> {
        let mut builder = tempfile::Builder::new();
        // Everyone may read what is served, less what the umask takes away.
        builder.prefix(UNFINISHED).permissions(Permissions::from_mode(0o644));
        let mut file = builder.tempfile_in(path.parent().unwrap_or(Path::new(".")))?;
        // For as long as it is written, no other publisher clears it away.
        file.as_file().lock()?;
        file.write_all(bytes)?;
        if last {
            file.as_file().sync_all()?;
        }
        Ok(file)
    };
    write().map_err(failed(path))
}

/// Clears an unfinished file away, unless its publisher is at work on it.
fn clear(path: &Path) -> Result<(), StoreError> {
    let gone = |error: &io::Error| error.kind() == ErrorKind::NotFound;
    let file = match File::open(path) {
        Err(error) if gone(&error) => return Ok(()),
        file => file.map_err(failed(path))?,
    };
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Ok(()),
        Err(TryLockError::Error(error)) => Err(failed(path)(error)),
        Ok(()) => match fs::remove_file(path) {
            Err(error) if !gone(&error) => Err(failed(path)(error)),
            _ => Ok(()),
        },
    }
}

/// Makes the names in a folder last through a power cut.
fn flush(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(failed(dir))
}

fn flush_folder(path: &Path) -> Result<(), StoreError> {
    path.parent().map_or(Ok(()), flush)
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> StoreError + '_ {
    move |error| StoreError::Io { at: path.display().to_string(), error: bare(error) }
}

/// What the system said, without the name of a file that was only to become this one.
fn bare(error: io::Error) -> io::Error {
    match error.to_string().split_once(" at path ") {
        Some((said, _)) => io::Error::new(error.kind(), said),
        None => error,
    }
}
