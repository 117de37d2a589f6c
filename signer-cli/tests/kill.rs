//! Killed with SIGKILL before any call that changes what others see, or that makes it last: a client that knew the
//! old state gets the old or the new one and never refuses, and the next publish brings it to its end.
//!
//! `strace` kills the real program on entering the Nth call of a kind. What a power cut may lose of the page cache it
//! can't show.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects)]

mod support;

use std::fs;
use std::os::unix::process::ExitStatusExt as _;

use support::client::Reader;
use support::strace::{points, traced, without_strace};
use support::{Desk, NAME, copy, files};

/// A name that only the new state of some stories knows.
const TEAM: &str = "registry.example.com/team/app:1";

/// What a client is told of two names.
type Told = [Option<String>; 2];

fn told(reader: &Reader) -> Told {
    [NAME, TEAM].map(|name| reader.find(name).map(|(digest, _)| digest))
}

/// Kills a command everywhere. `repair` ends what it began.
fn kill_everywhere(story: &str, desk: &Desk, command: &[&str], repair: impl Fn(&Desk)) {
    if without_strace() {
        return;
    }
    let fresh = || {
        let killed = Desk::new();
        copy(desk.dir.path(), killed.dir.path());
        killed
    };
    let whole = fresh();
    let old = told(&whole.reader());
    let (output, trace) = traced(&whole, command, None);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    repair(&whole);
    let new = told(&whole.reader());
    let points = points(&trace);
    assert!(points.len() >= 2, "{story}: {points:?}");
    let (mut saw_old, mut saw_new) = (0_u32, 0_u32);
    for point in &points {
        let desk = fresh();
        let client = desk.reader();
        assert_eq!(told(&client), old);
        let (output, _) = traced(&desk, command, Some(point));
        // strace dies of what it injected.
        assert_eq!(output.status.signal(), Some(9), "{story}: {point:?} was not reached");
        let seen = [told(&client), told(&desk.reader())];
        assert_eq!(seen[0], seen[1], "{story}: {point:?}, one who was there and one who is new");
        assert!(seen[0] == old || seen[0] == new, "{story}: {point:?}: {seen:?}");
        if seen[0] == old {
            saw_old += 1
        } else {
            saw_new += 1
        }
        repair(&desk);
        assert_eq!([told(&client), told(&desk.reader())], [new.clone(), new.clone()], "{story}: {point:?}");
        assert!(desk.signer(&["diff"]).ok().stdout.starts_with("nothing is staged"), "{story}: {point:?}");
        let half: Vec<_> = files(&desk.path("trust"))
            .into_iter()
            .filter(|path| path.display().to_string().contains("unfinished"))
            .collect();
        assert!(half.iter().all(|path| path.starts_with(desk.path("trust/published/targets"))), "{half:?}");
    }
    eprintln!("{story}: killed at {} points; {saw_old} times old, {saw_new} times new", points.len());
    if old != new {
        assert!(saw_old > 0, "{story}: never saw the old state");
    }
}

fn publish(desk: &Desk) {
    desk.signer(&["publish"]).ok();
}

fn stage(desk: &Desk, commands: &[&[&str]]) {
    for command in commands {
        desk.signer(command).ok();
    }
}

const DELEGATE: &[&str] =
    &["delegate", "add", "team", "--paths", "registry.example.com/team/*", "--unencrypted-keys"];

#[test]
fn a_rotation_of_every_key_at_once() {
    let desk = Desk::published();
    for role in ["root", "targets", "snapshot", "timestamp"] {
        stage(&desk, &[&["role", "rotate", role, "--unencrypted-keys"]]);
    }
    kill_everywhere("rotation of all", &desk, &["publish"], publish);
}

#[test]
fn a_rotation_of_the_timestamps_key_with_a_new_image() {
    let desk = Desk::published();
    stage(&desk, &[&["role", "rotate", "timestamp", "--unencrypted-keys"]]);
    desk.add("two");
    kill_everywhere("rotation of the timestamp", &desk, &["publish"], publish);
}

