//! Bytes that somebody changed: nothing that was not signed is ever claimed, and nothing panics.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use image_evidence::{Context, Form, Piece, Predicate, Refusal, Statement, Trust, TrustedKey};
use image_signatures::{BUNDLE, IN_TOTO, pae};
use oci_image::{Descriptor, Digest, media};
use serde_json::{Value, json};
use tuf_core::crypto::{Ed25519Signer, Sign as _};

const FORMS: [Form; 6] = [
    Form::SimpleSigning,
    Form::Envelope,
    Form::Bundle,
    Form::NotationJws,
    Form::NotationCose,
    Form::Statement,
];

fn image() -> Descriptor {
    Descriptor::of(media::OCI_MANIFEST, b"an image")
}

fn trust() -> Trust {
    let pem = signer().key().to_pem().unwrap();
    Trust { keys: vec![TrustedKey::from_pem("ours.pub", &pem).unwrap()], ..Trust::default() }
}

fn signer() -> Ed25519Signer {
    Ed25519Signer::from_seed(&[7; 32])
}

/// An envelope of so many signatures by our key.
fn envelope(statement: &Value, signatures: usize) -> Value {
    let statement = statement.to_string();
    let signature = signer().sign(&pae(IN_TOTO, statement.as_bytes())).unwrap();
    let one = json!({ "sig": STANDARD.encode(signature), "keyid": "anything" });
    json!({
        "payload": STANDARD.encode(&statement), "payloadType": IN_TOTO,
        "signatures": vec![one; signatures],
    })
}

fn statement(kind: &str, predicate: &Value) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "subject": [{ "name": "web", "digest": { "sha256": image().digest.hex() } }],
        "predicateType": kind, "predicate": predicate,
    })
}

fn weigh(form: Form, bytes: &[u8]) -> Result<String, Refusal> {
    let image = image();
    let context = Context { image: &image, repository: "r.io/x", now: Utc::now() };
    let verified = Piece { form, bytes, annotations: &BTreeMap::new() }.verify(&context, &trust())?;
    Ok(verified.claim.predicate_type().to_owned())
}

#[test]
fn of_a_changed_envelope_nothing_else_is_claimed() {
    let kind = "https://example.com/a/predicate";
    let envelope = envelope(&statement(kind, &json!({ "a": 1 })), 1);
    let bundle = json!({
        "mediaType": BUNDLE, "verificationMaterial": { "publicKey": { "hint": "anything" } }, "dsseEnvelope": envelope,
    });
    for (form, document) in [(Form::Envelope, &envelope), (Form::Bundle, &bundle)] {
        let bytes = document.to_string().into_bytes();
        assert_eq!(weigh(form, &bytes).unwrap(), kind);
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut other = bytes.clone();
                other[at] ^= 1 << bit;
                // What isn't signed may change, such as a hint.
                let claimed = weigh(form, &other);
                assert!(claimed.as_deref().unwrap_or(kind) == kind, "byte {at}, bit {bit}: {claimed:?}");
            }
            assert!(weigh(form, &bytes[..at]).is_err(), "cut at {at}");
        }
    }
}

#[test]
fn one_key_is_one_signer_of_an_envelope_and_a_flood_of_signatures_is_refused() {
    let statement = statement("https://example.com/a", &json!({}));
    let signers = |count| {
        let bytes = envelope(&statement, count).to_string().into_bytes();
        let (image, none) = (image(), BTreeMap::new());
        let context = Context { image: &image, repository: "r.io/x", now: Utc::now() };
        let piece = Piece { form: Form::Envelope, bytes: &bytes, annotations: &none };
        piece.verify(&context, &trust()).map(|verified| verified.signers.len())
    };
    assert_eq!(signers(2), Ok(1));
    assert_eq!(signers(0), Err(Refusal::Unsigned));
    assert_eq!(signers(17).unwrap_err().to_string(), "expected a list of signatures of at most 16, got 17");
}

