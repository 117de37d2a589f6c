//! Keys that change (5.3.4, 5.3.11): chains of roots, the other top-level roles, and the way back from a
//! fast-forward attack.

use test_repos::simulator::Keyholder;
use tuf_core::Role;

use crate::support::{Scene, holders, plain, staff, touch};

/// Keys, threshold, who signs, and whether that is enough.
type Root = (&'static [u8], u32, &'static [u8], bool);

fn numbered(numbers: &[u8]) -> Vec<Keyholder> {
    numbers.iter().map(|number| Keyholder::named(&format!("rotated {number}"))).collect()
}

/// A chain of roots from the second on, each beginning where the one before ended.
const CHAINS: &[(&str, &[Root])] = &[
    ("one key for another", &[(&[1], 1, &[1], true), (&[2], 1, &[1, 2], true), (&[2], 1, &[2], true)]),
    ("needless signatures", &[(&[1], 1, &[8, 1, 9], true), (&[2], 1, &[8, 1, 2, 9], true)]),
    ("not by the old key", &[(&[1], 1, &[1], true), (&[2], 1, &[2, 8, 9], false)]),
    ("not by the new key", &[(&[1], 1, &[1], true), (&[2], 1, &[1, 8, 9], false)]),
    (
        "any three of five",
        &[
            (&[1, 2, 3, 4, 5], 3, &[1, 3, 5], true),
            (&[1, 2, 3, 4, 5], 3, &[1, 2, 5], true),
            (&[1, 2, 3, 4, 5], 3, &[2, 3, 4], true),
            (&[1, 2, 3, 4, 5], 3, &[1, 2, 3, 4, 5], true),
            (&[1, 2, 3, 4, 5], 3, &[4, 5], false),
        ],
    ),
    (
        "one of five, by those who stay",
        &[
            (&[1, 2, 3, 4, 5], 3, &[1, 3, 5], true),
            (&[1, 2, 4, 5, 6], 3, &[1, 2, 5], true),
            (&[1, 2, 4, 5, 6], 3, &[1, 5, 6], true),
        ],
    ),
    (
        "one of five, three old and two of the new",
        &[(&[1, 2, 3, 4, 5], 3, &[1, 3, 5], true), (&[1, 2, 4, 5, 6], 3, &[1, 3, 5], false)],
    ),
    (
        "one of five, three new and two of the old",
        &[(&[1, 2, 3, 4, 5], 3, &[1, 3, 5], true), (&[1, 2, 4, 5, 6], 3, &[1, 5, 6], false)],
    ),
    (
        "all of five",
        &[
            (&[1, 2, 3, 4, 5], 3, &[1, 3, 5], true),
            (&[6, 7, 8, 9, 10], 3, &[1, 3, 5, 6, 7, 8], true),
            (&[6, 7, 8, 9, 10], 3, &[8, 9, 10], true),
        ],
    ),
    (
        "one of three to two of three",
        &[(&[1, 2, 3], 1, &[1], true), (&[1, 2, 3], 2, &[1, 3], true), (&[1, 2, 3], 2, &[1], false)],
    ),
    ("to two of three, signed by one", &[(&[1, 2, 3], 1, &[1], true), (&[1, 2, 3], 2, &[2], false)]),
    (
        "two of three to one of three",
        &[(&[1, 2, 3], 2, &[1, 2], true), (&[1, 2, 3], 1, &[2, 3], true), (&[1, 2, 3], 1, &[3], true)],
    ),
    ("to one of three, signed by one", &[(&[1, 2, 3], 2, &[1, 2], true), (&[1, 2, 3], 1, &[1], false)]),
    ("one of one to two of two", &[(&[1], 1, &[1], true), (&[1, 2], 2, &[1, 2], true)]),
    (
        "a key that comes back",
        &[(&[1], 1, &[1], true), (&[2], 1, &[1, 2], true), (&[1], 1, &[1, 2], true), (&[2], 1, &[2], false)],
    ),
];

