//! Where manifests and blobs come from, and what can go wrong on the way.
//!
//! The errors are few, because a reader does one of a few things: wait and try again, log in, look for
//! another name, or distrust what answered. [`SourceError::unreachable`] draws the line between *could
//! not tell* and *the answer is bad*. No error holds a password, a token or the query of an address.

use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::media;

/// Which manifest is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Selector<'a> {
    /// The one a tag points to at the moment.
    Tag(&'a str),
    /// The one with this digest.
    Digest(Digest),
}

impl std::fmt::Display for Selector<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tag(tag) => f.write_str(tag),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}

/// The bytes of a manifest as they came. Nobody has hashed them for you.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FetchedManifest {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What the source says they are: a hint, to be compared with what they say themselves.
    pub media_type: Option<String>,
}

impl FetchedManifest {
    /// What these bytes are: their own digest and size. The media type is the source's, or OCI's.
    pub fn descriptor(&self) -> Descriptor {
        let media_type = self.media_type.as_deref().map(media::essence);
        Descriptor::of(media_type.as_deref().unwrap_or(media::OCI_MANIFEST), &self.bytes)
    }
}

/// One repository, or one layout: what manifests and blobs are fetched from.
pub trait ImageSource: Send + Sync {
    /// The bytes of a manifest, at most [`crate::MANIFEST_MAX`] of them and not verified.
    ///
    /// # Errors
    /// When there is no such manifest, or no usable answer.
    fn manifest(&self, which: Selector<'_>) -> Result<FetchedManifest, SourceError>;

    /// The bytes of a blob: bounded by its size and in time, but not verified. Read them through a
    /// [`crate::VerifyingReader`].
    ///
    /// # Errors
    /// When there is no such blob, or no usable answer. Errors that come later, while reading, are
    /// [`SourceError`]s within the [`io::Error`].
    fn blob(&self, want: &Descriptor) -> Result<Box<dyn Read + Send>, SourceError>;

    /// What this is, for a report: `registry 127.0.0.1:5000/acme/web` or `OCI layout ./dir`.
    fn describe(&self) -> String;
}

/// Why a source gave no usable answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Nothing answered, or only that it can't answer now.
    #[error("could not reach {at}: {why}")]
    Unreachable {
        /// What was asked.
        at: String,
        /// What happened.
        why: String,
    },
    /// The answer is for those who may see it.
    #[error("{at} denied access (HTTP status {status}){}", detail(message))]
    Denied {
        /// What was asked.
        at: String,
        /// 401 or 403.
        status: u16,
        /// The registry's own words, if any.
        message: String,
    },
    /// The credentials for a registry could not be had.
    #[error("no credentials for {registry}: {why}")]
    Credentials {
        /// The registry.
        registry: String,
        /// What happened.
        why: String,
    },
    /// There is no such thing.
    #[error("{at} has no {what}{}", detail(message))]
    NotFound {
        /// What was asked.
        at: String,
        /// What is missing.
        what: String,
        /// The registry's own words, if any.
        message: String,
    },
    /// The answer is larger than it may be.
    #[error("{at} sent too much: expected at most {limit} bytes, got {}", counted(*got))]
    TooLarge {
        /// What was asked.
        at: String,
        /// The most that is allowed.
        limit: u64,
        /// What the answer announced, if it did.
        got: Option<u64>,
    },
    /// The answer began and then came too slowly, or not at all.
    #[error("{at} stalled: expected at least {expected} bytes in {waited:.1?}, got {got}")]
    Stalled {
        /// What was asked.
        at: String,
        /// How many bytes should have come in that time.
        expected: u64,
        /// How many did.
        got: u64,
        /// How long was waited for them.
        waited: Duration,
    },
    /// The time for all of it was over before the answer was complete.
    #[error("{at} took too long: expected the whole answer within {limit:.1?}, got {got} bytes by then")]
    Overdue {
        /// What was asked.
        at: String,
        /// The time that there was.
        limit: Duration,
        /// How many bytes of the answer had come.
        got: u64,
    },
    /// The answer can't be understood.
    #[error("{at} sent an answer that can't be used: {why}")]
    Malformed {
        /// What was asked.
        at: String,
        /// What is wrong with it.
        why: String,
    },
    /// An address that must not be asked at all.
    #[error("refused to ask {at}: {why}")]
    Address {
        /// The address.
        at: String,
        /// Why not.
        why: &'static str,
    },
    /// A redirect that must not be followed.
    #[error("refused to go from {from} to {to}: {why}")]
    Redirect {
        /// Where the request was.
        from: String,
        /// Where it should go.
        to: String,
        /// Why it does not.
        why: &'static str,
    },
    /// The source names another digest than the bytes it sends have.
    #[error("{at} lies about its digest: it says {claimed}, its bytes have {got}")]
    FalseDigest {
        /// What was asked.
        at: String,
        /// What the source says.
        claimed: String,
        /// What the bytes have.
        got: Digest,
    },
    /// A layout has several images and none was named.
    #[error("{at} has {} images, name one of: {}", names.len(), names.join(", "))]
    Ambiguous {
        /// The layout.
        at: String,
        /// The names in it.
        names: Vec<String>,
    },
    /// A local file could not be read or written.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
}

