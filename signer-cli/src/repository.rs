//! Where things are in a trust repository, and the lock that lets one signer in at a time.
//!
//! ```text
//! signer.toml      what a person decides
//! root.json        the root this repository began with, and
//! timestamp.json   the last one it published: what is served is weighed against both
//! receipt.json     that targets.json, if it is large, was weighed when it was published; it may be removed
//! for-others.json  signatures for other tools that may be missing, if any
//! keys/            private keys, mode 0700
//! staged/          what the next publish will say
//! published/       what is served, and nothing else
//!   metadata/      1.root.json … timestamp.json
//!   targets/       manifests and indexes, under their consistent names
//! ```

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::args::RehearsalArgs;
use crate::failure::Failure;
use crate::files;
use crate::terminal;

/// How long to wait for another signer: signing takes a second, a slow disk a few.
const LOCK_PATIENCE: Duration = Duration::from_secs(30);
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The folder.
#[derive(Debug)]
pub(crate) struct Repository {
    dir: PathBuf,
}

/// While this is held no other signer changes the repository. A crash frees it.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Repository {
    /// A repository that is there.
    pub(crate) fn open(dir: &Path) -> Result<Self, Failure> {
        let repository = Self::at(dir);
        if repository.config().is_file() {
            return Ok(repository);
        }
        Err(Failure::usage(format!("{} is not a trust repository: it has no signer.toml", dir.display()))
            .hint("`signer init` makes one; --repo DIR names another"))
    }

    /// The paths below `dir`, whether they exist or not.
    pub(crate) fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.join("signer.toml")
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.dir.join("root.json")
    }

    pub(crate) fn timestamp(&self) -> PathBuf {
        self.dir.join("timestamp.json")
    }

    pub(crate) fn receipt(&self) -> PathBuf {
        self.dir.join("receipt.json")
    }

    pub(crate) fn owed(&self) -> PathBuf {
        self.dir.join("for-others.json")
    }

    pub(crate) fn keys(&self) -> PathBuf {
        self.dir.join("keys")
    }

    pub(crate) fn staged(&self) -> PathBuf {
        self.dir.join("staged")
    }

    pub(crate) fn published(&self) -> PathBuf {
        self.dir.join("published")
    }

    pub(crate) fn metadata(&self) -> PathBuf {
        self.published().join("metadata")
    }

    pub(crate) fn targets(&self) -> PathBuf {
        self.published().join("targets")
    }

    /// As [`Self::lock`], unless nothing will be written: then not even the lock is.
    pub(crate) fn lock_unless(&self, rehearsal: RehearsalArgs) -> Result<Option<Lock>, Failure> {
        if rehearsal.dry_run { Ok(None) } else { self.lock().map(Some) }
    }

    /// Clears away what a crash left unfinished: it may be half a private key. What can't be cleared away does no
    /// harm to what is done now.
    fn clear_unfinished(&self) {
        for dir in [self.dir.clone(), self.keys(), self.staged()] {
            let _ = files::clear_unfinished(&dir);
        }
    }

    /// Lets one signer in at a time, and waits a while for its turn.
    pub(crate) fn lock(&self) -> Result<Lock, Failure> {
        let path = self.dir.join(".lock");
        let open = File::options().create(true).write(true).truncate(false).open(&path);
        let file = open.map_err(Failure::io(&path))?;
        let began = Instant::now();
        let mut said = false;
        loop {
            match file.try_lock() {
                Ok(()) => {
                    self.clear_unfinished();
                    return Ok(Lock { _file: file });
                }

                Err(TryLockError::Error(error)) => return Err(Failure::io(&path)(error)),
                Err(TryLockError::WouldBlock) if began.elapsed() < LOCK_PATIENCE => {
                    if !said {
                        terminal::note("waiting for another signer in this repository");
                        said = true;
                    }
                    sleep(LOCK_PAUSE);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(Failure::unknown("another signer is at work in this repository")
                        .detail(format!("waited {} seconds; nothing was changed", LOCK_PATIENCE.as_secs()))
                        .hint("try again when it is done"));
                }
            }
        }
    }
}
