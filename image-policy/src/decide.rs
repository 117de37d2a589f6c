//! What rules would say of an image that was seen before.

use oci_image::Reference;

use crate::facts::{Chain, Entry, Facts};
use crate::policy::{Choice, Denial, Policy, Scope};
use crate::weigh::{Allowed, Failing, Outside, weigh};

/// What rules would say.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Outcome {
    /// It may run: all that is demanded was seen.
    Admitted,
    /// Its name may run; nothing else is known of it.
    ByName,
    /// It can't be told from what was seen.
    Unknown,
    /// It may not.
    Blocked,
}

/// What rules would say of an image, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decision {
    /// What.
    pub outcome: Outcome,
    /// The scope that decides; none where none fits.
    pub scope: Option<String>,
    /// The line where that is.
    pub line: Option<usize>,
    /// Why it may not run, or can't be told.
    pub why: Vec<String>,
    /// The demands of the scope that are not met.
    pub failing: Vec<Failing>,
}

impl Entry {
    /// The name that was asked for.
    #[must_use]
    pub fn image(&self) -> &str {
        match self {
            Self::Seen(facts) => &facts.image,
            Self::Name(name) => name,
        }
    }

    /// What was seen, where more than a name is known.
    #[must_use]
    pub fn facts(&self) -> Option<&Facts> {
        match self {
            Self::Seen(facts) => Some(facts),
            Self::Name(_) => None,
        }
    }

    /// The name that these rules mean by it: what was asked for, or what that mirrors.
    ///
    /// # Errors
    /// Where that is no name.
    pub fn meant(&self, policy: &Policy) -> Result<Reference, String> {
        let text = self.image();
        let asked: Reference = text.parse().map_err(|why| format!("{text}: {why}"))?;
        let meant = policy.stands_for(&asked).map_err(|why| format!("behind a mirror: {why}"))?;
        Ok(meant.unwrap_or(asked))
    }
}

/// What rules would say of an image that was seen, as of when it was.
#[must_use]
pub fn decide(policy: &Policy, entry: &Entry, outside: &dyn Outside) -> Decision {
    let meant = match entry.meant(policy) {
        Ok(meant) => meant,
        Err(why) => return Decision::of(Outcome::Blocked, None, vec![why]),
    };
    let scope = match policy.choose(&meant) {
        Choice::Admits(scope) => scope,
        Choice::Denies { scope, why } => {
            let why = match why {
                Denial::NoScope => format!("no scope fits {}", meant.name()),
                Denial::Said(reason) => reason.to_owned(),
                Denial::Tag => format!("the tag of {meant} may not be used"),
            };
            return Decision::of(Outcome::Blocked, scope, vec![why]);
        }
    };
    let Some(facts) = entry.facts() else { return Decision::of(Outcome::ByName, Some(scope), Vec::new()) };
    // What is known is known of the name that was verified.
    let same = facts.name.parse::<Reference>().is_ok_and(|name| name == meant);
    if !same && facts.chain != Chain::Unasked {
        let why = format!("it was seen as {}, and these rules mean {meant}", facts.name);
        return Decision::of(Outcome::Unknown, Some(scope), vec![why]);
    }
    let facts = match seen_by(scope, facts, outside) {
        Ok(facts) => facts,
        Err(why) => return Decision::of(Outcome::Unknown, Some(scope), vec![why]),
    };
    let mut failing = Vec::new();
    for member in scope.members() {
        let Err(fails) = weigh(member, scope, &facts, outside) else { continue };
        let ends = fails.member == crate::Member::Chain;
        failing.push(fails);
        if ends {
            break;
        }
    }
    let outcome = match failing.iter().map(|one| one.unknown).min() {
        None => Outcome::Admitted,
        Some(false) => Outcome::Blocked,
        Some(true) => Outcome::Unknown,
    };
    let why = failing.iter().map(|one| one.what.clone()).collect();
    Decision { failing, ..Decision::of(outcome, Some(scope), why) }
}

impl Decision {
    fn of(outcome: Outcome, scope: Option<&Scope>, why: Vec<String>) -> Self {
        Self {
            outcome,
            scope: scope.map(|scope| scope.name.clone()),
            line: scope.map(|scope| scope.line),
            why,
            failing: Vec::new(),
        }
    }
}

/// The facts as whoever keeps to this scope would have seen them: signatures of those whom it names, and no others.
fn seen_by(scope: &Scope, facts: &Facts, outside: &dyn Outside) -> Result<Facts, String> {
    let allowed = Allowed::in_scope(scope, outside)?;
    let mut facts = facts.clone();
    let looked = facts.looked_for.clone();
    facts.evidence.retain_mut(|piece| {
        let unsigned = piece.signers.is_empty();
        piece.signers.retain(|signer| allowed.names(signer, looked.as_ref()));
        unsigned || !piece.signers.is_empty()
    });
    Ok(facts)
}
