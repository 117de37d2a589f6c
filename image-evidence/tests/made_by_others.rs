//! Signatures and attestations that other tools made: the valid are accepted, the others refused, each for its
//! own reason.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken test may panic"
)]

mod packages;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use image_evidence::{
    Claim, Context, Demand, Form, Identity, NotationTrust, Piece, Predicate, Refusal, SigstoreRoot,
    Statement, Trust, TrustStores, TrustedKey, Verified, Wanted,
};
use oci_image::{Descriptor, Digest, media};
use serde_json::Value;

/// A folder of files by others, if it is here.
fn folder(name: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/formats").join(name);
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/formats").join(name);
    let found = [folder, beside].into_iter().find(|folder| folder.exists());
    if found.is_none() {
        eprintln!("SKIPPED: there is no shared/data/formats/{name} beside the repository");
    }
    found
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn descriptor(digest: &str, size: u64) -> Descriptor {
    Descriptor { digest: digest.parse().unwrap(), size, ..Descriptor::of(media::OCI_MANIFEST, b"") }
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn no_annotations() -> &'static BTreeMap<String, String> {
    static NONE: BTreeMap<String, String> = BTreeMap::new();
    &NONE
}

/// A layer of a `.sig` tag: payload, annotations, and the image that the tag names.
type Layer = (Vec<u8>, BTreeMap<String, String>, String);

fn simple_signatures(folder: &Path) -> Vec<Layer> {
    let images = folder.join("securesystemsengineering/testimage");
    let mut layers = Vec::new();
    for entry in fs::read_dir(images.join("manifests")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let Some(hex) = name.strip_prefix("sha256-").and_then(|name| name.strip_suffix(".sig.json")) else {
            continue;
        };
        for layer in json(&path)["layers"].as_array().unwrap() {
            assert_eq!(Form::of(layer["mediaType"].as_str().unwrap()), Some(Form::SimpleSigning));
            let payload =
                fs::read(images.join(format!("blobs/{}.json", layer["digest"].as_str().unwrap()))).unwrap();
            let annotations = serde_json::from_value(layer["annotations"].clone()).unwrap();
            layers.push((payload, annotations, format!("sha256:{hex}")));
        }
    }
    layers
}

fn keys(folder: &Path, names: &[&str]) -> Vec<TrustedKey> {
    let read = |name: &&str| fs::read_to_string(folder.join(format!("{name}.key"))).unwrap();
    names.iter().map(|name| TrustedKey::from_pem(name, &read(name)).unwrap()).collect()
}

fn simple(layer: &Layer, trust: &Trust, digest: &str) -> Result<Verified, Refusal> {
    let (payload, annotations, _) = layer;
    let context = Context { image: &descriptor(digest, 1), repository: "r.io/x", now: Utc::now() };
    Piece { form: Form::SimpleSigning, bytes: payload, annotations }.verify(&context, trust)
}

#[test]
fn simple_signatures_count_for_their_image_and_their_keys_alone() {
    let Some(folder) = folder("cosign-simple-signing") else { return };
    let trust = Trust { keys: keys(&folder, &["alice", "bob", "charlie"]), ..Trust::default() };
    let layers = simple_signatures(&folder);
    let mut by_image: BTreeMap<String, Vec<Verified>> = BTreeMap::new();
    for layer in &layers {
        match simple(layer, &trust, &layer.2) {
            Ok(verified) => by_image.entry(layer.2.clone()).or_default().push(verified),
            Err(Refusal::Key { expected: 3 } | Refusal::NoTrust { .. }) => continue,
            Err(other) => panic!("{other}"),
        }
        // Replayed onto another image.
        let other = format!("sha256:{}", "a".repeat(64));
        assert!(matches!(simple(layer, &trust, &other), Err(Refusal::Subject { .. })));
        let mut changed = layer.clone();
        changed.0.push(b' ');
        assert_eq!(simple(&changed, &trust, &layer.2).unwrap_err(), Refusal::Key { expected: 3 });
        assert!(matches!(simple(layer, &Trust::default(), &layer.2), Err(Refusal::NoTrust { .. })));
    }
    let most = by_image.values().max_by_key(|verified| verified.len()).unwrap();
    assert!(most.len() >= 3, "alice, bob and charlie signed one image");
    let demand =
        |signers| Demand { wanted: Wanted::Approval, signers: std::num::NonZeroU32::new(signers).unwrap() };
    let twice: Vec<_> = most.iter().chain(most).collect();
    assert_eq!(demand(3).weigh(twice.iter().copied()).unwrap().len(), 3);
    let short = demand(4).weigh(twice).unwrap_err().to_string();
    assert!(
        short.starts_with("expected https://sigstore.dev/cosign/sign/v1 signed by 4, got 3: key "),
        "{short}"
    );
}

/// The identity in a refusal that says that it isn't among those given.
fn stranger(refusal: Refusal) -> Identity {
    let Refusal::Signer { got, .. } = refusal else { panic!("{refusal}") };
    let (subject, issuer) = got.split_once(" by ").unwrap();
    Identity { subject: subject.into(), issuer: issuer.into() }
}

#[test]
fn a_keyless_simple_signature_counts_for_the_identity_that_was_asked_for() {
    let (Some(folder), Some(bundles)) = (folder("cosign-simple-signing"), folder("sigstore-bundle")) else {
        return;
    };
    let root = fs::read_to_string(bundles.join("trusted-roots/public-good.json")).unwrap();
    let mut trust = Trust { sigstore: Some(SigstoreRoot::from_json(&root).unwrap()), ..Trust::default() };
    let layers = simple_signatures(&folder);
    let keyless: Vec<_> =
        layers.iter().filter(|layer| layer.1.contains_key("dev.sigstore.cosign/certificate")).collect();
    assert!(!keyless.is_empty());
    for layer in keyless {
        trust.identities = Vec::new();
        let identity = stranger(simple(layer, &trust, &layer.2).unwrap_err());
        trust.identities = vec![Identity { subject: "somebody@example.com".into(), ..identity.clone() }];
        assert_eq!(stranger(simple(layer, &trust, &layer.2).unwrap_err()), identity);
        trust.identities = vec![identity];
        simple(layer, &trust, &layer.2).unwrap();
        let mut changed = layer.clone();
        changed.0.push(b' ');
        assert!(simple(&changed, &trust, &layer.2).is_err());
    }
}

/// Trust in the public sigstore, and in nobody yet.
fn public_good() -> Option<Trust> {
    let root = packages::trusted_root("trusted_root.json")?;
    Some(Trust { sigstore: Some(SigstoreRoot::from_json(&root).unwrap()), ..Trust::default() })
}

fn bundle(bytes: &[u8], trust: &Trust, image: &Descriptor, now: DateTime<Utc>) -> Result<Verified, Refusal> {
    let context = Context { image, repository: "r.io/x", now };
    Piece { form: Form::Bundle, bytes, annotations: no_annotations() }.verify(&context, trust)
}

/// All holds of a keyless bundle but what it is about: packages of npm, by SHA-512. Each change of it is refused.
fn expect_keyless(name: &str, bytes: &[u8], mut trust: Trust) {
    let image = descriptor(&format!("sha256:{}", "a".repeat(64)), 1);
    let weigh = |bytes: &[u8], trust: &Trust| bundle(bytes, trust, &image, Utc::now()).unwrap_err();
    trust.identities = vec![stranger(weigh(bytes, &trust))];
    let refusal = weigh(bytes, &trust);
    assert!(
        matches!(&refusal, Refusal::Subject { got, .. } if got.starts_with("sha512:")),
        "{name}: {refusal}"
    );
    let early = bundle(bytes, &trust, &image, time("2020-01-01T00:00:00Z")).unwrap_err();
    assert!(matches!(&early, Refusal::Log { why } if why.contains("expected a time before")), "{early}");
    assert_eq!(weigh(bytes, &Trust::default()).reason(), "no-trust");
    let mut document: Value = serde_json::from_slice(bytes).unwrap();
    let mut payload = STANDARD.decode(document["dsseEnvelope"]["payload"].as_str().unwrap()).unwrap();
    *payload.iter_mut().rev().find(|byte| byte.is_ascii_lowercase()).unwrap() ^= 1;
    document["dsseEnvelope"]["payload"] = Value::from(STANDARD.encode(&payload));
    assert_ne!(weigh(document.to_string().as_bytes(), &trust).reason(), "other-subject", "{name}: tampered");
    let mut document: Value = serde_json::from_slice(bytes).unwrap();
    document["verificationMaterial"]["tlogEntries"] = serde_json::json!([]);
    assert_eq!(weigh(document.to_string().as_bytes(), &trust).reason(), "log", "{name}: no log");
}

#[test]
fn keyless_bundles_are_verified_to_the_subject_and_each_change_is_refused() {
    for name in ["dsse", "sigstore.js@2.0.0-provenance"] {
        let (Some(trust), Some(bytes)) = (public_good(), packages::bundle(&format!("{name}.sigstore.json")))
        else {
            return;
        };
        expect_keyless(name, &bytes, trust);
    }
}

/// What Debian's package of sigstore-go brings: bundles 0.1 of a package of npm's, one by GitHub and one by npm's key.
fn examples() -> Option<PathBuf> {
    let folder = std::env::var_os("HALLMARK_READERS");
    let folder = folder.map(|folder| Path::new(&folder).join("sigstore-go.examples"));
    let why = "HALLMARK_READERS names no folder with sigstore-go.examples/";
    folder.filter(|folder| folder.is_dir()).or_else(|| packages::skip(why))
}

#[test]
fn a_keyless_bundle_0_1_is_verified_to_the_subject_and_each_change_is_refused() {
    let Some(folder) = examples() else { return };
    let root = fs::read_to_string(folder.join("trusted-root-public-good.json")).unwrap();
    let bytes = fs::read(folder.join("bundle-provenance.json")).unwrap();
    assert!(String::from_utf8_lossy(&bytes).contains("bundle+json;version=0.1"));
    let trust = Trust { sigstore: Some(SigstoreRoot::from_json(&root).unwrap()), ..Trust::default() };
    expect_keyless("bundle-provenance", &bytes, trust);
}

/// The same signature as cosign up to version 2 lays it under `sha256-HEX.att`: an envelope, and the rest in annotations.
fn taken_apart(bundle: &[u8]) -> (Vec<u8>, BTreeMap<String, String>) {
    let document: Value = serde_json::from_slice(bundle).unwrap();
    let material = &document["verificationMaterial"];
    let pem = |body: &Value| {
        format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
            body["rawBytes"].as_str().unwrap()
        )
    };
    let certificates = material["x509CertificateChain"]["certificates"].as_array().unwrap();
    let entry = &material["tlogEntries"][0];
    let number = |name: &str| entry[name].as_str().unwrap().parse::<i64>().unwrap();
    let id = STANDARD.decode(entry["logId"]["keyId"].as_str().unwrap()).unwrap();
    let log = serde_json::json!({
        "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
        "Payload": {
            "body": entry["canonicalizedBody"], "integratedTime": number("integratedTime"), "logIndex": number("logIndex"),
            "logID": id.iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
        },
    });
    let annotations = BTreeMap::from([
        ("dev.sigstore.cosign/certificate".to_owned(), pem(&certificates[0])),
        ("dev.sigstore.cosign/chain".to_owned(), certificates[1..].iter().map(pem).collect()),
        ("dev.sigstore.cosign/bundle".to_owned(), log.to_string()),
    ]);
    (document["dsseEnvelope"].to_string().into_bytes(), annotations)
}

