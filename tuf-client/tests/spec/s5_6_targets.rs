//! 5.6.1 to 5.6.6: the targets, top-level and delegated.

use test_repos::simulator::Keyholder;
use tuf_core::authoring::meta_of;
use tuf_core::schema::{MetaFile, Target};

use crate::support::{Scene, at, changed, holders, plain, signed};

/// Top-level targets of version 2 and a delegated role, `acme`, each held.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.publish(|repo| {
        repo.delegate("acme", &Keyholder::named("acme"), &["acme/*"]);
        repo.role_mut("acme").set_target("acme/web", &Target::of(b"web")).unwrap();
    });
    assert_eq!(scene.find("acme/web").unwrap(), "found by targets acme");
    scene
}

/// Plays one attack on the top-level targets, and on the delegated role.
fn on_both(play: impl Fn(&Scene, &str, &str)) {
    play(&scene(), "targets", "targets");
    play(&scene(), "acme", "delegated role \"acme\"");
}

/// A search, refused with that sentence; the role's own file stays as it was.
#[track_caller]
fn refused(scene: &Scene, role: &str, sentence: &str) {
    let (before, own) = (scene.documents(), format!("{role}.json"));
    let refused = scene.find("acme/web").expect_err("a search to be refused").to_string();
    assert_eq!(refused, sentence);
    let changes = changed(&before, &scene.documents());
    assert!(!changes.contains(&own), "{own} is as it was: {changes:?}");
}

#[track_caller]
fn good_again(scene: &Scene) {
    scene.recover();
    scene.publish(|repo| {
        let above = repo.documents["acme"].version() + 20;
        repo.role_mut("acme").set_version(above);
    });
    assert_eq!(scene.find("acme/web").unwrap(), "found by targets acme");
}

/// Serves the role's next version, changed and signed by `signers`, as the file of that version. Gives
/// what a snapshot may state of it, and its name.
fn next(
    scene: &Scene,
    role: &str,
    signers: Option<&[&str]>,
    change: impl FnOnce(&mut tuf_core::authoring::Document),
) -> (MetaFile, Vec<u8>) {
    scene.repo(|repo| {
        let mut document = repo.documents[role].clone();
        let version = document.version() + 1;
        document.set_version(version);
        change(&mut document);
        let signers = signers.map_or_else(|| repo.signers[role].clone(), holders);
        let bytes = signed(&document, &signers);
        repo.overrides.insert(format!("{version}.{role}.json"), bytes.clone());
        (meta_of(version, &bytes), bytes)
    })
}

#[test]
fn targets_are_the_ones_that_the_snapshot_states_byte_for_byte() {
    // 5.6.2.
    on_both(|scene, role, named| {
        let (meta, good) = next(scene, role, None, |_| ());
        let file = format!("{}.{role}.json", meta.version);
        scene.state_targets(&format!("{role}.json"), &meta);
        let serve =
            |bytes: &[u8]| scene.repo(|repo| drop(repo.overrides.insert(file.clone(), bytes.to_vec())));
        serve(&good[1..]);
        let (expected, got) = (good.len(), good.len() - 1);
        refused(scene, role, &format!("{named} expected {expected} bytes, got {got} (TUF 5.6.2)"));
        let mut other = good.clone();
        *other.last_mut().unwrap() = b' ';
        serve(&other);
        let hash = tuf_core::hash::sha256_hex;
        refused(
            scene,
            role,
            &format!("{named} expected sha256:{}, got sha256:{} (TUF 5.6.2)", hash(&good), hash(&other)),
        );
        let longer = [good.as_slice(), b" "].concat();
        serve(&longer);
        let url = scene.url("metadata");
        refused(
            scene,
            role,
            &format!(
                "{named}: {url}{file} sent too much: expected at most {expected} bytes, got {}",
                expected + 1
            ),
        );
        serve(&good);
        assert_eq!(scene.find("acme/web").unwrap(), "found by targets acme");
        assert_eq!(scene.kept(&format!("{role}.json")).unwrap(), good);
        good_again(scene);
    });
}

