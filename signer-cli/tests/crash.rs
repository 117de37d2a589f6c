//! Interruption, contention and damage: clients keep a whole state, and the next publish goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use support::{Desk, NAME, Said, copy, files};
use test_repos::tree::Tree;

/// What a publish writes, in its order: manifests, targets, snapshot, timestamp, our own memory of it.
fn writes(desk: &Desk, before: &[PathBuf]) -> Vec<PathBuf> {
    let new = files(&desk.path("trust/published")).into_iter().filter(|path| !before.contains(path));
    let rank = |path: &PathBuf| {
        let path = path.to_string_lossy().into_owned();
        (path.contains("/metadata/"), path.ends_with(".snapshot.json"))
    };
    let mut new: Vec<PathBuf> = new.collect();
    new.sort_by_key(rank);
    new.push(desk.path("trust/published/metadata/timestamp.json"));
    new.push(desk.path("trust/timestamp.json"));
    new
}

#[test]
fn a_publish_that_dies_between_any_two_writes_is_made_good() {
    let whole = Desk::published();
    let first = whole.trusted(NAME).unwrap();
    let second = whole.add("two");
    let (old, trust) = (whole.path("old"), whole.path("trust"));
    copy(&trust, &old);
    let before = files(&whole.path("trust/published"));
    whole.signer(&["publish"]).ok();
    let order = writes(&whole, &before);
    assert_eq!(order.len(), 6, "{order:?}");
    for died_after in 0..=order.len() {
        let desk = Desk::new();
        copy(&old, &desk.path("trust"));
        for path in &order[..died_after] {
            let to = desk.path("trust").join(path.strip_prefix(&trust).unwrap());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            fs::copy(path, to).unwrap();
        }
        // And whatever it was about to write.
        fs::write(desk.path("trust/published/metadata/.signer-unfinished-x"), "{").unwrap();
        let published = died_after > 4;
        let expected = if published { &second } else { &first };
        assert_eq!(desk.trusted(NAME).as_ref(), Some(expected), "clients, after {died_after} writes");
        desk.signer(&["status"]).ok();
        let said = desk.signer(&["publish"]).ok();
        assert_eq!(said.stdout.starts_with("nothing staged"), published, "{}", said.stdout);
        assert_eq!(desk.trusted(NAME).as_ref(), Some(&second), "after {died_after} writes and a publish");
        assert!(!desk.path("trust/published/metadata/.signer-unfinished-x").exists());
        assert!(!desk.path("trust/staged/changes.json").exists());
    }
}

#[test]
fn a_version_that_was_never_pointed_to_is_passed_over_and_not_replaced() {
    let desk = Desk::published();
    let left = desk.path("trust/published/metadata/3.targets.json");
    fs::write(&left, "{}").unwrap();
    let digest = desk.add("two");
    desk.signer(&["publish"]).ok();
    assert_eq!(fs::read(left).unwrap(), b"{}");
    assert_eq!(desk.versions(), [3, 3, 4]);
    assert_eq!(desk.trusted(NAME), Some(digest));
}

#[test]
fn publishers_at_once_take_turns() {
    let desk = Desk::published();
    let digest = desk.add("two");
    let running: Vec<_> = (0..4).map(|_| desk.start(&["publish"])).collect();
    for child in running {
        Said::of(&child.wait_with_output().unwrap()).ok();
    }
    assert_eq!(desk.trusted(NAME), Some(digest));
    let [timestamp, _, targets] = desk.versions();
    assert_eq!((timestamp, targets), (6, 3), "four publishes, of which one had something to say");
}

#[test]
fn adders_at_once_lose_nothing() {
    let desk = Desk::with_trust();
    desk.image("one");
    let name = |tag: usize| format!("registry.example.com/acme/web:{tag}");
    let running: Vec<_> = (0..6).map(|tag| desk.start(&["add", "oci:one", "--as", &name(tag)])).collect();
    for child in running {
        Said::of(&child.wait_with_output().unwrap()).ok();
    }
    desk.signer(&["publish"]).ok();
    assert!((0..6).all(|tag| desk.trusted(&name(tag)).is_some()));
}

#[test]
fn a_signer_waits_for_the_lock_and_says_so() {
    let desk = Desk::published();
    let lock = fs::File::open(desk.path("trust/.lock")).unwrap();
    lock.lock().unwrap();
    let child = desk.start(&["publish"]);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(desk.versions()[0], 2);
    lock.unlock().unwrap();
    let said = Said::of(&child.wait_with_output().unwrap()).ok();
    assert_eq!(said.stderr, "note: waiting for another signer in this repository\n");
    assert_eq!(desk.versions()[0], 3);
}

