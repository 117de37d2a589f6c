//! Several publishers, each with a home of their own, and one place: nobody's change is lost.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs;

use support::client::Reader;
use support::{Desk, Said, copy};

/// A home that shares keys and place with the first one.
fn colleague(first: &Desk) -> Desk {
    let desk = Desk::new();
    copy(&first.path("trust"), &desk.path("trust"));
    fs::remove_dir_all(desk.path("trust/published")).unwrap();
    desk
}

fn place(first: &Desk) -> String {
    first.path("trust/published").display().to_string()
}

fn reader(first: &Desk) -> Reader {
    first.reader()
}

#[test]
fn what_two_publish_at_the_same_moment_is_there_afterwards() {
    let alice = Desk::published();
    let bob = colleague(&alice);
    let place = place(&alice);
    for round in 0..5 {
        let content = format!("round-{round}");
        let names = ["alice", "bob"].map(|name| format!("registry.example.com/acme/{name}:{round}"));
        let desks = [&alice, &bob];
        for (desk, name) in desks.iter().zip(&names) {
            desk.image(&content);
            desk.signer(&["add", &format!("oci:{content}:1.4"), "--as", name, "--to", &place]).ok();
        }
        let children = desks.map(|desk| desk.start(&["publish", "--to", &place]));
        for child in children {
            Said::of(&child.wait_with_output().unwrap()).ok();
        }
        let reader = reader(&alice);
        for name in &names {
            assert!(reader.find(name).is_some(), "{name} is lost");
        }
    }
}

#[test]
fn a_tag_that_somebody_else_moved_is_not_moved_back() {
    let alice = Desk::published();
    let bob = colleague(&alice);
    let place = place(&alice);
    let name = "registry.example.com/acme/web:9";
    for (desk, content) in [(&alice, "mine"), (&bob, "his")] {
        desk.image(content);
        desk.signer(&["add", &format!("oci:{content}:1.4"), "--as", name, "--to", &place]).ok();
    }
    bob.signer(&["publish", "--to", &place]).ok();
    let his = reader(&alice).find(name).unwrap().0;
    alice
        .signer(&["publish", "--to", &place])
        .failed(1, &["was changed by another publisher", "expected it to mean nothing still", &his]);
    assert_eq!(reader(&alice).find(name).unwrap().0, his);
    // Once she has looked at it, hers goes on from there.
    let mine = alice.image("mine");
    alice.signer(&["add", "oci:mine:1.4", "--as", name, "--to", &place]).ok();
    alice.signer(&["publish", "--to", &place]).ok();
    assert_eq!(reader(&alice).find(name).unwrap().0, mine);
}

/// A home beside `first`, which publishes there.
fn two() -> (Desk, Desk, String) {
    let alice = Desk::published();
    let (bob, place) = (colleague(&alice), place(&alice));
    (alice, bob, place)
}

#[test]
fn what_somebody_else_yanked_stays_yanked() {
    let (alice, bob, place) = two();
    let name = "registry.example.com/acme/web:9";
    for desk in [&alice, &bob] {
        desk.image("bad");
        desk.signer(&["add", "oci:bad:1.4", "--as", name, "--to", &place]).ok();
    }
    bob.signer(&["publish", "--to", &place]).ok();
    bob.signer(&["yank", name, "--reason", "loses data", "--to", &place]).ok();
    bob.signer(&["publish", "--to", &place]).ok();
    alice
        .signer(&["publish", "--to", &place])
        .failed(1, &["was changed by another publisher", "it is yanked, loses data"]);
    // Said again, the image is there already, as it is.
    alice.signer(&["reset"]).ok();
    alice.signer(&["add", "oci:bad:1.4", "--as", name, "--to", &place]).ok();
    alice.signer(&["publish", "--to", &place]).ok();
    let [_, _, version] = alice.versions();
    let listed = alice.metadata(&format!("{version}.targets.json"))["signed"]["targets"][name].clone();
    assert_eq!(listed["custom"]["hallmark"]["yanked"]["reason"], "loses data");

    // And who takes it back at the moment in which somebody says why it was.
    for (desk, reason) in [(&alice, "mine"), (&bob, "his")] {
        desk.signer(&["yank", support::NAME, "--reason", reason, "--to", &place]).ok();
    }
    bob.signer(&["publish", "--to", &place]).ok();
    alice.signer(&["publish", "--to", &place]).failed(1, &["it is yanked, his"]);
}

