//! What counts as a signature, and what counts for nothing but does no harm.
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
use support::foreign::{Foreign, without_openssl};
use support::{ROOT, Repository, now, signed, signer, why};
use tuf_core::authoring::Document;
use tuf_core::crypto::{self, Sign as _};
use tuf_core::hash::{hex, unhex};
use tuf_core::{Refusal, Role, TrustedRoot};

fn bootstrap(bytes: &[u8]) -> Result<TrustedRoot, Refusal> {
    TrustedRoot::bootstrap(bytes, now(), crypto::default())
}

fn too_few(need: u32, got: u32, present: usize) -> String {
    format!("root needs {need} good signature(s) of distinct keys, got {got} of {present} present (TUF 5.2)")
}

/// A root whose signed part is changed before the root key signs it.
fn root_with(change: impl FnOnce(&mut Document)) -> Vec<u8> {
    let mut root = Repository::new().root;
    change(&mut root);
    signed(&root, &[ROOT])
}

#[test]
fn one_key_twice_is_malformed() {
    let mut envelope: Value = serde_json::from_slice(&Repository::new().root_bytes()).unwrap();
    let one = envelope["signatures"][0].clone();
    envelope["signatures"].as_array_mut().unwrap().push(one);
    let id = signer(ROOT).key_id();
    assert_eq!(
        why(bootstrap(&serde_json::to_vec(&envelope).unwrap())),
        format!("root is malformed: key \"{id}\" signed twice (TUF 5.2)")
    );
}

#[test]
fn one_key_under_two_ids_is_one_signature() {
    let mut root = Repository::new().root;
    let key = signer(ROOT).key().to_value();
    root.signed_mut()["keys"]["alias"] = key;
    root.signed_mut()["roles"]["root"]["keyids"].as_array_mut().unwrap().push("alias".into());
    root.set_threshold(&Role::Root, 2);
    let signature = hex(&signer(ROOT).sign(&root.canonical().unwrap()).unwrap());
    root.add_signature(&signer(ROOT).key_id(), &signature);
    root.add_signature("alias", &signature);
    assert_eq!(why(bootstrap(&root.to_bytes())), too_few(2, 1, 2));
}

#[test]
fn two_keys_of_two_meet_a_threshold_of_two_and_one_does_not() {
    let mut root = Repository::new().root;
    root.add_key(&Role::Root, signer(9).key());
    root.set_threshold(&Role::Root, 2);
    assert_eq!(why(bootstrap(&signed(&root, &[ROOT]))), too_few(2, 1, 1));
    let current = bootstrap(&signed(&root, &[ROOT, 9])).unwrap().current().unwrap();
    assert_eq!((current.signers().threshold, current.signers().key_ids.len()), (2, 2));
}

#[test]
fn a_useless_signature_spoils_no_good_one() {
    let mut root = Repository::new().root;
    root.add_key(&Role::Root, signer(9).key());
    let listed = signer(9).key_id();
    let cases = [
        ("empty", listed.as_str(), String::new()),
        ("not hex", &listed, "zz".to_owned()),
        ("odd hex", &listed, "abc".to_owned()),
        ("wrong", &listed, "00".repeat(64)),
        ("of a key nobody lists", "nobody", "00".repeat(64)),
    ];
    for (name, id, signature) in cases {
        let mut beside = Document::parse(&signed(&root, &[ROOT])).unwrap();
        beside.add_signature(id, &signature);
        let current = bootstrap(&beside.to_bytes()).expect(name).current().unwrap();
        assert_eq!(current.signers().key_ids, [signer(ROOT).key_id()], "{name}");
        let mut alone = root.clone();
        alone.add_signature(id, &signature);
        assert_eq!(why(bootstrap(&alone.to_bytes())), too_few(1, 0, 1), "{name}");
    }
}

#[test]
fn a_key_that_cannot_be_read_is_skipped() {
    let cases = [
        ("unknown type", json!({ "keytype": "sphincs", "scheme": "x", "keyval": { "public": "00" } })),
        ("unknown value", json!({ "keytype": "oidc", "scheme": "x", "keyval": { "identity": "a" } })),
        ("short", json!({ "keytype": "ed25519", "scheme": "ed25519", "keyval": { "public": "00" } })),
    ];
    for (name, key) in cases {
        let bytes = root_with(|root| {
            root.signed_mut()["keys"]["odd"] = key;
            root.signed_mut()["roles"]["root"]["keyids"].as_array_mut().unwrap().push("odd".into());
        });
        let mut document = Document::parse(&bytes).unwrap();
        document.add_signature("odd", "00");
        bootstrap(&document.to_bytes()).expect(name);
    }
}

#[test]
fn a_threshold_of_zero_is_refused() {
    let refused = why(bootstrap(&root_with(|root| root.set_threshold(&Role::Root, 0))));
    assert!(refused.starts_with("root is malformed: invalid value: integer `0`"), "{refused}");
    assert!(refused.ends_with("(TUF 5.2)"), "{refused}");
}

