//! `verify replay`: a verdict that somebody reports is worked out anew, without a network, and compared.
//!
//! The same code verifies as for `verify image`: over the proof in the report, or over a pack. Nothing in the report
//! is believed, and nothing that this machine accepted before is read or changed: a replay is about then.

mod compare;
mod rescan;

use std::path::Path;

use chrono::{DateTime, Utc};
use image_pack::{Embedded, Pack};
use oci_image::{ImageSource as _, Location, Manifest, Platform, Reference, Selector};
use serde::Serialize;
use serde_json::Value;
use verifier_lib::{Layers, Stage, Verdict, VerifiedImage};

use crate::access::Access;
use crate::args::{AccessArgs, ChainArgs, Format, parse_time};
use crate::carried::{self, Carried};
use crate::commands::image::{demanded, verify};
use crate::evidence;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::pack_args::{ReplayArgs, Skipped};
use crate::policy;
use crate::record::{RecordArgs, Sighting};
use crate::report::print_json;
use crate::strict_json;
use crate::style::{Style, in_a_line, out, say, shown};

use compare::{Comparison, Difference};
use rescan::Rescan;

/// The version of the JSON form. It grows only by new members.
const REPORT_VERSION: u32 = 1;

/// The most bytes of a report: the largest targets file in base64, and all else.
const REPORT_MAX: u64 = 192 * 1024 * 1024;

/// How many differences are printed for a person. JSON has all.
const SHOWN: usize = 10;

/// The answer of `verify replay`. Schema: `docs/schema/verify-replay.json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Report {
    /// The version of this form.
    version: u32,
    /// `trusted`: what the report says is so, as far as it was worked out anew.
    verdict: Word,
    /// The name that the report is about.
    reference: String,
    /// As of when it was judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<String>,
    /// The links that were worked out anew, in the order of the chain.
    rechecked: Vec<Stage>,
    /// What is in the report and was not worked out anew, and why.
    not_rechecked: Vec<Unchecked>,
    /// Where the report says something else than what came out.
    differences: Vec<Difference>,
    /// Why there is no answer, or which link doesn't hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Something that was not worked out anew.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Unchecked {
    /// What.
    what: String,
    /// Why.
    why: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum Word {
    Trusted,
    Refused,
    Unknown,
}

/// A report that was read, and what its verdict rests on.
struct Claim {
    report: Value,
    pack: Pack,
    name: Reference,
    at: DateTime<Utc>,
    /// Whether the time is the one of the report.
    own_time: bool,
    /// The digest of the advisories that a scan was made with, where the proof names one.
    advisories: Option<String>,
}

pub(crate) fn run(args: &ReplayArgs) -> Result<Exit, Failure> {
    evidence::expect_demand(&args.demand, args.policy.policy.is_some(), false)?;
    if args.root.repo.is_some() || args.root.trust_on_first_use {
        return Err(Failure::usage("a replay asks no repository").hint("leave --repo out"));
    }
    replayed(args).inspect_err(|failure| {
        let verdict = match failure.exit {
            Exit::Refused => Word::Refused,
            Exit::Unknown => Word::Unknown,
            Exit::Trusted | Exit::Usage | Exit::Gate => return,
        };
        if args.format == Format::Json {
            let report = Report {
                error: Some(failure.what().to_owned()),
                ..Report::of(verdict, args.report.display().to_string(), None)
            };
            print_json(&report);
        }
    })
}

