//! Readers by others: skopeo and podman with a policy, cosign, notation, Python's cryptography, openssl.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a broken test may panic"
)]

mod support;

#[path = "real_readers/notation.rs"]
mod notation;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use image_signatures::{CertificateChain, Format, Place, SIMPLE_SIGNING, signature_tag};
use oci_image::{Descriptor, Digest, ImageSource, Registry, Selector, Tag, media};
use serde_json::{Value, json};
use support::{LEAF, Server, chain, key, programs, push_image, python, reader, repository, run, sign};
use tuf_core::crypto::Sign;

/// A policy that takes images of this registry that this key signed, and nothing else. It is in a home of its
/// own, since only there podman looks for how signatures are fetched.
struct Policy {
    home: tempfile::TempDir,
}

impl Policy {
    fn new(host: &str, signer: &dyn Sign) -> Self {
        let home = tempfile::tempdir().unwrap();
        let public = home.path().join("key.pub");
        fs::write(&public, signer.key().to_pem().unwrap()).unwrap();
        let scope = json!([{
            "type": "sigstoreSigned", "keyPath": public, "signedIdentity": { "type": "matchRepository" },
        }]);
        let document =
            json!({ "default": [{ "type": "reject" }], "transports": { "docker": { host: scope } } });
        fs::write(home.path().join("policy.json"), document.to_string()).unwrap();
        let registries = home.path().join(".config/containers/registries.d");
        fs::create_dir_all(&registries).unwrap();
        let attachments = format!("docker:\n  {host}:\n    use-sigstore-attachments: true\n");
        fs::write(registries.join("here.yaml"), attachments).unwrap();
        Self { home }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Copies the image into a folder, if the policy takes it.
    fn skopeo(&self, skopeo: &str, image: &str) -> Output {
        let target = tempfile::tempdir().unwrap();
        Command::new(skopeo)
            .env("HOME", self.home.path())
            .arg("--policy")
            .arg(self.path("policy.json"))
            .args(["copy", "--quiet", "--src-tls-verify=false", &format!("docker://{image}")])
            .arg(format!("dir:{}", target.path().display()))
            .output()
            .unwrap()
    }

    /// Pulls the image into a store of its own, if the policy takes it.
    fn podman(&self, podman: &str, image: &str) -> Output {
        let (graph, run) = (self.path("graph"), self.path("run"));
        let storage = format!(
            "[storage]\ndriver=\"vfs\"\ngraphroot=\"{}\"\nrunroot=\"{}\"\n",
            graph.display(),
            run.display(),
        );
        fs::write(self.path("storage.conf"), storage).unwrap();
        Command::new(podman)
            .env("HOME", self.home.path())
            .env("CONTAINERS_STORAGE_CONF", self.path("storage.conf"))
            .args(["pull", "--quiet", "--tls-verify=false", "--signature-policy"])
            .arg(self.path("policy.json"))
            .arg(image)
            .output()
            .unwrap()
    }
}

fn accepted(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn refused(output: &Output, because: &str) {
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && words.contains(because), "{because}: {words}");
}

const NO_SIGNATURE: &str = "A signature was required, but no signature exists";
const BAD_SIGNATURE: &str = "cryptographic signature verification failed";

#[test]
fn skopeo_takes_what_was_signed_by_the_key_and_nothing_else() {
    let (Some(()), Some(skopeo)) = (programs(&["docker-registry", "openssl"]), reader("skopeo")) else {
        return;
    };
    let server = Server::start();
    let here = repository(&server.host);
    let (signed, unsigned) = (push_image(&here.1, "signed"), push_image(&here.1, "unsigned"));
    assert_ne!(signed.digest, unsigned.digest);
    let image = |end: &str| format!("{}{end}", here.0);
    let mut before = NO_SIGNATURE;
    for kind in ["ec:P-256", "rsa:2048", "ed25519"] {
        let dir = tempfile::tempdir().unwrap();
        let (ours, other) = (key(dir.path(), "ours", kind), key(dir.path(), "other", kind));
        let policy = Policy::new(&server.host, &*ours);
        refused(&policy.skopeo(&skopeo, &image(":unsigned")), NO_SIGNATURE);
        refused(&policy.skopeo(&skopeo, &image(":signed")), before);
        // The signatures by the keys before stay, and are no hindrance.
        sign(&here, &signed, &*ours, &[Format::Podman], None);
        accepted(&policy.skopeo(&skopeo, &image(":signed")));
        accepted(&policy.skopeo(&skopeo, &image(&format!("@{}", signed.digest))));
        refused(&Policy::new(&server.host, &*other).skopeo(&skopeo, &image(":signed")), BAD_SIGNATURE);
        before = BAD_SIGNATURE;
    }
    let tag = signature_tag(signed.digest).unwrap();
    assert_eq!(layers(&here.1, &tag).len(), 3);
}

/// Puts the signature of the one image under the tag of the other; and then there, beside the same
/// signature, another payload, about the other image.
fn forge(registry: &Registry, one: Digest, two: Digest, payload_too: bool) {
    let tag = |image| signature_tag(image).unwrap();
    let bytes = registry.manifest(Selector::Tag(tag(one).as_str())).unwrap().bytes;
    let mut manifest: Value = serde_json::from_slice(&bytes).unwrap();
    if payload_too {
        let payload = String::from_utf8(blob(registry, &manifest["layers"][0])).unwrap();
        let digest = registry.push_blob(payload.replace(&one.hex(), &two.hex()).as_bytes()).unwrap();
        manifest["layers"][0]["digest"] = json!(digest);
    }
    let bytes = manifest.to_string();
    registry.push_manifest(Selector::Tag(tag(two).as_str()), bytes.as_bytes(), media::OCI_MANIFEST).unwrap();
}

#[test]
fn skopeo_refuses_a_signature_that_was_moved_or_changed() {
    let (Some(()), Some(skopeo)) = (programs(&["docker-registry", "openssl"]), reader("skopeo")) else {
        return;
    };
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    let here = repository(&server.host);
    let (one, two) = (push_image(&here.1, "1"), push_image(&here.1, "2"));
    let ours = key(dir.path(), "ours", "ec:P-256");
    let policy = Policy::new(&server.host, &*ours);
    sign(&here, &one, &*ours, &[Format::Cosign2], None);
    accepted(&policy.skopeo(&skopeo, &format!("{}:1", here.0)));
    forge(&here.1, one.digest, two.digest, false);
    refused(&policy.skopeo(&skopeo, &format!("{}:2", here.0)), "digest");
    forge(&here.1, one.digest, two.digest, true);
    refused(&policy.skopeo(&skopeo, &format!("{}:2", here.0)), BAD_SIGNATURE);
}

#[test]
fn podman_pulls_what_was_signed_and_nothing_else() {
    let (Some(()), Some(podman)) = (programs(&["docker-registry", "openssl"]), reader("podman")) else {
        return;
    };
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    let here = repository(&server.host);
    let image = push_image(&here.1, "1");
    let ours = key(dir.path(), "ours", "ec:P-256");
    let policy = Policy::new(&server.host, &*ours);
    refused(&policy.podman(&podman, &format!("{}:1", here.0)), NO_SIGNATURE);
    sign(&here, &image, &*ours, &[Format::Podman], None);
    accepted(&policy.podman(&podman, &format!("{}:1", here.0)));
}

/// cosign, with a home of its own, where it finds and asks nobody.
fn cosign(cosign: &str, key: &dyn Sign, image: &str, more: &[&str]) -> Output {
    let home = tempfile::tempdir().unwrap();
    let public = home.path().join("cosign.pub");
    fs::write(&public, key.key().to_pem().unwrap()).unwrap();
    Command::new(cosign)
        .env("HOME", home.path())
        .args(["verify", "--insecure-ignore-tlog=true", "--allow-http-registry=true", "--key"])
        .arg(public)
        .args(more)
        .arg(image)
        .output()
        .unwrap()
}

#[test]
fn cosign_2_verifies_the_tag_and_nothing_else() {
    let (Some(()), Some(program)) = (programs(&["docker-registry", "openssl"]), reader("cosign2")) else {
        return;
    };
    let server = Server::start();
    let here = repository(&server.host);
    let (one, two) = (push_image(&here.1, "1"), push_image(&here.1, "2"));
    let image = |tag: &str| format!("{}:{tag}", here.0);
    for kind in ["ec:P-256", "rsa:2048", "ed25519"] {
        let dir = tempfile::tempdir().unwrap();
        let (ours, other) = (key(dir.path(), "ours", kind), key(dir.path(), "other", kind));
        sign(&here, &one, &*ours, &[Format::Cosign2], None);
        let output = cosign(&program, &*ours, &image("1"), &[]);
        accepted(&output);
        assert!(String::from_utf8_lossy(&output.stdout).contains(&one.digest.to_string()));
        refused(&cosign(&program, &*other, &image("1"), &[]), "no matching signatures");
        refused(&cosign(&program, &*ours, &image("2"), &[]), "no signatures found");
    }
    let dir = tempfile::tempdir().unwrap();
    let ours = key(dir.path(), "ours", "ec:P-256");
    let three = push_image(&here.1, "3");
    sign(&here, &three, &*ours, &[Format::Cosign2], None);
    forge(&here.1, three.digest, two.digest, false);
    refused(&cosign(&program, &*ours, &image("2"), &[]), "no matching signatures");
}

#[test]
fn cosign_3_verifies_the_bundle_and_the_tag() {
    let (Some(()), Some(program)) = (programs(&["docker-registry", "openssl"]), reader("cosign3")) else {
        return;
    };
    let server = Server::start();
    let here = repository(&server.host);
    let image = |tag: &str| format!("{}:{tag}", here.0);
    for (format, tag) in [(Format::Cosign3, "bundle"), (Format::Cosign2, "tag")] {
        let one = push_image(&here.1, tag);
        for kind in ["ec:P-256", "rsa:2048", "ed25519"] {
            let dir = tempfile::tempdir().unwrap();
            let (ours, other) = (key(dir.path(), "ours", kind), key(dir.path(), "other", kind));
            sign(&here, &one, &*ours, &[format], None);
            let output = cosign(&program, &*ours, &image(tag), &[]);
            accepted(&output);
            assert!(String::from_utf8_lossy(&output.stdout).contains(&one.digest.to_string()));
            let output = cosign(&program, &*other, &image(tag), &[]);
            assert!(!output.status.success(), "{kind} {tag}");
        }
    }
    push_image(&here.1, "unsigned");
    let dir = tempfile::tempdir().unwrap();
    refused(
        &cosign(&program, &*key(dir.path(), "ours", "ec:P-256"), &image("unsigned"), &[]),
        "no signatures found",
    );
}

fn layers(registry: &Registry, tag: &Tag) -> Vec<Value> {
    let bytes = registry.manifest(Selector::Tag(tag.as_str())).unwrap().bytes;
    serde_json::from_slice::<Value>(&bytes).unwrap()["layers"].as_array().unwrap().clone()
}

fn blob(registry: &Registry, layer: &Value) -> Vec<u8> {
    let want: Descriptor = serde_json::from_value(layer.clone()).unwrap();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut registry.blob(&want).unwrap(), &mut bytes).unwrap();
    assert_eq!(Digest::of(&bytes), want.digest);
    bytes
}

