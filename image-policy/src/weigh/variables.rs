//! What a condition is asked about: the facts of one part of an image, as its variables.

use std::collections::BTreeSet;

use image_evidence::{Builder, COSIGN_SIGN, Provenance};
use oci_image::Reference;

use super::{Allowed, YOUNGEST, about, age, signer};
use crate::condition::{Built, Image, Piece, Scanned, Signer as ConditionSigner, Variables};
use crate::demands::source_name;
use crate::facts::{Facts, ScanFacts, SignerFact, SignerKind};
use crate::pattern::canonical;
use crate::policy::Scope;

/// Whose word counts for what.
pub(super) struct Known {
    /// Whose signatures and attestations are seen.
    pub(super) allowed: Allowed,
    /// Builders, and who signs for them.
    pub(super) pairs: Vec<Builder>,
    /// The ids of the keys whose word on findings counts.
    pub(super) vex_keys: BTreeSet<String>,
}

pub(super) fn of(scope: &Scope, facts: &Facts, part: &str, known: &Known) -> Result<Variables, String> {
    let name: Reference = facts.name.parse().map_err(|why| format!("{}: {why}", facts.name))?;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let whole = canonical(name.name());
    let (registry, repository) = whole.split_once('/').unwrap_or_default();
    let mut of = Variables {
        image: Image {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag: name.tag().map(|tag| tag.as_str().to_owned()).unwrap_or_default(),
            digest: text(&facts.digest),
            name: whole.clone(),
        },
        // A name alone says nothing of a role that somebody else delegated to: see `Scope::expect_role`.
        role: if facts.delegation_path.is_empty() {
            text(&facts.role)
        } else {
            facts.delegation_path.join("/")
        },
        repo: scope.trust.as_ref().map(|trust| trust.repo.clone()).unwrap_or_else(|| text(&facts.repo)),
        root: text(&facts.root_sha256),
        scan: scanned(facts.scans.as_deref().unwrap_or_default(), &known.vex_keys),
        ..Variables::default()
    };
    let named = |fact: &&SignerFact| known.allowed.names(fact, facts.looked_for.as_ref());
    let approvals: BTreeSet<&SignerFact> = about(facts, part)
        .filter(|one| one.predicate == COSIGN_SIGN && one.readable)
        .flat_map(|one| &one.signers)
        .filter(named)
        .collect();
    of.signers = approvals.into_iter().map(condition_signer).collect();
    for piece in about(facts, part).filter(|one| one.readable && one.predicate != COSIGN_SIGN) {
        let signers: Vec<&SignerFact> = piece.signers.iter().filter(named).collect();
        if signers.is_empty() && !piece.signers.is_empty() && !piece.fresh {
            continue;
        }
        // What is of a time to come is of no age that says anything.
        let age = age(piece, facts).filter(|age| *age >= YOUNGEST);
        of.evidence.push(Piece {
            predicate: piece.predicate.clone(),
            fresh: piece.fresh,
            age: age.map_or(i64::MAX, |age| age.max(0)),
            signers: signers.iter().map(|fact| condition_signer(fact)).collect(),
        });
        let Some(fact) = piece.build.as_ref().filter(|_| !signers.is_empty()) else { continue };
        let signers: Vec<_> = signers.into_iter().filter_map(signer).collect();
        let provenance = Provenance { builder: fact.builder.clone(), ..Provenance::default() };
        of.builders.push(Built {
            id: fact.builder.clone(),
            level: provenance.level(&signers, &known.pairs).map_or(0, i64::from),
            source: fact.source.as_deref().map(source_name).unwrap_or_default().to_owned(),
            unexpected: fact.unexpected_parameters.clone(),
        });
    }
    Ok(of)
}

fn condition_signer(fact: &SignerFact) -> ConditionSigner {
    let kind = match fact.kind {
        SignerKind::Key => "key",
        SignerKind::Identity => "identity",
        SignerKind::Certificate => "certificate",
    };
    ConditionSigner {
        kind: kind.to_owned(),
        id: fact.id.clone().unwrap_or_default(),
        name: fact.name.clone(),
        issuer: fact.issuer.clone().unwrap_or_default(),
    }
}

/// Of all platforms, each weakness of each package once; what somebody answers for whose word counts is left out.
fn scanned(scans: &[ScanFacts], vex_keys: &BTreeSet<String>) -> Scanned {
    let mut of = Scanned::default();
    let mut seen = BTreeSet::new();
    for finding in scans.iter().flat_map(|scan| &scan.findings) {
        let package = finding.source_package.as_deref().unwrap_or(&finding.package);
        let answered = finding.not_affected_by.as_ref().is_some_and(|key| vex_keys.contains(key));
        if answered || !seen.insert((package, finding.id.as_str())) {
            continue;
        }
        let add = |count: &mut i64, is: bool| *count = count.saturating_add(i64::from(is));
        match finding.severity.as_str() {
            "critical" => add(&mut of.critical, true),
            "high" => add(&mut of.high, true),
            "medium" => add(&mut of.medium, true),
            "low" => add(&mut of.low, true),
            "negligible" => add(&mut of.negligible, true),
            _ => add(&mut of.unknown, true),
        }
        add(&mut of.exploited, finding.exploited);
        add(&mut of.fixable, finding.fixable);
    }
    of.gaps = scans.iter().map(|scan| i64::try_from(scan.gaps).unwrap_or(i64::MAX)).max().unwrap_or(0);
    let age = |scan: &ScanFacts| scan.database_age_seconds.unwrap_or(i64::MAX);
    of.database_age = scans.iter().map(age).max().unwrap_or(i64::MAX);
    of
}
