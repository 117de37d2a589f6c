//! What is signed, pushed, kept and refused; beside an in-process registry.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken test may panic"
)]

mod support;

use std::collections::BTreeSet;

use image_signatures::{
    BUNDLE, CertificateChain, Envelope, Format, NOTATION, Place, SIMPLE_SIGNING, Signing, push_all,
    signature_tag,
};
use oci_image::{Descriptor, Digest, ImageName, ReferrersPlace, media};
use serde_json::{Value, json};
use support::{LEAF, chain, key, parts_of_cose, programs, push_image, repository, sign, sign_in};
use test_repos::registry::{Fault, Place as Where, Registry as Fake};
use tuf_core::crypto::{Curve, EcdsaSigner, Ed25519Signer, Sign, SignError};
use tuf_core::key::Key;

fn p256() -> EcdsaSigner {
    EcdsaSigner::from_pkcs8(Curve::P256, &EcdsaSigner::generate(Curve::P256).unwrap()).unwrap()
}

fn p384() -> EcdsaSigner {
    EcdsaSigner::from_pkcs8(Curve::P384, &EcdsaSigner::generate(Curve::P384).unwrap()).unwrap()
}

fn manifest(fake: &Fake, reference: &str) -> Value {
    serde_json::from_slice(&fake.manifest("acme/web", reference).unwrap().1).unwrap()
}

/// Why these formats can't be made with this key.
fn why_not(key: &dyn Sign, formats: &[Format], chain: Option<&CertificateChain>) -> String {
    let (name, image): (ImageName, _) =
        ("r.io/web".parse().unwrap(), Descriptor::of(media::OCI_MANIFEST, b"{}"));
    let formats: BTreeSet<_> = formats.iter().copied().collect();
    let now = chrono::Utc::now();
    let signing = Signing {
        name: &name,
        image: &image,
        parts: &[],
        formats: &formats,
        key,
        chain,
        envelope: Envelope::Jws,
        now,
    };
    signing.make().unwrap_err().to_string()
}

#[test]
fn signatures_of_others_stay_and_our_own_is_written_once() {
    let fake = Fake::start().unwrap();
    let here = repository(&fake.host());
    let image = push_image(&here.1, "1");
    let tag = signature_tag(image.digest).unwrap();
    let theirs = json!({
        "mediaType": SIMPLE_SIGNING, "digest": Digest::of(b"theirs"), "size": 6,
        "annotations": { "dev.cosignproject.cosign/signature": "AAAA", "dev.sigstore.cosign/bundle": "{}" },
    });
    let there = json!({
        "schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "layers": [theirs], "annotations": { "a": "b" },
        "config": { "mediaType": media::OCI_CONFIG, "digest": Digest::of(b"{}"), "size": 2 },
    });
    let bytes = there.to_string();
    fake.put_blob("acme/web", b"theirs");
    fake.put_manifest("acme/web", tag.as_str(), media::OCI_MANIFEST, bytes.as_bytes());
    let (ours, other) = (p256(), p256());
    let first = sign(&here, &image, &ours, &[Format::Cosign2, Format::Podman], None);
    assert_eq!((first.len(), &first[0].place), (1, &Place::Tag(tag.clone())));
    assert_eq!(first[0].formats, [Format::Cosign2, Format::Podman]);
    let again = sign(&here, &image, &ours, &[Format::Cosign2], None);
    assert_eq!(again[0].manifest, first[0].manifest);
    sign(&here, &image, &other, &[Format::Cosign2], None);
    let now = manifest(&fake, tag.as_str());
    assert_eq!((&now["layers"][0], &now["annotations"]), (&theirs, &there["annotations"]));
    assert_eq!(now["layers"].as_array().unwrap().len(), 3);
    let config = fake.blob("acme/web", now["config"]["digest"].as_str().unwrap()).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    let digests: Vec<_> = now["layers"].as_array().unwrap().iter().map(|layer| &layer["digest"]).collect();
    assert_eq!(config["rootfs"]["diff_ids"], json!(digests));
}

#[test]
fn what_is_under_the_tag_and_holds_no_signatures_is_not_written_over() {
    let fake = Fake::start().unwrap();
    let here = repository(&fake.host());
    let image = push_image(&here.1, "1");
    let tag = signature_tag(image.digest).unwrap();
    let index = json!({ "schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": [] }).to_string();
    fake.put_manifest("acme/web", tag.as_str(), media::OCI_INDEX, index.as_bytes());
    let (name, registry) = &here;
    let formats = BTreeSet::from([Format::Cosign2]);
    let (key, now) = (p256(), chrono::Utc::now());
    let signing = Signing {
        name,
        image: &image,
        parts: &[],
        formats: &formats,
        key: &key,
        chain: None,
        envelope: Envelope::Jws,
        now,
    };
    let error = signing.make().unwrap().push(registry).pop().unwrap().unwrap_err();
    let expected = format!("expected an OCI manifest of signatures, got media type \"{}\"", media::OCI_INDEX);
    assert!(error.source.to_string().ends_with(&expected), "{error}");
    assert_eq!(fake.manifest("acme/web", tag.as_str()).unwrap().1, index.as_bytes());
}

