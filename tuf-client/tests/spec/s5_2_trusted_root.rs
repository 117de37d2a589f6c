//! 5.1 and 5.2: what an update begins with.

use serde_json::Value;

use crate::support::{Scene, at, holders, signed};

/// A first root that is not good, and why.
fn bad_roots(scene: &Scene) -> Vec<(&'static str, Vec<u8>, String)> {
    let (root, targets) =
        scene.repo(|repo| (repo.documents["root"].clone(), repo.fetch("1.targets.json").unwrap().unwrap()));
    let below = "root needs 2 good signature(s) of distinct keys, got 1 of 1 present (TUF 5.2)".to_owned();
    let strangers =
        "root needs 2 good signature(s) of distinct keys, got 0 of 2 present (TUF 5.2)".to_owned();
    let type_of = "root expected type \"root\", got \"targets\" (TUF 5.2)".to_owned();
    let mut nameless: Value = serde_json::from_slice(&scene.root).unwrap();
    nameless["signed"].as_object_mut().unwrap().remove("version");
    vec![
        ("below its own threshold", signed(&root, &holders(&["root 1"])), below),
        ("signed by others", signed(&root, &holders(&["thief 1", "thief 2"])), strangers.clone()),
        // The version is in the signed part: without it the signatures can't be good either.
        (
            "without a version",
            serde_json::to_vec(&nameless).unwrap(),
            "root is malformed: missing field `version` at line 1 column".into(),
        ),
        ("targets", targets, type_of),
        (
            "cut off",
            scene.root[..scene.root.len() / 2].to_vec(),
            "root is malformed: EOF while parsing".into(),
        ),
        ("empty", Vec::new(), "root is malformed: EOF while parsing".into()),
    ]
}

#[test]
fn a_first_root_that_is_not_good_is_refused_before_anything_is_asked_for() {
    let scene = Scene::new();
    for (name, root, sentence) in bad_roots(&scene) {
        let refused = scene.client_of(&root).refresh().err().expect(name).to_string();
        assert!(refused.starts_with(&sentence) && refused.ends_with("(TUF 5.2)"), "{name}: {refused}");
        assert!(scene.requests().is_empty(), "{name}: nothing is asked for");
        assert!(scene.documents().is_empty(), "{name}: nothing is kept");
    }
    scene.good([1, 1, 1, 1]);
}

#[test]
fn a_bad_first_root_takes_nothing_from_what_was_accepted_before() {
    let scene = Scene::new();
    scene.touch(&["root", "targets"]);
    scene.good([2, 2, 2, 2]);
    let before = scene.documents();
    for (name, root, _) in bad_roots(&scene) {
        assert!(scene.client_of(&root).refresh().is_err(), "{name}");
        assert_eq!(scene.documents(), before, "{name}");
    }
    scene.good([2, 2, 2, 2]);
}

#[test]
fn a_first_root_may_be_expired() {
    let mut scene = Scene::new();
    scene.repo(|repo| repo.renew_role("root", at("2033-01-01T00:00:00Z")));
    scene.publish(|repo| repo.renew(at("2032-01-01T00:00:00Z")));
    scene.now = at("2032-01-01T00:00:00Z");
    scene.good([2, 2, 2, 2]);
}

#[test]
fn the_time_of_the_update_decides_and_no_clock_of_the_machine() {
    // 5.1: an hour before the first expiry, and then at the very moment.
    let mut scene = Scene::new();
    scene.now = at("2030-01-01T23:00:00Z");
    scene.good([1, 1, 1, 1]);
    scene.now = at("2030-01-02T00:00:00Z");
    scene.refused(
        "timestamp expired at 2030-01-02T00:00:00Z, and it is now 2030-01-02T00:00:00Z (TUF 5.4.4)",
        &[],
    );
    scene.now = at("2030-01-01T23:59:59Z");
    scene.good([1, 1, 1, 1]);
}
