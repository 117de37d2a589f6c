//! Scans of what is in a pack, and reports with a scan in them worked out anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

use oci_image::Digest;
use serde_json::{Value, json};
use test_repos::images::ImageBuilder;
use test_repos::surface::{Endpoints, Surface, SurfaceKind};
use tuf_core::schema::Target;

const NAME: &str = "registry.example.com/acme/web:vulnerable";

struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Run {
    #[track_caller]
    fn is(self, code: i32, says: &[&str]) -> Self {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        for words in says {
            assert!(self.err.contains(words), "expected {words:?} in {}", self.err);
        }
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|why| panic!("{why}: {} {}", self.out, self.err))
    }
}

/// A Debian image of two layers with a weakness, which its publisher signed, and advisories that know of it.
struct Story {
    folder: tempfile::TempDir,
    endpoints: Endpoints,
    image: String,
    _surface: Surface,
}

impl Story {
    fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let status =
            "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2.15-2+b2\n";
        let image = ImageBuilder::new()
            .file("etc/os-release", b"ID=debian\nVERSION_ID=\"12\"\n")
            .file("var/lib/dpkg/status", status.as_bytes())
            .layer()
            .file("opt/a-1.0.dist-info/METADATA", b"Name: a\nVersion: 1.0\n\n")
            .build()
            .unwrap();
        image.write_layout(folder.path().join("mine"), "1").unwrap();
        let surface = Surface::start(SurfaceKind::Directory, folder.path()).unwrap();
        {
            let mut world = surface.world();
            world.repo.role_mut("targets").set_target(NAME, &Target::of(&image.manifest.bytes)).unwrap();
            world.repo.publish().unwrap();
        }
        let endpoints = surface.endpoints().unwrap();
        fs::write(folder.path().join("root.json"), &endpoints.root).unwrap();
        let story = Self { folder, endpoints, image: "oci:mine:1".into(), _surface: surface };
        story.advisories("advisories.db", "5.2.15-3");
        story.advisories("others.db", "5.0");
        story
    }

    /// A database by which bash is affected before that version.
    fn advisories(&self, file: &str, fixed: &str) {
        let advisory = json!({
            "id": "DEBIAN-CVE-2026-7", "modified": "2026-01-01T00:00:00Z", "summary": "A made-up weakness",
            "severity": [{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" }],
            "affected": [{ "package": { "ecosystem": "Debian:12", "name": "bash" },
                "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": fixed }] }] }],
        });
        let from = self.path(&format!("osv-{file}"));
        fs::create_dir_all(from.join("Debian")).unwrap();
        let mut zip = zip::ZipWriter::new(fs::File::create(from.join("Debian/all.zip")).unwrap());
        zip.start_file("DEBIAN-CVE-2026-7.json", zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(advisory.to_string().as_bytes()).unwrap();
        zip.finish().unwrap();
        advisories::build(&from, &self.path(file)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn verify(&self, home: &str, words: &[&str]) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_verify"));
        command.args(words).env_clear().env("HOME", self.path(home)).current_dir(self.folder.path());
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Run { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// Of the image where it lies, by the repository.
    fn image(&self, verb: &str, more: &[&str]) -> Run {
        let at = self.endpoints.now.to_rfc3339();
        let words = [verb, &self.image, "--as", NAME, "--repo", &self.endpoints.repo, "--root", "root.json"];
        self.verify("home", &[&words[..], &["--at", &at], more].concat())
    }

    /// Of a pack of it, by somebody who has only that and the root.
    fn packed(&self, verb: &str, pack: &str, more: &[&str]) -> Run {
        let at = self.endpoints.now.to_rfc3339();
        let words = [verb, "--pack", pack, "--root", "root.json", "--at", &at];
        self.verify("other", &[&words[..], more].concat())
    }

    fn pack(&self) {
        self.image("pack", &["-o", "whole.hpk", "--with-layers"]).is(0, &[]);
        self.image("pack", &["-o", "bare.hpk"]).is(0, &[]);
        // What isn't in the pack can't be had.
        fs::rename(self.path("mine"), self.path("elsewhere")).unwrap();
    }

    fn report(&self, more: &[&str]) -> Value {
        let run = self.image("image", &[&["--format", "json", "--with-proof", "--scan"], more].concat());
        run.is(0, &[]).json()
    }

    fn replay(&self, report: &Value, more: &[&str]) -> Run {
        fs::write(self.path("proof.json"), report.to_string()).unwrap();
        self.verify("other", &[&["replay", "proof.json", "--root", "root.json"], more].concat())
    }
}

impl Story {
    /// Rules that demand a scan by that database.
    fn policy(&self, db: &str) -> &'static str {
        let rules = format!(
            "version = 1\n[[scope]]\nname = \"acme\"\nmatch = [\"registry.example.com/acme/**\"]\n\
             trust = {{ repo = {:?}, root = \"root.json\" }}\n[scope.scan]\ndb = \"{db}\"\nfail-on = \"high\"\n",
            self.endpoints.repo
        );
        fs::write(self.path("policy.toml"), rules).unwrap();
        "policy.toml"
    }
}

#[test]
fn a_pack_with_layers_is_scanned_as_its_image_is() {
    let story = Story::begin();
    let by = ["--db", "advisories.db", "--format", "json"];
    let there = story.image("scan", &by).is(0, &[]).json();
    assert_eq!(there["findings"][0]["package"], "bash");
    story.pack();
    assert_eq!(story.packed("scan", "whole.hpk", &by).is(0, &[]).json(), there);
    let gate = story.packed("scan", "whole.hpk", &[&by[..], &["--fail-on", "high"]].concat()).is(4, &[]);
    assert_eq!(gate.json()["gate"]["passed"], false);
    story.packed("image", "whole.hpk", &["--scan", "--db", "advisories.db", "--fail-on", "high"]).is(4, &[]);
    // Nobody vouches for it: said, and nothing else is different.
    let words = ["scan", "--pack", "whole.hpk", "--unverified"];
    let unverified = story.verify("other", &[&words[..], &by].concat());
    let unverified = unverified.is(0, &["warning: nobody was asked whether"]).json();
    assert_eq!(unverified["image"]["verified"], false);
    assert_eq!(unverified["findings"], there["findings"]);
    assert_eq!(unverified["image"]["reference"], NAME);
}

#[test]
fn a_pack_without_layers_says_what_it_lacks_and_how_to_make_one() {
    let story = Story::begin();
    story.pack();
    let lacks = ["could not scan: pack bare.hpk lacks 2 of the image's 2 layers", "--with-layers"];
    let by = ["--db", "advisories.db"];
    let run = story.packed("scan", "bare.hpk", &by).is(3, &lacks);
    assert_eq!(run.out, "");
    story.packed("image", "bare.hpk", &[&["--scan"], &by[..]].concat()).is(3, &lacks);
    story.verify("other", &["scan", "--pack", "bare.hpk", "--unverified"]).is(3, &lacks);
    story.packed("image", "bare.hpk", &[]).is(0, &[]);
}

#[test]
fn a_pack_that_is_not_trusted_is_not_scanned() {
    let story = Story::begin();
    story.pack();
    let none = story.verify("other", &["scan", "--pack", "whole.hpk", "--format", "json"]);
    assert_eq!(none.is(1, &["a pack can't vouch for itself"]).json()["verdict"], "refused");
    let at = ["--at", "2999-01-01T00:00:00Z"];
    let old = ["scan", "--pack", "whole.hpk", "--root", "root.json"];
    assert_eq!(story.verify("other", &[&old[..], &at].concat()).is(1, &["expired at "]).out, "");
    let repo = ["scan", "--pack", "whole.hpk", "--repo", &story.endpoints.repo];
    story.verify("other", &repo).is(2, &["cannot be used with"]);
    story.verify("other", &["scan"]).is(2, &[]);
    let mut bytes = fs::read(story.path("whole.hpk")).unwrap();
    let layer = bytes.windows(2).rposition(|two| two == [0x1f, 0x8b]).unwrap();
    bytes[layer + 4] ^= 1;
    fs::write(story.path("whole.hpk"), bytes).unwrap();
    story.packed("scan", "whole.hpk", &[]).is(1, &["refused pack whole.hpk: "]);
}

#[test]
fn a_scan_is_made_again_where_its_layers_and_advisories_are_at_hand() {
    let story = Story::begin();
    let report = story.report(&["--db", "advisories.db"]);
    let digest = Digest::of(&fs::read(story.path("advisories.db")).unwrap());
    assert_eq!(report["proof"]["advisories"], digest.hex());
    story.pack();
    let again = ["--pack", "whole.hpk", "--db", "advisories.db"];
    let run = story.replay(&report, &[&again[..], &["--format", "json"]].concat()).is(0, &[]).json();
    assert_eq!(run["verdict"], "trusted");
    assert!(run["rechecked"].as_array().unwrap().contains(&json!("scan")), "{run}");
    assert!(!run["not_rechecked"].to_string().contains("scan"), "{run}");

    // What is missing is named, and never passed over.
    let both = ["a link scan, which was not worked out anew", "--pack FILE", "--db FILE", "--skip scan"];
    story.replay(&report, &[]).is(3, &both);
    story.replay(&report, &["--db", "advisories.db"]).is(3, &both);
    story.replay(&report, &["--pack", "bare.hpk", "--db", "advisories.db"]).is(3, &both);
    story.replay(&report, &["--pack", "whole.hpk"]).is(3, &["give the advisories that it was made with"]);
    let other = ["the scan was made with advisories of sha256 ", &digest.hex()];
    story.replay(&report, &["--pack", "whole.hpk", "--db", "others.db"]).is(3, &other);
    let skipped = story.replay(&report, &["--skip", "scan"]);
    skipped.is(0, &["not worked out anew: the link scan: it was to be left out"]);

    // What is claimed and isn't so is refused; so is what other rules stop.
    let at = report["links"].as_array().unwrap().iter().position(|link| link["stage"] == "scan").unwrap();
    let mut better = report.clone();
    better["links"][at]["detail"] = json!("2 components, no finding");
    story.replay(&better, &again).is(1, &["the report says 2 components, no finding"]);
    story
        .replay(&report, &[&again[..], &["--fail-on", "high"]].concat())
        .is(1, &["rule of the scan is broken"]);
    let mut silent = report.clone();
    silent["proof"].as_object_mut().unwrap().remove("advisories");
    story.replay(&silent, &again).is(0, &["which advisories the scan was made with"]);
    story
        .replay(&silent, &["--pack", "whole.hpk", "--db", "others.db"])
        .is(1, &["it is 2 components, no finding"]);
    let mut none = report;
    none["links"].as_array_mut().unwrap().remove(at);
    story.replay(&none, &again).is(2, &["the report tells of none"]);
    story.replay(&none, &["--pack", "whole.hpk"]).is(1, &[]);
}

#[test]
fn a_scan_by_rules_and_one_without_advisories_are_made_again() {
    let story = Story::begin();
    let plain = story.report(&[]);
    assert_eq!(plain["proof"].get("advisories"), None);
    let rules = story.policy("others.db");
    let at = story.endpoints.now.to_rfc3339();
    let words = ["image", &story.image, "--as", NAME, "--at", &at, "--policy", rules];
    let run = story.verify("home", &[&words[..], &["--format", "json", "--with-proof"]].concat());
    let ruled = run.is(0, &[]).json();
    story.pack();
    story.replay(&plain, &["--pack", "whole.hpk"]).is(0, &[]);
    story.replay(&plain, &["--pack", "whole.hpk", "--db", "advisories.db"]).is(1, &["there is no database"]);
    let replay = |report: &Value| {
        fs::write(story.path("proof.json"), report.to_string()).unwrap();
        story.verify("other", &["replay", "proof.json", "--pack", "whole.hpk", "--policy", rules])
    };
    let run = replay(&ruled).is(0, &["worked out anew: "]);
    assert!(run.err.contains(", scan"), "{}", run.err);
    // Rules that demand a scan, and a report that tells of none.
    let chain = story.packed("image", "whole.hpk", &["--format", "json", "--with-proof"]).is(0, &[]).json();
    replay(&chain).is(1, &["the rules demand a scan"]);
    story.policy("advisories.db");
    replay(&ruled).is(3, &["the scan was made with advisories of sha256 "]);
}
