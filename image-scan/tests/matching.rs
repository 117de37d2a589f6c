//! What is looked up, what isn't, and what is said of both.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::arithmetic_side_effects, reason = "tests")]

mod support;

use image_scan::{
    Advisories, Answer, CoverageStatus, DatabaseInfo, Ecosystem, Ignore, ImageInfo, Known, Query, Report,
    Rules, Severity, SourceInfo, counts,
};
use support::{DEBIAN_12, Image, Layer, deb};

/// Whoever is asked of says "CVE-1" of every version 1, and notes what was asked.
struct Fake {
    /// Ecosystems without data.
    without: Vec<&'static str>,
    severity: Severity,
}

impl Advisories for Fake {
    fn info(&self) -> DatabaseInfo {
        let sources = vec![SourceInfo { name: "fake".into(), advisories: 1, newest: None }];
        DatabaseInfo { made_at: "2026-01-01T00:00:00Z".into(), age_seconds: 86_400, advisories: 1, sources }
    }

    fn no_data(&self, ecosystem: &Ecosystem) -> Option<String> {
        let name = ecosystem.to_string();
        self.without.contains(&name.as_str()).then(|| "no data for this release".to_owned())
    }

    fn affecting(&self, query: &Query) -> Result<Answer, String> {
        let binary = query.binary.as_deref().map(|binary| format!(" ({binary})")).unwrap_or_default();
        let asked = format!("{} {} {}{binary}", query.ecosystem, query.name, query.version);
        let affected = query.version.starts_with('1');
        let undecided = (query.version == "?").then(|| ("CVE-2026-2".into(), "it can't be compared".into()));
        let known = affected.then(|| known(asked, self.severity)).into_iter().collect();
        Ok(Answer { known, undecided: undecided.into_iter().collect() })
    }
}

fn known(asked: String, severity: Severity) -> Known {
    Known {
        id: "CVE-2026-1".into(),
        aliases: vec!["GHSA-1".into()],
        fixed: Some("2".into()),
        fixed_for_some: None,
        severity,
        score: None,
        vector: None,
        severity_source: None,
        exploited: false,
        disputed: false,
        summary: Some(asked),
        references: Vec::new(),
    }
}

fn report(layer: Layer, without: Vec<&'static str>) -> Report {
    report_of(&Image::of([layer]), without)
}

fn report_of(image: &Image, without: Vec<&'static str>) -> Report {
    let inventory = image.scan().unwrap();
    let image = ImageInfo {
        reference: "r.io/a:1".into(),
        digest: "sha256:00".into(),
        manifest: "sha256:00".into(),
        platform: None,
        verified: false,
        role: None,
    };
    Report::new(image, inventory).matched(&Fake { without, severity: Severity::High }).unwrap()
}

/// What was asked for each finding.
fn asked(report: &Report) -> Vec<&str> {
    report.findings.iter().filter_map(|one| one.summary.as_deref()).collect()
}

fn coverage(report: &Report) -> Vec<(String, usize, CoverageStatus)> {
    report.coverage.iter().map(|one| (one.ecosystem.clone(), one.components, one.status)).collect()
}

#[test]
fn distributions_are_asked_by_source_package_and_its_version() {
    let layer = Layer::new().file("etc/os-release", DEBIAN_12).dpkg(&[
        "Package: libgcc-s1\nStatus: install ok installed\nSource: gcc-12 (12.2.0-14)\nVersion: 1:12.2.0-14+b2\n",
        &deb("zlib1g", "1.2+b1"),
    ]);
    let report = report(layer, vec![]);
    assert_eq!(asked(&report), ["Debian:12 gcc-12 12.2.0-14 (libgcc-s1)", "Debian:12 zlib1g 1.2 (zlib1g)"]);
    let finding = &report.findings[0];
    assert_eq!((finding.package.as_str(), finding.version.as_str()), ("libgcc-s1", "1:12.2.0-14+b2"));
    assert_eq!(finding.source_package.as_deref(), Some("gcc-12"));
}

#[test]
fn python_is_asked_by_its_normalised_name() {
    let report = report(Layer::new().python("x", "Ruamel.YAML", "1.0+cu118"), vec![]);
    assert_eq!(asked(&report), ["PyPI ruamel-yaml 1.0+cu118"]);
    assert_eq!(report.findings[0].package, "Ruamel.YAML");
}

