//! Where scanners go wrong: each a few advisories, and the finding or the silence that is right.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod bucket;

use advisories::{Coverage, Ecosystem, Level, Package};
use bucket::{database, ids, package, texts};

/// An advisory with one CVE upstream, and the events of one range.
fn advisory(id: &str, ecosystem: &str, name: &str, events: &str) -> String {
    let names = match ecosystem.split(':').next() {
        Some("Debian" | "Ubuntu" | "Alpine") => format!(r#""upstream":["CVE-{id}"]"#),
        Some("AlmaLinux") => format!(r#""related":["CVE-{id}"]"#),
        _ => format!(r#""aliases":["CVE-{id}"]"#),
    };
    let events: Vec<String> = events
        .split(' ')
        .map(|event| event.split_once('=').map(|(kind, at)| format!(r#"{{"{kind}":"{at}"}}"#)).unwrap())
        .collect();
    format!(
        r#"{{"id":"X-{id}","modified":"2026-01-01T00:00:00Z",{names},"affected":[{{"package":{{"ecosystem":"{ecosystem}","name":"{name}"}},"ranges":[{{"type":"ECOSYSTEM","events":[{}]}}]}}]}}"#,
        events.join(",")
    )
}

/// Whether a version is affected by one range; and the fix.
fn affected(ecosystem: &str, version: &str, events: &str) -> Option<Option<String>> {
    let base = ecosystem.split(':').next().unwrap();
    let (_folder, database) = database(&[(base, &[&advisory("1", ecosystem, "a", events)])]);
    let answer = database.affecting(&package(ecosystem, "a", version), texts()).unwrap();
    assert_eq!(answer.unknown, [], "{ecosystem} {version} {events}");
    answer.matches.into_iter().next().map(|one| one.fixed.map(str::to_owned))
}

#[test]
fn versions_are_weighed_by_the_order_of_their_ecosystem() {
    for (ecosystem, version, events, expected) in [
        // 6: an epoch on one side only. 7: tildes and pluses.
        ("Debian:12", "9.0", "introduced=0 fixed=1:1.0", Some("1:1.0")),
        ("Debian:12", "1:0.9", "introduced=0 fixed=9.0", None),
        ("Debian:12", "1.0~rc1-1", "introduced=0 fixed=1.0-1", Some("1.0-1")),
        ("Debian:12", "1.0-1+deb12u1", "introduced=0 fixed=1.0-1+deb12u2", Some("1.0-1+deb12u2")),
        ("Debian:12", "2.4.57-2", "introduced=0 fixed=2.4.57-2~deb12u1", None),
        // 18: the last that is affected, and the one after.
        ("npm", "1.4.2", "introduced=0 last_affected=1.4.2", Some("")),
        ("npm", "1.4.3", "introduced=0 last_affected=1.4.2", None),
        // 19: several branches, in any order.
        ("PyPI", "1.15.3", "introduced=2.0.0 fixed=2.0.3 introduced=0 fixed=1.15.4", Some("1.15.4")),
        ("PyPI", "1.15.4", "introduced=2.0.0 fixed=2.0.3 introduced=0 fixed=1.15.4", None),
        ("PyPI", "2.0.2", "introduced=2.0.0 fixed=2.0.3 introduced=0 fixed=1.15.4", Some("2.0.3")),
        ("PyPI", "2.0.3", "introduced=2.0.0 fixed=2.0.3 introduced=0 fixed=1.15.4", None),
        // 20: before the release. 21: a build of one's own.
        ("PyPI", "1.0rc1", "introduced=0 fixed=1.0", Some("1.0")),
        ("PyPI", "1.13.1+cu118", "introduced=0 fixed=1.13.1", None),
        ("PyPI", "1.13.1+cu118", "introduced=0 last_affected=1.13.1", Some("")),
        ("PyPI", "4.2.19", "introduced=4.2 fixed=4.2.1", None),
        // Bounded from above.
        ("Go", "v1.5.0", "introduced=0 limit=1.4.0", None),
        ("Go", "v1.3.0", "introduced=0 limit=1.4.0", Some("")),
        ("Go", "v1.3.0", "introduced=0 limit=*", Some("")),
        // 24, 25: Go's own spellings.
        ("Go", "v2.0.0+incompatible", "introduced=0 fixed=2.0.1", Some("2.0.1")),
        ("Go", "go1.21rc2", "introduced=1.21.0-0 fixed=1.21.3", Some("1.21.3")),
        ("Go", "go1.21.3", "introduced=1.21.0-0 fixed=1.21.3", None),
        ("Go", "v1.2.4-0.20200101000000-abcdef123456", "introduced=0 fixed=1.2.4", Some("1.2.4")),
        ("Go", "v0.0.0-20200101000000-abcdef123456", "introduced=0", Some("")),
        // 28: never affected.
        ("Alpine:v3.18", "1.0-r0", "introduced=0 fixed=0", None),
        ("Alpine:v3.18", "1.6_rc1-r0", "introduced=0 fixed=1.6-r0", Some("1.6-r0")),
        // 35: carets and tildes.
        ("AlmaLinux:9", "1.0^git1-1.el9", "introduced=0 fixed=1.0-2.el9", None),
        ("AlmaLinux:9", "1.0~rc1-1.el9", "introduced=0 fixed=1.0-1.el9", Some("1.0-1.el9")),
        ("AlmaLinux:9", "0:3.2-1.el9", "introduced=0 fixed=3.2-1.el9_1", Some("3.2-1.el9_1")),
    ] {
        let expected = expected.map(|fixed| (!fixed.is_empty()).then(|| fixed.to_owned()));
        assert_eq!(affected(ecosystem, version, events), expected, "{ecosystem} {version}: {events}");
    }
}

#[test]
fn an_advisory_for_another_release_is_silent_and_one_for_all_speaks() {
    let (_folder, database) = database(&[(
        "Debian",
        &[
            &advisory("1", "Debian:11", "a", "introduced=0 fixed=2"),
            &advisory("2", "Debian", "a", "introduced=0 fixed=2"),
            &advisory("3", "Debian:12", "b", "introduced=0 fixed=2"),
        ],
    )]);
    let found = |ecosystem| database.affecting(&package(ecosystem, "a", "1"), texts()).unwrap();
    assert_eq!(ids(&found("Debian:12")), ["CVE-2"]);
    assert_eq!(ids(&found("Debian:11")), ["CVE-1", "CVE-2"]);
}

#[test]
fn the_same_name_elsewhere_is_another_package() {
    let (_folder, database) = database(&[("PyPI", &[&advisory("1", "PyPI", "requests", "introduced=0")])]);
    for ecosystem in ["RubyGems", "npm", "Debian:12"] {
        assert_eq!(
            ids(&database.affecting(&package(ecosystem, "requests", "1"), texts()).unwrap()),
            Vec::<&str>::new()
        );
    }
}

#[test]
fn withdrawn_and_rejected_advisories_are_left_out_and_disputed_ones_marked() {
    let plain = advisory("1", "PyPI", "a", "introduced=0");
    let with = |id: &str, member: &str| {
        plain.replace("X-1", id).replace("CVE-1", &format!("CVE-{id}")).replacen(
            '{',
            &format!("{{{member},"),
            1,
        )
    };
    let (_folder, database) = database(&[(
        "PyPI",
        &[
            &with("W", r#""withdrawn":"2026-01-02T00:00:00Z""#),
            &with("R", r#""details":"** REJECT ** do not use""#),
            &with("D", r#""details":"** DISPUTED ** perhaps""#),
        ],
    )]);
    let answer = database.affecting(&package("PyPI", "a", "1"), texts()).unwrap();
    assert_eq!(ids(&answer), ["CVE-D"]);
    assert!(answer.matches[0].disputed);
    assert_eq!((database.info().advisories, database.info().sources[0].withdrawn), (1, 2));
}

#[test]
fn several_names_of_one_weakness_are_one_match() {
    let one = |id: &str, aliases: &str, fixed: &str| {
        advisory("1", "PyPI", "a", &format!("introduced=0 fixed={fixed}"))
            .replace("X-1", id)
            .replace(r#"["CVE-1"]"#, aliases)
    };
    let (_folder, database) = database(&[(
        "PyPI",
        &[
            &one("GHSA-aaaa", r#"["PYSEC-1"]"#, "2.0"),
            &one("PYSEC-2", r#"["CVE-2026-2"]"#, "2.0"),
            &one("PYSEC-1", r#"["CVE-2026-1","GHSA-aaaa"]"#, "2.1"),
        ],
    )]);
    let answer = database.affecting(&package("PyPI", "a", "1.0"), texts()).unwrap();
    assert_eq!(ids(&answer), ["CVE-2026-1", "CVE-2026-2"]);
    assert_eq!(answer.matches[0].aliases, ["GHSA-aaaa", "PYSEC-1"]);
    assert_eq!(answer.matches[0].fixed, Some("2.1"), "what every advisory calls fixed");
}

#[test]
fn one_advisory_of_a_distribution_on_several_cves_is_several_matches() {
    let several = advisory("1", "AlmaLinux:9", "a", "introduced=0 fixed=2-1.el9")
        .replace(r#"["CVE-1"]"#, r#"["CVE-2026-1","CVE-2026-2","ALSA-0"]"#)
        .replacen('{', r#"{"summary":"Important: a security update","#, 1);
    let (_folder, database) = database(&[("AlmaLinux", &[&several])]);
    let answer = database.affecting(&package("AlmaLinux:9", "a", "1-1.el9"), texts()).unwrap();
    assert_eq!(ids(&answer), ["CVE-2026-1", "CVE-2026-2"]);
    assert_eq!(answer.matches[0].aliases, ["X-1"]);
    assert_eq!(answer.matches[0].severity.level, Level::High);
    assert_eq!(answer.matches[0].severity.source, Some("AlmaLinux"));
}

#[test]
fn names_are_normalised_as_their_ecosystem_does() {
    let (_folder, database) = database(&[
        ("PyPI", &[&advisory("1", "PyPI", "ruamel-yaml", "introduced=0")]),
        ("npm", &[&advisory("2", "npm", "@scope/name", "introduced=0")]),
        ("Packagist", &[&advisory("3", "Packagist", "Acme/Web", "introduced=0")]),
    ]);
    for (ecosystem, name, expected) in [
        ("PyPI", "Ruamel.YAML", "CVE-1"),
        ("npm", "@scope/name", "CVE-2"),
        ("Packagist", "acme/web", "CVE-3"),
    ] {
        assert_eq!(
            ids(&database.affecting(&package(ecosystem, name, "1.0.0"), texts()).unwrap()),
            [expected],
            "{name}"
        );
    }
    assert_eq!(database.affecting(&package("npm", "name", "1.0.0"), texts()).unwrap().matches, []);
}

#[test]
fn a_package_of_a_repository_of_its_own_is_called_the_same() {
    let drupal =
        advisory("1", "Packagist:https://packages.drupal.org/8", "drupal/ctools", "introduced=0 fixed=3.7.1");
    let (_folder, database) = database(&[("Packagist", &[&drupal])]);
    let answer = database.affecting(&package("Packagist", "drupal/ctools", "3.7.0"), texts()).unwrap();
    assert_eq!(ids(&answer), ["CVE-1"]);
}

#[test]
fn what_cannot_be_compared_is_neither_found_nor_passed_over() {
    let (_folder, database) = database(&[("Go", &[&advisory("1", "Go", "a", "introduced=0 fixed=1.2.3")])]);
    for version in ["(devel)", "v0.0.0-20200101000000-abcdef123456"] {
        let answer = database.affecting(&package("Go", "a", version), texts()).unwrap();
        assert_eq!((answer.matches.len(), answer.unknown.len()), (0, 1), "{version}");
        assert_eq!(answer.unknown[0].id, "X-1");
    }
}

#[test]
fn a_fix_for_those_who_pay_is_no_fix_for_the_others() {
    let ubuntu = |id: &str, channel: &str, events: &str| advisory(id, channel, "a", events);
    let (_folder, database) = database(&[(
        "Ubuntu",
        &[
            &ubuntu("1", "Ubuntu:Pro:18.04:LTS", "introduced=0 fixed=1-1ubuntu1+esm2"),
            &ubuntu("2", "Ubuntu:Pro:FIPS-updates:18.04:LTS", "introduced=0 fixed=1-2fips1"),
            &ubuntu("3", "Ubuntu:18.04:LTS", "introduced=0 fixed=1-2"),
        ],
    )]);
    let answer = |version| database.affecting(&package("Ubuntu:18.04", "a", version), texts()).unwrap();
    let everybody = answer("1-1ubuntu1");
    assert_eq!(ids(&everybody), ["CVE-1", "CVE-3"]);
    assert_eq!(everybody.matches[0].fixed, None);
    assert_eq!(everybody.matches[0].fixed_for_some, Some("1-1ubuntu1+esm2 (Ubuntu Pro)"));
    assert_eq!(everybody.matches[1].fixed, Some("1-2"));
    assert_eq!(ids(&answer("1-1ubuntu1+esm2")), ["CVE-3"]);
    assert_eq!(ids(&answer("1-1fips0")), ["CVE-1", "CVE-2", "CVE-3"]);
}

#[test]
fn an_advisory_on_some_binaries_is_silent_on_others() {
    let narrowed = advisory("1", "Ubuntu:22.04:LTS", "a", "introduced=0")
        .replace(r#""ranges""#, r#""ecosystem_specific":{"binaries":[{"binary_name":"a-server","binary_version":"1"},{"a-client":"1"}]},"ranges""#);
    let (_folder, database) = database(&[("Ubuntu", &[&narrowed])]);
    for (binary, expected) in [(Some("a-server"), 1), (Some("a-client"), 1), (Some("a-doc"), 0), (None, 1)] {
        let package = Package { binary: binary.map(str::to_owned), ..package("Ubuntu:22.04:LTS", "a", "1") };
        assert_eq!(database.affecting(&package, texts()).unwrap().matches.len(), expected, "{binary:?}");
    }
}

#[test]
fn a_module_is_affected_by_advisories_on_its_stream_only() {
    let modular = advisory("1", "AlmaLinux:9", "nodejs", "introduced=0 fixed=1:18.9-1.module_el9.1.0+1")
        .replacen('{', r#"{"summary":"Moderate: nodejs:18 security update","#, 1);
    let plain = advisory("2", "AlmaLinux:9", "nodejs", "introduced=0 fixed=1:16.20-1.el9_2");
    let (_folder, database) = database(&[("AlmaLinux", &[&modular, &plain])]);
    for (version, module, expected) in [
        ("1:18.8-1.module_el9.1.0+1", Some("nodejs:18:9010020220920:rhel9"), &["CVE-1"][..]),
        ("1:16.1-1.module_el9.1.0+1", Some("nodejs:16"), &[]),
        ("1:16.1-1.el9", None, &["CVE-2"]),
    ] {
        let package =
            Package { module: module.map(str::to_owned), ..package("AlmaLinux:9", "nodejs", version) };
        assert_eq!(ids(&database.affecting(&package, texts()).unwrap()), expected, "{version}");
    }
}

#[test]
fn no_data_for_a_release_is_said() {
    let (_folder, database) =
        database(&[("Alpine", &[&advisory("1", "Alpine:v3.11", "a", "introduced=0 fixed=1-r0")])]);
    let why = |ecosystem| match database.coverage(&Ecosystem::parse(ecosystem)) {
        Coverage::HasData => String::new(),
        Coverage::NoData(why) => why,
    };
    assert_eq!(why("Alpine:v3.11"), "");
    assert_eq!(why("Alpine:v3.18"), "no data for this release");
    assert_eq!(why("Debian:12"), "no advisories of Debian");
    assert_eq!(why("arch"), "no order of versions is known for arch");
}

#[test]
fn severities_are_the_distributions_then_of_the_newest_cvss_then_of_the_cve() {
    let v2 = r#"{"type":"CVSS_V2","score":"AV:N/AC:L/Au:N/C:C/I:C/A:C"}"#;
    let v3 = r#"{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N"}"#;
    let v4 =
        r#"{"type":"CVSS_V4","score":"CVSS:4.0/AV:L/AC:L/AT:P/PR:L/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}"#;
    let with = |ecosystem: &str, severities: &str| {
        let member = format!(r#"{{"severity":[{severities}],"#);
        advisory("1", ecosystem, "a", "introduced=0").replacen('{', &member, 1)
    };
    for (ecosystem, severities, level, score, source) in [
        ("PyPI", format!("{v2},{v3},{v4}"), Level::High, Some(7.3), Some("CVSS")),
        ("PyPI", format!("{v2},{v3}"), Level::Low, Some(3.1), Some("CVSS")),
        ("PyPI", v2.to_owned(), Level::Critical, Some(10.0), Some("CVSS")),
        ("PyPI", String::new(), Level::Critical, Some(9.8), Some("CVSS of the CVE")),
        (
            "Ubuntu:22.04:LTS",
            format!(r#"{{"type":"Ubuntu","score":"negligible"}},{v3}"#),
            Level::Negligible,
            Some(3.1),
            Some("Ubuntu"),
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let base = ecosystem.split(':').next().unwrap();
        bucket::archive(folder.path(), base, &[&with(ecosystem, &severities)]);
        std::fs::create_dir(folder.path().join("_severity")).unwrap();
        let lists = folder.path().join("_severity");
        std::fs::write(
            lists.join("cve-cvss3.json"),
            r#"{"CVE-1":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}"#,
        )
        .unwrap();
        std::fs::write(lists.join("kev.json"), r#"["CVE-1"]"#).unwrap();
        let out = folder.path().join("db");
        advisories::build(folder.path(), &out).unwrap();
        let answer = advisories::Database::open(&out)
            .unwrap()
            .affecting(&package(ecosystem, "a", "1"), texts())
            .unwrap();
        let one = &answer.matches[0];
        let got = (one.severity.level, one.severity.score, one.severity.source);
        assert_eq!(got, (level, score, source), "{ecosystem} {severities}");
        assert!(one.kev);
    }
}
