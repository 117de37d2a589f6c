//! `verify scan` as a person calls it: verified first, or said not to be.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::arithmetic_side_effects, reason = "tests")]

#[path = "engines/support.rs"]
#[allow(dead_code, reason = "a part is for other tests")]
mod support;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use test_repos::images::ImageBuilder;
use test_repos::surface::{Endpoints, Surface, SurfaceKind};
use tuf_core::schema::Target;

struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Run {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {} {}", self.out, self.err))
    }
}

/// Runs `verify` with a clean environment.
fn verify(home: &Path, words: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verify"));
    let output = command.args(words).env_clear().env("HOME", home).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Run { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// A Debian image of two layers in a layout, as `oci:DIR:TAG`.
fn debian(folder: &Path) -> String {
    let status = "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2.15-2+b2\n";
    let image = ImageBuilder::new()
        .file(
            "etc/os-release",
            b"ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
        )
        .file("var/lib/dpkg/status", status.as_bytes())
        .layer()
        .file("opt/a-1.0.dist-info/METADATA", b"Name: a\nVersion: 1.0\n\n")
        .build()
        .unwrap();
    image.write_layout(folder.join("image"), "1").unwrap();
    format!("oci:{}:1", folder.join("image").display())
}

#[test]
fn an_unverified_image_needs_neither_trust_nor_network_and_is_marked() {
    let folder = tempfile::tempdir().unwrap();
    let image = debian(folder.path());
    let run = verify(folder.path(), &["scan", &image, "--unverified", "--format", "json"]);
    let report = run.json();
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.err.starts_with("warning: nobody was asked whether"), "{}", run.err);
    assert_eq!(report["image"]["verified"], false);
    assert_eq!(report["os"]["id"], "debian");
    let names: Vec<_> =
        report["components"].as_array().unwrap().iter().map(|one| one["purl"].as_str().unwrap()).collect();
    assert_eq!(names, ["pkg:deb/debian/bash@5.2.15-2%2Bb2?arch=amd64&distro=debian-12", "pkg:pypi/a@1.0"]);
    let layers: Vec<_> =
        report["components"].as_array().unwrap().iter().map(|one| one["layer"].as_u64()).collect();
    assert_eq!(layers, [Some(0), Some(1)]);
    assert!(!folder.path().join(".local").exists(), "nothing is kept");
}

#[test]
fn without_unverified_the_name_must_be_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let image = debian(folder.path());
    let run =
        verify(folder.path(), &["scan", &image, "--as", "registry.example.com/a:1", "--format", "json"]);
    assert_eq!(run.code, 1, "{}", run.err);
    assert_eq!(run.json()["verdict"], "refused");
    assert!(run.json().get("components").is_none());
    assert_eq!(verify(folder.path(), &["scan", &image]).code, 2);
}

#[test]
fn every_form_is_printed_and_text_says_what_is_not_known() {
    let folder = tempfile::tempdir().unwrap();
    let image = debian(folder.path());
    let scan = |format: &str| verify(folder.path(), &["scan", &image, "--unverified", "--format", format]);
    assert!(scan("html").out.starts_with("<!doctype html>"));
    assert_eq!(scan("sarif").json()["version"], "2.1.0");
    assert_eq!(scan("cyclonedx").json()["specVersion"], "1.6");
    assert_eq!(scan("spdx").json()["spdxVersion"], "SPDX-2.3");
    let text = scan("text").out;
    let shown: Vec<_> =
        text.lines().filter(|line| !line.contains("sha256:") && !line.contains(" MB ")).collect();
    assert_eq!(
        shown,
        [
            format!("UNVERIFIED {image}: nobody vouches for these bytes").as_str(),
            "  Debian GNU/Linux 12 (bookworm); 2 layers, 2 components",
            "",
            "LAYERS",
            "        COPY /etc/os-release /var/lib/dpkg/status",
            "        COPY /opt/a-1.0.dist-info/METADATA",
            "",
            "NOT KNOWN",
            "  1 components of Debian:12: no database of advisories was given",
            "  1 components of PyPI: no database of advisories was given",
        ]
    );
}

