//! The traps of `docs/src/scan.md`, whole: an image of a few kilobytes for each, a few advisories, and what `verify scan`
//! says. That of statements by others (31), which have to be signed, is in `evidence_by_others`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::arithmetic_side_effects, reason = "tests")]

#[path = "../../image-scan/tests/support/program.rs"]
mod program;
#[path = "../../image-scan/tests/support/rpm.rs"]
mod rpm;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use test_repos::images::ImageBuilder;

/// A trap, and what is right: a line for each finding, and for what is not known.
struct Trap {
    number: u32,
    image: ImageBuilder,
    advisories: Vec<Value>,
    expected: &'static [&'static str],
}

/// An advisory with one CVE, on one package, by the events of one range: `introduced=0 fixed=2`.
fn advisory(cve: u32, ecosystem: &str, name: &str, events: &str) -> Value {
    let cve = format!("CVE-2026-{cve}");
    let names = match ecosystem.split(':').next() {
        Some("Debian" | "Ubuntu" | "Alpine") => "upstream",
        Some("AlmaLinux") => "related",
        _ => "aliases",
    };
    let events: Vec<Value> = events
        .split(' ')
        .map(|event| event.split_once('=').unwrap())
        .map(|(kind, at)| json!({ kind: at }))
        .collect();
    json!({
        "id": format!("X-{cve}"), "modified": "2026-01-01T00:00:00Z", names: [cve],
        "affected": [{
            "package": { "ecosystem": ecosystem, "name": name },
            "ranges": [{ "type": "ECOSYSTEM", "events": events }],
        }],
    })
}

/// The same with another member at its top.
fn with(mut advisory: Value, member: &str, value: Value) -> Value {
    advisory[member] = value;
    advisory
}

fn of_release(id: &str, version: &str) -> ImageBuilder {
    let text = format!("ID={id}\nVERSION_ID=\"{version}\"\n");
    ImageBuilder::new().file("etc/os-release", text.as_bytes())
}

fn debian() -> ImageBuilder {
    of_release("debian", "12")
}

/// What makes an image, in the words of package managers.
trait Packages {
    fn dpkg(self, stanzas: &[String]) -> Self;
    fn apk(self, packages: &str) -> Self;
    fn rpm(self, entries: &[(u32, u32, &[u8])]) -> Self;
    fn python(self, folder: &str, name: &str, version: &str) -> Self;
    fn npm(self, folder: &str, name: &str, version: &str) -> Self;
    fn opaque(self, folder: &str) -> Self;
}

impl Packages for ImageBuilder {
    fn dpkg(self, stanzas: &[String]) -> Self {
        self.file("var/lib/dpkg/status", stanzas.join("\n").as_bytes())
    }

    fn apk(self, packages: &str) -> Self {
        self.file("lib/apk/db/installed", packages.as_bytes())
    }

    fn rpm(self, entries: &[(u32, u32, &[u8])]) -> Self {
        self.file("var/lib/rpm/Packages.db", &rpm::database(&rpm::header(entries)))
    }

    fn python(self, folder: &str, name: &str, version: &str) -> Self {
        let text = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n");
        self.file(&format!("{folder}/{name}-{version}.dist-info/METADATA"), text.as_bytes())
    }

    fn npm(self, folder: &str, name: &str, version: &str) -> Self {
        let text = json!({ "name": name, "version": version }).to_string();
        self.file(&format!("{folder}/package.json"), text.as_bytes())
    }

    fn opaque(self, folder: &str) -> Self {
        self.file(&format!("{folder}/.wh..wh..opq"), b"")
    }
}

/// A stanza of dpkg's, with more fields.
fn deb(name: &str, version: &str, more: &str) -> String {
    let status = if more.contains("Status: ") { "" } else { "Status: install ok installed\n" };
    format!("Package: {name}\n{status}Architecture: amd64\nVersion: {version}\n{more}")
}

const SITE: &str = "usr/lib/python3/site-packages";

