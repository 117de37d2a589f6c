//! Why there is no signature, or why it isn't where it should be.

use oci_image::SourceError;

use crate::chain::ChainError;
use crate::format::Format;

/// A signature could not be made. Nothing was pushed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// No format was asked for.
    #[error("expected at least one format to sign for, got none")]
    Nothing,
    /// The readers of this format can't use such a key.
    #[error("{format} can't use this key: {why}")]
    Key {
        /// For whom.
        format: Format,
        /// What was expected, and what came.
        why: String,
    },
    /// The key didn't sign, or what it made was no signature.
    #[error("{format}: {why}")]
    NotSigned {
        /// For whom.
        format: Format,
        /// Why, as the key says.
        why: String,
    },
    /// notation's signatures carry certificates.
    #[error("notation needs a certificate chain for the key, got none")]
    NoCertificates,
    /// notation would refuse these certificates.
    #[error("notation would refuse the certificates: {0}")]
    Certificates(#[from] ChainError),
}

/// A signature could not be pushed. Others may have been.
#[derive(Debug, thiserror::Error)]
#[error("the signature for {} was not pushed: {source}", names(.formats))]
pub struct PushError {
    /// For whom.
    pub formats: Vec<Format>,
    /// Why.
    pub source: SourceError,
}

fn names(formats: &[Format]) -> String {
    formats.iter().map(Format::to_string).collect::<Vec<_>>().join(", ")
}
