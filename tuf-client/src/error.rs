//! Why an update, a search or a download gave no answer: which role, which step, what was expected and
//! what came. Advice is the programs' affair.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use oci_image::SourceError;
use thiserror::Error;
use tuf_core::{Failing, NotFound, Reason, Refusal, Role};

use crate::store::StoreError;

/// Why an update, a search or a download gave no answer. Cheap to clone: callers who waited for the same
/// update share it.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// A document is refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A document could not be had, or what came instead can't be used.
    #[error("{role}: {error}")]
    Source {
        /// The role whose document was wanted.
        role: Role,
        /// What happened.
        error: Arc<SourceError>,
    },
    /// The place has no repository.
    #[error("{at} has no TUF repository: expected {file}, got nothing")]
    NoRepository {
        /// Where it was looked for.
        at: String,
        /// The file that every repository has.
        file: String,
    },
    /// A mirror lacks a document that another one has. It may lag behind, or hide something.
    #[error("{role}: expected {file:?}, which another mirror has, got nothing")]
    Withheld {
        /// The role whose document was wanted.
        role: Role,
        /// The document.
        file: String,
    },
    /// Of several mirrors, none gave a document that is accepted.
    #[error("{role}: expected a document from one of {} mirrors, got none{}", blames.len(), lines(blames))]
    Mirrors {
        /// The role whose document was wanted.
        role: Role,
        /// What each of them did, the most telling first.
        blames: Vec<Blame>,
        /// The error that says most: a refusal says more than silence.
        telling: Box<ClientError>,
    },
    /// Without the network, and what is kept doesn't suffice.
    #[error("offline, and {what}")]
    Offline {
        /// What is missing, or since when it is expired.
        what: String,
    },
    /// The time for all of it was over.
    #[error("{role}: took too long: expected all of it within {total:.1?}")]
    Overdue {
        /// The role that was reached.
        role: Role,
        /// The time that there was.
        total: Duration,
    },
    /// A target file isn't what the metadata says of it (5.7.3).
    #[error("target {path:?} {reason} (TUF 5.7.3)")]
    Target {
        /// The target's path.
        path: String,
        /// The two values that disagree.
        reason: Reason,
    },
    /// A target's bytes came, and could not be written where the caller wanted them.
    #[error("target {path:?}: could not write it: {error}")]
    Unwritten {
        /// The target's path.
        path: String,
        /// What happened.
        error: Arc<std::io::Error>,
    },
    /// No role that may speak for the target lists it (5.7.2).
    #[error("target {path:?}: expected a role that lists it, got none (TUF 5.7.2)")]
    NotListed {
        /// The target's path.
        path: String,
        /// Which roles were searched.
        absent: NotFound,
    },
    /// The client was not told where target files are.
    #[error("target {path:?}: expected a place where target files are, got none")]
    NoTargets {
        /// The target's path.
        path: String,
    },
    /// What was accepted can't be kept, or read back.
    #[error("the trusted store failed: {0}")]
    Store(Arc<StoreError>),
}

/// What a mirror did that it should not, or did not do that it should.
#[derive(Clone, Debug)]
pub struct Blame {
    /// The mirror.
    pub source: String,
    /// What came of asking it.
    pub error: ClientError,
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.error)
    }
}

/// One line for each mirror.
fn lines(blames: &[Blame]) -> String {
    blames.iter().map(|blame| format!("\n  {blame}")).collect()
}

impl From<StoreError> for ClientError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl ClientError {
    pub(crate) fn source(role: &Role, error: SourceError) -> Self {
        Self::Source { role: role.clone(), error: Arc::new(error) }
    }

    /// The error for a document that none of the mirrors gave. A single source's own error is clear.
    pub(crate) fn of_mirrors(role: &Role, mut blames: Vec<Blame>) -> Self {
        tuf_core::rank(&mut blames, |blame| blame.error.failing());
        // Whatever kind it is, a refusal says more than silence.
        blames.sort_by_key(|blame| blame.error.unreachable());
        let telling = blames.first().map(|blame| blame.error.clone());
        match (blames.as_slice(), telling) {
            ([only], _) => only.error.clone(),
            (_, Some(telling)) => Self::Mirrors { role: telling.role(), blames, telling: Box::new(telling) },
            (_, None) => Self::Offline { what: format!("{} can't be had: there is no mirror", role.name()) },
        }
    }

