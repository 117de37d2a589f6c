//! Who must sign what by when.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::day;
use crate::edit::short;
use crate::report::relative;

/// What a role's keys have to do next.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Duty {
    /// The role.
    pub role: String,
    /// How many of its keys must sign.
    pub threshold: u32,
    /// The ids of its keys that are on this machine, and need no passphrase.
    pub keys_here: Vec<String>,
    /// How many key files of the role are on this machine that need a passphrase.
    pub keys_locked: usize,
    /// The ids of its other keys.
    pub keys_away: Vec<String>,
    /// When its statement expires.
    #[cfg_attr(test, schemars(with = "String"))]
    pub expires: DateTime<Utc>,
    /// From when on it is due.
    #[cfg_attr(test, schemars(with = "String"))]
    pub due_from: DateTime<Utc>,
    /// Whether it is due now.
    pub due: bool,
    /// Whether the keys here suffice.
    pub can_sign: bool,
    /// What to do, in words.
    pub action: String,
}

impl Duty {
    pub(crate) fn lines(&self, out: &mut String, now: DateTime<Utc>) {
        let when = match (self.expires <= now, self.due) {
            (true, _) => "overdue".to_owned(),
            (false, true) => format!("now, before {}", day(self.expires)),
            (false, false) => format!("from {} ({})", day(self.due_from), relative(self.due_from, now)),
        };
        let _ = writeln!(out, "  {:<9} {when}: {}", self.role, self.keys());
        let _ = writeln!(out, "            {}", self.action);
    }

    fn keys(&self) -> String {
        let all = self.keys_here.len().saturating_add(self.keys_away.len());
        let mut text = format!("{} of {all} keys must sign", self.threshold);
        if !self.keys_here.is_empty() {
            let _ = write!(text, "; here {}", list(&self.keys_here));
        }
        if self.keys_locked > 0 {
            let _ = write!(text, "; here and locked {}", self.keys_locked);
        }
        if !self.keys_away.is_empty() && self.keys_locked == 0 {
            let _ = write!(text, "; not here {}", list(&self.keys_away));
        }
        text
    }
}

fn list(ids: &[String]) -> String {
    ids.iter().map(|id| short(id)).collect::<Vec<_>>().join(", ")
}
