//! What holds of any input, tried on some hundred that proptest makes up, beside something that was written
//! apart from ours. The same promises are fuzzed at length in `fuzz/`.
//!
//! The cases are the same at every run, and few: this has to end within seconds in a debug build.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde::Serialize as _;
use serde_json::{Value, json};
use support::{ROOT, Repository, SNAPSHOT, TIMESTAMP, now, signed, signer, versioned};
use tuf_core::authoring::Document;
use tuf_core::canonical::{canonical_value, canonicalise};
use tuf_core::crypto::{self, Sign as _};
use tuf_core::schema::MetaFile;
use tuf_core::{PathPattern, Role, TrustedRoot, metadata_file_name};

/// Tries a promise on `cases` inputs. A broken one shows the smallest input that breaks it.
fn always<S: Strategy>(cases: u32, inputs: S, promise: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    if let Err(broken) = TestRunner::new_with_rng(config, random).run(&inputs, promise) {
        panic!("{broken}");
    }
}

/// Text of all planes in NFC, control characters included: olpc-cjson normalises other text.
const TEXT: &str = "[\\x00-\\x7f\u{e0}-\u{ff}\u{4e00}-\u{9fa5}\u{ffff}\u{1f600}-\u{1f64f}]{0,12}";

/// Keys that sort alike whether they are compared by code point, as OLPC has it, or as they are written,
/// closing quote included, as olpc-cjson does.
const KEY: &str = "[#-\\[\\]-~\u{e0}-\u{ff}\u{4e00}-\u{9fa5}\u{ffff}\u{1f600}-\u{1f64f}]{0,6}";

/// JSON without fractions, not deeper than real metadata.
fn any_json(text: &'static str) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        text.prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((KEY, inner), 0..6).prop_map(|members| members.into_iter().collect()),
        ]
    })
}

fn any_members() -> impl Strategy<Value = BTreeMap<String, Value>> {
    prop::collection::btree_map("x-[a-z]{0,6}", any_json(TEXT), 0..4)
}

#[test]
fn the_canonical_form_is_that_of_olpc_cjson() {
    always(1000, any_json(TEXT), |value| {
        let mut theirs = Vec::new();
        let formatter = olpc_cjson::CanonicalFormatter::new();
        value.serialize(&mut serde_json::Serializer::with_formatter(&mut theirs, formatter)).unwrap();
        prop_assert_eq!(canonical_value(&value).unwrap(), theirs);
        Ok(())
    });
}

#[test]
fn white_space_and_escapes_do_not_change_the_canonical_form() {
    always(600, any_json(TEXT), |value| {
        let compact = serde_json::to_string(&value).unwrap();
        let escaped: String = compact
            .chars()
            .map(|one| match one {
                plain @ '\0'..='\x7f' => plain.to_string(),
                other => {
                    other.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04X}")).collect()
                }
            })
            .collect();
        let expected = canonicalise(compact.as_bytes()).unwrap();
        for other in [serde_json::to_string_pretty(&value).unwrap(), escaped] {
            prop_assert_eq!(&canonicalise(other.as_bytes()).unwrap(), &expected);
        }
        Ok(())
    });
}

#[test]
fn the_canonical_form_of_a_canonical_form_is_itself() {
    // Control characters stand for themselves in it, so with them it is no JSON.
    always(600, any_json("[ -~\u{e0}-\u{ff}\u{1f600}]{0,12}"), |value| {
        let canonical = canonical_value(&value).unwrap();
        prop_assert_eq!(canonicalise(&canonical).unwrap(), canonical.clone());
        prop_assert_eq!(serde_json::from_slice::<Value>(&canonical).unwrap(), value);
        Ok(())
    });
}

#[test]
fn what_is_read_to_be_changed_keeps_unknown_members_and_its_signatures() {
    always(100, (any_members(), any_members()), |(top, in_roles)| {
        let mut root = Repository::new().root;
        root.signed_mut().extend(top.clone());
        root.signed_mut()["roles"].as_object_mut().unwrap().extend(in_roles.clone());
        let bytes = signed(&root, &[ROOT]);

        let printed = Document::parse(&bytes).unwrap().to_bytes();
        prop_assert_eq!(&printed, &bytes);
        let back: Value = serde_json::from_slice(&printed).unwrap();
        for (name, member) in &top {
            prop_assert_eq!(&back["signed"][name], member);
        }
        for (name, member) in &in_roles {
            prop_assert_eq!(&back["signed"]["roles"][name], member);
        }
        // A reader that doesn't know the members takes the document all the same.
        prop_assert!(TrustedRoot::bootstrap(&printed, now(), crypto::default()).is_ok());
        Ok(())
    });
}

/// Section 4.5 by dynamic programming: row by row, which beginnings of the path a beginning of the pattern
/// covers.
fn covers(pattern: &str, path: &str) -> bool {
    let path: Vec<char> = path.chars().collect();
    let mut row = vec![false; path.len() + 1];
    row[0] = true;
    for sign in pattern.chars() {
        let mut next = vec![false; path.len() + 1];
        next[0] = sign == '*' && row[0];
        for (at, found) in path.iter().enumerate() {
            next[at + 1] = match sign {
                '*' => row[at + 1] || (next[at] && *found != '/'),
                '?' => row[at] && *found != '/',
                wanted => row[at] && wanted == *found,
            };
        }
        row = next;
    }
    row[path.len()]
}

