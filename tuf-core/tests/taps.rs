//! Proposals (TAPs) beyond the specification: TAP 12 is followed; what isn't followed fails closed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod support;

use serde_json::{Value, json};
use support::{Repository, TARGETS, TIMESTAMP, later, now, signed, signer, versioned, why};
use tuf_core::authoring::{Delegation, Document, meta_of};
use tuf_core::crypto::{self, Sign as _};
use tuf_core::hash::hex;
use tuf_core::schema::Target;
use tuf_core::{Refusal, Step, TrustedRoot, TrustedTargets};

const TEAM: u8 = 10;
const PATH: &str = "acme/web";

/// Targets that delegate the path to `team`, changed before they are signed.
fn delegating(change: impl FnOnce(&mut Value)) -> Repository {
    let mut repository = Repository::new();
    repository.targets.delegate(&Delegation {
        name: "team".into(),
        keys: vec![signer(TEAM).key().clone()],
        threshold: 1,
        terminating: false,
        paths: vec!["acme/*".into()],
    });
    change(&mut repository.targets.signed_mut()["delegations"]);
    repository.role("team", &listing(), &[TEAM]);
    repository.relink();
    repository
}

fn listing() -> Document {
    let mut document = Document::targets(later());
    document.set_target(PATH, &Target::of(b"web")).unwrap();
    document
}

fn top(repository: &Repository) -> Result<TrustedTargets, Refusal> {
    repository.snap().targets(&repository.targets_bytes())
}

/// Searches for the path, with the files that the repository has.
fn find(repository: &Repository) -> Result<Option<Target>, Refusal> {
    let mut search = repository.snap().search(top(repository)?, PATH);
    loop {
        match search.step()? {
            Step::Need(wanted) => drop(search.supply(&repository.files[wanted.role.name()])?),
            Step::Found { target, .. } => return Ok(Some(target)),
            Step::NotFound(_) => return Ok(None),
        }
    }
}

#[test]
fn without_a_change_the_target_is_found() {
    assert_eq!(find(&delegating(|_| ())).unwrap(), Some(Target::of(b"web")));
}

// TAP 12: a key's id is whatever the delegating document says.

/// Signs a document with a numbered key under an id.
fn sign_as(document: &mut Document, key: u8, id: &str) {
    let signature = hex(&signer(key).sign(&document.canonical().unwrap()).unwrap());
    document.add_signature(id, &signature);
}

/// Ids as no scheme computes them.
const ODD_IDS: [&str; 5] = ["1", "release key of 2030", "../root", "Ä", ""];

#[test]
fn a_root_key_may_have_any_id_and_it_is_followed_into_the_next_root() {
    for id in ODD_IDS {
        let mut first = Repository::new().root;
        first.signed_mut()["keys"][id] = signer(9).key().to_value();
        first.signed_mut()["roles"]["root"]["keyids"] = json!([id]);
        // The next one gives the same key another id, and each counts under its own (5.3.4).
        let mut next = versioned(&first, 2);
        next.signed_mut()["keys"]["renamed"] = signer(9).key().to_value();
        next.signed_mut()["roles"]["root"]["keyids"] = json!(["renamed"]);
        sign_as(&mut first, 9, id);
        let trusted = TrustedRoot::bootstrap(&first.to_bytes(), now(), crypto::default()).expect(id);
        let mut half = next.clone();
        sign_as(&mut half, 9, "renamed");
        assert_eq!(
            why(trusted.next(&half.to_bytes())),
            "root needs 1 good signature(s) of distinct keys, got 0 of 1 present (TUF 5.3.4)",
            "{id}"
        );
        sign_as(&mut next, 9, id);
        sign_as(&mut next, 9, "renamed");
        assert_eq!(trusted.next(&next.to_bytes()).expect(id).version(), 2);
    }
}

#[test]
fn a_delegated_key_may_have_any_id_and_the_id_of_another_document_is_not_meant() {
    for id in ODD_IDS {
        let mut repository = delegating(|delegations| {
            delegations["keys"] = json!({ id: signer(TEAM).key().to_value() });
            delegations["roles"][0]["keyids"] = json!([id]);
        });
        let publish = |repository: &mut Repository, key: u8| {
            let mut document = listing();
            document.signed_mut();
            sign_as(&mut document, key, id);
            let bytes = document.to_bytes();
            repository.snapshot.set_meta("team.json", &meta_of(1, &bytes));
            repository.files.insert("team".into(), bytes);
            repository.relink();
        };
        publish(&mut repository, TEAM);
        assert_eq!(find(&repository).expect(id), Some(Target::of(b"web")));
        // The root says the same id of another key, which is nothing to the team's file.
        repository.root.signed_mut()["keys"][id] = signer(TARGETS).key().to_value();
        publish(&mut repository, TEAM);
        assert_eq!(find(&repository).expect(id), Some(Target::of(b"web")));
        publish(&mut repository, TARGETS);
        assert_eq!(
            why(find(&repository)),
            "delegated role \"team\" needs 1 good signature(s) of distinct keys, got 0 of 1 present (TUF 5.6.3)",
            "{id}"
        );
    }
}

