//! Attestations as cosign 2 and 3 read them: `verify-attestation`, beside what the doctor says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image_signatures::{BUNDLE, COSIGN_SIGN, Format, IN_TOTO, pae};
use oci_image::{Digest, Selector, media};
use serde_json::{Value, json};
use tuf_core::crypto::Sign;

use crate::beside_them::{Matrix, SPDX, expect_same};
use crate::stage::{Kind, Stage};

const OURS: &str = "https://example.com/reviewed/v1";
const VSA: &str = "https://slsa.dev/verification_summary/v1";

/// An envelope around a statement of that type about an image.
fn envelope(stage: &Stage, image: Digest, kind: &str, key: &dyn Sign) -> Value {
    stage.bundle(image, kind, &|message| key.sign(message).unwrap())["dsseEnvelope"].clone()
}

/// Puts envelopes under the tag for attestations of the image.
pub(crate) fn put(stage: &Stage, image: Digest, envelopes: &[Value]) {
    let config = stage.registry.push_blob(b"{}").unwrap();
    let layers: Vec<_> = envelopes
        .iter()
        .map(|envelope| {
            let bytes = envelope.to_string();
            let digest = stage.registry.push_blob(bytes.as_bytes()).unwrap();
            json!({
                "mediaType": "application/vnd.dsse.envelope.v1+json", "digest": digest, "size": bytes.len(),
                "annotations": { "dev.cosignproject.cosign/signature": "" },
            })
        })
        .collect();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media::OCI_MANIFEST,
        "config": { "mediaType": media::OCI_CONFIG, "digest": config, "size": 2 }, "layers": layers,
    })
    .to_string();
    let tag = format!("sha256-{}.att", image.hex());
    stage.registry.push_manifest(Selector::Tag(&tag), manifest.as_bytes(), media::OCI_MANIFEST).unwrap();
}

fn attested(matrix: &mut Matrix<'_>) {
    let stage = matrix.stage;
    let (a, b) = (stage.key("a", "ec:P-256"), stage.key("b", "ec:P-256"));
    let words = ["--key", "a.pub", "--key", "b.pub"];
    let mut under_tag = |story: &'static str, tag: &str, made: &dyn Fn(Digest) -> Vec<Value>| {
        let image = stage.push(tag);
        put(stage, image.digest, &made(image.digest));
        matrix.ask(story, tag, &words);
    };
    under_tag("one by the key", "one", &|image| vec![envelope(stage, image, SPDX, &*a)]);
    under_tag("two types by two keys", "two", &|image| {
        vec![envelope(stage, image, SPDX, &*a), envelope(stage, image, OURS, &*b)]
    });
    under_tag("both keys, one type", "both", &|image| {
        vec![envelope(stage, image, VSA, &*b), envelope(stage, image, VSA, &*a)]
    });
    under_tag("of another image", "moved", &|_| vec![envelope(stage, Digest::of(b"x"), SPDX, &*a)]);
    under_tag("a good one behind a moved one", "behind", &|image| {
        vec![envelope(stage, Digest::of(b"x"), SPDX, &*a), envelope(stage, image, SPDX, &*a)]
    });
    under_tag("changed after it was signed", "tampered", &|image| {
        let mut one = envelope(stage, image, SPDX, &*a);
        one["payload"] = envelope(stage, image, OURS, &*a)["payload"].clone();
        vec![one]
    });
    under_tag("by the right name and the wrong key", "named", &|image| {
        let mut one = envelope(stage, image, SPDX, &*b);
        one["signatures"][0]["keyid"] = json!("a.pub");
        vec![one]
    });
    under_tag("with a name for the key", "hint", &|image| {
        let mut one = envelope(stage, image, SPDX, &*a);
        one["signatures"][0]["keyid"] = json!("anything");
        vec![one]
    });
    under_tag("of another payload type", "payload", &|image| {
        let mut one = envelope(stage, image, SPDX, &*a);
        let payload = STANDARD.decode(one["payload"].as_str().unwrap()).unwrap();
        one["payloadType"] = json!("text/plain");
        one["signatures"][0]["sig"] = json!(STANDARD.encode(a.sign(&pae("text/plain", &payload)).unwrap()));
        vec![one, envelope(stage, image, OURS, &*a)]
    });
    assert_ne!(IN_TOTO, "text/plain");
    // A signature of the image is no attestation of it, and an attestation under the tag no signature.
    let image = stage.push("signed");
    stage.sign(&image, &*a, &[Format::Cosign2]);
    put(stage, image.digest, &[envelope(stage, image.digest, SPDX, &*b)]);
    matrix.ask("signed by one, attested by another", "signed", &words);

    let mut bundled = |story: &'static str, tag: &str, made: &dyn Fn(Digest) -> Vec<Value>, tagged: bool| {
        let image = stage.push(tag);
        for one in made(image.digest) {
            stage.attach(&image, BUNDLE, &[(BUNDLE, one.to_string().as_bytes())]);
        }
        if tagged {
            put(stage, image.digest, &[envelope(stage, image.digest, SPDX, &*a)]);
        }
        matrix.ask(story, tag, &words);
    };
    let by = |key: &dyn Sign, image: Digest, kind: &str| {
        stage.bundle(image, kind, &|message| key.sign(message).unwrap())
    };
    bundled("a bundle", "bundle", &|image| vec![by(&*a, image, SPDX)], false);
    bundled("two bundles", "bundles", &|image| vec![by(&*a, image, SPDX), by(&*b, image, OURS)], false);
    bundled("both forms", "forms", &|image| vec![by(&*a, image, SPDX)], true);
    bundled("another's bundle hides the tag", "shadow", &|image| vec![by(&*b, image, OURS)], true);
    bundled("a signature's bundle hides the tag", "sign", &|image| vec![by(&*a, image, COSIGN_SIGN)], true);
    bundled("a bundle of another image", "stolen", &|_| vec![by(&*a, Digest::of(b"x"), SPDX)], false);
}

#[test]
fn each_attestation_is_taken_by_those_of_whom_the_doctor_says_so() {
    let expected = [("cosign2 attested", 8, 15), ("cosign3 attested", 10, 15)];
    expect_same(Kind::Api, attested, &expected);
}
