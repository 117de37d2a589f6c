//! A report worked out anew: what is so stands, and whatever was changed in it is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::arithmetic_side_effects, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use test_repos::surface::{Endpoints, Surface, SurfaceKind};

struct Story {
    folder: tempfile::TempDir,
    surface: Surface,
    endpoints: Endpoints,
}

#[derive(Debug)]
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
}

impl Story {
    fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let surface = Surface::start(SurfaceKind::Directory, folder.path()).unwrap();
        let endpoints = surface.endpoints().unwrap();
        fs::write(folder.path().join("root.json"), &endpoints.root).unwrap();
        Self { folder, surface, endpoints }
    }

    fn verify(&self, words: &[&str]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_verify"))
            .args(words)
            .env_clear()
            .env("HOME", self.folder.path().join("home"))
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Run { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    fn image(&self, verb: &str, more: &[&str]) -> Run {
        let at = self.endpoints.now.to_rfc3339();
        let mut words = vec![verb, &self.endpoints.image, "--as", &self.endpoints.name];
        words.extend(["--repo", &self.endpoints.repo, "--root", "root.json", "--at", &at]);
        if !more.contains(&"--all-platforms") {
            words.extend(["--platform", "linux/amd64"]);
        }
        words.extend(more);
        self.verify(&words)
    }

    fn report(&self, more: &[&str]) -> Value {
        let run = self.image("image", &[&["--format", "json"], more].concat());
        assert_eq!(run.code, 0, "{}", run.err);
        serde_json::from_str(&run.out).unwrap()
    }

    fn replay(&self, report: &Value, more: &[&str]) -> Run {
        fs::write(self.folder.path().join("proof.json"), report.to_string()).unwrap();
        self.verify(&[&["replay", "proof.json", "--root", "root.json"], more].concat())
    }
}

#[test]
fn a_report_with_its_proof_is_confirmed() {
    let story = Story::begin();
    for more in [&["--with-proof"][..], &["--with-proof", "--all-platforms"]] {
        let report = story.report(more);
        let run = story
            .replay(&report, &[])
            .is(0, &["as reported", "not worked out anew: the bytes of the layers"]);
        assert_eq!(run.out.trim_end(), report["pinned"].as_str().unwrap());
    }
    let report = story.report(&["--with-proof"]);
    let run = story.replay(&report, &["--format", "json"]).is(0, &[]);
    let json: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(
        (&json["version"], &json["verdict"], &json["differences"]),
        (&json!(1), &json!("trusted"), &json!([]))
    );
    for stage in [
        "trust",
        "root",
        "timestamp",
        "snapshot",
        "targets",
        "target",
        "manifest",
        "child",
        "config",
        "layer",
    ] {
        assert!(json["rechecked"].as_array().unwrap().contains(&json!(stage)), "{stage} in {json}");
    }
}

#[test]
fn a_report_without_its_proof_needs_a_pack_and_one_without_a_root_of_the_users_is_refused() {
    let story = Story::begin();
    let report = story.report(&[]);
    story.replay(&report, &[]).is(3, &["holds no proof", "--with-proof"]);
    assert_eq!(story.image("pack", &["-o", "web.hpk", "--with-layers"]).code, 0);
    let at = story.endpoints.now.to_rfc3339();
    story.replay(&report, &["--pack", "web.hpk", "--at", &at]).is(0, &["as reported"]);
    let mut bad = report.clone();
    bad["links"][3]["version"] = json!(9);
    story.replay(&bad, &["--pack", "web.hpk", "--at", &at]).is(1, &["/links/3/version: the report says 9"]);
    story.replay(&report, &["--pack", "web.hpk", "--at", &at, "--repo", "x"]).is(2, &[]);
    let report = story.report(&["--with-proof"]);
    fs::write(story.folder.path().join("proof.json"), report.to_string()).unwrap();
    story
        .verify(&["replay", "proof.json"])
        .is(1, &["no root is given or pinned", "root version 1 with sha256:"]);
    story.verify(&["replay", "root.json", "--root", "root.json"]).is(3, &["holds no proof"]);
    story.verify(&["replay", "nothing.json", "--root", "root.json"]).is(2, &["nothing.json can't be used"]);
}

#[test]
fn a_replay_neither_reads_nor_changes_what_this_machine_accepted() {
    let mut story = Story::begin();
    let report = story.report(&["--with-proof"]);
    story.surface.world().publish_another().unwrap();
    story.endpoints = story.surface.endpoints().unwrap();
    assert_eq!(story.image("image", &[]).code, 0, "this machine has accepted a newer timestamp");
    story.replay(&report, &[]).is(0, &["as reported"]);
    // As of another time it is another question.
    story.replay(&report, &["--at", "2999-01-01T00:00:00Z"]).is(1, &["expired at"]);
}

/// Every leaf below a value, by its pointer (RFC 6901).
fn leaves(value: &Value, at: &str, all: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, below) in members {
                leaves(below, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), all);
            }
        }
        Value::Array(entries) => {
            for (place, below) in entries.iter().enumerate() {
                leaves(below, &format!("{at}/{place}"), all);
            }
        }
        _ => all.push(at.to_owned()),
    }
}

