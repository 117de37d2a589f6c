//! The client workflow of section 5, step by step: a good update, an attack, and what is still held.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod support;

use support::{
    ROOT, Repository, SNAPSHOT, TARGETS, TIMESTAMP, at, later, now, signed, signer, versioned, why,
};
use tuf_core::authoring::{Document, meta_of};
use tuf_core::crypto::{self, Sign as _};
use tuf_core::{Role, TrustedRoot};

fn bootstrap(bytes: &[u8]) -> Result<TrustedRoot, tuf_core::Refusal> {
    TrustedRoot::bootstrap(bytes, now(), crypto::default())
}

fn next_root(repository: &Repository, version: u64) -> Document {
    versioned(&repository.root, version)
}

#[test]
fn a_first_root_must_be_signed_by_its_own_keys_but_may_be_expired() {
    let mut repository = Repository::new();
    assert_eq!(
        why(bootstrap(&signed(&repository.root, &[TARGETS]))),
        "root needs 1 good signature(s) of distinct keys, got 0 of 1 present (TUF 5.2)"
    );
    assert_eq!(
        why(bootstrap(&repository.targets_bytes())),
        "root expected type \"root\", got \"targets\" (TUF 5.2)"
    );
    repository.root.set_expires(at("2029-01-01T00:00:00Z"));
    assert_eq!(bootstrap(&repository.root_bytes()).unwrap().version(), 1);
}

#[test]
fn a_new_root_needs_the_threshold_of_the_old_keys_and_of_its_own() {
    let repository = Repository::new();
    let trusted = repository.trusted();
    let mut root = next_root(&repository, 2);
    root.remove_key(&Role::Root, &signer(ROOT).key_id());
    root.add_key(&Role::Root, signer(9).key());
    let refused = "root needs 1 good signature(s) of distinct keys, got 0 of 1 present (TUF 5.3.4)";
    for (name, keys) in [("new keys only", [9]), ("old keys only", [ROOT])] {
        assert_eq!(why(trusted.next(&signed(&root, &keys))), refused, "{name}");
        assert_eq!(trusted.version(), 1, "{name}");
    }
    assert_eq!(trusted.next(&signed(&root, &[ROOT, 9])).unwrap().version(), 2);
}

#[test]
fn a_root_that_skips_or_repeats_a_version_is_refused() {
    let repository = Repository::new();
    let second = repository.trusted().next(&signed(&next_root(&repository, 2), &[ROOT])).unwrap();
    for (name, version) in [("gap", 4), ("replay", 2), ("back", 1)] {
        let offered = signed(&next_root(&repository, version), &[ROOT]);
        let sentence = format!("root expected version 3, got {version} (TUF 5.3.5)");
        assert_eq!(why(second.next(&offered)), sentence, "{name}");
        assert_eq!(second.version(), 2, "{name}");
    }
}

#[test]
fn an_expired_root_leads_to_the_next_but_not_to_a_timestamp() {
    let mut repository = Repository::new();
    repository.root.set_expires(now());
    let expired = repository.trusted();
    assert_eq!(
        why(expired.clone().current()),
        "root expired at 2030-01-01T00:00:00Z, and it is now 2030-01-01T00:00:00Z (TUF 5.3.10)"
    );
    let mut renewed = next_root(&repository, 2);
    renewed.set_expires(later());
    let current = expired.next(&signed(&renewed, &[ROOT])).unwrap().current().unwrap();
    assert_eq!((current.version(), current.expires()), (2, later()));
}

#[test]
fn a_removed_timestamp_or_snapshot_key_is_a_rotation_and_an_added_one_is_not() {
    for (role, number) in [(Role::Timestamp, TIMESTAMP), (Role::Snapshot, SNAPSHOT)] {
        let repository = Repository::new();
        let trusted = repository.trusted();
        let mut added = next_root(&repository, 2);
        added.add_key(&role, signer(9).key());
        let second = trusted.next(&signed(&added, &[ROOT])).unwrap();
        assert!(!second.rotated(), "added {role}");
        let mut removed = versioned(&added, 3);
        removed.remove_key(&role, &signer(number).key_id());
        let third = second.next(&signed(&removed, &[ROOT])).unwrap();
        assert!(third.rotated(), "removed {role}");
        assert!(third.clone().current().unwrap().rotated(), "removed {role}");
        assert!(!third.resumed().rotated(), "what came before the update is no rotation of today");
    }
}