/// Held targets, and a snapshot that states the next ones by these hashes. `{256}` and `{512}` stand for
/// the good ones.
fn stating(hashes: &[(&str, &str)]) -> (Scene, String, String) {
    let scene = scene();
    let (meta, good) = next(&scene, "targets", None, |_| ());
    let (sha256, sha512) = (tuf_core::hash::sha256_hex(&good), tuf_core::hash::sha512_hex(&good));
    let filled = |hash: &str| hash.replace("{256}", &sha256).replace("{512}", &sha512);
    let hashes = hashes.iter().map(|(name, hash)| ((*name).to_owned(), filled(hash))).collect();
    scene.state_targets("targets.json", &MetaFile { hashes: Some(hashes), ..meta });
    (scene, sha256, sha512)
}

#[test]
fn every_hash_that_is_stated_of_targets_must_fit_and_one_must_be_known() {
    // 4.4: sha512 beside sha256, an unknown one beside a known one, and unknown ones only.
    let wrong = "0".repeat(64);
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("sha256", "{256}"), ("sha512", &wrong)], "expected sha512:{wrong}, got sha512:{512}"),
        (&[("sha256", &wrong), ("sha512", "{512}")], "expected sha256:{wrong}, got sha256:{256}"),
        (&[("md5", "00")], "expected a sha256 or sha512 hash, got md5"),
    ];
    for (hashes, why) in cases {
        let (scene, sha256, sha512) = stating(hashes);
        let why = why.replace("{wrong}", &wrong).replace("{256}", &sha256).replace("{512}", &sha512);
        refused(&scene, "targets", &format!("targets {why} (TUF 5.6.2)"));
        good_again(&scene);
    }
    let good: &[&[(&str, &str)]] =
        &[&[("sha512", "{512}")], &[("sha256", "{256}"), ("blake2b", "00"), ("sha512", "{512}")]];
    for hashes in good {
        assert_eq!(stating(hashes).0.find("acme/web").unwrap(), "found by targets acme", "{hashes:?}");
    }
}

#[test]
fn hashes_of_which_there_is_none_are_refused_with_the_document_that_states_them_and_it_is_not_kept() {
    // 4.4, 4.6: neither the snapshot nor the timestamp is kept until a later document fails to fit.
    let (scene, ..) = stating(&[]);
    let kept = scene.kept("snapshot.json");
    let none = "is malformed: expected at least one hash, got none";
    let sentence = scene.find("acme/web").expect_err("a snapshot to be refused").to_string();
    assert!(sentence.starts_with(&format!("snapshot {none}")), "{sentence}");
    assert_eq!(scene.kept("snapshot.json"), kept);
    good_again(&scene);

    let empty = MetaFile { hashes: Some([].into()), ..plain(scene.live()[2] + 1) };
    let kept = scene.kept("timestamp.json");
    scene.touch(&["snapshot"]);
    scene.state_snapshot(&empty);
    let sentence = scene.find("acme/web").expect_err("a timestamp to be refused").to_string();
    assert!(sentence.starts_with(&format!("timestamp {none}")), "{sentence}");
    assert_eq!(scene.kept("timestamp.json"), kept);
    good_again(&scene);
}

#[test]
fn targets_that_are_not_signed_as_their_delegator_says_are_refused() {
    // 5.6.3: the root speaks for the top-level targets, those for the delegated role.
    on_both(|scene, role, named| {
        let need = if role == "targets" { 2 } else { 1 };
        for (signers, got) in [
            (vec![], "0 of 0"),
            (vec!["thief 1", "thief 2"], "0 of 2"),
            (vec!["snapshot 1", "timestamp 1"], "0 of 2"),
            (vec!["root 1", "root 2"], "0 of 2"),
        ] {
            let (meta, _) = next(scene, role, Some(&signers), |_| ());
            scene.state_targets(&format!("{role}.json"), &plain(meta.version));
            refused(
                scene,
                role,
                &format!(
                    "{named} needs {need} good signature(s) of distinct keys, got {got} present (TUF 5.6.3)"
                ),
            );
        }
        let crossed = if role == "targets" { ["acme", "targets 1"] } else { ["targets 1", "targets 2"] };
        let (meta, _) = next(scene, role, Some(&crossed), |_| ());
        scene.state_targets(&format!("{role}.json"), &plain(meta.version));
        let got = if role == "targets" { 1 } else { 0 };
        refused(
            scene,
            role,
            &format!(
                "{named} needs {need} good signature(s) of distinct keys, got {got} of 2 present (TUF 5.6.3)"
            ),
        );
        good_again(scene);
    });
}

