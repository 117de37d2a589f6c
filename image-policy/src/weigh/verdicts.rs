//! Verdicts of other verifiers, from facts. Which of them counts is told by `image-evidence`.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use image_evidence::{Asked, NoVerdict, Passed, SignerId, Summary, SummaryDemand, Verifier, Vsa};
use oci_image::{Digest, Reference};

use super::{Allowed, Outside, Short, about, keyless, parts, signer};
use crate::demands::{Attested, SignerRule, is_kind};
use crate::facts::{Evidence, Facts};

/// That enough of the verifiers passed each part, or what lists it, and none refused it.
pub(super) fn weigh(demand: &Attested, facts: &Facts, outside: &dyn Outside) -> Result<String, Short> {
    let (summaries, allowed) = summaries(demand, outside).map_err(Short::unknown)?;
    let name: Reference = read(&facts.name)?;
    let now: DateTime<Utc> = read(&facts.at)?;
    let top: Digest = read(facts.digest.as_deref().unwrap_or_default())?;
    let mut words = None;
    for part in parts(facts) {
        let asked = Asked { name: &name, top, part: read(part)?, now };
        let pieces = about(facts, part).filter(|one| is_kind(&demand.predicate, &one.predicate));
        // That it failed is no publisher's to take back.
        let failed = |one: &Evidence| one.verdict.as_ref().is_some_and(|verdict| !verdict.passed);
        let pieces = pieces.filter(|one| one.fresh || !demand.fresh || failed(one));
        let passed = summaries.weigh_summaries(pieces.map(|one| summary(one, facts, &allowed)), &asked);
        let passed = passed.map_err(|why| match why {
            // What a verifier refused stays refused, whatever else there may be.
            NoVerdict::Failed { .. } => Short::of(why.to_string()),
            _ if demand.fresh => allowed.short(facts, format!("{why}, named by the publisher's metadata")),
            _ => allowed.short(facts, why.to_string()),
        })?;
        words.get_or_insert_with(|| shown(&passed));
    }
    words.ok_or_else(|| Short::unknown("no digest was recorded"))
}

/// What is demanded of verdicts, and of those who sign them.
pub(super) fn summaries(
    demand: &Attested,
    outside: &dyn Outside,
) -> Result<(SummaryDemand, Allowed), String> {
    let (verifiers, allowed) = verifiers(demand, outside)?;
    let summaries = SummaryDemand {
        verifiers,
        at_least: Some(demand.at_least),
        max_age: demand.max_age.map_or(TimeDelta::MAX, seconds),
        levels: demand.levels.clone(),
    };
    Ok((summaries, allowed))
}

fn seconds(age: u64) -> TimeDelta {
    i64::try_from(age).ok().and_then(TimeDelta::try_seconds).unwrap_or(TimeDelta::MAX)
}

fn read<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Short> {
    text.parse().map_err(|why| Short::unknown(format!("what was recorded can't be read: {text:?}: {why}")))
}

fn verifiers(demand: &Attested, outside: &dyn Outside) -> Result<(Vec<Verifier>, Allowed), String> {
    let (mut verifiers, mut allowed) = (Vec::new(), Allowed::default());
    for rule in &demand.verifiers {
        let signer = match &rule.signer {
            SignerRule::Key(file) => {
                let id = outside.key(file)?;
                allowed.keys.push(id);
                SignerId::Key(id)
            }
            SignerRule::Identity(identity) => {
                allowed.identities.push(keyless(identity));
                SignerId::Identity(keyless(identity))
            }
        };
        verifiers.push(Verifier { id: rule.id.clone(), signer });
    }
    Ok((verifiers, allowed))
}

fn summary(piece: &Evidence, facts: &Facts, allowed: &Allowed) -> Result<Summary, NoVerdict> {
    let no_summary = |got: String| NoVerdict::NoSummary { got };
    let Some(verdict) = &piece.verdict else { return Err(no_summary(piece.predicate.clone())) };
    let time = piece.time.as_deref().map(|text| DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()));
    let vsa = Vsa {
        verifier: verdict.verifier.clone(),
        time: time.transpose().map_err(|why| no_summary(why.to_string()))?,
        resource: verdict.resource.clone(),
        policy: None,
        passed: verdict.passed,
        levels: verdict.levels.clone(),
    };
    let mut signers = allowed.among(&piece.signers, facts);
    if signers.is_empty() {
        // It counts for nothing, and an error says whose it is.
        signers = piece.signers.iter().filter_map(signer).collect();
    }
    let subjects = piece.about.parse().into_iter().collect();
    Ok(Summary { signers, vsa, subjects })
}

fn shown(passed: &[Passed]) -> String {
    let one = |one: &Passed| {
        let at = one.at.to_rfc3339_opts(SecondsFormat::Secs, true);
        format!("{} at {at} ({})", one.verifier, one.levels.join(", "))
    };
    format!("verified by {}", passed.iter().map(one).collect::<Vec<_>>().join("; "))
}