#[test]
fn a_rotated_targets_key_is_no_rotation() {
    let repository = Repository::new();
    let mut root = next_root(&repository, 2);
    root.remove_key(&Role::Targets, &signer(TARGETS).key_id());
    assert!(!repository.trusted().next(&signed(&root, &[ROOT])).unwrap().rotated());
}

#[test]
fn a_timestamp_of_another_key_is_refused() {
    let repository = Repository::new();
    let current = repository.current();
    let refused = "timestamp needs 1 good signature(s) of distinct keys, got 0 of 1 present (TUF 5.4.2)";
    let offered = signed(&repository.timestamp, &[SNAPSHOT]);
    assert_eq!(why(current.timestamp(None, &offered)), refused);
    assert_eq!(why(current.remembered(&offered)), refused);
}

#[test]
fn an_older_timestamp_is_refused_and_the_seen_one_still_holds() {
    let mut repository = Repository::new();
    repository.timestamp.set_version(7);
    let current = repository.current();
    let seen = current.remembered(&repository.timestamp_bytes()).unwrap();
    let older = signed(&versioned(&repository.timestamp, 6), &[TIMESTAMP]);
    assert_eq!(
        why(current.timestamp(Some(&seen), &older)),
        "timestamp expected version 7, got 6 (TUF 5.4.3.1)"
    );
    assert_eq!(current.timestamp_offline(&seen).unwrap().version(), 7);
}

#[test]
fn a_timestamp_of_the_seen_version_changes_nothing_even_with_other_content() {
    let repository = Repository::new();
    let current = repository.current();
    let seen = current.remembered(&repository.timestamp_bytes()).unwrap();
    let mut other = repository.timestamp.clone();
    other.set_meta("snapshot.json", &meta_of(99, b"other"));
    let kept = current.timestamp(Some(&seen), &signed(&other, &[TIMESTAMP])).unwrap();
    assert!(!kept.is_new());
    assert_eq!(kept.snapshot_file().version, 1);
    let newer = signed(&versioned(&other, 2), &[TIMESTAMP]);
    let taken = current.timestamp(Some(&seen), &newer).unwrap();
    assert!(taken.is_new());
    assert_eq!((taken.version(), taken.snapshot_file().version), (2, 99));
}

#[test]
fn a_raised_threshold_forgets_nothing_that_was_seen_and_makes_nothing_fresh() {
    // 5.3.11: no key was taken away. What one key signed still refuses older ones, and no more.
    let mut repository = Repository::new();
    repository.root.add_key(&Role::Timestamp, signer(9).key());
    let both = |version| signed(&versioned(&repository.timestamp, version), &[TIMESTAMP, 9]);
    let (older, newer) = (both(6), both(8));
    let seen_by_one = signed(&versioned(&repository.timestamp, 7), &[TIMESTAMP]);
    let mut raised = next_root(&repository, 2);
    raised.set_threshold(&Role::Timestamp, 2);
    let current = repository.trusted().next(&signed(&raised, &[ROOT])).unwrap().current().unwrap();
    assert!(!current.rotated());
    let seen = current.remembered(&seen_by_one).unwrap();
    let below = "timestamp needs 2 good signature(s) of distinct keys, got 1 of 1 present (TUF 5.4.2)";
    assert_eq!(
        why(current.timestamp(Some(&seen), &older)),
        "timestamp expected version 7, got 6 (TUF 5.4.3.1)"
    );
    assert_eq!(why(current.timestamp(Some(&seen), &seen_by_one)), below);
    assert_eq!(why(current.timestamp_offline(&seen)), below);
    let again = current.timestamp(Some(&seen), &both(7)).unwrap();
    assert_eq!((again.version(), again.is_new()), (7, true), "now with both signatures");
    assert_eq!(current.timestamp(Some(&seen), &newer).unwrap().version(), 8);

    // The threshold counts since a key was last taken away: then what was seen may be forged.
    let mut rotated = versioned(&raised, 3);
    rotated.remove_key(&Role::Timestamp, &signer(9).key_id());
    rotated.add_key(&Role::Timestamp, signer(10).key());
    let raised = repository.trusted().next(&signed(&raised, &[ROOT])).unwrap();
    let current = raised.next(&signed(&rotated, &[ROOT])).unwrap().current().unwrap();
    assert!(current.rotated());
    assert_eq!(why(current.remembered(&seen_by_one)), below);
}

