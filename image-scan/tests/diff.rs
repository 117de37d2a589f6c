//! Two images side by side: what came, what went, and what that can't be told of.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::arithmetic_side_effects, reason = "tests")]

mod support;

use image_scan::{
    Advisories, Answer, DatabaseInfo, Diff, Ecosystem, FindingChange, Ignore, ImageInfo, Known, Query,
    Report, Rules, Severity, formats,
};
use support::{DEBIAN_12, Image, Layer, deb};

/// Weaknesses by package: `(package, first mended version, id, other name, severity)`. A version is mended from that text on.
struct Fake {
    known: &'static [(&'static str, &'static str, &'static str, &'static str, Severity)],
    without: &'static [&'static str],
}

const NONE: Fake = Fake { known: &[], without: &[] };

impl Advisories for Fake {
    fn info(&self) -> DatabaseInfo {
        DatabaseInfo {
            made_at: "2026-01-01T00:00:00Z".into(),
            age_seconds: 0,
            advisories: 1,
            sources: vec![],
        }
    }

    fn no_data(&self, ecosystem: &Ecosystem) -> Option<String> {
        self.without.contains(&ecosystem.name.as_str()).then(|| "no data for this release".to_owned())
    }

    fn affecting(&self, query: &Query) -> Result<Answer, String> {
        let here: Vec<_> = self.known.iter().filter(|(package, ..)| *package == query.name).collect();
        let unknown = query.version == "?";
        let affected = here.iter().filter(|(_, fixed, ..)| !unknown && query.version.as_str() < *fixed);
        let undecided = here.iter().filter(|_| unknown);
        Ok(Answer {
            known: affected
                .map(|(_, fixed, id, alias, severity)| known_as(id, alias, fixed, *severity))
                .collect(),
            undecided: undecided.map(|(_, _, id, ..)| ((*id).to_owned(), "?".to_owned())).collect(),
        })
    }
}

fn known_as(id: &str, alias: &str, fixed: &str, severity: Severity) -> Known {
    Known {
        id: id.to_owned(),
        aliases: vec![alias.to_owned()],
        fixed: Some(fixed.to_owned()),
        fixed_for_some: None,
        severity,
        score: None,
        vector: None,
        severity_source: None,
        exploited: id == "CVE-EXPLOITED",
        disputed: false,
        summary: None,
        references: Vec::new(),
    }
}

const BASH: Fake = Fake { known: &[("bash", "5.3", "CVE-1", "DSA-1", Severity::High)], without: &[] };
const BLIND: Fake = Fake { known: BASH.known, without: &["Debian"] };
const RENAMED: Fake = Fake { known: &[("bash", "5.3", "CVE-9", "CVE-1", Severity::Critical)], without: &[] };

fn report(layer: Layer, advisories: &Fake) -> Report {
    let image = ImageInfo {
        reference: "r.io/a:1".into(),
        digest: "sha256:00".into(),
        manifest: "sha256:00".into(),
        platform: None,
        verified: false,
        role: None,
    };
    Report::new(image, Image::of([layer]).scan().unwrap()).matched(advisories).unwrap()
}

fn debian(packages: &[(&str, &str)]) -> Layer {
    let stanzas: Vec<String> = packages.iter().map(|(name, version)| deb(name, version)).collect();
    let stanzas: Vec<&str> = stanzas.iter().map(String::as_str).collect();
    Layer::new().file("etc/os-release", DEBIAN_12).dpkg(&stanzas)
}

fn brief(list: &[FindingChange]) -> Vec<String> {
    let why = |one: &FindingChange| one.because.map(|why| format!(": {}", why.words())).unwrap_or_default();
    list.iter()
        .map(|one| format!("{} {} {:?} -> {:?}{}", one.id, one.package, one.old, one.new, why(one)))
        .collect()
}

fn between(old: &Report, new: &Report) -> Diff {
    Diff::of(old, new, None)
}