#[test]
fn referrers_say_what_they_are_with_and_without_the_registrys_list() {
    let Some(()) = programs(&["openssl"]) else { return };
    for (api, place) in [(true, ReferrersPlace::Api), (false, ReferrersPlace::Tag)] {
        let (fake, dir) = (Fake::start().unwrap(), tempfile::tempdir().unwrap());
        fake.set_referrers(api);
        let here = repository(&fake.host());
        let image = push_image(&here.1, "1");
        let ours = key(dir.path(), "ours", "ec:P-256");
        let certificates = CertificateChain::from_pem(&chain(dir.path(), "ours", LEAF)).unwrap();
        let formats = [Format::Cosign3, Format::Notation];
        let written = sign(&here, &image, &*ours, &formats, Some(&certificates));
        assert!(written.iter().all(|one| one.place == Place::Referrer(place)));
        let listed = here.1.referrers(image.digest, None).unwrap();
        assert_eq!(listed.place, place);
        for (one, kind) in written.iter().zip([BUNDLE, NOTATION]) {
            let entry = listed.manifests.iter().find(|entry| entry.digest == one.manifest).unwrap();
            assert_eq!(entry.artifact_type.as_deref(), Some(kind));
            let document = manifest(&fake, &one.manifest.to_string());
            assert_eq!(document["annotations"], json!(entry.annotations));
            assert_eq!(document["subject"]["digest"], json!(image.digest));
            assert_eq!(document["config"]["mediaType"], media::OCI_EMPTY);
        }
        let bundle = manifest(&fake, &written[0].manifest.to_string());
        let annotation = &bundle["annotations"]["dev.sigstore.bundle.predicateType"];
        assert_eq!(annotation, "https://sigstore.dev/cosign/sign/v1");
    }
}

#[test]
fn who_signs_once_more_writes_nothing_and_another_key_does() {
    let Some(()) = programs(&["openssl"]) else { return };
    let all = [Format::Cosign2, Format::Cosign3, Format::Notation];
    for (api, kind, envelope) in [
        (true, "ec:P-256", Envelope::Jws),
        (false, "rsa:2048", Envelope::Jws),
        (true, "rsa:2048", Envelope::Cose),
        (false, "ec:P-256", Envelope::Cose),
    ] {
        let (fake, dir) = (Fake::start().unwrap(), tempfile::tempdir().unwrap());
        fake.set_referrers(api);
        let here = repository(&fake.host());
        let (image, other) = (push_image(&here.1, "1"), push_image(&here.1, "2"));
        let ours = key(dir.path(), "ours", kind);
        let certificates = CertificateChain::from_pem(&chain(dir.path(), "ours", LEAF)).unwrap();
        let was_there = |image: &Descriptor, key: &dyn Sign, certificates| {
            let written = sign_in(envelope, &here, image, key, &all, Some(certificates));
            written.into_iter().map(|one| one.was_there).collect::<Vec<_>>()
        };
        assert_eq!(was_there(&image, &*ours, &certificates), [false; 3]);
        fake.clear_log();
        assert_eq!(was_there(&image, &*ours, &certificates), [true; 3]);
        assert!(fake.log().iter().all(|one| one.method == "GET" || one.method == "HEAD"));
        assert_eq!(was_there(&other, &*ours, &certificates), [false; 3]);
        // Another certificate of the same key is another signature, for notation alone.
        let renewed = CertificateChain::from_pem(&chain(dir.path(), "ours", LEAF)).unwrap();
        assert_eq!(was_there(&image, &*ours, &renewed), [true, true, false]);
        let theirs = key(dir.path(), "theirs", kind);
        let certificates = CertificateChain::from_pem(&chain(dir.path(), "theirs", LEAF)).unwrap();
        assert_eq!(was_there(&image, &*theirs, &certificates), [false; 3]);
        assert_eq!(here.1.referrers(image.digest, None).unwrap().manifests.len(), 5);
    }
}

