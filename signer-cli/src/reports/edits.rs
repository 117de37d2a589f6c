//! What the commands answer that change roles.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// The answer of `signer role …` and `signer delegate …`.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Edits {
    /// The version of this report.
    pub version: u32,
    /// Whether nothing was written because `--dry-run` was given.
    #[serde(default)]
    pub dry_run: bool,
    /// What was staged, in words.
    pub staged: Vec<String>,
    /// The roles that will sign at the next publish, besides snapshot and timestamp.
    pub signs: Vec<String>,
}

impl Edits {
    pub(crate) fn text(&self) -> String {
        let mut out = String::from("staged\n");
        for words in &self.staged {
            let _ = writeln!(out, "  {words}");
        }
        if !self.signs.is_empty() {
            let few: Vec<&str> = self.signs.iter().take(5).map(String::as_str).collect();
            let rest = self.signs.len().saturating_sub(few.len());
            let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
            let _ = writeln!(out, "`signer publish` signs it as {}{rest}", few.join(", "));
        }
        out
    }
}

/// The answer of `signer delegate list`.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Delegations {
    /// The version of this report.
    pub version: u32,
    /// Who speaks for what, in the order in which clients ask.
    pub roles: Vec<Delegated>,
}

/// A delegated role, or bins that share their keys.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Delegated {
    /// Its name; of bins, the first one's, or what their names start with.
    pub role: String,
    /// Who delegates to it.
    pub by: String,
    /// The names that it may speak for, as patterns; none for bins.
    pub paths: Vec<String>,
    /// How many bins there are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bins: Option<u64>,
    /// Whether nobody else is asked about these names.
    pub terminating: bool,
    /// How many of its keys must sign.
    pub threshold: u32,
    /// The ids of its keys.
    pub key_ids: Vec<String>,
}

impl Delegations {
    pub(crate) fn text(&self) -> String {
        if self.roles.is_empty() {
            return "nobody else speaks: targets lists every name itself".to_owned();
        }
        let mut out = String::new();
        for role in &self.roles {
            let keys = role.key_ids.len();
            let what = match role.bins {
                Some(bins) => format!("{bins} bins, by the hash of the name"),
                None => role.paths.join(", "),
            };
            let last = if role.terminating { ", and nobody else is asked" } else { "" };
            let _ = writeln!(out, "{} (by {}, {} of {keys} keys)", role.role, role.by, role.threshold);
            let _ = writeln!(out, "  {what}{last}");
        }
        out
    }
}

/// The answer of `signer reset`.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// The version of this report.
    pub version: u32,
    /// Whether nothing was written because `--dry-run` was given.
    #[serde(default)]
    pub dry_run: bool,
    /// How many staged changes were forgotten.
    pub forgotten: usize,
}

impl Reset {
    pub(crate) fn text(&self) -> String {
        match self.forgotten {
            0 => "nothing was staged".to_owned(),
            1 => "forgot 1 staged change; what is published stays as it is".to_owned(),
            many => format!("forgot {many} staged changes; what is published stays as it is"),
        }
    }
}
