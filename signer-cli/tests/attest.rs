//! Statements about images: what `signer attest` signs, pushes and refuses, and what it lets the metadata name.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use serde_json::{Value, json};
use support::{Desk, Said};
use test_repos::images::ImageBuilder;
use test_repos::registry::{Fault, Place, Registry};

/// A repository whose image is in a registry of our own, and a key that signs statements.
struct Stage {
    desk: Desk,
    registry: Registry,
}

impl Stage {
    fn new() -> Self {
        let stage = Self { desk: Desk::with_trust(), registry: Registry::start().unwrap() };
        stage.desk.signer(&["key", "new", "ci", "--kind", "ecdsa-p256", "--unencrypted"]).ok();
        stage.write("sbom.json", &json!({ "spdxVersion": "SPDX-2.3", "packages": [] }));
        stage
    }

    fn write(&self, name: &str, document: &Value) {
        fs::write(self.desk.path(name), document.to_string()).unwrap();
    }

    fn name(&self, tag: &str) -> String {
        format!("{}/acme/web:{tag}", self.registry.host())
    }

    fn push(&self, content: &str, tag: &str) -> String {
        let image = ImageBuilder::new().file("content", content.as_bytes()).build().unwrap();
        image.push_to(&self.registry, "acme/web", tag)
    }

    /// With an image that is published.
    fn published() -> (Self, String) {
        let stage = Self::new();
        let digest = stage.push("one", "1");
        stage.desk.signer(&["add", &stage.name("1")]).ok();
        stage.desk.signer(&["publish"]).ok();
        (stage, digest)
    }

    fn attest(&self, more: &[&str]) -> Said {
        let name = self.name("1");
        let all = ["attest", &name, "--type", "spdx", "--predicate", "sbom.json", "--key", "ci"];
        self.desk.signer(&[&all[..], &["--format", "json"], more].concat())
    }

    fn wrote(&self) -> bool {
        self.registry.log().iter().any(|one| !matches!(one.method.as_str(), "GET" | "HEAD"))
    }

    /// The evidence that is published for a path.
    fn evidence(&self, path: &str) -> Vec<String> {
        let folder = self.desk.path("trust/published/metadata");
        let newest = fs::read_dir(&folder)
            .unwrap()
            .filter_map(|entry| {
                let name = entry.unwrap().file_name().into_string().unwrap();
                name.strip_suffix(".targets.json")?.parse::<u64>().ok()
            })
            .max()
            .unwrap();
        let text = fs::read(folder.join(format!("{newest}.targets.json"))).unwrap();
        let targets: Value = serde_json::from_slice(&text).unwrap();
        let hallmark = &targets["signed"]["targets"][path]["custom"]["hallmark"];
        let named = hallmark["evidence"].as_array().cloned().unwrap_or_default();
        named.iter().map(|one| one.as_str().unwrap().to_owned()).collect()
    }
}

