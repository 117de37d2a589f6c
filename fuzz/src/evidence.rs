//! Signatures and attestations: whatever comes, somebody who is trusted is only found to have said what they said. One
//! target a form. The harness knows everything that its keyholder ever signed.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::DateTime;
use image_evidence::{
    COSIGN_SIGN, Claim, Context, Demand, Form, NotationTrust, Piece, Predicate, Refusal, Statement, Trust,
    TrustStores, TrustedKey, Verified, Wanted,
};
use oci_image::{Descriptor, Digest};
use serde_json::{Value, json};
use tuf_core::crypto::{Ed25519Signer, Sign as _};

/// The manifest that all are asked about: that of the signatures that notation made (`image-evidence/tests/notation`).
pub const IMAGE: &str = "8e785953e15340cad38bf7a9040b062c9b890aca9593c5026d48aa30e30b8dd6";
/// Another manifest, of which the keyholder approves too.
pub const OTHER: &str = "1111111111111111111111111111111111111111111111111111111111111111";
/// A list of components.
pub const SPDX: &str = "https://spdx.dev/Document";
/// A signature by notation with a time stamp, and the same in COSE.
pub const JWS: &[u8] = include_bytes!("../../image-evidence/tests/notation/stamped.jws.json");
/// As [`JWS`], without a time stamp.
pub const PLAIN_JWS: &[u8] = include_bytes!("../../image-evidence/tests/notation/plain.jws.json");
/// In COSE.
pub const COSE: &[u8] = include_bytes!("../../image-evidence/tests/notation/stamped.cose");
const SIGNER: &[u8] = include_bytes!("../../image-evidence/tests/notation/signer.der");
const AUTHORITY: &[u8] = include_bytes!("../../image-evidence/tests/notation/authority.der");

const IN_TOTO: &str = "application/vnd.in-toto+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const STAMP: &str = "io.cncf.notary.timestampSignature";

fn keyholder() -> Ed25519Signer {
    Ed25519Signer::from_seed(&[7; 32])
}

/// A statement about a manifest.
pub fn statement(image: &str, kind: &str) -> String {
    json!({ "_type": "https://in-toto.io/Statement/v1", "subject": [{ "digest": { "sha256": image } }],
            "predicateType": kind, "predicate": {} })
    .to_string()
}

/// An envelope with the keyholder's signature.
pub fn envelope(payload: &[u8]) -> Value {
    let head = format!("DSSEv1 {} {IN_TOTO} {} ", IN_TOTO.len(), payload.len());
    let signature = keyholder().sign(&[head.as_bytes(), payload].concat()).expect("a key signs");
    json!({ "payload": STANDARD.encode(payload), "payloadType": IN_TOTO,
            "signatures": [{ "sig": STANDARD.encode(signature) }] })
}

/// A bundle around it.
pub fn bundled(payload: &[u8]) -> Value {
    json!({ "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": { "publicKey": { "hint": "" } }, "dsseEnvelope": envelope(payload) })
}

/// A payload of simple signing.
pub fn payload(image: &str) -> String {
    json!({ "critical": { "identity": { "docker-reference": "r.io/acme/web" },
            "image": { "docker-manifest-digest": format!("sha256:{image}") },
            "type": "cosign container image signature" }, "optional": null })
    .to_string()
}

/// A trust policy of notation.
pub fn policy(when: &str, stores: &[&str]) -> String {
    json!({ "version": "1.0", "trustPolicies": [{ "name": "all", "registryScopes": ["*"],
            "signatureVerification": { "level": "strict", "verifyTimestamp": when },
            "trustStores": stores, "trustedIdentities": ["x509.subject: C=US, ST=WA, O=Acme"] }] })
    .to_string()
}

fn stores() -> TrustStores {
    let store = |name: &str, der: &[u8]| (name.to_owned(), vec![der.to_vec()]);
    TrustStores::from([store("ca:acme", SIGNER), store("tsa:acme", AUTHORITY)])
}

fn trust(notation: Option<NotationTrust>) -> Trust {
    let pem = keyholder().key().to_pem().expect("a key has a PEM");
    let keys = vec![TrustedKey::from_pem("release.pub", &pem).expect("a key")];
    Trust { keys, notation, ..Trust::default() }
}

