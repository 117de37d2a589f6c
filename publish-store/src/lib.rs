//! Places that a trust repository is served from, written and read back by its publishers.
//!
//! Files are put first, and change nothing that clients see; then [`Store::advance`] leads clients to them
//! in one step, if no other publisher did in the meantime. Nothing here decides what is published: no keys,
//! no signatures.
//!
//! All input and output blocks.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod dir;
mod git;
mod oci;
mod place;
mod s3;

use std::fmt;

pub use dir::DirStore;
pub use git::GitStore;
pub use oci::OciStore;
pub use place::{Access, AwsKeys, BadPlace, Place, open};
pub use s3::{S3Address, S3Store, S3Times};

/// The most bytes that are read of `timestamp.json`: it names one file. Clients read no more either.
pub const HEAD_MAX: u64 = 16 * 1024;

/// What stood at a moment, to be compared when the next state is put in its place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Token(String);

/// What leads clients now.
#[derive(Clone, Debug)]
pub struct Head {
    /// The bytes of `timestamp.json`.
    pub timestamp: Vec<u8>,
    /// To be given to [`Store::advance`].
    pub token: Token,
}

/// One place that a trust repository is served from. The names of files are names that we made: those of
/// consistent snapshots (TUF 6.2), percent-encoded.
pub trait Store: fmt::Debug + Send + Sync {
    /// For people; never holds a secret.
    fn describe(&self) -> String;

    /// A metadata file as it is served, of at most `limit` bytes. `None`: it isn't there.
    ///
    /// # Errors
    /// When the place gives no usable answer.
    fn metadata(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError>;

    /// Whether a metadata file of this name is there, or was claimed.
    ///
    /// # Errors
    /// When the place gives no usable answer.
    fn has_metadata(&self, name: &str) -> Result<bool, StoreError>;

    /// A target file under its stored name, of at most `limit` bytes.
    ///
    /// # Errors
    /// When the place gives no usable answer.
    fn target(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError>;

    /// What is there, whoever put it: at most `limit` names. `None`: such a place has no names to list, or they
    /// are looked at as files.
    ///
    /// # Errors
    /// When the place gives no usable answer.
    fn listing(&self, _limit: usize) -> Result<Option<Listing>, StoreError> {
        Ok(None)
    }

    /// A file by a name of [`Self::listing`], of which at most `limit` bytes are read. `None`: it is gone.
    ///
    /// # Errors
    /// When the place gives no usable answer.
    fn beginning(&self, _name: &str, _limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }

    /// What leads clients now; `None` where nothing was published yet.
    ///
    /// # Errors
    /// When the place gives no usable answer.
    fn head(&self) -> Result<Option<Head>, StoreError>;

    /// Writes a versioned file once. The same bytes again are no error.
    ///
    /// # Errors
    /// [`StoreError::Taken`] where other bytes are there.
    fn put_metadata(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// Writes many versioned files, each as [`Self::put_metadata`] does, in any order and as fast as the
    /// place allows. `progress` is told how many are done.
    ///
    /// # Errors
    /// As [`Self::put_metadata`], of the first file that could not be written.
    fn put_all_metadata(
        &self,
        files: &mut dyn Iterator<Item = (String, Vec<u8>)>,
        progress: &dyn Fn(u64),
    ) -> Result<(), StoreError> {
        for (count, (name, bytes)) in (1..).zip(files) {
            self.put_metadata(&name, &bytes)?;
            progress(count);
        }
        Ok(())
    }

    /// Writes a target file, which is named by its hash: what is damaged there is repaired.
    ///
    /// # Errors
    /// When it could not be written.
    fn put_target(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError>;

    /// Leads clients on to what was put, if nobody else did since `from`. `roots` become visible with the
    /// timestamp or right after it, never before; where nothing led clients yet, never after it, as the first
    /// clients may need all of them.
    ///
    /// # Errors
    /// [`StoreError::Moved`] where somebody else did; then nothing was changed. [`StoreError::After`] where clients
    /// were led on, and what is left is only to be tidied up.
    fn advance(
        &self,
        from: Option<&Token>,
        timestamp: &[u8],
        roots: &[(String, Vec<u8>)],
    ) -> Result<Token, StoreError>;

    /// Clears away what a crash left unfinished.
    ///
    /// # Errors
    /// When it could not be cleared.
    fn sweep(&self) -> Result<(), StoreError>;
}

/// The names in a place.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Listing {
    /// Each as it would be asked for, `metadata/1.root.json`, in order.
    pub names: Vec<String>,
    /// Whether there are more than were asked for.
    pub more: bool,
}

/// Why a place could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A versioned file is there already, with other bytes.
    #[error("{name} is there already, with other bytes: a version that was published is never replaced")]
    Taken {
        /// The file.
        name: String,
    },
    /// Another publisher was there in the meantime.
    #[error("another publisher was there in the meantime")]
    Moved,
    /// More bytes are there than can be right.
    #[error("{name}: expected at most {limit} bytes, got {got}")]
    TooLarge {
        /// The file.
        name: String,
        /// The most that was expected.
        limit: u64,
        /// How many there are.
        got: u64,
    },
    /// It lets one publisher overwrite what another one just wrote, so nobody may publish there.
    #[error("{at} is not safe to publish to: {why}")]
    Unsafe {
        /// The place.
        at: String,
        /// What it did.
        why: &'static str,
    },
    /// It didn't let us in.
    #[error("{at} refused access: {why}")]
    Denied {
        /// The place.
        at: String,
        /// What it said.
        why: String,
    },
    /// Nothing answered, or not in time.
    #[error("{at} can't be reached: {why}")]
    Unreachable {
        /// The place.
        at: String,
        /// What happened.
        why: String,
    },
    /// It answered with what no such place says.
    #[error("{at} gave no usable answer: {why}")]
    Malformed {
        /// The place.
        at: String,
        /// What is wrong with it.
        why: String,
    },
    /// Clients are led on, to all of it. What was to follow could not be done.
    #[error("{0}")]
    After(Box<StoreError>),
    /// The disk said no.
    #[error("{at}: {error}")]
    Io {
        /// The file or folder.
        at: String,
        /// What it said.
        error: std::io::Error,
    },
}

impl StoreError {
    /// The same, where clients were led on before it.
    fn after(self) -> Self {
        Self::After(Box::new(self))
    }
}
