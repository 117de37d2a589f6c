//! Why a signature or attestation counts for nothing: what was expected, and what came.

use chrono::{DateTime, Utc};
use oci_image::Digest;
use tuf_core::Failing;

/// A piece of evidence that was looked at and counts for nothing. A reader acts differently on each.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// More bytes, or entries, than are read.
    #[error("expected {what} of at most {expected}, got {got}")]
    TooLarge {
        /// What was counted.
        what: &'static str,
        /// The most that is read.
        expected: u64,
        /// How many came.
        got: u64,
    },
    /// The bytes are no such document.
    #[error("expected {what}, got something else: {why}")]
    Malformed {
        /// What was expected.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// It is a document of another kind.
    #[error("expected {what} {expected}, got {got}")]
    Kind {
        /// What says the kind: a media type, a payload type.
        what: &'static str,
        /// The kind that was expected.
        expected: String,
        /// The kind that came.
        got: String,
    },
    /// A bundle with none, or several, of which readers would take different ones.
    #[error("expected {expected} signature in the envelope, got {got}")]
    Signatures {
        /// How many there may be.
        expected: usize,
        /// How many there are.
        got: usize,
    },
    /// A statement that nobody signed.
    #[error("expected a signed statement, got one without a signature")]
    Unsigned,
    /// Nobody said who is trusted for this kind of signature.
    #[error("expected {expected}, got none: nobody is trusted for such a signature")]
    NoTrust {
        /// What would have to be given.
        expected: &'static str,
    },
    /// By none of the keys: another key's, or over other bytes.
    #[error("expected a signature by one of the {expected} keys given, got one by none of them")]
    Key {
        /// How many keys were tried.
        expected: usize,
    },
    /// The signature isn't one of the key that comes with it: the bytes were changed.
    #[error("expected the signature of {expected} over these bytes, got another: they were changed")]
    Signature {
        /// Whose signature it should be.
        expected: String,
    },
    /// It is about something else.
    #[error("expected a statement about {expected}, got one about {got}")]
    Subject {
        /// The manifest that was asked about.
        expected: Digest,
        /// What it is about.
        got: String,
    },
    /// It says something else than was asked.
    #[error("expected a statement of type {expected}, got {got}")]
    Predicate {
        /// The predicate type that was asked for.
        expected: String,
        /// The one that came.
        got: String,
    },
    /// A certificate that can't be used for this, or not at this time.
    #[error("refused its certificate: {why}")]
    Certificate {
        /// What was expected, and what came.
        why: String,
    },
    /// Signed well, by somebody who isn't trusted.
    #[error("expected a signer among {expected}, got {got}")]
    Signer {
        /// Who is trusted.
        expected: String,
        /// Who signed.
        got: String,
    },
    /// Its signer gave it an end, which is over.
    #[error("expected a signature that holds at {now}, got one that expired at {at}")]
    Expired {
        /// When it ended.
        at: DateTime<Utc>,
        /// The time it was weighed at.
        now: DateTime<Utc>,
    },
    /// What the logs or time stamps say doesn't hold.
    #[error("expected proof that it was logged, got none that holds: {why}")]
    Log {
        /// What is wrong with it.
        why: String,
    },
    /// A time stamp that a policy asks for: there is none, or it doesn't hold.
    #[error("expected an RFC 3161 time stamp that holds: {why}")]
    TimeStamp {
        /// What was expected, and what came.
        why: String,
    },
    /// Only what the publisher's metadata names today was asked for.
    #[error("expected evidence that the publisher's metadata names today, got what is only signed")]
    NotFresh,
    /// A check that is asked for and that can't be made here.
    #[error("expected something that can be checked here, got {got}")]
    Unchecked {
        /// What would have to be checked.
        got: String,
    },
}

impl Refusal {
    /// A word for it, for programs.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too-large",
            Self::Malformed { .. } => "malformed",
            Self::Kind { .. } => "other-kind",
            Self::Signatures { .. } => "signature-count",
            Self::Unsigned => "unsigned",
            Self::NoTrust { .. } => "no-trust",
            Self::Key { .. } => "other-key",
            Self::Signature { .. } => "tampered",
            Self::Subject { .. } => "other-subject",
            Self::Predicate { .. } => "other-predicate",
            Self::Certificate { .. } => "certificate",
            Self::Signer { .. } => "other-signer",
            Self::Expired { .. } => "expired",
            Self::Log { .. } => "log",
            Self::TimeStamp { .. } => "time-stamp",
            Self::NotFresh => "not-fresh",
            Self::Unchecked { .. } => "unchecked",
        }
    }

    /// What kind of failure it is, by which it is put among others.
    #[must_use]
    pub fn failing(&self) -> Failing {
        match self {
            Self::Subject { .. } => Failing::Substituted,
            Self::Signature { .. } | Self::Log { .. } => Failing::BadSignature,
            Self::Key { .. } | Self::Signer { .. } => Failing::OtherSigner,
            Self::Certificate { .. } | Self::Expired { .. } | Self::TimeStamp { .. } => Failing::Expired,
            Self::Unsigned | Self::NotFresh => Failing::Missing,
            Self::NoTrust { .. } | Self::Predicate { .. } => Failing::Denied,
            Self::TooLarge { .. } | Self::Malformed { .. } | Self::Kind { .. } | Self::Signatures { .. } => {
                Failing::Unusable
            }
            Self::Unchecked { .. } => Failing::Unchecked,
        }
    }

    pub(crate) fn malformed(what: &'static str, why: impl ToString) -> Self {
        Self::Malformed { what, why: why.to_string() }
    }

    pub(crate) fn expect_size(what: &'static str, expected: u64, got: usize) -> Result<(), Self> {
        let got = u64::try_from(got).unwrap_or(u64::MAX);
        if got <= expected { Ok(()) } else { Err(Self::TooLarge { what, expected, got }) }
    }
}
