//! Who may sign, and for what: delegations, thresholds, rotation, bins.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs;

use signing_keys::file::KeyFile;
use support::client::Reader;
use support::{Desk, NAME, copy};
use test_repos::tree::Tree;
use tuf_core::authoring::{Document, meta_of};
use tuf_core::crypto;

const OTHER: &str = "registry.example.com/team/app:2";

#[test]
fn a_delegated_role_speaks_for_its_names_and_no_others() {
    let desk = Desk::published();
    let team = ["delegate", "add", "team", "--paths", "registry.example.com/team/*", "--unencrypted-keys"];
    let said = desk.signer(&team).ok();
    assert!(said.stdout.contains("lets team speak for registry.example.com/team/*"), "{}", said.stdout);
    let digest = desk.image("two");
    desk.signer(&["add", "oci:two:1.4", "--as", OTHER]).ok();
    desk.signer(&["publish"]).ok();
    assert_eq!(desk.reader().find(OTHER), Some((digest, vec!["targets".to_owned(), "team".to_owned()])));
    assert!(desk.reader().find(NAME).unwrap().1 == ["targets"]);
    let listed = desk.metadata("1.team.json")["signed"]["targets"].as_object().unwrap().len();
    assert_eq!(listed, 2, "the tag and the digest");

    let said = desk.signer(&["delegate", "list"]).ok();
    assert_eq!(said.stdout, "team (by targets, 1 of 1 keys)\n  registry.example.com/team/*\n");
    desk.signer(&["delegate", "remove", "team"]).ok();
    desk.signer(&["publish"]).ok();
    assert_eq!(desk.reader().find(OTHER), None);
}

#[test]
fn a_role_is_delegated_to_once() {
    let desk = Desk::published();
    let team = ["delegate", "add", "team", "--paths", "registry.example.com/team/*", "--unencrypted-keys"];
    desk.signer(&team).ok();
    desk.signer(&["publish"]).ok();
    let before = Tree::of(desk.path("trust")).unwrap();
    desk.signer(&team).failed(1, &["team is a role already"]);
    desk.signer(&["delegate", "add", "root", "--paths", "a/*"]).failed(2, &["can't be called \"root\""]);
    desk.signer(&["delegate", "add", "a\nb", "--paths", "a/*"]).failed(2, &["can't be called \"a\\nb\""]);
    desk.signer(&["delegate", "add", "a", "--paths", "a/*\n"]).failed(2, &["is no pattern of names"]);
    desk.signer(&["delegate", "remove", "nobody"]).failed(1, &["nobody delegates to nobody"]);
    before.assert_unchanged();
}

/// At each rotation both who followed everything and who comes anew trust the same, and so does who comes
/// between the two writes of a publish.
#[test]
fn every_role_can_change_all_its_keys_at_once() {
    for role in ["timestamp", "snapshot", "targets", "root"] {
        let desk = Desk::published();
        let digest = desk.trusted(NAME);
        let follower = desk.reader();
        let said = desk.signer(&["role", "rotate", role, "--unencrypted-keys"]).ok();
        assert!(said.stdout.contains("drops key"), "{}", said.stdout);
        desk.signer(&["publish"]).ok();
        assert_eq!(follower.again().find(NAME).map(|found| found.0), digest, "{role}");
        assert_eq!(desk.reader().find(NAME).map(|found| found.0), digest, "{role}");

        // What a crash before the last write leaves: the new timestamp under the old root.
        fs::remove_file(desk.path("trust/published/metadata/2.root.json")).unwrap();
        assert_eq!(desk.reader().find(NAME).map(|found| found.0), digest, "{role}, between two writes");
    }
}

#[test]
fn a_key_that_is_lost_is_replaced_without_it() {
    let desk = Desk::published();
    let digest = desk.trusted(NAME);
    desk.signer(&["role", "rotate", "timestamp", "--unencrypted-keys"]).ok();
    fs::remove_file(desk.path("trust/keys/timestamp.pem")).unwrap();
    desk.signer(&["publish"]).ok();
    assert_eq!(desk.reader().find(NAME).map(|found| found.0), digest);
}

