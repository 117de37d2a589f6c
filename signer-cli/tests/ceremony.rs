//! Several people sign one proposal: separate processes, separate homes, no network.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use signer_cli::reports::ceremony::Ceremony;
use support::{Desk, NAME, Said};
use test_repos::tree::Tree;

/// Three people, of whom two must sign the root: alice has the repository, bob and eve each a key.
struct Three {
    alice: Desk,
}

impl Three {
    fn new() -> Self {
        let alice = Desk::published();
        for name in ["bob", "eve"] {
            let public = alice.public_key(name);
            alice.signer(&["role", "add-key", "root", &public]).ok();
        }
        alice.signer(&["role", "threshold", "root", "2"]).ok();
        Self { alice }
    }

    /// With a root that needs two of three, published.
    fn settled() -> Self {
        let three = Self::new();
        three.alice.signer(&["ceremony", "propose", "--out", "first.json"]).ok();
        three.sign("bob", "first.json", "first.json").ok();
        three.alice.signer(&["publish", "--ceremony", "first.json"]).ok();
        three
    }

    /// Someone signs a copy in a folder of their own, with nothing but the file, the first root and a key.
    fn sign(&self, name: &str, file: &str, out: &str) -> Said {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| self.alice.path(name);
        fs::create_dir(home.path().join("keys")).unwrap();
        fs::copy(path(&format!("{name}.pem")), home.path().join("keys/root.pem")).unwrap();
        fs::copy(path("trust/root.json"), home.path().join("root.json")).unwrap();
        fs::copy(path(file), home.path().join("ceremony.json")).unwrap();
        let arguments = [
            "ceremony",
            "sign",
            "ceremony.json",
            "--keys",
            "keys",
            "--root",
            "root.json",
            "--out",
            "signed.json",
        ];
        let said = Said::of(&self.alice.command(&arguments).current_dir(home.path()).output().unwrap());
        if said.code == 0 {
            fs::copy(home.path().join("signed.json"), path(out)).unwrap();
        }
        said
    }
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn two_of_three_move_a_root_on_without_meeting() {
    let three = Three::settled();
    let alice = &three.alice;
    assert_eq!(alice.metadata("2.root.json")["signed"]["roles"]["root"]["threshold"], 2);
    // Now alone nobody can.
    alice.signer(&["role", "renew", "root"]).ok();
    let before = Tree::of(alice.path("trust/published")).unwrap();
    alice.signer(&["publish"]).failed(1, &["root can't be signed", "ceremony propose"]);
    before.assert_unchanged();

    let digest = alice.trusted(NAME);
    let said = alice.signer(&["ceremony", "propose", "--unsigned", "--out", "renew.json"]).ok();
    assert!(said.stdout.contains("root: 0 of 2"), "{}", said.stdout);
    alice.signer(&["publish", "--ceremony", "renew.json"]).failed(1, &["root can't be signed"]);
    before.assert_unchanged();
    three.sign("bob", "renew.json", "bob.json").ok();
    three.sign("eve", "renew.json", "eve.json").ok();
    // In any order it is the same file.
    alice.signer(&["ceremony", "merge", "bob.json", "eve.json", "--out", "a.json"]).ok();
    alice.signer(&["ceremony", "merge", "eve.json", "renew.json", "bob.json", "--out", "b.json"]).ok();
    assert_eq!(fs::read(alice.path("a.json")).unwrap(), fs::read(alice.path("b.json")).unwrap());
    alice.signer(&["publish", "--ceremony", "a.json"]).ok();
    assert_eq!(alice.reader().find(NAME).map(|found| found.0), digest);
    assert_eq!(alice.metadata("3.root.json")["signatures"].as_array().unwrap().len(), 2);
    let said = alice.signer(&["publish"]).ok();
    assert!(
        said.stdout.starts_with("nothing staged"),
        "what was signed is not staged any more: {}",
        said.stdout
    );
}

#[test]
fn all_keys_of_a_root_change_at_once() {
    let three = Three::settled();
    let alice = &three.alice;
    let digest = alice.trusted(NAME);
    let follower = alice.reader();
    let new: Vec<String> = ["dora", "finn", "gina"].iter().map(|name| alice.public_key(name)).collect();
    let mut arguments = vec!["role", "rotate", "root"];
    for key in &new {
        arguments.extend(["--key", key]);
    }
    alice.signer(&arguments).ok();
    // Alice signs with her old key as she proposes; one more of the old, and two of the new.
    alice.signer(&["ceremony", "propose", "--out", "all.json"]).ok();
    for name in ["bob", "dora", "gina"] {
        three.sign(name, "all.json", &format!("{name}.json")).ok();
    }
    let merge =
        ["ceremony", "merge", "bob.json", "dora.json", "gina.json", "--out", "all.json", "--format", "json"];
    let report: Ceremony = serde_json::from_str(&alice.signer(&merge).ok().stdout).unwrap();
    assert!(report.complete, "{report:?}");
    alice.signer(&["publish", "--ceremony", "all.json"]).ok();
    assert_eq!(follower.again().find(NAME).map(|found| found.0), digest);
    assert_eq!(alice.reader().find(NAME).map(|found| found.0), digest);
    assert_eq!(alice.key_ids("root").len(), 3);
}

#[test]
fn a_changed_proposal_has_no_signatures() {
    let three = Three::new();
    let alice = &three.alice;
    alice.signer(&["ceremony", "propose", "--out", "c.json"]).ok();
    three.sign("bob", "c.json", "c.json").ok();
    let words = |said: &Said| said.stdout.lines().nth(1).unwrap().to_owned();
    let honest = alice.signer(&["ceremony", "show", "c.json"]).ok();
    assert!(honest.stdout.contains("complete: "), "{}", honest.stdout);
    let mut evil = json_of(&alice.path("c.json"));
    evil["proposed"][0]["document"]["signed"]["roles"]["root"]["threshold"] = json!(1);
    fs::write(alice.path("evil.json"), serde_json::to_vec(&evil).unwrap()).unwrap();
    let shown = alice.signer(&["ceremony", "show", "evil.json"]).ok();
    assert!(shown.stderr.contains("is not of this proposal"), "{}", shown.stderr);
    assert!(shown.stdout.contains("0 of"), "{}", shown.stdout);
    assert_ne!(words(&shown), words(&honest), "read aloud they differ");
    assert!(
        !shown.stdout.contains("threshold 1 -> 2"),
        "what is shown is what would be signed: {}",
        shown.stdout
    );
    alice
        .signer(&["ceremony", "merge", "c.json", "evil.json", "--out", "m.json"])
        .failed(1, &["two different proposals"]);
    let before = Tree::of(alice.path("trust/published")).unwrap();
    alice.signer(&["publish", "--ceremony", "evil.json"]).failed(1, &["root can't be signed"]);
    before.assert_unchanged();
}

#[test]
fn a_proposal_about_another_repository_is_not_signed() {
    let three = Three::new();
    three.alice.signer(&["ceremony", "propose", "--out", "c.json"]).ok();
    let stranger = Desk::published();
    fs::copy(stranger.path("trust/root.json"), three.alice.path("trust/root.json")).unwrap();
    three.sign("bob", "c.json", "signed.json").failed(1, &["not about the repository that you trust"]);
}

#[test]
fn what_it_calls_published_must_be_signed() {
    let desk = Desk::published();
    desk.add("two");
    desk.signer(&["ceremony", "propose", "--unsigned", "--out", "c.json"]).ok();
    let mut evil = json_of(&desk.path("c.json"));
    // As if the bad image had been there before, so that no difference is shown.
    evil["before"][0]["document"]["signed"]["targets"] =
        evil["proposed"][0]["document"]["signed"]["targets"].clone();
    fs::write(desk.path("evil.json"), serde_json::to_vec(&evil).unwrap()).unwrap();
    desk.signer(&["ceremony", "show", "evil.json"])
        .failed(1, &["what it calls the published targets isn't signed by 1 of its keys"]);
}

#[test]
fn who_was_slower_proposes_again() {
    let three = Three::new();
    let alice = &three.alice;
    alice.signer(&["ceremony", "propose", "--out", "slow.json"]).ok();
    three.sign("bob", "slow.json", "slow.json").ok();
    alice.signer(&["role", "rotate", "timestamp", "--unencrypted-keys"]).ok();
    alice.signer(&["ceremony", "propose", "--out", "fast.json"]).ok();
    three.sign("bob", "fast.json", "fast.json").ok();
    alice.signer(&["publish", "--ceremony", "fast.json"]).ok();
    let before = Tree::of(alice.path("trust/published")).unwrap();
    let said = alice.signer(&["publish", "--ceremony", "fast.json"]).ok();
    assert_eq!(said.stdout, "all of it was published already\n");
    alice
        .signer(&["publish", "--ceremony", "slow.json"])
        .failed(1, &["out of date", "it starts from root 1, and root 2 is published"]);
    before.assert_unchanged();
}

#[test]
fn a_delegate_signs_first_and_the_delegation_is_published_then() {
    let desk = Desk::published();
    let bob = desk.public_key("bob");
    desk.signer(&["delegate", "add", "bobs", "--paths", "registry.example.com/bob/*", "--key", &bob]).ok();
    let digest = desk.image("two");
    let name = "registry.example.com/bob/app:1";
    desk.signer(&["add", "oci:two:1.4", "--as", name]).ok();
    desk.signer(&["publish"]).failed(1, &["delegated role \"bobs\" can't be signed"]);
    desk.signer(&["ceremony", "propose", "--out", "c.json"]).ok();
    fs::create_dir(desk.path("bobs-keys")).unwrap();
    fs::copy(desk.path("bob.pem"), desk.path("bobs-keys/bobs.pem")).unwrap();
    desk.signer(&["ceremony", "sign", "c.json", "--keys", "bobs-keys"]).ok();
    desk.signer(&["publish", "--ceremony", "c.json"]).ok();
    assert_eq!(desk.reader().find(name), Some((digest, vec!["targets".to_owned(), "bobs".to_owned()])));
}

#[test]
fn what_is_no_ceremony_says_so() {
    let desk = Desk::published();
    desk.signer(&["ceremony", "show", "nothing.json"]).failed(2, &["nothing.json"]);
    desk.signer(&["ceremony", "propose", "--out", "c.json"]).failed(1, &["there is nothing to sign"]);
    for (text, words) in
        [("hello", "no ceremony file"), ("{}", "missing field"), ("{\"a\":1,\"a\":2}", "duplicate")]
    {
        fs::write(desk.path("bad.json"), text).unwrap();
        desk.signer(&["ceremony", "show", "bad.json"]).failed(1, &["bad.json is no ceremony file", words]);
    }
}