fn packages_of_debian() -> Vec<Trap> {
    let all = |name: &str| advisory(1, "Debian:12", name, "introduced=0");
    let on = |cve: u32, name: &str, events: &str| advisory(cve, "Debian:12", name, events);
    let trap = |number, image, advisories, expected| Trap { number, image, advisories, expected };
    vec![
        trap(
            1,
            debian().dpkg(&[
                deb("postgresql-15", "15.1-1", "Status: deinstall ok config-files\n"),
                deb("gone", "1", "Status: purge ok not-installed\n"),
            ]),
            vec![all("postgresql-15"), all("gone")],
            &[],
        ),
        trap(
            2,
            debian().dpkg(&[deb("openssl", "3", "Status: install ok half-configured\n")]),
            vec![all("openssl")],
            &["CVE-2026-1 openssl 3"],
        ),
        trap(
            3,
            debian().file(
                "var/lib/dpkg/status.d/libssl3",
                b"Package: libssl3\nVersion: 3.0-1\nSource: openssl\n",
            ),
            vec![all("openssl")],
            &["CVE-2026-1 libssl3 3.0-1"],
        ),
        // Built anew, it is still the last that is affected.
        trap(
            4,
            debian().dpkg(&[deb("zlib1g", "1.2-1+b1", "Source: zlib\n"), deb("curl", "8-1+b2", "")]),
            vec![on(1, "zlib", "introduced=0 last_affected=1.2-1"), on(2, "curl", "introduced=0 fixed=8-1")],
            &["CVE-2026-1 zlib1g 1.2-1+b1"],
        ),
        trap(
            5,
            debian().dpkg(&[
                deb("krb5-locales", "9:9-1", "Source: krb5 (1.20-2)\n"),
                deb("libsystemd0", "252-1", "Source: systemd (253-1)\n"),
            ]),
            vec![on(1, "krb5", "introduced=0 fixed=1.20-3"), on(2, "systemd", "introduced=0 fixed=252-5")],
            &["CVE-2026-1 krb5-locales 9:9-1"],
        ),
        trap(
            6,
            debian().dpkg(&[deb("vim", "9.0", ""), deb("bind9", "1:0.9", "")]),
            vec![on(1, "vim", "introduced=0 fixed=1:1.0"), on(2, "bind9", "introduced=0 fixed=9.0")],
            &["CVE-2026-1 vim 9.0"],
        ),
        trap(
            7,
            debian().dpkg(&[
                deb("a", "1.0~rc1-1", ""),
                deb("b", "2.4-2", ""),
                deb("c", "1.0-1+deb12u1", ""),
                deb("d", "1.0-1+b1", ""),
            ]),
            vec![
                on(1, "a", "introduced=0 fixed=1.0-1"),
                on(2, "b", "introduced=0 fixed=2.4-2~deb12u1"),
                on(3, "c", "introduced=0 fixed=1.0-1+deb12u2"),
                on(4, "d", "introduced=0 fixed=1.0-1+deb12u1"),
            ],
            &["CVE-2026-1 a 1.0~rc1-1", "CVE-2026-3 c 1.0-1+deb12u1", "CVE-2026-4 d 1.0-1+b1"],
        ),
        trap(
            8,
            debian()
                .dpkg(&[deb("openssl", "1", ""), deb("curl", "1", "")])
                .layer()
                .dpkg(&[deb("openssl", "3", "")]),
            vec![on(1, "openssl", "introduced=0 fixed=2"), all("curl")],
            &[],
        ),
        trap(
            33,
            debian().dpkg(&[deb("linux-libc-dev", "6.1-1", "Source: linux\n")]),
            vec![all("linux")],
            &["left-out Debian:12"],
        ),
        trap(
            36,
            debian().dpkg(&[deb("postgresql-15", "15.1-1.pgdg120+1", "")]),
            vec![all("postgresql-15")],
            &["no-data Debian:12"],
        ),
        trap(
            38,
            debian().dpkg(&[deb("openssl", "1", "")]),
            vec![
                advisory(1, "Debian:11", "openssl", "introduced=0"),
                on(2, "openssl", "introduced=0 fixed=1"),
            ],
            &[],
        ),
    ]
}

