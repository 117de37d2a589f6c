//! From arguments to whose verdicts count: verifiers, and the trust in which their summaries are weighed, apart from
//! that in signers of images. Who signs for a verifier approves of no image by it.

use std::path::Path;

use chrono::{DateTime, Utc};
use image_evidence::{
    Asked, Identity, NoVerdict, Passed, SignerId, SigstoreRoot, SummaryDemand, Trust, TrustedKey,
    VERIFICATION_SUMMARY, Verifier,
};
use oci_image::Reference;
use verifier_lib::evidence::{self, Found, Judged, Outcome, Subjects};

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

    /// Whether one of them, alone, is a verdict that counts; nothing of what isn't signed by any of those.
    pub(crate) fn accept(
        &self,
        judged: &Judged,
        name: &Reference,
        subjects: &Subjects,
        now: DateTime<Utc>,
    ) -> Option<Result<Passed, NoVerdict>> {
        let Outcome::Signed(verified) = &judged.outcome else { return None };
        let (top, part) = (subjects.top().digest, judged.found.subject.digest);
        judged.predicate_type().filter(|kind| kind == VERIFICATION_SUMMARY)?;
        Some(self.demand.accept(verified, &Asked { name, top, part, now }))
    }
}

/// Whether a piece says that it is a summary, whoever may have written it.
fn is_summary(found: &Found) -> bool {
    let Ok(bytes) = &found.bytes else { return false };
    let piece = image_evidence::Piece { form: found.form, bytes, annotations: &found.blob.annotations };
    piece.unverified().is_some_and(|statement| statement.predicate_type == VERIFICATION_SUMMARY)
}