#[test]
fn a_keyless_envelope_with_its_proof_in_annotations_is_verified_as_a_bundle_is() {
    let (Some(mut trust), Some(whole)) = (public_good(), packages::bundle("dsse.sigstore.json")) else {
        return;
    };
    let image = descriptor(&format!("sha256:{}", "a".repeat(64)), 1);
    let (bytes, annotations) = taken_apart(&whole);
    let weigh = |annotations: &BTreeMap<String, String>, trust: &Trust| {
        let context = Context { image: &image, repository: "r.io/x", now: Utc::now() };
        Piece { form: Form::Envelope, bytes: &bytes, annotations }.verify(&context, trust).unwrap_err()
    };
    trust.identities = vec![stranger(weigh(&annotations, &trust))];
    let refusal = weigh(&annotations, &trust);
    assert!(matches!(&refusal, Refusal::Subject { got, .. } if got.starts_with("sha512:")), "{refusal}");
    let mut without = annotations.clone();
    without.remove("dev.sigstore.cosign/bundle");
    assert_eq!(weigh(&without, &trust).reason(), "log");
    let mut moved = annotations.clone();
    moved.insert(
        "dev.sigstore.cosign/bundle".into(),
        annotations["dev.sigstore.cosign/bundle"].replacen("\"integratedTime\":1", "\"integratedTime\":2", 1),
    );
    assert_ne!(moved, annotations);
    assert_eq!(weigh(&moved, &trust).reason(), "log");
    assert_eq!(weigh(&annotations, &Trust::default()).reason(), "no-trust");
}

