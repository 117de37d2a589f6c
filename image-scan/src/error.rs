//! Why an image could not be scanned.

use oci_image::{BlobError, Digest, SourceError};
use thiserror::Error;

/// Why there is no inventory.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScanError {
    /// The bytes of a layer are not those of the manifest, or could not be had.
    #[error("layer {layer}: {error}")]
    Blob {
        /// The digest of the layer in the manifest.
        layer: Digest,
        /// What is wrong.
        error: BlobError,
    },
    /// The source has no usable answer.
    #[error("layer {layer}: {error}")]
    Source {
        /// The digest of the layer in the manifest.
        layer: Digest,
        /// What is wrong.
        error: SourceError,
    },
    /// The layer is not an archive that a runtime would unpack.
    #[error("layer {layer} can't be read: {why}")]
    Archive {
        /// The digest of the layer in the manifest.
        layer: Digest,
        /// What is wrong.
        why: ArchiveError,
    },
    /// The uncompressed layer isn't the one that the configuration names.
    #[error("layer {layer}: the configuration expected diff id {expected}, got {got}")]
    DiffId {
        /// The digest of the layer in the manifest.
        layer: Digest,
        /// What the configuration says.
        expected: Digest,
        /// What the bytes have.
        got: Digest,
    },
    /// It can't be written as a folder.
    #[error("{}: {error}", path.display())]
    Write {
        /// The folder.
        path: std::path::PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The configuration can't be used.
    #[error("the image's configuration can't be used: {why}")]
    Config {
        /// What is wrong.
        why: String,
    },
    /// More of something than is ever needed.
    #[error("the image has more {what} than can be looked through: expected at most {limit}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The most that is allowed.
        limit: u64,
    },
}

impl ScanError {
    /// Whether nothing was learnt about the image: *could not tell*. Otherwise its bytes are bad.
    #[must_use]
    pub fn unreachable(&self) -> bool {
        match self {
            Self::Blob { error, .. } => error.unreachable(),
            Self::Source { error, .. } => error.unreachable(),
            Self::TooMany { .. } | Self::Write { .. } => true,
            Self::Archive { .. } | Self::DiffId { .. } | Self::Config { .. } => false,
        }
    }
}

/// What is wrong with a layer's archive.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The bytes could not be read, or not be uncompressed.
    #[error("{0}")]
    Read(std::io::Error),
    /// The archive ends within an entry.
    #[error("the archive ends within an entry")]
    Truncated,
    /// A header whose checksum is wrong.
    #[error("expected the header of an entry, got bytes with another checksum")]
    Checksum,
    /// A header that can't be understood.
    #[error("a header has {0} that can't be read")]
    Field(&'static str),
    /// A header that is larger than it may be.
    #[error("an extended header has at most {limit} bytes, got {got}")]
    HeaderSize {
        /// The most that is allowed.
        limit: u64,
        /// The size found.
        got: u64,
    },
    /// A path longer or deeper than any file system has.
    #[error(
        "a path has at most {} bytes and {} folders, got more",
        crate::limits::PATH_MAX,
        crate::limits::DEPTH_MAX
    )]
    Path,
    /// Symbolic links that lead nowhere.
    #[error("a path leads through more than {} symbolic links", crate::limits::LINKS_FOLLOWED)]
    Links,
    /// A layer that grows beyond what any layer needs.
    #[error("it grows to more than {limit} bytes")]
    TooLarge {
        /// The most that is allowed.
        limit: u64,
    },
    /// A layer that grows as only a bomb does.
    #[error("expected at most {limit} bytes for each compressed one, got more")]
    Ratio {
        /// The most that is allowed.
        limit: u64,
    },
}
