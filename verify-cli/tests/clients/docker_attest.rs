//! docker/attest: what the doctor says of images that its rules, as they stand in its source, take and refuse. There is
//! no such program to run beside.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image_signatures::{Format, IN_TOTO, pae};
use oci_image::{Descriptor, Digest, Selector, media};
use serde_json::{Value, json};
use test_repos::registry::{Fault, Place};
use tuf_core::crypto::Sign;

use crate::stage::{Kind, Stage};

const PROVENANCE: &str = "application/vnd.in-toto.provenance+dsse";
const SPDX: &str = "application/vnd.in-toto.spdx+dsse";

/// The SHA-256 of a key in DER, in hex.
fn key_id(key: &dyn Sign) -> String {
    let pem = key.key().to_pem().unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    Digest::of(&STANDARD.decode(body).unwrap()).hex()
}

/// What is said of which image, under which name, on which platform.
struct About<'a> {
    image: Digest,
    name: &'a str,
    platform: &'a str,
}

impl About<'_> {
    fn statement(&self) -> String {
        let platform = self.platform.replace('/', "%2F");
        json!({
            "_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://slsa.dev/provenance/v0.2",
            "subject": [{
                "name": format!("pkg:docker/{}@1?platform={platform}", self.name),
                "digest": { "sha256": self.image.hex() },
            }],
            "predicate": {},
        })
        .to_string()
    }
}

/// An envelope as it signs them, each signature by its key's id.
fn envelope(statement: &str, keys: &[&dyn Sign]) -> Value {
    let message = pae(IN_TOTO, statement.as_bytes());
    let one = |key: &&dyn Sign| json!({ "keyid": key_id(*key), "sig": STANDARD.encode(key.sign(&message).unwrap()) });
    json!({
        "payloadType": IN_TOTO, "payload": STANDARD.encode(statement),
        "signatures": keys.iter().map(one).collect::<Vec<_>>(),
    })
}

/// A manifest of attestations for an image, put beside it in its index.
fn attach(
    stage: &Stage,
    tag: &str,
    blobs: impl Fn(&Descriptor) -> Vec<(&'static str, String)>,
) -> Descriptor {
    let (top, part) = stage.push_index(tag);
    let layers: Vec<_> = blobs(&part)
        .into_iter()
        .map(|(kind, bytes)| {
            let digest = stage.registry.push_blob(bytes.as_bytes()).unwrap();
            json!({ "mediaType": kind, "digest": digest, "size": bytes.len() })
        })
        .collect();
    let config = stage.registry.push_blob(b"{}").unwrap();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "layers": layers,
        "config": { "mediaType": media::OCI_CONFIG, "digest": config, "size": 2 },
    })
    .to_string();
    let digest = Digest::of(manifest.as_bytes());
    stage.registry.push_manifest(Selector::Digest(digest), manifest.as_bytes(), media::OCI_MANIFEST).unwrap();
    let bytes =
        oci_image::ImageSource::manifest(&stage.registry, Selector::Digest(top.digest)).unwrap().bytes;
    let mut index: Value = serde_json::from_slice(&bytes).unwrap();
    index["manifests"].as_array_mut().unwrap().push(json!({
        "mediaType": media::OCI_MANIFEST, "digest": digest, "size": manifest.len(),
        "platform": { "os": "unknown", "architecture": "unknown" },
        "annotations": {
            "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": part.digest,
        },
    }));
    let index = index.to_string();
    stage.registry.push_manifest(Selector::Tag(tag), index.as_bytes(), media::OCI_INDEX).unwrap();
    part
}

/// The answer for an image by a key, the first reason in a word, and all that is said.
#[track_caller]
fn is(stage: &Stage, tag: &str, key: &str, answer: &str, reason: Option<&str>, words: &str) {
    let report = stage.doctor(&[&stage.reference(tag), "--key", key, "--platform", "linux/amd64"]);
    let row =
        report["clients"].as_array().unwrap().iter().find(|row| row["client"] == "docker-attest").unwrap();
    assert_eq!(row["answer"], answer, "{tag}: {row}");
    assert_eq!(row["reasons"][0]["reason"].as_str(), reason, "{tag}: {row}");
    assert!(row.to_string().contains(words), "{tag}: expected {words:?} in {row}");
}

