//! What the repositories of a map said, and what it comes to: fields, and sentences of them.

use std::fmt;

use tuf_core::NotFound;
use tuf_core::schema::Target;

use super::consensus::agree;
use crate::ClientError;

/// What one repository says of a target.
#[derive(Debug)]
pub enum Said {
    /// It lists it so.
    Listed(Target),
    /// None of its roles that may speak for the path lists it. Where that search was cut short, nothing
    /// is known.
    Absent(NotFound),
    /// It could not be asked, or what it says is refused. Never counted as agreement.
    Failed(ClientError),
}

/// A repository, and what it says.
#[derive(Debug)]
pub struct Statement {
    /// The repository's name in the map.
    pub repository: String,
    /// What it says.
    pub said: Said,
}

/// As many repositories as the map asks for say the same of a target.
#[derive(Debug)]
pub struct Consensus {
    /// Which mapping spoke, from 1.
    pub mapping: usize,
    /// The length and the hashes that were agreed on. `custom` is not, so it isn't here: each
    /// repository's own is in its statement.
    pub target: Target,
    /// What each repository said that was asked, in the order of the map.
    pub statements: Vec<Statement>,
}

impl Consensus {
    /// The repositories that say what was agreed on, in the order of the map.
    pub fn agreeing(&self) -> impl Iterator<Item = &str> {
        self.names(true)
    }

    /// The repositories that list the target with other values.
    pub fn dissenting(&self) -> impl Iterator<Item = &str> {
        self.names(false)
    }

    fn names(&self, agreeing: bool) -> impl Iterator<Item = &str> {
        let listed = self.statements.iter().filter_map(|one| match &one.said {
            Said::Listed(target) => Some((one.repository.as_str(), target)),
            Said::Absent(_) | Said::Failed(_) => None,
        });
        listed
            .filter(move |(_, target)| agree(target, &self.target) == agreeing)
            .map(|(repository, _)| repository)
    }
}

/// Why a mapping gave no consensus.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Missed {
    /// Enough repositories were heard to know that too few agree.
    Heard,
    /// Too few could be asked: *could not tell*.
    Unreachable,
    /// What too many of them say is refused.
    Refused,
}

/// A mapping that gave no consensus.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tried {
    /// Which mapping, from 1.
    pub mapping: usize,
    /// How many repositories had to agree.
    pub expected: usize,
    /// Of how many.
    pub of: usize,
    /// How many did at most.
    pub got: usize,
    /// Why so few.
    pub missed: Missed,
}

/// No mapping gave a consensus on a target.
#[derive(Debug)]
pub struct NoConsensus {
    /// The target's path.
    pub path: String,
    /// The mappings that cover it, in order, up to the one that ended the search.
    pub tried: Vec<Tried>,
    /// What each repository said that was asked, in the order of the map.
    pub statements: Vec<Statement>,
}

impl NoConsensus {
    /// Whether the answer depends on repositories that could not be asked: *could not tell*. Otherwise
    /// the target is refused.
    #[must_use]
    pub fn unreachable(&self) -> bool {
        self.tried.last().is_some_and(|last| last.missed == Missed::Unreachable)
    }
}

impl fmt::Display for NoConsensus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.tried.is_empty() {
            return write!(f, "target {:?}: expected a mapping that covers it, got none", self.path);
        }
        write!(f, "target {:?}", self.path)?;
        for Tried { mapping, expected, of, got, .. } in &self.tried {
            write!(f, ", mapping {mapping} expected {expected} of {of} repositories to agree, got {got}")?;
        }
        for (statement, mark) in self.statements.iter().zip([':'].into_iter().chain(std::iter::repeat(';'))) {
            write!(f, "{mark} {statement}")?;
        }
        Ok(())
    }
}

impl std::error::Error for NoConsensus {}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.repository, self.said)
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed(target) => {
                write!(f, "says {} bytes", target.length)?;
                target.hashes.iter().try_for_each(|(name, hash)| write!(f, ", {name}:{hash}"))
            }
            Self::Absent(NotFound { exhausted: false, .. }) => f.write_str("does not list it"),
            Self::Absent(NotFound { searched, .. }) => {
                write!(f, "was searched no further than {} roles", searched.len())
            }
            Self::Failed(error) if error.unreachable() => write!(f, "could not be asked: {error}"),
            Self::Failed(error) => write!(f, "is refused: {error}"),
        }
    }
}
