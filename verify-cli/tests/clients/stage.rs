//! A registry, images in it, keys, and signatures of every kind, good and bad.

use std::collections::BTreeSet;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image_signatures::{
    BUNDLE, CertificateChain, Envelope, Format, IN_TOTO, NOTATION, SIMPLE_SIGNING, Signing, pae,
    signature_tag,
};
use oci_image::{
    Descriptor, Digest, HttpLimits, ImageName, ImageSource as _, Registry, RegistryOptions, Selector, media,
};
use serde_json::{Value, json};
use test_repos::registry::{Fault, Place, Registry as Fake};
use tuf_core::crypto::{Curve, EcdsaSigner, Ed25519Signer, RsaSigner, Sign};

pub const COSIGN_SIGN: &str = image_signatures::COSIGN_SIGN;

/// Says SKIPPED, or fails where nothing may be skipped.
pub fn skip<T>(why: &str) -> Option<T> {
    assert!(std::env::var_os("HALLMARK_NO_SKIPS").is_none(), "{why}, and HALLMARK_NO_SKIPS is set");
    eprintln!("SKIPPED: {why}");
    None
}

/// A program that reads signatures, from the folder that `HALLMARK_READERS` names.
pub fn reader(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("HALLMARK_READERS").map(PathBuf::from) else {
        return skip(&format!("HALLMARK_READERS names no folder with {name}"));
    };
    let program = folder.join(name);
    if program.is_file() { Some(program) } else { skip(&format!("there is no {}", program.display())) }
}

/// How the registry tells what refers to an image.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// By its own list, as the specification has it.
    Api,
    /// Not at all, so that writers keep a list under a tag.
    Tag,
    /// The one that everybody runs, which keeps no list either.
    Docker,
}

enum Server {
    Fake(Fake),
    Docker(Child),
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Self::Docker(child) = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A registry with a repository `acme/web`, and a folder.
pub struct Stage {
    server: Server,
    pub host: String,
    pub dir: tempfile::TempDir,
    pub registry: Registry,
    pub name: ImageName,
}

impl Stage {
    pub fn new(kind: Kind) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let (server, host) = match kind {
            Kind::Docker => docker(dir.path())?,
            Kind::Api | Kind::Tag => {
                let fake = Fake::start().unwrap();
                fake.set_referrers(kind == Kind::Api);
                let host = fake.host();
                (Server::Fake(fake), host)
            }
        };
        let name: ImageName = format!("{host}/acme/web").parse().unwrap();
        let limits = HttpLimits { back_off: Duration::from_millis(20), ..HttpLimits::default() };
        let registry =
            Registry::new(&name, RegistryOptions { limits, ..RegistryOptions::default() }).unwrap();
        Some(Self { server, host, dir, registry, name })
    }