#[test]
fn a_release_without_data_is_said_to_have_none() {
    let layer = Layer::new()
        .file("etc/os-release", "ID=alpine\nVERSION_ID=3.19.4\n")
        .file("lib/apk/db/installed", "P:musl\nV:1.2-r0\n\n")
        .python("opt", "a", "2");
    let report = report(layer, vec!["Alpine:v3.19"]);
    assert!(report.findings.is_empty());
    assert_eq!(
        coverage(&report),
        [("Alpine:v3.19".into(), 1, CoverageStatus::NoData), ("PyPI".into(), 1, CoverageStatus::Matched)]
    );
    assert_eq!(report.coverage[0].why.as_deref(), Some("no data for this release"));
}

#[test]
fn headers_of_a_kernel_and_what_the_distribution_brought_are_left_out_and_said_to_be() {
    let layer = Layer::new()
        .file("etc/os-release", DEBIAN_12)
        .dpkg(&[&deb("linux-libc-dev", "1.1"), &deb("python3-yaml", "3")])
        .file("var/lib/dpkg/info/python3-yaml.list", "/x/PyYAML-1.0.dist-info/METADATA\n")
        .python("x", "PyYAML", "1.0");
    let report = report(layer, vec![]);
    assert!(report.findings.is_empty());
    assert_eq!(
        coverage(&report),
        [
            ("Debian:12".into(), 1, CoverageStatus::Matched),
            ("Debian:12".into(), 1, CoverageStatus::LeftOut),
            ("PyPI".into(), 1, CoverageStatus::LeftOut),
        ]
    );
}

#[test]
fn a_file_that_a_later_layer_replaced_is_nobodys_but_its_own() {
    let below = Layer::new()
        .file("etc/os-release", DEBIAN_12)
        .dpkg(&[&deb("python3-yaml", "3")])
        .file("var/lib/dpkg/info/python3-yaml.list", "/x/PyYAML-1.0.dist-info/METADATA\n")
        .file("var/lib/dpkg/info/gone.list", "/x/idna-1.0.dist-info/METADATA\n")
        .python("x", "PyYAML", "1.0")
        .python("x", "idna", "1.0");
    let above = Layer::new().python("x", "PyYAML", "1.0");
    let report = report_of(&Image::of([below, above]), vec![]);
    let asked = asked(&report);
    assert!(asked.iter().any(|one| one.contains("pyyaml")), "{asked:?}");
    assert!(
        asked.iter().any(|one| one.contains("idna")),
        "a package that isn't there owns nothing: {asked:?}"
    );
}

#[test]
fn a_package_from_elsewhere_is_not_compared_with_the_distributions() {
    let foreign = format!("{}Vendor: NGINX\n", deb("nginx", "1.24.0-1"));
    let layer = Layer::new().file("etc/os-release", DEBIAN_12).dpkg(&[
        &deb("postgresql-15", "15.1-1.pgdg120+1"),
        &foreign,
        &deb("bash", "1.0"),
    ]);
    let report = report(layer, vec![]);
    assert_eq!(asked(&report), ["Debian:12 bash 1.0 (bash)"]);
    let of_others = &report.coverage[1];
    assert_eq!((of_others.components, of_others.status), (2, CoverageStatus::NoData), "said, and not clean");
    assert!(of_others.why.as_deref().unwrap().starts_with("packaged by others than the distribution"));
    let vendors: Vec<_> = report.components.iter().map(|one| one.vendor.as_deref()).collect();
    assert_eq!(vendors, [None, Some("NGINX"), Some("apt.postgresql.org")]);
    let gaps = Rules { fail_on_gaps: true, ..Rules::default() };
    assert!(!broken(&report, &gaps).is_empty());
}