#[test]
fn the_other_envelope_is_another_signature_and_a_spoilt_one_is_none() {
    let Some(()) = programs(&["openssl"]) else { return };
    let (fake, dir) = (Fake::start().unwrap(), tempfile::tempdir().unwrap());
    let here = repository(&fake.host());
    let image = push_image(&here.1, "1");
    let ours = key(dir.path(), "ours", "ec:P-256");
    let certificates = CertificateChain::from_pem(&chain(dir.path(), "ours", LEAF)).unwrap();
    let sign = |envelope| {
        let formats = [Format::Notation];
        sign_in(envelope, &here, &image, &*ours, &formats, Some(&certificates)).pop().unwrap()
    };
    let (jws, cose) = (sign(Envelope::Jws), sign(Envelope::Cose));
    assert!(!jws.was_there && !cose.was_there);
    assert_eq!((sign(Envelope::Jws).manifest, sign(Envelope::Cose).manifest), (jws.manifest, cose.manifest));
    let mut document = manifest(&fake, &cose.manifest.to_string());
    assert_eq!(document["layers"][0]["mediaType"], "application/cose");
    let good = fake.blob("acme/web", document["layers"][0]["digest"].as_str().unwrap()).unwrap();
    fake.remove("acme/web", &cose.manifest.to_string());
    for (_, at) in parts_of_cose(&good, &certificates) {
        let mut spoilt = good.clone();
        spoilt[at] ^= 1;
        fake.put_blob("acme/web", &spoilt);
        document["layers"][0]["digest"] = json!(Digest::of(&spoilt));
        let bytes = document.to_string();
        let digest = Digest::of(bytes.as_bytes()).to_string();
        fake.put_manifest("acme/web", &digest, media::OCI_MANIFEST, bytes.as_bytes());
    }
    assert!(!sign(Envelope::Cose).was_there);
}

#[test]
fn our_own_signature_of_another_image_is_none_of_this_one() {
    let Some(()) = programs(&["openssl"]) else { return };
    let (fake, dir) = (Fake::start().unwrap(), tempfile::tempdir().unwrap());
    let here = repository(&fake.host());
    let (image, other) = (push_image(&here.1, "1"), push_image(&here.1, "2"));
    let ours = key(dir.path(), "ours", "ec:P-256");
    let certificates = CertificateChain::from_pem(&chain(dir.path(), "ours", LEAF)).unwrap();
    for envelope in Envelope::ALL {
        let sign = |image| {
            let formats = [Format::Cosign3, Format::Notation];
            sign_in(envelope, &here, image, &*ours, &formats, Some(&certificates))
        };
        for written in sign(&other) {
            let mut document = manifest(&fake, &written.manifest.to_string());
            document["subject"] = json!(&image);
            here.1.push_referrer(document.to_string().as_bytes(), media::OCI_MANIFEST).unwrap();
        }
        let was_there = |image| sign(image).iter().map(|one| one.was_there).collect::<Vec<_>>();
        assert_eq!(was_there(&image)[1..], [false], "{envelope}");
        assert_eq!(was_there(&image), [true; 2], "{envelope}");
    }
}

#[test]
fn what_somebody_put_beside_ours_is_passed_over() {
    let fake = Fake::start().unwrap();
    let here = repository(&fake.host());
    let image = push_image(&here.1, "1");
    for layers in [json!([]), json!("x"), json!([Descriptor::of(BUNDLE, b"{")])] {
        fake.put_blob("acme/web", b"{");
        let document = json!({
            "schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "artifactType": BUNDLE, "layers": layers,
            "subject": &image, "config": { "mediaType": media::OCI_EMPTY, "digest": Digest::of(b"{}"), "size": 2 },
        });
        let bytes = document.to_string();
        let digest = Digest::of(bytes.as_bytes()).to_string();
        fake.put_manifest("acme/web", &digest, media::OCI_MANIFEST, bytes.as_bytes());
    }
    let ours = p256();
    for was_there in [false, true] {
        assert_eq!(sign(&here, &image, &ours, &[Format::Cosign3], None)[0].was_there, was_there);
    }
}