#[test]
fn a_newer_timestamp_with_an_older_snapshot_is_refused() {
    let mut repository = Repository::new();
    repository.snapshot.set_version(5);
    repository.relink();
    let current = repository.current();
    let seen = current.remembered(&repository.timestamp_bytes()).unwrap();
    let mut offered = versioned(&repository.timestamp, 2);
    offered.set_meta("snapshot.json", &meta_of(4, b""));
    assert_eq!(
        why(current.timestamp(Some(&seen), &signed(&offered, &[TIMESTAMP]))),
        "timestamp lists \"snapshot.json\": expected version 5 or later, got 4 (TUF 5.4.3.2)"
    );
    assert_eq!(current.timestamp_offline(&seen).unwrap().snapshot_file().version, 5);
}

#[test]
fn an_expired_timestamp_is_a_baseline_and_no_more_even_offline() {
    let mut repository = Repository::new();
    repository.timestamp.set_expires(at("2029-12-31T00:00:00Z"));
    let current = repository.current();
    let seen = current.remembered(&repository.timestamp_bytes()).unwrap();
    let refused = "timestamp expired at 2029-12-31T00:00:00Z, and it is now 2030-01-01T00:00:00Z (TUF 5.4.4)";
    assert_eq!(why(current.timestamp(None, &repository.timestamp_bytes())), refused);
    assert_eq!(why(current.timestamp_offline(&seen)), refused);
}

#[test]
fn the_seen_timestamp_serves_offline_while_it_is_unexpired() {
    let repository = Repository::new();
    let current = repository.current();
    let seen = current.remembered(&repository.timestamp_bytes()).unwrap();
    let fresh = current.timestamp_offline(&seen).unwrap();
    assert!(!fresh.is_new());
    assert_eq!(fresh.snapshot(None, &repository.snapshot_bytes()).unwrap().version(), 1);
}

#[test]
fn a_snapshot_with_another_length_or_hash_is_refused() {
    let repository = Repository::new();
    let fresh = repository.fresh();
    let good = repository.snapshot_bytes();
    let longer = [good.as_slice(), b" "].concat();
    let (expected, got) = (good.len(), longer.len());
    assert_eq!(
        why(fresh.snapshot(None, &longer)),
        format!("snapshot expected {expected} bytes, got {got} (TUF 5.5.2)")
    );
    let mut changed = good.clone();
    *changed.last_mut().unwrap() = b' ';
    let hash = tuf_core::hash::sha256_hex;
    assert_eq!(
        why(fresh.snapshot(None, &changed)),
        format!("snapshot expected sha256:{}, got sha256:{} (TUF 5.5.2)", hash(&good), hash(&changed))
    );
    assert_eq!(fresh.snapshot(None, &good).unwrap().version(), 1);
}

/// Lets the timestamp state only a version, so that the later steps are reached.
fn fresh_stating(repository: &Repository, version: u64) -> tuf_core::FreshTimestamp {
    let mut timestamp = repository.timestamp.clone();
    let mut meta = meta_of(version, b"");
    (meta.length, meta.hashes) = (None, None);
    timestamp.set_meta("snapshot.json", &meta);
    repository.current().timestamp(None, &signed(&timestamp, &[TIMESTAMP])).unwrap()
}

#[test]
fn a_snapshot_of_another_key_version_or_time_is_refused() {
    let repository = Repository::new();
    let fresh = fresh_stating(&repository, 1);
    let mut expired = repository.snapshot.clone();
    expired.set_expires(now());
    let cases = [
        (
            "another key",
            signed(&repository.snapshot, &[TIMESTAMP]),
            "snapshot needs 1 good signature(s) of distinct keys, got 0 of 1 present (TUF 5.5.3)",
        ),
        (
            "another version",
            signed(&versioned(&repository.snapshot, 2), &[SNAPSHOT]),
            "snapshot expected version 1, got 2 (TUF 5.5.4)",
        ),
        (
            "expired",
            signed(&expired, &[SNAPSHOT]),
            "snapshot expired at 2030-01-01T00:00:00Z, and it is now 2030-01-01T00:00:00Z (TUF 5.5.6)",
        ),
    ];
    for (name, bytes, sentence) in cases {
        assert_eq!(why(fresh.snapshot(None, &bytes)), sentence, "{name}");
    }
    assert_eq!(fresh.snapshot(None, &repository.snapshot_bytes()).unwrap().version(), 1);
}

