//! 5.5: the snapshot.

use test_repos::simulator::Keyholder;
use tuf_core::authoring::meta_of;
use tuf_core::schema::MetaFile;

use crate::support::{Scene, at, holders, plain, signed};

/// Version 2 of the snapshot as it would honestly be, for a timestamp that is yet to state it.
fn second(scene: &Scene) -> (Vec<u8>, tuf_core::authoring::Document) {
    scene.repo(|repo| {
        let mut snapshot = repo.documents["snapshot"].clone();
        snapshot.set_version(2);
        (signed(&snapshot, &repo.signers["snapshot"]), snapshot)
    })
}

fn serve(scene: &Scene, bytes: &[u8]) {
    scene.repo(|repo| repo.overrides.insert("2.snapshot.json".into(), bytes.to_vec()));
}

#[test]
fn a_snapshot_is_the_one_that_the_timestamp_states_byte_for_byte() {
    // 5.5.2.
    let scene = Scene::new();
    scene.good([1, 1, 1, 1]);
    let (good, _) = second(&scene);
    scene.state_snapshot(&meta_of(2, &good));
    let hash = tuf_core::hash::sha256_hex;
    let longer = [good.as_slice(), b" "].concat();
    let at_url = format!("{}2.snapshot.json", scene.url("metadata"));
    serve(&scene, &longer);
    scene.refused(
        &format!(
            "snapshot: {at_url} sent too much: expected at most {} bytes, got {}",
            good.len(),
            longer.len()
        ),
        &["timestamp.json"],
    );
    serve(&scene, &good[1..]);
    scene
        .refused(&format!("snapshot expected {} bytes, got {} (TUF 5.5.2)", good.len(), good.len() - 1), &[]);
    let mut other = good.clone();
    *other.last_mut().unwrap() = b' ';
    serve(&scene, &other);
    scene.refused(
        &format!("snapshot expected sha256:{}, got sha256:{} (TUF 5.5.2)", hash(&good), hash(&other)),
        &[],
    );
    serve(&scene, &good);
    assert_eq!(scene.refresh().unwrap(), [1, 2, 2, 1]);
    scene.good_again();
}

#[test]
fn length_and_hashes_of_a_snapshot_may_be_left_out_each() {
    // 4.6: both are optional.
    for keep in ["length", "hashes", "neither"] {
        let scene = Scene::new();
        scene.good([1, 1, 1, 1]);
        let (good, _) = second(&scene);
        serve(&scene, &good);
        let stated = meta_of(2, &good);
        let length = stated.length.filter(|_| keep == "length");
        let hashes = stated.hashes.clone().filter(|_| keep == "hashes");
        scene.state_snapshot(&MetaFile { version: 2, length, hashes });
        assert_eq!(scene.refresh().unwrap(), [1, 2, 2, 1], "{keep}");
        assert_eq!(scene.kept("snapshot.json").unwrap(), good, "{keep}");
    }
}

#[test]
fn a_snapshot_that_is_not_signed_as_the_root_says_is_refused() {
    // 5.5.3.
    let scene = Scene::new();
    scene.good([1, 1, 1, 1]);
    let (_, document) = second(&scene);
    scene.state_snapshot(&plain(2));
    let mut advances = vec!["timestamp.json"];
    for (signers, got) in [
        (vec![], "0 of 0"),
        (vec!["thief 1"], "0 of 1"),
        (vec!["timestamp 1"], "0 of 1"),
        (vec!["targets 1", "targets 2"], "0 of 2"),
    ] {
        serve(&scene, &signed(&document, &holders(&signers)));
        scene.refused(
            &format!("snapshot needs 1 good signature(s) of distinct keys, got {got} present (TUF 5.5.3)"),
            &advances,
        );
        advances.clear();
    }
    scene.good_again();
}

#[test]
fn a_signature_that_comes_twice_makes_a_snapshot_malformed() {
    // 4.2: also where the threshold is met.
    let scene = Scene::new();
    scene.good([1, 1, 1, 1]);
    let (good, _) = second(&scene);
    scene.state_snapshot(&plain(2));
    let mut envelope: serde_json::Value = serde_json::from_slice(&good).unwrap();
    let one = envelope["signatures"][0].clone();
    let id = one["keyid"].as_str().unwrap().to_owned();
    envelope["signatures"].as_array_mut().unwrap().push(one);
    serve(&scene, &serde_json::to_vec(&envelope).unwrap());
    scene.refused(
        &format!("snapshot is malformed: key \"{id}\" signed twice (TUF 5.5.3)"),
        &["timestamp.json"],
    );
    scene.good_again();
}

#[test]
fn a_snapshot_has_the_version_that_is_stated_whatever_its_name() {
    // 5.5.4: version in the address, version in the file.
    let scene = Scene::new();
    scene.good([1, 1, 1, 1]);
    let (_, document) = second(&scene);
    scene.state_snapshot(&plain(2));
    let mut advances = vec!["timestamp.json"];
    for got in [1, 3] {
        let mut other = document.clone();
        other.set_version(got);
        serve(&scene, &scene.repo(|repo| signed(&other, &repo.signers["snapshot"])));
        scene.refused(&format!("snapshot expected version 2, got {got} (TUF 5.5.4)"), &advances);
        advances.clear();
    }
    scene.good_again();
}

