//! The database of advisories that `verify db update` brought, in the state folder.
//!
//! `advisories/SHA256.db` is the database; `advisories/installed.toml` names it, and what the metadata said of it.
//! The database is written first, then the file that names it, each whole or not at all: so whoever reads sees the
//! old one or the new one. What is here was verified when it came, and is as safe as the pins beside it.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use oci_image::Digest;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::files;
use crate::pins::{Pins, private_dir};

/// How names of files begin that aren't complete yet.
const NEW: &str = ".new-";

/// What `installed.toml` says.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Installed {
    /// The repository that it came from.
    pub(crate) repo: String,
    /// The fingerprint of the root that was pinned.
    pub(crate) root_sha256: String,
    /// The path of the target.
    pub(crate) target: String,
    /// The role that lists it.
    pub(crate) role: String,
    /// The version of that role's statement.
    pub(crate) version: u64,
    /// The database's digest.
    pub(crate) sha256: String,
    /// Its length in bytes.
    pub(crate) length: u64,
    /// When it was fetched, or found to be the newest still.
    pub(crate) updated_at: DateTime<Utc>,
    /// Until when the repository vouches that it is the newest.
    pub(crate) expires: DateTime<Utc>,
}

/// The folder of it.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    dir: PathBuf,
}

impl Shelf {
    pub(crate) fn of(state: &Path) -> Self {
        Self { dir: state.join("advisories") }
    }

    /// Where the root is pinned that speaks for the database: apart from those that speak for images.
    pub(crate) fn pins(&self) -> Pins {
        Pins::of(&self.dir)
    }

    /// Where accepted metadata is kept, of the repository with that root.
    pub(crate) fn metadata(&self, root_sha256: &str) -> PathBuf {
        self.dir.join("metadata").join(root_sha256)
    }

    /// One update at a time: held until it is dropped.
    pub(crate) fn lock(&self) -> Result<File, Failure> {
        let lock = || -> io::Result<File> {
            private_dir(&self.dir)?;
            let file =
                File::options().create(true).write(true).truncate(false).open(self.dir.join(".lock"))?;
            file.lock()?;
            Ok(file)
        };
        lock().map_err(|error| self.failed(&error))
    }

    /// What is installed, if anything is.
    pub(crate) fn installed(&self) -> Result<Option<Installed>, Failure> {
        let path = self.dir.join("installed.toml");
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|error| self.failed(&error))?,
        };
        let bad = |why: String| {
            Failure::unknown(format!("{} can't be read: {why}", path.display()))
                .hint("fetch the database anew with `verify db update`")
        };
        let installed: Installed = toml::from_str(&text).map_err(|why| bad(why.to_string()))?;
        // It becomes a file's name.
        Digest::from_hex(&installed.sha256).map_err(|why| bad(why.to_string()))?;
        Ok(Some(installed))
    }

    /// The file of a database that is installed.
    pub(crate) fn database(&self, installed: &Installed) -> PathBuf {
        self.dir.join(format!("{}.db", installed.sha256))
    }

    /// Whether the file of it is there and holds the bytes that were verified.
    pub(crate) fn is_whole(&self, installed: &Installed) -> bool {
        files::digest(&self.database(installed)).is_ok_and(|digest| digest.hex() == installed.sha256)
    }

    /// A file beside the database's place, for one that comes. Dropped, it is gone.
    pub(crate) fn begin(&self) -> io::Result<tempfile::NamedTempFile> {
        tempfile::Builder::new().prefix(NEW).tempfile_in(&self.dir)
    }

    /// Removes what an update left that was killed: only under [`Self::lock`], where no other one writes.
    pub(crate) fn clear(&self) -> Result<(), Failure> {
        let clear = || -> io::Result<()> {
            for entry in fs::read_dir(&self.dir)? {
                let entry = entry?;
                if entry.file_name().to_string_lossy().starts_with(NEW) && entry.file_type()?.is_file() {
                    fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        };
        clear().map_err(|error| self.failed(&error))
    }

    /// Installs a database, or notes anew what is said of the one that is there; then removes those before it.
    pub(crate) fn install(
        &self,
        installed: &Installed,
        database: Option<tempfile::NamedTempFile>,
    ) -> Result<(), Failure> {
        let text = toml::to_string(installed).map_err(Failure::unknown)?;
        let write = || -> io::Result<()> {
            if let Some(database) = database {
                database.as_file().sync_all()?;
                database.persist(self.database(installed)).map_err(|failed| failed.error)?;
            }
            let mut new = self.begin()?;
            new.write_all(text.as_bytes())?;
            new.as_file().sync_all()?;
            new.persist(self.dir.join("installed.toml")).map_err(|failed| failed.error)?;
            File::open(&self.dir)?.sync_all()?;
            self.remove_others(installed)
        };
        write().map_err(|error| self.failed(&error))
    }

    fn remove_others(&self, installed: &Installed) -> io::Result<()> {
        let kept = self.database(installed);
        for entry in fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "db") && path != kept {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::unknown(format!("{}: {error}", self.dir.display()))
    }
}