#[test]
fn a_bundle_of_two_signatures_or_over_bytes_elsewhere_is_refused() {
    let Some(trust) = public_good() else { return };
    let image = descriptor(&format!("sha256:{}", "a".repeat(64)), 1);
    let weigh = |bytes: &[u8]| bundle(bytes, &trust, &image, Utc::now()).unwrap_err().to_string();
    let Some(twice) = packages::bundle("dsse-2sigs.sigstore.json") else { return };
    assert_eq!(weigh(&twice), "expected 1 signature in the envelope, got 2");
    let elsewhere = "expected a bundle of a DSSE envelope, got a signature over bytes that it doesn't hold";
    // By cosign 3, sigstore-python and sigstore-go, of three versions.
    for name in ["cosign-v3-blob.sigstore.json", "bundle_v3_github.whl.sigstore", "othername.sigstore.json"] {
        let Some(bytes) = packages::bundle(name) else { return };
        assert_eq!(weigh(&bytes), elsewhere, "{name}");
    }
    let Some(folder) = folder("sigstore-bundle") else { return };
    let by_key = fs::read(folder.join("public-key-validity.sigstore.json")).unwrap();
    assert_eq!(weigh(&by_key), elsewhere);
}

#[test]
fn each_trusted_root_by_others_is_read() {
    let Some(folder) = folder("sigstore-bundle") else { return };
    for name in ["public-good", "scaffolding", "public-key-validity"] {
        let text = fs::read_to_string(folder.join(format!("trusted-roots/{name}.json"))).unwrap();
        let read = SigstoreRoot::from_json(&text).map(drop).map_err(|why| why.to_string());
        assert_eq!(read, Ok(()), "{name}");
        assert!(SigstoreRoot::from_json(&text[1..]).is_err());
    }
}

