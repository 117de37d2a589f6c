//! Verdicts that rules demand of other verifiers, and signatures that must be fresh.

use image_signatures::{BUNDLE, Format};
use serde_json::{Value, json};
use test_repos::registry::{Fault, Place};

use super::verdicts::{ID, VSA};
use super::{Story, bundle, fs, statement};

const OTHER: &str = "https://other.example.com";

/// An entry by verifier ID with this key, and more of it.
fn by(key: &str, more: &str) -> String {
    format!(
        "[[scope.evidence]]\npredicate = \"vsa\"\nverifiers = [{{ id = {ID:?}, key = \"{key}.pub\" }}]\n{more}\n"
    )
}

/// By either of two verifiers, or by both.
fn of_two(more: &str) -> String {
    format!(
        "[[scope.evidence]]\npredicate = \"vsa\"\nverifiers = [\n{{ id = {ID:?}, key = \"a.pub\" }},\n\
         {{ id = {OTHER:?}, key = \"b.pub\" }},\n]\n{more}\n"
    )
}

#[test]
fn a_verdict_is_demanded_of_a_verifier_by_its_key_age_and_levels() {
    let story = Story::begin();
    story.is(
        &by("a", ""),
        1,
        &format!("expected a verification summary by {ID}, got none, as policy.toml:3, scope acme"),
    );
    story.summarise(&story.top, "a", 30, &json!({}));
    story.is(&by("a", ""), 0, &format!("verified by {ID} at "));
    story.is(&by("a", "levels = [\"SLSA_BUILD_LEVEL_1\"]"), 0, "(SLSA_BUILD_LEVEL_2)");
    let low = "expected SLSA_BUILD_LEVEL_3 by one of the verifiers, got SLSA_BUILD_LEVEL_2, as policy.toml:3";
    story.is(&by("a", "levels = [\"SLSA_BUILD_LEVEL_1\", \"SLSA_BUILD_LEVEL_3\"]"), 1, low);
    story.is(&by("a", "levels = [\"ACME_REVIEWED\"]"), 1, "expected ACME_REVIEWED by one of the verifiers");
    story.is(&by("a", "max-age = \"36h\""), 0, "verified by");
    story.is(&by("a", "max-age = \"1d\""), 1, "expected one after");
    story.is(&by("b", ""), 1, "got none");
    // Its key is no signer of the image, and a signer's no verifier.
    let signers = "signers = { keys = [\"a.pub\"] }\n";
    story.is(
        &format!("{signers}{}", by("a", "")),
        1,
        "expected https://sigstore.dev/cosign/sign/v1 signed by 1",
    );
    story.sign(&story.top, "b", &[Format::Cosign3]);
    let signers = signers.replace("a.pub", "b.pub");
    story.is(&format!("{signers}{}", by("a", "")), 0, "verified by");
    story.is(&format!("{signers}{}", by("b", "")), 1, "got none");
    // What the metadata doesn't name isn't fresh.
    story.is(&by("a", "fresh = true"), 1, "got none, named by the publisher's metadata");
}

#[test]
fn every_false_verdict_is_refused_by_rules_too() {
    for (key, hours, changed, why) in [
        ("b", 1, json!({}), "got one signed by key b.pub, who was not given as verifier"),
        ("stranger", 1, json!({}), "expected a verification summary by"),
        ("a", 1, json!({ "verifier": { "id": OTHER } }), "who was not given as verifier"),
        ("a", 1, json!({ "resourceUri": "registry.example.com/acme/other:1.4" }), "one about"),
        ("a", 24 * 8, json!({}), "expected one after"),
        ("a", -1, json!({}), "expected a time before"),
        ("a", 1, json!({ "timeVerified": null }), "without a time"),
        ("a", 1, json!({ "timeVerified": "yesterday" }), "no verification summary"),
        ("a", 1, json!({ "verificationResult": "FAILED" }), "refused it at"),
        ("a", 1, json!({ "verificationResult": "passed" }), "refused it at"),
        ("a", 1, json!({ "verificationResult": null }), "no verification summary"),
        (
            "a",
            1,
            json!({ "verifiedLevels": [] }),
            "expected SLSA_BUILD_LEVEL_1 by one of the verifiers, got none",
        ),
    ] {
        let story = Story::begin();
        story.summarise(&story.top, key, hours, &changed);
        // Key b is looked for, and not as this verifier.
        let rules = "signers = { at-least = 1, keys = [\"b.pub\"] }\n";
        story.sign(&story.top, "b", &[Format::Cosign3]);
        story.is(&format!("{rules}{}", by("a", "levels = [\"SLSA_BUILD_LEVEL_1\"]")), 1, why);
    }
    // Of the image that the tag meant before, replayed beside the new one.
    let story = Story::begin();
    let older = statement(&story.older, VSA, &super::verdicts::summary(&story, 1, &json!({})));
    story.attach(&story.top, BUNDLE, &bundle("a", &older));
    story.is(&by("a", ""), 1, "got none");
    // Where one may be and nobody answers, it can't be told; what was refused stays refused.
    story.fake.set_fault(Place::referrers(crate::REPO), Fault::Unavailable);
    story.is(&by("a", ""), 3, "not reached");
    let story = Story::begin();
    story.summarise(&story.top, "a", 1, &json!({ "verificationResult": "FAILED" }));
    let tag = image_signatures::signature_tag(story.top.digest).unwrap();
    story.fake.set_fault(Place::manifest(crate::REPO, tag.as_str()), Fault::Unavailable);
    story.is(&by("a", ""), 1, "refused it at");
}

