//! What a publish changes, role by role: the answer of `signer diff` and of `signer publish --dry-run`.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::for_others::ForOthers;
use super::{Report, day};
use crate::edit::short;

/// The answer.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Diff {
    /// The version of this report.
    pub version: u32,
    /// Whether nothing was written because `--dry-run` was given.
    #[serde(default)]
    pub dry_run: bool,
    /// The place that is served.
    pub published: String,
    /// Whether it was signed, and weighed as a client does: by `publish --dry-run`. Nothing was written.
    pub signed: bool,
    /// Whether anything is staged; else what a publish renews is shown.
    pub staged: bool,
    /// The roles that would sign, in the order of writing.
    pub roles: Vec<RoleDiff>,
    /// The signatures for other tools that would be pushed, where that was asked of `publish --dry-run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_others: Option<ForOthers>,
}

/// What changes in one role's statement.
#[derive(Debug, Default, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RoleDiff {
    /// The role.
    pub role: String,
    /// The version before; none where the role is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_version: Option<u64>,
    /// The version after.
    pub new_version: u64,
    /// When what was published expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub old_expires: Option<DateTime<Utc>>,
    /// When what would be published expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub new_expires: Option<DateTime<Utc>>,
    /// Names whose meaning changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<NameDiff>,
    /// Roles whose keys, threshold or paths change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<KeysDiff>,
}

/// What changes of a name.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NameDiff {
    /// The name.
    pub name: String,
    /// What it meant; none where it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_digest: Option<String>,
    /// What it will mean; none where it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_digest: Option<String>,
    /// Why nobody shall run it from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yanked: Option<String>,
    /// The digests of the evidence that is named for it from then on, where that changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Vec<String>>,
}

/// What changes of who may sign for a role.
#[derive(Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KeysDiff {
    /// The role.
    pub role: String,
    /// How many had to sign; none where the role is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_threshold: Option<u32>,
    /// How many must sign; none where the role goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_threshold: Option<u32>,
    /// The ids of keys that may sign from then on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// The ids of keys that no longer may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// What it may speak for, where that changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_paths: Option<Vec<String>>,
}

impl Report for Diff {
    fn json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    fn text(&self) -> String {
        let mut out = String::from(match (self.staged, self.signed) {
            (true, false) => "the next publish would change\n",
            (true, true) => "signed and weighed; nothing was written. A publish would change\n",
            (false, false) => "nothing is staged; the next publish would renew\n",
            (false, true) => "signed and weighed; nothing was written. A publish would renew\n",
        });
        for role in &self.roles {
            role.lines(&mut out);
        }
        if let Some(for_others) = &self.for_others {
            for_others.lines(&mut out);
        }
        out
    }
}

impl RoleDiff {
    fn lines(&self, out: &mut String) {
        let old = self.old_version.map_or("new".to_owned(), |old| old.to_string());
        let _ = write!(out, "  {:<9} {old} -> {}", self.role, self.new_version);
        match (self.old_expires, self.new_expires) {
            (Some(old), Some(new)) => {
                let _ = writeln!(out, "  expires {} -> {}", day(old), day(new));
            }
            (None, Some(new)) => {
                let _ = writeln!(out, "  expires {}", day(new));
            }
            _ => out.push('\n'),
        }
        self.keys.iter().for_each(|keys| keys.lines(out));
        self.names.iter().for_each(|name| name.line(out));
    }
}

impl KeysDiff {
    fn lines(&self, out: &mut String) {
        let role = &self.role;
        let _ = match (self.old_threshold, self.new_threshold) {
            (None, Some(new)) => writeln!(out, "    + role {role}, threshold {new}"),
            (Some(_), None) => writeln!(out, "    - role {role}"),
            (Some(old), Some(new)) if old != new => writeln!(out, "    ~ threshold of {role} {old} -> {new}"),
            _ => Ok(()),
        };
        for (sign, ids) in [('+', &self.added), ('-', &self.removed)] {
            for id in ids {
                let _ = writeln!(out, "    {sign} key {} of {role}", short(id));
            }
        }
        if let Some(paths) = &self.new_paths {
            let _ = writeln!(out, "    ~ {role} speaks for {}", paths.join(", "));
        }
    }
}

impl NameDiff {
    fn line(&self, out: &mut String) {
        let Self { name, old_digest, new_digest, yanked, evidence } = self;
        let _ = match (old_digest, new_digest) {
            (None, Some(new)) if name.ends_with(new.as_str()) => writeln!(out, "    + {name}"),
            (None, Some(new)) => writeln!(out, "    + {name}  {new}"),
            (Some(old), None) if name.ends_with(old.as_str()) => writeln!(out, "    - {name}"),
            (Some(old), None) => writeln!(out, "    - {name}  {old}"),
            (Some(old), Some(new)) if old != new => writeln!(out, "    ~ {name}  {old} -> {new}"),
            _ => writeln!(out, "    ~ {name}"),
        };
        if let Some(reason) = yanked {
            let _ = writeln!(out, "      yanked: {reason}");
        }
        if let Some(evidence) = evidence {
            let _ = writeln!(out, "      evidence: {} named", evidence.len());
        }
    }
}
