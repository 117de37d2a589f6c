//! `verify db publish|update|status`: the database as a target, and the attacks on it.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::{TimeDelta, Utc};
use test_repos::http::{Server, folder};
use test_repos::registry::Registry;
use test_repos::simulator::Simulator;
use test_repos::tree::Tree;
use tuf_core::consistent_target_name;
use tuf_core::schema::Target;

use crate::support::{Run, database, debian, verify};

pub(crate) const TARGET: &str = "advisories/osv.db";

/// A repository in a folder that signs databases, and a machine that follows it.
pub(crate) struct Desk {
    pub(crate) home: tempfile::TempDir,
    repo: Simulator,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let desk = Self { home: tempfile::tempdir().unwrap(), repo: Simulator::new(Utc::now()).unwrap() };
        fs::create_dir_all(desk.path("repo/metadata")).unwrap();
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Signs a database as the newest one, and serves it. The file that is served.
    pub(crate) fn publish(&mut self, number: u32) -> PathBuf {
        let bytes = fs::read(database(self.home.path(), number)).unwrap();
        self.publish_bytes(&bytes)
    }

    fn publish_bytes(&mut self, bytes: &[u8]) -> PathBuf {
        let stored = self.list(&Target::of(bytes));
        fs::write(&stored, bytes).unwrap();
        stored
    }

    /// Signs that this is the newest database. Where its file is to be.
    pub(crate) fn list(&mut self, target: &Target) -> PathBuf {
        self.repo.role_mut("targets").set_target(TARGET, target).unwrap();
        self.repo.publish().unwrap();
        self.serve();
        let stored = self.path("repo/targets").join(consistent_target_name(TARGET, &target.hashes["sha256"]));
        fs::create_dir_all(stored.parent().unwrap()).unwrap();
        stored
    }

    /// The metadata, as it is published in a registry.
    pub(crate) fn metadata(&self) -> Vec<(String, Vec<u8>)> {
        let file = |name: String| (name.clone(), self.repo.fetch(&name).unwrap().unwrap());
        self.repo.names().into_iter().map(file).collect()
    }

    fn serve(&self) {
        for name in self.repo.names() {
            fs::write(self.path("repo/metadata").join(&name), self.repo.fetch(&name).unwrap().unwrap())
                .unwrap();
        }
    }

    pub(crate) fn verify(&self, words: &[&str]) -> Run {
        verify(self.home.path(), words)
    }

    /// The first update, which says whom to believe.
    fn first(&self) -> Run {
        let (repo, root) = (self.path("repo"), self.path("repo/metadata/1.root.json"));
        let (repo, root) = (repo.display().to_string(), root.display().to_string());
        self.verify(&["db", "update", "--repo", &repo, "--root", &root, "--format", "json"])
    }

    pub(crate) fn update(&self) -> Run {
        self.verify(&["db", "update", "--format", "json"])
    }

    /// The CVEs of a scan that names no database.
    pub(crate) fn scanned(&self) -> Vec<String> {
        let image = debian(self.home.path());
        let report = self.verify(&["scan", &image, "--unverified", "--format", "json"]).json();
        let id = |finding: &serde_json::Value| finding["id"].as_str().unwrap().to_owned();
        report["findings"].as_array().unwrap().iter().map(id).collect()
    }

    /// What is installed: the database, and what is said of it.
    pub(crate) fn installed(&self) -> Tree {
        let dir = self.path(".local/share/hallmark/advisories");
        let files = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
        let copy = tempfile::tempdir_in(self.home.path()).unwrap().keep();
        for file in files.filter(|file| file.extension().is_some()) {
            fs::copy(&file, copy.join(file.file_name().unwrap())).unwrap();
        }
        Tree::of(copy).unwrap()
    }
}

fn half(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

#[test]
fn the_newest_database_is_fetched_once_remembered_and_used_by_scans() {
    let mut desk = Desk::new();
    desk.verify(&["db", "update"]).failed(2, &["no repository of advisories is pinned"]);
    desk.verify(&["db", "status"]).failed(3, &["no database is installed"]);
    assert!(desk.scanned().is_empty());
    desk.publish(1);
    let first = desk.first();
    assert_eq!(first.code, 0, "{}", first.err);
    let delivered = &first.json()["delivered"];
    assert_eq!((delivered["target"].as_str(), delivered["version"].as_u64()), (Some(TARGET), Some(2)));
    assert_eq!((delivered["fetched"].as_bool(), delivered["expired"].as_bool()), (Some(true), Some(false)));
    assert_eq!(desk.scanned(), ["CVE-2026-1"]);
    assert_eq!(desk.update().json()["delivered"]["fetched"], false, "it is here already");

    let served = desk.publish(2);
    assert_eq!(desk.update().json()["delivered"]["fetched"], true);
    assert_eq!(desk.scanned(), ["CVE-2026-2"]);
    fs::remove_file(served).unwrap();
    assert_eq!(desk.update().code, 0, "what is here isn't fetched again");
    let databases = fs::read_dir(desk.path(".local/share/hallmark/advisories")).unwrap();
    let databases = databases.filter(|entry| {
        entry.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "db")
    });
    assert_eq!(databases.count(), 1, "the one before it is gone");
}