#[test]
fn one_of_several_verifiers_is_accepted_or_all_are_demanded_and_none_is_outvoted() {
    let story = Story::begin();
    story.summarise(&story.top, "a", 2, &json!({}));
    story.is(&of_two(""), 0, &format!("verified by {ID}"));
    story.is(&of_two("at-least = 2"), 1, &format!("by 2 verifiers with a signer each, got {ID}"));
    story.summarise(
        &story.top,
        "b",
        2,
        &json!({ "verifier": { "id": OTHER }, "verifiedLevels": ["ACME_REVIEWED"] }),
    );
    story.is(&of_two("at-least = 2\nlevels = [\"SLSA_BUILD_LEVEL_2\", \"ACME_REVIEWED\"]"), 0, OTHER);
    story.summarise(
        &story.top,
        "b",
        1,
        &json!({ "verifier": { "id": OTHER }, "verificationResult": "FAILED" }),
    );
    story.is(&of_two(""), 1, &format!("{OTHER} refused it at"));
    // Nor is one that doesn't say when, whatever the publisher's metadata names.
    let mut story = Story::begin();
    let passed = statement(&story.top, VSA, &super::verdicts::summary(&story, 1, &json!({})));
    let passed = story.attach(&story.top, BUNDLE, &bundle("a", &passed));
    story.name(&[passed]);
    story.is(&of_two("fresh = true"), 0, &format!("verified by {ID}"));
    let failed = json!({ "verifier": { "id": OTHER }, "verificationResult": "FAILED", "timeVerified": null });
    story.summarise(&story.top, "b", 1, &failed);
    story.is(&of_two("fresh = true"), 1, &format!("{OTHER} refused it"));
    // Two names of one key are one verifier.
    let story = Story::begin();
    story.summarise(&story.top, "a", 2, &json!({}));
    story.summarise(&story.top, "a", 2, &json!({ "verifier": { "id": OTHER } }));
    let same = of_two("at-least = 2").replace("b.pub", "a.pub");
    story.is(&same, 1, "by 2 verifiers with a signer each");
    story.is(&same.replace("at-least = 2", ""), 0, "verified by");
}

#[test]
fn what_the_metadata_names_counts_as_fresh_for_verifiers_and_for_signers() {
    let mut story = Story::begin();
    let summary = statement(&story.top, VSA, &super::verdicts::summary(&story, 1, &json!({})));
    let summary = story.attach(&story.top, BUNDLE, &bundle("a", &summary));
    story.sign(&story.top, "b", &[Format::Cosign2]);
    let signers = |fresh: bool| format!("signers = {{ keys = [\"b.pub\"], fresh = {fresh} }}\n");
    story.is(&signers(false), 0, "signed by");
    story.is(&signers(true), 1, "only signed");
    let tag = image_signatures::signature_tag(story.top.digest).unwrap();
    let (_, bytes) = story.fake.manifest(crate::REPO, tag.as_str()).unwrap();
    let signature = oci_image::Digest::of(&bytes);
    story.name(&[summary]);
    story.is(&by("a", "fresh = true"), 0, "verified by");
    story.is(&signers(true), 1, "only signed");
    story.name(&[signature]);
    story.is(&by("a", "fresh = true"), 1, "named by the publisher's metadata");
    story.is(&signers(true), 0, "; fresh");
    // On the command line a verifier may be asked for besides, of whom it isn't demanded.
    let verifier = format!("{ID}=a.pub");
    let run = story.by("image", &signers(true), &["--verifier", &verifier]);
    assert_eq!(run.code, 0, "{}", run.stderr);
}

