//! 5.6.7: the search, as its requests show it. Its rules without a network are told in `tuf-core`.

use test_repos::simulator::{Keyholder, Simulator};
use tuf_core::authoring::Delegation;
use tuf_core::crypto::Sign as _;
use tuf_core::schema::Target;

use crate::support::{Scene, changed};

/// Who delegates, to whom (with `!`: terminating), for which paths.
type Edge = (&'static str, &'static str, &'static str);

const PATH: &str = "acme/web.txt";

fn connect(repo: &mut Simulator, edges: &[Edge]) {
    for (from, to, paths) in edges {
        let name = to.trim_end_matches('!');
        let holder = Keyholder::named("team");
        repo.role_mut(from).delegate(&Delegation {
            name: name.to_owned(),
            keys: vec![holder.key().clone()],
            threshold: 1,
            terminating: to.ends_with('!'),
            paths: vec![(*paths).to_owned()],
        });
        repo.signers.entry(name.to_owned()).or_insert_with(|| vec![holder]);
        repo.role_mut(name);
    }
}

/// The delegated roles whose files were fetched, in order.
fn fetched(scene: &Scene) -> String {
    let top = ["root", "timestamp", "snapshot", "targets"];
    let requests = scene.requests();
    let names = requests.iter().filter_map(|name| {
        let (version, rest) = name.split_once('.')?;
        let role = rest.strip_suffix(".json")?;
        (version.parse::<u64>().is_ok() && !top.contains(&role)).then(|| role.to_owned())
    });
    names.collect::<Vec<_>>().join(" ")
}

#[test]
fn roles_are_fetched_in_pre_order_and_only_where_they_may_speak() {
    let all = "acme/*";
    let cases: &[(&str, &[Edge], &str)] = &[
        ("one", &[("targets", "A", all)], "A"),
        ("two", &[("targets", "B", all), ("targets", "A", all)], "B A"),
        (
            "depth first",
            &[("targets", "A", all), ("targets", "B", all), ("A", "C", all), ("A", "D", all)],
            "A C D B",
        ),
        (
            "deeper",
            &[("targets", "A", all), ("targets", "B", all), ("A", "C", all), ("C", "D", all)],
            "A C D B",
        ),
        (
            "terminating",
            &[("targets", "A", all), ("targets", "B", all), ("A", "C!", all), ("A", "D", all)],
            "A C",
        ),
        (
            "terminating, with roles below",
            &[("targets", "A", all), ("targets", "B", all), ("A", "C!", all), ("C", "D", all)],
            "A C D",
        ),
        ("terminating for other paths", &[("targets", "A!", "other/*"), ("targets", "B", all)], "B"),
        ("other paths", &[("targets", "A", "*.py"), ("targets", "B", all), ("A", "C", all)], "B"),
        (
            "other paths below",
            &[("targets", "A", all), ("targets", "B", all), ("A", "C", "acme/*.py"), ("C", "D", all)],
            "A B",
        ),
        (
            "a cycle",
            &[
                ("targets", "A", all),
                ("targets", "B", all),
                ("B", "C", all),
                ("C", "D", all),
                ("D", "B", all),
            ],
            "A B C D",
        ),
        ("itself", &[("targets", "A", all), ("A", "A", all), ("targets", "B", all)], "A B"),
        (
            "a diamond",
            &[("targets", "A", all), ("targets", "B", all), ("B", "C", all), ("A", "C", all)],
            "A C B",
        ),
        (
            "a diamond with one way",
            &[("targets", "A", all), ("targets", "B", all), ("B", "C", all), ("A", "C", "acme/*.py")],
            "A B C",
        ),
    ];
    for (name, edges, expected) in cases {
        let scene = Scene::new();
        scene.publish(|repo| connect(repo, edges));
        assert!(scene.find(PATH).unwrap().starts_with("searched targets"), "{name}");
        assert_eq!(fetched(&scene), *expected, "{name}");
        // What is held leads the same way without a request.
        let searched = scene.find(PATH).unwrap();
        assert_eq!(searched, format!("searched targets {expected}"), "{name}");
        assert_eq!(fetched(&scene), "", "{name}");
    }
}

#[test]
fn no_file_is_fetched_for_a_path_that_nobody_may_speak_for() {
    let cases: &[(&str, &str, bool)] = &[
        ("acme/*", "acme/web", true),
        ("acme/*", "acme", false),
        ("acme/*", "acme/team/web", false),
        ("acme/*", "/acme/web", false),
        ("acme/*", "Acme/web", false),
        ("*", "web", true),
        ("*", "acme/web", false),
        ("*/*", "acme/web", true),
        ("acme/w?b", "acme/web", true),
        ("acme/w?b", "acme/wb", false),
        ("acme/*-1.?.tgz", "acme/web-1.4.tgz", true),
        ("acme/*-1.?.tgz", "acme/web-1.42.tgz", false),
        ("acme/[w]eb", "acme/web", false),
        ("", "web", false),
    ];
    for (pattern, path, asked) in cases {
        let scene = Scene::new();
        scene.publish(|repo| {
            repo.delegate("A", &Keyholder::named("A"), &[pattern]);
            repo.role_mut("A").set_target(path, &Target::of(b"web")).unwrap();
        });
        let expected = if *asked { "found by targets A" } else { "searched targets" };
        assert_eq!(scene.find(path).unwrap(), expected, "{pattern} and {path}");
        assert_eq!(fetched(&scene), if *asked { "A" } else { "" }, "{pattern} and {path}");
    }
}

#[test]
fn a_role_that_lists_a_path_beyond_its_delegation_is_not_believed_and_spoils_nothing() {
    // 5.6.7: `A` is good for its own path; what else it lists counts for nothing.
    let scene = Scene::new();
    scene.publish(|repo| {
        repo.delegate("A", &Keyholder::named("A"), &["acme/*"]);
        for path in ["acme/web", "other/web"] {
            repo.role_mut("A").set_target(path, &Target::of(b"web")).unwrap();
        }
    });
    assert_eq!(scene.find("acme/web").unwrap(), "found by targets A");
    assert_eq!(scene.find("other/web").unwrap(), "searched targets");
}

/// Two delegators that lead to one role, `shared`, for different paths, with a key each.
fn two_delegators() -> Scene {
    let scene = Scene::new();
    scene.publish(|repo| {
        connect(repo, &[("targets", "A", "a/*"), ("targets", "B", "b/*")]);
        for (from, key, paths) in [("A", "shared of A", "a/*"), ("B", "shared of B", "b/*")] {
            repo.role_mut(from).delegate(&Delegation {
                name: "shared".into(),
                keys: vec![Keyholder::named(key).key().clone()],
                threshold: 1,
                terminating: false,
                paths: vec![paths.into()],
            });
        }
        repo.signers.insert("shared".into(), vec![Keyholder::named("shared of A")]);
        for path in ["a/web", "b/web"] {
            repo.role_mut("shared").set_target(path, &Target::of(b"web")).unwrap();
        }
    });
    scene
}

#[test]
fn a_role_that_is_held_is_weighed_anew_under_the_delegator_that_leads_to_it_now() {
    // `B` never gave the key that signed: that `A` did, and that the file is held, makes it no better.
    let sentence = "delegated role \"shared\" needs 1 good signature(s) of distinct keys, got 0 of 1 present (TUF 5.6.3)";
    let scene = two_delegators();
    assert_eq!(scene.find("a/web").unwrap(), "found by targets A shared");
    let kept = scene.kept("shared.json").unwrap();
    assert_eq!(scene.find("b/web").expect_err("a role of another").to_string(), sentence);
    assert_eq!(scene.kept("shared.json").unwrap(), kept, "what A accepted is still held");
    assert_eq!(scene.find("a/web").unwrap(), "found by targets A shared");

    // In one client, one after the other, too.
    let client = scene.client();
    let state = client.refresh().unwrap();
    assert!(state.find("a/web").is_ok());
    assert_eq!(state.find("b/web").expect_err("a role of another").to_string(), sentence);
    assert!(state.find("a/web").is_ok());
    drop(state);

    // Signed by both keys it is good for both.
    scene.publish(|repo| {
        let both = ["shared of A", "shared of B"].map(Keyholder::named).to_vec();
        repo.signers.insert("shared".into(), both);
    });
    assert_eq!(scene.find("a/web").unwrap(), "found by targets A shared");
    assert_eq!(scene.find("b/web").unwrap(), "found by targets B shared");
}

#[test]
fn a_role_that_is_held_and_no_longer_delegated_to_is_not_asked() {
    let scene = Scene::new();
    scene.publish(|repo| {
        repo.delegate("A", &Keyholder::named("A"), &["acme/*"]);
        repo.role_mut("A").set_target("acme/web", &Target::of(b"web")).unwrap();
    });
    assert_eq!(scene.find("acme/web").unwrap(), "found by targets A");
    scene.publish(|repo| drop(repo.role_mut("targets").signed_mut().remove("delegations")));
    assert_eq!(scene.find("acme/web").unwrap(), "searched targets");
}

#[test]
fn a_delegation_that_is_given_to_another_key_takes_the_old_one_its_word() {
    let scene = Scene::new();
    scene.publish(|repo| {
        repo.delegate("A", &Keyholder::named("old"), &["acme/*"]);
        repo.role_mut("A").set_target("acme/web", &Target::of(b"web")).unwrap();
    });
    assert_eq!(scene.find("acme/web").unwrap(), "found by targets A");
    let before = scene.documents();
    scene.publish(|repo| {
        repo.role_mut("targets").signed_mut().remove("delegations");
        repo.delegate("A", &Keyholder::named("new"), &["acme/*"]);
    });
    assert_eq!(
        scene.find("acme/web").expect_err("the old key").to_string(),
        "delegated role \"A\" needs 1 good signature(s) of distinct keys, got 0 of 1 present (TUF 5.6.3)"
    );
    assert_eq!(changed(&before, &scene.documents()), ["snapshot.json", "targets.json", "timestamp.json"]);
    scene.publish(|repo| {
        repo.signers.insert("A".into(), vec![Keyholder::named("new")]);
    });
    assert_eq!(scene.find("acme/web").unwrap(), "found by targets A");
}

#[test]
fn a_delegated_role_with_a_name_of_the_top_level_makes_its_delegator_malformed() {
    for name in ["root", "timestamp", "snapshot", "targets"] {
        let scene = Scene::new();
        scene.good([1, 1, 1, 1]);
        scene.publish(|repo| {
            repo.role_mut("targets").delegate(&Delegation {
                name: name.into(),
                keys: vec![Keyholder::named("A").key().clone()],
                threshold: 1,
                terminating: false,
                paths: vec!["*".into()],
            });
        });
        let sentence = format!(
            "targets is malformed: expected another name for a delegated role than that of the top-level {name} (TUF 5.6.3)"
        );
        scene.refused(&sentence, &["snapshot.json", "timestamp.json"]);
    }
}