/// Puts files under a tag, as publishers do: each is a layer that says its name.
pub(crate) fn push(registry: &Registry, repo: &str, tag: &str, files: &[(String, Vec<u8>)]) {
    let layer = |(name, bytes): &(String, Vec<u8>)| {
        serde_json::json!({
            "mediaType": "application/octet-stream", "digest": registry.put_blob(repo, bytes), "size": bytes.len(),
            "annotations": { "tuf.io/filename": name },
        })
    };
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let empty = oci_image::Digest::of(b"{}");
    let manifest = serde_json::json!({
        "schemaVersion": 2, "mediaType": kind, "layers": files.iter().map(layer).collect::<Vec<_>>(),
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2 },
    });
    registry.put_manifest(repo, tag, kind, manifest.to_string().as_bytes());
}

/// Puts a target's file where it is looked for.
pub(crate) fn push_target(registry: &Registry, stored: &Path, bytes: Vec<u8>) {
    let file = stored.file_name().unwrap().to_str().unwrap().to_owned();
    let tag = oci_image::tuf_layout::target_tag(&format!("advisories/{file}"));
    push(registry, "acme/trust-targets", &tag, &[(file, bytes)]);
}

#[test]
fn a_database_is_fetched_from_a_registry_and_what_else_is_there_is_refused() {
    let mut desk = Desk::new();
    let registry = Registry::start().unwrap();
    let stored = desk.publish(1);
    push(&registry, "acme/trust", "latest", &desk.metadata());
    let target = |stored: &Path, bytes: Vec<u8>| push_target(&registry, stored, bytes);
    let root = desk.path("repo/metadata/1.root.json").display().to_string();
    let repo = format!("oci://{}/acme/trust", registry.host());
    let first = || desk.verify(&["db", "update", "--repo", &repo, "--root", &root, "--format", "json"]);
    first().failed(1, &["refused the database", TARGET]);
    target(&stored, b"something else".to_vec());
    first().failed(1, &["refused the database", TARGET]);
    target(&stored, fs::read(&stored).unwrap());
    let run = first();
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(run.json()["delivered"]["fetched"], true);
    assert_eq!(desk.scanned(), ["CVE-2026-1"]);

    // What is newer is fetched; what isn't there leaves the one before in use.
    let stored = desk.publish(2);
    push(&registry, "acme/trust", "latest", &desk.metadata());
    assert_ne!(desk.update().code, 0);
    assert_eq!(desk.scanned(), ["CVE-2026-1"]);
    target(&stored, fs::read(&stored).unwrap());
    assert_eq!(desk.update().json()["delivered"]["fetched"], true);
    assert_eq!(desk.scanned(), ["CVE-2026-2"]);
}

#[test]
fn a_database_that_is_not_what_was_signed_is_refused_and_the_old_one_stays() {
    let mut desk = Desk::new();
    desk.publish(1);
    assert_eq!(desk.first().code, 0);
    let served = desk.publish(2);
    let good = fs::read(&served).unwrap();

    half(&served);
    desk.update().failed(1, &["refused the database", TARGET]);
    assert_eq!(desk.scanned(), ["CVE-2026-1"]);
    let mut other = good.clone();
    *other.last_mut().unwrap() ^= 1;
    fs::write(&served, other).unwrap();
    desk.update().failed(1, &["refused the database", "sha256"]);
    fs::write(&served, [good.as_slice(), b"more"].concat()).unwrap();
    assert_ne!(desk.update().code, 0);
    fs::remove_file(&served).unwrap();
    assert_ne!(desk.update().code, 0);
    assert_eq!(desk.scanned(), ["CVE-2026-1"]);
    fs::write(&served, good).unwrap();
    assert_eq!(desk.update().code, 0);
    assert_eq!(desk.scanned(), ["CVE-2026-2"]);
    // Signed, and no database all the same.
    desk.publish_bytes(b"not a database, but signed");
    desk.update().failed(1, &["expected a database of advisories"]);
    assert_eq!(desk.scanned(), ["CVE-2026-2"]);
}

