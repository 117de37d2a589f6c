//! Verification summaries and simple verification results, in both directions: with in-toto's own library and
//! securesystemslib, and with a program that writes results of its own.

use std::path::Path;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image_evidence::{Predicate, Statement};
use serde_json::{Value, json};

use crate::attested::{ID, SVR, Story};
use crate::support::{run, skipped, succeeds};

const ENVELOPE: &str = "application/vnd.dsse.envelope.v1+json";

/// A Python that has in-toto's library. `None`, loudly, where there is none.
fn python() -> Option<Command> {
    let imports = "import in_toto_attestation.v1.statement, packageurl, securesystemslib.dsse, cryptography";
    let packages = "in-toto-attestation, packageurl-python and securesystemslib[crypto]";
    python_with(imports, packages, include_str!("in_toto.py"))
}

/// One that writes and reads simple verification results.
fn results() -> Option<Command> {
    python_with("import proofbundle.intoto", "proofbundle", include_str!("results.py"))
}

fn python_with(imports: &str, packages: &str, script: &str) -> Option<Command> {
    let program = std::env::var_os("HALLMARK_PYTHON").unwrap_or_else(|| "python3".into());
    if run(Command::new(&program).args(["-c", imports])).code != Some(0) {
        skipped(&format!("python has no {packages}: install it, or set HALLMARK_PYTHON"));
        return None;
    }
    let mut python = Command::new(program);
    python.args(["-c", script]);
    Some(python)
}

/// Lays an envelope where cosign lays its own.
fn lay(story: &Story, envelope: &str) {
    let digest = story.fake.put_blob("acme/web", envelope.as_bytes());
    let config = story.fake.put_blob("acme/web", b"{}");
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2 },
        "layers": [{ "mediaType": ENVELOPE, "digest": digest, "size": envelope.len() }],
    })
    .to_string();
    let tag = format!("{}.att", story.digest.replace(':', "-"));
    story.fake.put_manifest(
        "acme/web",
        &tag,
        "application/vnd.oci.image.manifest.v1+json",
        manifest.as_bytes(),
    );
}

#[test]
fn a_summary_that_in_totos_library_made_counts_for_whom_it_is_about_and_by_whom() {
    let Some(_) = python() else { return };
    let Some(story) = Story::begin() else { return };
    let made = |key: &str, digest: &str, resource: &str| {
        let key = story.publisher.path(&format!("trust/keys/{key}.pem"));
        succeeds(python().unwrap().arg("make").arg(key).args([digest, resource, ID]))
    };
    let stranger = format!("sha256:{}", "a".repeat(64));
    for (key, digest, resource, code) in [
        ("other", story.digest.as_str(), story.image.as_str(), 1),
        ("verifier", stranger.as_str(), story.image.as_str(), 1),
        ("verifier", story.digest.as_str(), "registry.example.com/acme/other:1", 1),
        ("verifier", story.digest.as_str(), story.image.as_str(), 0),
    ] {
        lay(&story, &made(key, digest, resource));
        let ran = story.demand("verifier", &[]);
        assert_eq!(ran.code, Some(code), "{key} {digest} {resource}: {}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn a_package_url_that_its_library_wrote_names_the_image() {
    let Some(_) = python() else { return };
    let Some(story) = Story::begin() else { return };
    let (repository, tag) = story.image.rsplit_once(':').unwrap();
    let stranger = format!("sha256:{}", "a".repeat(64));
    for (tag, digest, code) in [(tag, &story.digest, 0), (tag, &stranger, 1), ("2", &story.digest, 1)] {
        let names = succeeds(python().unwrap().args(["names", repository, tag, digest]));
        assert_eq!(names.lines().count(), 2, "{names}");
        for name in names.lines() {
            let key = story.publisher.path("trust/keys/verifier.pem");
            let made =
                python().unwrap().arg("make").arg(key).args([&story.digest, name, ID]).output().unwrap();
            lay(&story, String::from_utf8(made.stdout).unwrap().trim_end());
            let ran = story.demand("verifier", &[]);
            assert_eq!(ran.code, Some(code), "{name}: {}{}", ran.stdout, ran.stderr);
        }
    }
}

#[test]
fn in_totos_library_reads_our_summaries() {
    let Some(mut python) = python() else { return };
    let Some(story) = Story::begin() else { return };
    let file = story.publisher.path("verdict.json").display().to_string();
    let ran = story.attest("verifier", &["--out", &file]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let read = succeeds(python.args(["read", &file]));
    let digest = story.digest.trim_start_matches("sha256:");
    assert_eq!(read, format!("{digest} {ID} oci://{} PASSED", story.image));
}

#[test]
fn a_result_is_read_by_others_and_theirs_by_us() {
    let Some(_) = results() else { return };
    let Some(story) = Story::begin() else { return };
    story.key_of("results", "ed25519");
    let key = story.publisher.path("trust/keys/results.pem");
    let file = story.publisher.path("result.json").display().to_string();
    let ran = story.attest("results", &["--type", "svr", "--level", "ACME_REVIEWED", "--out", &file]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let read = |key: &Path| succeeds(results().unwrap().args(["read", &file]).arg(key));
    let said = read(&key);
    assert!(said.starts_with(&format!("True {ID} ")) && said.contains("ACME_REVIEWED"), "{said}");
    story.key_of("stranger", "ed25519");
    assert!(read(&story.publisher.path("trust/keys/stranger.pem")).starts_with("False "));

    // Theirs is about a receipt, and so about another image than this: all that comes before holds.
    let theirs = succeeds(results().unwrap().arg("make").arg(&key));
    lay(&story, &theirs);
    for (key, reason) in [("results", "other-subject"), ("stranger", "other-key")] {
        let public = story.public(key);
        let ran = story.publisher.verify(&["evidence", &story.image, "--key", &public, "--format", "json"]);
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        let piece = &report["pieces"][0];
        assert_eq!((&piece["predicate_type"], &piece["reason"]), (&json!(SVR), &json!(reason)), "{report}");
    }
    let envelope: Value = serde_json::from_str(&theirs).unwrap();
    let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    match Predicate::of(&Statement::parse(&payload).unwrap()).unwrap() {
        Predicate::Svr(result) => assert!(!result.properties.is_empty() && !result.verifier.is_empty()),
        other => panic!("{other:?}"),
    }
}