/// Checks what stands in files of a folder by `cryptography`, without a line of ours.
const CHECK: &str = r#"
import base64, hashlib, json, pathlib, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

here = pathlib.Path(sys.argv[1])
digest = sys.argv[2]
key = serialization.load_pem_public_key((here / "ours.pub").read_bytes())

def cosign(message, signature):
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    elif isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, message)
    else:
        key.verify(signature, message, padding.PKCS1v15(), hashes.SHA256())

def unpadded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

if (here / "simple.json").exists():
    layer = json.loads((here / "simple.json").read_text())
    payload = (here / "simple.payload").read_bytes()
    cosign(payload, base64.b64decode(layer["annotations"]["dev.cosignproject.cosign/signature"], validate=True))
    claim = json.loads(payload)["critical"]
    assert claim["type"] == "cosign container image signature"
    assert claim["image"] == {"docker-manifest-digest": digest}
    print("cosign2")

if (here / "bundle.json").exists():
    bundle = json.loads((here / "bundle.json").read_text())
    assert bundle["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    hint = base64.b64encode(hashlib.sha256(spki).digest()).decode()
    assert bundle["verificationMaterial"] == {"publicKey": {"hint": hint}}
    envelope = bundle["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"], validate=True)
    kind = envelope["payloadType"].encode()
    [signature] = envelope["signatures"]
    message = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)
    cosign(message, base64.b64decode(signature["sig"], validate=True))
    statement = json.loads(payload)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://sigstore.dev/cosign/sign/v1"
    assert statement["subject"] == [{"digest": {"sha256": digest.split(":")[1]}}]
    print("cosign3")