fn replayed(args: &ReplayArgs) -> Result<Exit, Failure> {
    let claim = Claim::read(args)?;
    let chain = claim.chain(args)?;
    let mut seen = Sighting::begin(&RecordArgs::default(), &chain)?;
    let applied = match policy::apply(args.policy.policy.as_deref(), &chain, Some(&mut seen))? {
        Ok(applied) => applied,
        Err((_, verdict)) => return Ok(claim.fails(&verdict, args)),
    };
    let chain = applied.as_ref().map_or(&chain, |applied| &applied.chain);
    let rescan = Rescan::of(&claim, args, chain, applied.as_ref())?;
    let access = Access::of(chain)?;
    claim.expect_early_root(&access)?;
    // A scan hashes the layers as it reads them.
    let layers = if access.local && rescan.is_none() { Layers::Hash } else { Layers::Defer };
    let verdict = verify(&access, chain, layers);
    seen.chain(&access, &verdict);
    let (verdict, _) = demanded(verdict, &args.demand, chain, applied.as_ref(), &mut seen)?;
    let verdict = match (verdict, &rescan) {
        (Verdict::Trusted(image), Some(rescan)) => rescan.link(&access, image, chain, &mut seen)?,
        (other, _) => other,
    };
    let verdict = match &applied {
        Some(applied) => applied.weigh_condition(verdict, seen.facts()),
        None => verdict,
    };
    match verdict {
        Verdict::Trusted(image) => claim.compare(args, &access, &image),
        other => Ok(claim.fails(&other, args)),
    }
}

impl Claim {
    fn read(args: &ReplayArgs) -> Result<Self, Failure> {
        let path = &args.report;
        let mut report = strict_json::read(&files::bytes(path, REPORT_MAX)?).map_err(|why| {
            files::unusable(path, &why).hint("expected what `verify image --format json` printed")
        })?;
        let proof = report.as_object_mut().and_then(|report| report.remove("proof"));
        let advisories = proof.as_ref().and_then(|proof| text(proof, "advisories")).map(str::to_owned);
        let (pack, then) = match (&args.pack, proof) {
            (Some(file), proof) => {
                let pack = Pack::open(file).map_err(|error| carried::unusable(file, &error))?;
                (pack, proof.and_then(|proof| Some(proof.get("as_of")?.as_str()?.to_owned())))
            }
            (None, Some(proof)) => {
                let embedded: Embedded = serde_json::from_value(proof).map_err(|why| refused(path, &why))?;
                let then = embedded.as_of.clone();
                (embedded.open().map_err(|error| refused(path, &error))?, Some(then))
            }
            (None, None) => {
                let what = format!("could not tell: {} holds no proof", path.display());
                return Err(Failure::unknown(what).hint(
                    "only a trusted verdict has one: `verify image --format json --with-proof`; or give the \
                     pack that it rests on with --pack FILE",
                ));
            }
        };
        let claimed = text(&report, "reference").unwrap_or_default();
        let name = carried::name_of(&pack, None)?;
        if claimed != name.to_string() {
            let what =
                format!("the report is about {}, and what it rests on is of {name}", in_a_line(claimed));
            return Err(Failure::refused(format!("refused {}: {what}", path.display())));
        }
        let then = then.map(|then| parse_time(&then).map_err(|why| refused(path, &why))).transpose()?;
        let at = args.at.or(then).unwrap_or_else(Utc::now);
        let own_time = args.at.is_none() && then.is_some();
        Ok(Self { report, pack, name, at, own_time, advisories })
    }

    /// That no link of the report is passed over: each was worked out anew, or is to be left out.
    fn expect_asked_for(&self, args: &ReplayArgs, image: &VerifiedImage) -> Result<(), Failure> {
        for one in [Skipped::Policy, Skipped::Evidence, Skipped::Scan] {
            let stage = one.stage();
            let claimed = links(&self.report).filter(|link| text(link, "stage") == Some(stage)).count();
            let found = image.proof().links.iter().filter(|link| link.stage.name() == stage).count();
            if claimed <= found || args.skip.contains(&one) {
                continue;
            }
            let what =
                format!("could not tell: the report has a link {stage}, which was not worked out anew");
            return Err(Failure::unknown(what).hint(match one {
                Skipped::Scan => self.missing_for_a_scan(),
                _ => format!("give the options that were given then, or leave it out with --skip {stage}"),
            }));
        }
        Ok(())
    }

