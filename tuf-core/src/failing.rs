//! Where several things fail at once: which of them says most, and comes first.
//!
//! Nothing is decided by it. What is refused is refused for each of its reasons, and a person reads the first.

use core::fmt;

/// A kind of failure. The order is that of a list of failures, the most telling first: what points at an attack,
/// then what nobody vouches for, then what the rules of whoever verifies don't allow, and last what says nothing.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Failing {
    /// Other bytes than those that were signed, or a signature of something else.
    Substituted,
    /// Something older than what was seen before.
    RolledBack,
    /// Nothing new for too long: a statement of freshness is over.
    Frozen,
    /// Its publisher took it back.
    TakenBack,
    /// Too few good signatures: the bytes were changed, or are by other keys.
    BadSignature,
    /// Signed well, by somebody who isn't trusted with it.
    OtherSigner,
    /// It held once.
    Expired,
    /// It isn't there: a file, a signature, a name that nobody lists.
    Missing,
    /// The rules don't allow it.
    Denied,
    /// What is in it breaks a rule.
    Findings,
    /// It can't be read.
    Unusable,
    /// It can't be checked here.
    Unchecked,
    /// Nobody answered: it says nothing.
    Unreachable,
}

impl Failing {
    /// All of them, in their order.
    pub const ALL: [Self; 13] = [
        Self::Substituted,
        Self::RolledBack,
        Self::Frozen,
        Self::TakenBack,
        Self::BadSignature,
        Self::OtherSigner,
        Self::Expired,
        Self::Missing,
        Self::Denied,
        Self::Findings,
        Self::Unusable,
        Self::Unchecked,
        Self::Unreachable,
    ];

    /// A word for it, for programs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Substituted => "substituted",
            Self::RolledBack => "rolled-back",
            Self::Frozen => "frozen",
            Self::TakenBack => "taken-back",
            Self::BadSignature => "bad-signature",
            Self::OtherSigner => "other-signer",
            Self::Expired => "expired",
            Self::Missing => "missing",
            Self::Denied => "denied",
            Self::Findings => "findings",
            Self::Unusable => "unusable",
            Self::Unchecked => "unchecked",
            Self::Unreachable => "unreachable",
        }
    }
}

impl fmt::Display for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Puts the most telling first. What is of one kind stays in its order: who was asked first, or what stands first.
pub fn rank<T>(failures: &mut [T], failing: impl Fn(&T) -> Failing) {
    failures.sort_by_key(|one| failing(one));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_telling_comes_first_and_equals_stay_in_their_order() {
        let mut failures = [
            (Failing::Unreachable, 1),
            (Failing::Missing, 2),
            (Failing::Substituted, 3),
            (Failing::Missing, 4),
        ];
        rank(&mut failures, |one| one.0);
        assert_eq!(failures.map(|one| one.1), [3, 2, 4, 1]);
    }

    #[test]
    fn the_order_is_the_one_that_is_documented() {
        assert!(Failing::ALL.is_sorted());
        let names: alloc::vec::Vec<_> = Failing::ALL.iter().map(|one| one.name()).collect();
        assert_eq!(
            names.join(" > "),
            "substituted > rolled-back > frozen > taken-back > bad-signature > other-signer > expired > missing \
             > denied > findings > unusable > unchecked > unreachable"
        );
    }
}