/// Weighs a piece, and says what whoever reads a report would be told.
fn weigh(
    form: Form,
    bytes: &[u8],
    annotations: &BTreeMap<String, String>,
    trust: &Trust,
) -> Option<Verified> {
    let digest: Digest = format!("sha256:{IMAGE}").parse().expect("a digest");
    let image =
        Descriptor { digest, size: 259, ..Descriptor::of("application/vnd.oci.image.manifest.v1+json", b"") };
    let now = DateTime::from_timestamp(1_796_083_200, 0).expect("a time of December 2026");
    let piece = Piece { form, bytes, annotations };
    let verdict = piece.verify(&Context { image: &image, repository: "r.io/acme/web", now }, trust);
    let said = piece.unverified();
    let refusal = match verdict {
        Ok(verified) => {
            assert_eq!(verified.signers.len(), 1, "one signer, once");
            assert!(piece.is_about(digest), "what is about the image says so");
            return Some(verified);
        }
        Err(refusal) => refusal,
    };
    assert!(!refusal.to_string().is_empty() && !refusal.reason().is_empty());
    said.as_ref().map(Predicate::of).map(|read| read.map_err(|why: Refusal| why.to_string()).is_ok());
    None
}

/// Whether a claim alone is enough where this is wanted.
fn counts(verified: &Verified, wanted: &str) -> bool {
    Demand { wanted: Wanted::of(wanted), signers: NonZeroU32::MIN }.weigh([verified]).is_ok()
}

/// A bundle. The keyholder signed an approval of the image, a list of what is in it, and an approval of another.
pub fn bundle(bytes: &[u8]) -> bool {
    let Some(verified) = weigh(Form::Bundle, bytes, &BTreeMap::new(), &trust(None)) else { return false };
    let kind = verified.claim.predicate_type();
    assert!([COSIGN_SIGN, SPDX].contains(&kind), "nobody signed {kind}");
    assert_eq!(counts(&verified, COSIGN_SIGN), kind == COSIGN_SIGN, "a list is no approval");
    assert_eq!(Form::of_bytes(bytes), Some(Form::Bundle));
    // The verdict is on what is said, and not on how it is written.
    let value: Value = serde_json::from_slice(bytes).expect("what was taken is JSON");
    let again = serde_json::to_vec_pretty(&value).expect("a value");
    assert!(weigh(Form::Bundle, &again, &BTreeMap::new(), &trust(None)).is_some());
    true
}

/// After an even byte a statement, which the keyholder signs whatever it says; after an odd one an envelope.
pub fn attestation(bytes: &[u8]) -> bool {
    let Some((whose, said)) = bytes.split_first() else { return false };
    let (none, trust) = (BTreeMap::new(), trust(None));
    if whose % 2 == 1 {
        let Some(verified) = weigh(Form::Envelope, said, &none, &trust) else { return false };
        assert!([COSIGN_SIGN, SPDX].contains(&verified.claim.predicate_type()));
        return true;
    }
    let signed = envelope(said).to_string();
    let Some(verified) = weigh(Form::Envelope, signed.as_bytes(), &none, &trust) else { return false };
    let statement = Statement::parse(said).expect("what was taken is a statement");
    let value: Value = serde_json::from_slice(said).expect("and JSON");
    let subjects = value["subject"].as_array().expect("with subjects");
    assert!(subjects.iter().any(|one| one["digest"]["sha256"] == IMAGE), "it is about the image");
    let kind = value["predicateType"].as_str().unwrap_or_default();
    assert_eq!(verified.claim.predicate_type(), kind);
    assert_eq!(matches!(verified.claim, Claim::Approval), kind == COSIGN_SIGN);
    assert!(!counts(&verified, COSIGN_SIGN) || kind == COSIGN_SIGN, "no statement is an approval");
    // A verdict by somebody else counts for nothing by itself.
    let is_verdict = matches!(Predicate::of(&statement), Ok(Predicate::Vsa(_)));
    assert!(!is_verdict || !counts(&verified, kind));
    true
}

