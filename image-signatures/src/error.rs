//! Why there is no signature, or why it isn't where it should be.

use oci_image::{Digest, SourceError};

use crate::chain::ChainError;
use crate::format::Format;

/// A signature could not be made. Nothing was pushed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SigningError {
    /// No format was asked for.
    #[error("expected at least one format to sign for, got none")]
    Nothing,
    /// An index has too many images.
    #[error("podman needs a signature of each image of an index: expected at most {expected}, got {got}")]
    Parts {
        /// How many may be signed.
        expected: usize,
        /// How many there are.
        got: usize,
    },
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
    /// The readers of this format know no attestations.
    #[error("expected cosign2 or cosign3, got {format}, which reads no attestations")]
    NoAttestations {
        /// Which one.
        format: Format,
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
    /// What should have been signed: the image, or a part of it.
    pub image: Digest,
    /// Why.
    pub source: Box<SourceError>,
}

fn names(formats: &[Format]) -> String {
    formats.iter().map(Format::to_string).collect::<Vec<_>>().join(", ")
}
