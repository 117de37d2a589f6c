//! Keyless signatures by a sigstore of our own, which cosign 2 and 3 verify offline beside the doctor.

use std::fs;
use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use image_signatures::{BUNDLE, COSIGN_SIGN};
use oci_image::{Descriptor, Digest};
use serde_json::{Map, Value, json};
use test_repos::sigstore::{Holder, Sigstore};

use crate::beside_them::{Matrix, SPDX, expect_same};
use crate::stage::{Kind, Stage};

const ISSUER: &str = "https://accounts.example.com";
const WHO: Holder<'static> = Holder { subject: "ci@example.com", issuer: ISSUER };

/// What cosign 2 must be told of a sigstore that isn't the public one; nothing of where no certificate is asked for.
pub(crate) fn private(stage: &Stage, row: &Value) -> Vec<(&'static str, PathBuf)> {
    if row["with"]["kind"] != "identity" {
        return Vec::new();
    }
    let root: Value = serde_json::from_slice(&fs::read(stage.path("trusted_root.json")).unwrap()).unwrap();
    let pem = |name: &str, kind: &str, bytes: &Value| {
        let path = stage.path(name);
        let body = bytes.as_str().unwrap();
        fs::write(&path, format!("-----BEGIN {kind}-----\n{body}\n-----END {kind}-----\n")).unwrap();
        path
    };
    let authority = &root["certificateAuthorities"][0]["certChain"]["certificates"][0]["rawBytes"];
    let log = |name: &str| root[name][0]["publicKey"]["rawBytes"].clone();
    vec![
        ("SIGSTORE_ROOT_FILE", pem("authority.pem", "CERTIFICATE", authority)),
        ("SIGSTORE_REKOR_PUBLIC_KEY", pem("rekor.pem", "PUBLIC KEY", &log("tlogs"))),
        ("SIGSTORE_CT_LOG_PUBLIC_KEY_FILE", pem("ctfe.pem", "PUBLIC KEY", &log("ctlogs"))),
    ]
}

fn statement(image: Digest, kind: &str) -> String {
    json!({
        "_type": "https://in-toto.io/Statement/v1", "subject": [{ "digest": { "sha256": image.hex() } }],
        "predicateType": kind, "predicate": {},
    })
    .to_string()
}

fn attach(stage: &Stage, image: &Descriptor, bundle: &Value) {
    stage.attach(image, BUNDLE, &[(BUNDLE, bundle.to_string().as_bytes())]);
}

