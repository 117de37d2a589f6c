//! `verify scan` as a person calls it: verified first, or said not to be.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use test_repos::images::ImageBuilder;
use test_repos::surface::{Endpoints, Surface, SurfaceKind};

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
    for (rule, code) in [("critical", 4), ("any", 4), ("low", 4)] {
        let run = scan(&["--fail-on", rule, "--fixable-only"]);
        assert_eq!(run.code, code, "{rule}");
        assert!(run.out.contains(&format!("{}: 1 findings", "--fixable-only")), "{}", run.out);
    }
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

/// A publisher's repository and image.
struct Story {
    folder: tempfile::TempDir,
    endpoints: Endpoints,
    _surface: Surface,
}

impl Story {
    fn begin(kind: SurfaceKind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let surface = Surface::start(kind, folder.path()).unwrap();
        let endpoints = surface.endpoints().unwrap();
        fs::write(folder.path().join("root.json"), &endpoints.root).unwrap();
        Self { folder, endpoints, _surface: surface }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
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