    /// Lets the registry misbehave.
    pub fn spoil(&self, place: Place, fault: Fault) {
        let Server::Fake(fake) = &self.server else { panic!("the registry that everybody runs doesn't") };
        fake.set_fault(place, fault);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn reference(&self, tag: &str) -> String {
        format!("{}:{tag}", self.name)
    }

    /// `verify` with these words, in the folder.
    pub fn verify(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_verify"))
            .args(words)
            .env_clear()
            .env("HOME", self.path("home"))
            .current_dir(self.dir.path())
            .output()
            .unwrap()
    }

    /// `verify doctor`, as programs read it.
    pub fn doctor(&self, words: &[&str]) -> Value {
        let output = self.verify(&[&["doctor", "--format", "json"], words].concat());
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{words:?}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// A private key by openssl, and the public half in `NAME.pub`.
    pub fn key(&self, name: &str, kind: &str) -> Box<dyn Sign> {
        let (file, der) = (self.path(&format!("{name}.key")), self.path(&format!("{name}.der")));
        let (algorithm, rest) = kind.split_once(':').unwrap_or((kind, ""));
        let option = match algorithm {
            "ec" => format!("ec_paramgen_curve:{rest}"),
            _ => format!("rsa_keygen_bits:{rest}"),
        };
        let option = if rest.is_empty() { vec![] } else { vec!["-pkeyopt", option.as_str()] };
        let (file, der) = (file.to_str().unwrap(), der.to_str().unwrap());
        openssl(&[&["genpkey", "-algorithm", algorithm][..], &option, &["-out", file]].concat());
        openssl(&["pkcs8", "-topk8", "-nocrypt", "-outform", "DER", "-in", file, "-out", der]);
        let bytes = fs::read(der).unwrap();
        let key: Box<dyn Sign> = match kind {
            "ec:P-256" => Box::new(EcdsaSigner::from_pkcs8(Curve::P256, &bytes).unwrap()),
            "ec:P-384" => Box::new(EcdsaSigner::from_pkcs8(Curve::P384, &bytes).unwrap()),
            "ed25519" => Box::new(Ed25519Signer::from_seed(bytes.last_chunk().unwrap())),
            _ => Box::new(RsaSigner::from_pkcs8(&bytes).unwrap()),
        };
        fs::write(self.path(&format!("{name}.pub")), key.key().to_pem().unwrap()).unwrap();
        key
    }

    /// What openssl signs with that key and hash.
    pub fn openssl_signature(&self, key: &str, hash: &str, message: &[u8]) -> Vec<u8> {
        let (file, message_file) = (self.path(&format!("{key}.key")), self.path("message"));
        fs::write(&message_file, message).unwrap();
        let words = ["dgst", hash, "-sign", file.to_str().unwrap(), message_file.to_str().unwrap()];
        let output = Command::new("openssl").args(words).output().unwrap();
        assert!(output.status.success());
        output.stdout
    }

    /// A certificate for the key by a root of its own, leaf first; the root alone is in `NAME.ca.crt`.
    pub fn chain(&self, name: &str, days: &str) -> CertificateChain {
        let path = |end: &str| self.path(&format!("{name}.{end}")).to_str().unwrap().to_owned();
        openssl(&[
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-384",
            "-out",
            &path("ca.key"),
        ]);
        let root = [
            "-subj",
            "/C=DE/ST=Here/O=Acme/CN=Acme root",
            "-addext",
            "keyUsage=critical,keyCertSign",
            "-sha384",
        ];
        let new = ["req", "-x509", "-new", "-days", "36500", "-key"];
        openssl(&[&new[..], &[&path("ca.key"), "-out", &path("ca.crt")], &root].concat());
        let subject = ["-subj", "/C=DE/ST=Here/O=Acme/CN=Acme releases"];
        openssl(&[&["req", "-new", "-key", &path("key"), "-out", &path("csr")], &subject[..]].concat());
        fs::write(path("ext"), "keyUsage=critical,digitalSignature\nextendedKeyUsage=codeSigning\n").unwrap();
        let by =
            ["-CA", &path("ca.crt"), "-CAkey", &path("ca.key"), "-CAcreateserial", "-days", days, "-sha384"];
        let files = ["-in", &path("csr"), "-out", &path("leaf.crt"), "-extfile", &path("ext")];
        openssl(&[&["x509", "-req"], &by[..], &files[..]].concat());
        let pem =
            fs::read_to_string(path("leaf.crt")).unwrap() + &fs::read_to_string(path("ca.crt")).unwrap();
        CertificateChain::from_pem(&pem).unwrap()
    }

    /// notation's policy and trust store in `FOLDER/notation`, which trusts the root of that name.
    pub fn notation_policy(
        &self,
        folder: &str,
        root: &str,
        scope: &str,
        level: &str,
        identity: &str,
    ) -> PathBuf {
        let config = self.path(folder).join("notation");
        let store = config.join("truststore/x509/ca/acme");
        fs::create_dir_all(&store).unwrap();
        fs::copy(self.path(&format!("{root}.ca.crt")), store.join("root.crt")).unwrap();
        let mut policy = json!({
            "name": "all", "registryScopes": [scope], "signatureVerification": { "level": level },
            "trustStores": ["ca:acme"], "trustedIdentities": [identity],
        });
        if level == "skip" {
            policy.as_object_mut().unwrap().remove("trustStores");
            policy.as_object_mut().unwrap().remove("trustedIdentities");
        }
        let file = config.join("trustpolicy.json");
        fs::write(&file, json!({ "version": "1.0", "trustPolicies": [policy] }).to_string()).unwrap();
        file
    }

    /// An image of one empty layer, which says the tag.
    pub fn push(&self, tag: &str) -> Descriptor {
        let bytes = self.image(tag);
        self.registry.push_manifest(Selector::Tag(tag), bytes.as_bytes(), media::OCI_MANIFEST).unwrap()
    }

    fn image(&self, content: &str) -> String {
        let layer = self.registry.push_blob(&[0; 1024]).unwrap();
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": { "Cmd": [content] },
            "rootfs": { "type": "layers", "diff_ids": [layer] },
        })
        .to_string();
        let digest = self.registry.push_blob(config.as_bytes()).unwrap();
        json!({
            "schemaVersion": 2, "mediaType": media::OCI_MANIFEST,
            "config": { "mediaType": media::OCI_CONFIG, "digest": digest, "size": config.len() },
            "layers": [{ "mediaType": media::OCI_LAYER, "digest": layer, "size": 1024 }],
        })
        .to_string()
    }