#[test]
fn a_chain_of_roots_holds_link_by_link() {
    for (name, chain) in CHAINS {
        let scene = Scene::new();
        let mut good = 1;
        for (keys, threshold, signers, enough) in *chain {
            scene.publish(|repo| {
                // The first link is also signed by the keys that the simulator begins with.
                let mut signers = numbered(signers);
                if good == 1 {
                    signers.extend(holders(&["root 1", "root 2"]));
                }
                staff(repo, &Role::Root, &numbered(keys), *threshold, &signers);
                touch(repo, "root");
            });
            good += u64::from(*enough);
        }
        // All at once, by a client that knows only the first.
        let refreshed = scene.refresh();
        let kept = tuf_core::authoring::Document::parse(&scene.kept("root.json").unwrap()).unwrap();
        assert_eq!(kept.version(), good, "{name}");
        let served = scene.repo(|repo| repo.fetch(&format!("{good}.root.json")).unwrap());
        assert_eq!(scene.kept("root.json"), served, "{name}");
        match chain.iter().all(|(.., enough)| *enough) {
            true => assert_eq!(refreshed.expect(name)[0], good),
            false => assert!(refreshed.expect_err(name).to_string().ends_with("(TUF 5.3.4)"), "{name}"),
        }
    }
}

/// Keys, threshold, who signs, and why that isn't enough.
type Online<'a> = (&'a str, &'a [u8], u32, &'a [u8], Option<&'a str>);

#[test]
fn an_online_role_follows_the_keys_that_the_root_gives_it() {
    let cases: &[Online<'_>] = &[
        ("another key", &[2], 1, &[2], None),
        ("needless signatures", &[1], 1, &[8, 1, 9], None),
        ("three of five", &[1, 2, 3, 4, 5], 3, &[1, 3, 5], None),
        ("three others of five", &[1, 2, 3, 4, 5], 3, &[2, 3, 4], None),
        (
            "still by the old key",
            &[2],
            1,
            &[1, 8, 9],
            Some("needs 1 good signature(s) of distinct keys, got 0 of 3 present"),
        ),
        (
            "one of three is no longer listed",
            &[1, 2, 4, 5, 6],
            3,
            &[1, 3, 5],
            Some("needs 3 good signature(s) of distinct keys, got 2 of 3 present"),
        ),
        (
            "two of three",
            &[1, 2, 4, 5, 6],
            3,
            &[1, 5],
            Some("needs 3 good signature(s) of distinct keys, got 2 of 2 present"),
        ),
    ];
    for (role, step) in [(Role::Timestamp, "5.4.2"), (Role::Snapshot, "5.5.3"), (Role::Targets, "5.6.3")] {
        for (name, keys, threshold, signers, refused) in cases {
            let scene = Scene::new();
            scene.good([1, 1, 1, 1]);
            scene.publish(|repo| {
                staff(repo, &role, &numbered(keys), *threshold, &numbered(signers));
                touch(repo, role.name());
            });
            let live = scene.live();
            match refused {
                None => scene.good(live),
                Some(why) => {
                    let sentence = scene.refresh().expect_err(name).to_string();
                    assert_eq!(sentence, format!("{role} {why} (TUF {step})"), "{name}");
                    scene.publish(|repo| {
                        repo.signers.insert(role.name().into(), numbered(keys));
                    });
                    scene.good_again();
                }
            }
        }
    }
}

/// Lets a role fall back to version 1, in a release whose other versions go on.
fn fall_back(scene: &Scene, rotated: &[Role], fallen: &[&str]) {
    scene.publish(|repo| {
        for role in rotated {
            let key = holders(&[&format!("new {role}")]);
            staff(repo, role, &key, 1, &key);
        }
        for role in fallen {
            repo.role_mut(role).set_version(1);
            // Other bytes than the first version had.
            touch(repo, role);
        }
    });
}

fn fast_forward(scene: &Scene, role: &str) {
    scene.publish(|repo| repo.role_mut(role).set_version(1_000_000));
}

