//! Seeds of the targets that read one document: the signed parts alone, because the harnesses sign them.

use serde_json::{Value, json};
use tuf_core::authoring::Document;
use tuf_core::crypto::Sign as _;
use tuf_core::schema::Target;

use super::{Named, named, pretty};
use crate::ground::{ROOT, SNAPSHOT, TARGETS, TIMESTAMP, later, root, sealed};
use crate::receipt;
use crate::seal::{Sealer, enveloped, sha256};

fn id(number: u8) -> String {
    Sealer::numbered(number).key_id()
}

fn key(number: u8) -> Value {
    Sealer::numbered(number).key().to_value()
}

/// A document's signed part, changed.
fn signed(document: Document, change: impl FnOnce(&mut Value)) -> String {
    let mut value = Value::Object(document.signed().clone());
    change(&mut value);
    value.to_string()
}

fn second(change: impl FnOnce(&mut Value)) -> String {
    let mut root = root();
    root.set_version(2);
    signed(root, change)
}

pub(super) fn roots() -> Named {
    let new = json!({ "keyids": [id(9)], "threshold": 1 });
    named(&[
        ("good-next", second(|_| {})),
        ("good-unknown-members", second(|root| root["x-note"] = json!({ "b": ["\u{1}", null], "a": 1 }))),
        ("good-inconsistent", second(|root| root["consistent_snapshot"] = false.into())),
        ("good-mirrors-role", second(|root| root["roles"]["mirrors"] = new.clone())),
        (
            "good-unused-key",
            second(|root| {
                root["keys"]["somebody"] = json!({ "keytype": "sigstore-oidc",
            "scheme": "Fulcio", "keyval": { "identity": "a@example.com" }, "keyid_hash_algorithms": "md5" })
            }),
        ),
        (
            "good-rotated-timestamp",
            second(|root| {
                root["keys"][id(9)] = key(9);
                root["roles"]["timestamp"] = new.clone();
            }),
        ),
        (
            "good-rotated-under-an-alias",
            second(|root| {
                root["keys"]["alias"] = key(TIMESTAMP);
                root["roles"]["timestamp"] = json!({ "keyids": ["alias"], "threshold": 1 });
            }),
        ),
        ("good-impossible-threshold", second(|root| root["roles"]["snapshot"]["threshold"] = 9.into())),
        ("good-no-keys", second(|root| root["roles"]["targets"]["keyids"] = json!([]))),
        ("good-minor", second(|root| root["spec_version"] = "1.99".into())),
        ("good-offset", second(|root| root["expires"] = "2030-06-01T12:00:00+02:00".into())),
        ("bad-version-1", second(|root| root["version"] = 1.into())),
        ("bad-version-3", second(|root| root["version"] = 3.into())),
        ("bad-version-0", second(|root| root["version"] = 0.into())),
        ("bad-version-text", second(|root| root["version"] = "2".into())),
        ("bad-expired", second(|root| root["expires"] = "2029-01-01T00:00:00Z".into())),
        ("bad-expires", second(|root| root["expires"] = "tomorrow".into())),
        ("bad-type", second(|root| root["_type"] = "targets".into())),
        ("bad-major", second(|root| root["spec_version"] = "2.0.0".into())),
        ("bad-threshold-0", second(|root| root["roles"]["root"]["threshold"] = 0.into())),
        ("bad-own-threshold", second(|root| root["roles"]["root"]["threshold"] = 2.into())),
        (
            "bad-key-listed-twice",
            second(|root| {
                root["roles"]["root"] = json!({ "keyids": [id(ROOT), id(ROOT)], "threshold": 1 });
            }),
        ),
        (
            "bad-no-role",
            second(|root| {
                root["roles"].as_object_mut().expect("an object").remove("snapshot");
            }),
        ),
        ("bad-others-key", second(|root| root["roles"]["root"] = new.clone())),
        ("bad-twice", second(|_| {}).replacen('{', "{\"version\":2,", 1)),
        ("bad-open", second(|_| {}).replacen("\"version\"", "", 1)),
    ])
}