#[test]
fn what_a_package_from_elsewhere_brought_is_looked_up_by_itself() {
    let list = "/usr/lib/node_modules/npm/package.json\n";
    let of = |vendor: &str| {
        let layer = Layer::new()
            .file("etc/os-release", DEBIAN_12)
            .dpkg(&[&format!("{}{vendor}", deb("nodejs", "1.19.0-1"))])
            .file("var/lib/dpkg/info/nodejs.list", list)
            .npm("usr/lib/node_modules/npm", "npm", "1.0.0");
        report(layer, vec![])
    };
    assert_eq!(asked(&of("Vendor: NodeSource\n")), ["npm npm 1.0.0"]);
    assert_eq!(asked(&of("")), ["Debian:12 nodejs 1.19.0-1 (nodejs)"]);
}

#[test]
fn an_archive_without_a_record_is_looked_up_by_the_names_that_it_may_have() {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("org/springframework/core/A.class", zip::write::SimpleFileOptions::default()).unwrap();
    let jar = zip.finish().unwrap().into_inner();
    let image = Image::of([Layer::new().file("app/spring-core-1.3.17.jar", jar)]);
    let report = report_of(&image, vec![]);
    let component = &report.components[0];
    assert_eq!((component.name.as_str(), component.version.as_str()), ("spring-core", "1.3.17"));
    assert_eq!((component.path.as_str(), component.purl.as_str()), ("/app/spring-core-1.3.17.jar", ""));
    let names = &component.guess.as_ref().unwrap().names;
    assert!(names.contains(&"org.springframework:spring-core".to_owned()), "{names:?}");
    // The fake knows every name: one is enough.
    assert_eq!(report.findings.len(), 1);
    assert_eq!(report.findings[0].source_package.as_ref(), names.first());
    assert_eq!(report.findings[0].package, "spring-core");
}

#[test]
fn what_cant_be_told_is_said() {
    let report = report(Layer::new().npm("node_modules/a", "a", "?"), vec![]);
    assert!(report.findings.is_empty());
    assert_eq!((report.undecided[0].id.as_str(), report.undecided[0].package.as_str()), ("CVE-2026-2", "a"));
}

#[test]
fn more_findings_than_a_report_can_hold_are_no_report() {
    struct Many;
    impl Advisories for Many {
        fn info(&self) -> DatabaseInfo {
            DatabaseInfo { made_at: String::new(), age_seconds: 0, advisories: 1, sources: Vec::new() }
        }

        fn no_data(&self, _: &Ecosystem) -> Option<String> {
            None
        }

        fn affecting(&self, _: &Query) -> Result<Answer, String> {
            let known = (0..1000).map(|_| known(String::new(), Severity::High)).collect();
            Ok(Answer { known, undecided: Vec::new() })
        }
    }
    let stanzas: Vec<String> = (0..501).map(|number| deb(&format!("p{number}"), "1")).collect();
    let stanzas: Vec<&str> = stanzas.iter().map(String::as_str).collect();
    let of = |count: usize| {
        let layer = Layer::new().file("etc/os-release", DEBIAN_12).dpkg(&stanzas[..count]);
        let inventory = Image::of([layer]).scan().unwrap();
        Report::new(report(Layer::new(), vec![]).image, inventory)
            .matched(&Many)
            .map(|one| one.findings.len())
    };
    assert_eq!(of(10), Ok(10_000));
    assert_eq!(of(501), Err("expected at most 500000 findings, got more".to_owned()));
}

#[test]
fn without_a_database_nothing_is_said_to_be_clean() {
    let inventory = Image::of([Layer::new().python("x", "a", "1")]).scan().unwrap();
    let image = report(Layer::new(), vec![]).image;
    let report = Report::new(image, inventory).without_database();
    assert_eq!(coverage(&report), [("PyPI".into(), 1, CoverageStatus::NoDatabase)]);
    assert!(report.database.is_none());
}

#[test]
fn a_gate_counts_what_its_rule_says() {
    let report = report(Layer::new().python("x", "a", "1"), vec![]);
    for (fail_on, fixable_only, fixed, passed) in [
        (Severity::Critical, false, true, true),
        (Severity::High, false, true, false),
        (Severity::High, true, true, false),
        (Severity::High, true, false, true),
        (Severity::High, false, false, false),
        (Severity::Unknown, false, true, false),
    ] {
        let mut report = report.clone();
        if !fixed {
            report.findings[0].fixed = None;
        }
        let rules = Rules { fail_on: Some(fail_on), fixable_only, ..Rules::default() };
        let gate = report.gated(&rules, now()).gate.unwrap();
        assert_eq!(gate.passed, passed, "{fail_on:?} {fixable_only} {fixed}");
    }
}

