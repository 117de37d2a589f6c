//! What goes over the wire and what is kept: the order of requests, bytes as they came, and members that
//! nobody knows.

use serde_json::{Value, json};
use test_repos::simulator::Keyholder;
use tuf_core::Role;
use tuf_core::crypto::Sign as _;
use tuf_core::schema::Target;

use crate::support::{Scene, TOP, file_name, holders, touch};

#[test]
fn an_update_asks_in_the_order_of_the_workflow_and_for_nothing_else() {
    let scene = Scene::new();
    scene.publish(|repo| repo.delegate("acme", &Keyholder::named("acme"), &["acme/*"]));
    scene.good([1, 2, 2, 2]);
    assert_eq!(scene.requests(), ["2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"]);
    scene.find("other").unwrap();
    assert_eq!(scene.requests(), ["2.root.json", "timestamp.json"]);
    scene.find("acme/web").unwrap();
    assert_eq!(scene.requests(), ["2.root.json", "timestamp.json", "1.acme.json"]);
    scene.touch(&["root", "targets"]);
    scene.find("acme/web").unwrap();
    assert_eq!(
        scene.requests(),
        ["2.root.json", "3.root.json", "timestamp.json", "3.snapshot.json", "3.targets.json"]
    );
}

#[test]
fn what_is_kept_is_what_was_served_byte_for_byte() {
    // Two spaces at the end, and the members in another order than ours: nobody's printer makes that.
    let scene = Scene::new();
    scene.repo(|repo| {
        for role in TOP.into_iter().chain(["acme"]) {
            repo.forges.insert(role.into(), |bytes| {
                let value: Value = serde_json::from_slice(&bytes).unwrap();
                let (signed, signatures) = (&value["signed"], &value["signatures"]);
                format!("\n{{ \"signed\" : {signed:#},\n\t\"signatures\": {signatures} }}  ").into_bytes()
            });
        }
        repo.delegate("acme", &Keyholder::named("acme"), &["acme/*"]);
        repo.role_mut("acme").set_target("acme/web", &Target::of(b"web")).unwrap();
        touch(repo, "root");
    });
    scene.publish(|_| ());
    assert_eq!(scene.find("acme/web").unwrap(), "found by targets acme");
    let served = scene.repo(|repo| {
        let name = |role: &str| file_name(role, &repo.documents[role]);
        ["root", "timestamp", "snapshot", "targets", "acme"]
            .map(|role| (role, repo.fetch(&name(role)).unwrap()))
    });
    for (role, bytes) in served {
        assert!(bytes.as_ref().unwrap().ends_with(b"  "));
        assert_eq!(scene.kept(&format!("{role}.json")), bytes, "{role}");
    }
    assert_eq!(scene.documents()["root_history/2.root.json"], scene.kept("root.json").unwrap());
}

