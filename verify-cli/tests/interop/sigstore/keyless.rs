//! Keyless bundles in each version's form, by a sigstore of the test's own: `verify`, sigstore-js and sigstore-go
//! take the same.

use std::collections::BTreeMap;
use std::fs;

use chrono::{DateTime, TimeDelta, Utc};
use image_evidence::{Context, Form, Identity, Piece, SigstoreRoot, Trust};
use oci_image::{Descriptor, Digest, media};
use serde_json::{Map, Value, json};
use test_repos::sigstore::{Holder, Sigstore};

use super::{APPROVAL, Js, ended, go, media_type, said_to_be, statement};
use crate::support::run;

const WHO: Holder<'static> = Holder { subject: "ci@example.com", issuer: "https://accounts.example.com" };

/// As that version has it: before 0.3, a certificate is in a chain.
fn form(version: &str, bundle: &Value) -> Value {
    let mut bundle = said_to_be(version, bundle);
    if version != "0.3" {
        in_a_chain(&mut bundle);
    }
    bundle
}

fn in_a_chain(bundle: &mut Value) {
    let material = bundle["verificationMaterial"].as_object_mut().unwrap();
    let certificate = material.remove("certificate").unwrap();
    material.insert("x509CertificateChain".to_owned(), json!({ "certificates": [certificate] }));
}

