//! 5.3: from the root that is held to the newest one.

use tuf_core::Role;

use crate::support::{Scene, at, holders, signed, staff};

#[test]
fn every_root_is_asked_for_and_kept_until_there_is_none() {
    // 5.3.3, 5.3.8, 5.3.9.
    let scene = Scene::new();
    for _ in 0..3 {
        scene.touch(&["root"]);
    }
    let served: Vec<_> = (2..=4)
        .map(|version| scene.repo(|repo| repo.fetch(&format!("{version}.root.json")).unwrap().unwrap()))
        .collect();
    scene.good([4, 4, 1, 1]);
    let asked = scene.requests();
    assert_eq!(asked[..4], ["2.root.json", "3.root.json", "4.root.json", "5.root.json"]);
    for (version, bytes) in (2..).zip(&served) {
        assert_eq!(scene.documents()[&format!("root_history/{version}.root.json")], *bytes, "{version}");
    }
    scene.good([4, 4, 1, 1]);
    assert_eq!(scene.requests(), ["5.root.json", "timestamp.json"], "what is held isn't asked for again");
}

#[test]
fn a_root_below_a_threshold_of_the_old_keys_or_of_its_own_is_refused() {
    // 5.3.4, both halves.
    let new = ["new 1", "new 2"];
    for (name, signers, got) in [
        ("its own keys only", vec!["new 1", "new 2"], "got 0 of 2 present"),
        ("the old keys only", vec!["root 1", "root 2"], "got 0 of 2 present"),
        ("one old key and its own", vec!["root 1", "new 1", "new 2"], "got 1 of 3 present"),
        ("the old keys and one of its own", vec!["root 1", "root 2", "new 1"], "got 1 of 3 present"),
        ("nobody", vec![], "got 0 of 0 present"),
        ("strangers", vec!["thief 1", "thief 2"], "got 0 of 2 present"),
    ] {
        let scene = Scene::new();
        scene.good([1, 1, 1, 1]);
        scene.publish(|repo| staff(repo, &Role::Root, &holders(&new), 2, &holders(&signers)));
        let sentence = format!("root needs 2 good signature(s) of distinct keys, {got} (TUF 5.3.4)");
        scene.refused(&sentence, &[]);
        assert_eq!(scene.requests().last().unwrap(), "2.root.json", "{name}: nothing further is asked for");
        let all = holders(&["root 1", "root 2", "new 1", "new 2"]);
        scene.repo(|repo| {
            let root = signed(&repo.documents["root"], &all);
            repo.overrides.insert("2.root.json".into(), root);
        });
        scene.good([2, 2, 1, 1]);
    }
}

#[test]
fn a_root_must_have_the_version_after_the_one_held() {
    // 5.3.5.
    let scene = Scene::new();
    scene.touch(&["root"]);
    scene.good([2, 2, 1, 1]);
    for got in [1, 2, 4, 1000] {
        scene.repo(|repo| {
            let mut root = repo.documents["root"].clone();
            root.set_version(got);
            repo.overrides.insert("3.root.json".into(), signed(&root, &repo.signers["root"]));
        });
        scene.refused(&format!("root expected version 3, got {got} (TUF 5.3.5)"), &[]);
    }
    scene.repo(|repo| repo.overrides.clear());
    scene.touch(&["root"]);
    scene.good([3, 3, 1, 1]);
}

#[test]
fn what_is_no_root_is_refused_as_the_next_one() {
    let scene = Scene::new();
    scene.touch(&["targets"]);
    scene.good([1, 2, 2, 2]);
    let targets = scene.repo(|repo| repo.fetch("2.targets.json").unwrap().unwrap());
    let mut typed = scene.repo(|repo| repo.documents["root"].clone());
    typed.set_version(2);
    typed.signed_mut()["_type"] = "timestamp".into();
    let typed = scene.repo(|repo| signed(&typed, &repo.signers["root"]));
    for (name, bytes, sentence) in [
        (
            "the targets",
            targets,
            "root needs 2 good signature(s) of distinct keys, got 0 of 2 present (TUF 5.3.4)",
        ),
        (
            "another type, signed by the root's keys",
            typed,
            "root expected type \"root\", got \"timestamp\" (TUF 5.3.4)",
        ),
        (
            "a page of a web server",
            b"<html>".to_vec(),
            "root is malformed: expected value at line 1 column 1 (TUF 5.3.4)",
        ),
        (
            "nothing",
            Vec::new(),
            "root is malformed: EOF while parsing a value at line 1 column 0 (TUF 5.3.4)",
        ),
    ] {
        scene.repo(|repo| repo.overrides.insert("2.root.json".into(), bytes));
        scene.refused(sentence, &[]);
        assert_eq!(scene.requests().last().unwrap(), "2.root.json", "{name}");
    }
    scene.repo(|repo| repo.overrides.clear());
    scene.good([1, 2, 2, 2]);
}

#[test]
fn good_roots_on_the_way_to_a_bad_one_are_kept() {
    // 5.3.8, and record 3: what was accepted stays accepted.
    let scene = Scene::new();
    scene.good([1, 1, 1, 1]);
    scene.touch(&["root"]);
    scene.touch(&["root"]);
    scene.repo(|repo| {
        let third = signed(&repo.documents["root"], &holders(&["thief 1"]));
        repo.overrides.insert("3.root.json".into(), third);
    });
    scene.refused(
        "root needs 2 good signature(s) of distinct keys, got 0 of 1 present (TUF 5.3.4)",
        &["root.json", "root_history/2.root.json"],
    );
    scene.good_again();
}

