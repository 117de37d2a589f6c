//! `verify attest`: runs what `verify image` does, and signs its verdict, so that the next stage checks one small
//! document (SLSA 1.2, "Verification Summary Attestation"; in-toto's "Simple Verification Result" 0.1).
//!
//! What could not be told is never signed, and what is refused only where that was asked for. The key is opened
//! before anything is verified, and signs nothing but the statement.

use std::collections::BTreeSet;

use chrono::{DateTime, SecondsFormat, Utc};
use image_evidence::{Builder, Predicate, VERIFICATION_SUMMARY};
use image_signatures::{Attestation, Attesting, Format as ReadBy};
use oci_image::{Descriptor, Digest, Location, Manifest, Reference};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tuf_core::crypto::Sign;
use verifier_lib::evidence::{Judged, Outcome};
use verifier_lib::{Verdict, VerifiedImage};

use crate::access::{Access, key_places, now, registry, source_failure};
use crate::args::{Format, PrintingArgs, VerdictFormat};
use crate::commands::image::{Answer, Asked};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::record::{RecordArgs, Sighting};
use crate::report::{self, print_json};
use crate::style::{Style, in_a_line, out, say, shown};
use crate::verifier_args::{AttestArgs, VerdictKind};

/// The version of the JSON form. It grows only by new members.
const REPORT_VERSION: u32 = 1;

/// The predicate type of a simple verification result (in-toto attestation).
const SVR: &str = "https://in-toto.io/attestation/svr/v0.1";

/// The version of SLSA whose summaries these are.
const SLSA_VERSION: &str = "1.2";

/// The largest file of rules whose digest is taken: see `image_policy`.
const RULES_MAX: u64 = image_policy::POLICY_MAX;

/// The answer of `verify attest`. Schema: `docs/schema/verify-attest.json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Report {
    /// The version of this form.
    version: u32,
    /// The name that was verified.
    reference: String,
    /// The verdict: `trusted`, `refused` or `unknown`.
    verdict: &'static str,
    /// What the statement is about: the manifest or index that the name leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// What was signed; nothing where nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed: Option<Signed>,
    /// Why it isn't trusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// A verdict that was signed.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Signed {
    /// Its predicate type.
    predicate_type: &'static str,
    /// As whom.
    verifier: String,
    /// `PASSED` or `FAILED`.
    result: &'static str,
    /// What was found: SLSA levels, and what the policy stands for.
    levels: Vec<String>,
    /// The digest of the manifest that holds it; none where it was written to a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<String>,
    /// The file that it was written to.
    #[serde(skip_serializing_if = "Option::is_none")]
    out: Option<String>,
}

/// What the name leads to: fetched once, so that the verdict and the statement are about the same bytes.
struct Subject {
    descriptor: Descriptor,
    name: Reference,
    /// The repository that speaks for it, and the digest of its root.
    trust: (String, String),
}

