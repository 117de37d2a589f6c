//! `verify scan diff`: what got better and what got worse from one image to another.
//!
//! Both images are verified as `verify scan` does it, and looked up in the same advisories. A report that was kept may
//! stand for an image: nobody vouches for what it says, and the comparison says so.

use std::path::Path;

use chrono::{DateTime, Utc};
use image_scan::{Diff, Report, Rules, formats};

use super::scan;
use crate::advisory_db::AdvisoryDb;
use crate::args::ScanArgs;
use crate::diff_args::{DiffArgs, DiffFormat, Operand};
use crate::diff_text;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::files;
use crate::report;
use crate::style::{out, say};

/// The longest report: a million components take about this much.
const REPORT_MAX: u64 = 256 * 1024 * 1024;

pub(crate) fn run(args: &DiffArgs) -> Result<Exit, Failure> {
    let now = args.at.unwrap_or_else(Utc::now);
    let calls =
        [(&args.old, &args.old_as), (&args.new, &args.new_as)].map(|(operand, known_as)| match operand {
            Operand::Image(image) => Side::Image(Box::new(args.scan(image, known_as.as_ref()))),
            Operand::Report(file) => Side::Report(file),
        });
    let (db, rules) = open(args, &calls)?;
    let mut reports = Vec::new();
    for side in &calls {
        match side.report(db.as_ref(), rules.as_ref(), now)? {
            Ok(report) => reports.push(report),
            Err(exit) => return Ok(exit),
        }
    }
    let [old, new] = reports.as_slice() else { return Err(Failure::usage("expected two images")) };
    let mut diff = Diff::of(old, new, rules.as_ref().map(|rules| (rules, now)));
    let [old, new] = calls.map(|side| side.file());
    (diff.old.file, diff.new.file) = (old, new);
    match args.format {
        DiffFormat::Text => diff_text::print(&diff),
        DiffFormat::Json => report::print_json(&diff),
        DiffFormat::Html => out!("{}", formats::html_diff(&diff)),
    }
    Ok(match &diff.gate {
        Some(gate) if !gate.passed => Exit::Gate,
        _ => Exit::Trusted,
    })
}

/// Where one of the reports comes from.
enum Side<'a> {
    Image(Box<ScanArgs>),
    Report(&'a Path),
}

/// The advisories and the rules, where there is something to look up.
fn open(args: &DiffArgs, sides: &[Side<'_>]) -> Result<(Option<AdvisoryDb>, Option<Rules>), Failure> {
    let image = sides.iter().find_map(|side| match side {
        Side::Image(scan) => Some(scan),
        Side::Report(_) => None,
    });
    if let Some(scan) = image {
        return args.gate.open(&scan.chain, !args.engines.plugin.is_empty());
    }
    if args.gate.db.is_some() || !args.gate.vex_keys.is_empty() || !args.engines.plugin.is_empty() {
        let what = "two reports are compared as they are: expected no --db, --vex-key or --plugin";
        return Err(Failure::usage(what).hint("give an image instead of its report to scan it now"));
    }
    Ok((None, args.gate.rules()?))
}

impl Side<'_> {
    fn report(
        &self,
        db: Option<&AdvisoryDb>,
        rules: Option<&Rules>,
        now: DateTime<Utc>,
    ) -> Result<Result<Report, Exit>, Failure> {
        match self {
            Self::Image(scan) => scan::scanned(scan, &scan.chain, None, db, rules),
            Self::Report(file) => kept(file, rules, now).map(Ok),
        }
    }

    fn file(&self) -> Option<String> {
        match self {
            Self::Image(_) => None,
            Self::Report(file) => Some(file.display().to_string()),
        }
    }
}

/// A report that was kept, weighed by the rules of now.
fn kept(file: &Path, rules: Option<&Rules>, now: DateTime<Utc>) -> Result<Report, Failure> {
    let bytes = files::bytes(file, REPORT_MAX)?;
    let mut report = Report::from_json(&bytes)
        .map_err(|why| files::unusable(file, &why).hint("make one with `verify scan REF --format json`"))?;
    say!("warning: nobody vouches for what {} says", file.display());
    if let Some(database) = &mut report.database {
        // It has aged since.
        let made = DateTime::parse_from_rfc3339(&database.made_at).ok();
        let age = made.map(|made| now.signed_duration_since(made).num_seconds());
        database.age_seconds = age.unwrap_or(i64::MAX);
    }
    Ok(match rules {
        Some(rules) => report.gated(rules, now),
        None => report,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_schema_in_docs_is_that_of_the_comparison() {
        crate::report::tests::schema_is_kept("verify-scan-diff", &schemars::schema_for!(image_scan::Diff));
    }
}
