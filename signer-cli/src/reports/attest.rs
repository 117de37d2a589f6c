//! What `signer attest` answers.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::Report;
use super::for_others::Outcome;
use crate::exit::Exit;

/// The answer of `signer attest`.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Attest {
    /// The version of this report.
    pub version: u32,
    /// Whether nothing was written because `--dry-run` was given.
    #[serde(default)]
    pub dry_run: bool,
    /// What the statement is about: `registry/repository@sha256:…`.
    pub image: String,
    /// What kind of thing was said; none where something was only revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicate_type: Option<String>,
    /// The key that signed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Each form of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attestations: Vec<Attestation>,
    /// What the metadata will name no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<String>,
    /// What was staged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub staged: Vec<Named>,
}

/// A statement, in a form.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// Who reads it: `cosign3`, `cosign2`.
    #[serde(rename = "for")]
    pub format: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The digest by which metadata names it, and by which it is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// The digest of the manifest that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// Where it is found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Why it was not pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Whether that was because nothing answered: the same may do later.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unreachable: bool,
}

/// A name, and the evidence that the metadata will name for it.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// The name.
    pub name: String,
    /// The digests.
    pub evidence: Vec<String>,
}

impl Attestation {
    fn lines(&self, out: &mut String) {
        let outcome = match self.outcome {
            Outcome::WouldBePushed => "would be pushed",
            Outcome::Pushed => "pushed",
            Outcome::WasThere => "was there",
            Outcome::NotPushed => "NOT pushed",
        };
        let _ = write!(out, "  {:<8} {outcome}", self.format);
        for more in [&self.place, &self.why].into_iter().flatten() {
            let _ = write!(out, ": {more}");
        }
        out.push('\n');
        if let Some(evidence) = &self.evidence {
            let _ = writeln!(out, "           {evidence}");
        }
    }
}

impl Report for Attest {
    fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    fn dry_run(&self) -> bool {
        self.dry_run
    }

    fn text(&self) -> String {
        let mut out = format!("{}\n", self.image);
        if let (Some(kind), Some(key)) = (&self.predicate_type, &self.key) {
            let _ = writeln!(out, "  {kind}, by key {key}");
        }
        self.attestations.iter().for_each(|one| one.lines(&mut out));
        for revoked in &self.revoked {
            let _ = writeln!(out, "  revoked  {revoked}");
        }
        for Named { name, evidence } in &self.staged {
            let pieces = if evidence.len() == 1 { "piece" } else { "pieces" };
            let _ = writeln!(out, "staged: {name} has {} {pieces} of evidence", evidence.len());
        }
        if !self.staged.is_empty() {
            out.push_str("`signer publish` makes it so\n");
        }
        out
    }

    fn exit(&self) -> Exit {
        let mut missing = self.attestations.iter().filter(|one| one.outcome == Outcome::NotPushed).peekable();
        match (missing.peek().is_some(), missing.all(|one| one.unreachable)) {
            (false, _) => Exit::Done,
            (true, true) => Exit::Unknown,
            (true, false) => Exit::Refused,
        }
    }
}
