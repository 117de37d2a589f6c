//! What tags promise, and images that are taken back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs;

use serde_json::json;
use support::{Desk, NAME};
use test_repos::tree::Tree;

fn rule(desk: &Desk, rule: &str) {
    let path = desk.path("trust/signer.toml");
    let text = fs::read_to_string(&path).unwrap();
    let rule = format!("\n[[rule]]\nnames = [\"registry.example.com/acme/*\"]\nrule = \"{rule}\"\n");
    fs::write(path, text + &rule).unwrap();
}

fn add(desk: &Desk, content: &str) -> support::Said {
    desk.image(content);
    desk.signer(&["add", &format!("oci:{content}:1.4"), "--as", NAME])
}

#[test]
fn an_immutable_tag_stays_what_it_is() {
    let desk = Desk::with_trust();
    rule(&desk, "immutable");
    add(&desk, "one").ok();
    desk.signer(&["publish"]).ok();
    assert_eq!(
        desk.metadata("2.targets.json")["signed"]["targets"][NAME]["custom"]["hallmark"]["rule"],
        "immutable"
    );
    let before = Tree::of(desk.path("trust")).unwrap();
    add(&desk, "two")
        .failed(1, &["would break its promise", "expected an immutable tag to stay sha256:", "[[rule]]"]);
    before.assert_unchanged();
    let said = add(&desk, "one").ok();
    assert!(said.stdout.starts_with("already published"), "{}", said.stdout);
}

#[test]
fn a_tag_that_goes_forward_never_goes_back() {
    let desk = Desk::with_trust();
    rule(&desk, "forward-only");
    for content in ["one", "two", "three"] {
        add(&desk, content).ok();
        desk.signer(&["publish"]).ok();
    }
    for content in ["one", "two"] {
        add(&desk, content).failed(1, &["expected a digest that the tag never meant before"]);
    }
    let history =
        desk.metadata("4.targets.json")["signed"]["targets"][NAME]["custom"]["hallmark"]["history"].clone();
    assert_eq!(history.as_array().unwrap().len(), 2);
    add(&desk, "four").ok();
}

#[test]
fn a_yanked_image_says_why_by_tag_and_by_digest() {
    let desk = Desk::published();
    let digest = desk.trusted(NAME).unwrap();
    let by_digest = format!("registry.example.com/acme/web@{digest}");
    let replacement = "registry.example.com/acme/web:1.5";
    let said = desk.signer(&["yank", NAME, "--reason", "loses data", "--replacement", replacement]).ok();
    assert!(said.stdout.contains(&format!("staged: {NAME} will be refused")), "{}", said.stdout);
    desk.signer(&["publish"]).ok();
    let targets = desk.metadata("3.targets.json")["signed"]["targets"].clone();
    for name in [NAME, &by_digest] {
        let yanked = &targets[name]["custom"]["hallmark"]["yanked"];
        assert_eq!((&yanked["reason"], &yanked["replacement"]), (&json!("loses data"), &json!(replacement)));
        assert!(yanked["since"].as_str().unwrap().ends_with('Z'));
    }
    assert_eq!(
        desk.trusted(NAME),
        Some(digest),
        "TUF finds it still: our verifier reads why it must not be run"
    );
    // Adding the same image again doesn't quietly bring it back.
    desk.signer(&["add", "oci:one:1.4", "--as", NAME]).ok();
    assert!(desk.signer(&["publish"]).ok().stdout.starts_with("nothing staged"));
    desk.signer(&["unyank", NAME]).ok();
    desk.signer(&["publish"]).ok();
    let targets = desk.metadata("4.targets.json")["signed"]["targets"].clone();
    assert_eq!(targets[NAME]["custom"]["hallmark"].get("yanked"), None);
}

#[test]
fn what_is_staged_of_an_image_stays_when_it_is_added_again() {
    let desk = Desk::published();
    desk.signer(&["yank", NAME, "--reason", "loses data"]).ok();
    let said = desk.signer(&["add", "oci:one:1.4", "--as", NAME]).ok();
    assert!(said.stdout.starts_with("already published"), "{}", said.stdout);
    desk.signer(&["publish"]).ok();
    let targets = desk.metadata("3.targets.json")["signed"]["targets"].clone();
    assert_eq!(targets[NAME]["custom"]["hallmark"]["yanked"]["reason"], "loses data");
}

#[test]
fn other_tags_of_a_yanked_image_are_told() {
    let desk = Desk::published();
    let latest = "registry.example.com/acme/web:latest";
    desk.signer(&["add", "oci:one:1.4", "--as", latest]).ok();
    desk.signer(&["publish"]).ok();
    let said = desk.signer(&["yank", NAME, "--reason", "loses data"]).ok();
    assert!(
        said.stderr.contains(&format!("{latest} means the same image, and is not yanked")),
        "{}",
        said.stderr
    );
    let said = desk.signer(&["yank", latest, "--reason", "loses data"]).ok();
    assert_eq!(said.stderr, "");
}

#[test]
fn what_can_not_be_yanked_says_so() {
    let desk = Desk::published();
    let before = Tree::of(desk.path("trust")).unwrap();
    desk.signer(&["yank", "registry.example.com/acme/web:9", "--reason", "x"])
        .failed(1, &["is not published"]);
    desk.signer(&["yank", NAME, "--reason", " "]).failed(2, &["a reason is one line of text"]);
    desk.signer(&["yank", NAME, "--reason", "a\nb"]).failed(2, &["a reason is one line of text"]);
    desk.signer(&["yank", NAME, "--reason", &"x".repeat(501)]).failed(2, &["at most 500 characters"]);
    before.assert_unchanged();
}