#[test]
fn a_targets_file_never_goes_back_nor_away_in_a_snapshot() {
    // 5.5.5: top-level and delegated. The snapshot that is kept is what is compared with, also where the
    // timestamp now states the hash of another.
    let cases = [
        ("targets.json", Some(2), "\"targets.json\": expected version 3 or later, got 2"),
        ("acme.json", Some(2), "\"acme.json\": expected version 3 or later, got 2"),
        ("acme.json", None, "\"acme.json\": expected version 3 or later, and it is no longer listed"),
    ];
    for (file, version, sentence) in cases {
        for hashed in [true, false] {
            let scene = Scene::new();
            scene.publish(|repo| {
                repo.delegate("acme", &Keyholder::named("acme"), &["acme/*"]);
                repo.role_mut("acme").set_version(3);
            });
            scene.touch(&["targets"]);
            scene.good([1, 3, 3, 3]);
            let bytes = scene.repo(|repo| {
                let mut snapshot = repo.documents["snapshot"].clone();
                snapshot.set_version(4);
                match version {
                    Some(version) => snapshot.set_meta(file, &plain(version)),
                    None => {
                        drop(snapshot.signed_mut()["meta"].as_object_mut().unwrap().remove(file).unwrap())
                    }
                }
                let bytes = signed(&snapshot, &repo.signers["snapshot"]);
                repo.overrides.insert("4.snapshot.json".into(), bytes.clone());
                bytes
            });
            scene.state_snapshot(&if hashed { meta_of(4, &bytes) } else { plain(4) });
            scene.refused(&format!("snapshot lists {sentence} (TUF 5.5.5)"), &["timestamp.json"]);
            scene.good_again();
        }
    }
}

#[test]
fn an_expired_snapshot_is_refused_and_not_kept() {
    // 5.5.6 before 5.5.7.
    let scene = Scene::new();
    scene.good([1, 1, 1, 1]);
    scene.publish(|repo| repo.role_mut("snapshot").set_expires(at("2029-12-31T00:00:00Z")));
    scene.requests();
    scene.refused(
        "snapshot expired at 2029-12-31T00:00:00Z, and it is now 2030-01-01T00:00:00Z (TUF 5.5.6)",
        &["timestamp.json"],
    );
    assert_eq!(scene.requests().last().unwrap(), "2.snapshot.json", "no targets are asked for");
    scene.publish(|repo| repo.renew_role("snapshot", at("2030-01-01T00:00:00Z")));
    scene.good([1, 3, 3, 1]);
}

#[test]
fn a_snapshot_in_the_folder_that_expired_is_refused_though_the_timestamp_is_new() {
    let mut scene = Scene::new();
    scene.good([1, 1, 1, 1]);
    scene.now = at("2030-01-20T00:00:00Z");
    scene.publish(|repo| repo.renew_role("timestamp", at("2030-01-20T00:00:00Z")));
    scene.refused(
        "snapshot expired at 2030-01-08T00:00:00Z, and it is now 2030-01-20T00:00:00Z (TUF 5.5.6)",
        &["timestamp.json"],
    );
    scene.publish(|repo| repo.renew(at("2030-01-20T00:00:00Z")));
    scene.good(scene.live());
}

#[test]
fn a_snapshot_that_is_stated_and_not_there_is_refused() {
    // 5.5.1.
    let scene = Scene::new();
    scene.good([1, 1, 1, 1]);
    scene.state_snapshot(&plain(2));
    scene.requests();
    scene.refused(
        "snapshot is stated but not there: expected \"2.snapshot.json\", got nothing (TUF 5.5.1)",
        &["timestamp.json"],
    );
    assert_eq!(scene.requests().last().unwrap(), "2.snapshot.json");
    scene.good_again();
}

#[test]
fn a_snapshot_of_another_type_or_without_targets_is_refused() {
    let scene = Scene::new();
    scene.good([1, 1, 1, 1]);
    let (_, document) = second(&scene);
    scene.state_snapshot(&plain(2));
    let mut other = document.clone();
    other.signed_mut()["_type"] = "timestamp".into();
    serve(&scene, &scene.repo(|repo| signed(&other, &repo.signers["snapshot"])));
    scene.refused("snapshot expected type \"snapshot\", got \"timestamp\" (TUF 5.5.3)", &["timestamp.json"]);
    let mut empty = document;
    empty.signed_mut()["meta"] = serde_json::json!({});
    serve(&scene, &scene.repo(|repo| signed(&empty, &repo.signers["snapshot"])));
    scene.refused("snapshot is malformed: expected \"targets.json\" in meta, got none (TUF 5.5.3)", &[]);
    scene.good_again();
}

#[test]
fn files_of_two_moments_are_not_put_together() {
    // Mix and match: yesterday's snapshot beside today's timestamp, under today's name.
    let scene = Scene::new();
    scene.touch(&["targets"]);
    scene.good([1, 2, 2, 2]);
    scene.touch(&["targets"]);
    scene.repo(|repo| drop(repo.replay("snapshot", 1, "3.snapshot.json").unwrap()));
    let before = scene.documents();
    let refused = scene.refresh().expect_err("a mixture").to_string();
    assert!(refused.starts_with("snapshot expected sha256:"), "{refused}");
    assert!(refused.ends_with("(TUF 5.5.2)"), "{refused}");
    assert_eq!(crate::support::changed(&before, &scene.documents()), ["timestamp.json"]);
    scene.good_again();
}

#[test]
fn a_damaged_snapshot_in_the_folder_costs_a_download_and_no_more() {
    let scene = Scene::new();
    scene.good([1, 1, 1, 1]);
    for damage in [b"".to_vec(), b"{".to_vec(), scene.kept("targets.json").unwrap()] {
        std::fs::write(scene.state().join("metadata/snapshot.json"), damage).unwrap();
        scene.requests();
        scene.good([1, 1, 1, 1]);
        assert_eq!(scene.requests(), ["2.root.json", "timestamp.json", "1.snapshot.json"]);
    }
}
