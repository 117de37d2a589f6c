//! The answer of `signer doctor`.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::Report;
use crate::exit::Exit;

/// The answer.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Doctor {
    /// The version of this report.
    pub version: u32,
    /// The place that is served.
    pub published: String,
    /// The address that was asked as a client asks, where one was named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// Whether warnings count as problems, because of `--strict`.
    pub strict: bool,
    /// How many findings are problems.
    pub problems: usize,
    /// How many are warnings.
    pub warnings: usize,
    /// What was found, by area; where an area has nothing to find fault with, one that says so.
    pub findings: Vec<Finding>,
}

/// One thing that was found.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was looked at.
    pub area: Area,
    /// What was found.
    pub what: String,
    /// The file, folder, key, role or address that it is about.
    #[serde(default, rename = "where", skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// What mends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// It works, and one slip or loss more and it doesn't.
    Warning,
    /// Clients are refused or will be, or somebody else could sign.
    Problem,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    /// This machine's time.
    Clock,
    /// Thresholds, and keys that do too much.
    Roles,
    /// Whether the keys that are named here can be reached.
    Keys,
    /// Who may read and write the files here.
    Modes,
    /// What lies in the folder that is served.
    Served,
    /// Whether all of the published state is there.
    Published,
    /// The files of the targets.
    Targets,
    /// What expires.
    Expiry,
    /// What a client says that starts from the first root.
    Client,
}

impl Area {
    /// As reports name it.
    fn name(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Roles => "roles",
            Self::Keys => "keys",
            Self::Modes => "modes",
            Self::Served => "served",
            Self::Published => "published",
            Self::Targets => "targets",
            Self::Expiry => "expiry",
            Self::Client => "client",
        }
    }
}

impl Report for Doctor {
    fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    fn text(&self) -> String {
        let mut out = String::new();
        for Finding { severity, area, what, place, hint } in &self.findings {
            let severity = match severity {
                Severity::Ok => "ok",
                Severity::Warning => "warning",
                Severity::Problem => "problem",
            };
            let _ = writeln!(out, "{severity:<8} {:<9}  {what}", area.name());
            if let Some(place) = place {
                let _ = writeln!(out, "  where  {place}");
            }
            if let Some(hint) = hint {
                let _ = writeln!(out, "  hint   {hint}");
            }
        }
        let _ = match (self.problems, self.warnings) {
            (0, 0) => writeln!(out, "nothing to mend in {}", self.published),
            (problems, warnings) => writeln!(
                out,
                "{} and {} in {}",
                counted(problems, "problem"),
                counted(warnings, "warning"),
                self.published
            ),
        };
        out
    }

    /// 1 where there is a problem; with `--strict` also where there is a warning.
    fn exit(&self) -> Exit {
        let bad = self.problems > 0 || (self.strict && self.warnings > 0);
        if bad { Exit::Refused } else { Exit::Done }
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
