//! Why a document was refused: which role, which step of the specification, and the two values that disagree.

use alloc::format;
use alloc::string::String;
use core::fmt;

use crate::Instant;
use crate::failing::Failing;

/// The role a document was read as. Carried by every refusal.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Role {
    /// The root of trust.
    Root,
    /// The freshness statement.
    Timestamp,
    /// Which versions belong together.
    Snapshot,
    /// The top-level targets.
    Targets,
    /// A delegated targets role, by its name.
    Delegated(String),
}

impl Role {
    /// The targets role called `name`: the top-level one for `targets`, a delegated one for any other.
    #[must_use]
    pub fn of_targets(name: &str) -> Self {
        if name == "targets" { Self::Targets } else { Self::Delegated(name.into()) }
    }

    /// The name as metadata writes it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Root => "root",
            Self::Timestamp => "timestamp",
            Self::Snapshot => "snapshot",
            Self::Targets => "targets",
            Self::Delegated(name) => name,
        }
    }

    /// What `_type` must say (section 4.3).
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Timestamp => "timestamp",
            Self::Snapshot => "snapshot",
            Self::Targets | Self::Delegated(_) => "targets",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Debug form: a name from outside may hold anything.
            Self::Delegated(name) => write!(f, "delegated role {name:?}"),
            named => f.write_str(named.name()),
        }
    }
}

/// A document, or a target, is refused.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    /// The role the document was read as.
    pub role: Role,
    /// The step of the specification that refused it, such as `5.4.3.1`.
    pub step: &'static str,
    /// The two values that disagree.
    pub reason: Reason,
}

/// The two values that disagree.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// The document is past its own expiry.
    Expired {
        /// When it expired.
        expires: Instant,
        /// The time of this update.
        now: Instant,
    },
    /// The document is not in the expected form.
    Malformed {
        /// What is wrong with it.
        what: String,
    },
    /// The document has another type than the role it was read as.
    Type {
        /// The `_type` of the role.
        expected: &'static str,
        /// The `_type` found.
        got: String,
    },
    /// The document follows a major version of the specification that this client doesn't know.
    SpecVersion {
        /// The version found.
        got: String,
    },
    /// Fewer distinct keys signed than the role demands.
    Threshold {
        /// Demanded by the delegating role.
        need: u32,
        /// Distinct keys with a good signature.
        got: u32,
        /// Signatures that came with the document.
        present: usize,
    },
    /// The version goes backwards, or skips, or is not the one stated.
    Version {
        /// The version stated, or the lowest that may follow.
        expected: u64,
        /// The version offered.
        got: u64,
    },
    /// A file that the document speaks of goes backwards.
    Listed {
        /// The file, such as `targets.json`.
        file: String,
        /// The version already seen.
        expected: u64,
        /// The version now offered; `None` when it is no longer listed.
        got: Option<u64>,
    },
    /// The file has another length than was stated.
    Length {
        /// The length stated.
        expected: u64,
        /// The length found.
        got: u64,
    },
    /// The file has another hash than was stated.
    Hash {
        /// The hash stated, with its algorithm.
        expected: String,
        /// The hash found.
        got: String,
    },
    /// A document that another one names isn't there.
    Missing {
        /// The file.
        file: String,
    },
}

impl Refusal {
    /// What kind of failure it is, by which it is put among others.
    #[must_use]
    pub fn failing(&self) -> Failing {
        match (&self.reason, &self.role) {
            (Reason::Expired { .. }, Role::Timestamp | Role::Snapshot) => Failing::Frozen,
            (Reason::Expired { .. }, _) => Failing::Expired,
            (reason, _) => reason.failing(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, step, reason } = self;
        write!(f, "{role} {reason} (TUF {step})")
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired { expires, now } => {
                write!(f, "expired at {}, and it is now {}", stamp(expires), stamp(now))
            }
            Self::Malformed { what } => write!(f, "is malformed: {what}"),
            Self::Type { expected, got } => write!(f, "expected type {expected:?}, got {got:?}"),
            Self::SpecVersion { got } => write!(f, "expected specification version 1.x, got {got:?}"),
            Self::Threshold { need, got, present } => {
                write!(f, "needs {need} good signature(s) of distinct keys, got {got} of {present} present")
            }
            Self::Version { expected, got } => write!(f, "expected version {expected}, got {got}"),
            Self::Listed { file, expected, got: Some(got) } => {
                write!(f, "lists {file:?}: expected version {expected} or later, got {got}")
            }
            Self::Listed { file, expected, got: None } => {
                write!(f, "lists {file:?}: expected version {expected} or later, and it is no longer listed")
            }
            Self::Length { expected, got } => write!(f, "expected {expected} bytes, got {got}"),
            Self::Hash { expected, got } => write!(f, "expected {expected}, got {got}"),
            Self::Missing { file } => write!(f, "is stated but not there: expected {file:?}, got nothing"),
        }
    }
}

impl Reason {
    /// What kind of failure it is, of whatever document.
    #[must_use]
    pub fn failing(&self) -> Failing {
        match self {
            Self::Version { expected, got } if got < expected => Failing::RolledBack,
            Self::Listed { .. } => Failing::RolledBack,
            Self::Version { .. } | Self::Length { .. } | Self::Hash { .. } => Failing::Substituted,
            Self::Threshold { .. } => Failing::BadSignature,
            Self::Expired { .. } => Failing::Expired,
            Self::Missing { .. } => Failing::Missing,
            Self::Malformed { .. } | Self::Type { .. } | Self::SpecVersion { .. } => Failing::Unusable,
        }
    }

    /// The two values that disagree: what was expected, and what came.
    #[must_use]
    pub fn expected_and_got(&self) -> (String, String) {
        match self {
            Self::Expired { expires, now } => {
                (format!("an expiry after {}", stamp(now)), format!("{}", stamp(expires)))
            }
            Self::Malformed { what } => ("a well-formed document".into(), what.clone()),
            Self::Type { expected, got } => ((*expected).into(), got.clone()),
            Self::SpecVersion { got } => ("1.x".into(), got.clone()),
            Self::Threshold { need, got, .. } => {
                (format!("{need} distinct key(s)"), format!("{got} distinct key(s)"))
            }
            Self::Version { expected, got } => (format!("version {expected}"), format!("version {got}")),
            Self::Listed { file, expected, got } => (
                format!("{file} at version {expected} or later"),
                got.map_or_else(|| "not listed".into(), |got| format!("version {got}")),
            ),
            Self::Length { expected, got } => (format!("{expected} bytes"), format!("{got} bytes")),
            Self::Hash { expected, got } => (expected.clone(), got.clone()),
            Self::Missing { file } => (file.clone(), "nothing".into()),
        }
    }
}

/// A moment as metadata writes it (section 4.2.3).
fn stamp(moment: &Instant) -> impl fmt::Display {
    moment.format("%Y-%m-%dT%H:%M:%SZ")
}

impl core::error::Error for Refusal {}
