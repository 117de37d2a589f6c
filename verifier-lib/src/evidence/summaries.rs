//! Verdicts that other verifiers signed, as a link of the chain.

use chrono::{DateTime, SecondsFormat, Utc};
use image_evidence::{Asked, NoVerdict, Passed, SummaryDemand, VERIFICATION_SUMMARY, Verified};

use super::{Gap, Judged, Outcome, SHOWN, Subjects, in_a_line};
use crate::image::VerifiedImage;
use crate::proof::{Link, Stage, Status};
use crate::verify::Verdict;

/// The verdict on an image whose chain held, after the verdicts of others were weighed: one more link. `judged` was
/// weighed with those who sign for the verifiers, and with nobody else. Where a verdict is missing and something
/// could not be reached, it could not be told.
#[must_use]
pub fn summaries(
    image: Box<VerifiedImage>,
    demand: &SummaryDemand,
    subjects: &Subjects,
    judged: &[Judged],
    gaps: &[Gap],
    now: DateTime<Utc>,
) -> Verdict {
    let subject = image.digest().to_string();
    let is_summary = |one: &&Judged| one.predicate_type().as_deref() == Some(VERIFICATION_SUMMARY);
    let judged: Vec<&Judged> = judged.iter().filter(is_summary).collect();
    let weighed = |judged: Vec<&Judged>| weigh(demand, &image, subjects, &judged, now);
    let link = match weighed(judged.clone()) {
        Ok(passed) => {
            let fresh = weighed(judged.into_iter().filter(|one| one.found.fresh).collect()).is_ok();
            let words: Vec<_> = passed.iter().map(shown).collect();
            let worth = if fresh { "fresh" } else { "only signed" };
            let detail = in_a_line(&format!("verified by {}; {worth}", words.join("; ")));
            Link { fresh: Some(fresh), ..Link::new(Stage::Evidence, Status::Passed, subject, detail) }
        }
        Err(why) => {
            // What a verifier refused stays refused, whatever else there may be.
            let missing = !matches!(why, NoVerdict::Failed { .. });
            let unreached = gaps.iter().find(|gap| gap.unreachable && missing);
            let status = if unreached.is_some() { Status::Unknown } else { Status::Broken };
            let mut detail = why.to_string();
            let refused = judged.iter().filter_map(|one| match &one.outcome {
                Outcome::Refused(why) => {
                    Some(format!("; {} in {}: {why}", one.found.form, one.found.place.name()))
                }
                Outcome::Signed(_) | Outcome::Published(_) => None,
            });
            detail.extend(refused.take(SHOWN));
            detail.extend(unreached.map(|gap| format!("; {}: {}", gap.what, gap.why)));
            Link::new(Stage::Evidence, status, subject, in_a_line(&detail))
        }
    };
    image.then(link)
}

fn shown(passed: &Passed) -> String {
    let at = passed.at.to_rfc3339_opts(SecondsFormat::Secs, true);
    format!("{} at {at} ({})", passed.verifier, passed.levels.join(", "))
}

/// Of each part that will run, the verdicts on it or on what lists it.
fn weigh(
    demand: &SummaryDemand,
    image: &VerifiedImage,
    subjects: &Subjects,
    judged: &[&Judged],
    now: DateTime<Utc>,
) -> Result<Vec<Passed>, NoVerdict> {
    let top = subjects.top.digest;
    let mut parts: Vec<_> = subjects.parts.iter().map(|part| part.digest).collect();
    if parts.is_empty() {
        parts.push(top);
    }
    let mut first = None;
    for part in parts {
        let asked = Asked { name: image.name(), top, part, now };
        let about = judged.iter().filter(|one| [top, part].contains(&one.found.subject.digest));
        let passed = demand.weigh(about.filter_map(|one| signed(one)), &asked)?;
        first.get_or_insert(passed);
    }
    Ok(first.unwrap_or_default())
}

fn signed(judged: &Judged) -> Option<&Verified> {
    match &judged.outcome {
        Outcome::Signed(verified) => Some(verified),
        Outcome::Published(_) | Outcome::Refused(_) => None,
    }
}