pub(crate) fn run(args: &AttestArgs) -> Result<Exit, Failure> {
    expect_sensible(args)?;
    let key = key_places().with_passphrase(args.passphrase_file.as_deref())?.open(&args.key)?;
    let rules = rules(args)?;
    let mut subject = None;
    let AttestArgs { chain, policy, demand, scan, gate, .. } = args;
    let asked = Asked { chain, policy, demand, scan: *scan, gate, recorded: false };
    asked.expect_sensible()?;
    let mut seen = Sighting::begin(&RecordArgs::default(), chain)?;
    let printing = PrintingArgs { explain: false, format: VerdictFormat::Text };
    let answer = asked.judge(
        |access| {
            subject = Some(Subject::of(access)?);
            Ok(())
        },
        &mut seen,
    );
    let Answer { name, verdict, pieces, mut builders, .. } = answer.inspect_err(|failure| {
        if args.format == Format::Json {
            Report::print_failure(chain.image.to_string(), failure);
        }
    })?;
    builders.extend(args.builders.iter().cloned());
    match (&verdict, args.format) {
        (_, Format::Json) => {}
        (Verdict::Trusted(_), Format::Text) => say!("{} {name}", Style::stderr().good("trusted")),
        (_, Format::Text) => drop(report::print(&name, &verdict, printing)),
    }
    let result = match &verdict {
        Verdict::Trusted(_) => Some("PASSED"),
        Verdict::Refused(_) if args.failed => Some("FAILED"),
        Verdict::Refused(_) | Verdict::Unknown(_) => None,
    };
    // A verdict of the rules alone, before anything was looked at, is about no bytes.
    let signed = match (result, &mut subject) {
        (Some(result), Some(subject)) => {
            let levels = match &verdict {
                Verdict::Trusted(image) => subject.narrow(args, image, &pieces, &builders),
                _ => vec!["FAILED".to_owned()],
            };
            Some(sign(args, subject, &Found { result, levels, pieces, rules }, key.as_ref())?)
        }
        _ => None,
    };
    if let (None, Verdict::Refused(_)) = (&signed, &verdict) {
        say!(
            "nothing was signed{}",
            if args.failed { "" } else { ": --failed signs that an image failed, too" }
        );
    }
    if let (Format::Text, Some(signed)) = (args.format, &signed) {
        signed.print(&subject);
    }
    if args.format == Format::Json {
        print_json(&Report::of(name, &verdict, subject.as_ref(), signed));
    }
    Ok(report::exit_of(&verdict))
}

fn expect_sensible(args: &AttestArgs) -> Result<(), Failure> {
    if args.chain.at.is_some() {
        return Err(Failure::usage("a verdict as of another time can't be signed").hint("leave --at out"));
    }
    if args.kind == VerdictKind::Svr && args.failed {
        return Err(Failure::usage("a simple verification result can't say that an image failed")
            .hint("leave --failed out, or sign a verification summary with --type vsa"));
    }
    if let (Location::Layout { .. }, None) = (&args.chain.image, &args.out) {
        let what = format!("{} is no registry that a verdict could be pushed to", args.chain.image);
        return Err(Failure::usage(what).hint("write it into a file with --out FILE"));
    }
    if !args.builders.is_empty() && args.demand.signers.keys.is_empty() && args.policy.policy.is_none() {
        return Err(Failure::usage("a builder is believed by who signs for it, and nobody is named")
            .hint("--signer-key FILE --require-signers N, or --policy FILE, names them"));
    }
    Ok(())
}

impl Subject {
    fn of(access: &mut Access) -> Result<Self, Failure> {
        let fetched = access.source.manifest(access.selector()).map_err(|why| source_failure(&why))?;
        let digest = Digest::of(&fetched.bytes);
        if let Some(expected) = access.digest.filter(|expected| *expected != digest) {
            let place = access.source.describe();
            return Err(Failure::refused(format!(
                "{place} sent other bytes: expected {expected}, got {digest}"
            )));
        }
        let manifest = Manifest::parse(&fetched.bytes, fetched.media_type.as_deref())
            .map_err(|why| Failure::refused(shown(&why.to_string())))?;
        let descriptor = Descriptor::of(manifest.media_type(), &fetched.bytes);
        // From here on the name leads to these bytes, whatever the registry says next.
        access.digest = Some(digest);
        Ok(Self {
            descriptor,
            name: access.name.clone(),
            trust: (access.root.uri(), access.root.sha256.clone()),
        })
    }

    /// What was verified: of an index, all of it or the one image that was chosen. And the levels that it has.
    fn narrow(
        &mut self,
        args: &AttestArgs,
        image: &VerifiedImage,
        pieces: &[Judged],
        builders: &[Builder],
    ) -> Vec<String> {
        let top = self.descriptor.digest;
        let build = build_level(top, image, pieces, builders);
        if let ([only], false) = (image.platforms(), args.chain.all_platforms) {
            self.descriptor = only.descriptor().clone();
        }
        let build = match build {
            Some(level) => format!("SLSA_BUILD_LEVEL_{level}"),
            None => "SLSA_BUILD_LEVEL_UNEVALUATED".to_owned(),
        };
        std::iter::once(build).chain(args.levels.iter().cloned()).collect()
    }
}