fn files_of_layers() -> Vec<Trap> {
    let on = |name: &str, events: &str| advisory(1, "PyPI", name, events);
    let trap = |number, image, advisories, expected| Trap { number, image, advisories, expected };
    vec![
        trap(
            9,
            debian().python(SITE, "a", "1.0").layer().whiteout(&format!("{SITE}/a-1.0.dist-info")),
            vec![on("a", "introduced=0")],
            &[],
        ),
        trap(
            10,
            debian().python(SITE, "a", "1.0").layer().opaque(SITE).python(SITE, "a", "3.0"),
            vec![on("a", "introduced=0 fixed=2.0")],
            &[],
        ),
        trap(
            11,
            debian().python("target", "a", "1.0").link("link", "/target").layer().opaque("link"),
            vec![on("a", "introduced=0")],
            &["CVE-2026-1 a 1.0"],
        ),
        trap(
            12,
            debian()
                .npm("app/node_modules/a", "a", "1.0.0")
                .layer()
                .npm("app/node_modules/a", "a", "1.5.0")
                .whiteout("app/node_modules/a"),
            vec![advisory(1, "npm", "a", "introduced=0 fixed=2.0.0")],
            &["CVE-2026-1 a 1.5.0"],
        ),
        trap(
            13,
            debian()
                .dpkg(&[deb("python3-a", "1-1", "")])
                .file(
                    "var/lib/dpkg/info/python3-a.list",
                    format!("/{SITE}/a-1.0.dist-info/METADATA\n").as_bytes(),
                )
                .python(SITE, "a", "1.0"),
            vec![on("a", "introduced=0"), advisory(2, "Debian:12", "python3-a", "introduced=0 fixed=1-1")],
            &["left-out PyPI"],
        ),
        trap(
            14,
            debian()
                .npm("app/node_modules/a", "a", "1.0.0")
                .npm("app/node_modules/a/test/fixtures/b", "b", "1.0.0")
                .npm("app/node_modules/a/test/node_modules/b", "b", "1.0.0"),
            vec![advisory(1, "npm", "b", "introduced=0")],
            &[],
        ),
        trap(
            15,
            debian().python(SITE, "nx", "1.0").npm("app/node_modules/requests", "requests", "1.0.0"),
            vec![advisory(1, "npm", "nx", "introduced=0"), advisory(2, "PyPI", "requests", "introduced=0")],
            &[],
        ),
        trap(
            37,
            debian().python(SITE, "a", "1.0").python(SITE, "b", "1.0"),
            vec![
                with(on("a", "introduced=0"), "details", "** REJECT ** do not use".into()),
                with(advisory(2, "PyPI", "b", "introduced=0"), "details", "** DISPUTED ** perhaps".into()),
            ],
            &["CVE-2026-2 b 1.0 disputed"],
        ),
    ]
}

