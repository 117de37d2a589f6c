//! `verify image`: runs the chain and prints what to pull.

use image_pack::Recorder;
use oci_image::Platform;
use verifier_lib::{Layers, Platforms, Stage, Verdict, Verification};

use crate::access::{Access, now, trusted_name};
use crate::advisory_db::AdvisoryDb;
use crate::args::{ChainArgs, ImageArgs, VerdictFormat};
use crate::carried;
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
    if args.with_proof && args.printing.format != VerdictFormat::Json {
        return Err(Failure::usage("a proof can be put into JSON only").hint("add --format json"));
    }
    let given = given(args).inspect_err(|failure| {
        let pack = args.pack.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        report::print_failure(&pack, failure, args.printing);
    })?;
    let applied = match policy::apply(&args.policy, &given)? {
        Ok(applied) => applied,
        Err((name, verdict)) => return Ok(report::print(&name.to_string(), &verdict, args.printing)),
    };
    let chain = applied.as_ref().map_or(&given, |applied| &applied.chain);
    run_chain(args, chain, applied.as_ref()).inspect_err(|failure| {
        let image = trusted_name(chain).map_or_else(|_| chain.image.to_string(), |name| name.to_string());
        let image = if args.pack.is_some() { image } else { args.chain.image.to_string() };
        report::print_failure(&image, failure, args.printing);
    })
}

/// The chain as it was asked for: from a pack, where there is one, and with notes, where a proof is wanted.
fn given(args: &ImageArgs) -> Result<ChainArgs, Failure> {
    let mut chain = match &args.pack {
        Some(pack) => carried::from_pack(pack, &args.chain)?,
        None => args.chain.clone(),
    };
    if args.with_proof {
        chain.at = Some(now(&chain));
        chain.carried.recorder = Some(Recorder::default());
    }
    Ok(chain)
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
    let proof = match (&verdict, &chain.carried.recorder) {
        (Verdict::Trusted(image), Some(recorder)) => {
            let mut draft = carried::draft(&access, chain, image, recorder)?;
            if image.proof().links.iter().any(|link| link.stage == Stage::Evidence) {
                draft = carried::with_evidence(draft, chain, image)?;
            }
            Some(draft.embedded(carried::stamp(chain)))
        }
        _ => None,
    };
    Ok(report::print_with(&access.name.to_string(), &verdict, args.printing, proof))
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
