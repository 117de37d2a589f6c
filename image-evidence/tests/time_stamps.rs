//! Time stamps on signatures that notation 1.3.2 made, and `openssl ts` as its authority: what they are good for, and
//! what becomes of them when anything is changed. The certificate of the signer is of 2026.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use image_evidence::{Context, Form, NotationTrust, Piece, Refusal, Trust, TrustStores, Verified};
use oci_image::Descriptor;
use serde_json::{Value, json};

const STAMPED: &[u8] = include_bytes!("notation/stamped.jws.json");
const PLAIN: &[u8] = include_bytes!("notation/plain.jws.json");
const COSE: &[u8] = include_bytes!("notation/stamped.cose");
const SIGNER: &[u8] = include_bytes!("notation/signer.der");
const AUTHORITY: &[u8] = include_bytes!("notation/authority.der");
const STAMPER: &[u8] = include_bytes!("notation/stamper.der");
const STAMP: &str = "io.cncf.notary.timestampSignature";

/// Within the year of the certificate, and long after it.
const THEN: &str = "2026-12-01T00:00:00Z";
const LATER: &str = "2028-01-01T00:00:00Z";

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Trust by a policy; `when` is when time stamps are looked at.
fn trust(when: &str, stores: &[&str], tsa: &[u8]) -> Trust {
    let policy = json!({ "version": "1.0", "trustPolicies": [{ "name": "all", "registryScopes": ["*"],
        "signatureVerification": { "level": "strict", "verifyTimestamp": when },
        "trustStores": stores, "trustedIdentities": ["x509.subject: C=US, ST=WA, O=Acme"] }] });
    let store = |name: &str, der: &[u8]| (name.to_owned(), vec![der.to_vec()]);
    let stores = TrustStores::from([store("ca:acme", SIGNER), store("tsa:acme", tsa)]);
    let notation = NotationTrust::new(&policy.to_string(), stores).unwrap();
    Trust { notation: Some(notation), ..Trust::default() }
}

fn weigh(form: Form, bytes: &[u8], trust: &Trust, now: &str) -> Result<Verified, Refusal> {
    let digest = "sha256:8e785953e15340cad38bf7a9040b062c9b890aca9593c5026d48aa30e30b8dd6".parse().unwrap();
    let image = Descriptor::of("application/vnd.oci.image.manifest.v1+json", b"");
    let image = Descriptor { digest, size: 259, ..image };
    let context = Context { image: &image, repository: "r.io/acme/web", now: at(now) };
    Piece { form, bytes, annotations: &BTreeMap::new() }.verify(&context, trust)
}

fn token() -> Vec<u8> {
    let jws: Value = serde_json::from_slice(STAMPED).unwrap();
    STANDARD.decode(jws["header"][STAMP].as_str().unwrap()).unwrap()
}

/// The signature with another token.
fn with(token: &[u8]) -> Vec<u8> {
    let mut jws: Value = serde_json::from_slice(STAMPED).unwrap();
    jws["header"][STAMP] = STANDARD.encode(token).into();
    jws.to_string().into_bytes()
}

#[track_caller]
fn refused(verdict: Result<Verified, Refusal>, reason: &str, says: &str) {
    let why = verdict.unwrap_err();
    assert_eq!(why.reason(), reason, "{why}");
    assert!(why.to_string().contains(says), "expected {says:?}, got {why}");
}

#[test]
fn a_stamp_keeps_a_signature_good_when_its_certificate_has_ended() {
    for when in ["always", "afterCertExpiry"] {
        let trust = trust(when, &["ca:acme", "tsa:acme"], AUTHORITY);
        for (form, bytes) in [(Form::NotationJws, STAMPED), (Form::NotationCose, COSE)] {
            for now in [THEN, LATER] {
                assert!(weigh(form, bytes, &trust, now).is_ok(), "{form} {when} {now}");
            }
        }
    }
    let none = trust("always", &["ca:acme"], AUTHORITY);
    assert!(weigh(Form::NotationJws, STAMPED, &none, THEN).is_ok());
    refused(
        weigh(Form::NotationJws, STAMPED, &none, LATER),
        "certificate",
        "expected a certificate that is valid at",
    );
}