pub(super) fn envelopes() -> Named {
    let root = root();
    let good = sealed(&root, &[ROOT]);
    let text = pretty(&good);
    let inner = signed(root, |_| {});
    let unsigned = |list: &str| format!("{{\"signatures\":{list},\"signed\":{inner}}}");
    let many: Vec<String> = (0..257).map(|n| format!("{{\"keyid\":\"{n}\",\"sig\":\"\"}}")).collect();
    let extra = format!("{{\"keyid\":\"{}\",\"sig\":\"\"}},", id(TARGETS));
    named(&[
        ("good-printed", good.clone()),
        ("good-pretty", text.clone().into_bytes()),
        ("good-short", enveloped(inner.as_bytes(), &[ROOT])),
        ("good-stranger-beside", enveloped(inner.as_bytes(), &[200, ROOT])),
        (
            "good-empty-beside",
            text.replacen("\"signatures\": [", &format!("\"signatures\": [{extra}"), 1).into_bytes(),
        ),
        ("good-unknown-member", text.replacen('{', "{\"x-note\": [1, {}],", 1).into_bytes()),
        ("bad-twice", enveloped(inner.as_bytes(), &[ROOT, ROOT])),
        ("bad-stranger", enveloped(inner.as_bytes(), &[200])),
        ("bad-none", unsigned("[]").into_bytes()),
        ("bad-signature-number", unsigned("[{\"keyid\":1,\"sig\":2}]").into_bytes()),
        ("bad-signatures-object", unsigned("{}").into_bytes()),
        ("bad-many", unsigned(&format!("[{}]", many.join(","))).into_bytes()),
        ("bad-two-signed", text.replacen('{', "{\"signed\": {},", 1).into_bytes()),
        ("bad-other-version", text.replacen("\"version\": 1", "\"version\": 2", 1).into_bytes()),
        ("bad-cut", good[..good.len() / 2].to_vec()),
        ("bad-list", b"[]".to_vec()),
    ])
}

fn timestamp(change: impl FnOnce(&mut Value)) -> String {
    signed(Document::timestamp(later()), |value| {
        value["meta"] = json!({ "snapshot.json": { "version": 4 } });
        change(value);
    })
}

pub(super) fn timestamps() -> Named {
    let hashes = json!({ "sha256": sha256(b""), "sha512": "00", "md5": "" });
    named(&[
        ("good-bare", timestamp(|_| {})),
        ("good-length", timestamp(|value| value["meta"]["snapshot.json"]["length"] = 123.into())),
        ("good-hashes", timestamp(|value| value["meta"]["snapshot.json"]["hashes"] = hashes)),
        ("good-other-file", timestamp(|value| value["meta"]["a.json"] = json!({}))),
        ("good-nanoseconds", timestamp(|value| value["x-at"] = 1_893_456_000_000_000_000_u64.into())),
        ("good-least", timestamp(|value| value["x-at"] = i64::MIN.into())),
        ("good-latest", timestamp(|value| value["version"] = u64::MAX.into())),
        ("good-unknown-member", timestamp(|value| value["x-note"] = "\u{0}".into())),
        ("bad-expired", timestamp(|value| value["expires"] = "2030-01-01T00:00:00Z".into())),
        ("bad-no-snapshot", timestamp(|value| value["meta"] = json!({}))),
        ("bad-version-0", timestamp(|value| value["meta"]["snapshot.json"]["version"] = 0.into())),
        ("bad-negative", timestamp(|value| value["version"] = (-1).into())),
        ("bad-hashes-none", timestamp(|value| value["meta"]["snapshot.json"]["hashes"] = json!({}))),
        ("bad-hashes-null", timestamp(|value| value["meta"]["snapshot.json"]["hashes"] = Value::Null)),
        ("bad-length-null", timestamp(|value| value["meta"]["snapshot.json"]["length"] = Value::Null)),
        ("bad-expires-space", timestamp(|value| value["expires"] = "2031-01-01 00:00:00Z".into())),
        ("bad-expires-small", timestamp(|value| value["expires"] = "2031-01-01t00:00:00z".into())),
        ("bad-hashes-list", timestamp(|value| value["meta"]["snapshot.json"]["hashes"] = json!([]))),
        ("bad-type", timestamp(|value| value["_type"] = "snapshot".into())),
        ("bad-key-number", timestamp(|value| value["meta"] = json!([TIMESTAMP, SNAPSHOT]))),
    ])
}

