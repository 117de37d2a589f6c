//! A registry: what every place must do, the layout that others read, and publishers who meet, at a registry
//! without conditional writes and at one that has them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod contract;
mod proxy;

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use contract::{publish, publish_with, seen, timestamp};
use oci_image::{HttpLimits, RegistryOptions};
use proxy::Proxy;
use publish_store::{Access, OciStore, Place, Store, StoreError, open};
use serde_json::Value;
use test_repos::registry::Registry;

/// A write takes less than this, also on a machine that has much to do.
const SETTLE: Duration = Duration::from_millis(300);

fn quick() -> RegistryOptions {
    let limits = HttpLimits { back_off: Duration::from_millis(10), ..HttpLimits::default() };
    RegistryOptions { limits, ..RegistryOptions::default() }
}

fn store(host: &str) -> Box<dyn Store> {
    let name = format!("{host}/acme/tuf").parse().unwrap();
    Box::new(OciStore::new(&name, &"latest".parse().unwrap(), quick()).unwrap().with_settle(SETTLE))
}

fn json(registry: &Registry, repo: &str, tag: &str) -> Value {
    serde_json::from_slice(&registry.manifest(repo, tag).unwrap_or_else(|| panic!("no {repo}:{tag}")).1)
        .unwrap()
}

/// The files that a manifest's layers are, and their bytes.
fn files(registry: &Registry, repo: &str, manifest: &Value) -> Vec<(String, Vec<u8>)> {
    let layers = manifest["layers"].as_array().unwrap().iter().map(|layer| {
        let name = layer["annotations"]["tuf.io/filename"].as_str().unwrap().to_owned();
        (name, registry.blob(repo, layer["digest"].as_str().unwrap()).unwrap())
    });
    layers.collect()
}