#[test]
fn one_delegated_key_under_two_ids_is_one_signature() {
    let mut repository = delegating(|delegations| {
        let key = signer(TEAM).key().to_value();
        delegations["keys"] = json!({ "one": key, "two": key });
        delegations["roles"][0]["keyids"] = json!(["one", "two"]);
        delegations["roles"][0]["threshold"] = json!(2);
    });
    let mut document = listing();
    document.signed_mut();
    sign_as(&mut document, TEAM, "one");
    sign_as(&mut document, TEAM, "two");
    repository.snapshot.set_meta("team.json", &meta_of(1, &document.to_bytes()));
    repository.files.insert("team".into(), document.to_bytes());
    repository.relink();
    assert_eq!(
        why(find(&repository)),
        "delegated role \"team\" needs 2 good signature(s) of distinct keys, got 1 of 2 present (TUF 5.6.3)"
    );
}

#[test]
fn one_id_for_two_keys_is_malformed() {
    let bytes = Repository::new().root_bytes();
    let text = String::from_utf8(bytes).unwrap();
    let id = signer(TARGETS).key_id();
    let twice =
        text.replacen("\"keys\":{", &format!("\"keys\":{{\"{id}\":{},", signer(9).key().to_value()), 1);
    assert_ne!(twice, text);
    let refused = why(TrustedRoot::bootstrap(twice.as_bytes(), now(), crypto::default()));
    assert!(refused.starts_with(&format!("root is malformed: duplicate key \"{id}\"")), "{refused}");
}

// TAP 3: roles that must agree. Reading one of them alone would be less than was asked for.

#[test]
fn delegations_to_several_roles_that_must_agree_are_refused() {
    let info = json!([{ "rolename": "team", "keyids": [signer(TEAM).key_id()], "threshold": 1 }]);
    let multi = json!([{ "name": "both", "paths": ["acme/*"], "terminating": true,
                         "min_roles_in_agreement": 2, "roleinfo": info }]);
    let no_object = "expected delegations with an array \"roles\", got another value";
    let cases = [
        ("", multi.clone(), no_object),
        ("", json!([]), no_object),
        ("/roles", multi, "missing field `keyids`"),
        (
            "/roles",
            json!([["team", [signer(TEAM).key_id()], 1, true, ["acme/*"], null, null, null]]),
            "expected an object for each delegated role, got a list",
        ),
        (
            "/roles/0/min_roles_in_agreement",
            json!(2),
            "expected role \"team\" to speak alone, got \"min_roles_in_agreement\" (TAP 3)",
        ),
        ("/roles/0/roleinfo", info, "expected role \"team\" to speak alone, got \"roleinfo\" (TAP 3)"),
    ];
    for (place, value, expected) in cases {
        let refused = why(top(&delegating(|delegations| match place.rsplit_once('/') {
            Some((above, member)) => delegations.pointer_mut(above).unwrap()[member] = value.clone(),
            None => *delegations = value.clone(),
        })));
        assert!(
            refused.starts_with(&format!("targets is malformed: {expected}")),
            "{place} {value}: {refused}"
        );
        assert!(refused.ends_with("(TUF 5.6.3)"), "{place} {value}: {refused}");
    }
}

#[test]
fn a_role_without_a_name_is_refused() {
    let refused = why(top(&delegating(|delegations| {
        let role = delegations["roles"][0].as_object_mut().unwrap();
        let name = role.remove("name").unwrap();
        role.insert("role_names".into(), json!([name, "quality"]));
    })));
    assert!(refused.starts_with("targets is malformed: missing field `name`"), "{refused}");
}

// TAP 8 and 20: keys that their holders changed or took back. The old keys must not count on.

