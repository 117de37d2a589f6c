//! Verdicts that other verifiers signed: which `--verifier` takes, and every way to slip in another one.

use image_signatures::{BUNDLE, Format, IN_TOTO};
use oci_image::Descriptor;
use serde_json::{Value, json};
use test_repos::registry::{Fault, Place};

use crate::{SPDX, Story, bundle, outcomes, pair, statement};

pub(crate) const VSA: &str = "https://slsa.dev/verification_summary/v1";
const SVR: &str = "https://in-toto.io/attestation/svr/v0.1";
pub(crate) const ID: &str = "https://verify.example.com/prod";

/// A summary of an image by the name that the story's repository trusts, some hours before the time it is weighed at.
pub(crate) fn summary(story: &Story, hours: i64, changed: &Value) -> Value {
    let at = story.endpoints.now.checked_sub_signed(chrono::TimeDelta::hours(hours)).unwrap();
    let mut predicate = json!({
        "verifier": { "id": ID }, "timeVerified": at.to_rfc3339(), "resourceUri": story.endpoints.name,
        "policy": { "uri": "https://policy.example.com" }, "inputAttestations": [],
        "verificationResult": "PASSED", "verifiedLevels": ["SLSA_BUILD_LEVEL_2"], "slsaVersion": "1.2",
    });
    for (name, value) in changed.as_object().unwrap() {
        predicate[name] = value.clone();
    }
    predicate
}

impl Story {
    pub(crate) fn summarise(&self, image: &Descriptor, key: &str, hours: i64, changed: &Value) {
        let statement = statement(image, VSA, &summary(self, hours, changed));
        self.attach(image, BUNDLE, &bundle(key, &statement));
    }

    fn by_verifier(&self, more: &[&str]) -> crate::Run {
        self.verify("image", &[&["--verifier", &format!("{ID}=a.pub")], more].concat())
    }
}

#[test]
fn a_verdict_of_a_verifier_that_was_named_is_taken_and_is_only_signed() {
    let story = Story::begin();
    let none = story.by_verifier(&[]);
    assert_eq!(none.code, 1, "{}", none.stderr);
    assert!(
        none.stderr.contains(&format!("expected a verification summary by {ID}, got none")),
        "{}",
        none.stderr
    );
    story.summarise(&story.top, "a", 1, &json!({}));
    let explained = story.by_verifier(&["--explain"]);
    assert_eq!(explained.code, 0, "{}", explained.stderr);
    assert!(
        explained.stderr.contains(&format!("verified by {ID} at "))
            && explained.stderr.contains("(SLSA_BUILD_LEVEL_2); only signed"),
        "{}",
        explained.stderr
    );
    assert_eq!(story.by_verifier(&["--vsa-level", "SLSA_BUILD_LEVEL_1"]).code, 0);
    let level = story.by_verifier(&["--vsa-level", "SLSA_BUILD_LEVEL_3"]);
    assert_eq!(level.code, 1, "{}", level.stderr);
    assert!(level.stderr.contains("expected SLSA_BUILD_LEVEL_3 by one of the verifiers"), "{}", level.stderr);
    // A verdict about the image is no signature of it, nor is its signer one.
    assert_eq!(story.by_verifier(&["--require-signers", "1", "--signer-key", "a.pub"]).code, 1);
    assert_eq!(
        story.demand("1", &["a.pub"], &["--predicate", VSA]).code,
        1,
        "a verdict counts by --verifier alone"
    );
    story.sign(&story.top, "a", &[Format::Cosign3]);
    assert_eq!(story.by_verifier(&["--require-signers", "1", "--signer-key", "b.pub"]).code, 1);
    assert_eq!(story.by_verifier(&["--require-signers", "1", "--signer-key", "a.pub"]).code, 0);
    let pulled = story.verify("pull", &["oci:out:1", "--verifier", &format!("{ID}=b.pub")]);
    assert_eq!(pulled.code, 1, "{}", pulled.stderr);
    assert!(!story.path("out").join("index.json").exists(), "of a refused image nothing is written");
    let pulled = story.verify("pull", &["oci:out:1", "--verifier", &format!("{ID}=a.pub")]);
    assert_eq!(pulled.code, 0, "{}", pulled.stderr);
}