#[test]
fn a_name_that_somebody_else_moved_is_not_removed() {
    let (alice, bob, place) = two();
    alice.signer(&["remove", support::NAME]).ok();
    let his = bob.image("his");
    bob.signer(&["add", "oci:his:1.4", "--as", support::NAME, "--to", &place]).ok();
    bob.signer(&["publish", "--to", &place]).ok();
    alice.signer(&["publish"]).failed(1, &["was changed by another publisher", &his]);
    assert_eq!(reader(&alice).find(support::NAME).unwrap().0, his);
    alice.signer(&["remove", support::NAME]).ok();
    alice.signer(&["publish"]).ok();
    assert_eq!(reader(&alice).find(support::NAME), None);
}

#[test]
fn a_role_that_somebody_else_made_is_not_replaced() {
    let (alice, bob, place) = two();
    for (desk, paths) in [(&alice, "registry.example.com/mine/*"), (&bob, "registry.example.com/his/*")] {
        let add = ["delegate", "add", "team", "--paths", paths, "--unencrypted-keys", "--to", &place];
        desk.signer(&add).ok();
    }
    bob.signer(&["publish", "--to", &place]).ok();
    alice.signer(&["publish"]).failed(1, &["another publisher delegated to team too", "signer reset"]);
    let listed = alice.signer(&["delegate", "list"]).ok().stdout;
    assert_eq!(listed, "team (by targets, 1 of 1 keys)\n  registry.example.com/his/*\n");
}

#[test]
fn an_empty_place_gets_everything() {
    let alice = Desk::published();
    alice.signer(&["delegate", "bins", "4", "--succinct", "--unencrypted-keys"]).ok();
    alice.signer(&["publish"]).ok();
    alice.signer(&["role", "rotate", "root", "--unencrypted-keys"]).ok();
    alice.signer(&["publish"]).ok();
    let digest = reader(&alice).find(support::NAME).unwrap().0;
    let there = alice.path("elsewhere");
    let said = alice.signer(&["publish", "--to", &there.display().to_string()]).ok();
    assert!(said.stderr.contains("carried what was published over"), "{}", said.stderr);
    let root = fs::read(there.join("metadata/1.root.json")).unwrap();
    let reader = Reader::new(root, there.join("metadata"));
    assert_eq!(reader.find(support::NAME).unwrap().0, digest);
    // And from then on it is where signer.toml says.
    let config = alice.path("trust/signer.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("publish-to = \"../elsewhere\"\n{text}")).unwrap();
    let said = alice.signer(&["publish"]).ok();
    assert_eq!(said.stderr, "");
}

#[test]
fn an_empty_place_gets_a_repository_without_delegations_too() {
    let alice = Desk::published();
    let there = alice.path("elsewhere");
    alice.signer(&["publish", "--to", &there.display().to_string()]).ok();
    let reader = Reader::new(fs::read(there.join("metadata/1.root.json")).unwrap(), there.join("metadata"));
    assert!(reader.find(support::NAME).is_some());
}

#[test]
fn a_place_that_is_none_is_a_wrong_call() {
    let desk = Desk::published();
    desk.signer(&["status", "--to", "gs://bucket"]).failed(2, &["names no place to publish to"]);
    desk.signer(&["status", "--to", "s3://bucket/x"]).failed(2, &["AWS_ACCESS_KEY_ID"]);
    desk.signer(&["status", "--to", "s3://me:hush@bucket/x"]).failed(2, &["keys don't belong in an address"]);
}