#[test]
fn a_role_that_could_never_sign_again_is_refused() {
    let desk = Desk::published();
    let before = Tree::of(desk.path("trust")).unwrap();
    desk.signer(&["role", "threshold", "root", "2"]).failed(
        1,
        &["root could never sign again", "expected at least 2 key(s), for that is its threshold, got 1"],
    );
    let id =
        desk.metadata("1.root.json")["signed"]["roles"]["root"]["keyids"][0].as_str().unwrap().to_owned();
    desk.signer(&["role", "remove-key", "root", &id[..12]]).failed(1, &["root could never sign again"]);
    desk.signer(&["role", "revoke", &id]).failed(1, &["root could never sign again"]);
    desk.signer(&["role", "remove-key", "root", "feed"]).failed(1, &["root has no key feed"]);
    desk.signer(&["role", "threshold", "nobody", "1"]).failed(1, &["nobody can't be changed"]);
    before.assert_unchanged();
}

#[test]
fn a_revoked_key_signs_nothing_any_more() {
    let desk = Desk::published();
    desk.signer(&["role", "rotate", "targets", "--unencrypted-keys"]).ok();
    desk.signer(&["publish"]).ok();
    let second = desk.key_ids("targets")[0].clone();
    // Two keys, one of which is told to be stolen.
    let more = desk.public_key("more");
    desk.signer(&["role", "add-key", "targets", &more]).ok();
    desk.signer(&["publish"]).ok();
    assert_eq!(desk.key_ids("targets").len(), 2);
    let third = desk.key_ids("targets").into_iter().find(|id| *id != second).unwrap();
    desk.signer(&["role", "revoke", &third[..10]]).ok();
    desk.signer(&["publish"]).ok();
    assert_eq!(desk.key_ids("targets"), [second]);
}

#[test]
fn a_root_that_expired_is_renewed() {
    let desk = Desk::published();
    let digest = desk.trusted(NAME);
    desk.signer(&["role", "renew", "root"]).ok();
    let said = desk.signer(&["publish"]).ok();
    assert!(said.stdout.contains("root         2"), "{}", said.stdout);
    assert_eq!(desk.reader().find(NAME).map(|found| found.0), digest);
}

/// What `docs/src/fast-forward.md` says: who accepted a thief's huge versions comes back after a rotation.
#[test]
fn clients_that_were_driven_ahead_come_back() {
    let desk = Desk::published();
    let digest = desk.trusted(NAME).unwrap();
    let served = desk.path("served");
    let serve = || {
        let _ = fs::remove_dir_all(&served);
        copy(&desk.path("trust/published"), &served);
    };
    serve();
    let metadata = served.join("metadata");
    let client = Reader::new(fs::read(metadata.join("1.root.json")).unwrap(), metadata.clone());
    let far = |file: &str, role: &str, change: &dyn Fn(&mut Document)| {
        let mut document = Document::parse(&fs::read(metadata.join(file)).unwrap()).unwrap();
        document.set_version(1000);
        change(&mut document);
        let pem = fs::read_to_string(desk.path(&format!("trust/keys/{role}.pem"))).unwrap();
        let stolen = KeyFile::parse(&pem).unwrap().open(b"").unwrap();
        document.sign(&stolen, crypto::default()).unwrap();
        document.to_bytes()
    };
    let snapshot = far("2.snapshot.json", "snapshot", &|_| {});
    let stated = meta_of(1000, &snapshot);
    let timestamp = far("timestamp.json", "timestamp", &|one| one.set_meta("snapshot.json", &stated));
    fs::write(metadata.join("1000.snapshot.json"), snapshot).unwrap();
    fs::write(metadata.join("timestamp.json"), timestamp).unwrap();
    client.takes().unwrap();

    serve();
    let refused = client.takes().unwrap_err();
    assert!(refused.contains("timestamp expected version 1000, got 2"), "{refused}");
    for role in ["timestamp", "snapshot"] {
        desk.signer(&["role", "rotate", role, "--unencrypted-keys"]).ok();
    }
    desk.signer(&["publish"]).ok();
    serve();
    assert_eq!(client.find(NAME).unwrap().0, digest);
}

#[test]
fn names_are_spread_over_bins_and_stay_trusted() {
    let desk = Desk::published();
    let digest = desk.trusted(NAME).unwrap();
    desk.signer(&["delegate", "bins", "16", "--succinct", "--unencrypted-keys"]).ok();
    desk.signer(&["publish"]).ok();
    let (found, chain) = desk.reader().find(NAME).unwrap();
    assert_eq!(found, digest);
    assert!(chain[1].starts_with("bins-"), "{chain:?}");
    // One more image: its bins sign, and the top-level targets don't.
    let two = desk.image("two");
    desk.signer(&["add", "oci:two:1.4", "--as", OTHER]).ok();
    let said = desk.signer(&["publish"]).ok();
    assert!(!said.stdout.contains("\n  targets"), "{}", said.stdout);
    assert_eq!(desk.reader().find(OTHER).unwrap().0, two);
    // Anew, into more of them, with the same keys.
    desk.signer(&["delegate", "bins", "64", "--succinct"]).ok();
    desk.signer(&["publish"]).ok();
    assert_eq!(desk.reader().find(NAME).unwrap().0, digest);
    assert_eq!(desk.reader().find(OTHER).unwrap().0, two);
    desk.signer(&["delegate", "bins", "12", "--succinct"]).failed(2, &["expected a power of two"]);
}

