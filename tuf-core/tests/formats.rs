//! Formats: what is kept, what is canonical, and a repository that others made.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod support;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use support::{ROOT, Repository, TIMESTAMP, at, now, signed, signer, why};
use tuf_core::authoring::Document;
use tuf_core::canonical::{canonical_value, canonicalise};
use tuf_core::crypto::Sign as _;
use tuf_core::schema::Target;
use tuf_core::{Step, TrustedRoot, crypto};

#[test]
fn members_that_we_do_not_know_survive_and_the_signature_stays_good() {
    let mut root = Repository::new().root;
    root.signed_mut().insert("x-future".into(), json!({ "z": [1, null, true], "a": "q\"\\\n\u{e9}" }));
    root.signed_mut()["roles"]["root"]["x-note"] = json!("kept");
    let once = signed(&root, &[ROOT]);
    let again = Document::parse(&once).unwrap().to_bytes();
    assert_eq!(again, once);
    let value: Value = serde_json::from_slice(&again).unwrap();
    assert_eq!(value["signed"]["x-future"]["z"], json!([1, null, true]));
    assert_eq!(value["signed"]["roles"]["root"]["x-note"], "kept");
    assert_eq!(TrustedRoot::bootstrap(&again, now(), crypto::default()).unwrap().version(), 1);
}

#[test]
fn a_large_document_is_written_from_the_text_that_was_signed() {
    let target = |number: u64| Target {
        length: number,
        hashes: [("sha256".into(), "0".repeat(64))].into(),
        custom: None,
    };
    let (one, other) = (signer(ROOT), signer(TIMESTAMP));
    for escaped in [false, true] {
        let empty = Document::targets(at("2030-01-01T00:00:00Z")).to_bytes();
        let mut document = Document::parse_listed(&empty).unwrap();
        for number in 0..12_000 {
            document.set_target(&format!("image:{number}"), &target(number)).unwrap();
        }
        if escaped {
            document.set_target("a\"b", &target(1)).unwrap();
        }
        assert!(document.to_bytes().len() > 1 << 20);
        document.sign(&one, crypto::default()).unwrap();
        document.sign(&other, crypto::default()).unwrap();
        let (same, expected) = (document.clone(), document.to_bytes());
        assert_eq!(document.take_bytes(), expected);
        assert_eq!(document, same);
        assert_eq!(document.take_bytes(), expected, "once more, when there is no text left");
        let read = Document::parse(&expected).unwrap();
        let ids: Vec<&str> = read.signed_by().collect();
        assert_eq!(ids.len(), 2);
        let message = read.canonical().unwrap();
        for signer in [&one, &other] {
            let (_, signature) = read.signatures().find(|(id, _)| *id == signer.key_id()).unwrap();
            let signature = tuf_core::hash::unhex(signature).unwrap();
            assert!(crypto::default().verify(&signer.key().material().unwrap(), &message, &signature));
        }

        // Whatever changes it, what was signed isn't written any more.
        let changes: [fn(&mut Document); 5] = [
            |document| document.set_version(7),
            |document| {
                document.set_target("new", &Target { length: 1, hashes: [].into(), custom: None }).unwrap()
            },
            |document| assert!(document.remove_target("image:5")),
            |document| document.set_expires(at("2031-01-01T00:00:00Z")),
            Document::clear_targets,
        ];
        for change in changes {
            let mut changed = same.clone();
            change(&mut changed);
            assert_eq!(changed.signed_by().count(), 0);
            let expected = changed.to_bytes();
            assert_eq!(changed.take_bytes(), expected);
        }
    }
}

