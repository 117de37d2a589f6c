//! The answer of `signer refresh`.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{Report, day};
use crate::report::Statement;

/// The answer.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The version of this report.
    pub version: u32,
    /// The place that is served.
    pub published: String,
    /// Whether nothing was written because `--dry-run` was given.
    pub dry_run: bool,
    /// What was signed, in the order of writing.
    pub signed: Vec<Statement>,
    /// Roles that are due, and whose keys aren't here.
    pub left: Vec<Left>,
    /// When something is due next, seen from now.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub next: Option<DateTime<Utc>>,
}

/// A role that is due and was not signed.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Left {
    /// The role.
    pub role: String,
    /// When it expires.
    #[cfg_attr(test, schemars(with = "String"))]
    pub expires: DateTime<Utc>,
}

impl Report for Refresh {
    fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    fn text(&self) -> String {
        let mut out = String::from(match (self.signed.is_empty(), self.dry_run) {
            (true, _) => "nothing to renew\n",
            (false, true) => "would be renewed; nothing was written\n",
            (false, false) => "renewed\n",
        });
        for Statement { role, version, expires, .. } in &self.signed {
            let _ = writeln!(out, "  {role:<9} {version:>4}  expires {}", day(*expires));
        }
        for Left { role, expires } in &self.left {
            let _ = writeln!(out, "not here: the keys of {role}, which expires {}", day(*expires));
        }
        if let Some(next) = self.next {
            let _ = writeln!(out, "next due {}", day(next));
        }
        out
    }
}