/// The newest top-level targets.
fn targets(desk: &Desk) -> serde_json::Value {
    let [_, _, version] = desk.versions();
    desk.metadata(&format!("{version}.targets.json"))["signed"].clone()
}

#[test]
fn keys_of_bins_that_are_written_out_rotate_and_are_revoked() {
    let desk = Desk::published();
    let digest = desk.trusted(NAME).unwrap();
    desk.signer(&["delegate", "bins", "16", "--unencrypted-keys"]).ok();
    desk.signer(&["publish"]).ok();
    let follower = desk.reader();
    let (_, chain) = follower.find(NAME).unwrap();
    let old = targets(&desk)["delegations"]["roles"][0]["keyids"][0].as_str().unwrap().to_owned();
    // The bin that lists the name: it has to sign anew.
    desk.signer(&["role", "rotate", &chain[1], "--unencrypted-keys"]).ok();
    desk.signer(&["publish"]).ok();
    assert_eq!(follower.again().find(NAME).unwrap().0, digest);
    let listed = desk.signer(&["key", "list"]).ok().stdout;
    assert!(listed.contains("bins-0") && listed.contains(&chain[1]), "{listed}");
    // The first key is stolen: what it signs for is found, and a bin without any other key says so.
    desk.signer(&["role", "revoke", &old]).failed(1, &["could never sign again"]);
    let more = desk.public_key("more");
    desk.signer(&["delegate", "bins", "16", "--key", &chain[1], "--key", &more]).ok();
    desk.signer(&["publish"]).ok();
    assert!(!targets(&desk)["delegations"].to_string().contains(&old));
    assert_eq!(follower.again().find(NAME).unwrap().0, digest);
    let second = targets(&desk)["delegations"]["roles"][3]["keyids"][1].as_str().unwrap().to_owned();
    let said = desk.signer(&["key", "revoke", &second[..12]]).ok().stdout;
    assert!(said.contains("and from 15 more roles"), "{said}");
    desk.signer(&["publish"]).ok();
    assert!(!targets(&desk)["delegations"].to_string().contains(&second));
    assert_eq!(follower.again().find(NAME).unwrap().0, digest);
    assert_eq!(desk.reader().find(NAME).unwrap().0, digest);
}

#[test]
fn bins_that_are_spread_anew_keep_their_keys_and_their_threshold() {
    for succinct in [&["--succinct"][..], &[]] {
        let desk = Desk::published();
        desk.signer(&["key", "new", "one", "--unencrypted"]).ok();
        desk.signer(&["key", "new", "other", "--unencrypted"]).ok();
        let keys = ["--key", "one", "--key", "other", "--threshold", "2"];
        desk.signer(&[&["delegate", "bins", "4"], succinct, &keys].concat()).ok();
        desk.signer(&["publish"]).ok();
        desk.signer(&[&["delegate", "bins", "8"], succinct].concat()).ok();
        desk.signer(&["publish"]).ok();
        let delegations = targets(&desk)["delegations"].clone();
        let bins =
            if succinct.is_empty() { &delegations["roles"][7] } else { &delegations["succinct_roles"] };
        assert_eq!((&bins["threshold"], bins["keyids"].as_array().unwrap().len()), (&2.into(), 2), "{bins}");
        assert!(desk.reader().find(NAME).is_some());
        desk.signer(&[&["delegate", "bins", "4"], succinct, &["--threshold", "3"]].concat())
            .failed(1, &["could never sign again", "expected at least 3 key(s)"]);
    }
}