#[test]
fn podman_gets_a_signature_of_each_part_of_an_index() {
    let fake = Fake::start().unwrap();
    let (name, registry) = repository(&fake.host());
    let parts = [push_image(&registry, "1"), push_image(&registry, "2")];
    let image = push_image(&registry, "index");
    let (key, now) = (p256(), chrono::Utc::now());
    for (formats, signed) in [
        (BTreeSet::from([Format::Cosign2, Format::Cosign3]), vec![image.digest; 2]),
        (BTreeSet::from([Format::Podman]), vec![image.digest, parts[0].digest, parts[1].digest]),
    ] {
        let signing = Signing {
            name: &name,
            image: &image,
            parts: &parts,
            formats: &formats,
            key: &key,
            chain: None,
            envelope: Envelope::Jws,
            now,
        };
        let written: Vec<_> =
            signing.make().unwrap().push(&registry).into_iter().map(Result::unwrap).collect();
        assert_eq!(written.iter().map(|one| one.image).collect::<Vec<_>>(), signed);
    }
    for digest in [image.digest, parts[0].digest, parts[1].digest] {
        let tag = signature_tag(digest).unwrap();
        let layers = manifest(&fake, tag.as_str())["layers"].as_array().unwrap().clone();
        let payload = fake.blob("acme/web", layers[0]["digest"].as_str().unwrap()).unwrap();
        let payload: Value = serde_json::from_slice(&payload).unwrap();
        assert_eq!(
            (layers.len(), &payload["critical"]["image"]["docker-manifest-digest"]),
            (1, &json!(digest))
        );
    }
    let parts = vec![image.clone(); 101];
    let formats = BTreeSet::from([Format::Podman]);
    let signing = Signing {
        name: &name,
        image: &image,
        parts: &parts,
        formats: &formats,
        key: &key,
        chain: None,
        envelope: Envelope::Jws,
        now,
    };
    let expected = "podman needs a signature of each image of an index: expected at most 100, got 101";
    assert_eq!(signing.make().unwrap_err().to_string(), expected);
}

#[test]
fn many_are_pushed_at_once_and_told_in_their_order() {
    let fake = Fake::start().unwrap();
    fake.set_referrers(false);
    let (name, registry) = repository(&fake.host());
    let images: Vec<_> = (0..20).map(|number| push_image(&registry, &format!("t{number}"))).collect();
    let formats = BTreeSet::from([Format::Cosign2, Format::Cosign3]);
    let (key, now) = (p256(), chrono::Utc::now());
    let made = images.iter().map(|image| {
        let (name, formats, key) = (&name, &formats, &key);
        Signing { name, image, parts: &[], formats, key, chain: None, envelope: Envelope::Jws, now }
            .make()
            .unwrap()
    });
    let made: Vec<_> = made.collect();
    let jobs: Vec<_> = made.iter().map(|one| (one, &registry)).collect();
    for (image, done) in images.iter().zip(push_all(&jobs)) {
        let told: Vec<_> = done.iter().map(|one| one.as_ref().unwrap()).collect();
        assert!(told.iter().all(|one| one.image == image.digest && !one.was_there));
        assert_eq!([&told[0].formats[..], &told[1].formats[..]], [[Format::Cosign2], [Format::Cosign3]]);
        let tag = signature_tag(image.digest).unwrap();
        assert_eq!(manifest(&fake, tag.as_str())["layers"].as_array().unwrap().len(), 1);
        assert_eq!(registry.referrers(image.digest, None).unwrap().manifests.len(), 1);
    }
}

#[test]
fn a_key_that_readers_cant_use_is_refused_with_the_reason() {
    let seed = Ed25519Signer::from_seed(&[7; 32]);
    let too_long = "expected a key that signs with SHA-256, as its readers do, got one over P-384, which signs \
                    with SHA-384";
    for (key, format, why) in [
        (&p384() as &dyn Sign, Format::Cosign2, too_long),
        (&p384(), Format::Cosign3, too_long),
        (&p384(), Format::Podman, too_long),
        (&seed, Format::Notation, "expected ECDSA or RSA, got Ed25519, for which notation has no algorithm"),
    ] {
        assert_eq!(why_not(key, &[format], None), format!("{format} can't use this key: {why}"));
    }
    assert_eq!(
        why_not(&p256(), &[Format::Notation], None),
        "notation needs a certificate chain for the key, got none"
    );
    assert_eq!(why_not(&p256(), &[], None), "expected at least one format to sign for, got none");
}

/// Says that it has another key than it signs with.
struct Liar(EcdsaSigner, EcdsaSigner);

impl Sign for Liar {
    fn key(&self) -> &Key {
        self.0.key()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.1.sign(message)
    }
}

#[test]
fn nothing_is_pushed_before_all_signatures_are_made_and_hold() {
    let expected = "cosign2: it made a signature that its own public half doesn't verify";
    let all = [Format::Cosign2, Format::Cosign3, Format::Podman];
    assert_eq!(why_not(&Liar(p256(), p256()), &all, None), expected);
    // The first one could be made; there is nothing to push all the same.
    assert_eq!(
        why_not(&p256(), &[Format::Cosign2, Format::Notation], None),
        "notation needs a certificate chain for the key, got none"
    );
}

