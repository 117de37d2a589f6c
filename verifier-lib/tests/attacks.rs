//! The attack catalogue over every surface: each attack is refused at the link that it breaks, with what
//! was expected and what came, and leaves the client's state as it was.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use image_evidence::{Demand, Trust, TrustedKey, Wanted};
use oci_image::{
    Credentials, HttpLimits, HttpOptions, LayoutSource, Location, Platform, Reference, Registry,
    RegistryOptions, Secret, Selector,
};
use test_repos::attacks::{Attack, Failure, Outcome, Report, catalogue, run, run_attested};
use test_repos::surface::{Endpoints, SurfaceKind};
use tuf_client::{Client, DirStore, RepoLocation, TransportOptions};
use verifier_lib::evidence::{self, EvidenceSource, Subjects};
use verifier_lib::{Broken, Failing, Layers, Platforms, Verdict, Verification, VerifiedImage};

/// Short enough for a test to wait for, long enough for a loaded machine to answer in.
fn limits() -> HttpLimits {
    HttpLimits {
        window: Duration::from_millis(700),
        rate: 1024,
        read: Duration::from_secs(5),
        retries: 0,
        ..HttpLimits::default()
    }
}

fn source(endpoints: &Endpoints) -> (Box<dyn EvidenceSource>, String) {
    match endpoints.image.parse().unwrap() {
        Location::Layout { dir, tag, .. } => (Box::new(LayoutSource::open(dir).unwrap()), tag.unwrap()),
        Location::Registry(reference) => {
            let credentials = endpoints.credentials.as_ref().map_or_else(Credentials::anonymous, |login| {
                Credentials::password(
                    reference.name().registry(),
                    &login.user,
                    Secret::from(login.password.clone()),
                )
            });
            let options = RegistryOptions { credentials, limits: limits(), ..RegistryOptions::default() };
            let tag = reference.tag().unwrap().as_str().to_owned();
            (Box::new(Registry::new(reference.name(), options).unwrap()), tag)
        }
    }
}

fn judge(endpoints: &Endpoints, state: &Path, kinds: &mut Vec<Failing>) -> Outcome {
    let http = HttpOptions { limits: limits(), ..HttpOptions::default() };
    let repo: RepoLocation = endpoints.repo.parse().unwrap();
    let client = Client::new(
        endpoints.root.clone(),
        repo.transport(&TransportOptions { http, ..TransportOptions::default() }),
        Box::new(DirStore::open(state).unwrap()),
        endpoints.now,
    );
    let (source, tag) = source(endpoints);
    let name: Reference = endpoints.name.parse().unwrap();
    let platform: Platform = endpoints.platform.parse().unwrap();
    let verdict = Verification::new(&client, source.as_ref(), Selector::Tag(&tag), &name)
        .platforms(Platforms::One(platform))
        .layers(Layers::Hash)
        .run(&mut |_| ());
    let verdict = match (verdict, &endpoints.demand) {
        (Verdict::Trusted(image), Some(demand)) => demanded(demand, source.as_ref(), endpoints, image),
        (verdict, _) => verdict,
    };
    let mut told = |broken: &Broken| {
        kinds.push(broken.link.reasons.first().unwrap().kind);
        (broken.link.stage.to_string(), broken.to_string())
    };
    match verdict {
        Verdict::Trusted(image) => Outcome::Trusted { digest: image.digest().to_string() },
        Verdict::Refused(broken) => {
            let (link, text) = told(&broken);
            Outcome::Refused { link, text }
        }
        Verdict::Unknown(broken) => {
            let (link, text) = told(&broken);
            Outcome::Unknown { link, text }
        }
    }
}

/// The verdict on an image whose chain held, where it must be signed too.
fn demanded(
    demand: &test_repos::world::Demand,
    source: &dyn EvidenceSource,
    endpoints: &Endpoints,
    image: Box<VerifiedImage>,
) -> Verdict {
    let key = |(number, pem): (usize, &String)| TrustedKey::from_pem(&format!("key {number}"), pem).unwrap();
    let trust = Trust { keys: demand.keys.iter().enumerate().map(key).collect(), ..Trust::default() };
    let subjects = Subjects::of(&image);
    let found = evidence::collect(source, &subjects);
    let judged = evidence::judge(found.pieces, &image.name().name().to_string(), &trust, endpoints.now);
    let signers = NonZeroU32::new(demand.count).unwrap();
    let demand = Demand { wanted: Wanted::Approval, signers };
    evidence::demand(image, &demand, &subjects, &judged, &found.gaps)
}

type Play = fn(
    &'static Attack,
    SurfaceKind,
    &Path,
    &mut dyn FnMut(&Endpoints, &Path) -> Outcome,
) -> Result<Report, Failure>;

/// What is said of some of the attacks first.
const KINDS: [(Failing, &[&str]); 7] = [
    (
        Failing::Substituted,
        &["layer-flipped", "child-swapped", "tag-moved", "tag-moved-back", "mixed-moments"],
    ),
    (Failing::RolledBack, &["timestamp-replayed", "snapshot-rolled-back", "tag-moved-back-by-replay"]),
    (Failing::Frozen, &["timestamp-frozen", "snapshot-expired"]),
    (Failing::BadSignature, &["wrong-key-timestamp", "one-key-under-two-ids", "root-below-threshold"]),
    (Failing::Expired, &["root-expired", "targets-expired"]),
    (Failing::Missing, &["layer-missing", "outside-delegation"]),
    (Failing::Unreachable, &["repository-unreachable", "registry-unavailable"]),
];

fn every_attack_on(kind: SurfaceKind, play: Play) {
    let mut failed = Vec::new();
    let attacks: Vec<_> = catalogue().iter().filter(|attack| attack.surfaces.contains(&kind)).collect();
    let count = attacks.len();
    for attack in attacks {
        let (scratch, mut kinds) = (tempfile::tempdir().unwrap(), Vec::new());
        let mut judged = |endpoints: &Endpoints, state: &Path| judge(endpoints, state, &mut kinds);
        if let Err(failure) = play(attack, kind, scratch.path(), &mut judged) {
            failed.push(format!("{}: {failure}", attack.name));
        }
        let expected = KINDS.iter().find(|(_, names)| names.contains(&attack.name)).map(|(kind, _)| *kind);
        if let Some(expected) = expected
            && kinds != [expected]
        {
            failed.push(format!("{}: expected a failure that is {expected}, got {kinds:?}", attack.name));
        }
    }
    assert!(failed.is_empty(), "{} of {count} on {kind}:\n{}", failed.len(), failed.join("\n"));
    assert!(count >= 57, "expected the whole catalogue on {kind}, got {count}");
}

#[test]
fn every_attack_on_folders_is_refused() {
    every_attack_on(SurfaceKind::Directory, run);
}

#[test]
fn every_attack_over_http_is_refused() {
    every_attack_on(SurfaceKind::Http, run);
}

#[test]
fn every_attack_on_a_registry_is_refused() {
    every_attack_on(SurfaceKind::Registry, run);
}

#[test]
fn good_signatures_make_up_for_no_attack_on_folders() {
    every_attack_on(SurfaceKind::Directory, run_attested);
}

#[test]
fn good_signatures_make_up_for_no_attack_on_a_registry() {
    every_attack_on(SurfaceKind::Registry, run_attested);
}
