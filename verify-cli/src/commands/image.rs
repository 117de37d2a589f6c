//! `verify image`: runs the chain and prints what to pull.

use oci_image::Platform;
use verifier_lib::{Layers, Platforms, Verdict, Verification};

use crate::access::{Access, now};
use crate::advisory_db::AdvisoryDb;
use crate::args::{ChainArgs, ImageArgs};
use crate::commands::scan;
use crate::evidence;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::policy::{self, Applied};
use crate::progress::Blobs;
use crate::report;

pub(crate) fn run(args: &ImageArgs) -> Result<Exit, Failure> {
    evidence::expect_demand(&args.demand)?;
    if !args.scan && args.gate.is_given() {
        return Err(Failure::usage("the rules of a scan were given, and no scan").hint("add --scan"));
    }
    let applied = match policy::apply(&args.policy, &args.chain)? {
        Ok(applied) => applied,
        Err((name, verdict)) => return Ok(report::print(&name.to_string(), &verdict, args.printing)),
    };
    let chain = applied.as_ref().map_or(&args.chain, |applied| &applied.chain);
    run_chain(args, chain, applied.as_ref()).inspect_err(|failure| {
        report::print_failure(&args.chain.image.to_string(), failure, args.printing);
    })
}

fn run_chain(args: &ImageArgs, chain: &ChainArgs, applied: Option<&Applied>) -> Result<Exit, Failure> {
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
    let verdict = demanded(verdict, &args.demand, chain, applied)?;
    let verdict = match (verdict, &rules) {
        (Verdict::Trusted(image), Some((db, rules))) => {
            let keys = applied.map_or(args.gate.vex_keys.as_slice(), |applied| &applied.vex_keys);
            let vex = evidence::vex(keys, chain, &image)?;
            scan::last_link(&access, image, db.as_ref(), rules.as_ref(), &vex, now(chain))?
        }
        (other, _) => other,
    };
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
) -> Result<Verdict, Failure> {
    let verdict = match (verdict, applied) {
        (Verdict::Trusted(image), Some(applied)) => applied.weigh(image),
        (other, _) => other,
    };
    let demand = applied.map_or(options, |applied| &applied.demand);
    match verdict {
        Verdict::Trusted(image) => evidence::demanded(demand, chain, image),
        other => Ok(other),
    }
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
