//! What was weighed once: a receipt saves parsing and signatures, and never a judgement that may change.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod support;

use std::sync::Arc;

use support::{Repository, TARGETS, later, now, signed, signer, versioned};
use tuf_core::authoring::{Delegation, Document, meta_of};
use tuf_core::crypto::Sign as _;
use tuf_core::schema::Target;
use tuf_core::{FreshSnapshot, Receipt, Role, Step, TrustedTargets};

/// A repository whose targets list `count` images.
fn listing(count: usize) -> Repository {
    let mut repository = Repository::new();
    for number in 0..count {
        let content = format!("content {number}");
        repository.targets.set_target(&path(number), &Target::of(content.as_bytes())).unwrap();
    }
    repository.relink();
    repository
}

fn path(number: usize) -> String {
    format!("registry.example.com/acme/web:{number:04}")
}

fn weighed(repository: &Repository) -> (Arc<Vec<u8>>, TrustedTargets, Receipt) {
    let file = Arc::new(repository.targets_bytes());
    let targets = repository.snap().targets_shared(&file).unwrap();
    let receipt = targets.receipt(&file).unwrap();
    (file, targets, Receipt::from_bytes(&receipt.to_bytes()).unwrap())
}

#[test]
fn a_receipt_stands_for_the_bytes_it_was_made_of() {
    let repository = listing(100);
    let (file, targets, receipt) = weighed(&repository);
    let again = repository.snap().targets_known(&receipt, &file).unwrap();
    assert_eq!(again.signers(), targets.signers());
    assert_eq!((again.version(), again.expires()), (targets.version(), targets.expires()));
    assert_eq!(again.document().count(), 100);
    for number in 0..100 {
        let found = again.document().target(&path(number));
        assert_eq!(found, Some(Target::of(format!("content {number}").as_bytes())));
    }
    assert_eq!(again.document().target("registry.example.com/acme/web:none"), None);
    assert_eq!(again.receipt(&file), Some(receipt));
}

#[test]
fn a_document_to_change_is_the_same_however_it_was_weighed() {
    for count in [0, 1, 100] {
        let repository = listing(count);
        let (file, targets, receipt) = weighed(&repository);
        let again = repository.snap().targets_known(&receipt, &file).unwrap();
        let parsed = Document::parse(&file).unwrap();
        for trusted in [&targets, &again] {
            let mut document = trusted.to_document(&file).unwrap();
            assert_eq!(document.to_bytes(), parsed.to_bytes());
            assert_eq!(document.canonical(), parsed.canonical());
            document.set_target("a", &Target::of(b"a")).unwrap();
            let mut expected = parsed.clone();
            expected.set_target("a", &Target::of(b"a")).unwrap();
            assert_eq!(document.to_bytes(), expected.to_bytes());
        }
        // Other bytes are read for what they are.
        let other = Arc::new(listing(count + 1).targets_bytes());
        assert_eq!(targets.to_document(&other).unwrap().count_of("targets"), count + 1);
    }
}

#[test]
fn a_receipt_of_other_bytes_keys_threshold_or_version_is_none() {
    let repository = listing(3);
    let (file, _, receipt) = weighed(&repository);
    let known = |repository: &Repository, file: &Arc<Vec<u8>>| {
        repository.snap().targets_known(&receipt, file).map(|targets| targets.version())
    };
    assert_eq!(known(&repository, &file), Some(1));

    // The same length and version, one image more or less like another. Only the length is stated.
    let mut swapped = listing(3);
    swapped.targets.remove_target(&path(2));
    swapped.targets.set_target(&path(3), &Target::of(b"content 2")).unwrap();
    let other = Arc::new(swapped.targets_bytes());
    assert_eq!(other.len(), file.len());
    let mut stated = meta_of(1, &file);
    stated.hashes = None;
    swapped.snapshot.set_meta("targets.json", &stated);
    swapped.timestamp.set_meta("snapshot.json", &meta_of(1, &swapped.snapshot_bytes()));
    assert_eq!(known(&swapped, &file), Some(1));
    assert_eq!(known(&swapped, &other), None);

    let mut rotated = repository.clone();
    rotated.root.add_key(&Role::Targets, signer(9).key());
    assert_eq!(known(&rotated, &file), None, "another key may sign");
    let mut raised = repository.clone();
    raised.root.add_key(&Role::Targets, signer(9).key());
    raised.root.remove_key(&Role::Targets, &signer(TARGETS).key_id());
    assert_eq!(known(&raised, &file), None, "the key was taken away");

    let mut newer = repository.clone();
    newer.targets = versioned(&newer.targets, 2);
    newer.relink();
    assert_eq!(known(&newer, &file), None, "the snapshot states another file");
}