    /// An index of two images; returns it and the one for this machine.
    pub fn push_index(&self, tag: &str) -> (Descriptor, Descriptor) {
        let part = |architecture: &str| {
            let bytes = self.image(&format!("{tag}-{architecture}"));
            let digest = Digest::of(bytes.as_bytes());
            let part =
                self.registry.push_manifest(Selector::Digest(digest), bytes.as_bytes(), media::OCI_MANIFEST);
            let part = part.unwrap();
            let entry = json!({
                "mediaType": part.media_type, "digest": part.digest, "size": part.size,
                "platform": { "os": "linux", "architecture": architecture },
            });
            (part, entry)
        };
        let (amd, arm) = (part("amd64"), part("arm64"));
        let index = json!({ "schemaVersion": 2, "mediaType": media::OCI_INDEX, "manifests": [amd.1, arm.1] })
            .to_string();
        let top =
            self.registry.push_manifest(Selector::Tag(tag), index.as_bytes(), media::OCI_INDEX).unwrap();
        (top, amd.0)
    }

    pub fn sign(&self, image: &Descriptor, key: &dyn Sign, formats: &[Format]) {
        self.sign_as(&self.name.to_string(), image, &[], key, formats, None);
    }

    pub fn sign_as(
        &self,
        name: &str,
        image: &Descriptor,
        parts: &[Descriptor],
        key: &dyn Sign,
        formats: &[Format],
        chain: Option<&CertificateChain>,
    ) {
        let formats: BTreeSet<_> = formats.iter().copied().collect();
        let name = name.parse().unwrap();
        let now = chrono::Utc::now();
        let envelope = Envelope::Jws;
        let signing = Signing { name: &name, image, parts, formats: &formats, key, chain, envelope, now };
        signing.make().unwrap().push(&self.registry).into_iter().for_each(|pushed| drop(pushed.unwrap()));
    }

    /// Signs for notation, in COSE.
    pub fn sign_in_cose(&self, image: &Descriptor, key: &dyn Sign, chain: &CertificateChain) {
        let signing = Signing {
            name: &self.name,
            image,
            parts: &[],
            formats: &BTreeSet::from([Format::Notation]),
            key,
            chain: Some(chain),
            envelope: Envelope::Cose,
            now: chrono::Utc::now(),
        };
        signing.make().unwrap().push(&self.registry).into_iter().for_each(|pushed| drop(pushed.unwrap()));
    }

    /// A payload of simple signing as cosign writes it.
    pub fn payload(&self, image: Digest) -> Value {
        json!({
            "critical": {
                "identity": { "docker-reference": self.name.to_string() },
                "image": { "docker-manifest-digest": image },
                "type": "cosign container image signature",
            },
            "optional": null,
        })
    }

    /// Puts one layer under the tag for signatures of the image, whatever it is.
    pub fn put_simple(&self, image: Digest, payload: &[u8], signature: &[u8]) {
        let annotations = json!({ "dev.cosignproject.cosign/signature": STANDARD.encode(signature) });
        self.put_annotated(image, payload, &annotations);
    }