#[test]
fn a_role_whose_keys_were_rotated_is_refused_and_others_are_not() {
    let rotated = |file: &str| {
        let mut repository = delegating(|_| ());
        repository.snapshot.set_meta(file, &meta_of(1, b"{}"));
        repository.relink();
        repository
    };
    for file in ["rotate/team.rotate.1", "rotate/team.rotate.1.json", "rotate/team.rotate.7"] {
        assert_eq!(
            why(find(&rotated(file))),
            format!(
                "delegated role \"team\" is malformed: expected the keys that its delegation names, got \
                 others by {file:?} (TAP 8) (TUF 5.6.1)"
            )
        );
    }
    assert_eq!(
        why(top(&rotated("rotate/targets.rotate.1"))),
        "targets is malformed: expected the keys that its delegation names, got others by \
         \"rotate/targets.rotate.1\" (TAP 8) (TUF 5.6.1)"
    );
    for file in ["rotate/teams.rotate.1", "rotate/tea.rotate.1", "team.rotate.1.json", "rotate/team.rotated"]
    {
        assert_eq!(find(&rotated(file)).expect(file), Some(Target::of(b"web")), "{file}");
    }
}

#[test]
fn a_rotation_is_no_targets_file() {
    let mut repository = delegating(|_| ());
    let mut rotation = listing();
    let signed_part = rotation.signed_mut();
    signed_part.clear();
    let members = json!({ "_type": "rotate", "version": 1, "role": "team", "keys": {}, "threshold": 1 });
    signed_part.extend(members.as_object().unwrap().clone());
    sign_as(&mut rotation, TEAM, &signer(TEAM).key_id());
    repository.snapshot.set_meta("team.json", &meta_of(1, &rotation.to_bytes()));
    repository.files.insert("team".into(), rotation.to_bytes());
    repository.relink();
    assert_eq!(
        why(find(&repository)),
        "delegated role \"team\" expected type \"targets\", got \"rotate\" (TUF 5.6.3)"
    );
}

// TAP 16: a timestamp with a tree of hashes instead of a snapshot.

#[test]
fn a_timestamp_without_a_snapshot_is_refused() {
    let mut repository = Repository::new();
    repository.timestamp.signed_mut().insert("merkle_root".into(), json!("00"));
    repository.timestamp.signed_mut()["meta"] = json!({});
    let bytes = signed(&repository.timestamp, &[TIMESTAMP]);
    let refused = why(repository.current().timestamp(None, &bytes));
    assert!(refused.starts_with("timestamp is malformed: missing field `snapshot.json`"), "{refused}");
}

// TAP 17: another envelope.

#[test]
fn a_dsse_envelope_is_refused() {
    let envelope = json!({ "payload": "e30=", "payloadType": "application/vnd.tuf+json", "signatures": [] });
    let bytes = serde_json::to_vec(&envelope).unwrap();
    let refused = why(TrustedRoot::bootstrap(&bytes, now(), crypto::default()));
    assert!(refused.starts_with("root is malformed: missing field `signed`"), "{refused}");
}

// TAP 18: a key that is an identity.

#[test]
fn an_identity_in_the_place_of_a_key_signs_nothing() {
    let mut repository = delegating(|delegations| {
        let key = json!({ "keytype": "sigstore-oidc", "scheme": "Fulcio",
                          "keyval": { "identity": "a@example.com", "issuer": "https://issuer.example.com" } });
        delegations["keys"] = json!({ "identity": key });
        delegations["roles"][0]["keyids"] = json!(["identity"]);
    });
    let mut document = listing();
    sign_as(&mut document, TEAM, "identity");
    repository.snapshot.set_meta("team.json", &meta_of(1, &document.to_bytes()));
    repository.files.insert("team".into(), document.to_bytes());
    repository.relink();
    assert_eq!(
        why(find(&repository)),
        "delegated role \"team\" needs 1 good signature(s) of distinct keys, got 0 of 1 present (TUF 5.6.3)"
    );
}

// TAP 19: a target that is named by an identifier, with no hash.

#[test]
fn a_target_without_a_hash_that_we_know_is_refused_whatever_its_bytes() {
    let stating = |target: Value| {
        let mut repository = Repository::new();
        repository.targets.signed_mut()["targets"][PATH] = target;
        repository.relink();
        find(&repository)
    };
    let target = stating(json!({ "length": 3, "hashes": { "gitoid": "00" } })).unwrap().unwrap();
    let reason = target.check(b"web").unwrap_err().to_string();
    assert_eq!(reason, "expected a sha256 or sha512 hash, got gitoid");
    for (target, expected) in [
        (json!({ "length": 3 }), "missing field `hashes`"),
        (json!({ "length": 3, "hashes": {} }), "expected at least one hash, got none"),
    ] {
        let refused = why(stating(target));
        assert!(refused.starts_with(&format!("targets is malformed: {expected}")), "{refused}");
    }
}
