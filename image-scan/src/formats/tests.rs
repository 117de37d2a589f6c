use super::*;
use crate::component::{Component, Kind};
use crate::gate::{Rules, Suppression};
use crate::inventory::{Inventory, LayerInfo};
use crate::report::{DatabaseInfo, Finding, ImageInfo, Severity, SourceInfo};

/// A report in which everything that comes from outside tries to be more than text.
fn hostile() -> Report {
    let evil = "</script><img src=x onerror=alert(1)>\"'&";
    let layer = LayerInfo {
        digest: "sha256:00".into(),
        diff_id: "sha256:11".into(),
        size: 1,
        uncompressed: 1,
        created_by: Some(evil.into()),
        base: false,
    };
    let component = Component {
        kind: Kind::Pypi,
        name: evil.into(),
        version: evil.into(),
        source: None,
        architecture: None,
        module: None,
        purl: "pkg:pypi/a@1".into(),
        layer: 0,
        path: "/a b".into(),
        owner: Some(evil.into()),
        guess: None,
        vendor: None,
    };
    let inventory = Inventory {
        os: None,
        layers: vec![layer],
        components: vec![component],
        unread: vec![],
        unread_more: 0,
    };
    let image = ImageInfo {
        reference: evil.into(),
        digest: "sha256:22".into(),
        manifest: "sha256:22".into(),
        platform: None,
        verified: false,
        role: None,
    };
    let mut report = Report::new(image, inventory).without_database();
    report.findings.push(Finding {
        id: evil.into(),
        aliases: vec![evil.into()],
        ecosystem: "PyPI".into(),
        package: evil.into(),
        source_package: None,
        version: evil.into(),
        fixed: Some("2".into()),
        fixed_for_some: None,
        severity: Severity::High,
        score: Some(8.1),
        vector: None,
        severity_source: None,
        exploited: true,
        disputed: false,
        summary: Some(evil.into()),
        references: vec!["javascript:alert(1)".into(), format!("https://example.com/{evil}")],
        layer: 0,
        path: "/a b".into(),
        purl: "pkg:pypi/a@1".into(),
        engine: "hallmark".into(),
        suppressed: None,
        engines: vec!["hallmark".into()],
    });
    report.gated(
        &Rules { fail_on: Some(Severity::High), fixable_only: true, ..Rules::default() },
        "2027-01-01T00:00:00Z".parse().unwrap(),
    )
}

#[test]
fn nothing_from_outside_becomes_part_of_the_page() {
    let page = html(&hostile());
    assert!(!page.contains("<img"), "{page}");
    assert!(!page.contains("javascript:"), "{page}");
    assert_eq!(page.matches("<script>").count(), 1);
    assert_eq!(page.matches("</script>").count(), 1);
    assert!(page.contains("script-src 'sha256-"));
    assert!(page.contains("unverified: nobody vouches"));
}

#[test]
fn the_page_asks_nothing_of_anywhere() {
    let page = html(&hostile());
    for word in ["src=", "@import", "url(", "fetch(", "<link", "<iframe"] {
        let outside = page.replace("&lt;img src=x", "");
        assert!(!outside.contains(word), "{word}");
    }
}

#[test]
fn a_vulnerability_points_to_its_component() {
    let bom = cyclonedx(&hostile(), "2026-01-01T00:00:00Z");
    assert_eq!(bom["specVersion"], "1.6");
    assert_eq!(bom["vulnerabilities"][0]["affects"][0]["ref"], bom["components"][0]["bom-ref"]);
    assert_eq!(bom["vulnerabilities"][0]["ratings"][0]["severity"], "high");
}