    /// The same call, over the proof.
    fn chain(&self, args: &ReplayArgs) -> Result<ChainArgs, Failure> {
        let (platform, all_platforms) = self.platforms()?;
        // How it was asked for then: by a tag, or by its digest.
        let asked = links(&self.report).find(|link| text(link, "stage") == Some("manifest"));
        let asked = asked.and_then(|link| text(link, "subject"));
        let tag = asked.filter(|asked| *asked != self.pack.index().digest.to_string()).map(str::to_owned);
        Ok(ChainArgs {
            image: Location::Registry(self.name.clone()),
            known_as: Some(self.name.clone()),
            platform,
            all_platforms,
            at: Some(self.at),
            offline: true,
            state: args.state.clone(),
            root: args.root.clone(),
            access: AccessArgs::default(),
            carried: Carried { pack: Some(self.pack.clone()), tag, apart: true, recorder: None },
        })
    }

    /// Which platforms the report is about, as the index in the proof calls them.
    fn platforms(&self) -> Result<(Option<Platform>, bool), Failure> {
        let index = self.pack.index();
        let top = self.pack.source().manifest(Selector::Digest(index.digest));
        let top = top.map_err(|error| Failure::unknown(shown(&error.to_string())))?.bytes;
        let Ok(Manifest::Index(listed)) = Manifest::parse(&top, Some(&index.media_type)) else {
            return Ok((None, false));
        };
        // All that the index lists, attestations too, or one image of it.
        let children = links(&self.report).filter(|link| text(link, "stage") == Some("child")).count();
        if children == listed.manifests.len() {
            return Ok((None, true));
        }
        let claimed = self.report.get("platforms").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let [only] = claimed else { return Ok((None, true)) };
        let digest = text(only, "digest").unwrap_or_default();
        let entry = listed.manifests.iter().find(|entry| entry.digest.to_string() == digest);
        let entry = entry.ok_or_else(|| {
            let what =
                format!("the report is about platform {}, which the index doesn't list", in_a_line(digest));
            Failure::refused(format!("refused {}: {what}", self.name))
        })?;
        Ok((entry.platform.clone(), false))
    }

    /// A root that is later than the report's says nothing about then.
    fn expect_early_root(&self, access: &Access) -> Result<(), Failure> {
        let claimed = links(&self.report).find(|link| text(link, "stage") == Some("root"));
        let claimed = claimed.and_then(|link| link.get("version")).and_then(Value::as_u64);
        let own = compare::root_version(&access.root_bytes);
        match (claimed, own) {
            (Some(claimed), Some(own)) if own > claimed => {
                let what =
                    format!("could not tell: the report ends at root version {claimed}, yours is {own}");
                Err(Failure::unknown(what).hint("give the root that was trusted then with --root FILE"))
            }
            _ => Ok(()),
        }
    }

    /// The chain held: is it the one that the report tells of?
    fn compare(&self, args: &ReplayArgs, access: &Access, image: &VerifiedImage) -> Result<Exit, Failure> {
        let found = serde_json::to_value(verdict_report::Report::of_image(&self.name.to_string(), image))
            .map_err(Failure::unknown)?;
        let skipped: Vec<_> = args.skip.iter().map(|one| one.stage()).collect();
        self.expect_asked_for(args, image)?;
        let claimed = compare::without(&self.report, &skipped);
        let mut comparison = Comparison::new(compare::roots(&self.pack, &access.root_bytes), self.own_time);
        comparison.compare("", &claimed, &found);
        let mut stages: Vec<_> = image.proof().links.iter().map(|link| link.stage).collect();
        stages.dedup();
        stages.retain(|stage| !matches!(stage, Stage::Reference));
        let layers = access.local;
        let mut not_rechecked = vec![Unchecked {
            what: "the places where the image and the repository were".to_owned(),
            why: "only the report says so".to_owned(),
        }];
        if !layers {
            not_rechecked.push(Unchecked {
                what: "the bytes of the layers".to_owned(),
                why: "they are not here; their digests and sizes are signed".to_owned(),
            });
        }
        if stages.contains(&Stage::Scan) && args.gate.db.is_some() && self.advisories.is_none() {
            not_rechecked.push(Unchecked {
                what: "which advisories the scan was made with".to_owned(),
                why: "the report doesn't say; the same came out with those that were given".to_owned(),
            });
        }
        let left = args.skip.iter().map(|one| Unchecked {
            what: format!("the link {}", one.stage()),
            why: "it was to be left out".to_owned(),
        });
        not_rechecked.extend(left);
        let verdict = if comparison.differences.is_empty() { Word::Trusted } else { Word::Refused };
        let report = Report {
            rechecked: stages,
            not_rechecked,
            differences: comparison.differences,
            ..Report::of(verdict, self.name.to_string(), Some(self.at.to_rfc3339()))
        };
        Ok(report.end(args, &image.pinned()))
    }

