//! Whatever a role calls itself: its file stays in the metadata folder, and it is nobody else's.

use std::collections::BTreeSet;

use test_repos::simulator::{Keyholder, Simulator};
use tuf_core::schema::Target;

use crate::support::{Scene, changed};

/// Names by people who mean no good, or didn't think.
const NAMES: &[&str] = &[
    "?",
    "#",
    "%",
    "%2F",
    "%00",
    "&",
    "+",
    " ",
    "a b",
    "a\nb",
    "a\0b",
    "\\",
    "..\\up",
    ":",
    "C:",
    "*",
    "\"",
    "'",
    "~",
    "$HOME",
    "/",
    "/x",
    "//x",
    "x/",
    "a/b",
    "../x",
    "../../x",
    "a/../../x",
    ".",
    "..",
    "...",
    "./x",
    "2.root",
    "1.root",
    "root.json",
    "1.targets",
    "targets.json",
    "timestamp.json",
    "root_history",
    "root_history/2.root",
    "../root_history/2.root",
    "../root_history/1.root.json",
    ".client",
    ".client/root_history/2.root",
    "lock",
    "../lock",
    ".new-x",
    ".lock",
    "bootstrap",
    "con",
    "NUL",
    "name.",
    "name ",
    "\u{fc}",
    "u\u{308}",
    "\u{202e}txt",
    "\u{1f600}",
    "\u{feff}",
];

fn delegating(repo: &mut Simulator, names: &[&str]) {
    for name in names {
        let path = path_of(name);
        repo.delegate(name, &Keyholder::named(name), &[&path]);
        repo.role_mut(name).set_target(&path, &Target::of(name.as_bytes())).unwrap();
    }
}

/// A path of its own for each name: names that differ have different hashes.
fn path_of(name: &str) -> String {
    format!("by/{}", tuf_core::hash::sha256_hex(name.as_bytes()))
}

/// The files that an update of a repository without delegations leaves, by their place below the state.
fn everything(scene: &Scene) -> BTreeSet<String> {
    let tree = test_repos::tree::Tree::of(scene.folder.path()).unwrap();
    tree.entries().map(|(path, _)| path.to_owned()).collect()
}

#[test]
fn each_role_has_one_file_of_its_own_whatever_its_name() {
    let scene = Scene::new();
    scene.publish(|repo| delegating(repo, NAMES));
    scene.touch(&["root"]);
    scene.good([2, 3, 2, 2]);
    let (before, places) = (scene.documents(), everything(&scene));
    for name in NAMES {
        assert_eq!(scene.find(&path_of(name)).unwrap(), format!("found by targets {name}"), "{name:?}");
    }
    let after = scene.documents();
    assert_eq!(changed(&before, &after).len(), NAMES.len(), "one new file a role");
    for (name, bytes) in &before {
        assert_eq!(after[name], *bytes, "{name} is as it was");
    }
    let metadata = "state/metadata/";
    for new in everything(&scene).difference(&places) {
        assert!(new.starts_with(metadata) && !new[metadata.len()..].contains('/'), "{new}");
    }
    assert!(!scene.folder.path().parent().unwrap().join("x.json").exists());
    // Each is held, so that nothing is fetched again: no two shared a file.
    scene.requests();
    for name in NAMES {
        scene.find(&path_of(name)).unwrap();
        assert_eq!(scene.requests(), ["3.root.json", "timestamp.json"], "{name:?}");
    }
}

#[test]
fn a_role_name_is_one_segment_of_the_address() {
    for (name, asked) in [
        ("?", "1.%3F.json"),
        ("#", "1.%23.json"),
        ("/x", "1.%2Fx.json"),
        ("../x", "1...%2Fx.json"),
        ("%2F", "1.%252F.json"),
        ("a b", "1.a%20b.json"),
        ("\u{fc}", "1.%C3%BC.json"),
        ("..", "1....json"),
    ] {
        let scene = Scene::new();
        scene.publish(|repo| delegating(repo, &[name]));
        assert_eq!(scene.find(&path_of(name)).unwrap(), format!("found by targets {name}"));
        assert_eq!(scene.requests().last().unwrap(), asked, "{name:?}");
    }
}

#[test]
fn a_role_that_calls_itself_as_a_root_is_named_leads_to_no_root() {
    // Without versions in names, the role `3.root` lies where a client looks for the third root. It may
    // stop an update, as anybody may who writes there, and no more than that.
    let scene = Scene::new();
    scene.publish(|repo| repo.role_mut("root").signed_mut()["consistent_snapshot"] = false.into());
    assert_eq!(scene.refresh().unwrap()[0], 2);
    scene.publish(|repo| delegating(repo, &["3.root"]));
    scene.refused("root needs 2 good signature(s) of distinct keys, got 0 of 1 present (TUF 5.3.4)", &[]);
    scene.touch(&["root"]);
    assert_eq!(scene.refresh().unwrap()[0], 3);
}

#[test]
fn a_name_as_long_as_a_file_name_may_be_is_no_trouble() {
    let scene = Scene::new();
    // 255 bytes with `.json`, and 84 slashes of three bytes each.
    let names = ["n".repeat(250), "/".repeat(83)];
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    scene.publish(|repo| delegating(repo, &names));
    for name in names {
        assert_eq!(scene.find(&path_of(name)).unwrap(), format!("found by targets {name}"));
    }
}

#[test]
fn a_longer_name_takes_nobody_elses_file() {
    let long = "n".repeat(300);
    let other = format!("{long}, another");
    let scene = Scene::new();
    scene.publish(|repo| delegating(repo, &[&long, &other, "acme"]));
    scene.good([1, 2, 2, 2]);
    let before = scene.documents();
    for name in [&long, &other] {
        assert_eq!(scene.find(&path_of(name)).unwrap(), format!("found by targets {name}"));
    }
    let after = scene.documents();
    assert!(before.iter().all(|(name, bytes)| after[name] == *bytes), "nothing else changed");
    assert_eq!(changed(&before, &after).len(), 2);
    assert_eq!(scene.find(&path_of("acme")).unwrap(), "found by targets acme");
}

#[test]
fn names_that_differ_in_case_have_files_of_their_own() {
    let names = ["Timestamp", "SNAPSHOT", "Root", "acme", "Acme"];
    let scene = Scene::new();
    scene.publish(|repo| delegating(repo, &names));
    scene.good([1, 2, 2, 2]);
    let before = scene.documents();
    for name in names {
        assert_eq!(scene.find(&path_of(name)).unwrap(), format!("found by targets {name}"));
    }
    let after = scene.documents();
    assert!(before.iter().all(|(name, bytes)| after[name] == *bytes), "the top-level files are as they were");
    assert_eq!(changed(&before, &after).len(), names.len());
    // In a folder that doesn't tell case apart (macOS, Windows) `acme` and `Acme` take turns, which costs
    // downloads. None is a top-level role's file, by which older ones are refused.
    let folded: BTreeSet<_> = after.keys().map(|name| name.to_lowercase()).collect();
    assert_eq!(after.len() - folded.len(), 1);
}
