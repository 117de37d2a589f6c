//! `verify provenance`: how an image was built, as a person wants to read it, and what isn't known about that.

use std::collections::BTreeMap;

use image_evidence::{Builder, BuilderSigner, Identity, Material, Predicate, Provenance};
use oci_image::{Digest, Location, Reference};
use serde::Serialize;
use verifier_lib::evidence::{Judged, Outcome, Step, history};
use verifier_lib::{Layers, Verdict};

use crate::access::Access;
use crate::args::{ChainArgs, Format, RootArgs};
use crate::carried::Carried;
use crate::commands::evidence::{GapReport, SignerReport};
use crate::commands::image::verify;
use crate::evidence::{Gathered, Standing, gather};
use crate::evidence_args::{ProvenanceArgs, SignerArgs};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::policy::{self, Applied};
use crate::report::print_json;
use crate::style::{Style, in_a_line, out, short_digests};
use crate::verifier_args::VerifierArgs;

/// The version of the JSON form. It grows only by new members.
const REPORT_VERSION: u32 = 1;

/// The most base images of which it is asked whether they verify, of all builds together: one has one to five.
const BASES_MAX: usize = 20;

/// How many materials, and steps of a history, are printed for a person. JSON has all.
const SHOWN: usize = 12;

/// The answer of `verify provenance`. Schema: `docs/schema/verify-provenance.json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Report {
    /// The version of this form.
    version: u32,
    /// The name that was asked for.
    reference: String,
    /// How the image itself stands.
    verdict: Standing,
    /// The digest of the manifest or index.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// What is said about how it was built: what is vouched for first.
    builds: Vec<BuildReport>,
    /// What the image's own configuration says about its layers: nobody vouches for it but the image's publisher.
    history: Vec<StepReport>,
    /// What isn't known.
    gaps: Vec<GapReport>,
    /// Why nothing was looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// One statement about how the image was built.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct BuildReport {
    /// The digest of the manifest that it is about.
    about: String,
    /// Who vouches for it.
    vouched: Vouched,
    /// Whether the publisher's metadata names it today.
    fresh: bool,
    /// Those who are trusted, and signed it.
    signers: Vec<SignerReport>,
    /// The SLSA build level that the configured pair of signer and builder stands for.
    level: Option<u8>,
    /// The version of SLSA's format.
    slsa: String,
    /// The builder's id, as the statement says.
    builder: String,
    /// What kind of build it was.
    build_type: String,
    /// Which build.
    invocation: Option<String>,
    /// When it began.
    started: Option<String>,
    /// When it ended.
    finished: Option<String>,
    /// The source's repository.
    repository: Option<String>,
    /// The source's commit.
    commit: Option<String>,
    /// The file that says how to build.
    build_file: Option<String>,
    /// Whether the builder says that nothing was fetched beside the materials.
    hermetic: Option<bool>,
    /// The images that went in.
    bases: Vec<BaseReport>,
    /// All that went in.
    materials: Vec<MaterialReport>,
    /// What the builder was told that this kind of build isn't known to take.
    unexpected_parameters: Vec<String>,
}

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum Vouched {
    /// Somebody who is trusted signed it.
    Signed,
    /// Its builder signed nothing, but the publisher's metadata names it.
    Published,
    /// Anybody may have written it.
    Nobody,
}

/// An image that went in.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct BaseReport {
    /// Its name, as the statement says.
    image: String,
    /// Its digest, as the statement says.
    digest: Option<String>,
    /// Whether it verifies by itself: `trusted`, `refused` or `unknown`.
    verdict: &'static str,
    /// Why.
    detail: String,
}

/// Something that went in.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct MaterialReport {
    /// What it is.
    uri: String,
    /// Digests in hex, by algorithm.
    digest: BTreeMap<String, String>,
}

/// A step of the history that the image itself tells.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct StepReport {
    /// When.
    created: Option<String>,
    /// By what.
    created_by: String,
    /// Whether it made no layer.
    empty: bool,
}

impl From<Step> for StepReport {
    fn from(step: Step) -> Self {
        Self { created: step.created, created_by: step.created_by, empty: step.empty_layer }
    }
}

pub(crate) fn run(args: &ProvenanceArgs) -> Result<Exit, Failure> {
    let done = asked(args).and_then(|asked| {
        let (chain, signers) = (&asked.chain, &asked.signers);
        let verifiers = VerifierArgs::default();
        Ok((gather(chain, args.printing, signers, &verifiers, asked.applied.as_ref())?, asked))
    });
    let (gathered, asked) = done.inspect_err(|failure| {
        if let (Format::Json, Some(verdict)) = (args.printing.format, Standing::of(failure)) {
            print_json(&Report::failed(args.packed.asked(&args.chain), verdict, failure.what()));
        }
    })?;
    let report = Report::of(&gathered, &asked);
    match args.printing.format {
        Format::Json => print_json(&report),
        Format::Text => report.print(),
    }
    Ok(Exit::Trusted)
}