#[test]
fn a_delegation_that_is_made_and_one_that_goes() {
    let desk = Desk::published();
    desk.image("app");
    stage(&desk, &[DELEGATE, &["add", "oci:app:1.4", "--as", TEAM]]);
    kill_everywhere("delegation made", &desk, &["publish"], publish);
    publish(&desk);
    stage(&desk, &[&["role", "rotate", "team", "--unencrypted-keys"]]);
    kill_everywhere("delegation rekeyed", &desk, &["publish"], publish);
    publish(&desk);
    stage(&desk, &[&["remove", TEAM], &["delegate", "remove", "team"]]);
    kill_everywhere("delegation gone", &desk, &["publish"], publish);
}

#[test]
fn names_that_are_spread_over_bins_and_over_more_of_them() {
    let desk = Desk::published();
    stage(&desk, &[&["delegate", "bins", "4", "--succinct", "--unencrypted-keys"]]);
    desk.add("two");
    kill_everywhere("bins", &desk, &["publish"], publish);
    publish(&desk);
    stage(&desk, &[&["delegate", "bins", "16", "--succinct", "--unencrypted-keys"]]);
    desk.add("three");
    kill_everywhere("more bins", &desk, &["publish"], publish);
}

#[test]
fn a_renewal() {
    let desk = Desk::published();
    let refresh: &[&str] = &["refresh", "--within", "400d"];
    kill_everywhere("refresh", &desk, refresh, |desk| {
        desk.signer(&["refresh", "--within", "6d"]).ok();
        publish(desk);
    });
}

#[test]
fn a_ceremony_that_is_published() {
    let desk = Desk::published();
    desk.add("two");
    let bob = desk.public_key("bob");
    stage(&desk, &[&["role", "add-key", "root", &bob], &["role", "threshold", "root", "2"]]);
    stage(&desk, &[&["role", "rotate", "targets", "--unencrypted-keys"]]);
    stage(&desk, &[&["ceremony", "propose", "--out", "c.json"]]);
    fs::create_dir(desk.path("bobs")).unwrap();
    fs::copy(desk.path("bob.pem"), desk.path("bobs/root.pem")).unwrap();
    stage(&desk, &[&["ceremony", "sign", "c.json", "--keys", "bobs"]]);
    let command = ["publish", "--ceremony", "c.json"];
    kill_everywhere("ceremony", &desk, &command, |desk| {
        desk.signer(&command).ok();
    });
}

#[test]
fn what_stages_is_staged_or_not() {
    let desk = Desk::published();
    desk.image("app");
    let add: &[&str] = &["add", "oci:app:1.4", "--as", TEAM];
    for command in [add, DELEGATE, &["role", "rotate", "root", "--unencrypted-keys"]] {
        // The command again, as a person would; a key that a crash left behind is no obstacle.
        kill_everywhere(command[0], &desk, command, |desk| {
            let said = desk.signer(command);
            assert!(said.code == 0 || said.stderr.contains("is a role already"), "{}", said.stderr);
            publish(desk);
        });
    }
    stage(&desk, &[add]);
    kill_everywhere("reset", &desk, &["reset"], |desk| {
        desk.signer(&["reset"]).ok();
    });
}

#[test]
fn a_move_to_an_empty_place() {
    if without_strace() {
        return;
    }
    let desk = Desk::published();
    // So that a client which knows only the first root must find the ones after it.
    for role in ["timestamp", "root"] {
        stage(&desk, &[&["role", "rotate", role, "--unencrypted-keys"], &["publish"]]);
    }
    let command = ["publish", "--to", "elsewhere"];
    let fresh = || {
        let killed = Desk::new();
        copy(desk.dir.path(), killed.dir.path());
        killed
    };
    let there = |desk: &Desk| {
        let metadata = desk.path("elsewhere/metadata");
        let root = fs::read(desk.path("trust/published/metadata/1.root.json")).unwrap();
        metadata.join("timestamp.json").exists().then(|| told(&Reader::new(root, metadata)))
    };
    let here = told(&desk.reader());
    let (output, trace) = traced(&fresh(), &command, None);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for point in points(&trace) {
        let desk = fresh();
        let (output, _) = traced(&desk, &command, Some(&point));
        assert_eq!(output.status.signal(), Some(9), "{point:?} was not reached");
        assert_eq!(told(&desk.reader()), here, "{point:?}");
        assert!(there(&desk).is_none_or(|told| told == here), "{point:?}");
        desk.signer(&command).ok();
        assert_eq!(there(&desk), Some(here.clone()), "{point:?}");
    }
}