#[test]
fn a_timestamp_that_ran_ahead_is_forgotten_with_its_key() {
    // 5.3.11.
    let scene = Scene::new();
    fast_forward(&scene, "timestamp");
    scene.good([1, 1_000_000, 1, 1]);
    fall_back(&scene, &[], &["timestamp"]);
    let live = scene.live()[1];
    scene.refused(&format!("timestamp expected version 1000000, got {live} (TUF 5.4.3.1)"), &[]);
    fall_back(&scene, &[Role::Timestamp], &["timestamp"]);
    let live = scene.live();
    assert!(live[1] < 10, "{live:?}");
    scene.good(live);
}

#[test]
fn a_snapshot_that_ran_ahead_is_forgotten_with_its_key() {
    let scene = Scene::new();
    fast_forward(&scene, "snapshot");
    scene.good([1, 2, 1_000_000, 1]);
    fall_back(&scene, &[], &["snapshot"]);
    let live = scene.live()[2];
    scene.refused(
        &format!(
            "timestamp lists \"snapshot.json\": expected version 1000000 or later, got {live} (TUF 5.4.3.2)"
        ),
        &[],
    );
    fall_back(&scene, &[Role::Snapshot], &["snapshot"]);
    let live = scene.live();
    assert!(live[2] < 10, "{live:?}");
    scene.good(live);
}

#[test]
fn targets_that_ran_ahead_are_forgotten_with_the_key_of_the_snapshot() {
    let scene = Scene::new();
    scene.repo(|repo| repo.delegate("acme", &Keyholder::named("acme"), &["acme/*"]));
    fast_forward(&scene, "targets");
    scene.good([1, 2, 2, 1_000_000]);
    fall_back(&scene, &[], &["targets"]);
    let live = scene.live()[3];
    scene.refused(
        &format!(
            "snapshot lists \"targets.json\": expected version 1000000 or later, got {live} (TUF 5.5.5)"
        ),
        &["timestamp.json"],
    );
    // The delegated role goes with it: a snapshot under a new key may list less.
    scene.repo(|repo| {
        repo.documents.remove("acme");
        let meta = repo.role_mut("snapshot").signed_mut()["meta"].as_object_mut().unwrap();
        assert!(meta.remove("acme.json").is_some());
    });
    fall_back(&scene, &[Role::Snapshot], &["targets"]);
    let live = scene.live();
    assert!(live[3] < 10, "{live:?}");
    scene.good(live);
}

#[test]
fn a_key_of_the_targets_or_of_the_root_brings_nothing_back() {
    // 5.3.11 speaks of timestamp and snapshot keys only.
    for role in [Role::Targets, Role::Root] {
        let scene = Scene::new();
        fast_forward(&scene, "timestamp");
        scene.good([1, 1_000_000, 1, 1]);
        scene.publish(|repo| {
            let key = holders(&["new"]);
            let signers = [key.clone(), repo.signers["root"].clone()].concat();
            staff(repo, &role, &key, 1, &signers);
            touch(repo, role.name());
            repo.role_mut("timestamp").set_version(5);
        });
        let refused = scene.refresh().expect_err("a timestamp that goes back").to_string();
        assert_eq!(refused, "timestamp expected version 1000000, got 5 (TUF 5.4.3.1)", "{role}");
        scene.publish(|repo| repo.role_mut("timestamp").set_version(1_000_001));
        scene.good(scene.live());
    }
}

#[test]
fn a_rotation_that_this_client_knew_already_forgets_nothing_again() {
    let scene = Scene::new();
    fall_back(&scene, &[Role::Timestamp], &[]);
    fast_forward(&scene, "timestamp");
    scene.good([2, 1_000_000, 1, 1]);
    scene.state_snapshot(&plain(1));
    scene.offer("timestamp", |timestamp| timestamp.set_version(7));
    scene.refused("timestamp expected version 1000000, got 7 (TUF 5.4.3.1)", &[]);
    scene.repo(|repo| repo.overrides.clear());
    scene.good([2, 1_000_000, 1, 1]);
}
