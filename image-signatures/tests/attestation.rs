//! Statements that we sign: what is in them, where they are pushed, and that nothing of others is lost.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use image_signatures::{
    Attestation, Attesting, BUNDLE, Bundle, DSSE_ENVELOPE, Dsse, Format, IN_TOTO, Place, attestation_tag,
};
use oci_image::{Descriptor, Digest, Registry, RegistryOptions, media};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use test_repos::registry::Registry as Fake;
use tuf_core::crypto::{Curve, EcdsaSigner, Ed25519Signer, Sign};

const REPO: &str = "acme/web";
const KIND: &str = "https://example.com/reviewed/v1";

struct Story {
    fake: Fake,
    registry: Registry,
    image: Descriptor,
}

impl Story {
    /// An image in a registry that lists referrers, or leaves that to its clients.
    fn begin(lists: bool) -> Self {
        let fake = Fake::start().unwrap();
        if !lists {
            fake.set_referrers(false);
        }
        let bytes = json!({ "schemaVersion": 2, "mediaType": media::OCI_MANIFEST }).to_string();
        let image = Descriptor::of(media::OCI_MANIFEST, bytes.as_bytes());
        fake.put_manifest(REPO, &image.digest.to_string(), media::OCI_MANIFEST, bytes.as_bytes());
        let name = format!("{}/{REPO}", fake.host()).parse().unwrap();
        let registry = Registry::new(&name, RegistryOptions::default()).unwrap();
        Self { fake, registry, image }
    }

    fn attest(&self, key: &dyn Sign, predicate: &str, formats: &[Format]) -> Attestation {
        let predicate = RawValue::from_string(predicate.to_owned()).unwrap();
        let attesting = Attesting {
            name: &"registry.example.com/acme/web".parse().unwrap(),
            image: &self.image,
            predicate_type: KIND,
            predicate: &predicate,
            formats: &formats.iter().copied().collect(),
            key,
            now: Utc::now(),
        };
        attesting.make().unwrap()
    }

    fn manifest(&self, which: &str) -> Value {
        serde_json::from_slice(&self.fake.manifest(REPO, which).unwrap().1).unwrap()
    }
}

fn keys() -> Vec<Box<dyn Sign>> {
    let ecdsa = EcdsaSigner::from_pkcs8(Curve::P256, &EcdsaSigner::generate(Curve::P256).unwrap()).unwrap();
    vec![Box::new(Ed25519Signer::from_seed(&[7; 32])), Box::new(ecdsa)]
}

const BOTH: [Format; 2] = [Format::Cosign2, Format::Cosign3];

#[test]
fn both_forms_are_pushed_once_hold_the_predicate_to_the_letter_and_name_themselves() {
    for (lists, key) in
        [true, false].into_iter().flat_map(|lists| keys().into_iter().map(move |key| (lists, key)))
    {
        let story = Story::begin(lists);
        let predicate = "{\"b\": 1.50,  \"a\":[ ]}";
        let made = story.attest(key.as_ref(), predicate, &BOTH);
        let expected = format!(
            "{{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{{\"name\":\"registry.example.com/acme/web\",\
             \"digest\":{{\"sha256\":\"{}\"}}}}],\"predicateType\":\"{KIND}\",\"predicate\":{predicate}}}",
            story.image.digest.hex()
        );
        assert_eq!(str::from_utf8(made.statement()).unwrap(), expected);
        let pushed: Vec<_> = made.push(&story.registry).into_iter().map(Result::unwrap).collect();
        let [envelope, bundle] = pushed.as_slice() else { panic!() };
        assert!(pushed.iter().all(|one| !one.written.was_there));
        let tag = attestation_tag(story.image.digest).unwrap();
        assert_eq!(envelope.written.place, Place::Tag(tag.clone()));
        let manifest = story.manifest(tag.as_str());
        let layer = &manifest["layers"][0];
        assert_eq!(layer["mediaType"], DSSE_ENVELOPE);
        assert_eq!(layer["digest"], envelope.evidence.to_string());
        assert_eq!(layer["annotations"]["predicateType"], KIND);
        let material = key.key().material().unwrap();
        let blob = story.fake.blob(REPO, &envelope.evidence.to_string()).unwrap();
        let dsse: Dsse = serde_json::from_slice(&blob).unwrap();
        assert_eq!(dsse.verified(&material).unwrap(), made.statement());
        let manifest = story.manifest(&bundle.evidence.to_string());
        assert_eq!(manifest["artifactType"], BUNDLE);
        assert_eq!(manifest["subject"]["digest"], story.image.digest.to_string());
        assert_eq!(manifest["annotations"]["dev.sigstore.bundle.predicateType"], KIND);
        let blob = story.fake.blob(REPO, manifest["layers"][0]["digest"].as_str().unwrap()).unwrap();
        let read: Bundle = serde_json::from_slice(&blob).unwrap();
        assert_eq!(read.dsse_envelope.payload_type, IN_TOTO);
        assert_eq!(STANDARD.decode(&read.dsse_envelope.payload).unwrap(), made.statement());
        assert_eq!(read.dsse_envelope.verified(&material).unwrap(), made.statement());
        // Once more: nothing is written, and the same digests name it, whatever ECDSA's signature is this time.
        let again = story.attest(key.as_ref(), predicate, &BOTH).push(&story.registry);
        for (first, again) in pushed.iter().zip(again) {
            let again = again.unwrap();
            assert!(again.written.was_there);
            assert_eq!(first.evidence, again.evidence);
        }
        assert_eq!(story.registry.referrers(story.image.digest, None).unwrap().manifests.len(), 1);
    }
}

