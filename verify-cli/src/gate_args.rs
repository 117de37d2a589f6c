//! The command line of the rules of a scan, and the file of findings that somebody answers for.

use std::path::{Path, PathBuf};

use clap::Args;
use image_scan::{Ignore, Rules, Severity};
use serde::Deserialize;

use crate::advisory_db::AdvisoryDb;
use crate::args::{ChainArgs, FailOn, parse_age};
use crate::failure::Failure;
use crate::files;

/// The most that a file of ignore rules may measure: thousands of them.
const IGNORE_MAX: u64 = 4 * 1024 * 1024;

/// What an image must keep to.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Scan")]
pub(crate) struct GateArgs {
    /// The advisories to look its components up in [default: those of `verify db update`, if any]
    #[arg(long, value_name = "FILE")]
    pub(crate) db: Option<PathBuf>,
    /// Exit 4 where there is a finding of this severity, or a worse one
    #[arg(long, value_enum, value_name = "SEVERITY")]
    pub(crate) fail_on: Option<FailOn>,
    /// For --fail-on, count only what a newer version mends
    #[arg(long, requires = "fail_on")]
    pub(crate) fixable_only: bool,
    /// Exit 4 where a finding is known to be exploited, however severe it is
    #[arg(long)]
    pub(crate) fail_on_exploited: bool,
    /// Exit 4 where something could not be looked up: no data, files that can't be read
    #[arg(long)]
    pub(crate) fail_on_gaps: bool,
    /// Exit 4 where the advisories are older, such as 36h or 7d
    #[arg(long, value_name = "AGE", value_parser = parse_age)]
    pub(crate) max_db_age: Option<chrono::TimeDelta>,
    /// Findings that somebody answers for (TOML): [[ignore]] with id, package, reason, expires
    #[arg(long, value_name = "FILE")]
    pub(crate) ignore_file: Option<PathBuf>,
    /// A public key (PEM) whose holder may say which findings don't touch the image: in OpenVEX or CSAF attestations of it
    #[arg(long = "vex-key", value_name = "FILE")]
    pub(crate) vex_keys: Vec<PathBuf>,
}

impl GateArgs {
    /// Whether anything is said here.
    pub(crate) fn is_given(&self) -> bool {
        self.db.is_some() || !self.vex_keys.is_empty() || self.has_rule()
    }

    fn has_rule(&self) -> bool {
        self.fail_on.is_some()
            || self.fail_on_exploited
            || self.fail_on_gaps
            || self.max_db_age.is_some()
            || self.ignore_file.is_some()
    }

    /// The advisories and the rules; none where nothing is demanded. A rule is a wrong call where nobody looks
    /// anything up: neither we in advisories, nor `others`, engines that have their own.
    pub(crate) fn open(
        &self,
        chain: &ChainArgs,
        others: bool,
    ) -> Result<(Option<AdvisoryDb>, Option<Rules>), Failure> {
        let db = AdvisoryDb::of(self.db.as_deref(), chain)?;
        if !self.has_rule() {
            return Ok((db, None));
        }
        if db.is_none() && !others {
            let what = "a rule needs advisories to look components up in, and there are none";
            return Err(Failure::usage(what).hint("give --db FILE, or fetch them with `verify db update`"));
        }
        Ok((db, self.rules()?))
    }

    /// The rules alone, where something was looked up before; none where nothing is demanded.
    pub(crate) fn rules(&self) -> Result<Option<Rules>, Failure> {
        if !self.has_rule() {
            return Ok(None);
        }
        let ignore = self.ignore_file.as_deref().map(ignored).transpose()?.unwrap_or_default();
        let age = self.max_db_age.map(|age| u64::try_from(age.num_seconds()).unwrap_or(0));
        Ok(Some(Rules {
            fail_on: self.fail_on.map(severity),
            fixable_only: self.fixable_only,
            fail_on_exploited: self.fail_on_exploited,
            fail_on_gaps: self.fail_on_gaps,
            max_database_age: age,
            ignore,
        }))
    }
}

fn severity(fail_on: FailOn) -> Severity {
    match fail_on {
        FailOn::Critical => Severity::Critical,
        FailOn::High => Severity::High,
        FailOn::Medium => Severity::Medium,
        FailOn::Low => Severity::Low,
        FailOn::Negligible => Severity::Negligible,
        FailOn::Any => Severity::Unknown,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IgnoreFile {
    #[serde(default)]
    ignore: Vec<IgnoreRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IgnoreRule {
    id: String,
    package: Option<String>,
    reason: String,
    expires: toml::value::Datetime,
}

fn ignored(path: &Path) -> Result<Vec<Ignore>, Failure> {
    let unusable = |why: &dyn std::fmt::Display| {
        files::unusable(path, why).hint(
            "expected rules such as [[ignore]] id = \"CVE-2026-1\", reason = \"not reachable\", expires = 2027-01-31",
        )
    };
    let text = files::text(path, IGNORE_MAX)?;
    let file: IgnoreFile = toml::from_str(&text).map_err(|why| unusable(&why))?;
    let rule = |rule: IgnoreRule| {
        if rule.reason.trim().is_empty() || rule.id.trim().is_empty() {
            return Err(unusable(&format!("{}: expected an id and a reason, got an empty one", rule.id)));
        }
        let expires = image_policy::instant(&rule.expires).ok_or_else(|| {
            unusable(&format!("{}: expected a date or a time with its zone, got {}", rule.id, rule.expires))
        })?;
        Ok(Ignore { id: rule.id, package: rule.package, reason: rule.reason, expires })
    };
    file.ignore.into_iter().map(rule).collect()
}