#[test]
fn what_somebody_answers_for_is_told_apart_and_nothing_twice() {
    let mut report = hostile();
    let answered =
        |by: &str, reason: &str| Suppression { by: by.into(), reason: reason.into(), expires: None };
    for answer in [
        answered("vex by a.pub", "not affected: x"),
        answered("vex by a.pub", "fixed"),
        answered("ignore", "y"),
    ] {
        let mut one = report.findings[0].clone();
        one.suppressed = Some(answer);
        report.findings.extend([one.clone(), one]);
    }
    let bom = cyclonedx(&report, "2026-01-01T00:00:00Z");
    let told: Vec<_> = bom["vulnerabilities"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            assert_eq!(one["affects"].as_array().unwrap().len(), 1, "{one}");
            let analysis = &one["analysis"];
            let said =
                if analysis["state"].is_null() { &analysis["response"][0] } else { &analysis["state"] };
            (one["affects"][0]["versions"][0]["status"].as_str().unwrap(), said.as_str())
        })
        .collect();
    assert_eq!(
        told,
        [
            ("affected", None),
            ("affected", Some("will_not_fix")),
            ("unaffected", Some("resolved")),
            ("unaffected", Some("not_affected")),
        ]
    );
}

#[test]
fn every_form_says_what_was_looked_up_in_and_how_old_that_is() {
    let forms = |report: &Report| {
        [
            html(report),
            sarif(report).to_string(),
            cyclonedx(report, "2026-01-01T00:00:00Z").to_string(),
            spdx(report, "2026-01-01T00:00:00Z").to_string(),
            spdx3(report, "2026-01-01T00:00:00Z").to_string(),
        ]
    };
    let mut report = hostile();
    for form in forms(&report) {
        assert!(!form.contains("2025-12-24"), "{form}");
    }
    let sources =
        ["Debian", "PyPI"].map(|name| SourceInfo { name: name.into(), advisories: 1, newest: None });
    report.database = Some(DatabaseInfo {
        made_at: "2025-12-24T00:00:00Z".into(),
        age_seconds: 8 * 24 * 60 * 60,
        advisories: 2,
        sources: sources.to_vec(),
    });
    let words = "2 advisories of Debian, PyPI, made 2025-12-24T00:00:00Z (8 days old)";
    for form in forms(&report) {
        let in_properties = form.contains(r#""age_seconds":691200"#) && form.contains(r#""name":"PyPI""#);
        assert!(form.contains(words) || in_properties, "{form}");
    }
}

#[test]
fn only_addresses_of_pages_are_given_to_others() {
    for (url, is) in [
        ("https://example.com/a?b=c#d", true),
        ("http://[::1]/%20", true),
        ("https://", false),
        ("javascript:alert(1)", false),
        ("https://example.com/a b", false),
        ("https://example.com/<b>", false),
        ("https://example.com/\n", false),
        ("https://example.com/\u{f6}", false),
        ("ftp://example.com/a", false),
    ] {
        assert_eq!(is_page(url), is, "{url}");
    }
    let bom = cyclonedx(&hostile(), "2026-01-01T00:00:00Z");
    assert_eq!(bom["vulnerabilities"][0]["advisories"], serde_json::json!([]));
    assert!(sarif(&hostile())["runs"][0]["tool"]["driver"]["rules"][0]["helpUri"].is_null());
}

#[test]
fn the_image_contains_its_packages() {
    let document = spdx(&hostile(), "2026-01-01T00:00:00Z");
    let related: Vec<_> = document["relationships"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["relatedSpdxElement"].as_str().unwrap())
        .collect();
    assert_eq!(related, ["SPDXRef-image", "SPDXRef-component-0"]);
}

#[test]
fn a_result_has_its_rule_and_its_file() {
    let log = sarif(&hostile());
    let run = &log["runs"][0];
    assert_eq!(run["results"][0]["ruleId"], run["tool"]["driver"]["rules"][0]["id"]);
    assert_eq!(run["results"][0]["level"], "error");
    assert_eq!(run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"], "a%20b");
    assert_eq!(run["tool"]["driver"]["rules"][0]["properties"]["security-severity"], "8.1");
}

#[test]
fn the_same_report_has_the_same_number() {
    let (a, b) = (uuid(&hostile(), "x"), uuid(&hostile(), "x"));
    assert_eq!((a.len(), &a), (36, &b));
    assert_ne!(a, uuid(&hostile(), "y"));
}
