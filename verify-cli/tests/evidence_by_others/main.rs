//! Evidence that cosign and notation make themselves, against a real registry, as `verify` reads it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod buildkit;
mod doors;
mod keyless;
mod made_by_buildkit;
mod others;
mod predicates;
mod stamps;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use oci_image::{Descriptor, Registry, RegistryOptions, Selector, media};
use serde_json::{Value, json};

const APPROVAL: &str = "https://sigstore.dev/cosign/sign/v1";
const SPDX: &str = "https://spdx.dev/Document";
const VSA: &str = "https://slsa.dev/verification_summary/v1";

fn skip<T>(why: &str) -> Option<T> {
    assert!(std::env::var_os("HALLMARK_NO_SKIPS").is_none(), "{why}, and HALLMARK_NO_SKIPS is set");
    eprintln!("SKIPPED: {why}");
    None
}

/// A program that signs, from the folder that `HALLMARK_READERS` names.
fn program(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("HALLMARK_READERS").map(PathBuf::from) else {
        return skip(&format!("HALLMARK_READERS names no folder with {name}"));
    };
    let program = folder.join(name);
    if program.is_file() { Some(program) } else { skip(&format!("there is no {}", program.display())) }
}

/// docker-registry on a free port with one image, and an empty home. Gone when dropped.
struct Story {
    child: Child,
    home: tempfile::TempDir,
    host: String,
    options: RegistryOptions,
    image: Descriptor,
}

impl Drop for Story {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Story {
    fn begin() -> Option<Self> {
        Self::begin_with(|_, port| {
            (format!("http: {{addr: '127.0.0.1:{port}'}}\n"), RegistryOptions::default())
        })
    }

    /// `set_up` gets the home and the port, and returns what follows the storage section, and how to get in.
    fn begin_with(set_up: impl FnOnce(&Path, u16) -> (String, RegistryOptions)) -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let storage = home.path().join("storage");
        let (more, options) = set_up(home.path(), port);
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n{more}",
            storage.display(),
        );
        let config = home.path().join("registry.yml");
        fs::write(&config, text).unwrap();
        let started = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .env("OTEL_TRACES_EXPORTER", "none")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = started else { return skip("docker-registry is not installed") };
        let host = format!("127.0.0.1:{port}");
        let mut story = Self { child, home, host, options, image: Descriptor::of(media::OCI_MANIFEST, b"") };
        let up = (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        assert!(up, "docker-registry does not start");
        story.image = story.push();
        Some(story)
    }

    fn registry(&self) -> Registry {
        let name = format!("{}/acme/web", self.host).parse().unwrap();
        Registry::new(&name, self.options.clone()).unwrap()
    }