#[test]
fn another_hint_in_envelope_and_bundle_is_refused() {
    let envelope = envelope(&statement("https://example.com/a", &json!({})), 1);
    let bundle = json!({
        "mediaType": BUNDLE, "verificationMaterial": { "publicKey": { "hint": "other" } }, "dsseEnvelope": envelope,
    });
    let refusal = weigh(Form::Bundle, bundle.to_string().as_bytes()).unwrap_err();
    assert_eq!(refusal.to_string(), "expected a key hint other, got anything");
}

#[test]
fn no_bytes_make_it_panic() {
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    let tags = [&[0xc1; 5000][..], &[0x9f; 5000], &[0xd2, 0x84, 0x40, 0xa0, 0xf6, 0x40]].map(<[u8]>::to_vec);
    let texts =
        ["", "{}", "[]", "null", "\u{0}", r#"{"payload":"!"}"#, &deep].map(|text| text.as_bytes().to_vec());
    for bytes in texts.iter().chain(&tags) {
        for form in FORMS {
            assert!(weigh(form, bytes).is_err());
        }
        assert!(Statement::parse(bytes).is_err());
    }
}

#[test]
fn predicates_of_any_shape_are_read_or_refused() {
    let kinds = [
        "https://slsa.dev/provenance/v1",
        "https://slsa.dev/provenance/v0.2",
        "https://slsa.dev/verification_summary/v1",
        "https://spdx.dev/Document",
        "https://spdx.dev/Document/v2.3",
        "https://cyclonedx.org/bom",
        "https://openvex.dev/ns/v0.2.0",
        "https://cosign.sigstore.dev/attestation/vuln/v1",
        "https://in-toto.io/attestation/vulns/v0.2",
        "https://in-toto.io/attestation/svr/v0.2",
        "https://cosign.sigstore.dev/attestation/v1",
    ];
    let shapes = [
        json!(null),
        json!({}),
        json!([]),
        json!("text"),
        json!(3),
        json!({ "Data": 3 }),
        json!({ "builder": [] }),
        json!({ "buildDefinition": null, "runDetails": {} }),
        json!({ "statements": [{}] }),
        json!({ "scanner": {} }),
    ];
    for kind in kinds {
        for shape in &shapes {
            let statement = Statement::parse(statement(kind, shape).to_string().as_bytes()).unwrap();
            let read = Predicate::of(&statement);
            assert!(!matches!(read, Ok(Predicate::Other(_))), "{kind} {shape}: {read:?}");
        }
    }
}

#[test]
fn what_others_say_is_read() {
    let read = |kind: &str, predicate: Value| {
        Predicate::of(&Statement::parse(statement(kind, &predicate).to_string().as_bytes()).unwrap()).unwrap()
    };
    let spdx = json!({ "spdxVersion": "SPDX-2.3", "packages": [{}, {}] });
    for predicate in
        [spdx.clone(), json!(spdx.to_string()), json!({ "Data": spdx.to_string(), "Timestamp": "" })]
    {
        let Predicate::Sbom(sbom) = read("https://spdx.dev/Document", predicate) else { panic!() };
        assert_eq!((sbom.components, sbom.version.as_str()), (2, "SPDX-2.3"));
    }
    let vsa = json!({
        "verifier": { "id": "https://verify.example.com" }, "timeVerified": "2026-01-01T00:00:00Z",
        "resourceUri": "r.io/x", "policy": { "uri": "p" }, "verificationResult": "passed", "verifiedLevels": ["SLSA_BUILD_LEVEL_3"],
    });
    let Predicate::Vsa(vsa) = read("https://slsa.dev/verification_summary/v1", vsa) else { panic!() };
    assert!(!vsa.passed, "PASSED is written so, and not otherwise");
    for version in ["v0.1", "v0.2"] {
        let svr = json!({
            "verifier": { "id": "https://verify.example.com", "policies": [] },
            "timeCreated": "2026-01-01T00:00:00Z", "properties": ["REVIEWED"],
        });
        let Predicate::Svr(svr) = read(&format!("https://in-toto.io/attestation/svr/{version}"), svr) else {
            panic!("{version}")
        };
        assert_eq!(svr.properties, ["REVIEWED"]);
    }
    let custom = json!({ "Data": "reviewed\n", "Timestamp": "2026-01-01T00:00:00Z" });
    let custom = read("https://cosign.sigstore.dev/attestation/v1", custom);
    assert!(matches!(&custom, Predicate::Custom(custom) if custom.bytes == 9), "{custom:?}");
    assert!(custom.time().is_some());
    let vex = json!({ "author": "a", "statements": [
        { "vulnerability": { "name": "CVE-1" }, "status": "not_affected", "justification": "j", "products": [{ "@id": "pkg:x" }] },
        { "vulnerability": "CVE-2", "status": "fixed" },
    ] });
    let Predicate::Vex(vex) = read("https://openvex.dev/ns/v0.2.0", vex) else { panic!() };
    assert_eq!(
        vex.statements.iter().map(|one| one.vulnerability.as_str()).collect::<Vec<_>>(),
        ["CVE-1", "CVE-2"]
    );
    assert_eq!(vex.statements[0].products[0].names, ["pkg:x"]);
    assert_eq!(Digest::of(b"an image"), image().digest);
}

/// An RSA key, and the same one without the NULL that RFC 3279 asks for.
const RSA: [&str; 2] = [
    "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAtTvvfZ6pIlKuHrCERPsL\n4EGHhMaiZYua/A+ejXODhkgYWuTM6gyesaSLv4huqzIeq1Sm8YZc03LtzE/5nxI+\nROAHliems9XxRdGm/0jA5slUCTqsUxSd4HLfuo3cfikpNzkCgxElswIk+MNiqPWy\neWEEkJ/TV7vT/LQ2PgR0YyrAy4NBEp/cFqgOHtLCOV9cY3NcqN2tY0xwUyJYzj/J\nO/q2rjf/Syks3xtnZaxRL+q1n5vqn5XhAaAeXENh7sL70xIA58ax5s+vVgXPar+U\nS3pziCsBShzwP4DTUrkt71UjmTxoVJNa9ouxOKrQgg+wESVFqIV30zEFJrgW4mre\nswIDAQAB\n-----END PUBLIC KEY-----\n",
    "-----BEGIN PUBLIC KEY-----\nMIIBIDALBgkqhkiG9w0BAQEDggEPADCCAQoCggEBALU7732eqSJSrh6whET7C+BB\nh4TGomWLmvwPno1zg4ZIGFrkzOoMnrGki7+IbqsyHqtUpvGGXNNy7cxP+Z8SPkTg\nB5YnprPV8UXRpv9IwObJVAk6rFMUneBy37qN3H4pKTc5AoMRJbMCJPjDYqj1snlh\nBJCf01e70/y0Nj4EdGMqwMuDQRKf3BaoDh7SwjlfXGNzXKjdrWNMcFMiWM4/yTv6\ntq43/0spLN8bZ2WsUS/qtZ+b6p+V4QGgHlxDYe7C+9MSAOfGsebPr1YFz2q/lEt6\nc4grAUoc8D+A01K5Le9VI5k8aFSTWvaLsTiq0IIPsBElRaiFd9MxBSa4FuJq3rMC\nAwEAAQ==\n-----END PUBLIC KEY-----\n",
];

#[test]
fn a_key_of_a_kind_that_is_not_read_is_told_as_such() {
    let p521 = "-----BEGIN PUBLIC KEY-----\nMIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQB6QCXYC8ioV9ftaaqc4yrlVj9TTsV\nKdB4HWZWMPSfc0v2B9alBeI0+D6ARlmcTAyGjMQ+bV1l2yBlbMw/c+6otHwAduHg\nz72unCp+wqwKYkPkbsNQ4bsSj20A8kjl+gXgd8N0lNADmG137p/SVHS7YD5aA/y9\nnR+IuU2fTGXDNG6gu4g=\n-----END PUBLIC KEY-----\n";
    let why = TrustedKey::from_pem("x.pub", p521).unwrap_err().to_string();
    assert!(why.ends_with("expected Ed25519, RSA, or ECDSA over P-256 or P-384, got another kind"), "{why}");
}

#[test]
fn one_key_in_two_spellings_is_one_signer() {
    let [one, two] = RSA.map(|pem| format!("{:?}", TrustedKey::from_pem("x.pub", pem).unwrap()));
    assert_ne!(RSA[0], RSA[1]);
    assert_eq!(one, two);
}