fn snapshot(change: impl FnOnce(&mut Value)) -> String {
    signed(Document::snapshot(later()), |value| {
        value["meta"] =
            json!({ "targets.json": { "version": 5 }, "dev.json": { "version": 1, "length": 7 } });
        change(value);
    })
}

pub(super) fn snapshots() -> Named {
    named(&[
        ("good-two", snapshot(|_| {})),
        ("good-hashes", snapshot(|value| value["meta"]["dev.json"]["hashes"] = json!({ "sha256": "ab" }))),
        (
            "good-odd-names",
            snapshot(|value| {
                for name in ["../up.json", "?.json", ".json", "no-suffix", "root.json", "a.json.json"] {
                    value["meta"][name] = json!({ "version": 2 });
                }
            }),
        ),
        (
            "good-many",
            snapshot(|value| {
                for number in 0..70 {
                    let odd = if number % 9 == 0 { "\"\n" } else { "" };
                    value["meta"][format!("f{number:02}{odd}.json")] = json!({ "version": number % 5 + 1 });
                }
            }),
        ),
        ("good-version-9", snapshot(|value| value["version"] = 9.into())),
        ("bad-no-targets", snapshot(|value| value["meta"] = json!({ "dev.json": { "version": 1 } }))),
        ("bad-version-0", snapshot(|value| value["meta"]["dev.json"]["version"] = 0.into())),
        ("bad-meta-list", snapshot(|value| value["meta"] = json!([]))),
        ("bad-hashes-none", snapshot(|value| value["meta"]["dev.json"]["hashes"] = json!({}))),
        ("bad-length-null", snapshot(|value| value["meta"]["dev.json"]["length"] = Value::Null)),
        ("bad-length-negative", snapshot(|value| value["meta"]["dev.json"]["length"] = (-1).into())),
        ("bad-expired", snapshot(|value| value["expires"] = "1970-01-01T00:00:00Z".into())),
        ("bad-expires-leap", snapshot(|value| value["expires"] = "2031-02-30T00:00:00Z".into())),
    ])
}

fn role(name: &str, paths: &[&str], terminating: bool) -> Value {
    json!({ "name": name, "keyids": [id(TARGETS)], "threshold": 1, "terminating": terminating, "paths": paths })
}

fn delegating(roles: &[Value]) -> String {
    listing(|value| value["delegations"] = json!({ "keys": { id(TARGETS): key(TARGETS) }, "roles": roles }))
}

fn listing(change: impl FnOnce(&mut Value)) -> String {
    let mut document = Document::targets(later());
    document.set_target("app/z", &Target::of(b"z")).expect("no custom");
    signed(document, change)
}

fn bins_value(bits: u32) -> Value {
    json!({ "keyids": [id(TARGETS)], "threshold": 1, "bit_length": bits, "name_prefix": "bin" })
}

fn bins(bits: u32) -> String {
    listing(|value| value["delegations"] = json!({ "keys": {}, "succinct_roles": bins_value(bits) }))
}

/// A role with one member of another value.
fn changed(member: &str, value: Value) -> Value {
    let mut role = role("dev", &["*"], false);
    role[member] = value;
    role
}