#[test]
fn provenance_by_others_is_understood() {
    let read = |name: &str| {
        let bytes = packages::bundle(&format!("{name}.sigstore.json"))?;
        let piece = Piece { form: Form::Bundle, bytes: &bytes, annotations: no_annotations() };
        match Predicate::of(&piece.unverified().unwrap()).unwrap() {
            Predicate::Provenance(provenance) => Some(provenance),
            other => panic!("{other:?}"),
        }
    };
    let (Some(v1), Some(v0_2)) = (read("sigstore.js@2.0.0-provenance"), read("dsse")) else { return };
    assert_eq!((v1.version, v1.builder.as_str()), ("1", "https://github.com/actions/runner/github-hosted"));
    let source = v1.source.clone().unwrap();
    assert_eq!(source.repository, "https://github.com/sigstore/sigstore-js");
    assert_eq!(source.commit.unwrap().len(), 40);
    assert_eq!(v1.build_file.as_deref(), Some(".github/workflows/release.yml"));
    assert!(v1.unexpected_parameters().is_empty());
    assert_eq!(v0_2.version, "0.2");
    assert!(v0_2.source.unwrap().repository.contains("github.com"));
}

#[test]
fn bundles_of_the_first_versions_by_a_key_are_verified_to_the_subject() {
    let Some(folder) = examples() else { return };
    let pem = fs::read_to_string(folder.join("publish_key.pub")).unwrap();
    let key = TrustedKey::from_pem("signer.pub", &pem).unwrap();
    let trust = |key: TrustedKey| Trust { keys: vec![key], ..Trust::default() };
    let image = descriptor(&format!("sha256:{}", "a".repeat(64)), 1);
    let weigh = |document: &Value, trust: &Trust| {
        bundle(document.to_string().as_bytes(), trust, &image, Utc::now()).unwrap_err()
    };
    let document = json(&folder.join("bundle-publish.json"));
    for version in ["0.1", "0.2", "0.3"] {
        let mut document = document.clone();
        document["mediaType"] =
            Value::from(format!("application/vnd.dev.sigstore.bundle+json;version={version}"));
        // All holds but what it is about: a package, by SHA-512.
        let refusal = weigh(&document, &trust(key.clone()));
        assert!(matches!(&refusal, Refusal::Subject { got, .. } if got.starts_with("sha512:")), "{refusal}");
        let stranger = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
        let stranger = trust(TrustedKey::from_pem("stranger.pub", stranger).unwrap());
        assert_eq!(weigh(&document, &stranger).reason(), "other-key");
        // The hint is another than ours would be, and need be the same in both places alone.
        document["verificationMaterial"]["publicKey"]["hint"] = Value::from("another");
        assert_eq!(weigh(&document, &trust(key.clone())).reason(), "other-kind");
    }
    let mut changed = document.clone();
    let payload = STANDARD.decode(document["dsseEnvelope"]["payload"].as_str().unwrap()).unwrap();
    let payload = String::from_utf8(payload).unwrap().replace("1.3.0", "1.3.1");
    changed["dsseEnvelope"]["payload"] = Value::from(STANDARD.encode(payload));
    assert_eq!(weigh(&changed, &trust(key)).reason(), "other-key");
}

