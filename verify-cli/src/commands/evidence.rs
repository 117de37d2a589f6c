//! `verify evidence`: every signature and attestation that there is, by whom, and what it is worth.

use image_evidence::{Predicate, Sbom, Signer};
use oci_image::Reference;
use serde::Serialize;
use verifier_lib::evidence::{Gap, Judged, Outcome, only_fresh};

use crate::access::trusted_name;
use crate::args::Format;
use crate::evidence::{Gathered, Standing, gather};
use crate::evidence_args::EvidenceArgs;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::policy;
use crate::report::print_json;
use crate::style::{Style, in_a_line, out, short_digests};
use crate::verifiers::Demanded;

/// The version of the JSON form. It grows only by new members.
const REPORT_VERSION: u32 = 1;

/// The answer of `verify evidence`. Schema: `docs/schema/verify-evidence.json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Report {
    /// The version of this form.
    version: u32,
    /// The name that was asked for.
    reference: String,
    /// How the image itself stands.
    verdict: Standing,
    /// The digest of the manifest or index.
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// Every piece that was found.
    pieces: Vec<PieceReport>,
    /// What may have held evidence, and wasn't seen.
    gaps: Vec<GapReport>,
    /// Why nothing was looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// One signature or attestation.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct PieceReport {
    /// In which form it came.
    form: String,
    /// Where it was found.
    place: &'static str,
    /// The digest of the manifest that it is about: the image, or one part of an index.
    about: String,
    /// The digest of the manifest that holds it.
    manifest: String,
    /// The digest of its bytes.
    blob: String,
    /// Whether the publisher's metadata names it today.
    fresh: bool,
    /// What it is worth.
    outcome: Word,
    /// Those who are trusted, and signed it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    signers: Vec<SignerReport>,
    /// What kind of thing is said. Of what is refused, whatever it claims.
    #[serde(skip_serializing_if = "Option::is_none")]
    predicate_type: Option<String>,
    /// What is said, in a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    says: Option<String>,
    /// Of a verification summary, where verdicts are demanded, by `--verifier` or by rules: whether it is one that
    /// counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<bool>,
    /// Why it counts for nothing, in a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    /// Why it counts for nothing, or is no verdict that counts: what was expected, and what came.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum Word {
    /// Somebody who is trusted signed it.
    Signed,
    /// Nobody signed it, but the publisher's metadata names it.
    Published,
    /// It counts for nothing.
    Refused,
}

/// Who signed.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SignerReport {
    /// `key`, `identity` or `certificate`.
    kind: &'static str,
    /// By what it was trusted: the file of a key, an identity, a subject.
    name: String,
    /// Who vouches for an identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
}

/// Something that wasn't seen.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct GapReport {
    /// What.
    what: String,
    /// Why.
    why: String,
}

impl GapReport {
    pub(crate) fn new(what: &str, why: &str) -> Self {
        Self { what: what.to_owned(), why: why.to_owned() }
    }

    pub(crate) fn what(&self) -> &str {
        &self.what
    }

    pub(crate) fn why(&self) -> &str {
        &self.why
    }
}

impl SignerReport {
    /// For a person.
    pub(crate) fn shown(&self) -> String {
        match &self.issuer {
            Some(issuer) => format!("{} by {issuer}", self.name),
            None => self.name.clone(),
        }
    }
}

impl From<&Gap> for GapReport {
    fn from(gap: &Gap) -> Self {
        Self { what: gap.what.clone(), why: gap.why.clone() }
    }
}

impl From<&Signer> for SignerReport {
    fn from(signer: &Signer) -> Self {
        let (kind, issuer) = match signer {
            Signer::Key { .. } => ("key", None),
            Signer::Identity(identity) => ("identity", Some(identity.issuer.clone())),
            Signer::Certificate { .. } => ("certificate", None),
        };
        Self { kind, name: signer.name(), issuer }
    }
}

pub(crate) fn run(args: &EvidenceArgs) -> Result<Exit, Failure> {
    let gathered = args.packed.chain(&args.chain).and_then(|given| {
        let applied = policy::applied(args.policy.policy.as_deref(), &given)?;
        let (chain, signers) =
            applied.as_ref().map_or((&given, &args.signers), |applied| (&applied.chain, &applied.signers));
        let name = trusted_name(chain).ok();
        Ok((gather(chain, args.printing, signers, &args.verifiers, applied.as_ref())?, name))
    });
    let (mut gathered, name) = gathered.inspect_err(|failure| {
        if let (Format::Json, Some(verdict)) = (args.printing.format, Standing::of(failure)) {
            print_json(&Report::failed(args.packed.asked(&args.chain), verdict, failure.what()));
        }
    })?;
    if args.fresh {
        only_fresh(&mut gathered.pieces);
    }
    let report = Report::of(&gathered, name.as_ref());
    match args.printing.format {
        Format::Json => print_json(&report),
        Format::Text => report.print(),
    }
    Ok(Exit::Trusted)
}

impl Report {
    /// Where nothing was looked for.
    fn failed(reference: String, verdict: Standing, why: &str) -> Self {
        Self {
            version: REPORT_VERSION,
            reference,
            verdict,
            digest: None,
            pieces: Vec::new(),
            gaps: Vec::new(),
            error: Some(why.to_owned()),
        }
    }

    fn of(gathered: &Gathered, name: Option<&Reference>) -> Self {
        Self {
            version: REPORT_VERSION,
            reference: gathered.reference.clone(),
            verdict: gathered.standing,
            digest: Some(gathered.subjects.top().digest.to_string()),
            error: None,
            pieces: gathered.pieces.iter().map(|one| PieceReport::of(one, gathered, name)).collect(),
            gaps: gathered.gaps.iter().map(GapReport::from).collect(),
        }
    }