#[test]
fn a_repository_that_is_led_back_or_frozen_is_refused() {
    let mut desk = Desk::new();
    desk.publish(1);
    assert_eq!(desk.first().code, 0);
    desk.publish(2);
    assert_eq!(desk.update().code, 0);
    let before = desk.installed();

    // Led back: what was served before, every byte of it good.
    let old = desk.repo.release(1);
    fs::write(desk.path("repo/metadata/timestamp.json"), old.of("timestamp").unwrap()).unwrap();
    desk.update().failed(1, &["expected version"]);
    assert_eq!(desk.scanned(), ["CVE-2026-2"]);
    desk.serve();

    // Frozen: nothing new for longer than anybody vouched.
    let later = (Utc::now() + TimeDelta::days(3)).to_rfc3339();
    desk.verify(&["db", "update", "--at", &later]).failed(1, &["expired"]);
    assert_eq!(desk.scanned(), ["CVE-2026-2"]);
    let image = debian(desk.home.path());
    let scan = desk.verify(&["scan", &image, "--unverified", "--at", &later, "--format", "json"]);
    assert!(scan.err.contains("nobody vouches that there are no newer advisories"), "{}", scan.err);
    before.assert_unchanged();
    desk.publish(3);
    assert_eq!(desk.update().code, 0);
    assert_eq!(desk.scanned(), ["CVE-2026-3"]);
}

#[test]
fn status_names_age_source_version_and_expiry_and_too_old_is_4() {
    let mut desk = Desk::new();
    desk.publish(1);
    desk.first();
    let status = desk.verify(&["db", "status", "--format", "json"]);
    let report = status.json();
    assert_eq!(status.code, 0, "{}", status.err);
    assert_eq!(report["made_at"], "2026-01-01T00:00:00Z");
    assert_eq!(report["sources"][0]["name"], "Debian");
    assert_eq!(report["delivered"]["repo"], desk.path("repo").display().to_string());
    assert_eq!(report["delivered"]["version"], 2);
    assert!(report["delivered"]["expires"].as_str().unwrap() > "2026-01-01");
    assert_eq!(desk.verify(&["db", "status", "--max-age", "99999d"]).code, 0);
    let old = desk.verify(&["db", "status", "--max-age", "1h", "--format", "json"]);
    assert_eq!((old.code, old.json()["too_old"].as_bool()), (4, Some(true)));

    // Whoever changes the file here is found out.
    let sha256 = report["delivered"]["sha256"].as_str().unwrap();
    let file = desk.path(".local/share/hallmark/advisories").join(format!("{sha256}.db"));
    fs::write(&file, b"other").unwrap();
    desk.verify(&["db", "status"]).failed(1, &["isn't the one that was verified"]);
    assert_eq!(desk.update().json()["delivered"]["fetched"], true, "and mended by an update");
    assert_eq!(desk.scanned(), ["CVE-2026-1"]);
}

#[test]
fn what_publish_prints_is_what_a_shell_runs() {
    let desk = Desk::new();
    let file = database(desk.home.path(), 1).display().to_string();
    let run = desk.verify(&["db", "publish", &file, "--trust", "my trust"]);
    assert_eq!(run.code, 0, "{}", run.err);
    let expected = format!(
        "signer --repo 'my trust' add --file {file} --path {TARGET}\nsigner --repo 'my trust' publish\n"
    );
    assert_eq!(run.out, expected);
    desk.verify(&["db", "publish", &file, "--max-age", "1h"]).failed(4, &["older than --max-age"]);
    fs::write(desk.path("no.db"), "something else").unwrap();
    let other = desk.path("no.db").display().to_string();
    desk.verify(&["db", "publish", &other]).failed(1, &["expected a database of advisories"]);
}

#[test]
fn a_bucket_over_http_makes_the_same_bytes_as_a_copy_of_it() {
    let desk = Desk::new();
    let made = fs::read(database(desk.home.path(), 1)).unwrap();
    let bucket = desk.path("osv-1");
    let server = Server::start(folder(&bucket)).unwrap();
    let build = |more: &[&str]| {
        let (url, out) = (server.url(), desk.path("fetched.db").display().to_string());
        desk.verify(&[&["db", "build", "--from", &url, "--out", &out], more].concat())
    };
    build(&[]).failed(3, &["has no ecosystems.txt", "--ecosystem"]);
    let run = build(&["--ecosystem", "Debian"]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(fs::read(desk.path("fetched.db")).unwrap(), made);
    fs::remove_file(desk.path("fetched.db")).unwrap();
    fs::write(bucket.join("ecosystems.txt"), "Debian:12\nDebian\n").unwrap();
    assert_eq!(build(&[]).code, 0);
    assert_eq!(fs::read(desk.path("fetched.db")).unwrap(), made);

    for (name, code) in [("../x", 1), ("_severity", 1), ("Alpine", 3)] {
        fs::write(bucket.join("ecosystems.txt"), format!("{name}\n")).unwrap();
        assert_eq!(build(&[]).code, code, "{name}");
    }
    half(&bucket.join("Debian/all.zip"));
    assert_eq!(build(&["--ecosystem", "Debian"]).code, 1);
    assert_eq!(fs::read(desk.path("fetched.db")).unwrap(), made, "the one that was there stays");
    let left = fs::read_dir(desk.home.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(left.into_iter().all(|name| !name.to_string_lossy().starts_with("hallmark-osv-")));
}
