//! A disk that is full, and one that may not be written: the error names the file and why, nothing is left half
//! written, and once there is room all goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs;
use std::path::Path;

use support::disk::{Disk, ReadOnly, is_inside};
use support::{Desk, NAME, files};
use test_repos::tree::Tree;

const FULL: &str = "No space left on device (os error 28)\nhint: make room there";
const READ_ONLY: &str = "Read-only file system (os error 30)\nhint: see that you may write there";

/// A repository with an image that is published, one that is staged, and what the commands below need.
fn prepared() -> Desk {
    let desk = Desk::published();
    desk.add("two");
    desk.image("three");
    desk.public_key("bob");
    desk
}

/// Every command that writes to the home, its keys or what is staged.
const AT_HOME: &[&[&str]] = &[
    &["add", "oci:three:1.4", "--as", "registry.example.com/acme/db:1"],
    &["remove", NAME],
    &["yank", NAME, "--reason", "loses data"],
    &["delegate", "add", "team", "--paths", "registry.example.com/team/*", "--unencrypted-keys"],
    &["role", "rotate", "root", "--unencrypted-keys"],
    &["role", "add-key", "root", "bob.pub"],
    &["key", "new", "spare", "--unencrypted"],
    &["key", "import", "bob", "bob.pem"],
    &["ceremony", "propose", "--out", "trust/c.json"],
];

fn leftovers(dir: &Path) -> Vec<String> {
    let names = files(dir).into_iter().map(|path| path.display().to_string());
    names.filter(|name| name.contains("unfinished") || name.contains(".signer-")).collect()
}

/// What is there, but for the filler.
fn tree(desk: &Desk) -> String {
    let empty = Tree::of(desk.path("no-such-folder")).unwrap();
    let all = empty.diff(&Tree::of(desk.path("trust")).unwrap());
    all.lines().filter(|line| !line.contains(".filler")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_command_on_a_full_disk_changes_nothing_and_works_when_there_is_room() {
    if !is_inside("a_command_on_a_full_disk_changes_nothing_and_works_when_there_is_room") {
        return;
    }
    for command in AT_HOME {
        let desk = prepared();
        desk.signer(&["role", "add-key", "targets", "bob.pub"]).ok();
        let disk = Disk::of(512, &desk.path("trust"));
        let before = tree(&desk);
        let mut failed = 0;
        // Each time with a page more, so that it ends at another write.
        for room in (0..).step_by(4) {
            disk.leave(room);
            let said = desk.signer(command);
            disk.empty();
            assert_eq!(leftovers(disk.at()), Vec::<String>::new(), "{command:?}");
            if said.code == 0 {
                break;
            }
            said.failed(3, &["error: ", "trust/", FULL]);
            assert_eq!(tree(&desk), before, "{command:?} with {room} KiB");
            failed += 1;
        }
        assert!(failed > 0, "{command:?} needs room");
        assert_ne!(tree(&desk), before, "{command:?} wrote something in the end");
    }
}

#[test]
fn a_publish_on_a_full_disk_leaves_the_old_state_or_the_new() {
    if !is_inside("a_publish_on_a_full_disk_leaves_the_old_state_or_the_new") {
        return;
    }
    for (place, to) in [("trust", None), ("trust/published", None), ("served", Some("served"))] {
        let desk = prepared();
        fs::create_dir_all(desk.path(place)).unwrap();
        let run = |verb: &str| {
            let to = to.iter().flat_map(|to| ["--to", to]);
            desk.signer(&[verb].into_iter().chain(to).collect::<Vec<_>>())
        };
        if let Some(to) = to {
            // Where a place is empty, what there is is carried over first.
            support::copy(&desk.path("trust/published"), &desk.path(to));
        }
        let served = desk.path(to.unwrap_or("trust/published"));
        let first = served.join("metadata/timestamp.json");
        let (old, root) = (fs::read(&first).unwrap(), fs::read(served.join("metadata/1.root.json")).unwrap());
        let disk = Disk::of(512, &desk.path(place));
        let reader = support::client::Reader::new(root, served.join("metadata"));
        let one = reader.find(NAME).unwrap();
        let mut failed = 0;
        for room in (0..).step_by(4) {
            disk.leave(room);
            let said = run("publish");
            disk.empty();
            if said.code == 0 {
                break;
            }
            let said = said.failed(3, &["error: ", FULL]);
            assert_eq!(leftovers(&desk.path(place)), Vec::<String>::new());
            let was_led_on = fs::read(&first).unwrap() != old;
            assert_eq!(was_led_on, said.stderr.contains("is published all the same"), "{}", said.stderr);
            assert_eq!(reader.find(NAME).unwrap() != one, was_led_on);
            failed += 1;
        }
        assert!(failed > 2, "{place}: {failed}");
        assert_ne!(reader.find(NAME).unwrap(), one);
        run("publish").ok();
        assert!(run("diff").ok().stdout.starts_with("nothing is staged"));
    }
}

#[test]
fn a_repository_is_made_whole_or_not_at_all() {
    if !is_inside("a_repository_is_made_whole_or_not_at_all") {
        return;
    }
    let desk = Desk::new();
    fs::create_dir(desk.path("disk")).unwrap();
    let disk = Disk::of(256, &desk.path("disk"));
    for room in (0..).step_by(8) {
        disk.leave(room);
        let said = desk.signer(&["init", "--unencrypted-keys", "--repo", "disk/trust"]);
        disk.empty();
        if said.code == 0 {
            assert!(room > 8, "it needs room");
            break;
        }
        said.failed(
            3,
            &["disk", "disk/trust was not made\nhint: make room there", "No space left on device"],
        );
        assert_eq!(fs::read_dir(disk.at()).unwrap().count(), 0, "nothing is left");
    }
    desk.signer(&["status", "--repo", "disk/trust"]).ok();
}

#[test]
fn what_may_not_be_written_is_named_and_can_be_read() {
    if !is_inside("what_may_not_be_written_is_named_and_can_be_read") {
        return;
    }
    let desk = prepared();
    let expect = |command: &[&str], place: &str| {
        let before = Tree::of(desk.dir.path()).unwrap();
        desk.signer(command).failed(3, &[place, READ_ONLY]);
        before.assert_unchanged();
    };
    {
        let _home = ReadOnly::of(&desk.path("trust"));
        for command in AT_HOME.iter().chain(&[&["publish"] as &[&str], &["reset"]]) {
            expect(command, "trust/");
        }
        for command in [&["status"] as &[&str], &["diff"], &["publish", "--dry-run"], &["key", "list"]] {
            desk.signer(command).ok();
        }
        desk.signer(&["refresh", "--within", "30d"]).failed(3, &["./trust/", READ_ONLY]);
        // Nothing is due, and that can be told without writing.
        desk.signer(&["refresh", "--dry-run"]).ok();
    }
    {
        let _keys = ReadOnly::of(&desk.path("trust/keys"));
        expect(&["key", "new", "spare", "--unencrypted"], "./trust/keys/spare.pub");
        let rotate = ["role", "rotate", "timestamp", "--unencrypted-keys"];
        expect(&rotate, "./trust/keys/timestamp-2.pem");
    }
    {
        let _served = ReadOnly::of(&desk.path("trust/published"));
        expect(&["publish"], "./trust/published");
    }
    {
        fs::create_dir(desk.path("parent")).unwrap();
        let _parent = ReadOnly::of(&desk.path("parent"));
        expect(&["init", "--unencrypted-keys", "--repo", "parent/trust"], "parent");
    }
    let two = desk.image("two");
    desk.signer(&["publish"]).ok();
    assert_eq!(desk.trusted(NAME), Some(two));
}