#[test]
fn every_false_verdict_is_refused_and_says_why() {
    for (key, hours, changed, why) in [
        ("b", 1, json!({}), "expected a verification summary by"),
        ("stranger", 1, json!({}), "expected a verification summary by"),
        (
            "a",
            1,
            json!({ "verifier": { "id": "https://other.example.com" } }),
            "who was not given as verifier",
        ),
        ("a", 1, json!({ "resourceUri": "registry.example.com/acme/other:1.4" }), "one about"),
        ("a", 1, json!({ "resourceUri": "https://registry.example.com/acme/web" }), "one about"),
        ("a", 24 * 8, json!({}), "expected one after"),
        ("a", -1, json!({}), "expected a time before"),
        ("a", 1, json!({ "timeVerified": null }), "without a time"),
        ("a", 1, json!({ "timeVerified": "yesterday" }), "no verification summary"),
        ("a", 1, json!({ "verificationResult": "FAILED" }), "refused it at"),
        ("a", 1, json!({ "verificationResult": "WARNED" }), "refused it at"),
        ("a", 1, json!({ "verificationResult": null }), "no verification summary"),
    ] {
        let story = Story::begin();
        story.summarise(&story.top, key, hours, &changed);
        let run = story.by_verifier(&[]);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{key} {changed}: {}", run.stderr);
        assert!(run.stderr.contains(why), "{key} {changed}: {}", run.stderr);
    }
}

#[test]
fn a_verdict_on_another_image_or_without_a_signature_counts_for_nothing() {
    let story = Story::begin();
    // Of the image that the tag meant before: replayed beside the new one, and left where it was.
    let older = statement(&story.older, VSA, &summary(&story, 1, &json!({})));
    story.attach(&story.top, BUNDLE, &bundle("a", &older));
    story.attach(&story.older, BUNDLE, &bundle("a", &older));
    // What nobody signed, and what was changed after it was signed.
    let passed = statement(&story.top, VSA, &summary(&story, 1, &json!({})));
    story.attach(&story.top, IN_TOTO, passed.to_string().as_bytes());
    let mut failed = summary(&story, 1, &json!({ "verificationResult": "FAILED" }));
    let signed: Value = serde_json::from_slice(&bundle("a", &statement(&story.top, VSA, &failed))).unwrap();
    failed["verificationResult"] = json!("PASSED");
    let mut changed = signed.clone();
    let payload: Value = serde_json::from_slice(&bundle("a", &statement(&story.top, VSA, &failed))).unwrap();
    changed["dsseEnvelope"]["payload"] = payload["dsseEnvelope"]["payload"].clone();
    story.attach(&story.top, BUNDLE, changed.to_string().as_bytes());
    let run = story.by_verifier(&[]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains(&format!("by {ID}, got none")), "{}", run.stderr);
    let report = story.evidence(&["--verifier", &format!("{ID}=a.pub")]);
    let expected =
        [pair("refused", "other-key"), pair("refused", "other-subject"), pair("refused", "unsigned")];
    assert_eq!(outcomes(&report), expected);
    // A simple verification result says nothing of the name, and is no such verdict.
    let result = json!({ "verifier": { "id": ID }, "timeCreated": story.endpoints.now.to_rfc3339(), "properties": ["X"] });
    story.attach(&story.top, BUNDLE, &bundle("a", &statement(&story.top, SVR, &result)));
    assert_eq!(story.by_verifier(&[]).code, 1);
    assert_eq!(story.demand("1", &["a.pub"], &["--predicate", SVR]).code, 1);
    let says = story.evidence(&[]);
    let says = says["pieces"].as_array().unwrap().iter().find(|one| one["predicate_type"] == SVR).unwrap();
    assert_eq!(says["says"], format!("X for {ID}"));
}

#[test]
fn the_last_word_of_a_verifier_counts() {
    let story = Story::begin();
    story.summarise(&story.top, "a", 3, &json!({}));
    assert_eq!(story.by_verifier(&[]).code, 0);
    story.summarise(
        &story.top,
        "a",
        2,
        &json!({ "verificationResult": "FAILED", "verifiedLevels": ["FAILED"] }),
    );
    let failed = story.by_verifier(&[]);
    assert_eq!(failed.code, 1, "{}", failed.stderr);
    assert!(failed.stderr.contains(&format!("{ID} refused it at")), "{}", failed.stderr);
    story.summarise(&story.top, "a", 1, &json!({}));
    assert_eq!(story.by_verifier(&[]).code, 0);
    // Age is counted from when it was verified.
    assert_eq!(story.by_verifier(&["--max-vsa-age", "1h"]).code, 0);
    let story = Story::begin();
    story.summarise(&story.top, "a", 30, &json!({}));
    assert_eq!(story.by_verifier(&[]).code, 0);
    assert_eq!(story.by_verifier(&["--max-vsa-age", "1d"]).code, 1);
}