#[test]
fn the_canonical_form_is_that_of_olpc() {
    let cases: &[(&str, &str, &str)] = &[
        ("empty", "{ }", "{}"),
        ("list", "[ 1 , 2 , 3 ]", "[1,2,3]"),
        ("keys are sorted", r#"{"b":2,"a":1,"B":0}"#, r#"{"B":0,"a":1,"b":2}"#),
        ("quote and backslash", r#"["\"\\"]"#, r#"["\"\\"]"#),
        ("a slash is not escaped", r#"["\/"]"#, r#"["/"]"#),
        ("control characters stand for themselves", r#"["\n\t\u0001"]"#, "[\"\n\t\u{1}\"]"),
        ("other characters are UTF-8", r#"["\u00e9\ud83d\ude00"]"#, "[\"\u{e9}\u{1f600}\"]"),
        ("constants", "[true,false,null,-7]", "[true,false,null,-7]"),
        ("code points, not UTF-16", "{\"\u{1f600}\":1,\"\u{ffee}\":2}", "{\"\u{ffee}\":2,\"\u{1f600}\":1}"),
    ];
    for (name, text, expected) in cases {
        let canonical = canonicalise(text.as_bytes()).expect(name);
        assert_eq!(String::from_utf8(canonical).unwrap(), *expected, "{name}");
        let value: Value = serde_json::from_str(text).unwrap();
        assert_eq!(canonical_value(&value).unwrap(), expected.as_bytes(), "{name}");
    }
}

fn root_expiring(text: &str) -> Vec<u8> {
    let mut root = Repository::new().root;
    root.signed_mut()["expires"] = text.into();
    signed(&root, &[ROOT])
}

#[test]
fn times_with_an_offset_or_a_fraction_are_read() {
    for (text, moment) in [
        ("2030-06-01T00:00:00Z", "2030-06-01T00:00:00Z"),
        ("2030-06-01T02:00:00+02:00", "2030-06-01T00:00:00Z"),
        ("2030-05-31T19:30:00-04:30", "2030-06-01T00:00:00Z"),
        ("2030-06-01T00:00:00.250Z", "2030-06-01T00:00:00.250Z"),
    ] {
        let root = TrustedRoot::bootstrap(&root_expiring(text), now(), crypto::default()).unwrap();
        assert_eq!(root.current().unwrap().expires(), at(moment), "{text}");
    }
}

#[test]
fn times_that_only_a_lenient_reader_takes_are_refused() {
    for text in [
        "2030-06-01 00:00:00Z",
        "2030-06-01t00:00:00Z",
        "2030-06-01T00:00:00z",
        "0000-06-01T00:00:00Z",
        "2030-06-01T00:00:60Z",
        "2030-6-1T0:0:0Z",
        "2030-06-01T00:00:00",
        "2030-06-01",
        "tomorrow",
        "",
    ] {
        let refused = why(TrustedRoot::bootstrap(&root_expiring(text), now(), crypto::default()));
        let expected =
            format!("root is malformed: expected a time such as 2030-01-31T00:00:00Z, got \"{text}\"");
        assert!(refused.starts_with(&expected), "{refused}");
    }
}

/// The metadata of Docker's repository, made with tuf-on-ci. Where it is absent that is said aloud,
/// past the capture of the test harness.
fn docker() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/formats/tuf-docker/metadata");
    if !folder.is_dir() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: there is no tuf-docker repository here");
        return None;
    }
    Some(folder)
}

/// The day before its timestamp expired.
const DOCKER_DAY: &str = "2024-12-04T00:00:00Z";

#[test]
fn a_repository_made_by_others_is_followed_to_the_end() {
    let Some(folder) = docker() else { return };
    let read = |file: &str| std::fs::read(folder.join(file)).unwrap();
    let first = read("root_history/1.root.json");
    let root = TrustedRoot::bootstrap(&first, at(DOCKER_DAY), crypto::default()).unwrap();
    let current = root.current().unwrap();
    assert_eq!(current.expires(), at("2025-06-04T15:05:22Z"));
    let timestamp = current.timestamp(None, &read("timestamp.json")).unwrap();
    let snapshot = timestamp.snapshot(None, &read("snapshot.json")).unwrap();
    let targets = snapshot.targets(&read("targets.json")).unwrap();
    assert_eq!((timestamp.version(), snapshot.version(), targets.version()), (141, 10, 7));
    let listed = |role: &str| -> Vec<String> {
        let value: Value = serde_json::from_slice(&read(&format!("{role}.json"))).unwrap();
        value["signed"]["targets"].as_object().unwrap().keys().cloned().collect()
    };
    let paths: Vec<String> = ["testing", "doi", "rekor"].iter().flat_map(|role| listed(role)).collect();
    assert!(!paths.is_empty());
    for path in paths {
        let mut search = snapshot.search(targets.clone(), &path);
        loop {
            match search.step().unwrap() {
                Step::Need(wanted) => {
                    search.supply(&read(&format!("{}.json", wanted.role.name()))).unwrap();
                }
                Step::Found { .. } => break,
                Step::NotFound(_) => panic!("{path} was not found"),
            }
        }
    }
}

#[test]
fn a_repository_made_by_others_expires_and_can_be_tampered_with() {
    let Some(folder) = docker() else { return };
    let read = |file: &str| std::fs::read(folder.join(file)).unwrap();
    let root = TrustedRoot::bootstrap(&read("root.json"), at("2025-01-01T00:00:00Z"), crypto::default());
    let current = root.unwrap().current().unwrap();
    assert_eq!(
        why(current.timestamp(None, &read("timestamp.json"))),
        "timestamp expired at 2024-12-05T13:25:18Z, and it is now 2025-01-01T00:00:00Z (TUF 5.4.4)"
    );
    let longer = String::from_utf8(read("timestamp.json")).unwrap().replace("2024-12-05", "2034-12-05");
    assert_eq!(
        why(current.timestamp(None, longer.as_bytes())),
        "timestamp needs 1 good signature(s) of distinct keys, got 0 of 1 present (TUF 5.4.2)"
    );
}

#[test]
fn a_list_in_the_place_of_an_object_is_refused() {
    // A reader that takes the elements for the members, in whatever order, is alone with that.
    let root = |change: fn(&mut Value)| {
        let mut root = Repository::new().root;
        let mut value = Value::Object(root.signed().clone());
        change(&mut value);
        *root.signed_mut() = value.as_object().unwrap().clone();
        why(TrustedRoot::bootstrap(&signed(&root, &[ROOT]), now(), crypto::default()))
    };
    let listed = |value: &Value| Value::Array(value.as_object().unwrap().values().cloned().collect());
    assert!(root(|signed| signed["roles"]["root"] = json!([["id"], 1])).contains("is malformed"));
    assert!(root(|signed| signed["roles"] = json!([1, 2, 3, 4])).contains("is malformed"));
    let key = root(|signed| {
        let key = signed["keys"].as_object_mut().unwrap().values_mut().next().unwrap();
        *key = json!(["ed25519", "ed25519", { "public": "00" }]);
    });
    assert!(key.contains("is malformed: invalid type: sequence"), "{key}");
    let public = root(|signed| {
        for key in signed["keys"].as_object_mut().unwrap().values_mut() {
            key["keyval"] = json!([key["keyval"]["public"]]);
        }
    });
    assert!(public.contains("is malformed: invalid type: sequence"), "{public}");

    let repository = Repository::new();
    let mut envelope: Value = serde_json::from_slice(&repository.root_bytes()).unwrap();
    envelope["signatures"][0] = listed(&envelope["signatures"][0]);
    let bytes = serde_json::to_vec(&envelope).unwrap();
    let refused = why(TrustedRoot::bootstrap(&bytes, now(), crypto::default()));
    assert!(refused.contains("is malformed: invalid type: sequence"), "{refused}");

    let mut repository = Repository::new();
    repository.targets.signed_mut()["targets"] = json!({ "web": [3, { "sha256": "00" }] });
    repository.relink();
    let refused = why(repository.snap().targets(&repository.targets_bytes()));
    assert!(refused.contains("is malformed: invalid type: sequence"), "{refused}");
    let mut repository = Repository::new();
    repository.snapshot.signed_mut()["meta"]["app.json"] = json!([1]);
    repository
        .timestamp
        .set_meta("snapshot.json", &tuf_core::authoring::meta_of(1, &repository.snapshot_bytes()));
    let refused = why(repository.fresh().snapshot(None, &repository.snapshot_bytes()));
    assert!(refused.contains("is malformed: invalid type: sequence"), "{refused}");
}
