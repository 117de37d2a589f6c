//! The gate: what an image must keep to, and which rule it breaks.
//!
//! A finding that somebody answered for is left in the report, with who said what and until when: it does not
//! count, and it does not vanish.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::report::{CoverageStatus, Finding, Report, Severity, counts};

/// What an image must keep to. Without any of these, every image passes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Rules {
    /// Findings of this severity or worse break the rule.
    pub fail_on: Option<Severity>,
    /// For `fail_on`, only findings count that a newer version mends.
    pub fixable_only: bool,
    /// A finding that is known to be exploited breaks the rule, however severe it is.
    pub fail_on_exploited: bool,
    /// What could not be looked up breaks the rule: no data, or files that could not be read.
    pub fail_on_gaps: bool,
    /// The most seconds that the database may be old.
    pub max_database_age: Option<u64>,
    /// Findings that somebody answers for.
    pub ignore: Vec<Ignore>,
}

/// A finding that does not count, on somebody's word, for a while.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ignore {
    /// The advisory, by any of its names.
    pub id: String,
    /// The package or source package; any, where nothing is said.
    pub package: Option<String>,
    /// Why it does not count.
    pub reason: String,
    /// From when on it counts again.
    pub expires: DateTime<Utc>,
}

impl Ignore {
    fn names(&self, finding: &Finding) -> bool {
        let advisory = finding.id == self.id || finding.aliases.contains(&self.id);
        let package = self.package.as_deref().is_none_or(|package| {
            package == finding.package || Some(package) == finding.source_package.as_deref()
        });
        advisory && package
    }
}

/// Whose word a rule of whoever scans is.
const BY_RULE: &str = "ignore";

/// How the reason of somebody begins who says that it was mended.
pub(crate) const FIXED: &str = "fixed";

/// Why a finding does not count.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Suppression {
    /// Whose word it is: `ignore` for a rule of whoever scans.
    pub by: String,
    /// Why.
    pub reason: String,
    /// From when on it counts again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
}

impl Suppression {
    /// Whether it is left aside by a rule of whoever scans: that says nothing of the weakness.
    pub(crate) fn is_ignored(&self) -> bool {
        self.by == BY_RULE
    }

    /// Whether somebody who may speak says that it was mended; else it touches nothing here.
    pub(crate) fn is_fixed(&self) -> bool {
        !self.is_ignored() && self.reason.starts_with(FIXED)
    }
}

/// What the rules say.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Gate {
    /// Findings of this severity or worse break the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_on: Option<Severity>,
    /// Only findings count that a newer version mends.
    pub fixable_only: bool,
    /// Whether the image passes.
    pub passed: bool,
    /// How many findings broke a rule.
    pub broken_by: usize,
    /// The rules that are broken.
    pub broken: Vec<BrokenRule>,
    /// Ignore rules that no longer hold: what they named counts.
    pub expired: Vec<String>,
    /// Ignore rules that fit nothing: they can go.
    pub unused: Vec<String>,
}

/// A rule that is broken.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BrokenRule {
    /// The rule: `severity`, `exploited`, `gaps` or `database-age`.
    pub rule: String,
    /// What was expected, and what came.
    pub what: String,
    /// The advisories that broke it, each once.
    pub advisories: Vec<String>,
}

impl Gate {
    /// The broken rules in a line, for people.
    #[must_use]
    pub fn summary(&self) -> String {
        let said: Vec<&str> = self.broken.iter().map(|broken| broken.what.as_str()).collect();
        if said.is_empty() { "no rule is broken".to_owned() } else { said.join("; ") }
    }
}