#[test]
fn each_piece_says_whether_it_is_a_verdict_that_counts() {
    let story = Story::begin();
    story.summarise(&story.top, "a", 1, &json!({}));
    story.summarise(&story.top, "a", 24 * 30, &json!({}));
    let list = json!({ "spdxVersion": "SPDX-2.3", "packages": [] });
    story.attach(&story.top, BUNDLE, &bundle("a", &statement(&story.top, SPDX, &list)));
    let report = story.evidence(&["--verifier", &format!("{ID}=a.pub"), "--max-vsa-age", "2h"]);
    let counts: Vec<_> = report["pieces"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["predicate_type"].as_str().unwrap() == VSA, one["counts"].as_bool()))
        .collect();
    let count = |wanted| counts.iter().filter(|one| **one == wanted).count();
    assert_eq!((count((true, Some(true))), count((true, Some(false))), count((false, None))), (1, 1, 1));
    // What its verifier took back since doesn't count, though it was good by itself.
    story.summarise(&story.top, "a", 0, &json!({ "verificationResult": "FAILED" }));
    let report = story.evidence(&["--verifier", &format!("{ID}=a.pub")]);
    let summaries = report["pieces"].as_array().unwrap().iter().filter(|one| one["predicate_type"] == VSA);
    let counts: Vec<_> = summaries.map(|one| (one["counts"].as_bool(), one["detail"].to_string())).collect();
    assert_eq!(counts.len(), 3);
    assert!(counts.iter().all(|(counts, _)| *counts == Some(false)), "{counts:?}");
    assert_eq!(counts.iter().filter(|(_, why)| why.contains("whose newest word is of")).count(), 2);
    // Without the question there is no answer.
    let report = story.evidence(&[]);
    assert!(report["pieces"].as_array().unwrap().iter().all(|one| one["counts"].is_null()));
    for wrong in [
        &["--verifier", "a.pub"][..],
        &["--verifier", "https://x=missing.pub"],
        &["--verifier", "https://x=identity:a,https://b"],
        &["--max-vsa-age", "1h"],
        &["--fresh"],
    ] {
        let run = story.verify("image", wrong);
        assert_eq!(run.code, 2, "{wrong:?}: {}", run.stderr);
    }
}

#[test]
fn what_the_metadata_names_is_fresh_and_what_it_names_no_more_is_only_signed() {
    let mut story = Story::begin();
    let statement = statement(&story.top, VSA, &summary(&story, 1, &json!({})));
    let manifest = story.attach(&story.top, BUNDLE, &bundle("a", &statement));
    story.sign(&story.top, "b", &[Format::Cosign2]);
    let signers = ["--require-signers", "1", "--signer-key", "b.pub"];
    let fresh = |story: &Story, more: &[&str]| story.by_verifier(&[&["--fresh"], more].concat());
    let refused = fresh(&story, &[]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    let refused = story.verify("image", &[&["--fresh"], &signers[..]].concat());
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("got what is only signed"), "{}", refused.stderr);
    // Of what lies under a tag the manifest is named: the blob is what was signed, by whomever.
    let tag = image_signatures::signature_tag(story.top.digest).unwrap();
    let (_, bytes) = story.fake.manifest(crate::REPO, tag.as_str()).unwrap();
    let signature = oci_image::Digest::of(&bytes);
    let payload: Value = serde_json::from_slice(&bytes).unwrap();
    let payload = payload["layers"][0]["digest"].as_str().unwrap().parse().unwrap();
    story.name(&[manifest, payload]);
    let refused = story.verify("image", &[&["--fresh"], &signers[..]].concat());
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert!(refused.stderr.contains("it is what was signed, and no signature"), "{}", refused.stderr);
    story.name(&[manifest, signature]);
    let both = fresh(&story, &[&["--format", "json"], &signers[..]].concat());
    assert_eq!(both.code, 0, "{}", both.stderr);
    let report: Value = serde_json::from_str(&both.stdout).unwrap();
    let links = report["links"].as_array().unwrap();
    let evidence: Vec<_> = links.iter().filter(|link| link["stage"] == "evidence").collect();
    assert_eq!(evidence.len(), 2);
    assert!(evidence.iter().all(|link| link["fresh"] == true), "{evidence:?}");
    // A registry that has an error of its own for the manifest of what is a blob: it is found all the same.
    let blob = oci_image::Digest::of(&bundle("a", &statement));
    story.name(&[blob, signature]);
    story.fake.set_fault(Place::manifest(crate::REPO, &blob.to_string()), Fault::Unavailable);
    let listed = story.evidence(&["--verifier", &format!("{ID}=a.pub")]);
    assert_eq!(listed["gaps"], json!([]));
    story.fake.clear_faults();
    // Revoked: still signed, and fresh no more.
    story.name(&[signature]);
    assert_eq!(fresh(&story, &[]).code, 1);
    let signed = story.by_verifier(&["--format", "json"]);
    assert_eq!(signed.code, 0, "{}", signed.stderr);
    let report: Value = serde_json::from_str(&signed.stdout).unwrap();
    assert_eq!(report["links"].as_array().unwrap().last().unwrap()["fresh"], false);
    let listed = story.evidence(&["--verifier", &format!("{ID}=a.pub"), "--fresh"]);
    assert_eq!(outcomes(&listed), [pair("refused", "not-fresh"), pair("refused", "other-key")]);
}