#[test]
fn each_signature_is_pushed_or_named() {
    let fake = Fake::start().unwrap();
    let here = repository(&fake.host());
    let image = push_image(&here.1, "1");
    let formats = BTreeSet::from([Format::Cosign2, Format::Cosign3]);
    let (key, now) = (p256(), chrono::Utc::now());
    let signing = Signing {
        name: &here.0,
        image: &image,
        parts: &[],
        formats: &formats,
        key: &key,
        chain: None,
        envelope: Envelope::Jws,
        now,
    };
    let made = signing.make().unwrap();
    let empty = Digest::of(b"{}").to_string();
    fake.set_fault(Where::blob("acme/web", &empty), Fault::Unavailable);
    let done = made.push(&here.1);
    assert_eq!(done[0].as_ref().unwrap().formats, [Format::Cosign2]);
    let error = done[1].as_ref().unwrap_err().to_string();
    assert!(error.starts_with("the signature for cosign3 was not pushed: could not reach "), "{error}");
    fake.clear_faults();
    // Once more, and all is there once.
    let again: Vec<_> = made.push(&here.1).into_iter().map(|one| one.unwrap().was_there).collect();
    assert_eq!(again, [true, false]);
    let tag = signature_tag(image.digest).unwrap();
    assert_eq!(manifest(&fake, tag.as_str())["layers"].as_array().unwrap().len(), 1);
    assert_eq!(here.1.referrers(image.digest, None).unwrap().manifests.len(), 1);
}

#[test]
fn certificates_that_notation_would_refuse_are_refused_before_signing() {
    let Some(()) = programs(&["openssl"]) else { return };
    let dir = tempfile::tempdir().unwrap();
    let ours = key(dir.path(), "ours", "ec:P-256");
    let why =
        |pem: &str| why_not(&*ours, &[Format::Notation], Some(&CertificateChain::from_pem(pem).unwrap()));
    let leaf =
        "notation would refuse the certificates: the certificate of CN=Acme releases,O=Acme,ST=Here,C=DE: ";
    for (extensions, expected) in [
        ("", "expected a key usage of digitalSignature, got none"),
        (
            "keyUsage=digitalSignature\n",
            "expected a critical key usage of digitalSignature alone, got another",
        ),
        (
            "keyUsage=critical,digitalSignature,keyEncipherment\n",
            "expected a critical key usage of digitalSignature alone, got another",
        ),
        (
            "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n",
            "expected codeSigning as its extended use, got serverAuth",
        ),
        (
            "keyUsage=critical,digitalSignature\nbasicConstraints=critical,CA:TRUE\n",
            "expected the key's own certificate, got that of an authority",
        ),
    ] {
        assert_eq!(why(&chain(dir.path(), "ours", extensions)), format!("{leaf}{expected}"));
    }
    let good = chain(dir.path(), "ours", LEAF);
    let root = good.rfind("-----BEGIN").unwrap();
    let (leaf, root) = good.split_at(root);
    for (pem, expected) in [
        (
            leaf.to_owned(),
            "expected the chain to end with a certificate that signed itself, got that of CN=Acme releases",
        ),
        (
            root.to_owned(),
            "expected the first certificate, of CN=Acme root,O=Acme,ST=Here,C=DE, to be for the key that signs, got another key",
        ),
        (
            format!("{leaf}{leaf}"),
            "expected the certificate of CN=Acme releases,O=Acme,ST=Here,C=DE to be signed by the next one, of CN=Acme releases",
        ),
    ] {
        assert!(why(&pem).contains(expected), "{}", why(&pem));
    }
    // The leaf of the one with the root of another of the same name.
    key(dir.path(), "other", "ec:P-256");
    let other = chain(dir.path(), "other", LEAF);
    let other_root = &other[other.rfind("-----BEGIN").unwrap()..];
    let mixed = why(&format!("{leaf}{other_root}"));
    assert!(
        mixed.ends_with("to be signed by the next one, of CN=Acme root,O=Acme,ST=Here,C=DE: it isn't"),
        "{mixed}"
    );
    let chain = CertificateChain::from_pem(&good).unwrap();
    let late =
        chain.expect_usable(ours.key(), "2999-01-01T00:00:00Z".parse().unwrap()).unwrap_err().to_string();
    assert!(
        late.starts_with("expected a certificate that is valid at 2999-01-01 00:00:00 UTC, got that of"),
        "{late}"
    );
    for bad in [
        "",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        &"x".repeat(200_000),
        &good.repeat(6),
    ] {
        let error = CertificateChain::from_pem(bad).unwrap_err().to_string();
        assert!(error.starts_with("expected certificates in PEM, that of the key first, got "), "{error}");
    }
}