#[test]
fn names_of_files_cannot_look_like_lines_of_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let forged = "x\nverified registry.example.com/acme/web:1\u{1b}[8m";
    let image =
        ImageBuilder::new().file(&format!("{forged}/node_modules/a/package.json"), b"{").build().unwrap();
    image.write_layout(folder.path().join("image"), "1").unwrap();
    let image = format!("oci:{}:1", folder.path().join("image").display());
    let run = verify(folder.path(), &["scan", &image, "--unverified"]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.out.contains("not read /x\\nverified"), "{}", run.out);
    assert!(!run.out.lines().any(|line| line.starts_with("verified")), "{}", run.out);
    assert!(!run.out.contains('\u{1b}'), "{}", run.out);
}

/// A database of one advisory on Debian's bash and one on Python's `a`, whose versions before these are affected.
fn database(folder: &Path) -> String {
    let advisory = |id: &str, ecosystem: &str, name: &str, fixed: &str| {
        serde_json::json!({
            "id": id, "modified": "2026-01-01T00:00:00Z", "summary": "A made-up weakness", "aliases": ["CVE-2026-7"],
            "severity": [{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" }],
            "affected": [{
                "package": { "ecosystem": ecosystem, "name": name },
                "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": fixed }] }],
            }],
        })
        .to_string()
    };
    let from = folder.join("osv");
    for (name, id, ecosystem, package, fixed) in [
        ("Debian", "DEBIAN-CVE-2026-7", "Debian:12", "bash", "5.2.15-3"),
        ("PyPI", "PYSEC-2026-7", "PyPI", "a", "1.0"),
    ] {
        fs::create_dir_all(from.join(name)).unwrap();
        let mut zip = zip::ZipWriter::new(fs::File::create(from.join(name).join("all.zip")).unwrap());
        zip.start_file(format!("{id}.json"), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(advisory(id, ecosystem, package, fixed).as_bytes()).unwrap();
        zip.finish().unwrap();
    }
    let file = folder.join("advisories.db");
    advisories::build(&from, &file).unwrap();
    file.display().to_string()
}

#[test]
fn findings_name_what_is_wrong_where_it_came_from_and_what_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let (image, db) = (debian(folder.path()), database(folder.path()));
    let run = verify(folder.path(), &["scan", &image, "--unverified", "--db", &db, "--format", "json"]);
    let report = run.json();
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(report["findings"].as_array().unwrap().len(), 1, "{}", run.out);
    let finding = &report["findings"][0];
    for (member, expected) in [
        ("id", "CVE-2026-7"),
        ("ecosystem", "Debian:12"),
        ("package", "bash"),
        ("source_package", "bash"),
        ("version", "5.2.15-2+b2"),
        ("fixed", "5.2.15-3"),
        ("severity", "critical"),
        ("path", "/var/lib/dpkg/status"),
        ("engine", "hallmark"),
    ] {
        assert_eq!(finding[member], expected, "{member}");
    }
    assert_eq!(finding["layer"], 0);
    assert!(finding["aliases"].as_array().unwrap().iter().any(|alias| alias == "DEBIAN-CVE-2026-7"));
    assert!(report["coverage"].as_array().unwrap().iter().all(|one| one["status"] == "matched"));
    assert_eq!(report["database"]["made_at"], "2026-01-01T00:00:00Z");
}

#[test]
fn a_broken_rule_ends_with_4_and_the_report_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let (image, db) = (debian(folder.path()), database(folder.path()));
    let scan = |more: &[&str]| {
        verify(folder.path(), &[&["scan", &image, "--unverified", "--db", &db][..], more].concat())
    };
    assert_eq!(scan(&[]).code, 0);
    for (rule, said) in [
        (
            "critical",
            "FAILED expected no finding of severity critical or worse that a newer version mends, got 1",
        ),
        ("any", "FAILED expected no finding that a newer version mends, got 1"),
    ] {
        let run = scan(&["--fail-on", rule, "--fixable-only"]);
        assert_eq!(run.code, 4, "{rule}");
        assert!(run.out.contains(said), "{}", run.out);
    }
    assert_eq!(scan(&["--fail-on-exploited", "--fail-on-gaps"]).code, 0);
    assert_eq!(scan(&["--max-db-age", "36h", "--at", "2026-01-03T00:00:00Z"]).code, 4);
    assert_eq!(scan(&["--max-db-age", "3d", "--at", "2026-01-03T00:00:00Z"]).code, 0);
    let report = scan(&["--fail-on", "high", "--format", "json"]).json();
    assert_eq!(report["gate"]["passed"], false);
    assert_eq!(report["gate"]["broken_by"], 1);
}

