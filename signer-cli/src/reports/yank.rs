//! What `signer yank` and `signer unyank` answer.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::Report;

/// The answer of `signer yank` and `signer unyank`.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Yank {
    /// The version of this report.
    pub version: u32,
    /// Whether nothing was written because `--dry-run` was given.
    #[serde(default)]
    pub dry_run: bool,
    /// Whether the names will be refused; otherwise they will be trusted again.
    pub yanked: bool,
    /// The names: of the tag, and of its digest.
    pub names: Vec<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What to use instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
}

impl Report for Yank {
    fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    fn dry_run(&self) -> bool {
        self.dry_run
    }

    fn text(&self) -> String {
        let mut out = String::new();
        for name in &self.names {
            let what = if self.yanked { "will be refused" } else { "may be run again" };
            let _ = writeln!(out, "staged: {name} {what}");
        }
        if let Some(reason) = &self.reason {
            let _ = writeln!(out, "  {reason}");
        }
        if let Some(replacement) = &self.replacement {
            let _ = writeln!(out, "  users are told to take {replacement}");
        }
        out.push_str("`signer publish` makes it so\n");
        out
    }
}