    /// The chain doesn't hold, whatever the report says.
    fn fails(&self, verdict: &Verdict, args: &ReplayArgs) -> Exit {
        let (word, broken) = match verdict {
            Verdict::Refused(broken) => (Word::Refused, broken),
            // A proof is whole: what isn't in it is not what the verdict in the report rested on.
            Verdict::Unknown(broken) if args.pack.is_none() => (Word::Refused, broken),
            Verdict::Unknown(broken) => (Word::Unknown, broken),
            Verdict::Trusted(_) => return Exit::Unknown,
        };
        let error = Some(format!("{}: {}", broken.link.stage, broken.link.detail));
        let report = Report { error, ..Report::of(word, self.name.to_string(), Some(self.at.to_rfc3339())) };
        report.end(args, "")
    }
}

impl Report {
    fn of(verdict: Word, reference: String, as_of: Option<String>) -> Self {
        let (rechecked, not_rechecked, differences) = Default::default();
        Self {
            version: REPORT_VERSION,
            verdict,
            reference,
            as_of,
            rechecked,
            not_rechecked,
            differences,
            error: None,
        }
    }

    fn end(&self, args: &ReplayArgs, pinned: &str) -> Exit {
        let exit = match self.verdict {
            Word::Trusted => Exit::Trusted,
            Word::Refused => Exit::Refused,
            Word::Unknown => Exit::Unknown,
        };
        if args.format == Format::Json {
            print_json(self);
            return exit;
        }
        let style = Style::stderr();
        let as_of = self.as_of.as_deref().unwrap_or("?");
        match self.verdict {
            Word::Trusted => say!("{} {}, as of {as_of}", style.good("as reported"), self.reference),
            Word::Refused => {
                say!("{}: {} the report of {}", style.bad("error"), style.bad("refused"), self.reference)
            }
            Word::Unknown => {
                say!("{}: {} {}", style.bad("error"), style.unsure("could not tell"), self.reference)
            }
        }
        if let Some(error) = &self.error {
            say!("  {}", shown(error));
        }
        for one in self.differences.iter().take(SHOWN) {
            say!(
                "  {}: the report says {}, it is {}",
                in_a_line(&one.at),
                in_a_line(&one.claimed),
                in_a_line(&one.found)
            );
        }
        if let Some(more) = self.differences.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            say!("  and {more} more; --format json has all");
        }
        if self.verdict == Word::Trusted {
            let stages: Vec<_> = self.rechecked.iter().map(|stage| stage.name()).collect();
            say!("  worked out anew: {}", stages.join(", "));
            self.not_rechecked
                .iter()
                .for_each(|one| say!("  not worked out anew: {}: {}", one.what, one.why));
            out!("{pinned}");
        }
        exit
    }
}

fn refused(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::refused(format!(
        "refused {}: the proof in it can't be used: {}",
        path.display(),
        shown(&why.to_string())
    ))
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name)?.as_str()
}

fn links(report: &Value) -> impl Iterator<Item = &Value> {
    report.get("links").and_then(Value::as_array).into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_docs_is_that_of_the_report() {
        crate::report::tests::schema_is_kept("verify-replay", &schemars::schema_for!(Report));
    }

    #[test]
    fn the_schema_in_docs_is_that_of_the_index_of_a_pack() {
        crate::report::tests::schema_is_kept("pack", &schemars::schema_for!(image_pack::PackIndex));
    }
}