fn packages_of_languages() -> Vec<Trap> {
    let on = |cve, ecosystem: &str, name: &str, events: &str| advisory(cve, ecosystem, name, events);
    let all = |ecosystem: &str| on(1, ecosystem, "a", "introduced=0");
    let trap = |number, image, advisories, expected| Trap { number, image, advisories, expected };
    let go = |version: &str, modules: &str| {
        ImageBuilder::new().file("bin/a", &program::of_modules(version, modules))
    };
    vec![
        trap(
            16,
            debian().python(SITE, "a", "1.0"),
            vec![
                with(all("PyPI"), "withdrawn", "2026-01-02T00:00:00Z".into()),
                on(2, "PyPI", "other", "introduced=0"),
            ],
            &[],
        ),
        trap(
            17,
            debian().python(SITE, "a", "1.0"),
            vec![
                with(all("PyPI"), "id", "GHSA-aaaa-bbbb-cccc".into()),
                with(all("PyPI"), "id", "PYSEC-2026-1".into()),
                // What is only related is something else.
                with(with(all("PyPI"), "id", "PYSEC-2026-2".into()), "aliases", json!(["CVE-2026-2"])),
                with(
                    with(with(all("PyPI"), "id", "PYSEC-2026-3".into()), "aliases", json!([])),
                    "related",
                    json!(["CVE-2026-2"]),
                ),
            ],
            &["CVE-2026-1 a 1.0", "CVE-2026-2 a 1.0", "PYSEC-2026-3 a 1.0"],
        ),
        trap(
            18,
            debian().npm("x/node_modules/a", "a", "1.4.2").npm("y/node_modules/a", "a", "1.4.3"),
            vec![on(1, "npm", "a", "introduced=0 last_affected=1.4.2")],
            &["CVE-2026-1 a 1.4.2"],
        ),
        trap(
            19,
            debian()
                .python("w", "a", "1.15.3")
                .python("x", "a", "1.15.4")
                .python("y", "a", "2.0.2")
                .python("z", "a", "2.0.3"),
            vec![on(1, "PyPI", "a", "introduced=2.0.0 fixed=2.0.3 introduced=0 fixed=1.15.4")],
            &["CVE-2026-1 a 1.15.3", "CVE-2026-1 a 2.0.2"],
        ),
        trap(
            20,
            debian().python(SITE, "a", "1.0rc1").npm("x/node_modules/a", "a", "1.0.0-rc.1"),
            vec![on(1, "PyPI", "a", "introduced=0 fixed=1.0"), on(2, "npm", "a", "introduced=0 fixed=1.0.0")],
            &["CVE-2026-1 a 1.0rc1", "CVE-2026-2 a 1.0.0-rc.1"],
        ),
        trap(
            21,
            debian().python(SITE, "a", "1.13.1+cu118"),
            vec![
                on(1, "PyPI", "a", "introduced=0 fixed=1.13.1"),
                on(2, "PyPI", "a", "introduced=0 last_affected=1.13.1"),
            ],
            &["CVE-2026-2 a 1.13.1+cu118"],
        ),
        trap(
            22,
            debian().python(SITE, "Ruamel.YAML", "1.0").python("x", "a__b", "1.0"),
            vec![on(1, "PyPI", "ruamel-yaml", "introduced=0"), on(2, "PyPI", "A-B", "introduced=0")],
            &["CVE-2026-1 Ruamel.YAML 1.0", "CVE-2026-2 a__b 1.0"],
        ),
        trap(
            23,
            debian().npm("x/node_modules/@s/a", "@s/a", "1.0.0").npm("x/node_modules/b", "b", "1.0.0"),
            vec![on(1, "npm", "@s/a", "introduced=0"), all("npm"), on(2, "npm", "@s/b", "introduced=0")],
            &["CVE-2026-1 @s/a 1.0.0"],
        ),
        trap(
            24,
            go(
                "devel",
                "mod\ta\t(devel)\ndep\tb\tv0.0.0-20200101000000-abcdef123456\n\
                 dep\tc\tv2.0.0+incompatible\ndep\td\tv1.2.4-0.20200101000000-abcdef123456\n",
            ),
            vec![
                all("Go"),
                on(2, "Go", "b", "introduced=0 fixed=1.2.3"),
                on(3, "Go", "c", "introduced=0 fixed=2.0.1"),
                on(4, "Go", "c", "introduced=0 fixed=2.0.0"),
                on(5, "Go", "d", "introduced=0 fixed=1.2.4"),
                on(6, "Go", "d", "introduced=0 fixed=1.2.3"),
            ],
            &[
                "CVE-2026-3 c v2.0.0+incompatible",
                "CVE-2026-5 d v1.2.4-0.20200101000000-abcdef123456",
                "left-out Go",
                "untold X-CVE-2026-2 b v0.0.0-20200101000000-abcdef123456",
            ],
        ),
        trap(
            25,
            go("go1.21.2 X:boringcrypto", "mod\ta\t(devel)\n")
                .file("bin/b", &program::of_modules("go1.21rc2", "")),
            vec![
                on(1, "Go", "stdlib", "introduced=1.21.0-0 fixed=1.21.3"),
                on(2, "Go", "stdlib", "introduced=0 fixed=1.21.0"),
            ],
            &[
                "CVE-2026-1 stdlib 1.21.2",
                "CVE-2026-1 stdlib 1.21rc2",
                "CVE-2026-2 stdlib 1.21rc2",
                "left-out Go",
            ],
        ),
        trap(
            26,
            ImageBuilder::new().file("bin/a", &program::of_crates(&["a".to_owned(), "build cc".to_owned()])),
            vec![
                on(1, concat!("crates", ".io"), "a", "introduced=0.0.0-0"),
                on(2, concat!("crates", ".io"), "cc", "introduced=0.0.0-0"),
            ],
            &["CVE-2026-1 a 1.0.0"],
        ),
    ]
}