#[test]
fn a_snapshot_in_which_a_file_goes_back_or_away_is_refused() {
    let mut repository = Repository::new();
    repository.snapshot.set_meta("app.json", &meta_of(3, b""));
    let seen = fresh_stating(&repository, 1).remembered(&repository.snapshot_bytes()).unwrap();
    let fresh = fresh_stating(&repository, 2);
    let mut back = versioned(&repository.snapshot, 2);
    back.set_meta("app.json", &meta_of(2, b""));
    assert_eq!(
        why(fresh.snapshot(Some(&seen), &signed(&back, &[SNAPSHOT]))),
        "snapshot lists \"app.json\": expected version 3 or later, got 2 (TUF 5.5.5)"
    );
    let mut away = versioned(&Repository::new().snapshot, 2);
    assert_eq!(
        why(fresh.snapshot(Some(&seen), &signed(&away, &[SNAPSHOT]))),
        "snapshot lists \"app.json\": expected version 3 or later, and it is no longer listed (TUF 5.5.5)"
    );
    away.set_meta("app.json", &meta_of(4, b""));
    assert_eq!(fresh.snapshot(Some(&seen), &signed(&away, &[SNAPSHOT])).unwrap().version(), 2);
}

#[test]
fn targets_that_are_not_those_the_snapshot_states_are_refused() {
    let repository = Repository::new();
    let snapshot = repository.snap();
    let good = repository.targets_bytes();
    let longer = [good.as_slice(), b" "].concat();
    assert_eq!(
        why(snapshot.targets(&longer)),
        format!("targets expected {} bytes, got {} (TUF 5.6.2)", good.len(), longer.len())
    );
    let mut changed = good.clone();
    *changed.last_mut().unwrap() = b' ';
    let refused = why(snapshot.targets(&changed));
    assert!(refused.starts_with("targets expected sha256:"), "{refused}");
    assert!(refused.ends_with("(TUF 5.6.2)"), "{refused}");
    assert_eq!(snapshot.targets(&good).unwrap().version(), 1);
    let role = Role::of_targets("unheard");
    assert_eq!(
        why(snapshot.targets_file(&role)),
        "delegated role \"unheard\" is stated but not there: expected \"unheard.json in snapshot\", \
         got nothing (TUF 5.6.1)"
    );
}

#[test]
fn targets_of_another_key_version_or_time_are_refused() {
    let mut repository = Repository::new();
    let mut meta = meta_of(1, b"");
    (meta.length, meta.hashes) = (None, None);
    repository.snapshot.set_meta("targets.json", &meta);
    let fresh = fresh_stating(&repository, 1);
    let snapshot = fresh.snapshot(None, &repository.snapshot_bytes()).unwrap();
    let mut expired = repository.targets.clone();
    expired.set_expires(now());
    let cases = [
        (
            "another key",
            signed(&repository.targets, &[ROOT]),
            "targets needs 1 good signature(s) of distinct keys, got 0 of 1 present (TUF 5.6.3)",
        ),
        (
            "another version",
            signed(&versioned(&repository.targets, 2), &[TARGETS]),
            "targets expected version 1, got 2 (TUF 5.6.4)",
        ),
        (
            "expired",
            signed(&expired, &[TARGETS]),
            "targets expired at 2030-01-01T00:00:00Z, and it is now 2030-01-01T00:00:00Z (TUF 5.6.5)",
        ),
    ];
    for (name, bytes, sentence) in cases {
        assert_eq!(why(snapshot.targets(&bytes)), sentence, "{name}");
    }
    assert_eq!(snapshot.targets(&repository.targets_bytes()).unwrap().version(), 1);
}
