//! `verify demo`: a publisher, a user and every attack of the catalogue, in a temporary folder.
//!
//! The catalogue is the one that the tests run. Nothing here decides: each verdict is the library's.

use std::num::NonZeroU32;
use std::path::Path;

use image_evidence::{Demand, Trust, TrustedKey, Wanted};
use oci_image::{LayoutSource, Location, Platform, Reference, Selector};
use serde::Serialize;
use test_repos::attacks::{Attack, Outcome, catalogue, run as run_attack};
use test_repos::surface::{Endpoints, Surface, SurfaceKind};
use tuf_client::{Client, DirStore, RepoLocation, TransportOptions};
use verifier_lib::evidence::{self, Subjects};
use verifier_lib::{Layers, Platforms, Verdict, Verification, VerifiedImage};

use crate::args::{DemoArgs, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::report::print_json;
use crate::style::{Style, out, short_digests, shown};

/// The answer as JSON. Schema: `docs/schema/verify-demo.json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct DemoReport {
    /// The version of this form.
    version: u32,
    /// The image that was signed and verified.
    accepted: Accepted,
    /// Every attack, and what became of it.
    attacks: Vec<AttackReport>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Accepted {
    /// The name.
    name: String,
    /// The digest it stands for.
    digest: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct AttackReport {
    /// The attack.
    name: &'static str,
    /// What the attacker does.
    story: &'static str,
    /// The rule that stops it.
    step: &'static str,
    /// Whether it was told as it must be, and the client's state stayed as it was.
    held: bool,
    /// `refused`, `unknown` or `trusted`.
    verdict: &'static str,
    /// The broken link.
    link: String,
    /// What the verifier said.
    said: String,
}

pub(crate) fn run(args: &DemoArgs) -> Result<Exit, Failure> {
    let folder = tempfile::Builder::new().prefix("hallmark-demo-").tempdir().map_err(Failure::unknown)?;
    let accepted = accept(folder.path())?;
    if args.format == Format::Text {
        print_accepted(&accepted);
    }
    let mut attacks = Vec::new();
    for attack in catalogue().iter().filter(|attack| attack.surfaces.contains(&SurfaceKind::Directory)) {
        let report = strike(attack, folder.path())?;
        if args.format == Format::Text {
            print_attack(&report);
        }
        attacks.push(report);
    }
    let held = attacks.iter().filter(|attack| attack.held).count();
    let all = attacks.len();
    match args.format {
        Format::Json => print_json(&DemoReport { version: 1, accepted, attacks }),
        Format::Text => {
            out!("\n{held} of {all} attacks came to nothing, and left the client's state as it was.")
        }
    }
    Ok(if held == all { Exit::Trusted } else { Exit::Refused })
}

/// The good day: signed, published, verified.
fn accept(folder: &Path) -> Result<Accepted, Failure> {
    let surface = Surface::start(SurfaceKind::Directory, &folder.join("good")).map_err(Failure::unknown)?;
    let endpoints = surface.endpoints().map_err(Failure::unknown)?;
    match judge(&endpoints, &folder.join("good").join("state")) {
        Outcome::Trusted { digest } => Ok(Accepted { name: endpoints.name, digest }),
        Outcome::Refused { link, text } | Outcome::Unknown { link, text } => {
            Err(Failure::refused(format!("the good image is not trusted: {link}: {text}")))
        }
    }
}

fn strike(attack: &'static Attack, folder: &Path) -> Result<AttackReport, Failure> {
    let scratch = tempfile::tempdir_in(folder).map_err(Failure::unknown)?;
    let (held, outcome) = match run_attack(attack, SurfaceKind::Directory, scratch.path(), &mut judge) {
        Ok(report) => (true, report.outcome),
        Err(failure) => (false, Outcome::Unknown { link: String::new(), text: failure.to_string() }),
    };
    let (verdict, link, said) = match outcome {
        Outcome::Trusted { digest } => ("trusted", String::new(), digest),
        Outcome::Refused { link, text } => ("refused", link, text),
        Outcome::Unknown { link, text } => ("unknown", link, text),
    };
    let Attack { name, story, step, .. } = *attack;
    Ok(AttackReport { name, story, step, held, verdict, link, said })
}

/// The library's verdict on what the endpoints name.
fn judge(endpoints: &Endpoints, state: &Path) -> Outcome {
    verify(endpoints, state).unwrap_or_else(|text| Outcome::Unknown { link: "reference".to_owned(), text })
}

fn verify(endpoints: &Endpoints, state: &Path) -> Result<Outcome, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let repo: RepoLocation = endpoints.repo.parse().map_err(|error| text(&error))?;
    let name: Reference = endpoints.name.parse().map_err(|error| text(&error))?;
    let platform: Platform = endpoints.platform.parse().map_err(|error| text(&error))?;
    let Location::Layout { dir, tag: Some(tag), .. } =
        endpoints.image.parse().map_err(|error| text(&error))?
    else {
        return Err(format!("expected an OCI layout, got {}", endpoints.image));
    };
    let store = DirStore::open(state).map_err(|error| text(&error))?;
    let transport = repo.transport(&TransportOptions::default());
    let client = Client::new(endpoints.root.clone(), transport, Box::new(store), endpoints.now);
    let source = LayoutSource::open(dir).map_err(|error| text(&error))?;
    let verdict = Verification::new(&client, &source, Selector::Tag(&tag), &name)
        .platforms(Platforms::One(platform))
        .layers(Layers::Hash)
        .run(&mut |_| ());
    let verdict = match (verdict, &endpoints.demand) {
        (Verdict::Trusted(image), Some(demand)) => demanded(demand, &source, endpoints, image)?,
        (verdict, _) => verdict,
    };
    let told = |broken: &verifier_lib::Broken| (broken.link.stage.to_string(), broken.to_string());
    Ok(match verdict {
        Verdict::Trusted(image) => Outcome::Trusted { digest: image.digest().to_string() },
        Verdict::Refused(broken) => {
            let (link, text) = told(&broken);
            Outcome::Refused { link, text }
        }
        Verdict::Unknown(broken) => {
            let (link, text) = told(&broken);
            Outcome::Unknown { link, text }
        }
    })
}

/// The verdict on an image whose chain held, where it must be signed too.
fn demanded(
    demand: &test_repos::world::Demand,
    source: &LayoutSource,
    endpoints: &Endpoints,
    image: Box<VerifiedImage>,
) -> Result<Verdict, String> {
    let key = |pem: &String| TrustedKey::from_pem("the signer's key", pem);
    let keys = demand.keys.iter().map(key).collect::<Result<_, _>>().map_err(|error| error.to_string())?;
    let trust = Trust { keys, ..Trust::default() };
    let signers = NonZeroU32::new(demand.count).unwrap_or(NonZeroU32::MIN);
    let subjects = Subjects::of(&image);
    let found = evidence::collect(source, &subjects);
    let judged = evidence::judge(found.pieces, &image.name().name().to_string(), &trust, endpoints.now);
    let demand = Demand { wanted: Wanted::Approval, signers };
    Ok(evidence::demand(image, &demand, &subjects, &judged, &found.gaps))
}

fn print_accepted(accepted: &Accepted) {
    let style = Style::stdout();
    out!("A publisher signs what {} means; a user verifies it:\n", accepted.name);
    out!("  {}  {}", style.good("trusted"), accepted.digest);
    out!("\nNow the attacks. After each, the same image must be trusted again.\n");
}

fn print_attack(attack: &AttackReport) {
    let style = Style::stdout();
    let mark = match (attack.held, attack.verdict) {
        (false, _) => style.bad("FAILED "),
        (true, "refused") => style.bad("refused"),
        (true, "unknown") => style.unsure("unknown"),
        (true, _) => style.good("trusted"),
    };
    out!("  {mark}  {}", attack.story);
    out!("           {}", style.faint(&short_digests(&shown(&attack.said))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_docs_is_that_of_the_report() {
        crate::report::tests::schema_is_kept("verify-demo", &schemars::schema_for!(DemoReport));
    }
}