/// A story; the versions that it is told in; its bundle, in the form of 0.3; and why it is refused by `verify`, by
/// sigstore-js and by sigstore-go, where it is.
type Story<'a> = (&'a str, &'a [&'a str], Value, [&'a str; 3]);

const ALL: &[&str] = &["0.1", "0.2", "0.3"];
const TAKEN: [&str; 3] = [""; 3];

/// A sigstore of the test's own, and who verifies by its trusted root.
struct Verifiers {
    log: Sigstore,
    js: Js,
    folder: tempfile::TempDir,
    trust: Trust,
    image: Descriptor,
    at: DateTime<Utc>,
}

impl Verifiers {
    fn find() -> Option<Self> {
        let js = Js::find()?;
        go("sigstore-go")?;
        let (log, folder) = (Sigstore::begin().unwrap(), tempfile::tempdir().unwrap());
        let root = log.trusted_root().unwrap().to_string();
        fs::write(folder.path().join("root.json"), &root).unwrap();
        let identity = Identity { subject: WHO.subject.into(), issuer: WHO.issuer.into() };
        let sigstore = Some(SigstoreRoot::from_json(&root).unwrap());
        let trust = Trust { sigstore, identities: vec![identity], ..Trust::default() };
        let image = Descriptor::of(media::OCI_MANIFEST, b"an image");
        let at = Utc::now().checked_sub_signed(TimeDelta::hours(1)).unwrap();
        Some(Self { log, js, folder, trust, image, at })
    }

    fn by(&self, sigstore: &Sigstore, who: Holder<'_>) -> Value {
        sigstore.attest(who, &statement(self.image.digest, APPROVAL).to_string(), self.at).unwrap()
    }

    fn of_another(&self) -> Value {
        let another = statement(Digest::of(b"another"), APPROVAL).to_string();
        self.log.attest(WHO, &another, self.at).unwrap()
    }

    /// What each says of a bundle: nothing, or why not.
    fn answers(&self, bundle: &Value) -> [String; 3] {
        let bytes = bundle.to_string();
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        let (file, root) = (path("bundle.json"), path("root.json"));
        fs::write(&file, &bytes).unwrap();
        let annotations = BTreeMap::new();
        let piece = Piece { form: Form::Bundle, bytes: bytes.as_bytes(), annotations: &annotations };
        let context = Context { image: &self.image, repository: "r.io/x", now: Utc::now() };
        let ours = piece.verify(&context, &self.trust).map(drop).map_err(|why| why.reason().to_owned());
        let exactly = format!("^{}$", WHO.subject);
        let by_js = self.js.verify(&["keyless", &file, &root, WHO.issuer, &exactly]);
        let mut command = go("sigstore-go").unwrap();
        command.args(["-trustedrootJSONpath", &root, "-expectedIssuer", WHO.issuer]);
        command.args(["-expectedSAN", WHO.subject, "-artifact-digest", &self.image.digest.hex(), &file]);
        [ours, by_js, ended(run(&mut command))].map(|answer| answer.err().unwrap_or_default())
    }

    fn compare_each(&self, stories: &[Story<'_>]) {
        for (story, versions, bundle, expected) in stories {
            for version in *versions {
                self.compare(&format!("{story} {version}"), &form(version, bundle), *expected);
            }
        }
    }

    fn compare(&self, story: &str, bundle: &Value, expected: [&str; 3]) {
        let answers = self.answers(bundle);
        for (answer, expected) in answers.iter().zip(expected) {
            let same = if expected.is_empty() { answer.is_empty() } else { answer.contains(expected) };
            assert!(same, "{story}: expected {expected:?}, got {answers:?}");
        }
    }
}

fn entry(bundle: &mut Value) -> &mut Map<String, Value> {
    bundle["verificationMaterial"]["tlogEntries"][0].as_object_mut().unwrap()
}

fn without(bundle: &Value, member: &str) -> Value {
    let mut bundle = bundle.clone();
    entry(&mut bundle).remove(member).unwrap();
    bundle
}

#[test]
fn keyless_bundles_by_whom_they_should_be_are_taken_by_all_and_others_by_none() {
    let Some(all) = Verifiers::find() else { return };
    let mallory = Holder { subject: "mallory@example.com", ..WHO };
    let elsewhere = Holder { issuer: "https://accounts.example.org", ..WHO };
    let theirs = Sigstore::begin().unwrap();
    let good = all.by(&all.log, WHO);
    let mut tampered = good.clone();
    tampered["dsseEnvelope"]["payload"] = all.of_another()["dsseEnvelope"]["payload"].clone();
    let stories: [Story<'_>; 6] = [
        ("good", ALL, good, TAKEN),
        (
            "another identity",
            ALL,
            all.by(&all.log, mallory),
            ["other-signer", "identity error", "expected SAN value"],
        ),
        (
            "another issuer",
            ALL,
            all.by(&all.log, elsewhere),
            ["other-signer", "expected issuer=", "expected issuer value"],
        ),
        (
            "another sigstore",
            ALL,
            all.by(&theirs, WHO),
            ["log", "inclusion promise could not", "not enough verified log"],
        ),
        ("tampered", ALL, tampered, ["tampered", "payload hash mismatch", "payload hash"]),
        // sigstore-js isn't told of which image it should be.
        ("another image", ALL, all.of_another(), ["other-subject", "", "does not match any digest"]),
    ];
    all.compare_each(&stories);
}

/// 0.1 wants the log's promise; from 0.2 on it is the proof, and the promise tells the time.
#[test]
fn each_version_asks_for_its_own_proof_that_it_was_logged() {
    let Some(all) = Verifiers::find() else { return };
    let (good, another) = (all.by(&all.log, WHO), all.of_another());
    let edited = |member: &str, value: &Value| {
        let mut bundle = good.clone();
        entry(&mut bundle).insert(member.to_owned(), value.clone());
        bundle
    };
    let of_another =
        |member: &str| edited(member, &another["verificationMaterial"]["tlogEntries"][0][member]);
    let mut unlogged = good.clone();
    unlogged["verificationMaterial"]["tlogEntries"] = json!([]);
    let newer: &[&str] = &["0.2", "0.3"];
    let promise = ["log", "inclusion promise could not", "not enough verified log"];
    let no_time = ["log", "", "threshold not met for verified signed"];
    let stories: [Story<'_>; 8] = [
        ("no log", ALL, unlogged, ["log", "timestamps, got 0", "not enough verified log"]),
        ("another's promise", ALL, of_another("inclusionPromise"), promise),
        ("after the certificate's end", ALL, edited("integratedTime", &json!("1893456000")), promise),
        (
            "another's proof",
            ALL,
            of_another("inclusionProof"),
            ["log", "root hash does not match", "does not match expected root"],
        ),
        ("no proof", &["0.1"], without(&good, "inclusionProof"), TAKEN),
        (
            "no proof",
            newer,
            without(&good, "inclusionProof"),
            ["malformed", "invalid", "inclusion proof missing"],
        ),
        (
            "no promise",
            &["0.1"],
            without(&good, "inclusionPromise"),
            ["malformed", "invalid v0.1", "promises missing"],
        ),
        // sigstore-js believes the time that nobody promised, before @sigstore/verify 3.1.1.
        ("no promise", newer, without(&good, "inclusionPromise"), no_time),
    ];
    all.compare_each(&stories);
}

#[test]
fn a_chain_of_certificates_is_over_with_0_3() {
    let Some(all) = Verifiers::find() else { return };
    let good = all.by(&all.log, WHO);
    let mut chained = good.clone();
    in_a_chain(&mut chained);
    let refused = ["malformed", "invalid bundle", "cannot be X.509 certificate chain"];
    // 0.3 has two names; and before it, all of them take a single certificate too.
    let other_name = "application/vnd.dev.sigstore.bundle+json;version=0.3";
    for (media_type, expected) in [
        (media_type("0.1"), TAKEN),
        (media_type("0.2"), TAKEN),
        (media_type("0.3"), refused),
        (other_name.to_owned(), refused),
    ] {
        for (bundle, expected) in [(&good, TAKEN), (&chained, expected)] {
            let mut bundle = bundle.clone();
            bundle["mediaType"] = json!(media_type);
            all.compare(&media_type, &bundle, expected);
        }
    }
}