/// Something else of the same kind: another digest, version, word.
fn flipped(value: &Value) -> Value {
    match value {
        Value::String(text) => {
            let turned = match text.as_str() {
                "trusted" => "refused".to_owned(),
                "passed" => "broken".to_owned(),
                "" => "x".to_owned(),
                text => {
                    let last = text.chars().last().unwrap();
                    let other = if last == '0' { '1' } else { '0' };
                    format!("{}{other}", &text[..text.len() - last.len_utf8()])
                }
            };
            Value::String(turned)
        }
        Value::Number(number) => json!(number.as_u64().unwrap() + 1),
        Value::Bool(value) => json!(!value),
        other => panic!("{other}"),
    }
}

/// The whole list of what a replay can't know: where things were, and how the root was come by.
#[test]
fn every_claim_that_is_flipped_is_refused_and_the_rest_is_a_short_list() {
    let story = Story::begin();
    let report = story.report(&["--with-proof"]);
    let mut all = Vec::new();
    let mut claims = report.clone();
    claims.as_object_mut().unwrap().remove("proof");
    leaves(&claims, "", &mut all);
    assert!(all.len() > 100, "{}", all.len());
    let mut unnoticed = BTreeSet::new();
    for at in &all {
        let mut bad = report.clone();
        let value = bad.pointer_mut(at).unwrap();
        *value = flipped(value);
        let run = story.replay(&bad, &[]);
        match run.code {
            0 => drop(unnoticed.insert(at.as_str())),
            1 => assert_eq!(run.out, "", "{at}"),
            code => panic!("{at}: {code} {}", run.err),
        }
    }
    let kept: BTreeSet<_> = unnoticed.iter().map(|at| story_of(&report, at)).collect();
    let expected = ["reference detail", "trust subject"].map(str::to_owned);
    assert_eq!(kept, BTreeSet::from(expected), "{unnoticed:?}");
    // In the list and in the tree.
    assert_eq!(unnoticed.len(), 4, "{unnoticed:?}");
}

/// Stage and member of a leaf.
fn story_of(report: &Value, at: &str) -> String {
    let (link, member) = at.rsplit_once('/').unwrap();
    format!("{} {member}", report.pointer(link).unwrap()["stage"].as_str().unwrap_or("no link"))
}

