//! Mirrors: asked in order, blamed by name, and one honest one suffices.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::Arc;

use oci_image::SourceError;
use support::{FRESH, Mirror, client, first_root, list, now, repository};
use test_repos::simulator::Keyholder;
use tuf_client::{Client, MemoryStore, Refreshed, Transport};
use tuf_core::Role;

fn both(root: &[u8], one: &Arc<Mirror>, other: &Arc<Mirror>) -> Client {
    client(root, one).with_mirror(Arc::clone(other) as Arc<dyn Transport>)
}

fn blames(state: &Refreshed) -> Vec<String> {
    state.blames().iter().map(ToString::to_string).collect()
}

#[test]
fn the_second_mirror_is_asked_only_for_what_the_first_has_not() {
    let repo = repository();
    let (one, other) = (Mirror::of("one", &repo), Mirror::of("other", &repo));
    let state = both(&first_root(&repo), &one, &other).refresh().unwrap();
    assert_eq!(one.asked(), FRESH);
    // That there is no next root takes all of them to say.
    assert_eq!(other.asked(), ["2.root.json"]);
    assert!(blames(&state).is_empty());
}

#[test]
fn a_mirror_caught_with_refused_bytes_is_blamed_and_asked_last() {
    let repo = repository();
    let (one, other) = (Mirror::of("one", &repo), Mirror::of("other", &repo));
    one.repo().signers.insert("timestamp".into(), vec![Keyholder::named("nobody")]);
    let state = both(&first_root(&repo), &one, &other).refresh().unwrap();
    assert_eq!(one.asked(), ["2.root.json", "timestamp.json"]);
    assert_eq!(other.asked(), FRESH);
    assert_eq!(
        blames(&state),
        ["one: timestamp needs 1 good signature(s) of distinct keys, got 0 of 1 present (TUF 5.4.2)"]
    );
}

#[test]
fn one_honest_mirror_suffices_to_learn_of_a_new_root() {
    let mut repo = repository();
    let root = first_root(&repo);
    let withholds = Mirror::of("withholds", &repo);
    repo.role_mut("root").set_version(2);
    repo.publish().unwrap();
    let honest = Mirror::of("honest", &repo);
    let state = both(&root, &withholds, &honest).refresh().unwrap();
    assert_eq!(state.snapshot().timestamp().root().version(), 2);
    assert_eq!(
        blames(&state),
        ["withholds: root: expected \"2.root.json\", which another mirror has, got nothing"]
    );
}

#[test]
fn a_mirror_that_is_down_costs_nothing_but_its_blame() {
    let repo = repository();
    let (one, other) = (Mirror::of("one", &repo), Mirror::of("other", &repo));
    one.down();
    let state = both(&first_root(&repo), &one, &other).refresh().unwrap();
    assert_eq!(one.asked(), ["2.root.json"]);
    assert_eq!(other.asked(), FRESH);
    assert_eq!(blames(&state), ["one: root: could not reach one: it is down"]);
}

#[test]
fn where_all_fail_the_error_has_a_line_for_each_and_the_most_telling_decides() {
    let mut repo = repository();
    let root = first_root(&repo);
    let frozen = Mirror::of("frozen", &repo);
    list(&mut repo, "acme/web", b"web");
    let honest = Mirror::of("honest", &repo);
    let client = both(&root, &honest, &frozen);
    client.refresh().unwrap();

    honest.conduct(|wanted, fetched| match wanted.name {
        "timestamp.json" => Err(SourceError::Unreachable { at: "honest".into(), why: "it is down".into() }),
        _ => fetched,
    });
    let error = client.refresh().err().unwrap();
    assert_eq!(
        error.to_string(),
        "timestamp: expected a document from one of 2 mirrors, got none\
         \n  honest: timestamp: could not reach honest: it is down\
         \n  frozen: timestamp expected version 2, got 1 (TUF 5.4.3.1)"
    );
    assert_eq!(error.role(), Role::Timestamp);
    assert!(!error.unreachable(), "one of them was caught");
    assert_eq!(error.refusal().unwrap().step, "5.4.3.1");

    // The state is as it was, and good again when the mirror is.
    honest.conduct(|_, fetched| fetched);
    assert_eq!(client.refresh().unwrap().targets().version(), 2);

    frozen.down();
    honest.down();
    let error = client.refresh().err().unwrap();
    assert!(error.unreachable());
}

#[test]
fn a_mirror_may_use_only_its_share_of_the_time() {
    let repo = repository();
    let (one, other) = (Mirror::of("one", &repo), Mirror::of("other", &repo));
    let total = tuf_client::Limits::default().update;
    for mirror in [&one, &other] {
        mirror.conduct(move |wanted, fetched| {
            assert!(wanted.time <= total / 2, "{wanted:?}");
            fetched
        });
    }
    both(&first_root(&repo), &one, &other).refresh().unwrap();
    // A single source may use it all.
    let alone = Mirror::of("alone", &repo);
    alone.conduct(move |wanted, fetched| {
        assert!(wanted.time > total / 2, "{wanted:?}");
        fetched
    });
    let store = Box::<MemoryStore>::default();
    let alone = Arc::clone(&alone) as Arc<dyn Transport>;
    Client::new(first_root(&repo), alone, store, now()).refresh().unwrap();
}