/// After an even byte a payload of simple signing, which the keyholder signs; after an odd one the annotation with the
/// signature, a line, and a payload.
pub fn simple(bytes: &[u8]) -> bool {
    let Some((whose, said)) = bytes.split_first() else { return false };
    let annotated = |text: &str| BTreeMap::from([(SIGNATURE.to_owned(), text.to_owned())]);
    if whose % 2 == 1 {
        let Some(end) = said.iter().position(|byte| *byte == b'\n') else { return false };
        let (signature, payload) = (String::from_utf8_lossy(&said[..end]), &said[end + 1..]);
        let verified = weigh(Form::SimpleSigning, payload, &annotated(&signature), &trust(None));
        assert!(verified.is_none() || payload == self::payload(IMAGE).as_bytes(), "nobody signed that");
        return verified.is_some();
    }
    let signature = STANDARD.encode(keyholder().sign(said).expect("a key signs"));
    let Some(verified) = weigh(Form::SimpleSigning, said, &annotated(&signature), &trust(None)) else {
        return false;
    };
    assert!(counts(&verified, COSIGN_SIGN));
    let critical = serde_json::from_slice::<Value>(said).expect("what was taken is JSON")["critical"].take();
    assert_eq!(critical["image"]["docker-manifest-digest"], format!("sha256:{IMAGE}"));
    assert_eq!(critical["type"], "cosign container image signature");
    true
}

fn notation(policy: &str) -> Option<NotationTrust> {
    NotationTrust::new(policy, stores()).ok()
}

/// A JWS. The keyholder's notation made two, which differ in their time; without their time stamps.
pub fn jws(bytes: &[u8]) -> bool {
    let trust = trust(notation(&policy("always", &["ca:acme"])));
    if weigh(Form::NotationJws, bytes, &BTreeMap::new(), &trust).is_none() {
        return false;
    }
    let got: Value = serde_json::from_slice(bytes).expect("what was taken is JSON");
    let made = [JWS, PLAIN_JWS].map(|bytes| serde_json::from_slice::<Value>(bytes).expect("JSON"));
    let same = |one: &Value| ["payload", "protected"].iter().all(|name| one[name] == got[name]);
    assert!(made.iter().any(same), "nobody signed that");
    true
}

/// COSE. What was signed is in there, to the letter.
pub fn cose(bytes: &[u8]) -> bool {
    let trust = trust(notation(&policy("always", &["ca:acme"])));
    if weigh(Form::NotationCose, bytes, &BTreeMap::new(), &trust).is_none() {
        return false;
    }
    let payload = format!(r#""digest":"sha256:{IMAGE}""#);
    assert!(holds(bytes, payload.as_bytes()), "nobody signed that");
    true
}

/// A token in place of the one that a signature has, where a policy asks for one.
pub fn time_stamp(bytes: &[u8]) -> bool {
    let mut jws: Value = serde_json::from_slice(JWS).expect("JSON");
    jws["header"][STAMP] = STANDARD.encode(bytes).into();
    let trust = trust(notation(&policy("always", &["ca:acme", "tsa:acme"])));
    if weigh(Form::NotationJws, jws.to_string().as_bytes(), &BTreeMap::new(), &trust).is_none() {
        return false;
    }
    assert!(holds(bytes, &stated()), "no authority said that");
    true
}

/// The token that the signature has.
pub fn token() -> Vec<u8> {
    let jws: Value = serde_json::from_slice(JWS).expect("JSON");
    STANDARD.decode(jws["header"][STAMP].as_str().expect("a text")).expect("base64")
}

/// What the authority said, with the name of its kind before: up to the time.
fn stated() -> Vec<u8> {
    const TST_INFO: [u8; 13] = [6, 11, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 0x10, 1, 4];
    let token = token();
    let at = token.windows(TST_INFO.len()).position(|part| part == TST_INFO).expect("it is there");
    token[at..at + 100].to_vec()
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|one| one == part)
}

/// A trust policy, by which a good signature is weighed.
pub fn trust_policy(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(policy) = NotationTrust::new(text, stores()) else { return false };
    let named = NotationTrust::stores_of(text).expect("what was read names its stores");
    let verified = weigh(Form::NotationJws, JWS, &BTreeMap::new(), &trust(Some(policy)));
    if verified.is_some() {
        assert!(named.contains("ca:acme"), "a store that isn't named trusts nobody");
        let value: Value = serde_json::from_str(text).expect("JSON");
        let all = value["trustPolicies"].as_array().expect("policies");
        let fits = |one: &&Value| {
            let scopes = one["registryScopes"].as_array().expect("scopes");
            scopes.iter().any(|scope| scope == "*" || scope == "r.io/acme/web")
        };
        let believes = |one: &Value| one["signatureVerification"]["level"] != "skip";
        assert!(all.iter().filter(fits).any(believes), "no policy for it trusts anybody");
    }
    true
}