fn now() -> chrono::DateTime<chrono::Utc> {
    "2026-01-02T00:00:00Z".parse().unwrap()
}

/// The words of the rules that are broken.
fn broken(report: &Report, rules: &Rules) -> Vec<String> {
    let gate = report.clone().gated(rules, now()).gate.unwrap();
    assert_eq!(gate.passed, gate.broken.is_empty());
    gate.broken.into_iter().map(|broken| format!("{}: {}", broken.rule, broken.what)).collect()
}

#[test]
fn each_rule_is_broken_for_its_own_reason() {
    let mut found = report(Layer::new().python("x", "a", "1"), vec![]);
    assert_eq!(broken(&found, &Rules::default()), [""; 0]);
    let exploited = Rules { fail_on_exploited: true, ..Rules::default() };
    assert_eq!(broken(&found, &exploited), [""; 0]);
    found.findings[0].exploited = true;
    let words = "exploited: expected no finding that is known to be exploited, got 1";
    assert_eq!(broken(&found, &exploited), [words]);

    // A day old, says the fake.
    let aged = |most| Rules { max_database_age: Some(most), ..Rules::default() };
    assert_eq!(broken(&found, &aged(86_400)), [""; 0]);
    let words =
        "database-age: expected a database of at most 23 hours, got one of 1 day, made 2026-01-01T00:00:00Z";
    assert_eq!(broken(&found, &aged(86_399)), [words]);
    found.database.as_mut().unwrap().age_seconds = -200_000;
    assert_eq!(broken(&found, &aged(86_400)).len(), 1);
    found.database = None;
    assert!(broken(&found, &aged(86_400))[0].ends_with("got none"));

    let gaps = Rules { fail_on_gaps: true, ..Rules::default() };
    assert_eq!(broken(&report(Layer::new().python("x", "a", "1"), vec![]), &gaps), [""; 0]);
    let blind = report(Layer::new().python("x", "a", "1"), vec!["PyPI"]);
    assert!(broken(&blind, &gaps)[0].ends_with("got no answer for PyPI"));
    assert!(broken(&report(Layer::new().python("x", "a", "?"), vec![]), &gaps)[0].contains("1 advisories"));
}

#[test]
fn who_answers_for_a_finding_does_so_for_that_one_and_for_a_while() {
    let found = report(Layer::new().python("x", "a", "1").python("y", "b", "1"), vec![]);
    assert_eq!(found.findings.len(), 2);
    let gate = |id: &str, package: Option<&str>, expires: &str| {
        let ignore = Ignore {
            id: id.into(),
            package: package.map(str::to_owned),
            reason: "not reachable".into(),
            expires: expires.parse().unwrap(),
        };
        let rules = Rules { fail_on: Some(Severity::Low), ignore: vec![ignore], ..Rules::default() };
        let report = found.clone().gated(&rules, now());
        assert_eq!(report.findings.len(), 2, "nothing vanishes");
        let ignored = report.findings.iter().filter(|one| one.suppressed.is_some()).count();
        let counted: usize = counts(report.findings.iter()).values().sum();
        assert_eq!(counted + ignored, 2);
        let gate = report.gate.unwrap();
        (ignored, gate.broken_by, gate.expired.len(), gate.unused.len())
    };
    let later = "2026-01-02T00:00:01Z";
    assert_eq!(gate("CVE-2026-1", None, later), (2, 0, 0, 0));
    assert_eq!(gate("GHSA-1", None, later), (2, 0, 0, 0), "by another name of it");
    assert_eq!(gate("CVE-2026-1", Some("a"), later), (1, 1, 0, 0));
    assert_eq!(gate("CVE-2026-1", Some("c"), later), (0, 2, 0, 1));
    assert_eq!(gate("CVE-2026-2", None, later), (0, 2, 0, 1));
    assert_eq!(gate("CVE-2026-1", None, "2026-01-02T00:00:00Z"), (0, 2, 1, 0), "its time is over");
}