if (here / "jws.json").exists():
    jws = json.loads((here / "jws.json").read_text())
    certificates = [x509.load_der_x509_certificate(base64.b64decode(c)) for c in jws["header"]["x5c"]]
    leaf = certificates[0].public_key()
    for certificate, issuer in zip(certificates, certificates[1:] + certificates[-1:]):
        certificate.verify_directly_issued_by(issuer)
    header = json.loads(unpadded(jws["protected"]))
    assert header["crit"] == ["io.cncf.notary.signingScheme"]
    assert header["cty"] == "application/vnd.cncf.notary.payload.v1+json"
    algorithm = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}[header["alg"][2:]]()
    message = (jws["protected"] + "." + jws["payload"]).encode()
    signature = unpadded(jws["signature"])
    if isinstance(leaf, rsa.RSAPublicKey):
        assert header["alg"] == {2048: "PS256", 3072: "PS384", 4096: "PS512"}[leaf.key_size]
        leaf.verify(signature, message, padding.PSS(padding.MGF1(algorithm), algorithm.digest_size), algorithm)
    else:
        assert header["alg"] == {256: "ES256", 384: "ES384"}[leaf.curve.key_size]
        half = len(signature) // 2
        assert half == leaf.curve.key_size // 8
        r, s = (int.from_bytes(part, "big") for part in (signature[:half], signature[half:]))
        leaf.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(algorithm))
    target = json.loads(unpadded(jws["payload"]))["targetArtifact"]
    assert target["digest"] == digest
    manifest = json.loads((here / "jws.manifest").read_text())
    thumbprints = json.loads(manifest["annotations"]["io.cncf.notary.x509chain.thumbprint#S256"])
    assert thumbprints == [c.fingerprint(hashes.SHA256()).hex() for c in certificates]
    print("notation")