/// Every JWS in a layout, and the manifest that it is in.
fn envelopes(layout: &Path) -> Vec<(Vec<u8>, Descriptor)> {
    let mut found = Vec::new();
    let blobs = layout.join("blobs/sha256");
    for entry in fs::read_dir(&blobs).unwrap() {
        let Ok(manifest) = serde_json::from_slice::<Value>(&fs::read(entry.unwrap().path()).unwrap()) else {
            continue;
        };
        let (Some(subject), Some(layer)) = (manifest.get("subject"), manifest["layers"].get(0)) else {
            continue;
        };
        if Form::of(layer["mediaType"].as_str().unwrap()) != Some(Form::NotationJws) {
            continue;
        }
        let digest: Digest = layer["digest"].as_str().unwrap().parse().unwrap();
        let bytes = fs::read(blobs.join(digest.hex())).unwrap();
        found.push((bytes, serde_json::from_value(subject.clone()).unwrap()));
    }
    found
}

fn policy(level: &str, identity: &str, stores: &str) -> String {
    format!(
        r#"{{"version":"1.0","trustPolicies":[{{"name":"e2e","registryScopes":["*"],
            "signatureVerification":{{"level":"{level}"}},"trustStores":[{stores}],"trustedIdentities":["{identity}"]}}]}}"#
    )
}

/// Certificates in PEM, as a trust store has them.
fn store(folder: &Path, files: &[&str]) -> TrustStores {
    let der = |file: &&str| {
        let pem = fs::read_to_string(folder.join(file)).unwrap();
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        STANDARD.decode(body).unwrap()
    };
    TrustStores::from([("ca:e2e".to_owned(), files.iter().map(der).collect())])
}

fn notation(policy: &str, stores: TrustStores) -> Trust {
    Trust { notation: Some(NotationTrust::new(policy, stores).unwrap()), ..Trust::default() }
}

fn weigh(envelope: &(Vec<u8>, Descriptor), trust: &Trust, now: DateTime<Utc>) -> Result<Verified, Refusal> {
    let context = Context { image: &envelope.1, repository: "r.io/x", now };
    Piece { form: Form::NotationJws, bytes: &envelope.0, annotations: no_annotations() }
        .verify(&context, trust)
}

