//! What can go wrong with a database.

use std::path::PathBuf;

/// Why a database can't be made or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system says no.
    #[error("{}: {error}", path.display())]
    Io {
        /// Of which file.
        path: PathBuf,
        /// What it says.
        error: std::io::Error,
    },
    /// The file is something else.
    #[error("{}: expected a database of advisories, got another kind of file", path.display())]
    NotADatabase {
        /// Which file.
        path: PathBuf,
    },
    /// The file is in a form of another time.
    #[error("{}: expected form {expected} of the database, got {got}", path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// The form that is read here.
        expected: u32,
        /// The form of the file.
        got: u32,
    },
    /// The file isn't what was written.
    #[error("{}: the database is damaged: {what}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What was expected, and what came.
        what: String,
    },
    /// What a database is to be made from isn't what it should be.
    #[error("{}: {what}", path.display())]
    Source {
        /// Which folder or archive.
        path: PathBuf,
        /// What was expected, and what came.
        what: String,
    },
}