/// Done to a repository behind its back.
type Damage<'d> = &'d dyn Fn(&Desk);

/// Each: what is done to published/, and what is said of it.
#[test]
fn what_was_changed_behind_our_back_is_not_signed_on_top_of() {
    let edit = |desk: &Desk, file: &str, change: fn(&mut Value)| {
        let path = desk.path("trust/published/metadata").join(file);
        let mut value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut value);
        fs::write(path, serde_json::to_vec(&value).unwrap()).unwrap();
    };
    let cases: [(&str, Damage<'_>, &str); 6] = [
        (
            "a target's hash",
            &|desk| edit(desk, "2.targets.json", |value| value["signed"]["targets"] = serde_json::json!({})),
            "targets expected ",
        ),
        (
            "the timestamp's version",
            &|desk| edit(desk, "timestamp.json", |value| value["signed"]["version"] = 9.into()),
            "timestamp needs 1 good signature(s) of distinct keys, got 0 of 1 present (TUF 5.4.2)",
        ),
        ("no snapshot", &|desk| remove(desk, "2.snapshot.json"), "2.snapshot.json, got nothing"),
        ("no timestamp", &|desk| remove(desk, "timestamp.json"), "timestamp.json, got nothing"),
        (
            "not JSON",
            &|desk| fs::write(path(desk, "timestamp.json"), "<html>").unwrap(),
            "timestamp is malformed",
        ),
        (
            "a root of someone else",
            &|desk| {
                desk.signer(&["init", "--unencrypted-keys", "--repo", "other"]).ok();
                let other = fs::read_to_string(desk.path("other/root.json")).unwrap();
                fs::write(path(desk, "2.root.json"), other).unwrap();
            },
            "root needs 1 good signature(s)",
        ),
    ];
    for (name, damage, said) in cases {
        let desk = Desk::published();
        desk.add("two");
        damage(&desk);
        let before = Tree::of(desk.path("trust")).unwrap();
        eprintln!("{name}");
        desk.signer(&["publish"]).failed(1, &["error: ", said]);
        desk.signer(&["status"]).failed(1, &["error: ", said]);
        before.assert_unchanged();
    }
}

fn path(desk: &Desk, file: &str) -> PathBuf {
    desk.path("trust/published/metadata").join(file)
}

fn remove(desk: &Desk, file: &str) {
    fs::remove_file(path(desk, file)).unwrap();
}

/// Who can write to the web server's folder must not get yesterday's state signed as today's.
#[test]
fn published_rolled_back_to_an_older_state_is_not_signed_anew() {
    let desk = Desk::published();
    let old = fs::read(path(&desk, "timestamp.json")).unwrap();
    desk.add("two");
    desk.signer(&["publish"]).ok();
    fs::write(path(&desk, "timestamp.json"), old).unwrap();
    let before = Tree::of(desk.path("trust")).unwrap();
    desk.signer(&["publish"]).failed(
        1,
        &["doesn't verify\n  timestamp expected version 3, got 2 (TUF 5.4.3.1)", "hint: nothing was changed"],
    );
    before.assert_unchanged();
}

#[test]
fn a_staged_manifest_that_was_changed_is_not_published() {
    let desk = Desk::published();
    let digest = desk.add("two");
    fs::write(desk.path(&format!("trust/staged/{}.json", &digest[7..])), "{}").unwrap();
    let before = Tree::of(desk.path("trust/published")).unwrap();
    desk.signer(&["publish"]).failed(1, &["was changed since it was added", "hint: add the image again"]);
    before.assert_unchanged();
    desk.add("two");
    desk.signer(&["publish"]).ok();
    assert_eq!(desk.trusted(NAME), Some(digest));
}

#[test]
fn a_staged_path_can_not_leave_its_folder() {
    let desk = Desk::published();
    desk.add("two");
    let changes = desk.path("trust/staged/changes.json");
    let text = fs::read_to_string(&changes).unwrap();
    for evil in ["../../../etc/passwd", "/etc/passwd", "registry.example.com/../../web:1.4"] {
        fs::write(&changes, text.replace(NAME, evil)).unwrap();
        desk.signer(&["publish"]).failed(1, &["expected the name of an image or of a file, got "]);
    }
}