#[test]
fn a_refusal_counts_whatever_its_time_and_though_the_metadata_does_not_name_it() {
    for time in [json!(null), json!("2999-01-01T00:00:00Z"), json!("yesterday"), json!(3)] {
        let story = Story::begin();
        story.summarise(&story.top, "a", 1, &json!({}));
        story.summarise(&story.top, "a", 1, &json!({ "timeVerified": time, "verificationResult": "FAILED" }));
        let run = story.by_verifier(&[]);
        assert_eq!(run.code, 1, "{time} {}", run.stderr);
        assert!(run.stderr.contains(&format!("{ID} refused it")), "{}", run.stderr);
    }
    let mut story = Story::begin();
    let passed = statement(&story.top, VSA, &summary(&story, 2, &json!({})));
    let named = story.attach(&story.top, BUNDLE, &bundle("a", &passed));
    story.name(&[named]);
    assert_eq!(story.by_verifier(&["--fresh"]).code, 0);
    // Who publishes the image can't take back that a verifier refused it.
    story.summarise(&story.top, "a", 1, &json!({ "verificationResult": "FAILED" }));
    let run = story.by_verifier(&["--fresh"]);
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains("refused it at"), "{}", run.stderr);
}

#[test]
fn where_a_verdict_may_be_and_nobody_answers_it_could_not_be_told() {
    let story = Story::begin();
    story.fake.set_fault(Place::referrers(crate::REPO), Fault::Unavailable);
    let run = story.by_verifier(&[]);
    assert_eq!(run.code, 3, "{}", run.stderr);
    // What a verifier refused stays refused.
    let story = Story::begin();
    story.summarise(&story.top, "a", 1, &json!({ "verificationResult": "FAILED" }));
    let tag = image_signatures::signature_tag(story.top.digest).unwrap();
    story.fake.set_fault(Place::manifest(crate::REPO, tag.as_str()), Fault::Unavailable);
    let run = story.by_verifier(&[]);
    assert_eq!(run.code, 1, "{}", run.stderr);
}

#[test]
fn a_package_url_names_the_image_and_one_of_another_image_counts_for_nothing() {
    let digest = |story: &Story| story.top.digest.to_string().replace(':', "%3A");
    let oci = "repository_url=registry.example.com%2Facme%2Fweb";
    for (start, end, code) in [
        ("pkg:oci/web@", format!("?{oci}&tag=1.4"), 0),
        // As Docker's verifier writes it.
        ("pkg:docker/registry.example.com/acme/web@1.4?digest=", String::new(), 0),
        ("pkg:oci/web@", format!("?{oci}&tag=1.3"), 1),
        ("pkg:oci/web@", "?repository_url=registry.example.com%2Fother%2Fweb&tag=1.4".into(), 1),
        ("pkg:oci/web@", "?tag=1.4".into(), 1),
        ("pkg:docker/acme/web@1.4?digest=", String::new(), 1),
        // It speaks for one platform, and is about the index.
        ("pkg:docker/registry.example.com/acme/web@1.4?digest=", "&platform=linux%2Famd64".into(), 1),
    ] {
        let story = Story::begin();
        let resource = format!("{start}{}{end}", digest(&story));
        story.summarise(&story.top, "a", 1, &json!({ "resourceUri": resource }));
        let run = story.by_verifier(&[]);
        assert_eq!(run.code, code, "{resource}: {}", run.stderr);
        assert_eq!(run.stderr.contains("one about \"pkg:"), code == 1, "{resource}: {}", run.stderr);
    }
    let story = Story::begin();
    let other = format!("pkg:oci/web@{}?{oci}", story.older.digest);
    story.summarise(&story.top, "a", 1, &json!({ "resourceUri": other }));
    assert_eq!(story.by_verifier(&[]).code, 1);
}
