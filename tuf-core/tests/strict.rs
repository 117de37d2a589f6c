//! What a lenient reader takes and python-tuf doesn't: a document means the same to every client, or nothing.
//!
//! `null` is no value of any member: a client that drops it prints another document than was signed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod support;

use serde_json::{Map, Value, json};
use support::{ROOT, Repository, TIMESTAMP, now, signed, signer, why};
use tuf_core::authoring::Delegation;
use tuf_core::crypto::{self, Sign as _};
use tuf_core::{Refusal, TrustedRoot, TrustedTargets};

/// The top-level targets of a repository, changed before they are signed.
fn targets(change: impl FnOnce(&mut Map<String, Value>)) -> Result<TrustedTargets, Refusal> {
    let mut repository = Repository::new();
    repository.targets.delegate(&Delegation {
        name: "team".into(),
        keys: vec![signer(10).key().clone()],
        threshold: 1,
        terminating: false,
        paths: vec!["acme/*".into()],
    });
    change(repository.targets.signed_mut());
    repository.relink();
    repository.snap().targets(&repository.targets_bytes())
}

/// The same, with one member of `delegations` replaced.
fn delegating(place: &str, value: &Value) -> Result<TrustedTargets, Refusal> {
    targets(|signed| {
        let (above, member) = place.rsplit_once('/').unwrap();
        signed["delegations"].pointer_mut(above).unwrap()[member] = value.clone();
    })
}

#[track_caller]
fn malformed<T>(result: Result<T, Refusal>, what: &str) {
    let refused = why(result);
    assert!(refused.contains(&format!("is malformed: {what}")), "expected {what}, got {refused}");
}

/// A timestamp that says this of the snapshot.
fn stating(entry: &Value) -> Result<(), Refusal> {
    let mut repository = Repository::new();
    repository.timestamp.signed_mut()["meta"]["snapshot.json"] = entry.clone();
    repository.current().timestamp(None, &signed(&repository.timestamp, &[TIMESTAMP])).map(drop)
}

/// A snapshot that says this of a delegated role.
fn listing(entry: &Value) -> Result<(), Refusal> {
    let mut repository = Repository::new();
    repository.snapshot.signed_mut()["meta"]["team.json"] = entry.clone();
    let of = tuf_core::authoring::meta_of(1, &repository.snapshot_bytes());
    repository.timestamp.set_meta("snapshot.json", &of);
    repository.fresh().snapshot(None, &repository.snapshot_bytes()).map(drop)
}

#[test]
fn null_in_the_place_of_a_length_or_of_hashes_is_refused() {
    for (entry, what) in [
        (json!({ "version": 1, "length": null }), "invalid type: null, expected u64"),
        (json!({ "version": 1, "hashes": null }), "invalid type: null, expected "),
        (json!({ "version": null }), "invalid type: null, expected u64"),
        (json!(null), "invalid type: null, expected "),
    ] {
        malformed(stating(&entry), what);
        malformed(listing(&entry), what);
    }
    let good = json!({ "version": 1 });
    assert_eq!((stating(&good).is_ok(), listing(&good).is_ok()), (true, true));
}

#[test]
fn hashes_of_which_there_is_none_are_refused_in_the_document_that_states_them() {
    let none = json!({ "version": 1, "hashes": {} });
    malformed(stating(&none), "expected at least one hash, got none");
    malformed(listing(&none), "expected at least one hash, got none");
    let target = json!({ "web": { "length": 1, "hashes": {} } });
    let refused = targets(|signed| drop(signed.insert("targets".into(), target)));
    malformed(refused, "expected at least one hash, got none");
}

#[test]
fn null_in_the_place_of_delegations_or_of_any_member_of_theirs_is_refused() {
    let null = targets(|signed| drop(signed.insert("delegations".into(), Value::Null)));
    malformed(null, "expected delegations with an array \"roles\", got another value");
    for place in ["/keys", "/roles", "/succinct_roles"] {
        let what = match place {
            "/keys" => "invalid type: null, expected ",
            "/roles" => "expected delegations with an array \"roles\"",
            _ => "expected roles or succinct_roles, got both",
        };
        malformed(delegating(place, &Value::Null), what);
    }
    for member in ["name", "keyids", "threshold", "terminating", "paths"] {
        let what =
            if member == "name" { "expected a string as name of a role" } else { "invalid type: null" };
        malformed(delegating(&format!("/roles/0/{member}"), &Value::Null), what);
    }
    for (member, what) in [
        ("path_hash_prefixes", "expected either paths or path_hash_prefixes for role \"team\""),
        ("min_roles_in_agreement", "expected role \"team\" to speak alone"),
        ("roleinfo", "expected role \"team\" to speak alone"),
    ] {
        malformed(delegating(&format!("/roles/0/{member}"), &Value::Null), what);
    }
}

#[test]
fn path_hash_prefixes_that_are_null_are_no_prefixes() {
    let role = json!([{ "name": "team", "keyids": [], "threshold": 1, "terminating": false,
                        "path_hash_prefixes": null }]);
    malformed(delegating("/roles", &role), "invalid type: null, expected an array of prefixes in hex");
}

fn bins() -> Value {
    json!({ "keyids": [], "threshold": 1, "bit_length": 2, "name_prefix": "bin" })
}

#[test]
fn a_list_of_no_roles_beside_succinct_roles_is_refused() {
    let delegations = |value: Value| targets(|signed| drop(signed.insert("delegations".into(), value)));
    malformed(
        delegations(json!({ "keys": {}, "roles": [], "succinct_roles": bins() })),
        "expected roles or succinct_roles, got both (TAP 15)",
    );
    malformed(
        delegations(json!({ "keys": {}, "roles": null, "succinct_roles": bins() })),
        "expected delegations with an array \"roles\"",
    );
    assert!(delegations(json!({ "keys": {}, "succinct_roles": bins() })).is_ok());
    assert!(delegations(json!({ "keys": {}, "roles": [] })).is_ok());
}

#[test]
fn delegations_to_nobody_by_any_member_are_refused() {
    let none = targets(|signed| drop(signed.insert("delegations".into(), json!({ "keys": {} }))));
    malformed(none, "expected roles or succinct_roles in delegations, got neither");
    let bins = targets(|signed| {
        signed.insert("delegations".into(), json!({ "keys": {}, "succinct_roles": null }));
    });
    malformed(bins, "invalid type: null");
}

#[test]
fn a_delegated_role_has_a_name() {
    malformed(
        delegating("/roles/0/name", &json!("")),
        "expected a name for each delegated role, got an empty one",
    );
}

#[test]
fn a_delegated_role_says_whether_the_search_ends_with_it() {
    let silent = targets(|signed| {
        signed["delegations"]["roles"][0].as_object_mut().unwrap().remove("terminating");
    });
    malformed(silent, "missing field `terminating`");
}

#[test]
fn null_in_the_place_of_a_member_of_the_root_is_refused() {
    for member in ["consistent_snapshot", "keys", "roles", "version", "expires"] {
        let mut root = Repository::new().root;
        root.signed_mut()[member] = Value::Null;
        let refused = TrustedRoot::bootstrap(&signed(&root, &[ROOT]), now(), crypto::default());
        malformed(refused, "invalid type: null");
    }
}