#[test]
fn the_last_word_counts() {
    let desk = Desk::published();
    let bob = desk.public_key("bob");
    desk.signer(&["role", "add-key", "root", &bob]).ok();
    desk.signer(&["publish"]).ok();
    for threshold in ["2", "1", "2"] {
        desk.signer(&["role", "threshold", "root", threshold]).ok();
    }
    let eve = desk.public_key("eve");
    desk.signer(&["role", "add-key", "targets", &eve]).ok();
    let id = desk.signer(&["diff", "--format", "json"]).ok().json()["roles"]
        .as_array()
        .unwrap()
        .iter()
        .find_map(|role| role["keys"].as_array()?.iter().find(|keys| keys["role"] == "targets").cloned())
        .unwrap()["added"][0]
        .as_str()
        .unwrap()
        .to_owned();
    desk.signer(&["role", "remove-key", "targets", &id]).ok();
    desk.signer(&["role", "add-key", "targets", &eve]).ok();
    desk.signer(&["ceremony", "propose", "--unsigned", "--out", "c.json"]).ok();
    let shown = desk.signer(&["ceremony", "show", "c.json"]).ok().stdout;
    assert!(shown.contains("root: threshold 1 -> 2"), "{shown}");
    assert!(shown.contains("targets: adds key"), "{shown}");
}

#[test]
fn nobody_is_not_enough() {
    let desk = Desk::published();
    let before = Tree::of(desk.path("trust")).unwrap();
    desk.signer(&["role", "threshold", "root", "0"]).failed(2, &["0"]);
    desk.signer(&["role", "rotate", "root", "--threshold", "0", "--unencrypted-keys"]).failed(2, &["0"]);
    desk.signer(&["delegate", "add", "team", "--paths", "a/*", "--threshold", "0"]).failed(2, &["0"]);
    desk.signer(&["delegate", "bins", "4", "--threshold", "0"]).failed(2, &["0"]);
    before.assert_unchanged();
}

#[test]
fn a_key_is_revoked_where_it_is_only_staged_too_and_under_any_id() {
    let desk = Desk::published();
    let bob = desk.public_key("bob");
    let more = desk.public_key("more");
    desk.signer(&["role", "add-key", "targets", &bob]).ok();
    desk.signer(&["publish"]).ok();
    let first = desk.metadata("1.root.json")["signed"]["roles"]["targets"]["keyids"][0].clone();
    let stolen = desk.key_ids("targets").into_iter().find(|id| first != id.as_str()).unwrap();
    desk.signer(&["delegate", "add", "team", "--paths", "a/*", "--key", &bob, "--key", &more]).ok();
    let said = desk.signer(&["role", "revoke", &stolen]).ok().stdout;
    assert!(said.contains("from targets") && said.contains("from team"), "{said}");
    desk.signer(&["reset"]).ok();
    // A role that is about to go needs no care.
    desk.signer(&["delegate", "add", "team", "--paths", "a/*", "--unencrypted-keys"]).ok();
    desk.signer(&["publish"]).ok();
    desk.signer(&["delegate", "remove", "team"]).ok();
    desk.signer(&["role", "revoke", &stolen]).ok();
    desk.signer(&["publish"]).ok();
    assert_eq!(desk.key_ids("targets"), [first.as_str().unwrap()]);
}

#[test]
fn a_delegation_and_bins_exclude_each_other() {
    let desk = Desk::published();
    desk.signer(&["delegate", "add", "team", "--paths", "a/*", "--unencrypted-keys"]).ok();
    desk.signer(&["publish"]).ok();
    let before = Tree::of(desk.path("trust")).unwrap();
    desk.signer(&["delegate", "bins", "16", "--succinct", "--unencrypted-keys"])
        .failed(1, &["expected no other delegations, got delegated role \"team\""]);
    before.assert_unchanged();
    let desk = Desk::published();
    desk.signer(&["delegate", "bins", "4", "--succinct", "--unencrypted-keys"]).ok();
    desk.signer(&["publish"]).ok();
    let before = Tree::of(desk.path("trust")).unwrap();
    desk.signer(&["delegate", "add", "team", "--paths", "a/*", "--unencrypted-keys"])
        .failed(1, &["team can't be delegated to", "expected no bins"]);
    before.assert_unchanged();
}

#[test]
fn what_is_staged_can_be_forgotten() {
    let desk = Desk::published();
    desk.signer(&["role", "renew", "root"]).ok();
    desk.add("two");
    assert_eq!(
        desk.signer(&["reset"]).ok().stdout,
        "forgot 3 staged changes; what is published stays as it is\n"
    );
    assert_eq!(desk.signer(&["reset"]).ok().stdout, "nothing was staged\n");
    let said = desk.signer(&["publish"]).ok();
    assert!(said.stdout.starts_with("nothing staged"), "{}", said.stdout);
}