impl SourceError {
    /// Whether nothing was learnt about the image: *could not tell*. Otherwise the answer is bad.
    pub fn unreachable(&self) -> bool {
        match self {
            // How much time there is, is our decision: an honest server may be too slow for it.
            Self::Unreachable { .. }
            | Self::Overdue { .. }
            | Self::Denied { .. }
            | Self::Credentials { .. }
            | Self::Address { .. }
            | Self::Io { .. } => true,
            Self::NotFound { .. }
            | Self::TooLarge { .. }
            | Self::Stalled { .. }
            | Self::Malformed { .. }
            | Self::Redirect { .. }
            | Self::FalseDigest { .. }
            | Self::Ambiguous { .. } => false,
        }
    }

    /// Finds the source's error in what a reader gave, or makes one.
    pub fn from_read(error: io::Error, at: impl Into<String>) -> Self {
        match error.downcast::<Self>() {
            Ok(inner) => inner,
            Err(other) => Self::Unreachable { at: at.into(), why: other.to_string() },
        }
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::Io { path, error }
    }
}

fn detail(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

fn counted(got: Option<u64>) -> String {
    got.map_or_else(|| "more".to_owned(), |got| got.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_says_what_was_expected_and_what_came() {
        let at = || "registry r.io/web".to_owned();
        let cases = [
            (
                SourceError::TooLarge { at: at(), limit: 10, got: Some(12) },
                "registry r.io/web sent too much: expected at most 10 bytes, got 12",
            ),
            (
                SourceError::TooLarge { at: at(), limit: 10, got: None },
                "registry r.io/web sent too much: expected at most 10 bytes, got more",
            ),
            (
                SourceError::Stalled {
                    at: at(),
                    expected: 1024,
                    got: 3,
                    waited: Duration::from_millis(1250),
                },
                "registry r.io/web stalled: expected at least 1024 bytes in 1.2s, got 3",
            ),
            (
                SourceError::Overdue { at: at(), limit: Duration::from_secs(60), got: 3 },
                "registry r.io/web took too long: expected the whole answer within 60.0s, got 3 bytes by then",
            ),
            (
                SourceError::NotFound { at: at(), what: "tag 1.4".into(), message: String::new() },
                "registry r.io/web has no tag 1.4",
            ),
            (
                SourceError::Denied { at: at(), status: 403, message: "not yours".into() },
                "registry r.io/web denied access (HTTP status 403): not yours",
            ),
        ];
        for (error, text) in cases {
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn a_reader_gives_the_sources_error_back() {
        let error = io::Error::other(SourceError::TooLarge { at: "x".into(), limit: 1, got: None });
        assert!(matches!(SourceError::from_read(error, "y"), SourceError::TooLarge { limit: 1, .. }));
        let error = io::Error::new(io::ErrorKind::ConnectionReset, "cut");
        assert!(SourceError::from_read(error, "y").unreachable());
    }
}