    fn print(&self) {
        let style = Style::stdout();
        out!("{}", in_a_line(&self.reference));
        out!("  {}", self.digest.as_deref().unwrap_or_default());
        if self.verdict == Standing::Unverified {
            out!("  {}", style.unsure("unverified: no root of trust was asked about this image"));
        }
        match self.pieces.as_slice() {
            [] => out!("no signature and no attestation was found"),
            pieces => pieces.iter().for_each(|piece| piece.print(self.digest.as_deref(), style)),
        }
        for gap in &self.gaps {
            let line = short_digests(&format!("{}: {}", gap.what, gap.why));
            out!("{}  {}", style.unsure("not seen"), in_a_line(&line));
        }
    }
}

impl PieceReport {
    fn of(judged: &Judged, gathered: &Gathered, name: Option<&Reference>) -> Self {
        let (demanded, top) = (&gathered.verdicts, gathered.subjects.top().digest);
        let counts = name
            .and_then(|name| Demanded::counts(demanded, judged, &gathered.pieces, (name, top, gathered.now)));
        let found = &judged.found;
        let (outcome, refusal) = match &judged.outcome {
            Outcome::Signed(_) => (Word::Signed, None),
            Outcome::Published(_) => (Word::Published, None),
            Outcome::Refused(why) => (Word::Refused, Some(why)),
        };
        let says = judged.predicate().map(|read| match read {
            Ok(predicate) => says(&predicate),
            Err(why) => format!("can't be read: {why}"),
        });
        Self {
            form: found.form.to_string(),
            place: found.place.name(),
            about: found.subject.digest.to_string(),
            manifest: found.manifest.to_string(),
            blob: found.blob.digest.to_string(),
            fresh: found.fresh,
            outcome,
            signers: judged.signers().iter().map(SignerReport::from).collect(),
            predicate_type: judged.predicate_type(),
            says,
            counts: counts.as_ref().map(Result::is_ok),
            reason: refusal.map(|why| why.reason()),
            detail: match (refusal, counts) {
                (Some(why), _) => Some(why.to_string()),
                (None, Some(Err(why))) => Some(format!("it is no verdict that counts: {why}")),
                (None, _) => None,
            },
        }
    }

    fn print(&self, image: Option<&str>, style: Style) {
        let word = match (self.outcome, self.fresh) {
            (Word::Refused, _) => style.bad("refused "),
            (Word::Signed, true) => style.good("fresh   "),
            (Word::Signed, false) => style.good("signed  "),
            (Word::Published, _) => style.unsure("unsigned"),
        };
        let names: Vec<_> = self.signers.iter().map(|signer| signer.name.as_str()).collect();
        let by = if names.is_empty() { String::new() } else { format!(" by {}", names.join(", ")) };
        out!("{word}  {}{}", self.form, in_a_line(&by));
        if let Some(kind) = &self.predicate_type {
            let claimed = if self.outcome == Word::Refused { "claims to be " } else { "" };
            out!("          {claimed}{}", in_a_line(kind));
        }
        if let Some(says) = &self.says {
            out!("          {}", in_a_line(says));
        }
        if self.counts == Some(true) {
            out!("          {}", style.good("a verdict that counts"));
        }
        if let Some(detail) = &self.detail {
            out!("          {}", in_a_line(&short_digests(detail)));
        }
        if self.outcome == Word::Published {
            out!(
                "          its builder signed nothing: the publisher's metadata names it, and nobody else vouches"
            );
        }
        let about = if Some(self.about.as_str()) == image {
            "the image".to_owned()
        } else {
            short_digests(&self.about)
        };
        out!(
            "          {}",
            style.faint(&format!("about {about}, from {}, {}", self.place, short_digests(&self.blob)))
        );
    }
}

/// What a statement says, in a line.
fn says(predicate: &Predicate) -> String {
    let at = |time: &Option<String>| time.as_ref().map(|time| format!(", of {time}")).unwrap_or_default();
    match predicate {
        Predicate::Provenance(provenance) => {
            let builder =
                if provenance.builder.is_empty() { "a builder without a name" } else { &provenance.builder };
            format!("SLSA provenance {} by {builder}", provenance.version)
        }
        Predicate::Vsa(vsa) => {
            let result = if vsa.passed { "passed" } else { "failed" };
            format!("{} {result} {} for {}", vsa.resource, vsa.levels.join(", "), vsa.verifier)
        }
        Predicate::Svr(svr) => format!("{} for {}", svr.properties.join(", "), svr.verifier),
        Predicate::Sbom(Sbom { version, components, created, .. }) => {
            format!("{} {version}: {components} components{}", predicate.name(), at(created))
        }
        Predicate::Vex(vex) => {
            let (what, count) = (predicate.name(), vex.statements.len());
            format!("{what} by {}: {count} statements{}", vex.author, at(&vex.timestamp))
        }
        Predicate::Vulnerabilities(found) => {
            let count =
                found.found.map_or_else(|| "its own result".to_owned(), |count| format!("{count} found"));
            format!("{}: {count}{}", found.scanner, at(&found.finished))
        }
        Predicate::Custom(custom) => {
            format!("{} bytes in a form of its own{}", custom.bytes, at(&custom.timestamp))
        }
        Predicate::Other(kind) => format!("something that isn't read here: {kind}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_docs_is_that_of_the_report() {
        crate::report::tests::schema_is_kept("verify-evidence", &schemars::schema_for!(Report));
    }
}
