//! 5.4: the timestamp.

use serde_json::json;
use tuf_core::authoring::Document;

use crate::support::{Scene, at, holders, plain, signed};

#[test]
fn a_timestamp_is_kept_as_it_came_and_asked_for_every_time() {
    // 5.4.1, 5.4.5.
    let scene = Scene::new();
    scene.good([1, 1, 1, 1]);
    scene.touch(&[]);
    scene.requests();
    scene.good([1, 2, 1, 1]);
    assert_eq!(scene.requests(), ["2.root.json", "timestamp.json"]);
    scene.good([1, 2, 1, 1]);
    assert_eq!(scene.requests(), ["2.root.json", "timestamp.json"]);
}

#[test]
fn a_timestamp_that_is_not_signed_as_the_root_says_is_refused() {
    // 5.4.2.
    let scene = Scene::new();
    scene.touch(&[]);
    scene.good([1, 2, 1, 1]);
    scene.touch(&["targets"]);
    let timestamp = scene.repo(|repo| repo.documents["timestamp"].clone());
    for (name, signers, got) in [
        ("nobody", vec![], "0 of 0"),
        ("a stranger", vec!["thief 1"], "0 of 1"),
        ("the key of the snapshot", vec!["snapshot 1"], "0 of 1"),
        ("all keys of the root", vec!["root 1", "root 2", "root 3"], "0 of 3"),
    ] {
        scene.repo(|repo| {
            repo.overrides.insert("timestamp.json".into(), signed(&timestamp, &holders(&signers)))
        });
        scene.requests();
        scene.refused(
            &format!("timestamp needs 1 good signature(s) of distinct keys, got {got} present (TUF 5.4.2)"),
            &[],
        );
        assert_eq!(scene.requests().last().unwrap(), "timestamp.json", "{name}");
    }
    scene.good_again();
}

#[test]
fn a_timestamp_that_was_changed_after_signing_is_refused() {
    let scene = Scene::new();
    scene.good([1, 1, 1, 1]);
    scene.repo(|repo| {
        repo.forges.insert("timestamp".into(), |bytes| {
            String::from_utf8(bytes)
                .unwrap()
                .replace("\"version\": 2", "\"version\": 3")
                .replace("\"version\":2", "\"version\":3")
                .into_bytes()
        });
    });
    scene.touch(&[]);
    let served = scene.repo(|repo| repo.fetch("timestamp.json").unwrap().unwrap());
    assert_eq!(Document::parse(&served).unwrap().version(), 3, "the attack took place");
    scene
        .refused("timestamp needs 1 good signature(s) of distinct keys, got 0 of 1 present (TUF 5.4.2)", &[]);
    scene.good_again();
}

#[test]
fn an_older_timestamp_is_refused() {
    // 5.4.3.1.
    let scene = Scene::new();
    for _ in 0..3 {
        scene.touch(&[]);
    }
    scene.good([1, 4, 1, 1]);
    for back in 1..=3 {
        scene.repo(|repo| drop(repo.replay("timestamp", back, "timestamp.json").unwrap()));
        scene.refused(&format!("timestamp expected version 4, got {} (TUF 5.4.3.1)", 4 - back), &[]);
    }
    scene.good_again();
}

#[test]
fn a_timestamp_of_the_version_held_is_not_looked_into() {
    // 5.4.3.1: the quiet day. Nothing of it is kept, and what it states is not followed.
    let scene = Scene::new();
    scene.good([1, 1, 1, 1]);
    scene.requests();
    scene.offer("timestamp", |timestamp| timestamp.set_meta("snapshot.json", &plain(100)));
    let before = scene.documents();
    assert_eq!(scene.refresh().unwrap(), [1, 1, 1, 1]);
    assert_eq!(scene.documents(), before);
    assert_eq!(scene.requests(), ["2.root.json", "timestamp.json"]);
    scene.good_again();
}

#[test]
fn a_timestamp_with_an_older_snapshot_is_refused() {
    // 5.4.3.2.
    let scene = Scene::new();
    scene.touch(&["snapshot"]);
    scene.touch(&["snapshot"]);
    scene.good([1, 3, 3, 1]);
    for got in [1, 2] {
        scene.state_snapshot(&plain(got));
        scene.requests();
        scene.refused(
            &format!(
                "timestamp lists \"snapshot.json\": expected version 3 or later, got {got} (TUF 5.4.3.2)"
            ),
            &[],
        );
        assert_eq!(scene.requests().last().unwrap(), "timestamp.json");
    }
    scene.good_again();
}

