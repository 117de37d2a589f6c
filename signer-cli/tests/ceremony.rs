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

/// A ceremony that was tampered with before anybody signed: what is said of it.
#[track_caller]
fn tampered(desk: &Desk, tamper: impl FnOnce(&mut Value)) -> Said {
    let mut file = json_of(&desk.path("c.json"));
    tamper(&mut file);
    fs::write(desk.path("evil.json"), serde_json::to_vec(&file).unwrap()).unwrap();
    let shown = desk.signer(&["ceremony", "show", "evil.json"]);
    if shown.code != 0 {
        let before = fs::read(desk.path("evil.json")).unwrap();
        assert_eq!(desk.signer(&["ceremony", "sign", "evil.json"]).code, shown.code);
        assert_eq!(fs::read(desk.path("evil.json")).unwrap(), before);
    }
    shown
}

/// Clients take the id of a key as it is declared. So another key can stand under the id of a known one.
#[test]
fn a_key_that_takes_anothers_place_under_its_id_is_shown() {
    let desk = Desk::published();
    desk.public_key("eve");
    desk.signer(&["role", "renew", "root"]).ok();
    desk.signer(&["ceremony", "propose", "--unsigned", "--out", "c.json"]).ok();
    let honest = desk.signer(&["ceremony", "show", "c.json"]).ok().stdout;
    assert!(!honest.contains("key"), "{honest}");
    desk.signer(&["init", "--unencrypted-keys", "--repo", "eves"]).ok();
    let theirs = json_of(&desk.path("eves/root.json"))["signed"]["keys"].clone();
    let (own_id, key) = theirs.as_object().unwrap().iter().next().unwrap();
    let targets = desk.key_ids("targets")[0].clone();
    let shown = tampered(&desk, |file| {
        file["proposed"][0]["document"]["signed"]["keys"][&targets] = key.clone();
    })
    .ok();
    let line = format!(
        "targets: PUTS ANOTHER KEY in the place of {}, which by itself is {}",
        &targets[..12],
        &own_id[..12]
    );
    assert!(shown.stdout.contains(&line), "expected {line} in\n{}", shown.stdout);
    // One that comes under the id of somebody whom all know.
    let shown = tampered(&desk, |file| {
        let signed = &mut file["proposed"][0]["document"]["signed"];
        signed["keys"]["b0b"] = key.clone();
        signed["roles"]["root"]["keyids"].as_array_mut().unwrap().push("b0b".into());
    })
    .ok();
    let line = format!("root: adds key b0b, which by itself is {}", &own_id[..12]);
    assert!(shown.stdout.contains(&line), "expected {line} in\n{}", shown.stdout);
}

#[test]
fn nothing_that_would_be_signed_goes_unseen() {
    let desk = Desk::published();
    desk.signer(&["role", "renew", "root"]).ok();
    desk.add("two");
    desk.signer(&["ceremony", "propose", "--unsigned", "--out", "c.json"]).ok();
    let at = |file: &Value, role: &str| {
        file["proposed"].as_array().unwrap().iter().position(|one| one["role"] == role).unwrap()
    };
    let shown = tampered(&desk, |file| {
        let (root, targets) = (at(file, "root"), at(file, "targets"));
        file["proposed"][root]["document"]["signed"]["consistent_snapshot"] = json!(false);
        file["proposed"][root]["document"]["signed"]["roles"]["mirrors"] =
            json!({ "keyids": [], "threshold": 1 });
        let signed = &mut file["proposed"][targets]["document"]["signed"];
        signed["x-extra"] = json!("more");
        let evil = signed["targets"][NAME].clone();
        signed["targets"]["a\n  it follows from the root that you trust\u{202e}"] = evil;
    })
    .ok();
    for line in [
        "\n  consistent_snapshot: true -> false\n",
        "\n  other roles: {} -> {\"mirrors\":",
        "\n  x-extra: nothing -> \"more\"\n",
        "\n  + a\\n  it follows from the root that you trust\\u{202e} sha256:",
    ] {
        assert!(shown.stdout.contains(line), "expected {line} in\n{}", shown.stdout);
    }
    // What goes is named before what comes, of which there may be much.
    let shown = tampered(&desk, |file| {
        let targets = at(file, "targets");
        let listed = file["proposed"][targets]["document"]["signed"]["targets"].as_object_mut().unwrap();
        let evil = listed.remove(NAME).unwrap();
        for number in 0..30 {
            listed.insert(format!("registry.example.com/acme/more:{number}"), evil.clone());
        }
    })
    .ok();
    assert!(shown.stdout.contains(&format!("\n  - {NAME}\n")), "{}", shown.stdout);
    assert!(shown.stdout.contains("\n  and more images: 12 added\n"), "{}", shown.stdout);
}