/// The level that a builder stands for whose provenance was verified: of several images the lowest one.
fn build_level(top: Digest, image: &VerifiedImage, pieces: &[Judged], builders: &[Builder]) -> Option<u8> {
    let level_of = |judged: &Judged| match judged.predicate() {
        Some(Ok(Predicate::Provenance(provenance))) => provenance.level(judged.signers(), builders),
        _ => None,
    };
    let best = |part: Digest| {
        let about = pieces.iter().filter(|one| [top, part].contains(&one.found.subject.digest));
        about.filter_map(level_of).max()
    };
    image.platforms().iter().map(|platform| best(platform.descriptor().digest)).min().flatten()
}

/// What goes into the statement.
struct Found {
    result: &'static str,
    levels: Vec<String>,
    pieces: Vec<Judged>,
    rules: Option<Digest>,
}

/// The digest of the rules, where there are any.
fn rules(args: &AttestArgs) -> Result<Option<Digest>, Failure> {
    let file = args.policy.policy.as_ref();
    file.map(|file| Ok(Digest::of(&files::bytes(file, RULES_MAX)?))).transpose()
}

/// Signs the verdict, and pushes it.
fn sign(args: &AttestArgs, subject: &Subject, found: &Found, key: &dyn Sign) -> Result<Signed, Failure> {
    if rules(args)? != found.rules {
        return Err(Failure::unknown("the rules were changed while the image was verified").hint("try again"));
    }
    let now = now(&args.chain);
    let (predicate_type, predicate) = match args.kind {
        VerdictKind::Vsa => (VERIFICATION_SUMMARY, summary(args, subject, found, now)),
        VerdictKind::Svr => (SVR, verification_result(args, subject, found, now)),
    };
    let predicate = RawValue::from_string(predicate.to_string()).map_err(Failure::unknown)?;
    let attesting = Attesting {
        name: subject.name.name(),
        image: &subject.descriptor,
        predicate_type,
        predicate: &predicate,
        formats: &BTreeSet::from([ReadBy::Cosign3]),
        key,
        now,
    };
    let made = attesting
        .make()
        .map_err(|why| Failure::usage(format!("{} can't sign the verdict: {why}", args.key)))?;
    let (manifest, out) = match &args.out {
        Some(file) => {
            let bytes = made.bundle().unwrap_or_default();
            std::fs::write(file, bytes)
                .map_err(|why| Failure::unknown(format!("{}: {why}", file.display())))?;
            (None, Some(file.display().to_string()))
        }
        None => (Some(push(args, &made)?.to_string()), None),
    };
    let verifier = args.verifier_id.clone();
    let (result, levels) = (found.result, found.levels.clone());
    Ok(Signed { predicate_type, verifier, result, levels, manifest, out })
}

fn push(args: &AttestArgs, made: &Attestation) -> Result<Digest, Failure> {
    let Location::Registry(reference) = &args.chain.image else {
        return Err(Failure::usage("expected an image in a registry").hint("--out FILE writes the verdict"));
    };
    let registry = registry(reference, &args.chain.access)?;
    match made.push(&registry).pop() {
        Some(Ok(attached)) => Ok(attached.written.manifest),
        Some(Err(why)) => {
            let what = format!("the verdict was not pushed: {}", shown(&why.source.to_string()));
            let failure =
                if why.source.unreachable() { Failure::unknown(what) } else { Failure::refused(what) };
            Err(failure.hint("who verifies must be allowed to push there; --out FILE writes it instead"))
        }
        None => Err(Failure::unknown("the verdict was not pushed")),
    }
}

