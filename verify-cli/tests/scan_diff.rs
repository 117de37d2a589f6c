//! `verify scan diff` as a person calls it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use test_repos::images::ImageBuilder;
use test_repos::surface::{Surface, SurfaceKind};

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

/// Runs `verify` with a clean environment, in a folder that is its home.
fn verify(home: &Path, words: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_verify"));
    let output = command.args(words).env_clear().env("HOME", home).current_dir(home).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Run { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// A Debian image with these packages, in a layout of that name.
fn image(folder: &Path, name: &str, packages: &[(&str, &str)]) {
    let stanza = |(name, version): &(&str, &str)| {
        format!("Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n")
    };
    let status = packages.iter().map(stanza).collect::<Vec<_>>().join("\n");
    let image = ImageBuilder::new()
        .file("etc/os-release", b"ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian 12\"\n")
        .file("var/lib/dpkg/status", status.as_bytes())
        .build()
        .unwrap();
    image.write_layout(folder.join(name), "1").unwrap();
}

/// A database in which each of these packages is affected below a version.
fn database(folder: &Path, known: &[(&str, &str, &str)]) {
    let from = folder.join("osv");
    fs::create_dir_all(from.join("Debian")).unwrap();
    let mut zip = zip::ZipWriter::new(fs::File::create(from.join("Debian/all.zip")).unwrap());
    for (id, package, fixed) in known {
        let advisory = json!({
            "id": format!("DEBIAN-{id}"), "modified": "2026-01-01T00:00:00Z", "summary": "A made-up weakness",
            "aliases": [id],
            "severity": [{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" }],
            "affected": [{
                "package": { "ecosystem": "Debian:12", "name": package },
                "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": fixed }] }],
            }],
        });
        zip.start_file(format!("{id}.json"), zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(advisory.to_string().as_bytes()).unwrap();
    }
    zip.finish().unwrap();
    advisories::build(&from, &folder.join("advisories.db")).unwrap();
}

/// Two images: bash was mended, git came with a weakness, zsh has one as before, vim went.
fn story() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    image(folder.path(), "old", &[("bash", "5.2"), ("zsh", "5.9"), ("vim", "9.0")]);
    image(folder.path(), "new", &[("bash", "5.3"), ("zsh", "5.9"), ("git", "2.0")]);
    let known = [("CVE-2026-1", "bash", "5.3"), ("CVE-2026-2", "zsh", "6"), ("CVE-2026-3", "git", "2.1")];
    database(folder.path(), &known);
    folder
}

const DIFF: [&str; 7] = ["scan", "diff", "oci:old:1", "oci:new:1", "--unverified", "--db", "advisories.db"];

#[test]
fn a_comparison_says_what_got_better_and_what_got_worse() {
    let folder = story();
    let run = verify(folder.path(), &DIFF);
    assert_eq!(run.code, 0, "{}", run.err);
    let shown: Vec<&str> = run.out.lines().filter(|line| !line.contains("sha256:")).collect();
    assert_eq!(
        shown,
        [
            "old  UNVERIFIED oci:old:1: nobody vouches for these bytes",
            "     Debian 12; 3 components; advisories made 2026-01-01T00:00:00Z",
            "new  UNVERIFIED oci:new:1: nobody vouches for these bytes",
            "     Debian 12; 3 components; advisories made 2026-01-01T00:00:00Z",
            "",
            "FINDINGS THAT COUNT",
            "                 old    new     gone    new",
            "  critical         2      2       -1     +1",
            "",
            "COMPONENTS  1 added, 1 removed, 1 in other versions, 1 the same",
            "  + deb      git 2.0",
            "  - deb      vim 9.0",
            "  ~ deb      bash 5.2 -> 5.3",
            "",
            "NEW (1)",
            "  git none -> 2.0  Debian:12",
            "      critical   CVE-2026-3       -> 2.1               the component is new",
            "                 A made-up weakness",
            "",
            "GONE (1)",
            "  bash 5.2 -> 5.3  Debian:12",
            "      critical   CVE-2026-1       -> 5.3               another version",
            "                 A made-up weakness",
            "",
            "STILL (1)",
            "  zsh 5.9  Debian:12: 1 critical",
            "",
            "better and worse: 1 findings are gone, 1 are new, 1 are still there",
        ]
    );
    let report = verify(folder.path(), &[&DIFF[..], &["--format", "json"]].concat()).json();
    assert_eq!(report["findings"]["new"][0]["id"], "CVE-2026-3");
    assert_eq!(report["findings"]["new"][0]["because"], "component-added");
    assert_eq!(report["findings"]["gone"][0]["because"], "version-changed");
    assert_eq!(report["severities"][0]["severity"], "critical");
    assert_eq!(report["old"]["image"]["verified"], false);
    let page = verify(folder.path(), &[&DIFF[..], &["--format", "html"]].concat()).out;
    assert!(page.starts_with("<!doctype html>") && page.contains("CVE-2026-3") && !page.contains("<script"));
}