#[test]
fn members_that_nobody_knows_are_signed_and_kept_with_the_rest() {
    // Section 4: "must include the data when calculating hashes or verifying signatures".
    let scene = Scene::new();
    scene.good([1, 1, 1, 1]);
    scene.publish(|repo| {
        repo.role_mut("root").add_key(&Role::Root, holders(&["another"])[0].key());
        for role in TOP {
            let signed = repo.role_mut(role).signed_mut();
            signed.insert("x-custom".into(), json!({ "deep": [1, { "er": null }], "\u{e9}": "\u{1f600}" }));
        }
        let root = repo.role_mut("root").signed_mut();
        root["roles"]["root"]["x-role"] = json!("kept");
        for key in root["keys"].as_object_mut().unwrap().values_mut() {
            key["keyid_hash_algorithms"] = json!("md5");
            key["x-key"] = json!({ "a": 1 });
        }
        let targets = repo.role_mut("targets");
        targets.set_target("web", &Target::of(b"web")).unwrap();
        targets.signed_mut()["targets"]["web"]["x-target"] = json!(true);
    });
    scene.good([2, 2, 2, 2]);
    for role in TOP {
        let kept: Value = serde_json::from_slice(&scene.kept(&format!("{role}.json")).unwrap()).unwrap();
        assert_eq!(kept["signed"]["x-custom"]["deep"][1]["er"], Value::Null, "{role}");
    }

    // Whoever changes such a member breaks the signature.
    scene.touch(&["targets"]);
    scene.repo(|repo| {
        let honest = repo.fetch("3.targets.json").unwrap().unwrap();
        let forged = String::from_utf8(honest).unwrap().replace("x-custom", "x-costum");
        let version = 4;
        repo.overrides.insert("3.targets.json".into(), forged.into_bytes());
        let mut snapshot = repo.documents["snapshot"].clone();
        snapshot.set_version(version);
        snapshot.set_meta("targets.json", &crate::support::plain(3));
        let bytes = crate::support::signed(&snapshot, &repo.signers["snapshot"]);
        repo.overrides.insert(format!("{version}.snapshot.json"), bytes);
    });
    scene.state_snapshot(&crate::support::plain(4));
    scene.refused(
        "targets needs 2 good signature(s) of distinct keys, got 0 of 2 present (TUF 5.6.3)",
        &["snapshot.json", "timestamp.json"],
    );
    scene.good_again();
}

#[test]
fn a_folder_that_was_lost_or_emptied_is_filled_again() {
    let scene = Scene::new();
    scene.touch(&["root", "targets"]);
    scene.good([2, 2, 2, 2]);
    let whole = scene.documents();
    for name in whole.keys() {
        let folder =
            if name.starts_with("root_history/") { scene.state() } else { scene.state().join("metadata") };
        for damage in [None, Some(&b""[..]), Some(b"{}"), Some(b"\0\0\0\0")] {
            match damage {
                None => std::fs::remove_file(folder.join(name)).unwrap(),
                Some(bytes) => std::fs::write(folder.join(name), bytes).unwrap(),
            }
            assert_eq!(scene.refresh().unwrap(), [2, 2, 2, 2], "{name} {damage:?}");
        }
    }
    std::fs::remove_dir_all(scene.state()).unwrap();
    scene.good([2, 2, 2, 2]);
    assert_eq!(scene.documents(), whole);
}

#[test]
fn an_answer_without_end_is_cut_off_at_what_was_stated_or_at_a_limit() {
    // 5.3.3, 5.4.1, 5.5.1, 5.6.1: as far as a file may be, and a byte further.
    let scene = Scene::new();
    scene.good([1, 1, 1, 1]);
    scene.touch(&["root", "targets"]);
    let lengths = scene.repo(|repo| {
        ["2.snapshot.json", "2.targets.json"].map(|name| repo.fetch(name).unwrap().unwrap().len() as u64)
    });
    let limits = [
        ("root", "2.root.json", tuf_core::limits::ROOT_BYTES),
        ("timestamp", "timestamp.json", tuf_core::limits::TIMESTAMP_BYTES),
        ("snapshot", "2.snapshot.json", lengths[0]),
        ("targets", "2.targets.json", lengths[1]),
    ];
    for (role, name, limit) in limits {
        let honest = scene.repo(|repo| repo.fetch(name).unwrap().unwrap());
        let endless = [honest, vec![b' '; usize::try_from(limit).unwrap()]].concat();
        let got = endless.len();
        scene.repo(|repo| repo.overrides.insert(name.into(), endless));
        let before = scene.kept(&format!("{role}.json"));
        assert_eq!(
            scene.refresh().expect_err(role).to_string(),
            format!(
                "{role}: {}{name} sent too much: expected at most {limit} bytes, got {got}",
                scene.url("metadata")
            )
        );
        assert_eq!(scene.kept(&format!("{role}.json")), before, "{role}");
        scene.repo(|repo| repo.overrides.clear());
    }
    scene.good([2, 2, 2, 2]);
}
