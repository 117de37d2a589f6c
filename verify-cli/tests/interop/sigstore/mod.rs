//! sigstore bundles 0.1 to 0.3 beside other programs that write and read them: sigstore-js, and those of sigstore-go.

mod by_others;
mod keyless;
mod ours;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_image::{Descriptor, Digest, Registry as Client, RegistryOptions, Selector, media};
use serde_json::{Value, json};
use test_repos::images::ImageBuilder;

use crate::publisher::{Publisher, verify};
use crate::registry::Registry;
use crate::support::{Ran, have, reader, run, skipped};

const BUNDLE: &str = image_signatures::BUNDLE;
const APPROVAL: &str = image_signatures::COSIGN_SIGN;
const SPDX: &str = "https://spdx.dev/Document";

/// What each version calls itself.
fn media_type(version: &str) -> String {
    match version {
        "0.3" => BUNDLE.to_owned(),
        _ => format!("application/vnd.dev.sigstore.bundle+json;version={version}"),
    }
}

/// The same said to be of another version.
fn said_to_be(version: &str, bundle: &Value) -> Value {
    let mut bundle = bundle.clone();
    bundle["mediaType"] = json!(media_type(version));
    bundle
}

fn statement_of(bundle: &Value) -> Value {
    let payload = STANDARD.decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap()).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

/// The same with another statement in it.
fn changed(bundle: &Value) -> Value {
    let (mut bundle, mut statement) = (bundle.clone(), statement_of(bundle));
    statement["predicate"]["more"] = json!(1);
    bundle["dsseEnvelope"]["payload"] = json!(STANDARD.encode(statement.to_string()));
    bundle
}

/// A statement of that type about an image: that it is signed, or an empty list of what is inside.
fn statement(image: Digest, kind: &str) -> Value {
    let list = json!({ "spdxVersion": "SPDX-2.3", "packages": [] });
    json!({
        "_type": "https://in-toto.io/Statement/v1", "subject": [{ "digest": { "sha256": image.hex() } }],
        "predicateType": kind, "predicate": if kind == SPDX { list } else { json!({}) },
    })
}

/// Images in docker-registry, and a publisher who may speak for them.
struct Place {
    publisher: Publisher,
    registry: Registry,
    client: Client,
}

impl Place {
    fn begin() -> Option<Self> {
        let publisher = have(&["docker-registry"]).then(Publisher::init).flatten()?;
        let registry = Registry::start();
        let client = Client::new(&registry.name("web").parse().unwrap(), RegistryOptions::default()).unwrap();
        Some(Self { publisher, registry, client })
    }

    /// A new key; its private half is in [`Self::private`], its public one in [`Self::public`].
    fn key(&self, name: &str, kind: &str) {
        self.publisher.sign(&["key", "new", name, "--kind", kind, "--unencrypted"]);
        self.publisher.sign(&["key", "export", name, "--out", &self.public(name)]);
    }

    fn public(&self, name: &str) -> String {
        self.publisher.path(&format!("{name}.pub")).display().to_string()
    }

    fn private(&self, name: &str) -> String {
        self.publisher.path(&format!("trust/keys/{name}.pem")).display().to_string()
    }

    /// By what cosign, sigstore-go and `signer` hint at a key.
    fn hint(&self, name: &str) -> String {
        image_signatures::key_hint(&fs::read_to_string(self.public(name)).unwrap()).unwrap()
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.publisher.path(name);
        fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    fn reference(&self, tag: &str) -> String {
        self.registry.name(&format!("web:{tag}"))
    }

    /// An image unlike any other; its manifest too.
    fn push(&self, tag: &str) -> (Descriptor, Vec<u8>) {
        let image = ImageBuilder::new().file("tag", tag.as_bytes()).build().unwrap();
        for part in image.layers.iter().chain([&image.config]) {
            self.client.push_blob(&part.bytes).unwrap();
        }
        let manifest = image.manifest;
        let pushed =
            self.client.push_manifest(Selector::Tag(tag), &manifest.bytes, &manifest.media_type).unwrap();
        (pushed, manifest.bytes)
    }

    /// Signs what each of these tags means.
    fn publish<'a>(&self, images: impl Iterator<Item = (&'a str, &'a Descriptor)>) {
        let line = |(tag, image): (&str, &Descriptor)| {
            format!("{} {} {} {}\n", self.reference(tag), image.digest, image.size, image.media_type)
        };
        let list = self.file("images", images.map(line).collect::<String>());
        self.publisher.sign(&["add", "--list", &list]);
        self.publisher.sign(&["publish"]);
    }

