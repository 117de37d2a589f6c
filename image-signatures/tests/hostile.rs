//! Bytes that somebody changed: of what was signed nothing else is ever read, and nothing panics.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken test may panic"
)]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image_signatures::{Bundle, CertificateChain, Format, Jws, SimpleSigning};
use oci_image::{Digest, ImageSource as _, Selector};
use serde_json::Value;
use support::{LEAF, chain, key, programs, push_image, repository, sign};
use test_repos::registry::Registry as Fake;
use tuf_core::crypto::{Curve, EcdsaSigner, Sign as _};

/// The bytes with one bit changed at each place in turn.
fn changed(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..bytes.len()).map(|at| {
        let mut other = bytes.to_vec();
        other[at] ^= 1 << (at % 8);
        other
    })
}

fn pem(certificates: &[Vec<u8>]) -> String {
    let one = |der: &Vec<u8>| {
        let text = STANDARD.encode(der);
        let lines: Vec<_> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    };
    certificates.iter().map(one).collect()
}

#[test]
fn a_chain_of_which_any_bit_was_changed_is_refused() {
    let Some(()) = programs(&["openssl"]) else { return };
    let dir = tempfile::tempdir().unwrap();
    let ours = key(dir.path(), "ours", "ec:P-256");
    let good = CertificateChain::from_pem(&chain(dir.path(), "ours", LEAF)).unwrap();
    let now = chrono::Utc::now();
    let certificates: Vec<_> = good.certificates().map(<[u8]>::to_vec).collect();
    let usable = |certificates: &[Vec<u8>]| {
        let chain = CertificateChain::from_pem(&pem(certificates));
        chain.is_ok_and(|chain| chain.expect_usable(ours.key(), now).is_ok())
    };
    assert!(usable(&certificates));
    for which in 0..certificates.len() {
        for (at, other) in changed(&certificates[which]).enumerate() {
            let mut with = certificates.clone();
            with[which] = other;
            assert!(!usable(&with), "certificate {which}, byte {at}:\n{}", pem(&with));
        }
    }
}

#[test]
fn of_a_changed_signature_nothing_else_is_read() {
    let fake = Fake::start().unwrap();
    let here = repository(&fake.host());
    let image = push_image(&here.1, "1");
    let ours = EcdsaSigner::from_pkcs8(Curve::P256, &EcdsaSigner::generate(Curve::P256).unwrap()).unwrap();
    let public = ours.key().material().unwrap();
    let written = sign(&here, &image, &ours, &[Format::Cosign2, Format::Cosign3], None);
    let layer = |manifest: Digest| {
        let bytes = here.1.manifest(Selector::Digest(manifest)).unwrap().bytes;
        let document: Value = serde_json::from_slice(&bytes).unwrap();
        let layer = document["layers"][0].clone();
        (fake.blob("acme/web", layer["digest"].as_str().unwrap()).unwrap(), layer)
    };

    let (payload, layer_of_tag) = layer(written[0].manifest);
    let text = layer_of_tag["annotations"]["dev.cosignproject.cosign/signature"].as_str().unwrap();
    let signature = STANDARD.decode(text).unwrap();
    let simple = SimpleSigning { payload: payload.clone(), signature: signature.clone() };
    assert_eq!(simple.verified(&public).unwrap().image, image.digest);
    for payload in changed(&payload) {
        assert_eq!(SimpleSigning { payload, ..simple.clone() }.verified(&public), None);
    }
    for signature in changed(&signature) {
        assert_eq!(SimpleSigning { signature, ..simple.clone() }.verified(&public), None);
    }

    let (blob, _) = layer(written[1].manifest);
    let good = serde_json::from_slice::<Bundle>(&blob).unwrap().dsse_envelope;
    let statement = good.verified(&public).unwrap();
    let mut refused = 0;
    for other in changed(&blob) {
        match serde_json::from_slice::<Bundle>(&other)
            .ok()
            .and_then(|one| one.dsse_envelope.verified(&public))
        {
            // What isn't signed, such as the hint, may change.
            Some(read) => assert_eq!(read, statement),
            None => refused += 1,
        }
    }
    assert!(refused > good.payload.len() + good.signatures[0].sig.len() - 4, "{refused}");
}

#[test]
fn what_is_no_signature_is_none() {
    let deep = "[".repeat(100_000);
    for text in ["", "{}", "null", "[]", "{\"layers\":0}", deep.as_str(), "{\"payload\":\"\u{0}\"}"] {
        assert!(serde_json::from_str::<Bundle>(text).is_err());
        assert!(serde_json::from_str::<Jws>(text).is_err());
        assert!(CertificateChain::from_pem(text).is_err());
    }
    let jws = |payload: &str| {
        let text =
            format!(r#"{{"payload":"{payload}","protected":"e30","header":{{"x5c":[]}},"signature":""}}"#);
        serde_json::from_str::<Jws>(&text).unwrap().unverified()
    };
    assert!(jws("e30").is_some());
    for bad in ["e30=", "****", "bm8", ""] {
        assert!(jws(bad).is_none(), "{bad}");
    }
}