#[test]
fn only_what_is_new_breaks_a_rule() {
    let folder = story();
    let run = verify(folder.path(), &[&DIFF[..], &["--fail-on", "high"]].concat());
    assert_eq!(run.code, 4, "{}{}", run.out, run.err);
    assert!(
        run.out.ends_with("FAILED expected no finding of severity high or worse, got 1\n"),
        "{}",
        run.out
    );
    let back = ["scan", "diff", "oci:new:1", "oci:new:1", "--unverified", "--db", "advisories.db"];
    let run = verify(folder.path(), &[&back[..], &["--fail-on", "any"]].concat());
    assert_eq!(run.code, 0, "{}", run.out);
    assert!(run.out.contains("both are the same image"), "{}", run.out);
    assert!(run.out.contains("the same: 0 findings are gone, 0 are new, 2 are still there"), "{}", run.out);
    // The database is too old for both.
    let run = verify(folder.path(), &[&back[..], &["--max-db-age", "1h"]].concat());
    assert_eq!(run.code, 4);
}

#[test]
fn a_report_stands_for_an_image_and_nobody_vouches_for_it() {
    let folder = story();
    let keep = |name: &str| {
        let image = format!("oci:{name}:1");
        let words = ["scan", &image, "--unverified", "--db", "advisories.db", "--format", "json"];
        let run = verify(folder.path(), &words);
        fs::write(folder.path().join(format!("{name}.json")), run.out).unwrap();
    };
    keep("old");
    keep("new");
    let mixed = ["scan", "diff", "old.json", "oci:new:1", "--unverified", "--db", "advisories.db"];
    let run = verify(folder.path(), &mixed);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.err.contains("warning: nobody vouches for what old.json says"), "{}", run.err);
    assert!(run.out.contains("report old.json: nobody vouches for it"), "{}", run.out);
    let both = |more: &[&str]| {
        verify(
            folder.path(),
            &[&["scan", "diff", "./old.json", "./new.json", "--format", "json"][..], more].concat(),
        )
    };
    let run = both(&["--fail-on", "any"]);
    let report = run.json();
    assert_eq!((run.code, &report["gate"]["broken"][0]["advisories"][0]), (4, &"CVE-2026-3".into()));
    assert_eq!(report["old"]["file"], "./old.json");
    assert_eq!(both(&["--max-db-age", "1h"]).code, 4, "it has aged since");
    for more in [&["--db", "advisories.db"][..], &["--plugin", "trivy"]] {
        let run = both(more);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{more:?}");
        assert!(run.err.contains("two reports are compared as they are"), "{}", run.err);
    }
}

#[test]
fn a_wrong_call_is_told_and_an_image_may_still_be_called_diff() {
    let folder = story();
    fs::write(folder.path().join("bad.json"), r#"{"version": 7}"#).unwrap();
    for (words, said) in [
        (&["scan", "diff", "oci:old:1"][..], "the following required arguments were not provided"),
        (&["scan", "diff", "bad.json", "oci:new:1", "--unverified"], "expected a report of version 1, got 7"),
        (&["scan", "diff", "none.json", "oci:new:1", "--unverified"], "none.json can't be used"),
        (
            &["scan", "diff", "oci:old:1", "oci:new:1", "--unverified", "--fail-on", "high"],
            "a rule needs advisories",
        ),
        (&["scan", "diff", "A B", "oci:new:1"], "invalid value 'A B' for '<OLD>'"),
        (&["scan"], "the following required arguments were not provided"),
    ] {
        let run = verify(folder.path(), words);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{words:?} {}", run.err);
        assert!(run.err.contains(said), "{words:?} {}", run.err);
    }
    // A bare name is an image where it isn't the verb: behind an option, or behind the end of them.
    for words in [
        &["scan", "--offline", "diff"][..],
        &["scan", "--offline", "--", "diff"],
        &["scan", "--offline", "help"],
    ] {
        let run = verify(folder.path(), words);
        assert!(run.err.contains("docker.io/library/"), "{words:?} {} {}", run.out, run.err);
    }
    let help = verify(folder.path(), &["scan", "diff", "--help"]);
    assert_eq!(help.code, 0);
    assert!(help.out.contains("Usage: verify scan diff [OPTIONS] <OLD> <NEW>"), "{}", help.out);
}

#[test]
fn both_images_are_verified_first() {
    let folder = tempfile::tempdir().unwrap();
    let surface = Surface::start(SurfaceKind::Directory, folder.path()).unwrap();
    let endpoints = surface.endpoints().unwrap();
    fs::write(folder.path().join("root.json"), &endpoints.root).unwrap();
    let at = endpoints.now.to_rfc3339();
    image(folder.path(), "mine", &[("bash", "5.2")]);
    let diff = |new: &str, known_as: &str| {
        let words =
            ["scan", "diff", &endpoints.image, new, "--old-as", &endpoints.name, "--new-as", known_as];
        let trust =
            ["--repo", &endpoints.repo, "--root", "root.json", "--at", &at, "--platform", endpoints.platform];
        verify(folder.path(), &[&words[..], &trust, &["--format", "json"]].concat())
    };
    let run = diff(&endpoints.image, &endpoints.name);
    assert_eq!(run.code, 0, "{}", run.err);
    let report = run.json();
    assert_eq!(
        (&report["old"]["image"]["verified"], &report["new"]["image"]["verified"]),
        (&json!(true), &json!(true))
    );
    assert!(report["old"]["file"].is_null());
    // Bytes that aren't those that the name stands for: the verdict, and no comparison.
    let run = diff("oci:mine:1", &endpoints.name);
    assert_eq!(run.code, 1, "{}", run.err);
    let verdict = run.json();
    assert_eq!(verdict["verdict"], "refused");
    assert!(verdict.get("findings").is_none());
}