    /// Lets a bundle refer to an image.
    fn attach(&self, image: &Descriptor, bundle: &Value) {
        let (empty, bytes) = (self.client.push_blob(b"{}").unwrap(), bundle.to_string());
        let digest = self.client.push_blob(bytes.as_bytes()).unwrap();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "artifactType": BUNDLE,
            "config": { "mediaType": media::OCI_EMPTY, "digest": empty, "size": 2 },
            "layers": [{ "mediaType": BUNDLE, "digest": digest, "size": bytes.len() }],
            "subject": { "mediaType": image.media_type, "digest": image.digest, "size": image.size },
        })
        .to_string();
        self.client.push_referrer(manifest.as_bytes(), media::OCI_MANIFEST).unwrap();
    }

    /// Each bundle that refers to the image.
    fn attached(&self, image: &Descriptor) -> Vec<Value> {
        use oci_image::ImageSource as _;
        let listed = self.client.referrers(image.digest, None).unwrap().manifests;
        let read = |entry: &Descriptor| {
            let manifest = self.client.manifest(Selector::Digest(entry.digest)).unwrap().bytes;
            let manifest: Value = serde_json::from_slice(&manifest).unwrap();
            let blob: Descriptor = serde_json::from_value(manifest["layers"][0].clone()).unwrap();
            serde_json::from_reader(self.client.blob(&blob).unwrap()).unwrap()
        };
        listed.iter().map(read).collect()
    }

    /// What `verify evidence` says of the one piece beside an image: `signed TYPE` or `refused REASON`.
    fn weigh(&self, tag: &str, trust: &[&str]) -> String {
        let image = self.reference(tag);
        let words = [&["evidence", &image, "--unverified", "--format", "json"], trust].concat();
        let ran = run(&mut verify(&self.publisher.path("state"), &words));
        assert_eq!(ran.code, Some(0), "{tag}: {}", ran.stderr);
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        let pieces = report["pieces"].as_array().unwrap();
        assert_eq!(pieces.len(), 1, "{tag}: {report}");
        let piece = &pieces[0];
        assert_eq!(piece["form"], "sigstore bundle", "{tag}");
        let why = piece["reason"].as_str().or(piece["predicate_type"].as_str()).unwrap();
        format!("{} {why}", piece["outcome"].as_str().unwrap())
    }
}

/// sigstore-js, by a script of ours.
struct Js(PathBuf);

impl Js {
    fn find() -> Option<Self> {
        let Some(folder) = std::env::var_os("HALLMARK_SIGSTORE_JS").map(PathBuf::from) else {
            skipped("HALLMARK_SIGSTORE_JS names no folder with sigstore-js: see sigstore_js in .ci/run");
            return None;
        };
        have(&["node"]).then_some(Self(folder))
    }

    fn run(&self, words: &[&str]) -> Ran {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/sigstore/sigstore.js");
        run(Command::new("node").arg(script).args(words).env("HALLMARK_SIGSTORE_JS", &self.0))
    }

    /// A bundle around what is in a file; without a type, of its signature alone.
    fn sign(&self, version: &str, key: &str, hint: &str, kind: &str, file: &str) -> Value {
        let ran = self.run(&["sign", version, key, hint, kind, file]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        serde_json::from_str(&ran.stdout).unwrap()
    }

    /// Nothing where it takes the bundle, or why not.
    fn verify(&self, words: &[&str]) -> Result<(), String> {
        ended(self.run(words))
    }
}

/// A program of sigstore-go, or why it isn't here.
fn go(name: &str) -> Option<Command> {
    reader(name).map(Command::new)
}

fn ended(ran: Ran) -> Result<(), String> {
    match ran.code {
        Some(0) => Ok(()),
        Some(1) => Err(ran.stderr.trim().to_owned()),
        other => panic!("{other:?}: {}", ran.stderr),
    }
}