pub(super) fn targets() -> Named {
    let prefixes = |prefixes: &[&str]| {
        let mut role = role("hashed", &[], false);
        role.as_object_mut().expect("an object").remove("paths");
        role["path_hash_prefixes"] = json!(prefixes);
        role
    };
    let mut both = prefixes(&[""]);
    both["paths"] = json!(["*"]);
    named(&[
        ("good-one", listing(|_| {})),
        (
            "good-custom",
            listing(|value| value["targets"]["app/z"]["custom"] = json!({ "a": [null, "\u{1}"] })),
        ),
        (
            "good-odd-paths",
            listing(|value| {
                for path in ["", "/", "../x", "a\u{0}b", "\u{1f600}"] {
                    value["targets"][path] = json!({ "length": 0, "hashes": { "sha256": "" } });
                }
            }),
        ),
        ("good-delegating", delegating(&[role("dev", &["app/*"], false), role("ops", &["*/*", "?"], false)])),
        ("good-terminating", delegating(&[role("b", &["app/a"], true), role("dev", &["*/*"], false)])),
        (
            "good-many-roles",
            delegating(&["a", "b", "c", "d", "e", "f"].map(|name| role(name, &["app/?"], false))),
        ),
        (
            "good-odd-role-names",
            delegating(&["../up", "?", "2.root"].map(|name| role(name, &["*/a"], false))),
        ),
        ("good-prefixes", delegating(&[prefixes(&["", "0", "ab", "AB", "zz"])])),
        ("good-bins", bins(1)),
        ("good-bins-all", bins(32)),
        ("good-many", listing(|value| {
            for number in 0..100 {
                let odd = if number % 9 == 0 { "\"\n\u{e9}" } else { "" };
                value["targets"][format!("{number:02}{odd}")] = json!({ "length": number, "hashes": { "md5": "" } });
            }
        })),
        ("good-many-roles-hashed", delegating(&(0..70).map(|number| {
            json!({ "name": format!("r{number}"), "keyids": [], "threshold": 1, "terminating": false,
                    "path_hash_prefixes": [format!("{number:02x}")] })
        }).collect::<Vec<_>>())),
        ("good-custom-number", listing(|value| value["targets"]["app/z"]["custom"] = json!(u64::MAX))),
        ("bad-null-delegations", listing(|value| value["delegations"] = Value::Null)),
        ("bad-null-terminating", delegating(&[changed("terminating", Value::Null)])),
        ("bad-null-prefixes", delegating(&[changed("path_hash_prefixes", Value::Null)])),
        ("bad-role-without-name", delegating(&[role("", &["*"], false)])),
        ("bad-bins-and-no-roles", listing(|value| {
            value["delegations"] = json!({ "keys": {}, "roles": [], "succinct_roles": bins_value(1) });
        })),
        ("bad-delegations-to-nobody", listing(|value| value["delegations"] = json!({ "keys": {} }))),
        ("bad-target-no-hash", listing(|value| value["targets"]["x"] = json!({ "length": 0, "hashes": {} }))),
        ("bad-bins-none", bins(0)),
        ("bad-bins-many", bins(33)),
        ("bad-paths-and-prefixes", delegating(&[both])),
        ("bad-role-twice", delegating(&[role("dev", &["*"], false), role("dev", &["x"], true)])),
        ("bad-top-level-name", delegating(&[role("snapshot", &["*"], false)])),
        (
            "bad-threshold-0",
            delegating(&[role("dev", &["*"], false)]).replacen("\"threshold\":1", "\"threshold\":0", 1),
        ),
        ("bad-no-length", listing(|value| value["targets"]["x"] = json!({ "hashes": {} }))),
        ("bad-no-targets", listing(|value| value["targets"] = Value::Null)),
    ])
}

pub(super) fn receipts() -> Named {
    let of = |change: fn(&mut Value)| {
        let mut value: Value = serde_json::from_slice(&receipt::honest()).expect("a receipt is JSON");
        change(&mut value);
        value.to_string()
    };
    named(&[
        ("good-honest", of(|_| {})),
        ("good-unknown-member", of(|value| value["x-note"] = 1.into())),
        ("good-other-signers", of(|value| value["key_ids"] = json!(["somebody"]))),
        ("forged-marks", of(|value| value["members"][2]["marks"] = json!([4_294_967_295_u32, 7, 7, 0]))),
        ("forged-count", of(|value| value["members"][2]["count"] = u32::MAX.into())),
        (
            "forged-span",
            of(|value| {
                value["members"][0]["start"] = 9_000_000.into();
                value["members"][3]["end"] = 0.into();
            }),
        ),
        (
            "forged-members-twice",
            of(|value| {
                let first = value["members"][0].clone();
                value["members"].as_array_mut().expect("a list").push(first);
            }),
        ),
        ("bad-no-members", of(|value| value["members"] = json!([]))),
        ("bad-form", of(|value| value["form"] = 3.into())),
        ("bad-role", of(|value| value["role"] = "dev".into())),
        ("bad-authority", of(|value| value["authority"] = "".into())),
        ("bad-length", of(|value| value["length"] = 1.into())),
        ("bad-hash", of(|value| value["sha256"] = sha256(b"").into())),
        ("bad-list", "[]".to_owned()),
        ("bad-empty", String::new()),
    ])
}