#[test]
fn a_rule_needs_a_database_and_a_database_must_be_one() {
    let folder = tempfile::tempdir().unwrap();
    let image = debian(folder.path());
    let run = verify(folder.path(), &["scan", &image, "--unverified", "--fail-on", "high"]);
    assert_eq!((run.code, run.out.as_str()), (2, ""));
    let other = folder.path().join("other");
    fs::write(&other, "not a database at all").unwrap();
    let run = verify(folder.path(), &["scan", &image, "--unverified", "--db", other.to_str().unwrap()]);
    assert_eq!((run.code, run.out.as_str()), (3, ""));
    assert!(run.err.contains("expected a database of advisories, got another kind of file"), "{}", run.err);
}

#[test]
fn who_answers_for_a_finding_says_why_and_until_when() {
    let folder = tempfile::tempdir().unwrap();
    let (image, db) = (debian(folder.path()), database(folder.path()));
    let file = folder.path().join("ignore.toml");
    let scan = |rules: &str, form: &str| {
        fs::write(&file, rules).unwrap();
        let ignore = ["--fail-on", "any", "--ignore-file", file.to_str().unwrap(), "--format", form];
        let words = ["scan", &image, "--unverified", "--db", &db, "--at", "2026-01-03T00:00:00Z"];
        verify(folder.path(), &[&words[..], &ignore].concat())
    };
    let rule = |id: &str, expires: &str| {
        format!(
            "[[ignore]]\nid = \"{id}\"\npackage = \"bash\"\nreason = \"no shell runs\"\nexpires = {expires}\n"
        )
    };
    let run = scan(&rule("CVE-2026-7", "2026-01-04"), "json");
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    let suppressed = &run.json()["findings"][0]["suppressed"];
    assert_eq!(suppressed["reason"], "no shell runs");
    assert_eq!(suppressed["expires"], "2026-01-04T00:00:00Z");
    let run = scan(&rule("CVE-2026-7", "2026-01-04"), "text");
    assert!(run.out.contains("ignored    CVE-2026-7"), "{}", run.out);
    assert!(
        scan(&rule("CVE-2026-7", "2026-01-04"), "sarif").out.contains("\"justification\": \"no shell runs\"")
    );
    // Its day is over, or it is about something else.
    let run = scan(&rule("CVE-2026-7", "2026-01-03"), "text");
    assert_eq!(run.code, 4);
    assert!(run.out.contains("no longer ignored CVE-2026-7 in bash: no shell runs"), "{}", run.out);
    let run = scan(&rule("CVE-2026-8", "2026-01-04"), "text");
    assert_eq!(run.code, 4);
    assert!(run.out.contains("fits nothing"), "{}", run.out);
    // What is no rule is a wrong call.
    let without = |member: &str| {
        let rule = rule("CVE-2026-7", "2026-01-04");
        rule.lines().filter(|line| !line.starts_with(member)).collect::<Vec<_>>().join("\n")
    };
    for (rules, said) in [
        (without("reason"), "missing field `reason`"),
        (without("expires"), "missing field `expires`"),
        (rule("CVE-2026-7", "10:00:00"), "expected a date or a time with its zone"),
        (rule("CVE-2026-7", "2026-01-04T10:00:00"), "expected a date or a time with its zone"),
        (rule(" ", "2026-01-04"), "expected an id and a reason"),
        (format!("{}why = 1\n", rule("CVE-2026-7", "2026-01-04")), "unknown field `why`"),
    ] {
        let run = scan(&rules, "json");
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{rules}");
        assert!(run.err.contains(said) && run.err.contains("hint: "), "{}", run.err);
    }
}

/// A publisher's repository and image.
struct Story {
    folder: tempfile::TempDir,
    endpoints: Endpoints,
    surface: Surface,
}