fn packages_of_other_distributions() -> Vec<Trap> {
    let trap = |number, image, advisories, expected| Trap { number, image, advisories, expected };
    let alpine = |version: &str| of_release("alpine", version);
    let alma = |version: &[u8], release: &[u8], label: &[u8]| {
        of_release("almalinux", "9.3").rpm(&[
            (1000, 6, b"a\0"),
            (1001, 6, version),
            (1002, 6, release),
            (1011, 6, b"AlmaLinux\0"),
            (5096, 6, label),
        ])
    };
    let modular = |cve, stream: &str, fixed: &str| {
        let summary = format!("Moderate: a:{stream} security update");
        with(
            advisory(cve, "AlmaLinux:9", "a", &format!("introduced=0 fixed={fixed}")),
            "summary",
            summary.into(),
        )
    };
    vec![
        trap(
            27,
            of_release("ubuntu", "18.04").dpkg(&[deb("a", "1-1", "")]),
            vec![
                advisory(1, "Ubuntu:Pro:18.04:LTS", "a", "introduced=0 fixed=1-1+esm2"),
                advisory(2, "Ubuntu:Pro:FIPS-updates:18.04:LTS", "a", "introduced=0 fixed=1-2fips1"),
                advisory(3, "Ubuntu:18.04:LTS", "a", "introduced=0 fixed=1-1"),
            ],
            &["CVE-2026-1 a 1-1 only for some"],
        ),
        trap(
            28,
            alpine("3.18.4").apk("P:a\nV:1.0-r0\n\n"),
            vec![
                advisory(1, "Alpine:v3.18", "a", "introduced=0 fixed=0"),
                advisory(2, "Alpine:v3.18", "a", "introduced=0 fixed=1.0-r1"),
            ],
            &["CVE-2026-2 a 1.0-r0"],
        ),
        trap(
            29,
            alpine("3.18.4").apk("P:libcrypto3\nV:3.1-r0\no:openssl\n\n"),
            vec![advisory(1, "Alpine:v3.18", "openssl", "introduced=0 fixed=3.1-r1")],
            &["CVE-2026-1 libcrypto3 3.1-r0"],
        ),
        trap(
            30,
            alpine("3.19.0").apk("P:a\nV:1.0-r0\n\n"),
            vec![advisory(1, "Alpine:v3.18", "a", "introduced=0")],
            &["no-data Alpine:v3.19"],
        ),
        trap(
            34,
            alma(b"18.8\0", b"1.module_el9.1.0+1\0", b"a:18:9010020220920:rhel9\0"),
            vec![
                modular(1, "18", "18.9-1.module_el9.1.0+1"),
                modular(2, "20", "20.1-1.module_el9.1.0+1"),
                advisory(3, "AlmaLinux:9", "a", "introduced=0 fixed=99-1.el9"),
            ],
            &["CVE-2026-1 a 18.8-1.module_el9.1.0+1"],
        ),
        trap(
            35,
            alma(b"1.0~rc1^git1\0", b"1.el9\0", b"\0"),
            vec![
                advisory(1, "AlmaLinux:9", "a", "introduced=0 fixed=1.0-1.el9"),
                advisory(2, "AlmaLinux:9", "a", "introduced=0 fixed=1.0~rc1-1.el9"),
                advisory(3, "AlmaLinux:9", "a", "introduced=0 fixed=0:1.0~rc1^git1-1.el9_1"),
            ],
            &["CVE-2026-1 a 1.0~rc1^git1-1.el9", "CVE-2026-3 a 1.0~rc1^git1-1.el9"],
        ),
    ]
}

