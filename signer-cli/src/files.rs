//! Files that are there whole or not at all: written beside their place, flushed, then renamed.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tempfile::NamedTempFile;
use tuf_core::consistent_target_name;

use crate::failure::Failure;

/// What an unfinished file is called, so that a later run can clear it away.
const UNFINISHED: &str = ".signer-unfinished-";

/// Who may read a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Readers {
    /// 0644, less what the umask takes away.
    Everyone,
    /// 0600.
    Owner,
}

/// Writes a file that must not be there yet with other bytes. The same bytes again are no error.
pub(crate) fn write_once(path: &Path, bytes: &[u8], readers: Readers) -> Result<(), Failure> {
    let refused = |error: tempfile::PersistError| (error.error.kind(), error.error);
    match unfinished(path, bytes, readers)?.persist_noclobber(path).map_err(refused) {
        Ok(_) => flush_folder(path),
        Err((ErrorKind::AlreadyExists, _)) if fs::read(path).is_ok_and(|there| there == bytes) => Ok(()),
        Err((ErrorKind::AlreadyExists, _)) => {
            let what = format!("{} is there already, with other bytes", path.display());
            Err(Failure::refused(what).detail("a version that was published is never replaced"))
        }
        Err((_, error)) => Err(Failure::io(path)(error)),
    }
}

/// Writes a file, or replaces the one that is there in one step.
pub(crate) fn replace(path: &Path, bytes: &[u8], readers: Readers) -> Result<(), Failure> {
    let file = unfinished(path, bytes, readers)?;
    file.persist(path).map_err(|error| Failure::io(path)(error.error))?;
    flush_folder(path)
}

/// Reads a file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Failure> {
    let too_large = |got: String| {
        Failure::refused(format!("{}: expected at most {limit} bytes, got {got}", path.display()))
    };
    let file = File::open(path).map_err(Failure::io(path))?;
    let length = file.metadata().map_err(Failure::io(path))?.len();
    if length > limit {
        return Err(too_large(length.to_string()));
    }
    // What is no file has any length, and one that somebody writes to grows.
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(Failure::io(path))?;
    match u64::try_from(bytes.len()) {
        Ok(got) if got <= limit => Ok(bytes),
        _ => Err(too_large("more".to_owned())),
    }
}

/// Whether a text is the name of one file within a folder.
pub(crate) fn is_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && !name.contains(['/', '\\', '\0'])
        && Path::new(name).file_name() == Some(OsStr::new(name))
}

/// The name under which a target's file is kept by one of its hashes (TUF 6.2); none where path or hash, which
/// others may have chosen, would lead out of the folder.
pub(crate) fn stored_name(path: &str, hash: &str) -> Option<String> {
    let is_hash = !hash.is_empty() && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_hash && path.split('/').all(is_file_name)).then(|| consistent_target_name(path, hash))
}

/// Makes a folder and those above it.
pub(crate) fn folder(path: &Path) -> Result<(), Failure> {
    fs::create_dir_all(path).map_err(Failure::io(path))
}

/// Clears away what a crash left unfinished. What somebody is writing now is locked, and stays.
pub(crate) fn clear_unfinished(dir: &Path) -> Result<(), Failure> {
    for entry in fs::read_dir(dir).map_err(Failure::io(dir))? {
        let entry = entry.map_err(Failure::io(dir))?;
        let left = || File::open(entry.path()).is_ok_and(|file| file.try_lock().is_ok());
        if entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) && left() {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a file that may not be there.
pub(crate) fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Failure::io(path)(error)),
        _ => Ok(()),
    }
}

/// Makes the names in a folder last through a power cut.
pub(crate) fn flush(dir: &Path) -> Result<(), Failure> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(Failure::io(dir))
}

fn flush_folder(path: &Path) -> Result<(), Failure> {
    flush(folder_of(path))
}

/// The folder that a file is in; of a bare name, this one.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
}

fn unfinished(path: &Path, bytes: &[u8], readers: Readers) -> Result<NamedTempFile, Failure> {
    let write = || -> io::Result<NamedTempFile> {
        let mode = match readers {
            Readers::Everyone => 0o644,
            Readers::Owner => 0o600,
        };
        let mut builder = tempfile::Builder::new();
        builder.prefix(UNFINISHED).permissions(Permissions::from_mode(mode));
        let mut file = builder.tempfile_in(folder_of(path))?;
        file.as_file().lock()?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        Ok(file)
    };
    write().map_err(Failure::io(path))
}