#[test]
fn what_was_before_leads_back_to_the_root_that_is_trusted() {
    let desk = Desk::published();
    desk.add("two");
    desk.signer(&["role", "renew", "root"]).ok();
    desk.signer(&["ceremony", "propose", "--unsigned", "--out", "c.json"]).ok();
    // Another root beside the one that was followed, from which nothing would differ.
    tampered(&desk, |file| {
        let mut other = file["roots"][0].clone();
        other["signed"]["roles"]["root"]["keyids"] = json!([]);
        file["roots"].as_array_mut().unwrap().push(other);
    })
    .failed(1, &["expected root 1 to be followed by the next, got 1"]);
    // Roles whose keys are only named by each other.
    let told = "to begin with targets, got others";
    tampered(&desk, |file| file["before"][0]["delegator"] = json!("x")).failed(1, &[told]);
    tampered(&desk, |file| {
        for (role, by) in [("x", "y"), ("y", "x")] {
            let mut one = file["before"][0].clone();
            one["role"] = json!(role);
            one["delegator"] = json!(by);
            file["before"].as_array_mut().unwrap().push(one);
        }
    })
    .failed(1, &[told]);
    tampered(&desk, |file| {
        let twice = file["before"][0].clone();
        file["before"].as_array_mut().unwrap().push(twice);
    })
    .failed(1, &["one published document of targets, got two"]);
}

/// Whoever holds keys of two roles must not sign for one what is meant for the other.
#[test]
fn a_document_is_of_the_role_that_it_is_shown_as() {
    let desk = Desk::published();
    desk.add("two");
    desk.signer(&["ceremony", "propose", "--unsigned", "--out", "c.json"]).ok();
    tampered(&desk, |file| {
        let mut root = file["roots"][0].clone();
        root["signed"]["version"] = json!(2);
        file["proposed"][0]["document"] = root;
    })
    .failed(1, &["evil.json is no ceremony file", "targets expected type \"targets\", got \"root\""]);
    let timestamp = desk.metadata("timestamp.json");
    tampered(&desk, |file| {
        file["proposed"].as_array_mut().unwrap().push(json!({ "role": "timestamp", "document": timestamp }));
    })
    .failed(1, &["expected root or targets roles to be proposed, got timestamp"]);
}

#[test]
fn what_a_proposal_says_that_it_does_is_in_its_fingerprint() {
    let desk = Desk::published();
    desk.add("two");
    desk.signer(&["ceremony", "propose", "--unsigned", "--out", "c.json"]).ok();
    let words = |said: &Said| said.stdout.lines().nth(1).unwrap().to_owned();
    let honest = desk.signer(&["ceremony", "show", "c.json"]).ok();
    // As if it did more than is signed: whoever publishes it would take that for done.
    let renewed = json!({ "edit": "renew", "role": "root" });
    let shown = tampered(&desk, |file| file["edits"].as_array_mut().unwrap().push(renewed)).ok();
    assert_ne!(words(&shown), words(&honest));
    let merge = ["ceremony", "merge", "c.json", "evil.json", "--out", "m.json"];
    desk.signer(&merge).failed(1, &["two different proposals"]);
}

/// A key of ECDSA signs the same each time in another way.
#[test]
fn who_signs_two_copies_makes_no_difference_to_the_order() {
    let desk = Desk::published();
    fs::create_dir(desk.path("bobs")).unwrap();
    let openssl = |arguments: &[&str]| {
        let done =
            std::process::Command::new("openssl").args(arguments).current_dir(desk.dir.path()).output();
        assert!(done.unwrap().status.success(), "{arguments:?}");
    };
    let kind = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "bobs/root.pem"];
    openssl(&[&["genpkey"], &kind[..]].concat());
    openssl(&["pkey", "-in", "bobs/root.pem", "-pubout", "-out", "bob.pub"]);
    desk.signer(&["role", "add-key", "root", "bob.pub"]).ok();
    desk.signer(&["ceremony", "propose", "--unsigned", "--out", "c.json"]).ok();
    for copy in ["a.json", "b.json"] {
        desk.signer(&["ceremony", "sign", "c.json", "--keys", "bobs", "--out", copy]).ok();
    }
    assert_ne!(fs::read(desk.path("a.json")).unwrap(), fs::read(desk.path("b.json")).unwrap());
    desk.signer(&["ceremony", "merge", "a.json", "b.json", "--out", "ab.json"]).ok();
    desk.signer(&["ceremony", "merge", "b.json", "c.json", "a.json", "--out", "ba.json"]).ok();
    assert_eq!(fs::read(desk.path("ab.json")).unwrap(), fs::read(desk.path("ba.json")).unwrap());
}

#[test]
fn nobody_signs_without_a_root_to_compare_with() {
    let three = Three::new();
    let alice = &three.alice;
    alice.signer(&["ceremony", "propose", "--out", "c.json"]).ok();
    fs::create_dir(alice.path("bobs")).unwrap();
    fs::copy(alice.path("bob.pem"), alice.path("bobs/root.pem")).unwrap();
    let before = fs::read(alice.path("c.json")).unwrap();
    let sign = ["--repo", "nowhere", "ceremony", "sign", "c.json", "--keys", "bobs"];
    alice.signer(&sign).failed(2, &["no root here that you trust", "--root FILE"]);
    assert_eq!(fs::read(alice.path("c.json")).unwrap(), before);
    let shown = alice.signer(&["--repo", "nowhere", "ceremony", "show", "c.json"]).ok();
    assert!(shown.stdout.contains("NOT compared with a root that you trust"), "{}", shown.stdout);
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