/// notation's specification wants a list; RFC 9360 has a single certificate without one, and notation refuses that.
#[test]
fn a_certificate_in_cose_is_in_a_list_also_when_it_is_the_only_one() {
    let list = COSE.windows(3).position(|here| here == [0x18, 33, 0x81]).unwrap();
    let bare = [&COSE[..list + 2], &COSE[list + 3..]].concat();
    let trust = trust("afterCertExpiry", &["ca:acme", "tsa:acme"], AUTHORITY);
    assert!(weigh(Form::NotationCose, COSE, &trust, THEN).is_ok());
    let says = "expected a list of certificates in x5chain";
    refused(weigh(Form::NotationCose, &bare, &trust, THEN), "malformed", says);
}

#[test]
fn without_one_a_signature_is_refused_where_it_is_asked_for() {
    let always = trust("always", &["ca:acme", "tsa:acme"], AUTHORITY);
    refused(weigh(Form::NotationJws, PLAIN, &always, THEN), "time-stamp", "got none");
    let after = trust("afterCertExpiry", &["ca:acme", "tsa:acme"], AUTHORITY);
    assert!(weigh(Form::NotationJws, PLAIN, &after, THEN).is_ok());
    refused(weigh(Form::NotationJws, PLAIN, &after, LATER), "time-stamp", "got none");
}

#[test]
fn whoever_is_no_root_of_the_store_speaks_for_no_time() {
    // Its own certificate is no root, and that of the signer is none for time stamps.
    for store in [SIGNER, STAMPER] {
        let trust = trust("always", &["ca:acme", "tsa:acme"], store);
        let verdict = weigh(Form::NotationJws, STAMPED, &trust, THEN);
        assert_eq!(verdict.unwrap_err().reason(), "time-stamp");
    }
    let all = trust("always", &["ca:acme", "tsa:acme"], AUTHORITY);
    let early = weigh(Form::NotationJws, STAMPED, &all, "2026-11-26T00:00:00Z");
    refused(early, "time-stamp", "expected a time before 2026-11-26 00:00:00 UTC, got 2026-11-27 ");
    let plain: Value = serde_json::from_slice(PLAIN).unwrap();
    let mut moved = plain.clone();
    moved["header"][STAMP] = STANDARD.encode(token()).into();
    let verdict = weigh(Form::NotationJws, moved.to_string().as_bytes(), &all, THEN);
    refused(verdict, "time-stamp", "expected one over this signature, got one over other bytes");
}

#[test]
fn nothing_that_was_signed_can_be_changed() {
    let (trust, good) = (trust("always", &["ca:acme", "tsa:acme"], AUTHORITY), token());
    assert!(weigh(Form::NotationJws, &with(&good), &trust, THEN).is_ok());
    let place = |part: &[u8]| good.windows(part.len()).position(|one| one == part).unwrap();
    let stated = place(b"20261127");
    let certificate = place(STAMPER);
    // What the authority said, up to its end; its certificate; the signed attributes with the signature, which end it.
    let parts =
        [stated - 60..stated + 24, certificate..certificate + STAMPER.len(), good.len() - 220..good.len()];
    for part in parts {
        for at in part {
            let mut changed = good.clone();
            changed[at] ^= 1;
            let verdict = weigh(Form::NotationJws, &with(&changed), &trust, THEN);
            assert_eq!(verdict.map(|_| at).unwrap_err().reason(), "time-stamp", "byte {at}");
        }
    }
    for (bytes, says) in [
        (good[..good.len() - 1].to_vec(), ""),
        ([good.as_slice(), b"\x05\0"].concat(), "expected one value, got 2"),
        (Vec::new(), "got none"),
        (b"\x30\x80\x00\x00".to_vec(), ""),
    ] {
        refused(weigh(Form::NotationJws, &with(&bytes), &trust, THEN), "time-stamp", says);
    }
    let many = [b"\x30\x82\x03\xe8".as_slice(), &b"\x05\x00".repeat(500)].concat();
    refused(weigh(Form::NotationJws, &with(&many), &trust, THEN), "too-large", "of at most 100, got 101");
}