impl Report {
    /// Weighs what was found by rules, as of a time.
    #[must_use]
    pub fn gated(mut self, rules: &Rules, now: DateTime<Utc>) -> Self {
        let (holding, expired): (Vec<&Ignore>, Vec<&Ignore>) =
            rules.ignore.iter().partition(|ignore| now < ignore.expires);
        for finding in &mut self.findings {
            if let Some(ignore) = holding.iter().find(|ignore| ignore.names(finding)) {
                finding.suppressed = Some(Suppression {
                    by: BY_RULE.to_owned(),
                    reason: ignore.reason.clone(),
                    expires: Some(ignore.expires.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
                });
            }
        }
        let told = |ignore: &&Ignore| match &ignore.package {
            Some(package) => format!("{} in {package}: {}", ignore.id, ignore.reason),
            None => format!("{}: {}", ignore.id, ignore.reason),
        };
        let unused = |ignore: &&&Ignore| !self.findings.iter().any(|finding| ignore.names(finding));
        let mut gate = Gate {
            fail_on: rules.fail_on,
            fixable_only: rules.fixable_only,
            passed: false,
            broken_by: 0,
            broken: Vec::new(),
            expired: expired.iter().map(told).collect(),
            unused: holding.iter().filter(unused).map(told).collect(),
        };
        self.weigh_findings(rules, &mut gate);
        gate.broken.extend(self.too_old(rules));
        gate.broken.extend(self.gaps(rules));
        gate.passed = gate.broken.is_empty();
        self.gate = Some(gate);
        self
    }

    fn weigh_findings(&self, rules: &Rules, gate: &mut Gate) {
        let severe = |finding: &Finding| {
            rules.fail_on.is_some_and(|fail_on| finding.severity >= fail_on)
                && (finding.fixed.is_some() || !rules.fixable_only)
        };
        let exploited = |finding: &Finding| rules.fail_on_exploited && finding.exploited;
        let standing = || self.findings.iter().filter(|finding| finding.suppressed.is_none());
        gate.broken_by = standing().filter(|one| severe(one) || exploited(one)).count();
        let fixable = if rules.fixable_only { " that a newer version mends" } else { "" };
        let fail_on = rules.fail_on.unwrap_or(Severity::Unknown).name();
        let of_severity = match rules.fail_on {
            Some(Severity::Unknown) => format!("no finding{fixable}"),
            _ => format!("no finding of severity {fail_on} or worse{fixable}"),
        };
        let of_exploits = "no finding that is known to be exploited".to_owned();
        let severe: Vec<&Finding> = standing().filter(|one| severe(one)).collect();
        let exploited: Vec<&Finding> = standing().filter(|one| exploited(one)).collect();
        for (rule, expected, broken_by) in
            [("exploited", of_exploits, exploited), ("severity", of_severity, severe)]
        {
            if !broken_by.is_empty() {
                let mut advisories: Vec<String> = broken_by.iter().map(|one| one.id.clone()).collect();
                // As people count them: each weakness of each source package once.
                let got: usize = counts(broken_by.iter().copied()).values().sum();
                let what = format!("expected {expected}, got {got}");
                advisories.sort();
                advisories.dedup();
                gate.broken.push(BrokenRule { rule: rule.to_owned(), what, advisories });
            }
        }
    }

    fn too_old(&self, rules: &Rules) -> Option<BrokenRule> {
        let most = rules.max_database_age?;
        let got = match &self.database {
            // A clock behind the database's is no proof of its youth, but of a wrong clock on one side.
            Some(database) if database.age_seconds < -DAY => "one from the future".to_owned(),
            Some(database) if u64::try_from(database.age_seconds).unwrap_or(0) <= most => return None,
            Some(database) => format!("one of {}, made {}", days(database.age_seconds), database.made_at),
            None => "none".to_owned(),
        };
        let most = days(i64::try_from(most).unwrap_or(i64::MAX));
        let what = format!("expected a database of at most {most}, got {got}");
        Some(BrokenRule { rule: "database-age".to_owned(), what, advisories: Vec::new() })
    }

    fn gaps(&self, rules: &Rules) -> Option<BrokenRule> {
        let blind = |status| matches!(status, CoverageStatus::NoData | CoverageStatus::NoDatabase);
        let blind = self.coverage.iter().filter(|one| blind(one.status));
        let mut gaps: Vec<String> = blind.map(|one| one.ecosystem.clone()).collect();
        let unread = self.unread.len().saturating_add(self.unread_more);
        if unread > 0 {
            gaps.push(format!("{unread} files that could not be read"));
        }
        if !self.undecided.is_empty() {
            gaps.push(format!("{} advisories of which it can't be told", self.undecided.len()));
        }
        if !rules.fail_on_gaps || gaps.is_empty() {
            return None;
        }
        let what = format!("expected that all could be looked up, got no answer for {}", gaps.join(", "));
        Some(BrokenRule { rule: "gaps".to_owned(), what, advisories: Vec::new() })
    }
}

const DAY: i64 = 24 * 60 * 60;

fn days(seconds: i64) -> String {
    match seconds.checked_div(DAY).unwrap_or_default() {
        0 => format!("{} hours", seconds.checked_div(60 * 60).unwrap_or_default()),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}