#[test]
fn a_pattern_covers_what_a_matcher_by_dynamic_programming_says() {
    // Few letters, so that many pairs match.
    always(4000, ("[ab/*?\u{e9}]{0,10}", "[ab/*\u{e9}]{0,12}"), |(pattern, path)| {
        prop_assert_eq!(PathPattern::new(&*pattern).matches(&path), covers(&pattern, &path));
        Ok(())
    });
}

#[test]
fn a_pattern_made_from_a_path_covers_it() {
    let path = "[abc/]{1,12}";
    always(1000, (path, prop::collection::vec(0..4_u8, 12)), |(path, choices)| {
        let widened: String = path
            .chars()
            .zip(choices)
            .map(|(letter, choice)| match choice {
                0 if letter != '/' => "?".to_owned(),
                1 if letter != '/' => "*".to_owned(),
                2 => format!("*{letter}*"),
                _ => letter.to_string(),
            })
            .collect();
        prop_assert!(PathPattern::new(&*widened).matches(&path), "{widened:?} on {path:?}");
        Ok(())
    });
}

#[test]
fn two_roles_never_share_a_file_and_none_leaves_the_folder() {
    // Names that look encoded, or like another file, among any others.
    let name = prop_oneof![".{0,8}", "[%2F5e./\\\\a-c]{0,8}", "(\\.\\./){0,2}[0-9]?\\.?root(\\.json)?"];
    always(2000, (prop::collection::btree_set(name, 2..8), any::<u64>()), |(roles, version)| {
        for version in [None, Some(version)] {
            let files: BTreeSet<_> = roles.iter().map(|role| metadata_file_name(role, version)).collect();
            prop_assert_eq!(files.len(), roles.len());
            for file in &files {
                prop_assert!(file.ends_with(".json") && !file.contains(['/', '\\', '\0']), "{file:?}");
            }
        }
        Ok(())
    });
}

#[test]
fn a_threshold_is_met_by_enough_of_the_listed_keys_whoever_else_signs() {
    let keys = |range| prop::collection::btree_set(range, 0..6_usize);
    always(150, (keys(20..26_u8), keys(20..32), 1..5_u32), |(listed, signing, threshold)| {
        let mut root = Repository::new().root;
        root.remove_key(&Role::Root, &signer(ROOT).key_id());
        for key in &listed {
            root.add_key(&Role::Root, signer(*key).key());
        }
        root.set_threshold(&Role::Root, threshold);
        let signing: Vec<u8> = signing.into_iter().collect();
        let good = signing.iter().filter(|key| listed.contains(*key)).count();
        let root = TrustedRoot::bootstrap(&signed(&root, &signing), now(), crypto::default());
        prop_assert_eq!(root.is_ok(), good >= threshold as usize, "{} of {}", good, threshold);
        Ok(())
    });
}

#[test]
fn a_timestamp_is_taken_if_neither_it_nor_its_snapshot_goes_backwards() {
    let versions = || (1..6_u64, 1..6_u64);
    let current = Repository::new().current();
    always(150, (versions(), versions()), |(seen, offered)| {
        let statement = |(version, snapshot): (u64, u64)| {
            let mut timestamp = versioned(&Repository::new().timestamp, version);
            timestamp.set_meta("snapshot.json", &MetaFile { version: snapshot, length: None, hashes: None });
            signed(&timestamp, &[TIMESTAMP])
        };
        let known = current.remembered(&statement(seen)).unwrap();
        let taken = current.timestamp(Some(&known), &statement(offered));
        // 5.4.3.1: the same version is no new one, whatever else it says.
        let forward = offered.0 == seen.0 || offered.0 > seen.0 && offered.1 >= seen.1;
        prop_assert_eq!(taken.is_ok(), forward);
        if let Ok(fresh) = taken {
            prop_assert!(fresh.version() >= seen.0 && fresh.snapshot_file().version >= seen.1);
            prop_assert_eq!(fresh.is_new(), offered.0 > seen.0);
        }
        Ok(())
    });
}

#[test]
fn a_snapshot_is_taken_if_no_file_in_it_goes_backwards_or_away() {
    let listing = || prop::collection::btree_map("[a-c]", 1..4_u64, 0..4);
    let fresh = {
        let mut repository = Repository::new();
        let bare = MetaFile { version: 1, length: None, hashes: None };
        repository.timestamp.set_meta("snapshot.json", &bare);
        repository.fresh()
    };
    always(200, (listing(), listing()), |(seen, offered)| {
        let statement = |files: &BTreeMap<String, u64>| {
            let mut snapshot = Repository::new().snapshot;
            for (role, version) in files {
                let listed = MetaFile { version: *version, length: None, hashes: None };
                snapshot.set_meta(&format!("{role}.json"), &listed);
            }
            signed(&snapshot, &[SNAPSHOT])
        };
        let known = fresh.remembered(&statement(&seen)).unwrap();
        let taken = fresh.snapshot(Some(&known), &statement(&offered));
        let forward = seen.iter().all(|(role, before)| offered.get(role) >= Some(before));
        prop_assert_eq!(taken.is_ok(), forward);
        Ok(())
    });
}

#[test]
fn a_root_is_taken_if_its_version_is_the_next() {
    let trusted = Repository::new().trusted();
    let near = prop_oneof![0..5_u64, any::<u64>()];
    always(150, near, |version| {
        let mut root = Repository::new().root;
        root.signed_mut().insert("version".into(), json!(version));
        let next = trusted.next(&signed(&root, &[ROOT]));
        prop_assert_eq!(next.is_ok(), version == 2);
        Ok(())
    });
}