/// What is asked: by rules, or by options.
struct Asked {
    chain: ChainArgs,
    signers: SignerArgs,
    builders: Vec<Builder>,
    applied: Option<Applied>,
}

fn asked(args: &ProvenanceArgs) -> Result<Asked, Failure> {
    let given = args.packed.chain(&args.chain)?;
    let applied = policy::applied(args.policy.policy.as_deref(), &given)?;
    Ok(match applied {
        Some(applied) => Asked {
            chain: applied.chain.clone(),
            signers: applied.signers.clone(),
            builders: applied.builders()?,
            applied: Some(applied),
        },
        None => Asked {
            chain: given,
            signers: args.signers.clone(),
            builders: args
                .builders
                .iter()
                .map(|one| with_issuer(one, &args.signers))
                .collect::<Result<_, _>>()?,
            applied: None,
        },
    })
}

/// A builder for which an identity signs, named without its issuer: that is the one given with `--identity`.
fn with_issuer(builder: &Builder, signers: &SignerArgs) -> Result<Builder, Failure> {
    let BuilderSigner::Name(name) = &builder.signer else { return Ok(builder.clone()) };
    let given = signers.identities.iter().zip(&signers.issuers).filter(|(identity, _)| *identity == name);
    let issuers: Vec<&String> = given.map(|(_, issuer)| issuer).collect();
    match issuers.as_slice() {
        [] => Ok(builder.clone()),
        [issuer] => {
            let identity = Identity { subject: name.clone(), issuer: (*issuer).clone() };
            Ok(Builder { signer: BuilderSigner::Identity(identity), ..builder.clone() })
        }
        several => {
            let what = format!("expected one issuer of {name}, got {}", several.len());
            Err(Failure::usage(what).hint("say whose it is: --builder \"LEVEL,IDENTITY by ISSUER,ID\""))
        }
    }
}

impl Report {
    /// Where nothing was looked for.
    fn failed(reference: String, verdict: Standing, why: &str) -> Self {
        Self {
            version: REPORT_VERSION,
            reference,
            verdict,
            digest: None,
            builds: Vec::new(),
            history: Vec::new(),
            gaps: Vec::new(),
            error: Some(why.to_owned()),
        }
    }

    fn of(gathered: &Gathered, args: &Asked) -> Self {
        let mut gaps: Vec<_> = gathered.gaps.iter().map(GapReport::from).collect();
        let (mut builds, mut looks) = (Vec::new(), BASES_MAX);
        for judged in &gathered.pieces {
            match provenance(judged) {
                Some(Ok(provenance)) => {
                    builds.push(BuildReport::of(judged, &provenance, args, &mut gaps, &mut looks));
                }
                Some(Err(why)) => gaps.push(gap("a provenance that was found", &why)),
                None => {}
            }
        }
        builds.sort_by_key(|build| (build.vouched, !build.fresh));
        if builds.is_empty() {
            gaps.push(gap("how it was built", "no provenance was found"));
        } else if builds.iter().all(|build| build.vouched == Vouched::Nobody) {
            gaps.push(gap(
                "who says so",
                "nobody who is trusted signed a provenance, and no metadata names one",
            ));
        }
        let history = history(gathered.source.as_ref(), &gathered.subjects).unwrap_or_else(|why| {
            gaps.push(gap("the history of the layers", &why.to_string()));
            Vec::new()
        });
        Self {
            version: REPORT_VERSION,
            reference: gathered.reference.clone(),
            verdict: gathered.standing,
            digest: Some(gathered.subjects.top().digest.to_string()),
            error: None,
            builds,
            history: history.into_iter().map(StepReport::from).collect(),
            gaps,
        }
    }

    fn print(&self) {
        let style = Style::stdout();
        out!("{}", in_a_line(&self.reference));
        out!("  {}", self.digest.as_deref().unwrap_or_default());
        if self.verdict == Standing::Unverified {
            out!("  {}", style.unsure("unverified: no root of trust was asked about this image"));
        }
        for build in &self.builds {
            build.print(style);
        }
        if !self.history.is_empty() {
            out!("layers, as the image itself says");
            let made: Vec<_> = self.history.iter().filter(|step| !step.empty).collect();
            for step in made.iter().take(SHOWN) {
                let line: String = in_a_line(&step.created_by).replace('\n', " ").chars().take(100).collect();
                out!("  {}  {line}", step.created.as_deref().map(in_a_line).unwrap_or_else(|| "?".into()));
            }
            more(made.len());
        }
        for gap in &self.gaps {
            let line = short_digests(&format!("{}: {}", gap.what(), gap.why()));
            out!("{}  {}", style.unsure("gap"), in_a_line(&line));
        }
    }
}

