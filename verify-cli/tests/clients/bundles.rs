//! Bundles that name their key, as sigstore-js and npm write them, and bundles of a signature alone, beside cosign 3.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image_signatures::{BUNDLE, Format, key_fingerprint};
use oci_image::{Descriptor, ImageSource as _, Selector};
use serde_json::{Value, json};
use tuf_core::crypto::Sign;

use crate::beside_them::{Matrix, expect_same};
use crate::stage::{COSIGN_SIGN, Kind, Stage};

fn attach(stage: &Stage, image: &Descriptor, bundle: &Value) {
    stage.attach(image, BUNDLE, &[(BUNDLE, bundle.to_string().as_bytes())]);
}

fn fingerprint(key: &dyn Sign) -> String {
    key_fingerprint(&key.key().material().unwrap()).unwrap()
}

/// By the name that ssh gives the key, and by the one that it gives another.
fn named(matrix: &mut Matrix<'_>) {
    let stage = matrix.stage;
    let other = fingerprint(&*stage.key("other", "ec:P-256"));
    for (tag, kind) in [("ec", "ec:P-256"), ("p384", "ec:P-384"), ("ed", "ed25519"), ("rsa", "rsa:2048")] {
        let key = stage.key(tag, kind);
        let sign = |message: &[u8]| match kind {
            "ed25519" => key.sign(message).unwrap(),
            _ => stage.openssl_signature(tag, "-sha256", message),
        };
        let own = fingerprint(&*key);
        for (story, keyid, hint) in [
            ("its own name", own.as_str(), own.as_str()),
            ("its own name, and another hint", &own, "x"),
            ("another's", &other, &other),
            ("no known name", "x", "x"),
        ] {
            let tagged = format!("{tag}-{}", story.len());
            let image = stage.push(&tagged);
            let mut bundle = stage.bundle(image.digest, COSIGN_SIGN, &sign);
            bundle["dsseEnvelope"]["signatures"][0]["keyid"] = json!(keyid);
            bundle["verificationMaterial"]["publicKey"]["hint"] = json!(hint);
            attach(stage, &image, &bundle);
            matrix.ask(story, &tagged, &["--key", &format!("{tag}.pub"), "--client", "cosign3"]);
        }
    }
}

#[test]
fn a_bundle_names_its_key_as_ssh_does_or_not_at_all() {
    expect_same(Kind::Api, named, &[("cosign3", 8, 8)]);
}

/// A signature over the manifest itself, in a bundle of each version; and one under the tag behind it.
fn alone(matrix: &mut Matrix<'_>) {
    let (stage, words) = (matrix.stage, ["--key", "a.pub", "--client", "cosign3"]);
    let key = stage.key("a", "ec:P-256");
    let versions = [BUNDLE, "application/vnd.dev.sigstore.bundle+json;version=0.2"];
    for (version, tag) in versions.iter().zip(["new", "old"]) {
        for (story, tagged) in [("alone", false), ("before the tag", true)] {
            let tag = format!("{tag}-{tagged}");
            let image = stage.push(&tag);
            let manifest = stage.registry.manifest(Selector::Digest(image.digest)).unwrap().bytes;
            let bundle = json!({
                "mediaType": version, "verificationMaterial": { "publicKey": { "hint": "" } },
                "messageSignature": {
                    "messageDigest": { "algorithm": "SHA2_256", "digest": STANDARD.encode(image.digest.bytes()) },
                    "signature": STANDARD.encode(key.sign(&manifest).unwrap()),
                },
            });
            attach(stage, &image, &bundle);
            if tagged {
                stage.sign(&image, &*key, &[Format::Cosign2]);
            }
            matrix.ask(story, &tag, &words);
        }
    }
}

#[test]
fn a_signature_over_the_manifest_in_a_bundle_is_none_to_cosign_3_and_hides_the_tag() {
    expect_same(Kind::Api, alone, &[("cosign3", 1, 3)]);
}

#[test]
fn of_a_bundle_before_0_3_the_doctor_says_that_cosign_3_passes_it_over() {
    let stage = Stage::new(Kind::Api).unwrap();
    let key = stage.key("a", "ec:P-256");
    for version in ["0.1", "0.2"] {
        let image = stage.push(version);
        let mut bundle = stage.bundle(image.digest, COSIGN_SIGN, &|message| key.sign(message).unwrap());
        bundle["mediaType"] = json!(format!("application/vnd.dev.sigstore.bundle+json;version={version}"));
        attach(&stage, &image, &bundle);
        let report = stage.doctor(&[&stage.reference(version), "--key", "a.pub", "--client", "cosign3"]);
        let row = &report["clients"][0];
        assert_eq!((&row["answer"], &row["reasons"][0]["reason"]), (&json!("refuses"), &json!("other-form")));
        let detail = row["reasons"][0]["detail"].as_str().unwrap();
        assert!(detail.contains("before 0.3"), "{detail}");
    }
}