#[test]
fn a_registry_keeps_the_contract() {
    for contract in [
        contract::what_is_put_changes_nothing_before_it_is_led_to as fn(contract::Open<'_>),
        contract::a_version_is_written_once,
        contract::a_publish_that_stops_anywhere_leaves_the_old_state_or_the_new,
        |open| contract::of_many_publishers_one_wins_and_nobodys_files_are_lost(open, 3),
    ] {
        let registry = Registry::start().unwrap();
        contract(&|| store(&registry.host()));
    }
}

#[test]
fn one_that_holds_to_conditions_is_found_out_and_keeps_it_too() {
    for contract in
        [contract::what_is_put_changes_nothing_before_it_is_led_to as fn(contract::Open<'_>), |open| {
            contract::of_many_publishers_one_wins_and_nobodys_files_are_lost(open, 5)
        }]
    {
        let registry = Registry::start().unwrap();
        let proxy = Proxy::start(&registry.host());
        proxy.hold_to_conditions();
        contract(&|| store(&proxy.host()));
        let moved =
            proxy.log().iter().filter(|line| line.starts_with("PUT") && line.contains("/latest if")).count();
        assert!(moved >= 2, "the tag moved with conditions: {:#?}", proxy.log());
    }
}

#[test]
fn what_is_written_is_the_layout_that_docker_attest_reads() {
    let registry = Registry::start().unwrap();
    publish_with(&*store(&registry.host()), 1, Some(1)).unwrap();
    publish_with(&*store(&registry.host()), 2, Some(2)).unwrap();
    let top = json(&registry, "acme/tuf", "latest");
    assert_eq!(top["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    assert_eq!(top["config"]["mediaType"], "application/vnd.oci.empty.v1+json");
    assert_eq!((&top["config"]["data"], &top["config"]["size"]), (&"e30=".into(), &2.into()));
    assert!(top.get("artifactType").is_none());
    let names: Vec<String> = files(&registry, "acme/tuf", &top).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["1.root.json", "2.root.json", "2.snapshot.json", "2.targets.json", "timestamp.json"]);
    for layer in top["layers"].as_array().unwrap() {
        assert_eq!(layer["mediaType"], "application/vnd.tuf.metadata+json");
    }
    let odd = "role-sha256-".to_owned() + &oci_image::Digest::of(b"odd%2Frole").hex();
    for (tag, role) in [("acme", "acme"), ("npm.example", "npm.example"), (&odd, "odd%2Frole")] {
        let held = files(&registry, "acme/tuf", &json(&registry, "acme/tuf", tag));
        let expected: Vec<_> = (1..=2)
            .map(|state| {
                let mut files = contract::files(state, state.into()).into_iter();
                files.find(|(name, _)| name.ends_with(&format!(".{role}.json"))).unwrap()
            })
            .collect();
        assert_eq!(held, expected, "the new one, beside the one for those who began a moment ago");
    }
    let index = json(&registry, "acme/tuf-targets", "registry.example.com");
    assert_eq!(index["mediaType"], "application/vnd.oci.image.index.v1+json");
    let entries = index["manifests"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    for (state, entry) in (1..).zip(entries) {
        let name = contract::target_name(state);
        assert_eq!(entry["annotations"]["tuf.io/filename"], name.as_str());
        let target = json(&registry, "acme/tuf-targets", entry["digest"].as_str().unwrap());
        assert_eq!(target["layers"][0]["mediaType"], "application/vnd.tuf.target");
        let file = name.rsplit('/').next().unwrap().to_owned();
        let bytes = format!("image {state}").into_bytes();
        assert_eq!(files(&registry, "acme/tuf-targets", &target), [(file, bytes.clone())]);
        assert_eq!(store(&registry.host()).target(&name, 100).unwrap().unwrap(), bytes);
    }
    assert_eq!(store(&registry.host()).target("registry.example.com/acme/0.none", 100).unwrap(), None);
}

/// The same as the one who wrote it: without tags of versions, and with one file under a role's tag.
#[test]
fn what_others_wrote_there_is_read_and_gone_on_from() {
    let (theirs, ours) = (Registry::start().unwrap(), Registry::start().unwrap());
    publish_with(&*store(&theirs.host()), 1, Some(1)).unwrap();
    for repo in ["acme/tuf", "acme/tuf-targets"] {
        for tag in theirs.tags(repo) {
            let json = json(&theirs, repo, &tag);
            for (_, bytes) in json.get("layers").map(|_| files(&theirs, repo, &json)).unwrap_or_default() {
                ours.put_blob(repo, &bytes);
            }
            for entry in json["manifests"].as_array().into_iter().flatten() {
                let digest = entry["digest"].as_str().unwrap();
                let (media_type, bytes) = theirs.manifest(repo, digest).unwrap();
                ours.put_manifest(repo, digest, &media_type, &bytes);
                for (_, bytes) in files(&theirs, repo, &serde_json::from_slice(&bytes).unwrap()) {
                    ours.put_blob(repo, &bytes);
                }
            }
            let is_version = tag.starts_with("role-sha256-") && tag.contains('.');
            if !is_version && !tag.starts_with("target-sha256-") && tag != "role-sha256-turn" {
                let (media_type, bytes) = theirs.manifest(repo, &tag).unwrap();
                ours.put_manifest(repo, &tag, &media_type, &bytes);
            }
        }
    }
    let store = store(&ours.host());
    assert_eq!(seen(&*store), Some((1, 1)));
    assert_eq!(store.target(&contract::target_name(1), 100).unwrap().unwrap(), b"image 1");
    assert!(matches!(store.put_metadata("1.acme.json", b"others"), Err(StoreError::Taken { .. })));
    publish(&*store, 2).unwrap();
    assert_eq!(seen(&*store), Some((2, 2)));
}

#[test]
fn an_image_that_is_there_is_not_overwritten() {
    let registry = Registry::start().unwrap();
    let image = test_repos::images::ImageBuilder::new().file("a", b"a").build().unwrap();
    let digest = image.push_to(&registry, "acme/tuf", "latest");
    let refused = store(&registry.host()).head().unwrap_err();
    assert!(
        refused.to_string().contains("expected a trust repository under tag latest, got an image"),
        "{refused}"
    );
    assert!(publish(&*store(&registry.host()), 1).is_err());
    assert_eq!(
        oci_image::Digest::of(&registry.manifest("acme/tuf", "latest").unwrap().1).to_string(),
        digest
    );
    registry.remove("acme/tuf", "latest");
    image.push_to(&registry, "acme/tuf", "acme");
    let refused = publish(&*store(&registry.host()), 1).unwrap_err();
    assert!(refused.to_string().contains("expected files of the role acme under tag acme"), "{refused}");
    assert!(store(&registry.host()).head().unwrap().is_none(), "nothing is led to");
}

/// The connection breaks at each write in turn, before the registry has it or when it has answered.
#[test]
fn a_registry_that_vanishes_at_any_write_leaves_the_old_state_or_the_new() {
    let registry = Registry::start().unwrap();
    let proxy = Proxy::start(&registry.host());
    publish_with(&*store(&registry.host()), 1, Some(1)).unwrap();
    let (mut state, mut broken) = (1, 0);
    for after in [false, true] {
        for at in 1_u32.. {
            let last = seen(&*store(&registry.host())).unwrap().0;
            state += 1;
            // What is sent again is another write.
            proxy.break_at(at, after);
            let done = publish(&*store(&proxy.host()), state);
            let was_broken = !proxy.mend();
            let found = seen(&*store(&registry.host())).unwrap().0;
            match done {
                Ok(_) => assert_eq!(found, state, "write {at}, after: {after}"),
                Err(StoreError::Unreachable { .. }) => {
                    broken += 1;
                    // Where only the answer was lost, it was looked for.
                    assert_eq!(found, last, "write {at}, after: {after}");
                }
                Err(error) => panic!("write {at}, after: {after}: {error}"),
            }
            if !was_broken {
                break;
            }
            state += 1;
            publish(&*store(&registry.host()), state).unwrap();
            assert_eq!(seen(&*store(&registry.host())).unwrap().0, state, "the next publish goes through");
        }
    }
    assert!(broken >= 12, "{broken}");
}

#[test]
fn of_two_who_meet_without_knowing_the_loser_is_told_before_clients_see_anything() {
    let registry = Registry::start().unwrap();
    publish_with(&*store(&registry.host()), 1, Some(1)).unwrap();
    let proxy = Proxy::start(&registry.host());
    let moves =
        || proxy.log().iter().filter(|line| line.starts_with("PUT") && line.ends_with("/latest")).count();
    for (before, round) in (1..=5_u32).enumerate() {
        assert_eq!(moves(), before, "each round moved the tag once");
        let token = store(&registry.host()).head().unwrap().unwrap().token;
        let start = Barrier::new(3);
        let results: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (1..=3)
                .map(|number| {
                    let (host, start, token) = (proxy.host(), &start, &token);
                    scope.spawn(move || {
                        let store = store(&host);
                        store.head().unwrap();
                        let state = round.saturating_mul(10).saturating_add(number);
                        for (name, bytes) in contract::files(state, state.into()) {
                            store.put_metadata(&name, &bytes).unwrap();
                        }
                        start.wait();
                        store.advance(Some(token), &timestamp(state, state.into()), &[])
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let won: Vec<_> = results.iter().filter(|result| result.is_ok()).collect();
        assert_eq!(won.len(), 1, "{results:?}");
        assert!(results.iter().all(|result| matches!(result, Ok(_) | Err(StoreError::Moved))), "{results:?}");
        let winner = results.iter().position(Result::is_ok).unwrap();
        let state = round.saturating_mul(10).saturating_add(u32::try_from(winner).unwrap()).saturating_add(1);
        assert_eq!(seen(&*store(&registry.host())).unwrap().0, state);
    }
}

/// Somebody's write was under way for longer than it should, and arrived last.
#[test]
fn who_is_overtaken_after_all_is_told() {
    let registry = Registry::start().unwrap();
    publish_with(&*store(&registry.host()), 1, Some(1)).unwrap();
    let proxy = Proxy::start(&registry.host());
    let theirs = registry.manifest("acme/tuf", "latest").unwrap().1;
    proxy.overwrite_after("/latest", move |_| theirs.clone());
    let refused = publish(&*store(&proxy.host()), 2).unwrap_err();
    assert!(matches!(refused, StoreError::Moved), "{refused}");
    publish(&*store(&registry.host()), 3).unwrap();
    assert_eq!(seen(&*store(&registry.host())).unwrap().0, 3);
    // What somebody built on ours is no loss.
    proxy.overwrite_after("/latest", |ours| {
        let mut next: Value = serde_json::from_slice(ours).unwrap();
        next["annotations"]["hallmark.previous"] = oci_image::Digest::of(ours).to_string().into();
        next.to_string().into_bytes()
    });
    publish(&*store(&proxy.host()), 4).unwrap();
    assert_eq!(seen(&*store(&registry.host())).unwrap().0, 4);
}

/// Whoever loses may have written a role's tag after the winner did.
#[test]
fn a_role_that_a_loser_wrote_over_is_brought_back() {
    let registry = Registry::start().unwrap();
    publish_with(&*store(&registry.host()), 1, Some(1)).unwrap();
    let theirs = registry.manifest("acme/tuf", "acme").unwrap().1;
    let proxy = Proxy::start(&registry.host());
    proxy.overwrite_after("/acme", move |_| theirs.clone());
    publish(&*store(&proxy.host()), 2).unwrap();
    let held = files(&registry, "acme/tuf", &json(&registry, "acme/tuf", "acme"));
    assert_eq!(held.last().unwrap().0, "2.acme.json");
    // Also after the winner is gone.
    let tag = format!("role-sha256-{}.1", oci_image::Digest::of(b"npm.example").hex());
    let (kind, old) = registry.manifest("acme/tuf", &tag).unwrap();
    registry.put_manifest("acme/tuf", "npm.example", &kind, &old);
    let publisher = store(&registry.host());
    let token = publisher.head().unwrap().unwrap().token;
    publisher.advance(Some(&token), &timestamp(2, 2), &[]).unwrap();
    let held = files(&registry, "acme/tuf", &json(&registry, "acme/tuf", "npm.example"));
    assert_eq!(held.last().unwrap().0, "2.npm.example.json");
}

#[test]
fn who_crashed_in_their_turn_holds_up_nobody_for_long() {
    let registry = Registry::start().unwrap();
    publish_with(&*store(&registry.host()), 1, Some(1)).unwrap();
    let state = registry.manifest("acme/tuf", "latest").unwrap().1;
    let turn = String::from_utf8(registry.manifest("acme/tuf", "role-sha256-turn").unwrap().1).unwrap();
    let crashed = turn.replace("nothing", &oci_image::Digest::of(&state).to_string());
    registry.put_manifest(
        "acme/tuf",
        "role-sha256-turn",
        "application/vnd.oci.image.manifest.v1+json",
        crashed.as_bytes(),
    );
    let began = Instant::now();
    publish(&*store(&registry.host()), 2).unwrap();
    assert!(began.elapsed() > SETTLE * 3, "it was waited for");
    assert!(began.elapsed() < SETTLE * 30);
    assert_eq!(seen(&*store(&registry.host())).unwrap().0, 2);
}

#[test]
fn a_registry_that_does_not_let_us_in_or_is_not_there_says_so() {
    let access = test_repos::registry::Access::Basic(test_repos::registry::Credentials::new("ann", "hush"));
    let registry = Registry::start_with(access).unwrap();
    let denied = publish(&*store(&registry.host()), 1).unwrap_err();
    assert!(matches!(denied, StoreError::Denied { .. }), "{denied}");
    let place: Place = format!("oci://{}/acme/tuf", registry.host()).parse().unwrap();
    let login = oci_image::Credentials::password(&registry.host(), "ann", "hush".to_owned().into());
    let access = Access { registry: RegistryOptions { credentials: login, ..quick() }, ..Access::default() };
    let store_with = open(&place, &access).unwrap();
    assert!(store_with.head().unwrap().is_none());
    store_with.put_metadata("1.targets.json", b"{}").unwrap();
    assert!(!format!("{store_with:?}").contains("hush"));
    let host = registry.host();
    drop(registry);
    let lost = publish(&*store(&host), 1).unwrap_err();
    assert!(matches!(lost, StoreError::Unreachable { .. }), "{lost}");
}

/// A registry that doesn't know yet what it was just sent.
#[test]
fn a_registry_that_is_slow_to_agree_with_itself_is_asked_again() {
    let registry = Registry::start().unwrap();
    let proxy = Proxy::start(&registry.host());
    let unknown = r#"{"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","message":"blob unknown to registry"}]}"#;
    proxy.refuse_once("manifests/", 400, unknown);
    publish_with(&*store(&proxy.host()), 1, Some(1)).unwrap();
    assert_eq!(seen(&*store(&registry.host())), Some((1, 1)));
    assert!(proxy.mend_refusals());
}

/// Sent later, it would take the place of what others wrote in the meantime.
#[test]
fn a_busy_registry_is_not_sent_the_tag_again() {
    let registry = Registry::start().unwrap();
    publish_with(&*store(&registry.host()), 1, Some(1)).unwrap();
    let proxy = Proxy::start(&registry.host());
    proxy.refuse_once("manifests/latest", 429, "{}");
    let refused = publish(&*store(&proxy.host()), 2).unwrap_err();
    assert!(matches!(refused, StoreError::Unreachable { .. }), "{refused}");
    let moves =
        proxy.log().iter().filter(|line| line.starts_with("PUT") && line.ends_with("/latest")).count();
    assert_eq!(moves, 1);
    assert_eq!(seen(&*store(&registry.host())).unwrap().0, 1);
    publish(&*store(&proxy.host()), 3).unwrap();
    assert_eq!(seen(&*store(&registry.host())).unwrap().0, 3);
}

#[test]
fn what_is_too_large_or_damaged_there_is_no_answer() {
    let registry = Registry::start().unwrap();
    publish_with(&*store(&registry.host()), 1, Some(1)).unwrap();
    let large = store(&registry.host()).metadata("1.targets.json", 3).unwrap_err();
    assert!(matches!(large, StoreError::TooLarge { limit: 3, .. }), "{large}");
    registry.set_fault(test_repos::registry::Place::blobs("acme/tuf"), test_repos::registry::Fault::FlipByte);
    let damaged = store(&registry.host()).head().unwrap_err();
    assert!(matches!(damaged, StoreError::Malformed { .. }), "{damaged}");
}
