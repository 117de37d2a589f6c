//! Keyless statements about a SHA-256, accepted to the end: by Rekor 1, and by Rekor 2 with a time stamp. The data came
//! with the packages of the library that judges them, made by other tools; the demands on it here are ours.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod packages;

use std::collections::BTreeMap;

use chrono::Utc;
use image_evidence::{Context, Form, Identity, Piece, Refusal, SigstoreRoot, Trust, Verified};
use oci_image::{Descriptor, media};
use packages::{bundle, trusted_root};
use serde_json::{Value, json};

/// A bundle, and the root under which it was made.
fn case(name: &str, root: &str) -> Option<(Vec<u8>, Trust)> {
    let (bundle, root) = (bundle(name)?, trusted_root(root)?);
    Some((bundle, Trust { sigstore: Some(SigstoreRoot::from_json(&root).unwrap()), ..Trust::default() }))
}

fn weigh(bundle: &[u8], trust: &Trust, hex: &str) -> Result<Verified, Refusal> {
    let digest = format!("sha256:{hex}").parse().unwrap();
    let image = Descriptor { digest, size: 1, ..Descriptor::of(media::OCI_MANIFEST, b"") };
    let context = Context { image: &image, repository: "r.io/x", now: Utc::now() };
    Piece { form: Form::Bundle, bytes: bundle, annotations: &BTreeMap::new() }.verify(&context, trust)
}

const ABOUT: &str = "54303491a8418fbed24344b513546182c29b43bf282ceb433af65e2299f9271f";
const KIND: &str = "https://schemas.conda.org/attestations-publish-1.schema.json";

#[test]
fn by_either_log_it_counts_for_its_identity_and_its_subject_and_each_missing_proof_is_refused() {
    for (name, root) in [
        ("conda-attestation.sigstore.json", "trusted_root.json"),
        ("conda-attestation-rekor2.sigstore.json", "trusted_root_staging.json"),
    ] {
        let Some((bundle, mut trust)) = case(name, root) else { return };
        let Refusal::Signer { got, .. } = weigh(&bundle, &trust, ABOUT).unwrap_err() else {
            panic!("{name}")
        };
        let (subject, issuer) = got.split_once(" by ").unwrap();
        trust.identities = vec![Identity { subject: subject.into(), issuer: issuer.into() }];
        let verified = weigh(&bundle, &trust, ABOUT).unwrap();
        assert_eq!(verified.claim.predicate_type(), KIND);
        assert_eq!(verified.signers[0].to_string(), got);
        assert_eq!(weigh(&bundle, &trust, &"a".repeat(64)).unwrap_err().reason(), "other-subject");
        let changed = |change: &dyn Fn(&mut Value)| {
            let mut document: Value = serde_json::from_slice(&bundle).unwrap();
            change(&mut document["verificationMaterial"]);
            weigh(document.to_string().as_bytes(), &trust, ABOUT)
        };
        for (what, outcome) in [
            ("no log", changed(&|material| material["tlogEntries"] = json!([]))),
            ("no inclusion", changed(&|material| material["tlogEntries"][0]["inclusionProof"] = Value::Null)),
            (
                "another root hash",
                changed(&|material| {
                    material["tlogEntries"][0]["inclusionProof"]["rootHash"] = json!("AAAA");
                }),
            ),
            (
                "another entry",
                changed(&|material| {
                    material["tlogEntries"][0]["canonicalizedBody"] = json!("e30=");
                }),
            ),
        ] {
            let refusal = outcome.map(|_| ()).unwrap_err();
            assert!(["log", "malformed"].contains(&refusal.reason()), "{name}, {what}: {refusal}");
        }
    }
}

#[test]
fn a_time_stamp_is_needed_where_the_log_has_no_clock() {
    let Some((bundle, trust)) = case("conda-attestation-rekor2.sigstore.json", "trusted_root_staging.json")
    else {
        return;
    };
    let mut document: Value = serde_json::from_slice(&bundle).unwrap();
    document["verificationMaterial"]["timestampVerificationData"] = json!({ "rfc3161Timestamps": [] });
    let refusal = weigh(document.to_string().as_bytes(), &trust, ABOUT).unwrap_err();
    assert_eq!(refusal.reason(), "log", "{refusal}");
}

#[test]
fn under_another_root_it_is_worth_nothing() {
    let Some((bundle, trust)) = case("conda-attestation-rekor2.sigstore.json", "trusted_root.json") else {
        return;
    };
    let refusal = weigh(&bundle, &trust, ABOUT).unwrap_err();
    assert!(["log", "certificate"].contains(&refusal.reason()), "{refusal}");
}

#[test]
fn what_was_never_logged_is_refused_though_its_time_stamp_is_good() {
    let Some((bundle, trust)) = case("github-private-attestation.sigstore.json", "trusted_root_github.json")
    else {
        return;
    };
    let about = "76f1fe8593bf227cca2c089e3c16dc95014a8d3e89c5dd220530469ca043c428";
    assert_eq!(weigh(&bundle, &trust, about).unwrap_err().reason(), "log");
}

/// The log of certificates, that of signatures, the authority and, where the log has no clock, that of time stamps.
#[test]
fn whoever_must_vouch_for_it_and_is_not_in_the_root_or_has_another_key_makes_it_worth_nothing() {
    // The first has its time from the log. The log of the second has a kind of key that one of certificates has not.
    for (name, root, stamps, other_log) in [
        ("conda-attestation.sigstore.json", "trusted_root.json", None, "log"),
        ("conda-attestation-rekor2.sigstore.json", "trusted_root_staging.json", Some("log"), "no root"),
    ] {
        let (Some(bundle), Some(root)) = (bundle(name), trusted_root(root)) else { return };
        let root: Value = serde_json::from_str(&root).unwrap();
        let outcome = |root: &Value| {
            let root = SigstoreRoot::from_json(&root.to_string());
            let Ok(root) = root else { return "no root".to_owned() };
            let trust = Trust { sigstore: Some(root), ..Trust::default() };
            weigh(&bundle, &trust, ABOUT).unwrap_err().reason().to_owned()
        };
        assert_eq!(outcome(&root), "other-signer", "all but whom it is by was verified");
        for (part, reason) in [
            ("ctlogs", "log"),
            ("tlogs", "log"),
            ("certificateAuthorities", "certificate"),
            ("timestampAuthorities", stamps.unwrap_or("other-signer")),
        ] {
            let mut without = root.clone();
            without[part] = json!([]);
            assert_eq!(outcome(&without), reason, "{name}, no {part}");
        }
        for (logs, reason) in [("ctlogs", "certificate"), ("tlogs", other_log)] {
            let mut other = root.clone();
            let stranger = other[if logs == "tlogs" { "ctlogs" } else { "tlogs" }][0]["publicKey"].clone();
            for log in other[logs].as_array_mut().unwrap() {
                log["publicKey"] = stranger.clone();
            }
            assert_eq!(outcome(&other), reason, "{name}, another key of {logs}");
        }
    }
}
