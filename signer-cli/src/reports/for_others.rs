//! What became of the signatures for other tools: a part of what `signer publish` answers, and what
//! `signer sign-for` does.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::Report;
use crate::exit::Exit;

/// Signatures for other tools.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ForOthers {
    /// The name of the key that signed.
    pub key: String,
    /// Each signature, image by image.
    pub signatures: Vec<Signature>,
    /// The command that does once more what was not done; none where all was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<String>,
}

/// One signature of one image.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// What was signed: `registry/repository@sha256:…`. For podman each image of an index is signed besides.
    pub image: String,
    /// Who reads it: `cosign2`, `cosign3`, `notation`, `podman`.
    #[serde(rename = "for")]
    pub formats: Vec<String>,
    /// What became of it.
    pub outcome: Outcome,
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

/// What became of a signature.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was made and checked, and is nowhere: a rehearsal.
    WouldBePushed,
    /// It is in the registry now.
    Pushed,
    /// One by the same key over the same image was in the registry; nothing was written.
    WasThere,
    /// It isn't in the registry.
    NotPushed,
}

/// The answer of `signer sign-for`.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SignFor {
    /// The version of this report.
    pub version: u32,
    /// The signatures.
    pub for_others: ForOthers,
}

impl ForOthers {
    /// Refused, or could not be done now, where one is missing.
    pub(crate) fn exit(&self) -> Exit {
        let mut missing = self.signatures.iter().filter(|one| one.outcome == Outcome::NotPushed).peekable();
        match (missing.peek().is_some(), missing.all(|one| one.unreachable)) {
            (false, _) => Exit::Done,
            (true, true) => Exit::Unknown,
            (true, false) => Exit::Refused,
        }
    }

    pub(crate) fn lines(&self, out: &mut String) {
        if self.signatures.is_empty() {
            out.push_str("for other tools: no image is new, so none was signed\n");
            return;
        }
        let _ = writeln!(out, "for other tools, by key {}", self.key);
        let mut image = "";
        for one in &self.signatures {
            if one.image != image {
                image = &one.image;
                let _ = writeln!(out, "  {image}");
            }
            one.line(out);
        }
        if let Some(repeat) = &self.repeat {
            let _ = writeln!(out, "to push what was not\n  {repeat}");
        }
    }
}

impl Signature {
    fn line(&self, out: &mut String) {
        let outcome = match self.outcome {
            Outcome::WouldBePushed => "would be pushed",
            Outcome::Pushed => "pushed",
            Outcome::WasThere => "was there",
            Outcome::NotPushed => "NOT pushed",
        };
        let _ = write!(out, "    {:<16} {outcome}", self.formats.join(", "));
        for more in [&self.place, &self.why].into_iter().flatten() {
            let _ = write!(out, ": {more}");
        }
        out.push('\n');
    }
}

impl Report for SignFor {
    fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    fn text(&self) -> String {
        let mut out = String::new();
        self.for_others.lines(&mut out);
        out
    }

    fn exit(&self) -> Exit {
        self.for_others.exit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(outcome: Outcome, unreachable: bool) -> Signature {
        let (image, formats) = ("r.io/web@sha256:00".to_owned(), vec!["cosign2".to_owned()]);
        Signature { image, formats, outcome, manifest: None, place: None, why: None, unreachable }
    }

    #[test]
    fn one_that_was_refused_counts_more_than_one_that_got_no_answer() {
        let exit = |signatures| ForOthers { key: "k".into(), signatures, repeat: None }.exit();
        let there = || signature(Outcome::WasThere, false);
        let silent = || signature(Outcome::NotPushed, true);
        assert_eq!(exit(vec![]), Exit::Done);
        assert_eq!(exit(vec![there()]), Exit::Done);
        assert_eq!(exit(vec![there(), silent()]), Exit::Unknown);
        assert_eq!(exit(vec![silent(), signature(Outcome::NotPushed, false)]), Exit::Refused);
    }
}