/// SLSA 1.2, "Verification Summary Attestation", schema.
fn summary(args: &AttestArgs, subject: &Subject, found: &Found, now: DateTime<Utc>) -> Value {
    let inputs: Vec<_> = found.pieces.iter().filter_map(|one| input(subject, one)).collect();
    json!({
        "verifier": { "id": args.verifier_id, "version": { "hallmark": env!("CARGO_PKG_VERSION") } },
        "timeVerified": time(now),
        "resourceUri": format!("oci://{}", subject.name),
        "policy": policy(args, subject, found),
        "inputAttestations": inputs,
        "verificationResult": found.result,
        "verifiedLevels": found.levels,
        "slsaVersion": SLSA_VERSION,
    })
}

/// in-toto attestation, "Simple Verification Result" 0.1, schema; with the policy as a member of the verifier.
fn verification_result(args: &AttestArgs, subject: &Subject, found: &Found, now: DateTime<Utc>) -> Value {
    // What was not looked at is no property.
    let properties = found.levels.iter().filter(|level| !level.ends_with("_UNEVALUATED")).cloned();
    let properties: Vec<_> = std::iter::once("HALLMARK_TRUSTED".to_owned()).chain(properties).collect();
    json!({
        "verifier": { "id": args.verifier_id, "policy": policy(args, subject, found) },
        "timeCreated": time(now),
        "properties": properties,
    })
}

fn time(now: DateTime<Utc>) -> String {
    now.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// By which rules: those in the file, or else what the owners of the root signed.
fn policy(args: &AttestArgs, subject: &Subject, found: &Found) -> Value {
    let (uri, sha256) = match (&args.policy.policy, found.rules) {
        (Some(file), Some(digest)) => {
            let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
            (name, digest.hex())
        }
        _ => subject.trust.clone(),
    };
    let uri = args.policy_uri.as_ref().map_or(uri, ToString::to_string);
    json!({ "uri": uri, "digest": { "sha256": sha256 } })
}

/// A statement or signature that counted.
fn input(subject: &Subject, judged: &Judged) -> Option<Value> {
    let Outcome::Signed(_) = &judged.outcome else { return None };
    Some(json!({
        "uri": format!("oci://{}", subject.name.digest_path(judged.found.manifest)),
        "digest": { "sha256": judged.found.blob.digest.hex() },
    }))
}

impl Signed {
    fn print(&self, subject: &Option<Subject>) {
        let style = Style::stderr();
        let word = if self.result == "PASSED" { style.good(self.result) } else { style.bad(self.result) };
        say!("signed {word} as {}", in_a_line(&self.verifier));
        say!("  {}", self.levels.join(", "));
        let name = subject.as_ref().map(|subject| subject.name.name().to_string()).unwrap_or_default();
        match (&self.manifest, &self.out) {
            (Some(manifest), _) => out!("{name}@{manifest}"),
            (None, Some(file)) => say!("  written to {file}"),
            (None, None) => {}
        }
    }
}

impl Report {
    /// Where the chain was not even begun. A wrong call has no answer.
    fn print_failure(reference: String, failure: &Failure) {
        let verdict = match failure.exit {
            Exit::Refused => "refused",
            Exit::Unknown => "unknown",
            Exit::Trusted | Exit::Usage | Exit::Gate => return,
        };
        let error = Some(failure.what().to_owned());
        print_json(&Self { version: REPORT_VERSION, reference, verdict, digest: None, signed: None, error });
    }

    fn of(reference: String, verdict: &Verdict, subject: Option<&Subject>, signed: Option<Signed>) -> Self {
        let (verdict, error) = match verdict {
            Verdict::Trusted(_) => ("trusted", None),
            Verdict::Refused(broken) => ("refused", Some(broken.link.detail.clone())),
            Verdict::Unknown(broken) => ("unknown", Some(broken.link.detail.clone())),
        };
        let digest = subject.map(|subject| subject.descriptor.digest.to_string());
        Self { version: REPORT_VERSION, reference, verdict, digest, signed, error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_docs_is_that_of_the_report() {
        crate::report::tests::schema_is_kept("verify-attest", &schemars::schema_for!(Report));
    }
}