#[test]
fn a_receipt_does_not_make_expired_targets_current() {
    let mut repository = listing(3);
    let (file, targets, receipt) = weighed(&repository);
    assert!(repository.snap().targets_known(&receipt, &file).is_some());
    assert!(repository.snap().targets_still(&targets).is_some());
    repository.targets.set_expires(now());
    repository.relink();
    // A receipt forged for the expired bytes by whoever weighed them before they expired.
    let file = Arc::new(repository.targets_bytes());
    let refused = repository.snap().targets_shared(&file).unwrap_err().to_string();
    assert!(refused.contains("expired") && refused.ends_with("(TUF 5.6.5)"), "{refused}");
    let snapshot = earlier_snapshot(&repository);
    let receipt = snapshot.targets_shared(&file).unwrap().receipt(&file).unwrap();
    assert!(snapshot.targets_known(&receipt, &file).is_some());
    assert!(repository.snap().targets_known(&receipt, &file).is_none());
    let earlier = snapshot.targets_shared(&file).unwrap();
    assert!(repository.snap().targets_still(&earlier).is_none());
}

/// The snapshot as a client saw it a year ago.
fn earlier_snapshot(repository: &Repository) -> FreshSnapshot {
    let then = support::at("2029-01-01T00:00:00Z");
    let root = tuf_core::TrustedRoot::bootstrap(&repository.root_bytes(), then, tuf_core::crypto::default());
    let timestamp = root.unwrap().current().unwrap().timestamp(None, &repository.timestamp_bytes()).unwrap();
    timestamp.snapshot(None, &repository.snapshot_bytes()).unwrap()
}

#[test]
fn a_damaged_receipt_is_none_wherever_it_is_damaged() {
    let (_, _, receipt) = weighed(&listing(40));
    let bytes = receipt.to_bytes();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(Receipt::from_bytes(&damaged).is_none(), "byte {at}");
        assert!(Receipt::from_bytes(&bytes[..at]).is_none(), "cut at {at}");
    }
}

#[test]
fn a_document_that_had_to_be_brought_into_normal_form_has_no_receipt() {
    let mut repository = listing(3);
    let value: serde_json::Value = serde_json::from_slice(&repository.targets_bytes()).unwrap();
    let file = Arc::new(serde_json::to_vec_pretty(&value).unwrap());
    repository.snapshot.set_meta("targets.json", &meta_of(1, &file));
    repository.timestamp.set_meta("snapshot.json", &meta_of(1, &repository.snapshot_bytes()));
    let targets = repository.snap().targets_shared(&file).unwrap();
    assert_eq!(targets.document().count(), 3);
    assert!(targets.receipt(&file).is_none());
    // Nor has it one of another file's bytes.
    let (file, targets, _) = weighed(&listing(3));
    assert!(targets.receipt(&Arc::new(file.to_vec())).is_none());
}

#[test]
fn what_is_held_in_memory_stands_while_snapshot_and_root_say_the_same() {
    let repository = listing(3);
    let (_, targets, _) = weighed(&repository);
    assert!(repository.snap().targets_still(&targets).is_some());
    let mut newer = repository.clone();
    newer.targets = versioned(&newer.targets, 2);
    newer.relink();
    assert!(newer.snap().targets_still(&targets).is_none());
    let mut rotated = repository.clone();
    rotated.root.add_key(&Role::Targets, signer(9).key());
    assert!(rotated.snap().targets_still(&targets).is_none());
}

fn delegating(to: u8) -> (Repository, Document) {
    let mut repository = Repository::new();
    let keys = vec![signer(to).key().clone()];
    let paths = vec!["acme/*".to_owned()];
    repository.targets.delegate(&Delegation {
        name: "team".into(),
        keys,
        threshold: 1,
        terminating: false,
        paths,
    });
    let mut team = Document::targets(later());
    team.set_target("acme/web", &Target::of(b"web")).unwrap();
    repository.role("team", &team, &[10]);
    repository.relink();
    (repository, team)
}

#[test]
fn a_delegated_role_is_known_only_under_the_keys_that_its_delegator_names_now() {
    let (repository, team) = delegating(10);
    let file = Arc::new(signed(&team, &[10]));
    let start = |repository: &Repository| {
        let mut search = repository.snap().search(repository.top(), "acme/web");
        assert!(matches!(search.step().unwrap(), Step::Need(_)));
        search
    };
    let mut search = start(&repository);
    let targets = search.supply_shared(&file).unwrap();
    let receipt = targets.receipt(&file).unwrap();

    let mut search = start(&repository);
    assert!(search.supply_known(&receipt, &file).is_some());
    assert!(matches!(search.step().unwrap(), Step::Found { .. }));
    let mut search = start(&repository);
    assert!(search.supply_still(&targets).is_some());
    assert!(matches!(search.step().unwrap(), Step::Found { .. }));

    let (other, _) = delegating(11);
    let mut search = start(&other);
    assert!(search.supply_known(&receipt, &file).is_none());
    assert!(search.supply_still(&targets).is_none());
    assert!(matches!(search.step().unwrap(), Step::Need(_)), "it is asked for again");
    assert!(search.supply_shared(&file).is_err());
}
