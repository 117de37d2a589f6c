//! Signatures and attestations read from a pack: what is told is what the registry has, and nobody is asked.

use std::fs;

use image_signatures::{BUNDLE, Format};
use serde_json::{Value, json};

use crate::{PROVENANCE, REPO, Run, SPDX, Story, bundle, provenance_of, statement};

const BY_A: &[&str] = &["--key", "a.pub", "--format", "json"];

impl Story {
    fn packed(&self, verb: &str, more: &[&str]) -> Run {
        let at = self.endpoints.now.to_rfc3339();
        let mut words = vec![verb, "--pack", "web.hpk", "--state", "other"];
        if !more.contains(&"--at") {
            words.extend(["--at", &at]);
        }
        if !more.contains(&"--unverified") && !more.contains(&"--repo") {
            words.extend(["--root", "root.json"]);
        }
        words.extend(more);
        self.program(&words)
    }
}

impl Run {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|why| panic!("{why}: {} {}", self.stdout, self.stderr))
    }
}

/// An image with signatures and attestations by somebody trusted and by a stranger, in a registry and in a pack.
fn story() -> Story {
    let story = Story::begin();
    story.sign(&story.top, "a", &[Format::Cosign2, Format::Cosign3]);
    story.sign(&story.top, "stranger", &[Format::Cosign2]);
    for (key, kind, predicate) in [
        ("a", PROVENANCE, provenance_of("https://ci.example.com")),
        ("stranger", PROVENANCE, provenance_of("https://elsewhere.example.com")),
        ("a", SPDX, json!({ "spdxVersion": "SPDX-2.3", "packages": [{}, {}] })),
    ] {
        story.attach(&story.top, BUNDLE, &bundle(key, &statement(&story.top, kind, &predicate)));
    }
    let packed = story.verify("pack", &["-o", "web.hpk"]);
    assert_eq!(packed.code, 0, "{}", packed.stderr);
    story
}

#[test]
fn evidence_in_a_pack_is_that_of_the_registry_and_nobody_is_asked() {
    let story = story();
    let asked = story.evidence(&[]);
    assert_eq!(asked["pieces"].as_array().unwrap().len(), 6, "{asked}");
    story.fake.clear_log();
    let read = story.packed("evidence", BY_A);
    assert_eq!(read.code, 0, "{}", read.stderr);
    assert_eq!(read.json(), asked);
    // The pack is of one platform.
    let all = story.packed("evidence", &[BY_A, &["--all-platforms"]].concat());
    assert_eq!((all.code, &all.json()["verdict"]), (3, &json!("unknown")), "{}", all.stderr);
    let unverified = story.packed("evidence", &[BY_A, &["--unverified"]].concat()).json();
    assert_eq!(
        (&unverified["verdict"], &unverified["reference"]),
        (&json!("unverified"), &asked["reference"])
    );
    assert_eq!(unverified["pieces"], asked["pieces"]);
    assert_eq!(story.fake.log(), []);
}

#[test]
fn provenance_in_a_pack_is_that_of_the_registry_but_for_base_images() {
    let story = story();
    let told = |run: Run| {
        assert_eq!(run.code, 0, "{}", run.stderr);
        let mut report = run.json();
        let bases: Vec<_> =
            report["builds"].as_array_mut().unwrap().iter_mut().map(|one| one["bases"].take()).collect();
        report.as_object_mut().unwrap().remove("gaps");
        (report, bases)
    };
    let by = &[BY_A, &["--builder", "3,a.pub,https://ci.example.com"]].concat();
    let (asked, _) = told(story.verify("provenance", by));
    assert_eq!(asked["builds"][0]["level"], 3);
    story.fake.clear_log();
    let (read, bases) = told(story.packed("provenance", by));
    assert_eq!(read, asked);
    assert_eq!(bases[0][0]["verdict"], "unknown");
    assert_eq!(bases[0][0]["detail"], "it isn't in the pack, and nothing else is asked");
    assert_eq!(story.fake.log(), []);
}

/// A pack vouches for nothing: neither for its root, nor for its name, nor for ever.
#[test]
fn a_pack_that_is_not_trusted_tells_of_no_evidence() {
    let story = story();
    fs::write(story.path("other.json"), "{}").unwrap();
    let other = format!("registry.example.com/{REPO}:1.3");
    for verb in ["evidence", "provenance"] {
        for (more, code, says) in [
            (vec!["--at", "2999-01-01T00:00:00Z"], 1, "expired at "),
            (vec![other.as_str()], 1, "is of another image"),
        ] {
            let run = story.packed(verb, &[BY_A, &more].concat());
            assert_eq!(run.code, code, "{verb} {more:?}: {}", run.stderr);
            assert!(run.stderr.contains(says), "{verb} {more:?}: {}", run.stderr);
            assert_eq!(run.json()["verdict"], "refused");
        }
        let none = story.program(&[verb, "--pack", "web.hpk", "--state", "none"]);
        assert_eq!((none.code, none.stdout.as_str()), (1, ""), "{}", none.stderr);
        assert!(none.stderr.contains("a pack can't vouch for itself"), "{}", none.stderr);
        let repo = story.packed(verb, &["--repo", &story.endpoints.repo]);
        assert_eq!(repo.code, 2, "{}", repo.stderr);
        let nameless = story.program(&[verb, "--key", "a.pub"]);
        assert_eq!(nameless.code, 2, "{}", nameless.stderr);
    }
    let mut bytes = fs::read(story.path("web.hpk")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(story.path("web.hpk"), bytes).unwrap();
    let run = story.packed("evidence", BY_A);
    assert_eq!((run.code, &run.json()["reference"]), (1, &json!("web.hpk")), "{}", run.stderr);
}
