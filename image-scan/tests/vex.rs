//! Whose word takes a finding off the count: of this image, of this package, and for a reason.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::arithmetic_side_effects, reason = "tests")]

mod support;

use image_scan::{
    Advisories, Answer, DatabaseInfo, Ecosystem, ImageInfo, Known, Query, Report, Severity, VexProduct,
    VexStatement, VexStatus,
};
use support::{Image, Layer};

/// Everything has CVE-1.
struct Fake;

impl Advisories for Fake {
    fn info(&self) -> DatabaseInfo {
        DatabaseInfo {
            made_at: "2026-01-01T00:00:00Z".into(),
            age_seconds: 0,
            advisories: 1,
            sources: vec![],
        }
    }

    fn no_data(&self, _: &Ecosystem) -> Option<String> {
        None
    }

    fn affecting(&self, _: &Query) -> Result<Answer, String> {
        let known = Known {
            id: "CVE-1".into(),
            aliases: vec!["GHSA-1".into()],
            fixed: None,
            fixed_for_some: None,
            severity: Severity::High,
            score: None,
            vector: None,
            severity_source: None,
            exploited: false,
            disputed: false,
            summary: None,
            references: Vec::new(),
        };
        Ok(Answer { known: vec![known], undecided: Vec::new() })
    }
}

const INDEX: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const MANIFEST: &str = "2222222222222222222222222222222222222222222222222222222222222222";
const OTHER: &str = "3333333333333333333333333333333333333333333333333333333333333333";

/// Two packages, each with a finding.
fn report() -> Report {
    let image = ImageInfo {
        reference: "r.io/acme/web:1".into(),
        digest: format!("sha256:{INDEX}"),
        manifest: format!("sha256:{MANIFEST}"),
        platform: None,
        verified: true,
        role: None,
    };
    let layer = Layer::new().python("x", "flask", "1.0").python("x", "idna", "2.0");
    Report::new(image, Image::of([layer]).scan().unwrap()).matched(&Fake).unwrap()
}

fn said(status: VexStatus, reason: Option<&str>, time: &str, products: Vec<VexProduct>) -> VexStatement {
    VexStatement {
        vulnerability: vec!["CVE-1".into()],
        status,
        reason: reason.map(str::to_owned),
        time: Some(time.parse().unwrap()),
        products,
        by: "vendor.pub".into(),
    }
}

fn product(name: &str, parts: &[&str]) -> VexProduct {
    VexProduct {
        names: vec![name.to_owned()],
        sha256: None,
        parts: parts.iter().map(|part| (*part).to_owned()).collect(),
    }
}

/// The packages whose findings no longer count.
fn suppressed(statements: &[VexStatement]) -> Vec<String> {
    let report = report().with_vex(statements);
    assert_eq!(report.findings.len(), 2, "nothing vanishes");
    let marked = report.findings.iter().filter(|one| one.suppressed.is_some());
    marked.map(|one| one.package.clone()).collect()
}

const TIME: &str = "2026-01-02T00:00:00Z";
const WHY: Option<&str> = Some("vulnerable_code_not_present");

#[test]
fn a_statement_is_about_the_image_and_the_package_that_it_names() {
    for (name, parts, expected) in [
        // The image by its digest, of the index or the platform's manifest.
        (format!("pkg:oci/web@sha256%3A{INDEX}"), &[][..], &["flask", "idna"][..]),
        (format!("pkg:oci/other-name@sha256:{MANIFEST}"), &[], &["flask", "idna"]),
        (format!("sha256:{MANIFEST}"), &["pkg:pypi/flask"], &["flask"]),
        (format!("sha256:{MANIFEST}"), &["pkg:pypi/flask@1.0", "pkg:pypi/idna@9"], &["flask"]),
        // A package of its own.
        ("pkg:pypi/flask@1.0".to_owned(), &[], &["flask"]),
        // Another image, one of no digest, and one only called alike.
        (format!("pkg:oci/web@sha256%3A{OTHER}"), &[], &[]),
        ("pkg:oci/web".to_owned(), &[], &[]),
        ("r.io/acme/web:1".to_owned(), &[], &[]),
        // Another package, version or kind; a part of a package; what has no name.
        (format!("sha256:{MANIFEST}"), &["pkg:pypi/other"], &[]),
        (format!("sha256:{MANIFEST}"), &["pkg:npm/flask"], &[]),
        (format!("sha256:{MANIFEST}"), &[""], &[]),
        ("pkg:pypi/flask@2.0".to_owned(), &[], &[]),
        ("pkg:pypi/flask".to_owned(), &["pkg:pypi/flask"], &[]),
        (String::new(), &[], &[]),
    ] {
        let statement = said(VexStatus::NotAffected, WHY, TIME, vec![product(&name, parts)]);
        assert_eq!(suppressed(&[statement]), expected, "{name} {parts:?}");
    }
    let by_hash = VexProduct { sha256: Some(INDEX.into()), ..VexProduct::default() };
    assert_eq!(suppressed(&[said(VexStatus::Fixed, None, TIME, vec![by_hash])]), ["flask", "idna"]);
    let other = VexProduct { sha256: Some(OTHER.into()), ..VexProduct::default() };
    assert_eq!(suppressed(&[said(VexStatus::Fixed, None, TIME, vec![other])]), [""; 0]);
    assert_eq!(suppressed(&[said(VexStatus::Fixed, None, TIME, vec![])]), [""; 0], "of nothing");
}

#[test]
fn only_a_reasoned_all_clear_takes_a_finding_off_the_count() {
    let image = || vec![product(&format!("sha256:{INDEX}"), &["pkg:pypi/flask"])];
    for (status, reason, counts) in [
        (VexStatus::NotAffected, WHY, false),
        (VexStatus::NotAffected, None, true),
        (VexStatus::Fixed, None, false),
        (VexStatus::UnderInvestigation, WHY, true),
        (VexStatus::Affected, WHY, true),
    ] {
        let got = suppressed(&[said(status, reason, TIME, image())]);
        assert_eq!(got.is_empty(), counts, "{status:?} {reason:?}");
    }
    let mut other = said(VexStatus::NotAffected, WHY, TIME, image());
    other.vulnerability = vec!["CVE-2".into()];
    assert_eq!(suppressed(std::slice::from_ref(&other)), [""; 0]);
    other.vulnerability = vec!["ghsa-1".into()];
    assert_eq!(suppressed(&[other]), ["flask"], "by another name of it");
}

#[test]
fn of_contradicting_statements_the_latest_counts_and_of_two_at_once_the_worse_news() {
    let image = || vec![product(&format!("sha256:{INDEX}"), &["pkg:pypi/flask"])];
    let clear = |time: &str| said(VexStatus::NotAffected, WHY, time, image());
    let hit = |status, time: &str| said(status, None, time, image());
    let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z");
    for (statements, counts) in [
        (vec![hit(VexStatus::Affected, early), clear(late)], false),
        (vec![clear(early), hit(VexStatus::Affected, late)], true),
        (vec![clear(late), hit(VexStatus::UnderInvestigation, late)], true),
        (vec![hit(VexStatus::Affected, late), clear(late)], true),
        (vec![said(VexStatus::NotAffected, None, late, image()), clear(early)], true),
        (vec![said(VexStatus::NotAffected, None, late, image()), clear(late)], true),
    ] {
        for statements in [statements.clone(), statements.into_iter().rev().collect()] {
            assert_eq!(suppressed(&statements).is_empty(), counts, "{statements:#?}");
        }
    }
}