fn evidence_of(said: &Said) -> String {
    said.json()["attestations"][0]["evidence"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_staged_is_named_until_it_is_revoked_and_can_be_replaced() {
    let (stage, digest) = Stage::published();
    let (tag, by_digest) = (stage.name("1"), format!("{}/acme/web@{digest}", stage.registry.host()));
    let said = stage.attest(&["--stage"]).ok();
    let first = evidence_of(&said);
    assert_eq!(said.json()["staged"].as_array().unwrap().len(), 2);
    assert!(stage.evidence(&tag).is_empty(), "what is staged is not said yet");
    let shown = stage.desk.signer(&["diff"]).ok();
    assert!(shown.stdout.contains("evidence: 1 named"), "{}", shown.stdout);
    stage.desk.signer(&["publish"]).ok();
    assert_eq!(
        (stage.evidence(&tag), stage.evidence(&by_digest)),
        (vec![first.clone()], vec![first.clone()])
    );
    // The image still means what it meant, and whoever adds it once more changes nothing.
    assert_eq!(stage.desk.trusted(&tag), Some(digest.clone()));
    stage.desk.signer(&["add", &tag]).ok();
    stage.desk.signer(&["publish"]).ok();
    assert_eq!(stage.evidence(&tag), std::slice::from_ref(&first));
    // Another tag of the image has the same evidence.
    stage.push("one", "1.0");
    stage.desk.signer(&["add", &stage.name("1.0")]).ok();
    stage.desk.signer(&["publish"]).ok();
    assert_eq!(stage.evidence(&stage.name("1.0")), std::slice::from_ref(&first));
    // A newer list takes the place of the first one.
    stage.write("sbom.json", &json!({ "spdxVersion": "SPDX-2.3", "packages": [{}] }));
    let second = evidence_of(&stage.attest(&["--stage", "--revoke", &first]).ok());
    assert_ne!(first, second);
    stage.desk.signer(&["publish"]).ok();
    assert_eq!(stage.evidence(&tag), std::slice::from_ref(&second));
    // And then it is taken back.
    stage.registry.clear_log();
    stage.desk.signer(&["attest", &tag, "--revoke", &second]).ok();
    assert!(stage.registry.log().is_empty(), "a revocation needs no registry");
    stage.desk.signer(&["publish"]).ok();
    assert!(stage.evidence(&tag).is_empty() && stage.evidence(&by_digest).is_empty());
    let again = stage.desk.signer(&["attest", &tag, "--revoke", &second]);
    again.failed(1, &["is no evidence that", "expected one of those that are named, got another: none"]);
    // What was staged and unstaged again leaves nothing to publish.
    let third = evidence_of(&stage.attest(&["--stage"]).ok());
    stage.desk.signer(&["attest", &tag, "--revoke", &third]).ok();
    assert!(stage.desk.signer(&["diff"]).ok().stdout.starts_with("nothing is staged"));
}

#[test]
fn an_image_that_is_only_staged_takes_its_evidence_along_and_a_moved_tag_leaves_it() {
    let stage = Stage::new();
    stage.push("one", "1");
    stage.desk.signer(&["add", &stage.name("1")]).ok();
    let named = evidence_of(&stage.attest(&["--stage", "--for", "cosign2"]).ok());
    stage.desk.signer(&["add", &stage.name("1")]).ok();
    stage.desk.signer(&["publish"]).ok();
    assert_eq!(stage.evidence(&stage.name("1")), [named]);
    stage.push("two", "1");
    stage.desk.signer(&["add", &stage.name("1")]).ok();
    stage.desk.signer(&["publish"]).ok();
    assert!(stage.evidence(&stage.name("1")).is_empty(), "it belongs to the image, not to the tag");
}

#[test]
fn what_the_metadata_means_is_attested_and_not_what_the_registry_says_now() {
    let (stage, digest) = Stage::published();
    let swapped = stage.push("two", "1");
    let said = stage.attest(&[]).ok();
    assert_eq!(said.json()["image"], format!("{}/acme/web@{digest}", stage.registry.host()));
    let pinned = format!("{}@{swapped}", stage.name("1"));
    let all = ["attest", &pinned, "--type", "spdx", "--predicate", "sbom.json", "--key", "ci"];
    stage.desk.signer(&all).failed(1, &["means another image", &digest, &swapped]);
}

#[test]
fn without_a_repository_it_is_signed_and_pushed_by_a_key_that_lives_elsewhere() {
    let stage = Stage::new();
    let digest = stage.push("one", "1");
    let elsewhere = Desk::new();
    fs::copy(stage.desk.path("trust/keys/ci.pem"), elsewhere.path("ci.pem")).unwrap();
    let key = format!("file:{}", elsewhere.path("ci.pem").display());
    // From a pipe, as `verify scan` writes it.
    let name = stage.name("1");
    let all = ["attest", &name, "--type", "spdx", "--predicate", "-", "--key", &key, "--format", "json"];
    let mut child = elsewhere
        .command(&all)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&fs::read(stage.desk.path("sbom.json")).unwrap()).unwrap();
    let said = Said::of(&child.wait_with_output().unwrap()).ok();
    assert_eq!(said.json()["image"], format!("{}/acme/web@{digest}", stage.registry.host()));
    assert!(said.stderr.contains("no metadata here says what"), "{}", said.stderr);
    let staged = [&all[..5], &["sbom.json", "--key", &key, "--stage"]].concat();
    elsewhere.signer(&staged).failed(2, &["is not a trust repository"]);
    elsewhere.signer(&["attest", &name, "--revoke", &digest]).failed(2, &["is not a trust repository"]);
}

#[test]
fn what_is_no_such_predicate_is_refused_and_nothing_is_pushed() {
    let (stage, _) = Stage::published();
    stage.registry.clear_log();
    let spdx = json!({ "spdxVersion": "SPDX-2.3" });
    let cyclonedx = json!({ "bomFormat": "CycloneDX", "specVersion": "1.6" });
    for (kind, document, why) in [
        ("spdx", cyclonedx.to_string(), "it has no version and no graph"),
        ("cyclonedx", spdx.to_string(), "expected a CycloneDX document"),
        ("cyclonedx", json!({ "bomFormat": "CycloneDX" }).to_string(), "it has no specVersion"),
        ("slsaprovenance1", spdx.to_string(), "expected SLSA provenance"),
        (
            "slsaprovenance1",
            json!({ "buildDefinition": { "buildType": "x" }, "runDetails": {} }).to_string(),
            "its builder has no id",
        ),
        ("slsaprovenance", spdx.to_string(), "it has no buildType"),
        ("openvex", spdx.to_string(), "its @context is none of OpenVEX"),
        (
            "openvex",
            json!({ "@context": "https://openvex.dev/ns/v0.2.0", "author": "a", "statements": [] })
                .to_string(),
            "it has no statements",
        ),
        ("vuln", spdx.to_string(), "expected a result of a scanner"),
        (
            "https://slsa.dev/verification_summary/v1",
            json!({ "verifier": { "id": "x" } }).to_string(),
            "missing field",
        ),
        ("https://example.com/reviewed/v1", "[]".to_owned(), "expected a predicate that is an object"),
        ("https://example.com/reviewed/v1", r#"{"a":1,"a":2}"#.to_owned(), "member \"a\" twice"),
        ("https://example.com/reviewed/v1", "{} {}".to_owned(), "trailing characters"),
        (
            "https://example.com/reviewed/v1",
            format!("{}{}{}", "{\"a\":", "[".repeat(100), "]".repeat(100)) + "}",
            "nested too deeply",
        ),
        ("https://example.com/reviewed/v1", String::new(), "EOF"),
    ] {
        fs::write(stage.desk.path("predicate"), &document).unwrap();
        let name = stage.name("1");
        let all = ["attest", &name, "--type", kind, "--predicate", "predicate", "--key", "ci"];
        stage.desk.signer(&all).failed(2, &["predicate is no predicate of type", why, "nothing was signed"]);
    }
    for (more, why) in [
        (&["--for", "podman"][..], "expected cosign2 or cosign3, got podman"),
        (&["--for", "none"], "at least one format"),
        (&["--key", "file:/nowhere.pem"], "cannot be used multiple times"),
    ] {
        stage.attest(more).failed(2, &[why]);
    }
    let name = stage.name("1");
    for wrong in [
        &["attest", &name][..],
        &["attest", &name, "--type", "spdx"],
        &["attest", &name, "--stage", "--revoke", "sha256:00"],
        &[
            "attest",
            &name,
            "--type",
            "https://sigstore.dev/cosign/sign/v1",
            "--predicate",
            "sbom.json",
            "--key",
            "ci",
        ],
    ] {
        assert_eq!(stage.desk.signer(wrong).code, 2, "{wrong:?}");
    }
    stage.desk.signer(&["key", "new", "p384", "--kind", "ecdsa-p384", "--unencrypted"]).ok();
    let all = ["attest", &name, "--type", "spdx", "--predicate", "sbom.json", "--key", "p384"];
    stage.desk.signer(&all).failed(1, &["can't be signed by this key", "nothing was pushed"]);
    // What isn't published can't be staged, and what isn't in the registry has nothing to lie beside.
    let other = stage.name("2");
    let all = ["attest", &other, "--type", "spdx", "--predicate", "sbom.json", "--key", "ci", "--stage"];
    stage.desk.signer(&all).failed(1, &["neither published nor staged"]);
    stage.registry.remove("acme/web", "1");
    assert!(!stage.wrote());
}

#[test]
fn a_rehearsal_writes_nothing_and_what_was_not_pushed_is_not_staged() {
    let (stage, _) = Stage::published();
    stage.registry.clear_log();
    let said = stage.attest(&["--stage", "--for", "cosign2,cosign3", "--dry-run"]).ok();
    let forms = said.json()["attestations"].as_array().unwrap().clone();
    assert_eq!(forms.len(), 2);
    assert!(forms.iter().all(|one| one["outcome"] == "would-be-pushed"));
    assert_eq!(said.json()["staged"][0]["evidence"].as_array().unwrap().len(), 2);
    assert!(!stage.wrote());
    assert!(stage.desk.signer(&["diff"]).ok().stdout.starts_with("nothing is staged"));
    stage.registry.set_fault(Place::blobs("acme/web"), Fault::Unavailable);
    let said = stage.attest(&["--stage"]);
    assert_eq!(said.code, 3, "{}", said.stderr);
    assert_eq!(said.json()["attestations"][0]["outcome"], "not-pushed");
    assert!(said.json().get("staged").is_none());
    assert!(stage.desk.signer(&["diff"]).ok().stdout.starts_with("nothing is staged"));
    stage.registry.clear_faults();
    // Done once, it is found there the second time, and can still be staged.
    assert_eq!(stage.attest(&[]).ok().json()["attestations"][0]["outcome"], "pushed");
    let again = stage.attest(&["--stage"]).ok();
    assert_eq!(again.json()["attestations"][0]["outcome"], "was-there");
    assert_eq!(again.json()["staged"].as_array().unwrap().len(), 2);
}