#[test]
fn evidence_by_rules_says_which_verdicts_count() {
    let mut story = Story::begin();
    let passed = statement(&story.top, VSA, &super::verdicts::summary(&story, 1, &json!({})));
    let named = story.attach(&story.top, BUNDLE, &bundle("a", &passed));
    story.summarise(&story.top, "b", 1, &json!({}));
    let counts = |story: &Story, rules: &str, more: &[&str]| {
        let run = story.by("evidence", rules, &[&["--format", "json"], more].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
        let report: Value = serde_json::from_str(&run.stdout).unwrap();
        let pieces = report["pieces"].as_array().unwrap().iter().filter(|one| one["outcome"] == "signed");
        pieces.map(|one| (one["counts"].as_bool(), one["detail"].to_string())).collect::<Vec<_>>()
    };
    assert_eq!(counts(&story, &by("a", ""), &[]), [(Some(true), "null".to_owned())]);
    assert!(story.by("evidence", &by("a", ""), &[]).stdout.contains("a verdict that counts"));
    let old = counts(&story, &by("a", "max-age = \"0h\""), &[]);
    assert!(matches!(old.as_slice(), [(Some(false), why)] if why.contains("expected one after")), "{old:?}");
    let unnamed = counts(&story, &by("a", "fresh = true"), &[]);
    assert!(
        matches!(unnamed.as_slice(), [(Some(false), why)] if why.contains("doesn't name it")),
        "{unnamed:?}"
    );
    story.name(&[named]);
    assert_eq!(counts(&story, &by("a", "fresh = true"), &[]), [(Some(true), "null".to_owned())]);
    // Of rules that demand none there is no answer.
    let signers = "signers = { keys = [\"a.pub\"] }\n";
    assert_eq!(counts(&story, signers, &[]), [(None, "null".to_owned())]);
    // Beside a verifier that is named by an option.
    let both = counts(&story, &by("a", ""), &["--verifier", &format!("{ID}=b.pub")]);
    assert_eq!(both.iter().filter(|(counts, _)| *counts == Some(true)).count(), 2, "{both:?}");
}

#[test]
fn verdicts_are_recorded_rehearsed_and_explained() {
    let story = Story::begin();
    story.summarise(&story.top, "a", 2, &json!({}));
    let run = story.by("image", &by("a", ""), &["--record", "seen.jsonl"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let line: Value = serde_json::from_str(&fs::read_to_string(story.path("seen.jsonl")).unwrap()).unwrap();
    let verdict = &line["evidence"][0]["verdict"];
    assert_eq!((&verdict["verifier"], &verdict["passed"]), (&ID.into(), &true.into()), "{line}");
    let simulate = |rules: &str, code: i32, words: &str| {
        story.rules(rules);
        let words_of = ["policy", "simulate", "--inventory", "seen.jsonl", "--policy", "policy.toml"];
        let run = story.program(&words_of);
        assert_eq!(run.code, code, "{rules}\n{}{}", run.stdout, run.stderr);
        assert!(run.stdout.contains(words), "expected {words:?} in\n{}", run.stdout);
    };
    simulate(&by("a", ""), 0, "1 admitted");
    simulate(&by("a", "max-age = \"1h\""), 1, "expected one after");
    let rule = "to admit it, put this before all other scopes";
    simulate(&by("a", "levels = [\"SLSA_BUILD_LEVEL_3\"]"), 1, rule);
    simulate(&by("b", ""), 3, "not looked for: key sha256:");
    story.rules(&by("a", "levels = [\"SLSA_BUILD_LEVEL_2\"]\nfresh = true"));
    let run = story.program(&["policy", "explain", &story.endpoints.name, "--policy", "policy.toml"]);
    let expected = format!(
        "a vsa that it passed, by 1 of {ID} signed by a.pub, who found SLSA_BUILD_LEVEL_2, named by the \
         publisher's metadata today, at most 168 hours old"
    );
    assert!(run.stdout.contains(&expected), "{}", run.stdout);
    story.rules("signers = { keys = [\"b.pub\"], fresh = true }\n");
    let run = story.program(&["policy", "explain", &story.endpoints.name, "--policy", "policy.toml"]);
    let expected = "1 of these signed the image itself, named by the publisher's metadata today: b.pub";
    assert!(run.stdout.contains(expected), "{}", run.stdout);
}