#[test]
fn a_claim_that_is_left_out_or_added_is_refused() {
    let story = Story::begin();
    let report = story.report(&["--with-proof"]);
    for name in ["verdict", "pinned", "digest", "role", "platforms", "links", "tree", "version", "reference"]
    {
        let mut bad = report.clone();
        bad.as_object_mut().unwrap().remove(name);
        let run = story.replay(&bad, &[]);
        assert_eq!(run.code, 1, "{name}: {}", run.err);
    }
    for (name, value) in [("hint", json!("trust me")), ("unheard_of", json!(1)), ("error", json!("x"))] {
        let mut bad = report.clone();
        bad[name] = value;
        story.replay(&bad, &[]).is(1, &[&format!("/{name}: the report says"), "it is nothing"]);
    }
    let mut bad = report.clone();
    bad["links"].as_array_mut().unwrap().pop();
    story.replay(&bad, &[]).is(1, &["/links: the report says"]);
    // The same member twice is one thing to some readers and another to others.
    let text = report.to_string().replacen(
        "\"verdict\":\"trusted\"",
        "\"verdict\":\"refused\",\"verdict\":\"trusted\"",
        1,
    );
    fs::write(story.folder.path().join("proof.json"), text).unwrap();
    story.verify(&["replay", "proof.json", "--root", "root.json"]).is(2, &["\"verdict\" twice"]);
}

#[test]
fn links_that_nothing_was_given_for_are_never_passed_over_in_silence() {
    let story = Story::begin();
    let report = story.report(&["--with-proof"]);
    for stage in ["evidence", "policy", "scan"] {
        let mut more = report.clone();
        let link = json!({"stage": stage, "status": "passed", "subject": "x", "detail": "signed by all"});
        more["links"].as_array_mut().unwrap().push(link.clone());
        let branch = json!({"link": link});
        more["tree"]["children"].as_array_mut().unwrap().push(branch);
        story.replay(&more, &[]).is(3, &["could not tell", &format!("--skip {stage}")]);
        story.replay(&more, &["--skip", stage]).is(0, &[&format!("not worked out anew: the link {stage}")]);
    }
}

#[test]
fn a_proof_that_was_changed_is_refused() {
    let story = Story::begin();
    let report = story.report(&["--with-proof"]);
    let mut all = Vec::new();
    leaves(&report["proof"], "/proof", &mut all);
    // Parts, their sizes and hashes, and what the pack is of.
    let matters = |at: &&String| {
        let free = ["/proof/as_of", "/proof/index/complete", "/proof/index/layers", "/proof/index/platforms"];
        !free.iter().any(|free| at.starts_with(free))
    };
    let mut tried = 0;
    for at in all.iter().filter(matters) {
        let mut bad = report.clone();
        let value = bad.pointer_mut(at).unwrap();
        *value = match value.as_str() {
            // In the middle: padding is none of the bytes.
            Some(text) if at.starts_with("/proof/files/") => {
                let middle = text.len() / 2;
                let other = if &text[middle..=middle] == "A" { "B" } else { "A" };
                json!(format!("{}{other}{}", &text[..middle], &text[middle + 1..]))
            }
            _ => flipped(value),
        };
        let run = story.replay(&bad, &[]);
        assert!([1, 3].contains(&run.code) && run.out.is_empty(), "{at}: {} {}", run.code, run.err);
        tried += 1;
    }
    assert!(tried > 30, "{tried}");
    // A time at which it would not have been trusted.
    let mut bad = report.clone();
    bad["proof"]["as_of"] = json!("2999-01-01T00:00:00Z");
    story.replay(&bad, &[]).is(1, &["expired at"]);
    bad["proof"]["as_of"] = json!("soon");
    story.replay(&bad, &[]).is(1, &["expected a time"]);
}

#[test]
fn the_proof_of_another_image_proves_nothing() {
    let mut story = Story::begin();
    let first = story.report(&["--with-proof"]);
    {
        let mut world = story.surface.world();
        let (tag, older) = (world.tag.clone(), world.older());
        world.announce("1.4", &older).unwrap();
        world.images.tags.insert(tag, older);
        world.repo.publish().unwrap();
    }
    story.endpoints = story.surface.endpoints().unwrap();
    let second = story.report(&["--with-proof"]);
    assert_ne!(first["digest"], second["digest"]);
    let mut bad = first.clone();
    bad["proof"] = second["proof"].clone();
    story.replay(&bad, &[]).is(1, &[]);
    // Nor does a report of a refusal stand where the chain holds.
    let mut refused = first;
    refused["verdict"] = json!("refused");
    story.replay(&refused, &[]).is(1, &["/verdict: the report says refused, it is trusted"]);
}