#[test]
fn keyid_hash_algorithms_are_ignored_whatever_they_are() {
    for odd in [json!(["sha256", "sha512"]), json!("sha256"), json!(7), json!(null), json!({})] {
        bootstrap(&root_with(|root| {
            for key in root.signed_mut()["keys"].as_object_mut().unwrap().values_mut() {
                key["keyid_hash_algorithms"] = odd.clone();
            }
        }))
        .expect("an odd keyid_hash_algorithms");
    }
}

#[test]
fn any_minor_version_of_the_specification_is_read_and_no_other_major() {
    let with = |version: &str| root_with(|root| root.signed_mut()["spec_version"] = version.into());
    for version in ["1", "1.0", "1.99", "1.0.34"] {
        bootstrap(&with(version)).expect(version);
    }
    for version in ["2.0.0", "10.0", "0.9", "", "v1"] {
        let sentence = format!("root expected specification version 1.x, got \"{version}\" (TUF 5.2)");
        assert_eq!(why(bootstrap(&with(version))), sentence);
    }
}

#[test]
fn ecdsa_signatures_of_openssl_are_good_under_keys_in_pem_and_in_hex() {
    if without_openssl() {
        return;
    }
    for (curve, scheme, hash, length) in
        [("P-256", "ecdsa-sha2-nistp256", "-sha256", 65), ("P-384", "ecdsa-sha2-nistp384", "-sha384", 97)]
    {
        let foreign = Foreign::new(&format!("-algorithm EC -pkeyopt ec_paramgen_curve:{curve}"));
        for public in [foreign.pem.clone(), foreign.point(length)] {
            for keytype in ["ecdsa", scheme] {
                let good = foreign.root((keytype, scheme), &public, hash);
                assert!(bootstrap(&good.to_bytes()).is_ok(), "{curve} as {keytype} {public}");
            }
        }
        let other_hash = foreign.root(("ecdsa", scheme), &foreign.pem, "-sha512");
        assert_eq!(why(bootstrap(&other_hash.to_bytes())), too_few(1, 0, 1), "{curve}");
    }
}

#[test]
fn one_point_in_pem_and_in_hex_is_one_signature() {
    if without_openssl() {
        return;
    }
    let foreign = Foreign::new("-algorithm EC -pkeyopt ec_paramgen_curve:P-256");
    let mut root = foreign.root(("ecdsa", "ecdsa-sha2-nistp256"), &foreign.pem, "-sha256");
    let key = json!({ "keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256",
                      "keyval": { "public": foreign.point(65) } });
    root.signed_mut()["keys"]["hex"] = key;
    root.signed_mut()["roles"]["root"] = json!({ "keyids": ["foreign", "hex"], "threshold": 2 });
    for id in ["foreign", "hex"] {
        let signature = foreign.sign(&root.canonical().unwrap(), "-sha256");
        root.add_signature(id, &signature);
    }
    assert_eq!(why(bootstrap(&root.to_bytes())), too_few(2, 1, 2));
}

#[test]
fn rsa_pss_is_good_with_a_salt_as_long_as_the_hash_and_with_no_other() {
    if without_openssl() {
        return;
    }
    let foreign = Foreign::new("-algorithm RSA -pkeyopt rsa_keygen_bits:2048");
    for (bits, salt) in [(256, 32), (384, 48), (512, 64)] {
        let scheme = format!("rsassa-pss-sha{bits}");
        let root = |salt: u32| {
            let padding = "-sigopt rsa_padding_mode:pss -sigopt rsa_pss_saltlen:";
            foreign.root(("rsa", &scheme), &foreign.pem, &format!("-sha{bits} {padding}{salt}")).to_bytes()
        };
        assert!(bootstrap(&root(salt)).is_ok(), "{scheme}");
        for other in [0, 20, salt + 1] {
            assert_eq!(why(bootstrap(&root(other))), too_few(1, 0, 1), "{scheme} with salt {other}");
        }
        let pkcs1 = foreign.root(("rsa", &scheme), &foreign.pem, &format!("-sha{bits}"));
        assert_eq!(why(bootstrap(&pkcs1.to_bytes())), too_few(1, 0, 1), "{scheme} by PKCS#1 v1.5");
    }
}

#[test]
fn a_changed_message_has_no_good_signature() {
    let mut envelope: Value = serde_json::from_slice(&Repository::new().root_bytes()).unwrap();
    assert_eq!(unhex(envelope["signatures"][0]["sig"].as_str().unwrap()).unwrap().len(), 64);
    envelope["signed"]["consistent_snapshot"] = false.into();
    assert_eq!(why(bootstrap(&serde_json::to_vec(&envelope).unwrap())), too_few(1, 0, 1));
}