#[test]
fn a_finding_comes_and_goes_for_a_reason() {
    let had = report(debian(&[("bash", "5.2"), ("zsh", "1")]), &BASH);
    for (layer, advisories, new, gone, still, not_known) in [
        (debian(&[("bash", "5.2")]), &BASH, None, None, Some("[\"5.2\"] -> [\"5.2\"]"), None),
        (debian(&[("bash", "5.2.1")]), &BASH, None, None, Some("[\"5.2\"] -> [\"5.2.1\"]"), None),
        (
            debian(&[("bash", "5.3")]),
            &BASH,
            None,
            Some("[\"5.2\"] -> [\"5.3\"]: another version"),
            None,
            None,
        ),
        (debian(&[("zsh", "1")]), &BASH, None, Some("[\"5.2\"] -> []: the component is gone"), None, None),
        (
            debian(&[("bash", "5.2")]),
            &NONE,
            None,
            Some("[\"5.2\"] -> [\"5.2\"]: same component, judged otherwise"),
            None,
            None,
        ),
        // Where nothing was looked up, or can't be told, nothing is gone.
        (
            debian(&[("bash", "5.3")]),
            &BLIND,
            None,
            None,
            None,
            Some("[\"5.2\"] -> [\"5.3\"]: not looked up in the other image"),
        ),
        (
            debian(&[("bash", "?")]),
            &BASH,
            None,
            None,
            None,
            Some("[\"5.2\"] -> [\"?\"]: it can't be told of this version"),
        ),
        (
            Layer::new().file("etc/os-release", DEBIAN_12).file("var/lib/dpkg/status", vec![b'x'; 0]),
            &BASH,
            None,
            Some("[\"5.2\"] -> []: the component is gone"),
            None,
            None,
        ),
    ] {
        let now = report(layer, advisories);
        let diff = between(&had, &now);
        let words = |said: Option<&str>| -> Vec<String> {
            said.into_iter().map(|said| format!("CVE-1 bash {said}")).collect()
        };
        assert_eq!(brief(&diff.findings.new), words(new));
        assert_eq!(brief(&diff.findings.gone), words(gone));
        assert_eq!(brief(&diff.findings.still), words(still));
        assert_eq!(brief(&diff.findings.not_known), words(not_known));
        // The other way round, what is gone is new.
        let back = between(&now, &had);
        assert_eq!(back.findings.new.len(), diff.findings.gone.len() + diff.findings.not_known.len());
        assert_eq!(back.findings.still.len(), diff.findings.still.len());
    }
}

#[test]
fn a_finding_is_new_for_a_reason() {
    let has = report(debian(&[("bash", "5.2")]), &BASH);
    for (old, why) in [
        (report(debian(&[("zsh", "1")]), &BASH), "the component is new"),
        (report(debian(&[("bash", "5.3")]), &BASH), "another version"),
        (report(debian(&[("bash", "5.2")]), &NONE), "same component, judged otherwise"),
        (report(debian(&[("bash", "5.1")]), &BLIND), "not looked up in the other image"),
    ] {
        let diff = between(&old, &has);
        assert_eq!(diff.findings.new[0].because.unwrap().words(), why);
        assert_eq!((diff.findings.new.len(), diff.findings.still.len()), (1, 0));
    }
}

#[test]
fn a_database_that_cant_be_read_takes_no_finding_away() {
    let rpm = Layer::new().file("etc/os-release", DEBIAN_12).python("x", "bash", "5.2");
    let had = report(rpm, &BASH);
    assert_eq!(had.findings.len(), 1);
    let large = vec![b' '; 5 * 1024 * 1024];
    let now = report(Layer::new().file("x/bash-5.2.dist-info/METADATA", large), &BASH);
    let diff = between(&had, &now);
    assert_eq!(
        brief(&diff.findings.not_known),
        ["CVE-1 bash [\"5.2\"] -> []: the file that named it can't be read now"]
    );
    assert!(diff.findings.gone.is_empty());
    assert_eq!(diff.new.gaps, ["1 files that could not be read"]);
}

#[test]
fn an_advisory_that_got_another_name_is_the_same() {
    let (old, new) =
        (report(debian(&[("bash", "5.2")]), &BASH), report(debian(&[("bash", "5.2")]), &RENAMED));
    for (old, new, was) in [(&old, &new, Severity::High), (&new, &old, Severity::Critical)] {
        let diff = between(old, new);
        assert_eq!((diff.findings.new.len(), diff.findings.gone.len(), diff.findings.still.len()), (0, 0, 1));
        assert_eq!(diff.findings.still[0].was, Some(was));
    }
}

#[test]
fn the_same_name_in_another_ecosystem_is_another_package() {
    let old = report(debian(&[("bash", "5.2")]), &BASH);
    let new = report(Layer::new().npm("node_modules/bash", "bash", "5.2"), &BASH);
    let diff = between(&old, &new);
    assert_eq!((diff.findings.new.len(), diff.findings.gone.len(), diff.findings.still.len()), (1, 1, 0));
}

#[test]
fn components_are_added_removed_and_changed() {
    let old = report(debian(&[("bash", "5.2"), ("zsh", "1"), ("vim", "9")]).python("x", "a", "1"), &NONE);
    let new = report(
        debian(&[("bash", "5.3"), ("vim", "9"), ("git", "2")]).python("x", "a", "1").python("y", "a", "2"),
        &NONE,
    );
    let diff = between(&old, &new);
    let words = |list: &[image_scan::ComponentChange]| -> Vec<String> {
        list.iter().map(|one| format!("{} {} {:?} {:?}", one.kind, one.name, one.old, one.new)).collect()
    };
    assert_eq!(words(&diff.components.added), ["deb git [] [\"2\"]", "pypi a [] [\"2\"]"]);
    assert_eq!(words(&diff.components.removed), ["deb zsh [\"1\"] []"]);
    assert_eq!(words(&diff.components.changed), ["deb bash [\"5.2\"] [\"5.3\"]"]);
    assert_eq!(diff.components.same, 1);
}

