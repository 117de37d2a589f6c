//! `verify image`: runs the chain and prints what to pull.

use image_evidence::Builder;
use image_pack::{Embedded, Recorder};
use oci_image::Platform;
use verifier_lib::evidence::Judged;
use verifier_lib::{Layers, Platforms, Stage, Verdict, Verification, VerifiedImage};

use crate::access::{Access, now, trusted_name};
use crate::advisory_db::AdvisoryDb;
use crate::args::{ChainArgs, ImageArgs, VerdictFormat};
use crate::carried;
use crate::commands::scan::{self, Rulings};
use crate::evidence::{self, Searched};
use crate::evidence_args::DemandArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::gate_args::GateArgs;
use crate::policy::{self, Applied};
use crate::policy_args::PolicyArgs;
use crate::progress::Blobs;
use crate::record::Sighting;
use crate::report;

pub(crate) fn run(args: &ImageArgs) -> Result<Exit, Failure> {
    let ImageArgs { policy, demand, scan, gate, record, printing, .. } = args;
    if args.with_proof && printing.format != VerdictFormat::Json {
        return Err(Failure::usage("a proof can be put into JSON only").hint("add --format json"));
    }
    let chain = given(args).inspect_err(|failure| {
        let pack = args.pack.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        report::print_failure(&pack, failure, *printing);
    })?;
    let asked = Asked { chain: &chain, policy, demand, scan: *scan, gate, recorded: record.record.is_some() };
    asked.expect_sensible()?;
    let mut seen = Sighting::begin(record, &chain)?;
    let answer = asked.judge(|_| Ok(()), &mut seen);
    let answer = answer.map_err(|failure| seen.failed(&failure).err().unwrap_or(failure));
    let answer = answer.inspect_err(|failure| {
        let image = trusted_name(&chain).map_or_else(|_| chain.image.to_string(), |name| name.to_string());
        let image = if args.pack.is_some() { image } else { args.chain.image.to_string() };
        report::print_failure(&image, failure, *printing);
    })?;
    Ok(report::print_with(&answer.name, &answer.verdict, *printing, answer.proof))
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

/// What is asked about an image.
pub(crate) struct Asked<'a> {
    pub(crate) chain: &'a ChainArgs,
    pub(crate) policy: &'a PolicyArgs,
    pub(crate) demand: &'a DemandArgs,
    pub(crate) scan: bool,
    pub(crate) gate: &'a GateArgs,
    /// Whether what is seen goes into an inventory.
    pub(crate) recorded: bool,
}

/// The answer.
pub(crate) struct Answer {
    /// The name that is meant.
    pub(crate) name: String,
    pub(crate) verdict: Verdict,
    /// The evidence that was weighed, where any was demanded.
    pub(crate) pieces: Vec<Judged>,
    /// The pairs of builder and signer that the rules believe.
    pub(crate) builders: Vec<Builder>,
    /// What a trusted verdict rests on, where that is wanted.
    pub(crate) proof: Option<Embedded>,
}

impl Asked<'_> {
    /// That the options go together.
    pub(crate) fn expect_sensible(&self) -> Result<(), Failure> {
        evidence::expect_demand(self.demand, self.policy.policy.is_some(), self.recorded)?;
        if !self.scan && self.gate.is_given() {
            return Err(Failure::usage("the rules of a scan were given, and no scan").hint("add --scan"));
        }
        Ok(())
    }

    /// Runs the chain and all that is demanded besides. `ready` may change what will be looked up in the source.
    pub(crate) fn judge(
        &self,
        ready: impl FnOnce(&mut Access) -> Result<(), Failure>,
        seen: &mut Sighting,
    ) -> Result<Answer, Failure> {
        let applied = match policy::apply(self.policy.policy.as_deref(), self.chain, Some(seen))? {
            Ok(applied) => applied,
            Err((name, verdict)) => {
                seen.end(&verdict)?;
                return Ok(Answer {
                    name: name.to_string(),
                    verdict,
                    pieces: Vec::new(),
                    builders: Vec::new(),
                    proof: None,
                });
            }
        };
        let chain = applied.as_ref().map_or(self.chain, |applied| &applied.chain);
        self.judge_by(chain, applied.as_ref(), ready, seen)
    }

    fn judge_by(
        &self,
        chain: &ChainArgs,
        applied: Option<&Applied>,
        ready: impl FnOnce(&mut Access) -> Result<(), Failure>,
        seen: &mut Sighting,
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
        seen.chain(&access, &verdict);
        let (verdict, pieces) = demanded(verdict, self.demand, chain, applied, seen)?;
        let verdict = match (verdict, &rules) {
            (Verdict::Trusted(image), Some((db, rules))) => {
                let keys = applied.map_or(self.gate.vex_keys.as_slice(), |applied| &applied.vex_keys);
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
        let proof = match (&verdict, &chain.carried.recorder) {
            (Verdict::Trusted(image), Some(recorder)) => {
                let mut draft = carried::draft(&access, chain, image, recorder)?;
                if image.proof().links.iter().any(|link| link.stage == Stage::Evidence) {
                    draft = carried::with_evidence(draft, chain, image)?;
                }
                let db = rules.as_ref().and_then(|(db, _)| db.as_ref());
                let advisories = db.map(AdvisoryDb::digest).transpose()?.map(|digest| digest.hex());
                Some(Embedded { advisories, ..draft.embedded(carried::stamp(chain)) })
            }
            _ => None,
        };
        let builders = applied.map(Applied::builders).transpose()?.unwrap_or_default();
        Ok(Answer { name: access.name.to_string(), verdict, pieces, builders, proof })
    }
}

/// What is demanded besides of an image whose chain held: by the rules, or by options. And the evidence that was
/// weighed.
pub(crate) fn demanded(
    verdict: Verdict,
    options: &DemandArgs,
    chain: &ChainArgs,
    applied: Option<&Applied>,
    seen: &mut Sighting,
) -> Result<(Verdict, Vec<Judged>), Failure> {
    let Verdict::Trusted(image) = verdict else { return Ok((verdict, Vec::new())) };
    let found = searched(options, chain, applied, &image, seen)?;
    let (searched, by_rules) = found.unzip();
    let verdict = match applied {
        Some(applied) => applied.weigh(image),
        None => Verdict::Trusted(image),
    };
    let demand = applied.map_or(options, |applied| &applied.demand);
    let (verdict, pieces) = match verdict {
        Verdict::Trusted(image) => evidence::demanded(demand, options, chain, image, searched.as_ref())?,
        other => (other, Vec::new()),
    };
    Ok(match (verdict, applied) {
        // What the rules weighed is all that was signed by anybody whom they name.
        (Verdict::Trusted(image), Some(applied)) => {
            let weighed = by_rules.filter(|_| applied.looks_at_evidence());
            (applied.weigh_evidence(image, seen.facts()), weighed.unwrap_or(pieces))
        }
        (other, _) => (other, pieces),
    })
}

/// Signatures and attestations, where rules ask for more than signers, or what is seen is recorded; and what they are
/// worth by all who are named.
fn searched(
    options: &DemandArgs,
    chain: &ChainArgs,
    applied: Option<&Applied>,
    image: &VerifiedImage,
    seen: &mut Sighting,
) -> Result<Option<(Searched, Vec<Judged>)>, Failure> {
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
    let judged = searched.judged(&trust, None);
    seen.evidence(signers, &trust, &judged, searched.gaps());
    Ok(Some((searched, judged)))
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