    fn push(&self) -> Descriptor {
        let registry = self.registry();
        let layer = registry.push_blob(&[0; 1024]).unwrap();
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {}, "rootfs": { "type": "layers", "diff_ids": [layer] },
            "history": [{ "created": "2026-01-01T00:00:00Z", "created_by": "COPY web /" }],
        })
        .to_string();
        let digest = registry.push_blob(config.as_bytes()).unwrap();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media::OCI_MANIFEST,
            "config": { "mediaType": media::OCI_CONFIG, "digest": digest, "size": config.len() },
            "layers": [{ "mediaType": media::OCI_LAYER, "digest": layer, "size": 1024 }],
        })
        .to_string();
        registry.push_manifest(Selector::Tag("1"), manifest.as_bytes(), media::OCI_MANIFEST).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn pinned(&self) -> String {
        format!("{}/acme/web@{}", self.host, self.image.digest)
    }

    /// Runs a program of others, with a home where it finds and asks nobody.
    fn run(&self, program: &Path, words: &[&str]) {
        let output = Command::new(program)
            .args(words)
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", self.home.path())
            .env("COSIGN_PASSWORD", "")
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let words = words.join(" ");
        assert!(output.status.success(), "{words}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn verify(&self, verb: &str, image: &str, more: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_verify"))
            .args([verb, image, "--unverified"])
            .args(more)
            .env_clear()
            .env("HOME", self.home.path())
            .current_dir(self.home.path())
            .output()
            .unwrap()
    }

    fn report(&self, verb: &str, more: &[&str]) -> Value {
        let output = self.verify(verb, &self.pinned(), &[&["--format", "json"], more].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// `outcome form: predicate type or reason` of each piece, sorted.
fn pieces(report: &Value) -> Vec<String> {
    let one = |piece: &Value| {
        let why = piece["reason"].as_str().or(piece["predicate_type"].as_str()).unwrap_or_default();
        format!("{} {}: {why}", piece["outcome"].as_str().unwrap(), piece["form"].as_str().unwrap())
    };
    let mut all: Vec<_> = report["pieces"].as_array().unwrap().iter().map(one).collect();
    all.sort();
    all
}

/// Provenance, as `cosign attest` takes it.
const PROVENANCE: &str = r#"{"builder":{"id":"https://ci.example.com"},"buildType":"https://ci.example.com/kind",
    "invocation":{"configSource":{"uri":"git+https://github.com/acme/web","entryPoint":"Dockerfile",
        "digest":{"sha1":"0123456789abcdef0123456789abcdef01234567"}}},
    "materials":[{"uri":"pkg:docker/alpine@3.19","digest":{"sha256":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}]}"#;

#[test]
fn what_cosign_2_signs_and_attests_is_verified_and_understood() {
    let (Some(cosign), Some(story)) = (program("cosign2"), Story::begin()) else { return };
    fs::write(story.path("prov.json"), PROVENANCE).unwrap();
    fs::write(story.path("spdx.json"), r#"{"spdxVersion":"SPDX-2.3","packages":[{"name":"a"}]}"#).unwrap();
    fs::write(story.path("vuln.json"), r#"{"scanner":{"uri":"pkg:x","version":"1","result":{}},"metadata":{"scanFinishedOn":"2026-01-01T00:00:00Z"}}"#).unwrap();
    story.run(&cosign, &["generate-key-pair"]);
    for name in ["ours", "other"] {
        fs::rename(story.path("cosign.pub"), story.path(&format!("{name}.pub"))).unwrap();
        fs::rename(story.path("cosign.key"), story.path(&format!("{name}.key"))).unwrap();
        if name == "ours" {
            story.run(&cosign, &["generate-key-pair"]);
        }
    }
    let image = story.pinned();
    let by = ["--yes", "--tlog-upload=false", "--allow-http-registry", "--key", "ours.key"];
    story.run(&cosign, &[&["sign"], &by[..], &[&image]].concat());
    fs::write(story.path("own.txt"), "reviewed\n").unwrap();
    let passed = json!({
        "verifier": { "id": "https://verify.example.com" }, "timeVerified": "2026-01-01T00:00:00Z",
        "resourceUri": "r.io/x", "policy": { "uri": "p" }, "verificationResult": "PASSED", "verifiedLevels": [],
    });
    fs::write(story.path("vsa.json"), passed.to_string()).unwrap();
    for (kind, file) in [
        ("slsaprovenance", "prov.json"),
        ("spdxjson", "spdx.json"),
        ("vuln", "vuln.json"),
        ("custom", "own.txt"),
        (VSA, "vsa.json"),
    ] {
        story.run(&cosign, &[&["attest"], &by[..], &["--type", kind, "--predicate", file, &image]].concat());
    }
    let report = story.report("evidence", &["--key", "ours.pub"]);
    assert_eq!(
        pieces(&report),
        [
            "signed DSSE envelope: https://cosign.sigstore.dev/attestation/v1".to_owned(),
            "signed DSSE envelope: https://cosign.sigstore.dev/attestation/vuln/v1".to_owned(),
            "signed DSSE envelope: https://slsa.dev/provenance/v0.2".to_owned(),
            format!("signed DSSE envelope: {VSA}"),
            format!("signed DSSE envelope: {SPDX}"),
            format!("signed simple signing: {APPROVAL}"),
        ]
    );
    let by_other = story.report("evidence", &["--key", "other.pub"]);
    assert_eq!(
        by_other["pieces"].as_array().unwrap().iter().filter(|piece| piece["reason"] == "other-key").count(),
        6
    );
    let says = |kind: &str| {
        let piece = report["pieces"].as_array().unwrap().iter().find(|piece| piece["predicate_type"] == kind);
        piece.unwrap()["says"].as_str().unwrap().to_owned()
    };
    let custom = says("https://cosign.sigstore.dev/attestation/v1");
    assert!(custom.starts_with("9 bytes in a form of its own, of 20"), "{custom}");
    assert!(says(VSA).starts_with("r.io/x passed"), "{}", says(VSA));
    let built =
        story.report("provenance", &["--key", "ours.pub", "--builder", "2,ours.pub,https://ci.example.com"]);
    let build = &built["builds"][0];
    assert_eq!((&build["level"], &build["vouched"]), (&json!(2), &json!("signed")));
    assert_eq!(build["repository"], "git+https://github.com/acme/web");
    assert_eq!(
        (&build["build_file"], &build["bases"][0]["image"]),
        (&json!("Dockerfile"), &json!("alpine:3.19"))
    );
    assert_eq!(build["bases"][0]["verdict"], "unknown");
    assert_eq!(built["history"][0]["created_by"], "COPY web /");
}

/// cosign 2 signs with SHA-256 whatever the curve, cosign 3 with the curve's own hash.
#[test]
fn keys_over_p_384_are_verified_as_either_cosign_signs() {
    let (Some(two), Some(three), Some(story)) = (program("cosign2"), program("cosign3"), Story::begin())
    else {
        return;
    };
    let openssl = Path::new("openssl");
    let curve = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384", "-out", "plain.pem"];
    story.run(openssl, &curve);
    story.run(openssl, &["pkey", "-in", "plain.pem", "-pubout", "-out", "ours.pub"]);
    story.run(&three, &["import-key-pair", "--key", "plain.pem", "--output-key-prefix", "imported"]);
    story.run(&three, &["signing-config", "create", "--out", "none.json"]);
    let (image, key) = (story.pinned(), ["--yes", "--allow-http-registry", "--key", "imported.key"]);
    story.run(&two, &[&["sign"], &key[..], &["--tlog-upload=false", &image]].concat());
    story.run(&three, &[&["sign"], &key[..], &["--signing-config", "none.json", &image]].concat());
    let report = story.report("evidence", &["--key", "ours.pub"]);
    let expected =
        [format!("signed sigstore bundle: {APPROVAL}"), format!("signed simple signing: {APPROVAL}")];
    assert_eq!(pieces(&report), expected);
}

#[test]
fn what_cosign_3_signs_and_attests_is_verified() {
    let (Some(cosign), Some(story)) = (program("cosign3"), Story::begin()) else { return };
    fs::write(story.path("spdx.json"), r#"{"spdxVersion":"SPDX-2.3","packages":[]}"#).unwrap();
    story.run(&cosign, &["generate-key-pair"]);
    story.run(&cosign, &["signing-config", "create", "--out", "none.json"]);
    let image = story.pinned();
    let by = ["--yes", "--allow-http-registry", "--key", "cosign.key", "--signing-config", "none.json"];
    story.run(&cosign, &[&["sign"], &by[..], &[&image]].concat());
    story.run(
        &cosign,
        &[&["attest"], &by[..], &["--type", "spdxjson", "--predicate", "spdx.json", &image]].concat(),
    );
    let report = story.report("evidence", &["--key", "cosign.pub"]);
    let expected = [format!("signed sigstore bundle: {APPROVAL}"), format!("signed sigstore bundle: {SPDX}")];
    assert_eq!(pieces(&report), expected);
}

fn policy(identity: &str) -> String {
    json!({ "version": "1.0", "trustPolicies": [{
        "name": "all", "registryScopes": ["*"], "signatureVerification": { "level": "strict" },
        "trustStores": ["ca:acme"], "trustedIdentities": [identity],
    }] })
    .to_string()
}

#[test]
fn what_notation_signs_in_either_envelope_is_verified_by_its_own_policy() {
    let (Some(notation), Some(story)) = (program("notation"), Story::begin()) else { return };
    story.run(&notation, &["cert", "generate-test", "--default", "acme"]);
    let image = story.pinned();
    for more in [&["--signature-format", "jws"][..], &["--signature-format", "cose", "--expiry", "1h"]] {
        story.run(&notation, &[&["sign", "--insecure-registry"], more, &[&image]].concat());
    }
    let file = story.path("notation/trustpolicy.json");
    let weigh = |identity: &str, at: &str| {
        fs::write(&file, policy(identity)).unwrap();
        let more = ["--notation-policy", file.to_str().unwrap(), "--at", at];
        let now = chrono::Utc::now();
        let later = now.checked_add_signed(chrono::TimeDelta::hours(2)).unwrap().to_rfc3339();
        let now = now.to_rfc3339();
        let at = |word: &str| match word {
            "now" => now.clone(),
            "later" => later.clone(),
            other => other.to_owned(),
        };
        let more = more.map(at);
        let more: Vec<_> = more.iter().map(String::as_str).collect();
        pieces(&story.report("evidence", &more))
    };
    let both = |word: &str| [format!("{word} notation COSE: "), format!("{word} notation JWS: ")];
    let with = |word: &str, why: &str| both(word).map(|start| start + why);
    assert_eq!(weigh("x509.subject: C=US, ST=WA, O=Notary", "now"), with("signed", APPROVAL));
    assert_eq!(weigh("x509.subject: C=US, ST=WA, O=Acme", "now"), with("refused", "other-signer"));
    let later = [with("refused", "expired")[0].clone(), with("signed", APPROVAL)[1].clone()];
    assert_eq!(weigh("*", "later"), later, "one of them is for an hour");
    // The certificate is of one day.
    assert_eq!(weigh("*", "2020-01-01T00:00:00Z"), with("refused", "certificate"));
    // notation itself agrees that they are good.
    fs::write(&file, policy("*")).unwrap();
    story.run(&notation, &["verify", "--insecure-registry", &image]);
    // Another store of that name.
    let store = story.path("notation/truststore/x509/ca/acme");
    fs::remove_dir_all(&store).unwrap();
    story.run(&notation, &["cert", "generate-test", "other"]);
    fs::rename(story.path("notation/truststore/x509/ca/other"), &store).unwrap();
    assert_eq!(weigh("*", "now"), with("refused", "other-signer"));
}

/// Signatures by others lie beside the repository on some machines only.
fn formats(name: &str) -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let places =
        ["../../shared", "../../../shared"].map(|place| here.join(place).join("data/formats").join(name));
    let found = places.into_iter().find(|place| place.is_dir());
    if found.is_none() {
        eprintln!("SKIPPED: there is no shared/data/formats/{name} beside the repository");
    }
    found
}

/// Images that others signed, as their registry had them, in one of ours.
#[test]
fn real_images_by_three_keys_and_by_an_identity_are_told_apart() {
    let (Some(folder), Some(bundles)) = (formats("cosign-simple-signing"), formats("sigstore-bundle")) else {
        return;
    };
    let (fake, home) = (test_repos::registry::Registry::start().unwrap(), tempfile::tempdir().unwrap());
    let images = folder.join("securesystemsengineering/testimage");
    for blob in fs::read_dir(images.join("blobs")).unwrap() {
        fake.put_blob("acme/web", &fs::read(blob.unwrap().path()).unwrap());
    }
    for manifest in fs::read_dir(images.join("manifests")).unwrap() {
        let path = manifest.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let document: Value = serde_json::from_slice(&bytes).unwrap();
        let kind = document["mediaType"].as_str().unwrap_or(media::OCI_MANIFEST);
        let name = path.file_name().unwrap().to_str().unwrap().strip_suffix(".json").unwrap();
        fake.put_manifest("acme/web", name, kind, &bytes);
    }
    let verify = |tag: &str, more: &[&str]| -> Value {
        let output = Command::new(env!("CARGO_BIN_EXE_verify"))
            .args([
                "evidence",
                &format!("{}/acme/web:{tag}", fake.host()),
                "--unverified",
                "--format",
                "json",
            ])
            .args(more)
            .env_clear()
            .env("HOME", home.path())
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let keys = ["--key", "alice.key", "--key", "bob.key", "--key", "charlie.key"];
    let signers = |report: &Value| -> Vec<String> {
        let pieces = report["pieces"].as_array().unwrap();
        let mut names: Vec<_> =
            pieces.iter().filter_map(|piece| piece["signers"][0]["name"].as_str()).collect();
        names.sort_unstable();
        names.into_iter().map(str::to_owned).collect()
    };
    let all = verify("multi-cosigned-alice-bob-charlie", &keys);
    assert_eq!(signers(&all), ["alice.key", "bob.key", "charlie.key"]);
    assert_eq!(signers(&verify("multi-cosigned-alice", &keys)), ["alice.key"]);
    let root = bundles.join("trusted-roots/public-good.json");
    let keyless = |identity: &str, issuer: &str| {
        let by = ["--trusted-root", root.to_str().unwrap(), "--identity", identity, "--issuer", issuer];
        verify("keyless", &by)
    };
    let stranger = keyless("somebody@example.com", "https://example.com");
    let piece = &stranger["pieces"][0];
    assert_eq!(
        (&piece["outcome"], &piece["reason"]),
        (&json!("refused"), &json!("other-signer")),
        "{stranger}"
    );
    let detail = piece["detail"].as_str().unwrap();
    let (who, issuer) = detail.split_once("got ").unwrap().1.split_once(" by ").unwrap();
    assert_eq!(signers(&keyless(who, issuer)), [who], "{detail}");
    assert!(signers(&keyless(who, "https://example.com")).is_empty(), "another issuer vouched for it");
}

#[test]
fn layouts_with_signatures_of_notation_are_read_each_for_its_own_verdict() {
    let Some(folder) = formats("notation") else { return };
    let home = tempfile::tempdir().unwrap();
    let store = home.path().join("truststore/x509/ca/acme");
    fs::create_dir_all(&store).unwrap();
    for name in ["e2e.crt", "expired_e2e.crt"] {
        fs::copy(folder.join(name), store.join(name)).unwrap();
    }
    let file = home.path().join("trustpolicy.json");
    fs::write(&file, policy("*")).unwrap();
    for (layout, expected) in [
        ("e2e", &[][..]),
        ("e2e-valid-signature", &["signed"]),
        ("e2e-valid-multiple-signatures", &["refused other-signer", "signed"]),
        ("e2e-expired-signature", &["refused expired"]),
        ("e2e-with-expired-cert", &["refused certificate"]),
        ("e2e-invalid-signature", &["refused other-kind"]),
        ("e2e-with-timestamped-signature", &["refused other-signer"]),
        ("e2e-with-invalid-timestamped-signature", &["refused other-signer"]),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_verify"))
            .args(["evidence", &format!("oci:{}:v1", folder.join(layout).display()), "--unverified"])
            .args(["--format", "json", "--notation-policy", file.to_str().unwrap()])
            .env_clear()
            .env("HOME", home.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{layout}: {}", String::from_utf8_lossy(&output.stderr));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        let one = |piece: &Value| {
            let words = [piece["outcome"].as_str(), piece["reason"].as_str()];
            words.into_iter().flatten().collect::<Vec<_>>().join(" ")
        };
        let mut got: Vec<_> = report["pieces"].as_array().unwrap().iter().map(one).collect();
        got.sort();
        assert_eq!(got, expected, "{layout}");
    }
}