"#;

/// Lays what is in the registry into a folder, and returns what Python made of it.
fn by_python(
    python: &Path,
    dir: &Path,
    registry: &Registry,
    image: &Descriptor,
    written: &[image_signatures::Written],
) -> String {
    for one in written {
        let bytes = registry.manifest(Selector::Digest(one.manifest)).unwrap().bytes;
        let manifest: Value = serde_json::from_slice(&bytes).unwrap();
        let layer = manifest["layers"].as_array().unwrap().last().unwrap();
        let content = blob(registry, layer);
        match &one.place {
            Place::Tag(_) => {
                assert_eq!(layer["mediaType"], SIMPLE_SIGNING);
                fs::write(dir.join("simple.json"), layer.to_string()).unwrap();
                fs::write(dir.join("simple.payload"), content).unwrap();
            }
            Place::Referrer(_) => {
                let name = if one.formats == [Format::Notation] { "jws" } else { "bundle" };
                fs::write(dir.join(format!("{name}.json")), content).unwrap();
                fs::write(dir.join(format!("{name}.manifest")), bytes).unwrap();
            }
        }
    }
    fs::write(dir.join("check.py"), CHECK).unwrap();
    let script = dir.join("check.py");
    let arguments = [script.to_str().unwrap(), dir.to_str().unwrap(), &image.digest.to_string()];
    run(python.to_str().unwrap(), &arguments)
}

#[test]
fn python_verifies_each_format_of_each_key() {
    let (Some(()), Some(python)) = (programs(&["docker-registry", "openssl"]), python()) else { return };
    let server = Server::start();
    let here = repository(&server.host);
    let image = push_image(&here.1, "1");
    let all = [Format::Cosign2, Format::Cosign3, Format::Notation];
    for (kind, formats, expected) in [
        ("ec:P-256", &all[..], "cosign2\ncosign3\nnotation\n"),
        ("ec:P-384", &all[2..], "notation\n"),
        ("ed25519", &all[..2], "cosign2\ncosign3\n"),
        ("rsa:2048", &all[..], "cosign2\ncosign3\nnotation\n"),
        ("rsa:3072", &all[..], "cosign2\ncosign3\nnotation\n"),
        ("rsa:4096", &all[2..], "notation\n"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let ours = key(dir.path(), "ours", kind);
        fs::write(dir.path().join("ours.pub"), ours.key().to_pem().unwrap()).unwrap();
        let pem = formats.contains(&Format::Notation).then(|| chain(dir.path(), "ours", LEAF));
        let certificates = pem.map(|pem| CertificateChain::from_pem(&pem).unwrap());
        let written = sign(&here, &image, &*ours, formats, certificates.as_ref());
        assert_eq!(by_python(&python, dir.path(), &here.1, &image, &written), expected, "{kind}");
    }
    // This registry lists none itself, so our writers kept the list: six of notation, five of cosign 3.
    let referrers = here.1.referrers(image.digest, None).unwrap().manifests;
    assert_eq!(referrers.len(), 5 + 4);
}

#[test]
fn openssl_verifies_a_cosign_signature() {
    let Some(()) = programs(&["docker-registry", "openssl"]) else { return };
    let (server, dir) = (Server::start(), tempfile::tempdir().unwrap());
    let here = repository(&server.host);
    let image = push_image(&here.1, "1");
    let ours = key(dir.path(), "ours", "ec:P-256");
    sign(&here, &image, &*ours, &[Format::Cosign2], None);
    let tag = signature_tag(image.digest).unwrap();
    let layer = layers(&here.1, &tag).remove(0);
    let file = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::write(file("payload"), blob(&here.1, &layer)).unwrap();
    fs::write(file("ours.pub"), ours.key().to_pem().unwrap()).unwrap();
    fs::write(file("sig.b64"), layer["annotations"]["dev.cosignproject.cosign/signature"].as_str().unwrap())
        .unwrap();
    run("openssl", &["base64", "-d", "-A", "-in", &file("sig.b64"), "-out", &file("sig")]);
    let verify =
        ["dgst", "-sha256", "-verify", &file("ours.pub"), "-signature", &file("sig"), &file("payload")];
    assert_eq!(run("openssl", &verify), "Verified OK\n");
}
