//! Why a pack can't be read or written.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a pack can't be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PackError {
    /// The file can't be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// A part, or the pack as a whole, isn't what it should be.
    #[error("{part}: expected {expected}, got {got}")]
    Part {
        /// Its name.
        part: String,
        /// What was expected.
        expected: String,
        /// What came.
        got: String,
    },
    /// The index can't be understood.
    #[error("the index of the pack can't be used: {why}")]
    Index {
        /// What is wrong with it.
        why: String,
    },
}

impl PackError {
    /// Whether nothing was learnt about the pack: the file could not be read.
    #[must_use]
    pub fn unreadable(&self) -> bool {
        matches!(self, Self::Io { .. })
    }

    pub(crate) fn part(part: &str, expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self::Part { part: part.to_owned(), expected: expected.into(), got: got.into() }
    }

    pub(crate) fn io(path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |error| Self::Io { path: path.clone(), error }
    }
}