    /// What kind of failure it is, by which it is put among others.
    #[must_use]
    pub fn failing(&self) -> Failing {
        match self {
            Self::Refused(refusal) => refusal.failing(),
            Self::Target { reason, .. } => reason.failing(),
            Self::Mirrors { telling, .. } => telling.failing(),
            Self::NotListed { .. } | Self::NoRepository { .. } | Self::Withheld { .. } => Failing::Missing,
            Self::Source { error, .. } if error.unreachable() => Failing::Unreachable,
            Self::Source { .. } => Failing::Unusable,
            Self::Offline { .. }
            | Self::Overdue { .. }
            | Self::NoTargets { .. }
            | Self::Unwritten { .. }
            | Self::Store(_) => Failing::Unreachable,
        }
    }

    /// What each of several mirrors did, the most telling first; none where there was one place to ask.
    #[must_use]
    pub fn blames(&self) -> &[Blame] {
        match self {
            Self::Mirrors { blames, .. } => blames,
            _ => &[],
        }
    }

    /// Whether nothing was learnt about the repository: *could not tell*. Otherwise it is refused.
    #[must_use]
    pub fn unreachable(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Target { .. } | Self::NotListed { .. } => false,
            Self::Source { error, .. } => error.unreachable(),
            Self::Mirrors { telling, .. } => telling.unreachable(),
            Self::NoRepository { .. }
            | Self::Withheld { .. }
            | Self::Offline { .. }
            | Self::Overdue { .. }
            | Self::NoTargets { .. }
            | Self::Unwritten { .. }
            | Self::Store(_) => true,
        }
    }

    /// The role whose document was refused or wanted; the timestamp where no document was reached.
    #[must_use]
    pub fn role(&self) -> Role {
        match self {
            Self::Refused(refusal) => refusal.role.clone(),
            Self::Source { role, .. }
            | Self::Withheld { role, .. }
            | Self::Mirrors { role, .. }
            | Self::Overdue { role, .. } => role.clone(),
            Self::Target { .. }
            | Self::NotListed { .. }
            | Self::NoTargets { .. }
            | Self::Unwritten { .. } => Role::Targets,
            Self::NoRepository { .. } | Self::Offline { .. } | Self::Store(_) => Role::Timestamp,
        }
    }

    /// The refusal, where a document was refused: of several mirrors, the one that says most.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            Self::Mirrors { telling, .. } => telling.refusal(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(role: Role, reason: Reason) -> ClientError {
        ClientError::Refused(Refusal { role, step: "5.4", reason })
    }

    #[test]
    fn of_several_mirrors_the_most_telling_comes_first_and_silence_last() {
        let older = Reason::Version { expected: 7, got: 6 };
        let unsigned = Reason::Threshold { need: 1, got: 0, present: 1 };
        let unusable = SourceError::Malformed { at: "c".into(), why: "no JSON".into() };
        let silent = SourceError::Unreachable { at: "d".into(), why: "refused".into() };
        let errors = [
            ("silent", ClientError::source(&Role::Timestamp, silent)),
            ("empty", ClientError::NoRepository { at: "b".into(), file: "timestamp.json".into() }),
            ("unusable", ClientError::source(&Role::Timestamp, unusable)),
            ("unsigned", refused(Role::Timestamp, unsigned)),
            ("older", refused(Role::Timestamp, older)),
        ];
        let blames = errors.map(|(source, error)| Blame { source: source.into(), error });
        let error = ClientError::of_mirrors(&Role::Timestamp, blames.to_vec());
        let order: Vec<_> = error.blames().iter().map(|blame| blame.source.as_str()).collect();
        assert_eq!(order, ["older", "unsigned", "unusable", "empty", "silent"]);
        assert_eq!(error.failing(), Failing::RolledBack);
        assert!(!error.unreachable(), "one of them is refused, so all of it is");
    }
}