#[test]
fn another_statement_or_another_key_is_another_attestation_and_keeps_the_first() {
    let story = Story::begin(false);
    for (count, key, predicate) in [(1, 1, "{}"), (2, 2, "{}"), (3, 1, "{\"a\":1}")] {
        let key = Ed25519Signer::from_seed(&[key; 32]);
        for pushed in story.attest(&key, predicate, &BOTH).push(&story.registry) {
            assert!(!pushed.unwrap().written.was_there);
        }
        let tag = attestation_tag(story.image.digest).unwrap();
        assert_eq!(story.manifest(tag.as_str())["layers"].as_array().unwrap().len(), count);
        assert_eq!(story.registry.referrers(story.image.digest, None).unwrap().manifests.len(), count);
    }
}

#[test]
fn what_has_no_reader_is_refused_before_anything_is_signed() {
    let story = Story::begin(true);
    let predicate = RawValue::from_string("{}".to_owned()).unwrap();
    let p384 = EcdsaSigner::from_pkcs8(Curve::P384, &EcdsaSigner::generate(Curve::P384).unwrap()).unwrap();
    let ed25519 = Ed25519Signer::from_seed(&[1; 32]);
    let keys: [&dyn Sign; 2] = [&ed25519, &p384];
    for (key, formats, why) in [
        (0, vec![], "at least one format"),
        (0, vec![Format::Podman], "expected cosign2 or cosign3, got podman"),
        (0, vec![Format::Cosign3, Format::Notation], "expected cosign2 or cosign3, got notation"),
        (1, vec![Format::Cosign3], "expected a key that signs with SHA-256"),
    ] {
        let attesting = Attesting {
            name: &"registry.example.com/acme/web".parse().unwrap(),
            image: &story.image,
            predicate_type: KIND,
            predicate: &predicate,
            formats: &BTreeSet::from_iter(formats),
            key: keys[key],
            now: Utc::now(),
        };
        let refused = attesting.make().unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn what_the_registry_puts_in_the_place_of_an_envelope_is_not_taken_for_ours() {
    let story = Story::begin(true);
    let key = Ed25519Signer::from_seed(&[7; 32]);
    // The tag has a layer of that length which is no envelope of ours, and one that isn't there.
    let made = story.attest(&key, "{}", &[Format::Cosign2]);
    let (_, ours) = made.each().next().unwrap();
    let length = {
        let [pushed] = <[_; 1]>::try_from(made.push(&story.registry)).unwrap();
        story.fake.blob(REPO, &pushed.unwrap().evidence.to_string()).unwrap().len()
    };
    let story = Story::begin(true);
    let noise = vec![b'x'; length];
    story.fake.put_blob(REPO, &noise);
    let tag = attestation_tag(story.image.digest).unwrap();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": media::OCI_MANIFEST,
        "layers": [{ "mediaType": DSSE_ENVELOPE, "digest": Digest::of(&noise), "size": length }],
    });
    story.fake.put_manifest(REPO, tag.as_str(), media::OCI_MANIFEST, manifest.to_string().as_bytes());
    let pushed = story.attest(&key, "{}", &[Format::Cosign2]).push(&story.registry).pop().unwrap().unwrap();
    assert!(!pushed.written.was_there);
    assert_eq!(pushed.evidence, ours, "Ed25519 signs the same each time");
    assert_eq!(story.manifest(tag.as_str())["layers"].as_array().unwrap().len(), 2);
}