fn put(stage: &Stage, image: Digest, payload: &Value, annotations: &[(&'static str, String)]) {
    let annotations: Map<String, Value> =
        annotations.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect();
    stage.put_annotated(image, payload.to_string().as_bytes(), &annotations.into());
}

/// Signed by whom it should be, by others, and with proofs that are missing or don't hold.
fn keyless(matrix: &mut Matrix<'_>) {
    let (stage, ours, theirs) = (matrix.stage, Sigstore::begin().unwrap(), Sigstore::begin().unwrap());
    fs::write(stage.path("trusted_root.json"), ours.trusted_root().unwrap().to_string()).unwrap();
    let at: DateTime<Utc> = Utc::now().checked_sub_signed(TimeDelta::hours(1)).unwrap();
    let words = ["--identity", WHO.subject, "--issuer", WHO.issuer, "--trusted-root", "trusted_root.json"];
    let workflow = "https://github.com/acme/web/.github/workflows/release.yml@refs/heads/main";
    let uri = Holder { subject: workflow, issuer: ISSUER };
    let by_uri = ["--identity", workflow, "--issuer", ISSUER, "--trusted-root", "trusted_root.json"];

    stage.push("nobody");
    matrix.ask("nobody signed", "nobody", &words);
    let mut bundle = |story: &'static str, tag: &str, words: &[&str], made: &dyn Fn(Digest) -> Value| {
        let image = stage.push(tag);
        attach(stage, &image, &made(image.digest));
        matrix.ask(story, tag, words);
    };
    let good = |image: Digest| ours.attest(WHO, &statement(image, COSIGN_SIGN), at).unwrap();
    let changed = |change: &'static dyn Fn(&mut Value)| {
        let good = &good;
        move |image: Digest| {
            let mut made = good(image);
            change(&mut made);
            made
        }
    };
    bundle("by the identity", "good", &words, &good);
    bundle("by a workflow", "uri", &by_uri, &|image| {
        ours.attest(uri, &statement(image, COSIGN_SIGN), at).unwrap()
    });
    bundle("a list of what is inside", "list", &words, &|image| {
        ours.attest(WHO, &statement(image, SPDX), at).unwrap()
    });
    let mallory = Holder { subject: "mallory@example.com", ..WHO };
    bundle("by another identity", "identity", &words, &|image| {
        ours.attest(mallory, &statement(image, COSIGN_SIGN), at).unwrap()
    });
    let elsewhere = Holder { issuer: "https://accounts.example.org", ..WHO };
    bundle("by another issuer's", "issuer", &words, &|image| {
        ours.attest(elsewhere, &statement(image, COSIGN_SIGN), at).unwrap()
    });
    bundle("by another sigstore", "theirs", &words, &|image| {
        theirs.attest(WHO, &statement(image, COSIGN_SIGN), at).unwrap()
    });
    bundle("of another image", "moved", &words, &|_| good(Digest::of(b"another")));
    bundle(
        "with an entry of no log",
        "unlogged",
        &words,
        &changed(&|made| {
            made["verificationMaterial"]["tlogEntries"] = json!([]);
        }),
    );
    bundle("with another's promise", "promise", &words, &|image| {
        let mut made = good(image);
        let other = &good(Digest::of(b"x"))["verificationMaterial"]["tlogEntries"][0]["inclusionPromise"];
        made["verificationMaterial"]["tlogEntries"][0]["inclusionPromise"] = other.clone();
        made
    });
    bundle("in a tree that doesn't hold it", "tree", &words, &|image| {
        let mut made = good(image);
        let other = &good(Digest::of(b"x"))["verificationMaterial"]["tlogEntries"][0]["inclusionProof"];
        made["verificationMaterial"]["tlogEntries"][0]["inclusionProof"] = other.clone();
        made
    });
    bundle(
        "after the certificate's end",
        "late",
        &words,
        &changed(&|made| {
            made["verificationMaterial"]["tlogEntries"][0]["integratedTime"] = json!("1893456000");
        }),
    );
    bundle("changed after it was signed", "tampered", &words, &|image| {
        let mut made = good(image);
        let other = &good(Digest::of(b"x"))["dsseEnvelope"]["payload"];
        made["dsseEnvelope"]["payload"] = other.clone();
        made
    });

    // Under the tag, as cosign 2 writes them.
    let mut tagged = |story: &'static str, tag: &str, by: &Sigstore, who: Holder<'_>, other: bool| {
        let image = stage.push(tag);
        let about = if other { Digest::of(b"another") } else { image.digest };
        let payload = stage.payload(about);
        put(stage, image.digest, &payload, &by.annotate(who, payload.to_string().as_bytes(), at).unwrap());
        matrix.ask(story, tag, &words);
    };
    tagged("under the tag, by the identity", "t-good", &ours, WHO, false);
    tagged("under the tag, by another identity", "t-identity", &ours, mallory, false);
    tagged("under the tag, by another sigstore", "t-theirs", &theirs, WHO, false);
    tagged("under the tag, of another image", "t-moved", &ours, WHO, true);
    let image = stage.push("t-unlogged");
    let payload = stage.payload(image.digest);
    let mut annotations = ours.annotate(WHO, payload.to_string().as_bytes(), at).unwrap();
    annotations.retain(|(name, _)| !name.ends_with("/bundle"));
    put(stage, image.digest, &payload, &annotations);
    matrix.ask("under the tag, in no log", "t-unlogged", &words).unsure = &["cosign2", "cosign3"];
}

#[test]
fn keyless_signatures_by_a_private_sigstore() {
    expect_same(Kind::Api, keyless, &[("cosign2", 1, 5), ("cosign3", 4, 10)]);
}