#[test]
fn a_root_that_expired_long_ago_leads_to_the_next() {
    // 5.3.6: neither the root that is held nor one on the way may stop an update by its expiry.
    let mut scene = Scene::new();
    scene.good([1, 1, 1, 1]);
    scene.publish(|repo| repo.role_mut("root").set_expires(at("2029-06-01T00:00:00Z")));
    scene.refused(
        "root expired at 2029-06-01T00:00:00Z, and it is now 2030-01-01T00:00:00Z (TUF 5.3.10)",
        &["root.json", "root_history/2.root.json"],
    );
    scene.now = at("2035-01-01T00:00:00Z");
    scene.publish(|repo| repo.renew(at("2035-01-01T00:00:00Z")));
    scene.good([3, 3, 2, 2]);
}

#[test]
fn an_expired_newest_root_is_kept_and_stops_the_update_there() {
    // 5.3.8 before 5.3.10.
    let scene = Scene::new();
    scene.good([1, 1, 1, 1]);
    scene.publish(|repo| {
        repo.role_mut("root").set_expires(at("2029-12-31T23:59:59Z"));
        crate::support::touch(repo, "targets");
    });
    scene.requests();
    scene.refused(
        "root expired at 2029-12-31T23:59:59Z, and it is now 2030-01-01T00:00:00Z (TUF 5.3.10)",
        &["root.json", "root_history/2.root.json"],
    );
    assert_eq!(scene.requests(), ["2.root.json", "3.root.json"], "no timestamp is asked for");
    scene.publish(|repo| repo.role_mut("root").set_expires(at("2031-01-01T00:00:00Z")));
    scene.good([3, 3, 2, 2]);
}

#[test]
fn a_root_that_could_not_be_had_is_not_the_end_of_the_roots() {
    // 5.3.3: only an absent file ends the walk. Where the server fails, a newer root may be withheld.
    let scene = Scene::new();
    scene.good([1, 1, 1, 1]);
    scene.touch(&["root"]);
    scene.served().statuses.insert("2.root.json".into(), 401);
    let before = scene.documents();
    let failed = scene.refresh().expect_err("an update without an answer");
    assert!(failed.unreachable(), "{failed}");
    assert!(failed.to_string().starts_with("root: "), "{failed}");
    assert_eq!(scene.documents(), before);
    scene.served().statuses.clear();
    scene.good([2, 2, 1, 1]);
}

#[test]
fn more_signatures_than_keys_may_be_asked_for_in_a_root_but_never_had() {
    // 4.3 says nothing against it: the root is good, and its role out of order.
    let scene = Scene::new();
    scene.good([1, 1, 1, 1]);
    scene.publish(|repo| repo.role_mut("root").set_threshold(&Role::Snapshot, 6));
    scene.touch(&["snapshot"]);
    scene.refused(
        "snapshot needs 6 good signature(s) of distinct keys, got 1 of 1 present (TUF 5.5.3)",
        &["root.json", "root_history/2.root.json", "timestamp.json"],
    );
    scene.publish(|repo| repo.role_mut("root").set_threshold(&Role::Snapshot, 1));
    scene.good([3, 4, 2, 1]);
}

#[test]
fn the_root_says_whether_names_have_versions() {
    // 5.3.12, 6.2: on, off and on again.
    let scene = Scene::new();
    scene.good([1, 1, 1, 1]);
    scene.requests();
    scene.publish(|repo| {
        repo.role_mut("root").signed_mut()["consistent_snapshot"] = false.into();
        crate::support::touch(repo, "targets");
    });
    assert_eq!(scene.refresh().unwrap(), [2, 2, 2, 2]);
    assert_eq!(
        scene.requests(),
        ["2.root.json", "3.root.json", "timestamp.json", "snapshot.json", "targets.json"]
    );
    scene.publish(|repo| {
        repo.role_mut("root").signed_mut()["consistent_snapshot"] = true.into();
        crate::support::touch(repo, "targets");
    });
    scene.good([3, 3, 3, 3]);
    assert_eq!(
        scene.requests(),
        ["3.root.json", "4.root.json", "timestamp.json", "3.snapshot.json", "3.targets.json"]
    );
}

#[test]
fn a_root_in_the_folder_that_was_tampered_with_is_not_believed() {
    // The folder is only as good as what is weighed when it is read back.
    let scene = Scene::new();
    scene.touch(&["root"]);
    scene.good([2, 2, 1, 1]);
    let forged = scene.repo(|repo| {
        let mut root = repo.documents["root"].clone();
        root.set_version(9);
        signed(&root, &holders(&["thief 1", "thief 2"]))
    });
    for file in ["metadata/root.json", "root_history/2.root.json"] {
        let path = scene.state().join(file);
        let good = std::fs::read(&path).unwrap();
        std::fs::write(&path, &forged).unwrap();
        assert_eq!(scene.refresh().unwrap(), [2, 2, 1, 1], "{file}");
        std::fs::write(&path, &good).unwrap();
    }
    scene.good([2, 2, 1, 1]);
}
