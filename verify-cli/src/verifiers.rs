//! From arguments to whose verdicts count: verifiers, and the trust in which their summaries are weighed, apart from
//! that in signers of images. Who signs for a verifier approves of no image by it.

use std::path::Path;

use chrono::{DateTime, Utc};
use image_evidence::{
    Asked, Identity, Predicate, SignerId, SigstoreRoot, SummaryDemand, Trust, TrustedKey,
    VERIFICATION_SUMMARY, Verified, Verifier,
};
use oci_image::{Digest, Reference};
use verifier_lib::evidence::{self, Found, Judged, Outcome};

use crate::evidence::{bad, read};
use crate::failure::Failure;
use crate::verifier_args::{SignsForIt, VerifierArgs};

/// Whose verdicts count, and how they are verified.
pub(crate) struct Verifiers {
    pub(crate) demand: SummaryDemand,
    trust: Trust,
}

impl Verifiers {
    /// Those that were given; none where nobody was.
    pub(crate) fn of(args: &VerifierArgs, trusted_root: Option<&Path>) -> Result<Option<Self>, Failure> {
        if args.verifiers.is_empty() {
            return Ok(None);
        }
        let (mut verifiers, mut trust) = (Vec::new(), Trust::default());
        for given in &args.verifiers {
            let id = given.id.clone();
            match &given.by {
                SignsForIt::Key(file) => {
                    let name = file.display().to_string();
                    let key = TrustedKey::from_pem(&name, &read(file)?).map_err(bad(file))?;
                    verifiers.push(Verifier { id, signer: key.signer_id() });
                    trust.keys.push(key);
                }
                SignsForIt::Identity(subject, issuer) => {
                    let identity = Identity { subject: subject.clone(), issuer: issuer.clone() };
                    verifiers.push(Verifier { id, signer: SignerId::Identity(identity.clone()) });
                    trust.identities.push(identity);
                }
            }
        }
        if !trust.identities.is_empty() {
            let root = trusted_root.ok_or_else(|| {
                Failure::usage("a verifier is an identity, and there is no root of such identities")
                    .hint("name sigstore's trusted_root.json with --trusted-root")
            })?;
            trust.sigstore = Some(SigstoreRoot::from_json(&read(root)?).map_err(bad(root))?);
        }
        let levels = args.vsa_level.iter().cloned().collect();
        let demand = SummaryDemand { verifiers, at_least: None, max_age: args.max_age(), levels };
        Ok(Some(Self { demand, trust }))
    }

    /// Takes the summaries out of what was found, and weighs them.
    pub(crate) fn judge(&self, pieces: &mut Vec<Found>, repository: &str, now: DateTime<Utc>) -> Vec<Judged> {
        let (summaries, others): (Vec<_>, Vec<_>) = std::mem::take(pieces).into_iter().partition(is_summary);
        *pieces = others;
        evidence::judge(summaries, repository, &self.trust, now)
    }
}

/// Verdicts that are demanded, by options or by rules.
pub(crate) struct Demanded {
    pub(crate) demand: SummaryDemand,
    /// Whether the publisher's metadata must name them.
    pub(crate) fresh: bool,
}

impl Demanded {
    /// Whether a piece is one of them, beside all that were found; `None` where it is no summary by anybody who is
    /// trusted.
    pub(crate) fn counts(
        demanded: &[Self],
        judged: &Judged,
        all: &[Judged],
        (name, top, now): (&Reference, Digest, DateTime<Utc>),
    ) -> Option<Result<(), String>> {
        let verified = summary(judged)?;
        let part = judged.found.subject.digest;
        let mut why = None;
        for one in demanded {
            let about = all.iter().filter(|one| [top, part].contains(&one.found.subject.digest));
            let said =
                about.filter(|piece| piece.found.fresh || !one.fresh || failed(piece)).filter_map(summary);
            let counts = one.demand.accept(verified, said, &Asked { name, top, part, now });
            let unnamed = one.fresh && !judged.found.fresh;
            match counts {
                Ok(_) if unnamed => why = Some("the publisher's metadata doesn't name it".to_owned()),
                Ok(_) => return Some(Ok(())),
                Err(other) => drop(why.get_or_insert_with(|| other.to_string())),
            }
        }
        why.map(Err)
    }
}

fn summary(judged: &Judged) -> Option<&Verified> {
    let Outcome::Signed(verified) = &judged.outcome else { return None };
    (verified.claim.predicate_type() == VERIFICATION_SUMMARY).then_some(verified)
}

fn failed(judged: &Judged) -> bool {
    matches!(judged.predicate(), Some(Ok(Predicate::Vsa(vsa))) if !vsa.passed)
}

/// Whether a piece says that it is a summary, whoever may have written it.
fn is_summary(found: &Found) -> bool {
    let Ok(bytes) = &found.bytes else { return false };
    let piece = image_evidence::Piece { form: found.form, bytes, annotations: &found.blob.annotations };
    piece.unverified().is_some_and(|statement| statement.predicate_type == VERIFICATION_SUMMARY)
}