#[test]
fn notation_signatures_are_accepted_or_refused_each_for_its_own_reason() {
    let Some(folder) = folder("notation") else { return };
    let strict = policy("strict", "*", r#""ca:e2e""#);
    let all = ["e2e.crt", "new_e2e.crt", "expired_e2e.crt"];
    let trust = notation(&strict, store(&folder, &all));
    let now = time("2026-11-26T12:00:00Z");
    let of = |layout: &str| -> Vec<_> {
        let found = envelopes(&folder.join(layout));
        assert!(!found.is_empty(), "{layout}");
        let outcome = |one| match weigh(one, &trust, now) {
            Ok(verified) => verified.signers[0].to_string(),
            Err(refusal) => refusal.reason().to_owned(),
        };
        let mut outcomes: Vec<_> = found.iter().map(outcome).collect();
        outcomes.sort();
        outcomes
    };
    let e2e = "certificate of CN=e2e,O=Notary,L=Seattle,ST=WA,C=US";
    assert_eq!(of("e2e-valid-signature"), [e2e]);
    assert_eq!(of("e2e-valid-multiple-signatures"), [e2e, "other-signer"]);
    assert_eq!(of("e2e-expired-signature"), ["expired"]);
    assert_eq!(of("e2e-with-expired-cert"), ["certificate"]);
    let invalid = fs::read(folder.join(
        "e2e-invalid-signature/blobs/sha256/9a8decdf3775708f4eed16859f19561d730cad40b1af0dcfc37ac1e5f879a934",
    ));
    let image = descriptor(&format!("sha256:{}", "a".repeat(64)), 517);
    assert_eq!(weigh(&(invalid.unwrap(), image), &trust, now).unwrap_err().reason(), "malformed");
    // By certificates of one day that are in no store; their time stamps would need an authority.
    assert_eq!(of("e2e-with-timestamped-signature"), ["other-signer"]);
    assert_eq!(of("e2e-with-invalid-timestamped-signature"), ["other-signer"]);
    assert!(envelopes(&folder.join("e2e")).is_empty());
}

#[test]
fn a_policy_of_notation_decides_by_identity_level_store_and_time_stamp() {
    let Some(folder) = folder("notation") else { return };
    let valid = envelopes(&folder.join("e2e-valid-signature")).remove(0);
    let expired = envelopes(&folder.join("e2e-expired-signature")).remove(0);
    let late = envelopes(&folder.join("e2e-with-expired-cert")).remove(0);
    let now = time("2026-11-26T12:00:00Z");
    let ca = r#""ca:e2e""#;
    let with = |level: &str, identity: &str, stores: &str| {
        notation(&policy(level, identity, stores), store(&folder, &["e2e.crt", "expired_e2e.crt"]))
    };
    let outcome = |envelope, trust: &Trust| match weigh(envelope, trust, now) {
        Ok(_) => "accepted",
        Err(refusal) => refusal.reason(),
    };
    let ours = "x509.subject: C=US, ST=WA, O=Notary";
    assert_eq!(outcome(&valid, &with("strict", ours, ca)), "accepted");
    assert_eq!(outcome(&valid, &with("strict", "x509.subject: C=US, ST=WA, O=Acme", ca)), "other-signer");
    assert_eq!(outcome(&valid, &with("audit", "*", ca)), "no-trust");
    assert_eq!(outcome(&valid, &with("skip", "*", ca)), "no-trust");
    let mut stamps = store(&folder, &["e2e.crt", "expired_e2e.crt"]);
    stamps.insert("tsa:stamps".to_owned(), stamps["ca:e2e"].clone());
    let stamped = notation(&policy("strict", "*", r#""ca:e2e","tsa:stamps""#), stamps);
    assert_eq!(outcome(&valid, &stamped), "time-stamp");
    assert_eq!(outcome(&expired, &with("strict", ours, ca)), "expired");
    assert_eq!(outcome(&expired, &with("permissive", ours, ca)), "accepted");
    assert_eq!(outcome(&late, &with("strict", "*", ca)), "certificate");
    assert_eq!(outcome(&late, &with("permissive", "*", ca)), "accepted");
    let nobody = notation(&policy("strict", "*", ca), store(&folder, &["new_e2e.crt"]));
    assert_eq!(outcome(&valid, &nobody), "other-signer");
    assert_eq!(outcome(&valid, &Trust::default()), "no-trust");
    let moved = (valid.0.clone(), descriptor(&format!("sha256:{}", "a".repeat(64)), valid.1.size));
    assert_eq!(outcome(&moved, &with("strict", ours, ca)), "other-subject");
    let mut document: Value = serde_json::from_slice(&valid.0).unwrap();
    let payload = document["payload"].as_str().unwrap().to_owned();
    document["payload"] = Value::from(payload.replacen('b', "c", 1));
    let tampered = (document.to_string().into_bytes(), valid.1.clone());
    assert!(["tampered", "malformed"].contains(&outcome(&tampered, &with("strict", ours, ca))));
}

#[test]
fn a_signed_list_of_what_is_inside_is_no_approval() {
    let statement = br#"{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"https://spdx.dev/Document"}"#;
    let statement = Statement::parse(statement).unwrap();
    let refusal = statement.expect_predicate("https://sigstore.dev/cosign/sign/v1").unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "expected a statement of type https://sigstore.dev/cosign/sign/v1, got https://spdx.dev/Document"
    );
    let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
    let key = TrustedKey::from_pem("a.pub", pem).unwrap();
    let image = descriptor(&format!("sha256:{}", "a".repeat(64)), 1);
    let refusal = Piece { form: Form::Statement, bytes: b"{", annotations: no_annotations() }
        .verify(
            &Context { image: &image, repository: "r.io/x", now: Utc::now() },
            &Trust { keys: vec![key], ..Trust::default() },
        )
        .unwrap_err();
    assert_eq!(refusal.reason(), "malformed");
    assert!(matches!(Claim::Approval.predicate_type(), "https://sigstore.dev/cosign/sign/v1"));
}
