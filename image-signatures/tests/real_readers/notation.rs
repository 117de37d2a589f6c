//! notation's own program, which reads both envelopes.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use image_signatures::{CertificateChain, Envelope, Format};
use oci_image::{
    Descriptor, Digest, ImageName, ImageSource as _, Registry, RegistryOptions, Selector, media,
};
use serde_json::{Value, json};

use crate::support::{
    LEAF, Server, chain, key, parts_of_cose, programs, push_image, quick, reader, repository, run, sign_in,
};
use crate::{accepted, blob, refused};

/// notation in a home that trusts the last certificate of this chain.
fn home(chain: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let config = home.path().join("notation");
    let store = config.join("truststore/x509/ca/acme");
    fs::create_dir_all(&store).unwrap();
    let root = chain.rfind("-----BEGIN").unwrap();
    fs::write(store.join("root.crt"), &chain[root..]).unwrap();
    let policy = json!({ "version": "1.0", "trustPolicies": [{
        "name": "all", "registryScopes": ["*"], "signatureVerification": { "level": "strict" },
        "trustStores": ["ca:acme"], "trustedIdentities": ["x509.subject: C=DE, ST=Here, O=Acme, CN=Acme releases"],
    }] });
    fs::write(config.join("trustpolicy.json"), policy.to_string()).unwrap();
    home
}

fn notation(notation: &str, home: &Path, words: &[&str]) -> Output {
    Command::new(notation).env("HOME", home).env("XDG_CONFIG_HOME", home).args(words).output().unwrap()
}

fn verify(program: &str, chain: &str, image: &str) -> Output {
    notation(program, home(chain).path(), &["verify", "--insecure-registry", image])
}

fn at(name: &ImageName, image: &Descriptor) -> String {
    format!("{name}@{}", image.digest)
}

#[test]
fn notation_verifies_each_kind_of_key_that_it_knows_in_either_envelope() {
    let (Some(()), Some(program)) = (programs(&["docker-registry", "openssl"]), reader("notation")) else {
        return;
    };
    let server = Server::start();
    let here = repository(&server.host);
    for kind in ["ec:P-256", "ec:P-384", "rsa:2048", "rsa:3072", "rsa:4096"] {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ours = key(dir.path(), "ours", kind);
        let pem = chain(dir.path(), "ours", LEAF);
        let certificates = CertificateChain::from_pem(&pem).unwrap();
        // Another root of the same name.
        key(other.path(), "ours", kind);
        let other = chain(other.path(), "ours", LEAF);
        for envelope in Envelope::ALL {
            let image = push_image(&here.1, &format!("{}-{envelope}", kind.replace(':', "-")));
            let at = at(&here.0, &image);
            refused(&verify(&program, &pem, &at), "no signature is associated");
            sign_in(envelope, &here, &image, &*ours, &[Format::Notation], Some(&certificates));
            accepted(&verify(&program, &pem, &at));
            refused(&verify(&program, &other, &at), "signature verification failed");
        }
    }
}

#[test]
fn notation_refuses_a_cose_envelope_of_which_a_byte_was_changed() {
    let (Some(()), Some(program)) = (programs(&["docker-registry", "openssl"]), reader("notation")) else {
        return;
    };
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    let here = repository(&server.host);
    let image = push_image(&here.1, "1");
    let ours = key(dir.path(), "ours", "ec:P-256");
    let pem = chain(dir.path(), "ours", LEAF);
    let certificates = CertificateChain::from_pem(&pem).unwrap();
    let written = sign_in(Envelope::Cose, &here, &image, &*ours, &[Format::Notation], Some(&certificates));
    let bytes = here.1.manifest(Selector::Digest(written[0].manifest)).unwrap().bytes;
    let manifest: Value = serde_json::from_slice(&bytes).unwrap();
    let good = blob(&here.1, &manifest["layers"][0]);
    assert_eq!(manifest["layers"][0]["mediaType"], "application/cose");
    let parts = parts_of_cose(&good, &certificates).map(|(name, at)| (name, Some(at)));
    for (name, changed) in parts.into_iter().chain([("whole", None)]) {
        let mut envelope = good.clone();
        if let Some(at) = changed {
            envelope[at] ^= 1;
        }
        // The same image in a repository of its own.
        let name: ImageName = format!("{}/acme/{name}", server.host).parse().unwrap();
        let options = RegistryOptions { limits: quick(), ..RegistryOptions::default() };
        let registry = Registry::new(&name, options).unwrap();
        assert_eq!(push_image(&registry, "1").digest, image.digest);
        registry.push_blob(b"{}").unwrap();
        registry.push_blob(&envelope).unwrap();
        let mut manifest = manifest.clone();
        manifest["layers"][0]["digest"] = json!(Digest::of(&envelope));
        registry.push_referrer(manifest.to_string().as_bytes(), media::OCI_MANIFEST).unwrap();
        let output = verify(&program, &pem, &at(&name, &image));
        match changed {
            None => accepted(&output),
            Some(_) => refused(&output, "signature verification failed"),
        }
    }
}

