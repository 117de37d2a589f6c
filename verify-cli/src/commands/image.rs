//! `verify image`: runs the chain and prints what to pull.

use oci_image::Platform;
use verifier_lib::{Layers, Platforms, Verdict, Verification, VerifiedImage};

use crate::access::{Access, now};
use crate::advisory_db::AdvisoryDb;
use crate::args::{ChainArgs, ImageArgs};
use crate::commands::scan::{self, Rulings};
use crate::evidence::{self, Searched};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::policy::{self, Applied};
use crate::progress::Blobs;
use crate::record::Sighting;
use crate::report;

pub(crate) fn run(args: &ImageArgs) -> Result<Exit, Failure> {
    evidence::expect_demand(&args.demand, args.record.record.is_some())?;
    if !args.scan && args.gate.is_given() {
        return Err(Failure::usage("the rules of a scan were given, and no scan").hint("add --scan"));
    }
    let mut seen = Sighting::begin(&args.record, &args.chain)?;
    let applied = match policy::apply(args.policy.policy.as_deref(), &args.chain, Some(&mut seen))? {
        Ok(applied) => applied,
        Err((name, verdict)) => {
            seen.end(&verdict)?;
            return Ok(report::print(&name.to_string(), &verdict, args.printing));
        }
    };
    let chain = applied.as_ref().map_or(&args.chain, |applied| &applied.chain);
    let done = run_chain(args, chain, applied.as_ref(), &mut seen);
    done.map_err(|failure| seen.failed(&failure).err().unwrap_or(failure)).inspect_err(|failure| {
        report::print_failure(&args.chain.image.to_string(), failure, args.printing);
    })
}

fn run_chain(
    args: &ImageArgs,
    chain: &ChainArgs,
    applied: Option<&Applied>,
    seen: &mut Sighting,
) -> Result<Exit, Failure> {
    // Before anything is read: a wrong database is no reason to wait for an image.
    let rules = match applied.and_then(|applied| applied.scan.as_ref()) {
        Some(_) if args.scan => {
            return Err(Failure::usage("the rules demand a scan of their own").hint("leave --scan out"));
        }
        Some((db, rules)) => Some((Some(AdvisoryDb::needed(db.as_deref(), chain)?), Some(rules.clone()))),
        None if args.scan => Some(args.gate.open(chain, false)?),
        None => None,
    };
    let access = Access::of(chain)?;
    // What is on this machine is hashed to the last byte; what isn't, as it is pulled. A scan reads every layer, and
    // hashes it as it does.
    let layers = if access.local && rules.is_none() { Layers::Hash } else { Layers::Defer };
    let verdict = verify(&access, chain, layers);
    seen.chain(&access, &verdict);
    let verdict = demanded(verdict, &args.demand, chain, applied, seen)?;
    let verdict = match (verdict, &rules) {
        (Verdict::Trusted(image), Some((db, rules))) => {
            let keys = applied.map_or(args.gate.vex_keys.as_slice(), |applied| &applied.vex_keys);
            let vex = evidence::vex(keys, chain, &image)?;
            let rules = Rulings { rules: rules.as_ref(), vex: &vex, vex_keys: keys };
            scan::last_link(&access, image, db.as_ref(), &rules, now(chain), seen)?
        }
        (other, _) => other,
    };
    let verdict = match applied {
        Some(applied) => applied.weigh_condition(verdict, seen.facts()),
        None => verdict,
    };
    seen.end(&verdict)?;
    if matches!(verdict, Verdict::Trusted(_)) {
        access.trusted()?;
    }
    Ok(report::print(&access.name.to_string(), &verdict, args.printing))
}

/// What is demanded besides of an image whose chain held: by the rules, or by options.
pub(crate) fn demanded(
    verdict: Verdict,
    options: &crate::evidence_args::DemandArgs,
    chain: &ChainArgs,
    applied: Option<&Applied>,
    seen: &mut Sighting,
) -> Result<Verdict, Failure> {
    let Verdict::Trusted(image) = verdict else { return Ok(verdict) };
    let searched = searched(options, chain, applied, &image, seen)?;
    let verdict = match applied {
        Some(applied) => applied.weigh(image),
        None => Verdict::Trusted(image),
    };
    let demand = applied.map_or(options, |applied| &applied.demand);
    let verdict = match verdict {
        Verdict::Trusted(image) => evidence::demanded(demand, chain, image, searched.as_ref())?,
        other => other,
    };
    Ok(match (verdict, applied) {
        (Verdict::Trusted(image), Some(applied)) => applied.weigh_evidence(image, seen.facts()),
        (other, _) => other,
    })
}

/// Signatures and attestations, where rules ask for more than signers, or what is seen is recorded.
fn searched(
    options: &crate::evidence_args::DemandArgs,
    chain: &ChainArgs,
    applied: Option<&Applied>,
    image: &VerifiedImage,
    seen: &mut Sighting,
) -> Result<Option<Searched>, Failure> {
    let needed = applied.is_some_and(Applied::looks_at_evidence);
    if !needed && !seen.is_whole() {
        return Ok(None);
    }
    let signers = applied.map_or(&options.signers, |applied| &applied.signers);
    let trust = evidence::trust(signers)?;
    let searched = match Searched::of(chain, image) {
        Ok(searched) => searched,
        // What nobody demands is not recorded as looked for.
        Err(_) if !needed => return Ok(None),
        Err(failure) => return Err(failure),
    };
    seen.evidence(signers, &trust, &searched.judged(&trust), searched.gaps());
    Ok(Some(searched))
}

pub(crate) fn verify(access: &Access, args: &ChainArgs, layers: Layers) -> Verdict {
    let platforms = match &args.platform {
        _ if args.all_platforms => Platforms::All,
        Some(platform) => Platforms::One(platform.clone()),
        None => Platforms::Host(Platform::host()),
    };
    let mut blobs = Blobs::new();
    Verification::new(&access.client, access.source.as_ref(), access.selector(), &access.name)
        .platforms(platforms)
        .layers(layers)
        .after(access.trust.clone())
        .run(&mut |(blob, done)| blobs.update(blob, done))
}
