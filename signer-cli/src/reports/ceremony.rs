//! What `signer ceremony …` answers.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::edit::short;

/// The answer of `signer ceremony propose|show|sign|status|merge`.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Ceremony {
    /// The version of this report.
    pub version: u32,
    /// Whether nothing was written because `--dry-run` was given.
    #[serde(default)]
    pub dry_run: bool,
    /// The file.
    pub file: String,
    /// The SHA-256 of what is proposed, whoever has signed.
    pub sha256: String,
    /// The same in words, to read aloud.
    pub fingerprint: String,
    /// Whether it was seen to follow from a root that is trusted here; `null` where there was none.
    pub follows_trusted_root: Option<bool>,
    /// What would change, in words.
    pub summary: Vec<String>,
    /// The documents to sign.
    pub documents: Vec<Document>,
    /// Whether all have enough signatures to be published.
    pub complete: bool,
    /// What this command signed, by role.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signed: Vec<String>,
}

/// A document of a ceremony.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Its role.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// When it expires.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub expires: Option<DateTime<Utc>>,
    /// The keys that must sign; for a root, the new ones and the old ones.
    pub keys: Vec<Keys>,
}

/// Keys of which so many must sign.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// How many must sign.
    pub threshold: u32,
    /// Who has.
    pub signed: Vec<String>,
    /// Who could still.
    pub missing: Vec<String>,
    /// Whether clients refuse the document without them.
    pub required: bool,
}

impl Ceremony {
    pub(crate) fn text(&self) -> String {
        let mut out = format!("{}\n  fingerprint  {}\n", self.file, self.fingerprint);
        out.push_str(match self.follows_trusted_root {
            Some(_) => "  it follows from the root that you trust\n",
            None => "  NOT compared with a root that you trust: name one with --root\n",
        });
        for line in &self.summary {
            let _ = writeln!(out, "{line}");
        }
        for role in &self.signed {
            let _ = writeln!(out, "signed {role}");
        }
        out.push_str("signatures\n");
        for document in &self.documents {
            for (at, keys) in document.keys.iter().enumerate() {
                let which = match (document.keys.len(), at) {
                    (1, _) => "",
                    (_, 0) => " (new keys)",
                    _ => " (old keys)",
                };
                let (got, need) = (keys.signed.len(), keys.threshold);
                let _ = write!(out, "  {}{which}: {got} of {need}", document.role);
                let missing: Vec<String> = keys.missing.iter().map(|id| short(id)).collect();
                if usize::try_from(need).is_ok_and(|need| got < need) {
                    let _ = write!(out, ", wants {}", missing.join(" or "));
                }
                out.push('\n');
            }
        }
        out.push_str(match self.complete {
            true => "complete: `signer publish --ceremony FILE` publishes it\n",
            false => "not complete yet: `signer ceremony sign FILE` signs it\n",
        });
        out
    }
}