#[test]
fn a_rule_weighs_what_is_new_only() {
    const TWO: Fake = Fake {
        known: &[
            ("bash", "5.3", "CVE-1", "DSA-1", Severity::Critical),
            ("git", "3", "CVE-EXPLOITED", "DSA-2", Severity::Low),
        ],
        without: &[],
    };
    let now = "2026-01-02T00:00:00Z".parse().unwrap();
    let ignored = |id: &str, expires: &str| Ignore {
        id: id.into(),
        package: None,
        reason: "not reachable".into(),
        expires: expires.parse().unwrap(),
    };
    let broken = |old: &[(&str, &str)], new: &[(&str, &str)], rules: &Rules| {
        let of = |packages| report(debian(packages), &TWO).gated(rules, now);
        let gate = Diff::of(&of(old), &of(new), Some((rules, now))).gate.unwrap();
        assert_eq!(gate.passed, gate.broken.is_empty());
        gate.broken.into_iter().flat_map(|one| one.advisories).collect::<Vec<_>>()
    };
    let high = Rules { fail_on: Some(Severity::High), ..Rules::default() };
    let exploited = Rules { fail_on_exploited: true, ..Rules::default() };
    let any = Rules { fail_on: Some(Severity::Unknown), ..Rules::default() };
    let both = &[("bash", "5.2"), ("git", "2")][..];
    assert_eq!(broken(both, both, &any), [""; 0], "what was there before doesn't count");
    assert_eq!(broken(&[], both, &high), ["CVE-1"]);
    assert_eq!(broken(&[("bash", "5.2")], both, &high), [""; 0], "too low");
    assert_eq!(broken(&[("bash", "5.2")], both, &exploited), ["CVE-EXPLOITED"]);
    let over = Rules { ignore: vec![ignored("CVE-1", "2026-02-01T00:00:00Z")], ..any.clone() };
    assert_eq!(broken(&[], both, &over), ["CVE-EXPLOITED"], "somebody answers for it");
    let was = Rules { ignore: vec![ignored("CVE-1", "2026-01-01T00:00:00Z")], ..any };
    assert_eq!(broken(both, both, &was), [""; 0], "an answer that ended in both is nothing new");
}

#[test]
fn what_nobody_answers_for_any_more_is_new() {
    let now = "2026-01-02T00:00:00Z".parse().unwrap();
    let ignore = Ignore {
        id: "CVE-1".into(),
        package: None,
        reason: "not reachable".into(),
        expires: "2026-02-01T00:00:00Z".parse().unwrap(),
    };
    let rules = Rules { ignore: vec![ignore], ..Rules::default() };
    let plain = report(debian(&[("bash", "5.2")]), &BASH);
    let answered = plain.clone().gated(&rules, now);
    let diff = between(&answered, &plain);
    assert_eq!(
        brief(&diff.findings.new),
        ["CVE-1 bash [\"5.2\"] -> [\"5.2\"]: nobody answers for it any more"]
    );
    let diff = between(&plain, &answered);
    assert_eq!(
        brief(&diff.findings.gone),
        ["CVE-1 bash [\"5.2\"] -> [\"5.2\"]: somebody answers for it now"]
    );
    assert_eq!((diff.new.ignored, diff.findings.still.len()), (1, 0));
}

#[test]
fn numbers_add_up() {
    let old = report(debian(&[("bash", "5.2")]).python("x", "bash", "5.2"), &BASH);
    let new = report(debian(&[("bash", "5.2")]).npm("node_modules/bash", "bash", "5.2"), &RENAMED);
    let diff = between(&old, &new);
    let (had, has): (usize, usize) =
        diff.severities.iter().fold((0, 0), |sum, one| (sum.0 + one.old, sum.1 + one.new));
    let findings = &diff.findings;
    assert_eq!(had, findings.gone.len() + findings.still.len() + findings.not_known.len());
    assert_eq!(has, findings.new.len() + findings.still.len());
}

#[test]
fn a_report_comes_back_from_json_as_it_was() {
    let report = report(debian(&[("bash", "5.2")]).python("x", "a", "1"), &BASH);
    let json = serde_json::to_vec(&report).unwrap();
    let read = Report::from_json(&json).unwrap();
    assert_eq!(serde_json::to_vec(&read).unwrap(), json);
    for (text, why) in [
        ("{}", "expected a report of a scan, got missing field `version`"),
        (r#"{"version":2}"#, "expected a report of version 1, got 2"),
        (r#"{"version":1}"#, "expected a report of a scan, got missing field `image`"),
        ("[[[", "expected a report of a scan, got"),
    ] {
        let said = Report::from_json(text.as_bytes()).unwrap_err();
        assert!(said.starts_with(why), "{said}");
    }
}

#[test]
fn a_page_shows_strange_names_and_runs_nothing() {
    let evil = "<script>alert(1)</script>";
    let mut new = report(debian(&[("bash", "5.2")]), &BASH);
    new.image.reference = evil.into();
    new.findings[0].summary = Some(evil.into());
    new.findings[0].aliases = vec![evil.into()];
    new.components[0].name = evil.into();
    let page = formats::html_diff(&between(&report(debian(&[]), &NONE), &new));
    assert!(!page.contains("<script"), "{page}");
    assert!(page.contains("&lt;script&gt;") && page.contains("default-src 'none'"));
}