#[test]
fn an_expired_timestamp_is_refused_and_not_kept() {
    // 5.4.4 before 5.4.5.
    let scene = Scene::new();
    scene.good([1, 1, 1, 1]);
    scene.publish(|repo| repo.role_mut("timestamp").set_expires(at("2029-12-31T00:00:00Z")));
    scene.requests();
    scene.refused(
        "timestamp expired at 2029-12-31T00:00:00Z, and it is now 2030-01-01T00:00:00Z (TUF 5.4.4)",
        &[],
    );
    assert_eq!(scene.requests(), ["2.root.json", "timestamp.json"]);
    scene.publish(|repo| repo.renew_role("timestamp", at("2030-01-01T00:00:00Z")));
    scene.good([1, 3, 1, 1]);
}

#[test]
fn a_frozen_timestamp_is_refused_once_it_expires() {
    // 5.4.4: the same files for ever are a freeze attack, also where the version held is offered.
    let mut scene = Scene::new();
    scene.good([1, 1, 1, 1]);
    scene.now = at("2030-01-02T00:00:01Z");
    scene.refused(
        "timestamp expired at 2030-01-02T00:00:00Z, and it is now 2030-01-02T00:00:01Z (TUF 5.4.4)",
        &[],
    );
    scene.publish(|repo| repo.renew_role("timestamp", at("2030-01-02T00:00:01Z")));
    scene.good([1, 2, 1, 1]);
}

#[test]
fn an_expired_timestamp_in_the_folder_stops_no_update_and_still_refuses_older_ones() {
    let mut scene = Scene::new();
    scene.touch(&[]);
    scene.good([1, 2, 1, 1]);
    scene.now = at("2030-01-05T00:00:00Z");
    scene.repo(|repo| {
        let mut older = repo.documents["timestamp"].clone();
        older.set_version(1);
        older.set_expires(at("2030-02-01T00:00:00Z"));
        repo.overrides.insert("timestamp.json".into(), signed(&older, &repo.signers["timestamp"]));
    });
    scene.refused("timestamp expected version 2, got 1 (TUF 5.4.3.1)", &[]);
    scene.repo(|repo| repo.overrides.clear());
    scene.publish(|repo| repo.renew(at("2030-01-05T00:00:00Z")));
    scene.good(scene.live());
}

#[test]
fn a_repository_without_a_timestamp_is_none() {
    // 5.4.1.
    let scene = Scene::new();
    scene.good([1, 1, 1, 1]);
    let before = scene.documents();
    scene.served().statuses.insert("timestamp.json".into(), 404);
    let absent = scene.refresh().expect_err("an update without a timestamp");
    assert_eq!(
        absent.to_string(),
        format!("{} has no TUF repository: expected timestamp.json, got nothing", scene.url("metadata"))
    );
    assert!(absent.unreachable());
    assert_eq!(scene.documents(), before);
    scene.good_again();
}

/// What is done to a timestamp before it is signed, and the sentence that refuses it.
type Spoiled<'a> = (&'a str, fn(&mut Document), &'a str);

#[test]
fn a_timestamp_that_is_none_is_refused() {
    // 4.2, 4.3, 4.6: good signatures make no form good.
    let scene = Scene::new();
    scene.good([1, 1, 1, 1]);
    let cases: &[Spoiled<'_>] = &[
        (
            "another type",
            |it| it.signed_mut()["_type"] = "snapshot".into(),
            "timestamp expected type \"timestamp\", got \"snapshot\" (TUF 5.4.2)",
        ),
        ("version 0", |it| it.set_version(0), "timestamp is malformed: expected a version above 0, got 0"),
        (
            "a version that is a text",
            |it| it.signed_mut()["version"] = "2".into(),
            "timestamp is malformed: invalid type: string \"2\", expected u64",
        ),
        (
            "no snapshot",
            |it| it.signed_mut()["meta"] = json!({}),
            "timestamp is malformed: missing field `snapshot.json`",
        ),
        (
            "a snapshot of version 0",
            |it| it.signed_mut()["meta"]["snapshot.json"]["version"] = 0.into(),
            "timestamp is malformed: expected a version above 0, got 0",
        ),
        (
            "no expiry",
            |it| drop(it.signed_mut().remove("expires")),
            "timestamp is malformed: missing field `expires`",
        ),
        (
            "a later specification",
            |it| it.signed_mut()["spec_version"] = "2.0.0".into(),
            "timestamp expected specification version 1.x, got \"2.0.0\" (TUF 5.4.2)",
        ),
    ];
    for (name, spoil, sentence) in cases {
        scene.offer("timestamp", |timestamp| {
            timestamp.set_version(2);
            spoil(timestamp);
        });
        let before = scene.documents();
        let refused = scene.refresh().expect_err(name).to_string();
        assert!(refused.starts_with(sentence) && refused.ends_with("(TUF 5.4.2)"), "{name}: {refused}");
        assert_eq!(scene.documents(), before, "{name}");
    }
    scene.good_again();
}