impl Story {
    fn begin(kind: SurfaceKind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let surface = Surface::start(kind, folder.path()).unwrap();
        let endpoints = surface.endpoints().unwrap();
        fs::write(folder.path().join("root.json"), &endpoints.root).unwrap();
        Self { folder, endpoints, surface }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Signs the image of a layout that has the tag `1`, under a name. Its digest.
    fn sign(&mut self, layout: &Path, name: &str) -> String {
        let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
        let entries = index["manifests"].as_array().unwrap();
        let tagged = |entry: &&Value| entry["annotations"]["org.opencontainers.image.ref.name"] == "1";
        let digest = entries.iter().find(tagged).unwrap()["digest"].as_str().unwrap().to_owned();
        let manifest = fs::read(layout.join("blobs").join(digest.replace(':', "/"))).unwrap();
        {
            let mut world = self.surface.world();
            world.repo.role_mut("targets").set_target(name, &Target::of(&manifest)).unwrap();
            world.repo.publish().unwrap();
        }
        self.endpoints = self.surface.endpoints().unwrap();
        digest
    }

    fn scan(&self, more: &[&str]) -> Run {
        let (at, root) = (self.endpoints.now.to_rfc3339(), self.path("root.json"));
        let mut words = vec!["scan", &self.endpoints.image, "--as", &self.endpoints.name, "--at", &at];
        words.extend(["--repo", &self.endpoints.repo, "--root", root.to_str().unwrap()]);
        words.extend(["--platform", self.endpoints.platform]);
        words.extend(more);
        verify(&self.path("home"), &words)
    }
}

#[test]
fn a_verified_image_is_scanned_and_the_report_says_on_whose_word() {
    for kind in [SurfaceKind::Directory, SurfaceKind::Http] {
        let story = Story::begin(kind);
        let run = story.scan(&["--format", "json"]);
        let report = run.json();
        assert_eq!(run.code, 0, "{}", run.err);
        assert_eq!(report["image"]["verified"], true);
        assert_eq!(report["image"]["reference"], story.endpoints.name);
        assert!(report["image"]["role"].is_string());
        assert_eq!(report["layers"][0]["diff_id"].as_str().unwrap().len(), 71);
    }
}

#[test]
fn a_broken_layer_is_found_by_the_scan_and_nothing_is_reported() {
    let story = Story::begin(SurfaceKind::Directory);
    assert_eq!(story.scan(&[]).code, 0);
    for entry in fs::read_dir(story.path("image").join("blobs/sha256")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    let run = story.scan(&[]);
    assert_eq!((run.code, run.out.as_str()), (1, ""), "{}", run.err);
    assert!(run.err.starts_with("error: could not scan: layer sha256:"), "{}", run.err);
}

#[test]
fn one_platform_is_scanned_at_a_time() {
    let story = Story::begin(SurfaceKind::Directory);
    let image = &story.endpoints.image;
    let run = verify(&story.path("home"), &["scan", image, "--unverified", "--all-platforms"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("scan each with --platform"), "{}", run.err);
    let run = verify(&story.path("home"), &["scan", image, "--unverified", "--platform", "linux/s390x"]);
    assert_eq!(run.code, 2, "{}", run.err);
    assert!(run.err.contains("expected an image for linux/s390x, got "), "{}", run.err);
}

/// A publisher signed what is vulnerable: the chain holds, and the scan stops it.
#[test]
fn a_vulnerable_image_that_is_correctly_signed_is_stopped() {
    let mut story = Story::begin(SurfaceKind::Http);
    let mine = story.path("mine");
    let (image, db) = (debian(&mine), database(&mine));
    let name = "registry.example.com/acme/web:vulnerable";
    let layout = mine.join("image");
    let digest = story.sign(&layout, name);
    let (at, root) = (story.endpoints.now.to_rfc3339(), story.path("root.json"));
    let verify = |more: &[&str]| {
        let mut words = vec!["image", &image, "--as", name, "--at", &at, "--repo", &story.endpoints.repo];
        words.extend(["--root", root.to_str().unwrap()]);
        words.extend(more);
        verify(&story.path("home"), &words)
    };
    let pinned = format!("registry.example.com/acme/web@{digest}\n");
    let run = verify(&[]);
    assert_eq!((run.code, run.out.as_str()), (0, pinned.as_str()), "{}", run.err);
    let run = verify(&["--scan", "--db", &db]);
    assert_eq!((run.code, run.out.as_str()), (0, pinned.as_str()), "{}", run.err);

    let run = verify(&["--scan", "--db", &db, "--fail-on", "high"]);
    assert_eq!((run.code, run.out.as_str()), (4, ""), "{}", run.err);
    assert!(run.err.contains("expected no finding of severity high or worse, got 1"), "{}", run.err);
    assert!(run.err.contains("hint: `verify scan`"), "{}", run.err);
    let run = verify(&["--scan", "--db", &db, "--fail-on", "high", "--format", "json"]);
    let report = run.json();
    assert_eq!(run.code, 4);
    assert_eq!((&report["verdict"], &report["broken"]["stage"]), (&"refused".into(), &"scan".into()));
    assert!(report["pinned"].is_null() && report["digest"].is_null(), "{report}");
    let links = report["links"].as_array().unwrap();
    assert!(links.iter().all(|link| link["status"] != "deferred"), "layers were hashed on the way: {report}");

    // Rules without a scan, or a scan with rules and nothing to look up in, are wrong calls, not a pass.
    let run = verify(&["--db", &db, "--fail-on", "high"]);
    assert_eq!((run.code, run.out.as_str()), (2, ""), "{}", run.err);
    let run = verify(&["--scan", "--fail-on", "high"]);
    assert_eq!((run.code, run.out.as_str()), (2, ""), "{}", run.err);

    // A damaged layer is found before anything is said of what is in it.
    for entry in fs::read_dir(layout.join("blobs/sha256")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            fs::write(&path, [&bytes[..], b"x"].concat()).unwrap();
        }
    }
    let run = verify(&["--scan", "--db", &db]);
    assert_eq!((run.code, run.out.as_str()), (1, ""), "{}", run.err);
}

#[test]
fn other_engines_look_at_the_image_that_was_verified() {
    let mut story = Story::begin(SurfaceKind::Directory);
    let mine = story.path("mine");
    let image = support::debian(&mine);
    let name = "registry.example.com/acme/web:1";
    let digest = story.sign(&mine.join("image"), name);
    let (at, root) = (story.endpoints.now.to_rfc3339(), story.path("root.json"));
    let home = story.path("home");
    fs::create_dir(&home).unwrap();
    let scan = |engine: &str| {
        let mut words = vec!["scan", &image, "--as", name, "--at", &at, "--repo", &story.endpoints.repo];
        words.extend(["--root", root.to_str().unwrap(), "--format", "json", "--plugin", engine]);
        support::verify(&home, &words)
    };
    let plugin = story.path("plugin");
    let script = r#"#!/bin/sh
[ "$1" = describe ] && echo '{ "protocol": 1, "name": "mine", "input": "root" }' && exit
grep -q '"verified": true' "$2" || exit 5
digest=$(sed -n 's/^  "digest": "\(.*\)",$/\1/p' "$2")
echo "{ \"protocol\": 1, \"digest\": \"$digest\", \"findings\": [{ \"id\": \"MINE-1\", \"package\": \"bash\" }] }"
"#;
    fs::write(&plugin, script).unwrap();
    fs::set_permissions(&plugin, fs::Permissions::from_mode(0o755)).unwrap();
    let run = scan(plugin.to_str().unwrap());
    assert_eq!(run.code, 0, "{}", run.err);
    let report = run.json();
    assert_eq!((&report["image"]["verified"], &report["image"]["manifest"]), (&true.into(), &digest.into()));
    assert_eq!(report["findings"][0]["id"], "MINE-1");

    if !Command::new("oscap").arg("--version").output().is_ok_and(|said| said.status.success()) {
        assert!(std::env::var_os("HALLMARK_NO_SKIPS").is_none(), "oscap is not installed");
        return eprintln!("SKIPPED: oscap is not installed");
    }
    let oval = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scan-engines/tests/answers/oval.xml");
    let run = scan(&format!("oscap={}", oval.display()));
    assert_eq!(run.code, 0, "{}", run.err);
    let report = run.json();
    assert_eq!(report["image"]["verified"], true);
    assert_eq!(
        (&report["findings"][0]["id"], &report["findings"][0]["engine"]),
        (&"CVE-2026-7".into(), &"oscap".into())
    );
    // A byte of it changed, and no engine is asked.
    for entry in fs::read_dir(mine.join("image/blobs/sha256")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            fs::write(&path, [&bytes[..], b"x"].concat()).unwrap();
        }
    }
    scan(plugin.to_str().unwrap()).failed(1, &["could not scan"]);
}