#[test]
fn targets_have_the_version_that_is_stated_whatever_their_name() {
    // 5.6.4.
    on_both(|scene, role, named| {
        let expected = scene.repo(|repo| repo.documents[role].version() + 1);
        for got in [expected - 1, expected + 1] {
            next(scene, role, None, |document| document.set_version(got));
            scene.state_targets(&format!("{role}.json"), &plain(expected));
            refused(scene, role, &format!("{named} expected version {expected}, got {got} (TUF 5.6.4)"));
        }
        good_again(scene);
    });
}

#[test]
fn expired_targets_are_refused_and_not_kept() {
    // 5.6.5 before 5.6.6.
    on_both(|scene, role, named| {
        let past = at("2029-12-31T00:00:00Z");
        let (meta, _) = next(scene, role, None, |document| document.set_expires(past));
        scene.state_targets(&format!("{role}.json"), &meta);
        refused(
            scene,
            role,
            &format!(
                "{named} expired at 2029-12-31T00:00:00Z, and it is now 2030-01-01T00:00:00Z (TUF 5.6.5)"
            ),
        );
        good_again(scene);
    });
}

#[test]
fn targets_that_are_stated_and_not_there_are_refused() {
    // 5.6.1.
    on_both(|scene, role, named| {
        let version = scene.repo(|repo| repo.documents[role].version() + 1);
        scene.state_targets(&format!("{role}.json"), &plain(version));
        refused(
            scene,
            role,
            &format!(
                "{named} is stated but not there: expected \"{version}.{role}.json\", got nothing (TUF 5.6.1)"
            ),
        );
        assert_eq!(scene.requests().last().unwrap(), &format!("{version}.{role}.json"));
        good_again(scene);
    });
}

#[test]
fn a_role_that_the_snapshot_does_not_list_is_refused_and_not_passed_over() {
    // 5.6.1, mix and match: a role that is left out could hide what it says of the path.
    let scene = Scene::new();
    scene.publish(|repo| {
        for role in ["acme", "others"] {
            repo.delegate(role, &Keyholder::named(role), &["acme/*"]);
        }
        repo.role_mut("others").set_target("acme/web", &Target::of(b"evil")).unwrap();
        repo.documents.remove("acme");
    });
    scene.repo(|repo| assert!(repo.role_mut("snapshot").signed()["meta"].get("acme.json").is_none()));
    scene.good(scene.live());
    refused(
        &scene,
        "others",
        "delegated role \"acme\" is stated but not there: expected \"acme.json in snapshot\", got nothing (TUF 5.6.1)",
    );
}

#[test]
fn targets_of_another_type_are_refused() {
    on_both(|scene, role, named| {
        let (meta, _) =
            next(scene, role, None, |document| document.signed_mut()["_type"] = "snapshot".into());
        scene.state_targets(&format!("{role}.json"), &meta);
        refused(scene, role, &format!("{named} expected type \"targets\", got \"snapshot\" (TUF 5.6.3)"));
        good_again(scene);
    });
}

#[test]
fn targets_that_are_held_are_not_fetched_again() {
    let scene = scene();
    scene.requests();
    assert_eq!(scene.find("acme/web").unwrap(), "found by targets acme");
    assert_eq!(scene.requests(), ["2.root.json", "timestamp.json"]);
    scene.touch(&["acme"]);
    assert_eq!(scene.find("acme/web").unwrap(), "found by targets acme");
    assert_eq!(scene.requests(), ["2.root.json", "timestamp.json", "3.snapshot.json", "2.acme.json"]);
}

#[test]
fn what_was_refused_once_is_weighed_again_and_not_remembered() {
    let scene = scene();
    scene.state_targets("targets.json", &plain(3));
    for _ in 0..2 {
        refused(
            &scene,
            "targets",
            "targets is stated but not there: expected \"3.targets.json\", got nothing (TUF 5.6.1)",
        );
    }
    next(&scene, "targets", None, |_| ());
    assert_eq!(scene.find("acme/web").unwrap(), "found by targets acme");
}