#[test]
fn an_envelope_counts_where_every_signature_names_the_key_and_the_subject_is_the_image_of_the_platform() {
    let stage = Stage::new(Kind::Api).unwrap();
    let (a, b, rsa) = (stage.key("a", "ec:P-256"), stage.key("b", "ec:P-256"), stage.key("rsa", "rsa:2048"));
    let name = stage.name.to_string();
    let said =
        |image: &Descriptor| About { image: image.digest, name: &name, platform: "linux/amd64" }.statement();
    let one = |statement: &str, keys: &[&dyn Sign]| vec![(PROVENANCE, envelope(statement, keys).to_string())];

    attach(&stage, "good", |image| one(&said(image), &[&*a]));
    is(&stage, "good", "a.pub", "accepts", None, "style: attached");
    is(&stage, "good", "b.pub", "refuses", Some("other-key"), "expected each signature to name the key");
    attach(&stage, "list", |image| vec![(SPDX, envelope(&said(image), &[&*a]).to_string())]);
    is(&stage, "list", "a.pub", "accepts", None, "style: attached");
    attach(&stage, "both", |image| one(&said(image), &[&*a, &*b]));
    is(&stage, "both", "a.pub", "refuses", Some("other-key"), &key_id(&*b));
    attach(&stage, "rsa", |image| one(&said(image), &[&*rsa]));
    is(&stage, "rsa", "rsa.pub", "refuses", Some("key-kind"), "expected a key for ECDSA");
    // A name of a key that isn't the id, as cosign leaves it out.
    let unnamed = |image: &Descriptor| {
        let mut made = envelope(&said(image), &[&*a]);
        made["signatures"][0]["keyid"] = json!("");
        vec![(PROVENANCE, made.to_string())]
    };
    attach(&stage, "unnamed", unnamed);
    is(&stage, "unnamed", "a.pub", "refuses", Some("other-key"), "");
    attach(&stage, "tampered", |image| {
        let mut made = envelope(&said(image), &[&*a]);
        made["payload"] = json!(STANDARD.encode(said(image).replace("v0.2", "v0.3")));
        vec![(PROVENANCE, made.to_string())]
    });
    is(&stage, "tampered", "a.pub", "refuses", Some("tampered"), "expected a signature that a.pub made");
    let other = About { image: Digest::of(b"x"), name: &name, platform: "linux/amd64" }.statement();
    attach(&stage, "moved", |_| one(&other, &[&*a]));
    is(&stage, "moved", "a.pub", "refuses", Some("other-image"), "");
    for (tag, name, platform) in
        [("name", "registry.example.com/acme/api", "linux/amd64"), ("platform", &*name, "linux/arm64")]
    {
        attach(&stage, tag, |image| one(&About { image: image.digest, name, platform }.statement(), &[&*a]));
        is(&stage, tag, "a.pub", "refuses", Some("other-name"), "for linux/amd64, got ");
    }
    // What BuildKit attests is signed by nobody, and a media type that it doesn't know is nothing.
    attach(&stage, "buildkit", |image| vec![("application/vnd.in-toto+json", said(image))]);
    is(&stage, "buildkit", "a.pub", "refuses", Some("unsigned"), "got 1 statements that nobody signed");
    attach(&stage, "kind", |image| {
        vec![("application/vnd.in-toto.vuln+dsse", envelope(&said(image), &[&*a]).to_string())]
    });
    is(&stage, "kind", "a.pub", "refuses", Some("unsigned"), "got no signature at all");
    // One good envelope among others is enough for a policy that looks for one.
    attach(&stage, "several", |image| [one(&other, &[&*a]), one(&said(image), &[&*a])].concat());
    is(&stage, "several", "a.pub", "accepts", None, "style: attached");
}

#[test]
fn what_refers_to_the_image_of_the_platform_counts_too_and_one_odd_manifest_ends_its_type() {
    let stage = Stage::new(Kind::Api).unwrap();
    let a = stage.key("a", "ec:P-256");
    let name = stage.name.to_string();
    let made = |image: &Descriptor| {
        let said = About { image: image.digest, name: &name, platform: "linux/amd64" }.statement();
        envelope(&said, &[&*a]).to_string()
    };
    let (top, part) = stage.push_index("good");
    stage.attach(&part, PROVENANCE, &[(PROVENANCE, made(&part).as_bytes())]);
    is(&stage, "good", "a.pub", "accepts", None, "style: referrers");
    // Beside the index it is about nothing that is looked at.
    let (other, under) = stage.push_index("index");
    stage.attach(&other, PROVENANCE, &[(PROVENANCE, made(&under).as_bytes())]);
    is(&stage, "index", "a.pub", "refuses", Some("unsigned"), "");
    assert_ne!(top.digest, other.digest);
    let (_, part) = stage.push_index("odd");
    stage.attach(&part, PROVENANCE, &[(PROVENANCE, made(&part).as_bytes())]);
    stage.attach(&part, PROVENANCE, &[(PROVENANCE, b"{}"), (SPDX, b"{}")]);
    is(&stage, "odd", "a.pub", "refuses", Some("malformed"), "expected one blob of type");
    // An image that is no index has what refers to it alone.
    let image = stage.push("single");
    stage.attach(&image, PROVENANCE, &[(PROVENANCE, made(&image).as_bytes())]);
    is(&stage, "single", "a.pub", "accepts", None, "style: referrers");
    let image = stage.push("cosign");
    stage.sign(&image, &*a, &[Format::Cosign2]);
    is(&stage, "cosign", "a.pub", "refuses", Some("other-form"), "simple signing");
    // Nobody said whom to trust; and a list that doesn't come may have held one.
    let report =
        stage.doctor(&[&stage.reference("good"), "--platform", "linux/amd64", "--client", "docker-attest"]);
    assert_eq!(
        (&report["answer"], &report["clients"][0]["reasons"][0]["reason"]),
        (&"unknown".into(), &"no-trust".into())
    );
    stage.spoil(Place::referrers("acme/web"), Fault::Unavailable);
    is(&stage, "good", "a.pub", "unknown", Some("unreachable"), "what refers to the image");
}