fn more(all: usize) {
    if let Some(left) = all.checked_sub(SHOWN).filter(|left| *left > 0) {
        out!("  and {left} more: --format json has all");
    }
}

fn gap(what: &str, why: &str) -> GapReport {
    GapReport::new(what, why)
}

/// The provenance in a piece, also where nobody vouches for it; none where it is something else.
fn provenance(judged: &Judged) -> Option<Result<Provenance, String>> {
    let statement = match judged.statement() {
        Some(statement) => statement.clone(),
        None if matches!(judged.outcome, Outcome::Refused(_)) => {
            // What is about something else tells nothing about this image.
            judged.unverified().filter(|statement| judged.found.is_about(statement))?
        }
        None => return None,
    };
    match Predicate::of(&statement) {
        Ok(Predicate::Provenance(provenance)) => Some(Ok(*provenance)),
        Ok(_) => None,
        Err(why) => statement.predicate_type.contains("provenance").then(|| Err(why.to_string())),
    }
}

impl BuildReport {
    fn of(
        judged: &Judged,
        provenance: &Provenance,
        args: &Asked,
        gaps: &mut Vec<GapReport>,
        looks: &mut usize,
    ) -> Self {
        let vouched = match &judged.outcome {
            Outcome::Signed(_) => Vouched::Signed,
            Outcome::Published(_) => Vouched::Published,
            Outcome::Refused(why) => {
                gaps.push(gap("who says how it was built", &why.to_string()));
                Vouched::Nobody
            }
        };
        let level = provenance.level(judged.signers(), &args.builders);
        name_gaps(provenance, vouched, level, &args.builders, gaps);
        let source = provenance.source.clone();
        let bases: Vec<_> = provenance
            .images()
            .take(BASES_MAX)
            .map(|base| match vouched {
                // Anybody can write such a list, and send us wherever it says.
                Vouched::Nobody => BaseReport::unasked(base, "nobody vouches that it went in"),
                _ if args.chain.carried.pack.is_some() => {
                    BaseReport::unasked(base, "it isn't in the pack, and nothing else is asked")
                }
                Vouched::Signed | Vouched::Published => match looks.checked_sub(1) {
                    Some(left) => {
                        *looks = left;
                        BaseReport::of(base, &args.chain)
                    }
                    None => BaseReport::unasked(base, "there are too many to ask of each"),
                },
            })
            .collect();
        if provenance.images().nth(BASES_MAX).is_some() {
            gaps.push(gap("more images that went in", &format!("only {BASES_MAX} are looked at")));
        }
        for base in bases.iter().filter(|base| base.verdict != "trusted") {
            gaps.push(gap(&format!("base image {}", base.image), &base.detail));
        }
        let material = |one: &Material| MaterialReport { uri: one.uri.clone(), digest: one.digest.clone() };
        let unexpected = provenance.unexpected_parameters();
        Self {
            about: judged.found.subject.digest.to_string(),
            vouched,
            fresh: judged.found.fresh,
            signers: judged.signers().iter().map(SignerReport::from).collect(),
            level,
            slsa: provenance.version.to_owned(),
            builder: provenance.builder.clone(),
            build_type: provenance.build_type.clone(),
            invocation: provenance.invocation.clone(),
            started: provenance.started.clone(),
            finished: provenance.finished.clone(),
            repository: source.as_ref().map(|source| source.repository.clone()),
            commit: source.and_then(|source| source.commit),
            build_file: provenance.build_file.clone(),
            hermetic: provenance.hermetic,
            bases,
            materials: provenance.materials.iter().map(material).collect(),
            unexpected_parameters: unexpected.into_iter().map(str::to_owned).collect(),
        }
    }