/// A database of advisories, each in the archive of its ecosystem.
fn database(folder: &Path, advisories: &[Value]) {
    let from = folder.join("osv");
    let of = |one: &Value| {
        let ecosystem = one["affected"][0]["package"]["ecosystem"].as_str().unwrap();
        ecosystem.split(':').next().unwrap().to_owned()
    };
    let ecosystems: std::collections::BTreeSet<String> = advisories.iter().map(of).collect();
    for ecosystem in ecosystems {
        fs::create_dir_all(from.join(&ecosystem)).unwrap();
        let mut zip = zip::ZipWriter::new(fs::File::create(from.join(&ecosystem).join("all.zip")).unwrap());
        for (number, one) in advisories.iter().enumerate().filter(|(_, one)| of(one) == ecosystem) {
            zip.start_file(format!("{number}.json"), zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(one.to_string().as_bytes()).unwrap();
        }
        zip.finish().unwrap();
    }
    advisories::build(&from, &folder.join("advisories.db")).unwrap();
}

/// What `verify scan` says of an image: its exit code, and a line for each finding and for what is not known.
fn scanned(folder: &Path, image: ImageBuilder, advisories: &[Value], more: &[&str]) -> (i32, Vec<String>) {
    database(folder, advisories);
    image.build().unwrap().write_layout(folder.join("image"), "1").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_verify"))
        .args([
            "scan",
            &format!("oci:{}:1", folder.join("image").display()),
            "--unverified",
            "--format",
            "json",
        ])
        .arg("--db")
        .arg(folder.join("advisories.db"))
        .args(more)
        .env_clear()
        .env("HOME", folder)
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let text = |one: &Value, member: &str| one[member].as_str().unwrap().to_owned();
    let list = |member: &str| report[member].as_array().unwrap().clone();
    let mut lines: Vec<String> = Vec::new();
    for one in list("findings") {
        let mut line = ["id", "package", "version"].map(|member| text(&one, member)).join(" ");
        for (is, word) in [
            (one["disputed"] == true, " disputed"),
            (one["fixed"].is_null() && one["fixed_for_some"].is_string(), " only for some"),
            (one["suppressed"].is_object(), " ignored"),
        ] {
            line.push_str(if is { word } else { "" });
        }
        lines.push(line);
    }
    for one in list("undecided") {
        lines.push(format!(
            "untold {}",
            ["id", "package", "version"].map(|member| text(&one, member)).join(" ")
        ));
    }
    for one in list("coverage").iter().filter(|one| one["status"] != "matched") {
        lines.push(["status", "ecosystem"].map(|member| text(one, member)).join(" "));
    }
    lines.extend(list("unread").iter().map(|one| format!("unread {}", text(one, "path"))));
    lines.sort();
    (output.status.code().unwrap(), lines)
}

#[test]
fn each_trap_has_its_finding_or_its_silence() {
    let traps =
        [packages_of_debian(), files_of_layers(), packages_of_languages(), packages_of_other_distributions()];
    let mut numbers = Vec::new();
    for Trap { number, image, advisories, expected } in traps.into_iter().flatten() {
        let folder = tempfile::tempdir().unwrap();
        let (code, lines) = scanned(folder.path(), image, &advisories, &[]);
        assert_eq!((code, lines), (0, expected.iter().map(ToString::to_string).collect()), "trap {number}");
        numbers.push(number);
    }
    // Of others, and with a file of rules.
    numbers.extend([31, 32]);
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=38).collect::<Vec<u32>>());
}

/// Trap 32.
#[test]
fn a_rule_that_is_over_ignores_nothing() {
    for (expires, code, expected) in
        [("2026-01-03", 4, "CVE-2026-1 a 1.0"), ("2026-01-04", 0, "CVE-2026-1 a 1.0 ignored")]
    {
        let folder = tempfile::tempdir().unwrap();
        let rules = folder.path().join("ignore.toml");
        let text =
            format!("[[ignore]]\nid = \"CVE-2026-1\"\nreason = \"not reached\"\nexpires = {expires}\n");
        fs::write(&rules, text).unwrap();
        let more =
            ["--fail-on", "any", "--at", "2026-01-03T00:00:00Z", "--ignore-file", rules.to_str().unwrap()];
        let advisories = [advisory(1, "PyPI", "a", "introduced=0")];
        let image = debian().python(SITE, "a", "1.0");
        let got = scanned(folder.path(), image, &advisories, &more);
        assert_eq!(got, (code, vec![expected.to_owned()]), "{expires}");
    }
}
