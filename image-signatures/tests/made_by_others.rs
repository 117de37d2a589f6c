//! Signatures that other tools made, read and verified.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken test may panic"
)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use image_signatures::{CertificateChain, Dsse, Jws, SimpleSigning};
use oci_image::Digest;
use serde_json::Value;
use support::{programs, run};
use tuf_core::crypto::{self, RsaScheme};
use tuf_core::key::{Key, PublicKey, RsaHash};

/// A folder of files by others, if it is here.
fn folder(name: &str) -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap())
        .join("../../shared/data/formats")
        .join(name);
    if !folder.exists() {
        eprintln!("SKIPPED: there is no {}", folder.display());
        return None;
    }
    Some(folder)
}

fn public(pem: &str) -> PublicKey {
    Key::from_pem(pem).unwrap().material().unwrap()
}

/// The key of a certificate in DER, by openssl.
fn key_of(der: &[u8]) -> Option<PublicKey> {
    programs(&["openssl"])?;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("certificate.der");
    fs::write(&file, der).unwrap();
    let pem = run("openssl", &["x509", "-inform", "DER", "-in", file.to_str().unwrap(), "-pubkey", "-noout"]);
    Some(public(&pem))
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn signatures_by_cosign_are_verified_by_their_key_alone() {
    let Some(folder) = folder("cosign-simple-signing") else { return };
    let keys: Vec<_> = ["alice", "bob", "charlie", "default"]
        .iter()
        .map(|name| public(&fs::read_to_string(folder.join(format!("{name}.key"))).unwrap()))
        .collect();
    let images = folder.join("securesystemsengineering/testimage");
    let mut by_key = 0;
    for entry in fs::read_dir(images.join("manifests")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Some(hex) = name.strip_prefix("sha256-").and_then(|name| name.strip_suffix(".sig.json")) else {
            continue;
        };
        for layer in json(&path)["layers"].as_array().unwrap() {
            let digest = layer["digest"].as_str().unwrap();
            let payload = fs::read(images.join(format!("blobs/{digest}.json"))).unwrap();
            let text = layer["annotations"]["dev.cosignproject.cosign/signature"].as_str().unwrap();
            let signed = SimpleSigning { payload, signature: STANDARD.decode(text).unwrap() };
            let claims: Vec<_> = keys.iter().filter_map(|key| signed.verified(key)).collect();
            assert!(claims.len() <= 1, "{name}");
            assert!(claims.iter().all(|claim| claim.image.hex() == hex), "{name}");
            by_key += claims.len();
            let mut changed = signed.clone();
            changed.payload.push(b' ');
            assert!(keys.iter().all(|key| changed.verified(key).is_none()));
        }
    }
    // Alice, Bob and Charlie on one image, or more; keyless ones are by no key.
    assert!(by_key >= 3, "{by_key}");
}

#[test]
fn envelopes_of_sigstore_are_verified_by_the_key_of_their_certificate() {
    let Some(folder) = folder("sigstore-bundle") else { return };
    let mut verified = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let document = json(&path);
        let material = &document["verificationMaterial"];
        let certificate = material["certificate"]["rawBytes"].as_str();
        let certificate =
            certificate.or_else(|| material["x509CertificateChain"]["certificates"][0]["rawBytes"].as_str());
        let (Some(certificate), Ok(mut envelope)) =
            (certificate, serde_json::from_value::<Dsse>(document["dsseEnvelope"].clone()))
        else {
            continue;
        };
        let Some(key) = key_of(&STANDARD.decode(certificate).unwrap()) else { return };
        let payload = envelope.verified(&key).unwrap_or_else(|| panic!("{}", path.display()));
        let statement: Value = serde_json::from_slice(&payload).unwrap();
        assert!(statement["_type"].as_str().unwrap().starts_with("https://in-toto.io/Statement/"));
        envelope.payload_type.push('x');
        assert_eq!(envelope.verified(&key), None);
        verified += 1;
    }
    assert!(verified >= 2, "{verified}");
}

#[test]
fn signatures_by_notation_are_read_and_their_certificates_would_do() {
    let Some(folder) = folder("notation") else { return };
    let mut read = 0;
    for entry in fs::read_dir(&folder).unwrap().flatten().filter(|entry| entry.path().is_dir()) {
        for blob in fs::read_dir(entry.path().join("blobs/sha256")).unwrap() {
            let Ok(jws) = serde_json::from_slice::<Jws>(&fs::read(blob.unwrap().path()).unwrap()) else {
                continue;
            };
            let (protected, payload) = jws.unverified().unwrap();
            assert!(payload["targetArtifact"]["digest"].as_str().unwrap().parse::<Digest>().is_ok());
            let der = STANDARD.decode(&jws.header.x5c[0]).unwrap();
            let Some(PublicKey::RsaPss(_, key)) = key_of(&der) else { return };
            let signature = URL_SAFE_NO_PAD.decode(&jws.signature).unwrap();
            let scheme = RsaScheme::Pss(RsaHash::Sha256);
            assert_eq!(protected["alg"], "PS256");
            assert!(crypto::verify_rsa(scheme, &key, jws.signing_input().as_bytes(), &signature));
            let pem: String = jws
                .header
                .x5c
                .iter()
                .map(|der| {
                    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines(der))
                })
                .collect();
            let when = protected["io.cncf.notary.signingTime"].as_str().unwrap().parse().unwrap();
            let key = Key::from_material(&PublicKey::RsaPss(RsaHash::Sha256, key)).unwrap();
            CertificateChain::from_pem(&pem).unwrap().expect_usable(&key, when).unwrap();
            read += 1;
        }
    }
    assert!(read >= 2, "{read}");
}

/// PEM has 64 characters a line.
fn lines(text: &str) -> String {
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.join("\n")
}