/// A certificate that signed itself is a chain of its own; in COSE it is in a list all the same.
#[test]
fn notation_verifies_by_a_certificate_that_stands_alone() {
    let (Some(()), Some(program)) = (programs(&["docker-registry", "openssl"]), reader("notation")) else {
        return;
    };
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    let here = repository(&server.host);
    let ours = key(dir.path(), "ours", "ec:P-256");
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let subject =
        ["-subj", "/C=DE/ST=Here/O=Acme/CN=Acme releases", "-addext", "basicConstraints=critical,CA:FALSE"];
    let uses = ["-addext", "keyUsage=critical,digitalSignature", "-addext", "extendedKeyUsage=codeSigning"];
    let new = ["req", "-x509", "-new", "-days", "365", "-key", &file("ours.key"), "-out", &file("ours.crt")];
    run("openssl", &[&new[..], &subject, &uses].concat());
    let pem = fs::read_to_string(file("ours.crt")).unwrap();
    let certificates = CertificateChain::from_pem(&pem).unwrap();
    for envelope in Envelope::ALL {
        let image = push_image(&here.1, &envelope.to_string());
        sign_in(envelope, &here, &image, &*ours, &[Format::Notation], Some(&certificates));
        accepted(&verify(&program, &pem, &at(&here.0, &image)));
    }
}

/// What notation signed by the same key and certificates is as good as what we would write.
#[test]
fn what_notation_signed_by_our_key_is_not_signed_again() {
    let (Some(()), Some(program)) = (programs(&["docker-registry", "openssl"]), reader("notation")) else {
        return;
    };
    let server = Server::start();
    let here = repository(&server.host);
    for kind in ["ec:P-256", "ec:P-384", "rsa:2048", "rsa:3072", "rsa:4096"] {
        let dir = tempfile::tempdir().unwrap();
        let ours = key(dir.path(), "ours", kind);
        let pem = chain(dir.path(), "ours", LEAF);
        let certificates = CertificateChain::from_pem(&pem).unwrap();
        let (home, file) = (home(&pem), dir.path().join("chain.pem"));
        fs::write(&file, &pem).unwrap();
        let keys = json!({ "default": "ours", "keys": [
            { "name": "ours", "keyPath": dir.path().join("ours.key"), "certPath": file },
        ] });
        fs::write(home.path().join("notation/signingkeys.json"), keys.to_string()).unwrap();
        for (envelope, other) in [(Envelope::Jws, Envelope::Cose), (Envelope::Cose, Envelope::Jws)] {
            let push =
                |what: &str| push_image(&here.1, &format!("{what}-{envelope}-{}", kind.replace(':', "-")));
            let sign = |image: &Descriptor, more: &[&str]| {
                let (format, at) = (envelope.to_string(), at(&here.0, image));
                let words = ["sign", "--insecure-registry", "--signature-format", &format, &at];
                accepted(&notation(&program, home.path(), &[&words[..], more].concat()));
            };
            let was_there = |image: &Descriptor, envelope| {
                let formats = [Format::Notation];
                sign_in(envelope, &here, image, &*ours, &formats, Some(&certificates))[0].was_there
            };
            let (plain, ends) = (push("plain"), push("ends"));
            sign(&plain, &[]);
            assert!(was_there(&plain, envelope), "{kind} {envelope}");
            assert!(!was_there(&plain, other), "{kind} {envelope}: in the other one it is another signature");
            sign(&ends, &["--expiry", "24h"]);
            assert!(!was_there(&ends, envelope), "{kind} {envelope}: ours has no end");
            assert!(was_there(&ends, envelope), "{kind} {envelope}");
        }
    }
}