    fn print(&self, style: Style) {
        let names: Vec<_> = self.signers.iter().map(SignerReport::shown).collect();
        let fresh = if self.fresh { ", named by the publisher's metadata" } else { "" };
        match self.vouched {
            Vouched::Signed => {
                out!("{} {}{fresh}", style.good("built, as signed by"), in_a_line(&names.join(", ")))
            }
            Vouched::Published => {
                out!("{}", style.unsure("built, as its publisher says: the builder signed nothing"));
            }
            Vouched::Nobody => out!("{}", style.bad("built, as somebody wrote: nobody vouches for it")),
        }
        let line = |name: &str, value: Option<&str>| {
            let value =
                value.filter(|value| !value.is_empty()).map_or_else(|| "not told".to_owned(), in_a_line);
            out!("  {name:<10} {value}");
        };
        line("source", self.repository.as_deref());
        line("commit", self.commit.as_deref());
        line("build file", self.build_file.as_deref());
        line("builder", Some(&self.builder));
        match self.level {
            Some(level) => {
                line("SLSA level", Some(&format!("{level}, by the pair of signer and builder given")))
            }
            None => line("SLSA level", Some("none: no pair of signer and builder was given for it")),
        }
        line("build type", Some(&self.build_type));
        line("finished", self.finished.as_deref());
        for base in &self.bases {
            let digest = base.digest.as_deref().map(|digest| format!("@{}", short_digests(digest)));
            let mark = match base.verdict {
                "trusted" => style.good(base.verdict),
                "refused" => style.bad(base.verdict),
                other => style.unsure(other),
            };
            out!("  {:<10} {}{} {mark}", "base", in_a_line(&base.image), digest.unwrap_or_default());
        }
        let others: Vec<_> =
            self.materials.iter().filter(|one| Some(&one.uri) != self.repository.as_ref()).collect();
        for material in others.iter().take(SHOWN) {
            out!("  {:<10} {}", "material", in_a_line(&material.uri));
        }
        more(others.len());
        if !self.unexpected_parameters.is_empty() {
            line("unexpected", Some(&self.unexpected_parameters.join(", ")));
        }
    }
}

/// What a provenance leaves open.
fn name_gaps(
    provenance: &Provenance,
    vouched: Vouched,
    level: Option<u8>,
    builders: &[Builder],
    gaps: &mut Vec<GapReport>,
) {
    match &provenance.source {
        None => gaps.push(gap("the source", "the provenance names none")),
        Some(source) if source.commit.is_none() => gaps.push(gap("the commit", "the provenance names none")),
        Some(_) => {}
    }
    if provenance.builder.is_empty() {
        gaps.push(gap("the builder", "the provenance names none"));
    }
    if provenance.materials.is_empty() {
        gaps.push(gap("what went in", "the provenance names nothing"));
    }
    if level.is_none() && vouched != Vouched::Nobody {
        let why = match builders.is_empty() {
            true => "no --builder was given: a document's word for itself is none",
            false => "its signer and builder are none of the pairs given with --builder",
        };
        gaps.push(gap("the SLSA level", why));
    }
    let unexpected = provenance.unexpected_parameters();
    if !unexpected.is_empty() {
        let why = format!("this kind of build isn't known to take {}", unexpected.join(", "));
        gaps.push(gap("external parameters", &why));
    }
}

impl BaseReport {
    /// Of which nobody was asked.
    fn unasked(material: &Material, why: &str) -> Self {
        let digest = material.digest.get("sha256").map(|hex| format!("sha256:{hex}"));
        let image = material.image().unwrap_or_default();
        Self { image, digest, verdict: "unknown", detail: why.to_owned() }
    }

    /// Whether a base image verifies by the root that is pinned for *it*.
    fn of(material: &Material, chain: &ChainArgs) -> Self {
        let image = material.image().unwrap_or_default();
        let hex = material.digest.get("sha256");
        let digest = hex.and_then(|hex| format!("sha256:{hex}").parse::<Digest>().ok());
        let (verdict, detail) = match (image.parse::<Reference>(), digest) {
            (Err(why), _) => ("unknown", why.to_string()),
            (_, None) => ("unknown", "the provenance names no digest".to_owned()),
            (Ok(name), Some(digest)) => verdict(name.with_digest(digest), chain),
        };
        Self { image, digest: digest.map(|digest| digest.to_string()), verdict, detail }
    }
}

fn verdict(name: Reference, chain: &ChainArgs) -> (&'static str, String) {
    let chain = ChainArgs {
        image: Location::Registry(name),
        known_as: None,
        platform: chain.platform.clone(),
        all_platforms: false,
        at: chain.at,
        offline: chain.offline,
        state: chain.state.clone(),
        root: RootArgs::default(),
        access: chain.access.clone(),
        carried: Carried::default(),
    };
    let access = match Access::of(&chain) {
        Ok(access) => access,
        Err(failure) => return ("unknown", failure.what().to_owned()),
    };
    match verify(&access, &chain, Layers::Defer) {
        Verdict::Trusted(_) => ("trusted", "its own root says so".to_owned()),
        Verdict::Refused(broken) => ("refused", broken.link.detail.clone()),
        Verdict::Unknown(broken) => ("unknown", broken.link.detail.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_docs_is_that_of_the_report() {
        crate::report::tests::schema_is_kept("verify-provenance", &schemars::schema_for!(Report));
    }
}