    /// The same with these annotations.
    pub fn put_annotated(&self, image: Digest, payload: &[u8], annotations: &Value) {
        let layer = self.registry.push_blob(payload).unwrap();
        let config = self.registry.push_blob(b"{}").unwrap();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media::OCI_MANIFEST,
            "config": { "mediaType": media::OCI_CONFIG, "digest": config, "size": 2 },
            "layers": [{
                "mediaType": SIMPLE_SIGNING, "digest": layer, "size": payload.len(),
                "annotations": annotations,
            }],
        })
        .to_string();
        let tag = signature_tag(image).unwrap();
        self.registry
            .push_manifest(Selector::Tag(tag.as_str()), manifest.as_bytes(), media::OCI_MANIFEST)
            .unwrap();
    }

    /// Puts the manifest of signatures of one image under the tag of another.
    pub fn move_signatures(&self, from: Digest, to: Digest) {
        let tag = |image| signature_tag(image).unwrap();
        let bytes = self.registry.manifest(Selector::Tag(tag(from).as_str())).unwrap().bytes;
        self.registry.push_manifest(Selector::Tag(tag(to).as_str()), &bytes, media::OCI_MANIFEST).unwrap();
    }

    /// A bundle around a statement of that type about an image.
    pub fn bundle(&self, image: Digest, predicate: &str, sign: &dyn Fn(&[u8]) -> Vec<u8>) -> Value {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1", "subject": [{ "digest": { "sha256": image.hex() } }],
            "predicateType": predicate, "predicate": {},
        })
        .to_string();
        json!({
            "mediaType": BUNDLE, "verificationMaterial": { "publicKey": { "hint": "" } },
            "dsseEnvelope": {
                "payload": STANDARD.encode(&statement), "payloadType": IN_TOTO,
                "signatures": [{ "sig": STANDARD.encode(sign(&pae(IN_TOTO, statement.as_bytes()))) }],
            },
        })
    }

    /// Something that refers to the image, of that artifact type, with these blobs.
    pub fn attach(&self, image: &Descriptor, kind: &str, blobs: &[(&str, &[u8])]) -> Digest {
        let empty = self.registry.push_blob(b"{}").unwrap();
        let layers: Vec<_> = blobs
            .iter()
            .map(|(media_type, blob)| {
                let digest = self.registry.push_blob(blob).unwrap();
                json!({ "mediaType": media_type, "digest": digest, "size": blob.len() })
            })
            .collect();
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "artifactType": kind,
            "config": { "mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2 },
            "layers": layers,
            "subject": { "mediaType": image.media_type, "digest": image.digest, "size": image.size },
        })
        .to_string();
        self.registry.push_referrer(manifest.as_bytes(), media::OCI_MANIFEST).unwrap().0.digest
    }

    /// The list under the tag without what its writers should repeat in it, as older writers left it.
    pub fn strip_listing(&self, image: Digest) {
        let tag = format!("sha256-{}", image.hex());
        let bytes = self.registry.manifest(Selector::Tag(&tag)).unwrap().bytes;
        let mut index: Value = serde_json::from_slice(&bytes).unwrap();
        for entry in index["manifests"].as_array_mut().unwrap() {
            entry.as_object_mut().unwrap().remove("artifactType");
        }
        let bytes = index.to_string();
        self.registry.push_manifest(Selector::Tag(&tag), bytes.as_bytes(), media::OCI_INDEX).unwrap();
    }

    /// The notation envelope that refers to an image.
    pub fn envelope(&self, image: Digest) -> Vec<u8> {
        let listed = self.registry.referrers(image, None).unwrap().manifests;
        for entry in listed {
            let bytes = self.registry.manifest(Selector::Digest(entry.digest)).unwrap().bytes;
            let manifest: Value = serde_json::from_slice(&bytes).unwrap();
            if manifest["artifactType"] == NOTATION {
                let blob: Descriptor = serde_json::from_value(manifest["layers"][0].clone()).unwrap();
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut self.registry.blob(&blob).unwrap(), &mut bytes).unwrap();
                return bytes;
            }
        }
        panic!("nothing of notation refers to {image}");
    }
}

fn docker(dir: &Path) -> Option<(Server, String)> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n",
        dir.join("storage").display(),
    );
    let config = dir.join("registry.yml");
    fs::write(&config, text).unwrap();
    let mut command = Command::new("docker-registry");
    command
        .arg("serve")
        .arg(&config)
        .env("OTEL_TRACES_EXPORTER", "none")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let Ok(child) = command.spawn() else { return skip("docker-registry is not installed") };
    let server = Server::Docker(child);
    let up = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    assert!(up, "docker-registry does not start");
    Some((server, format!("127.0.0.1:{port}")))
}

pub fn openssl(words: &[&str]) {
    let output = Command::new("openssl").args(words).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
}
