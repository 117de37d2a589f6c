//! `verify image`: runs the chain and prints what to pull.

use oci_image::Platform;
use verifier_lib::evidence::Judged;
use verifier_lib::{Layers, Platforms, Verdict, Verification};

use crate::access::{Access, now};
use crate::advisory_db::AdvisoryDb;
use crate::args::{ChainArgs, ImageArgs};
use crate::commands::scan;
use crate::evidence;
use crate::evidence_args::DemandArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::gate_args::GateArgs;
use crate::policy::{self, Applied};
use crate::policy_args::PolicyArgs;
use crate::progress::Blobs;
use crate::report;

pub(crate) fn run(args: &ImageArgs) -> Result<Exit, Failure> {
    let ImageArgs { chain, policy, demand, scan, gate, printing } = args;
    let asked = Asked { chain, policy, demand, scan: *scan, gate };
    let judged = asked.judge(|_| Ok(())).inspect_err(|failure| {
        report::print_failure(&chain.image.to_string(), failure, *printing);
    })?;
    Ok(report::print(&judged.name, &judged.verdict, *printing))
}

/// What is asked about an image.
pub(crate) struct Asked<'a> {
    pub(crate) chain: &'a ChainArgs,
    pub(crate) policy: &'a PolicyArgs,
    pub(crate) demand: &'a DemandArgs,
    pub(crate) scan: bool,
    pub(crate) gate: &'a GateArgs,
}

/// The answer.
pub(crate) struct Answer {
    /// The name that is meant.
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    /// The evidence that was weighed, where any was demanded.
    pub(crate) pieces: Vec<Judged>,
}

impl Asked<'_> {
    /// Runs the chain and all that is demanded besides. `ready` may change what will be looked up in the source.
    pub(crate) fn judge(
        &self,
        ready: impl FnOnce(&mut Access) -> Result<(), Failure>,
    ) -> Result<Answer, Failure> {
        evidence::expect_demand(self.demand, self.policy.policy.is_some())?;
        if !self.scan && self.gate.is_given() {
            return Err(Failure::usage("the rules of a scan were given, and no scan").hint("add --scan"));
        }
        let applied = match policy::apply(self.policy, self.chain)? {
            Ok(applied) => applied,
            Err((name, verdict)) => {
                return Ok(Answer { name: name.to_string(), verdict, pieces: Vec::new() });
            }
        };
        let chain = applied.as_ref().map_or(self.chain, |applied| &applied.chain);
        self.judge_by(chain, applied.as_ref(), ready)
    }

    fn judge_by(
        &self,
        chain: &ChainArgs,
        applied: Option<&Applied>,
        ready: impl FnOnce(&mut Access) -> Result<(), Failure>,
    ) -> Result<Answer, Failure> {
        // Before anything is read: a wrong database is no reason to wait for an image.
        let rules = match applied.and_then(|applied| applied.scan.as_ref()) {
            Some(_) if self.scan => {
                return Err(Failure::usage("the rules demand a scan of their own").hint("leave --scan out"));
            }
            Some((db, rules)) => Some((Some(AdvisoryDb::needed(db.as_deref(), chain)?), Some(rules.clone()))),
            None if self.scan => Some(self.gate.open(chain, false)?),
            None => None,
        };
        let mut access = Access::of(chain)?;
        ready(&mut access)?;
        // What is on this machine is hashed to the last byte; what isn't, as it is pulled. A scan reads every layer,
        // and hashes it as it does.
        let layers = if access.local && rules.is_none() { Layers::Hash } else { Layers::Defer };
        let verdict = verify(&access, chain, layers);
        let (verdict, pieces) = demanded(verdict, self.demand, chain, applied)?;
        let verdict = match (verdict, &rules) {
            (Verdict::Trusted(image), Some((db, rules))) => {
                let keys = applied.map_or(self.gate.vex_keys.as_slice(), |applied| &applied.vex_keys);
                let vex = evidence::vex(keys, chain, &image)?;
                scan::last_link(&access, image, db.as_ref(), rules.as_ref(), &vex, now(chain))?
            }
            (other, _) => other,
        };
        if matches!(verdict, Verdict::Trusted(_)) {
            access.trusted()?;
        }
        Ok(Answer { name: access.name.to_string(), verdict, pieces })
    }
}

/// What is demanded besides of an image whose chain held: by the rules, or by options. And the evidence that was
/// weighed.
pub(crate) fn demanded(
    verdict: Verdict,
    options: &DemandArgs,
    chain: &ChainArgs,
    applied: Option<&Applied>,
) -> Result<(Verdict, Vec<Judged>), Failure> {
    let verdict = match (verdict, applied) {
        (Verdict::Trusted(image), Some(applied)) => applied.weigh(image),
        (other, _) => other,
    };
    let demand = applied.map_or(options, |applied| &applied.demand);
    match verdict {
        Verdict::Trusted(image) => evidence::demanded(demand, options, chain, image),
        other => Ok((other, Vec::new())),
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
