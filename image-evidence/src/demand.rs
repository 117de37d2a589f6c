//! Who is enough: the one place where signers of images are counted.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use image_signatures::COSIGN_SIGN;

use crate::piece::{Claim, Verified};
use crate::predicate::Predicate;
use crate::trust::{Signer, SignerId};

/// What must be signed, by how many.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Demand {
    /// What.
    pub wanted: Wanted,
    /// By how many distinct signers.
    pub signers: NonZeroU32,
}

/// What must be signed. A list of what is in an image, however well signed, is no approval of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Wanted {
    /// The image itself.
    Approval,
    /// A statement of this predicate type about it.
    Predicate(String),
}

impl Wanted {
    /// By predicate type; cosign's for signatures stands for a signature in any form.
    #[must_use]
    pub fn of(predicate_type: &str) -> Self {
        match predicate_type {
            COSIGN_SIGN => Self::Approval,
            other => Self::Predicate(other.to_owned()),
        }
    }

    fn predicate_type(&self) -> &str {
        match self {
            Self::Approval => COSIGN_SIGN,
            Self::Predicate(kind) => kind,
        }
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Approval => "the image",
            Self::Predicate(kind) => kind,
        })
    }
}

/// Fewer signed than must.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected {wanted} signed by {expected}, got {}", shown(.got))]
pub struct NotEnough {
    /// What was wanted: a predicate type.
    pub wanted: String,
    /// By how many distinct signers.
    pub expected: NonZeroU32,
    /// Those who did.
    pub got: Vec<String>,
}

fn shown(signers: &[String]) -> String {
    match signers {
        [] => "none".into(),
        some => format!("{}: {}", some.len(), some.join(", ")),
    }
}

impl Demand {
    /// The distinct signers of what is wanted, if they are enough. One key is one signer, however many
    /// signatures, certificates and formats it has.
    ///
    /// # Errors
    /// [`NotEnough`], with those who did.
    pub fn weigh<'a>(
        &self,
        verified: impl IntoIterator<Item = &'a Verified>,
    ) -> Result<Vec<Signer>, NotEnough> {
        let wanted = self.wanted.predicate_type();
        let is_wanted = |piece: &&Verified| piece.claim.predicate_type() == wanted && counts(&piece.claim);
        let pieces = verified.into_iter().filter(is_wanted);
        self.count(pieces.flat_map(|piece| &piece.signers))
    }

    /// The distinct ones of these signers, who all signed what is wanted, if they are enough.
    ///
    /// # Errors
    /// [`NotEnough`], with those who did.
    pub fn count<'a>(&self, signers: impl IntoIterator<Item = &'a Signer>) -> Result<Vec<Signer>, NotEnough> {
        let signers = distinct(signers.into_iter());
        if u32::try_from(signers.len()).unwrap_or(u32::MAX) >= self.signers.get() {
            return Ok(signers.into_iter().cloned().collect());
        }
        let got = signers.into_iter().map(ToString::to_string).collect();
        Err(NotEnough { wanted: self.wanted.predicate_type().into(), expected: self.signers, got })
    }
}

impl Claim {
    /// Whether it can be counted towards a [`Demand`] of its type.
    #[must_use]
    pub fn is_countable(&self) -> bool {
        counts(self)
    }
}

/// Whether a claim of the type that is wanted can be counted. Another verifier's verdict can't: whose counts, for what
/// and for how long, is for [`SummaryDemand`](crate::SummaryDemand) to say, and a signed verdict may be that it failed
/// (SLSA 1.2, "Verification Summary Attestation"; in-toto's SVR).
fn counts(claim: &Claim) -> bool {
    match claim {
        Claim::Approval => true,
        Claim::Statement(statement) => match Predicate::of(statement) {
            Ok(Predicate::Vsa(_) | Predicate::Svr(_)) | Err(_) => false,
            // Of a version that isn't read here.
            Ok(Predicate::Other(kind)) => !kind.starts_with("https://in-toto.io/attestation/svr"),
            Ok(_) => true,
        },
    }
}

/// One of each group of signers that are linked by what they share: a key, or whom a certificate names.
pub(crate) fn distinct<'a>(signers: impl Iterator<Item = &'a Signer>) -> Vec<&'a Signer> {
    let each: BTreeMap<Vec<SignerId>, &Signer> = signers.map(|signer| (signer.ids(), signer)).collect();
    let mut groups: Vec<(BTreeSet<SignerId>, &Signer)> = Vec::new();
    for (ids, signer) in each {
        let mut group = (ids.into_iter().collect::<BTreeSet<_>>(), signer);
        let (same, others): (Vec<_>, _) = groups.into_iter().partition(|(ids, _)| !ids.is_disjoint(&group.0));
        group.0.extend(same.into_iter().flat_map(|(ids, _)| ids));
        groups = others;
        groups.push(group);
    }
    groups.into_iter().map(|(_, signer)| signer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::Identity;
    use oci_image::Digest;

    #[test]
    fn a_signed_verdict_of_others_counts_for_nothing_and_other_statements_do() {
        let signed = |kind: &str, predicate: &str| {
            let text = format!(
                r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"{kind}","predicate":{predicate}}}"#
            );
            let claim = Claim::Statement(crate::statement::Statement::parse(text.as_bytes()).unwrap());
            let signers = vec![Signer::Key { name: "a.pub".into(), id: Digest::of(b"a") }];
            let demand = Demand { wanted: Wanted::of(kind), signers: NonZeroU32::MIN };
            demand.weigh([&Verified { claim, signers }]).is_ok()
        };
        let vsa = "https://slsa.dev/verification_summary/v1";
        for result in ["FAILED", "PASSED"] {
            assert!(!signed(vsa, &format!(r#"{{"verificationResult":"{result}"}}"#)));
        }
        assert!(!signed(vsa, "{}"));
        assert!(!signed("https://in-toto.io/attestation/svr/v0.1", "{}"));
        assert!(signed("https://example.com/reviewed/v1", "{}"));
    }

    #[test]
    fn signers_that_share_a_key_or_a_name_are_one() {
        let id = |key: &str| Digest::of(key.as_bytes());
        let key = |name: &str| Signer::Key { name: format!("{name}.pub"), id: id(name) };
        let certificate =
            |subject: &str, key: &str| Signer::Certificate { subject: subject.into(), id: id(key) };
        let identity = |issuer: &str| {
            Signer::Identity(Identity { subject: "a@example.com".into(), issuer: issuer.into() })
        };
        let renamed = Signer::Key { name: "again.pub".into(), id: id("a") };
        for (signers, expected) in [
            (vec![], 0),
            (vec![key("a"), key("a"), renamed], 1),
            (vec![key("a"), key("b")], 2),
            (vec![key("a"), certificate("CN=alice", "a")], 1),
            (vec![certificate("CN=alice", "a"), certificate("CN=alice", "b")], 1),
            // Linked by the third, which comes last or first.
            (vec![key("a"), key("b"), certificate("CN=x", "a"), certificate("CN=x", "b")], 1),
            (vec![certificate("CN=alice", "a"), certificate("CN=bob", "b")], 2),
            (vec![identity("https://one"), identity("https://one")], 1),
            (vec![identity("https://one"), identity("https://two"), key("a")], 3),
        ] {
            assert_eq!(distinct(signers.iter()).len(), expected, "{signers:?}");
            assert_eq!(distinct(signers.iter().rev()).len(), expected, "{signers:?}");
        }
    }
}
