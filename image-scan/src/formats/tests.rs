use super::*;
use crate::component::{Component, Kind};
use crate::gate::Rules;
use crate::inventory::{Inventory, LayerInfo};
use crate::report::{Finding, ImageInfo, Severity};

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
