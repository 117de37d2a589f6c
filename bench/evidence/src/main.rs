//! `cargo run --release --manifest-path bench/Cargo.toml -p bench-evidence`
//!
//! One image with ten signatures by five keys and three attestations, beside a list of components of a megabyte: what
//! weighing them costs beyond fetching, and what is asked of the registry. Then a thousand signed images, by two
//! threads, against a registry in this process, which takes its share of the same cores. Ends with 1 where a goal isn't
//! met.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::{Cursor, Read};
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use image_evidence::{Demand, Trust, TrustedKey, Wanted};
use image_signatures::{BUNDLE, Envelope, Format, IN_TOTO, Signing, key_hint, pae};
use oci_image::{
    Descriptor, Digest, FetchedManifest, ImageName, ImageSource, Reference, Registry, RegistryOptions,
    Selector, SourceError, media,
};
use serde_json::{Value, json};
use test_repos::registry::Registry as Server;
use test_repos::simulator::Simulator;
use tuf_core::crypto::{Curve, EcdsaSigner, Sign};
use tuf_core::schema::Target;
use verifier_lib::evidence::{self, EvidenceSource, Judged, Place, Subjects};
use verifier_lib::{Platforms, Verdict, VerifiedImage, Verifier};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const REPO: &str = "acme/web";
const IMAGES: usize = 1000;
const THREADS: usize = 2;
const ROUNDS: u32 = 100;
/// The goals: milliseconds of CPU, and images a second.
const CPU_MS: f64 = 10.0;
const A_SECOND: f64 = 200.0;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(3)
        }
    }
}

fn run() -> Result<bool> {
    let scene = Scene::new()?;
    let (cpu, requests) = scene.one_image()?;
    let (rate, asked) = scene.many_images()?;
    println!("| what | goal | measured |\n|---|---|---|");
    println!("| 10 signatures, 5 keys, 3 attestations, once fetched | {CPU_MS} ms of CPU | {cpu:.1} ms |");
    println!("| requests for the image and them | | {} |", requests.len());
    println!("| signed images a second, {THREADS} threads, warm | {A_SECOND} | {rate:.0} |");
    println!("| requests for each | | {asked:.1} |\n");
    requests.iter().for_each(|request| println!("    {request}"));
    Ok(cpu < CPU_MS && rate > A_SECOND)
}

/// A registry, keys, and a trust repository that names every image.
struct Scene {
    server: Server,
    registry: Registry,
    name: ImageName,
    keys: Vec<EcdsaSigner>,
    folder: tempfile::TempDir,
    now: DateTime<Utc>,
    tags: Vec<String>,
}

impl Scene {
    fn new() -> Result<Self> {
        let server = Server::start()?;
        let name: ImageName = format!("{}/{REPO}", server.host()).parse()?;
        let registry = Registry::new(&name, RegistryOptions::default())?;
        let key = |_| EcdsaSigner::from_pkcs8(Curve::P256, &EcdsaSigner::generate(Curve::P256)?);
        let keys = (0..5).map(key).collect::<std::result::Result<Vec<_>, _>>()?;
        let now = DateTime::from_timestamp(1_893_456_000, 0).unwrap_or_default();
        let mut repo = Simulator::new(now)?;
        let (mut tags, mut images) = (Vec::new(), Vec::new());
        for number in 0..=IMAGES {
            let bytes = manifest(&server, number);
            let tag = format!("1.{number}");
            server.put_manifest(REPO, &tag, media::OCI_MANIFEST, &bytes);
            repo.role_mut("targets").set_target(&format!("{name}:{tag}"), &Target::of(&bytes))?;
            images.push(Descriptor::of(media::OCI_MANIFEST, &bytes));
            tags.push(tag);
        }
        repo.publish()?;
        let folder = tempfile::tempdir()?;
        std::fs::create_dir_all(folder.path().join("metadata"))?;
        for file in repo.names() {
            let bytes = repo.fetch(&file)?.unwrap_or_default();
            std::fs::write(folder.path().join("metadata").join(file), bytes)?;
        }
        let scene = Self { server, registry, name, keys, folder, now, tags };
        let (first, others) = images.split_first().ok_or("no images")?;
        for key in &scene.keys {
            scene.sign(first, key, &[Format::Cosign2, Format::Cosign3])?;
        }
        for (key, (kind, predicate)) in scene.keys.iter().zip(predicates()) {
            scene.attest(first, key, kind, &predicate)?;
        }
        let key = scene.keys.first().ok_or("no keys")?;
        others.iter().try_for_each(|image| scene.sign(image, key, &[Format::Cosign3]))?;
        Ok(scene)
    }

    fn sign(&self, image: &Descriptor, key: &EcdsaSigner, formats: &[Format]) -> Result<()> {
        let formats: BTreeSet<_> = formats.iter().copied().collect();
        let signing = Signing {
            name: &self.name,
            image,
            parts: &[],
            formats: &formats,
            key,
            chain: None,
            envelope: Envelope::default(),
            now: self.now,
        };
        for pushed in signing.make()?.push(&self.registry) {
            pushed?;
        }
        Ok(())
    }

    fn attest(&self, image: &Descriptor, key: &EcdsaSigner, kind: &str, predicate: &Value) -> Result<()> {
        let statement = json!({ "_type": "https://in-toto.io/Statement/v1", "predicateType": kind,
            "subject": [{ "digest": { "sha256": image.digest.hex() } }], "predicate": predicate })
        .to_string();
        let signature = key.sign(&pae(IN_TOTO, statement.as_bytes()))?;
        let hint = key_hint(&key.key().to_pem()?)?;
        let bundle = json!({ "mediaType": BUNDLE, "verificationMaterial": { "publicKey": { "hint": hint } },
            "dsseEnvelope": { "payload": STANDARD.encode(statement), "payloadType": IN_TOTO,
                "signatures": [{ "sig": STANDARD.encode(signature) }] } })
        .to_string();
        let (blob, config) =
            (Descriptor::of(BUNDLE, bundle.as_bytes()), Descriptor::of(media::OCI_EMPTY, b"{}"));
        self.server.put_blob(REPO, bundle.as_bytes());
        self.server.put_blob(REPO, b"{}");
        let manifest = json!({ "schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "artifactType": BUNDLE,
            "config": config, "layers": [blob], "subject": image })
        .to_string();
        let digest = Descriptor::of(media::OCI_MANIFEST, manifest.as_bytes()).digest.to_string();
        self.server.put_manifest(REPO, &digest, media::OCI_MANIFEST, manifest.as_bytes());
        Ok(())
    }

    fn trust(&self) -> Result<Trust> {
        let key = |(number, key): (usize, &EcdsaSigner)| -> Result<TrustedKey> {
            Ok(TrustedKey::from_pem(&format!("{number}.pub"), &key.key().to_pem()?)?)
        };
        Ok(Trust { keys: self.keys.iter().enumerate().map(key).collect::<Result<_>>()?, ..Trust::default() })
    }

    fn verifier(&self) -> Result<Verifier> {
        let root = std::fs::read(self.folder.path().join("metadata/1.root.json"))?;
        let place = self.folder.path().display().to_string().parse()?;
        Ok(Verifier::new(&place, root, self.now).platforms(Platforms::All))
    }

    fn image(&self, verifier: &Verifier, tag: &str) -> Result<Box<VerifiedImage>> {
        let name: Reference = format!("{}:{tag}", self.name).parse()?;
        match verifier.verify_in(&self.registry, Selector::Tag(tag), &name) {
            Verdict::Trusted(image) => Ok(image),
            other => Err(format!("{tag} is not trusted: {other:?}").into()),
        }
    }

    /// Milliseconds of CPU for all evidence of the first image, and the requests by which it was fetched. Measured is
    /// all that is done with what came: it is hashed, read, verified, counted, and what it says is read.
    fn one_image(&self) -> Result<(f64, Vec<String>)> {
        let verifier = self.verifier()?;
        self.image(&verifier, "1.1")?;
        self.server.clear_log();
        let image = self.image(&verifier, "1.0")?;
        let subjects = Subjects::of(&image);
        evidence::collect(&self.registry, &subjects);
        let log = self.server.log();
        let requests = log.iter().map(|one| format!("{} {}", one.method, one.path)).collect();
        let (referrers, _) = self.registry.refers_to(subjects.top().digest)?;
        let digests = log.iter().filter_map(|one| one.path.rsplit_once("/blobs/"));
        let blob = |digest: &str| Some((digest.to_owned(), self.server.blob(REPO, digest)?.into()));
        let blobs = digests.filter_map(|(_, digest)| blob(digest)).collect();
        let (fetched, name) = (Fetched { server: &self.server, blobs, referrers }, self.name.to_string());
        let start = cpu_ms()?;
        for _ in 0..ROUNDS {
            let trust = self.trust()?;
            let found = evidence::collect(&fetched, &subjects);
            let judged = evidence::judge(found.pieces, &name, &trust, self.now);
            expect(&judged, &subjects, 5)?;
            let said: Vec<_> = judged.iter().filter_map(Judged::predicate).collect();
            if said.len() != 3 || said.iter().any(std::result::Result::is_err) || !found.gaps.is_empty() {
                return Err(format!("expected three attestations, got {said:?}, {:?}", found.gaps).into());
            }
        }
        Ok(((cpu_ms()? - start) / f64::from(ROUNDS), requests))
    }

    /// Images a second, each with its chain and a demanded signature; and requests for each.
    fn many_images(&self) -> Result<(f64, f64)> {
        let (verifier, trust) = (self.verifier()?, self.trust()?);
        self.image(&verifier, "1.0")?;
        self.server.clear_log();
        let (next, start) = (AtomicUsize::new(1), Instant::now());
        let work = || -> std::result::Result<(), String> {
            while let Some(tag) = self.tags.get(next.fetch_add(1, Ordering::Relaxed)) {
                let image = self.image(&verifier, tag).map_err(|why| why.to_string())?;
                let subjects = Subjects::of(&image);
                let found = evidence::collect(&self.registry, &subjects);
                let judged = evidence::judge(found.pieces, &self.name.to_string(), &trust, self.now);
                expect(&judged, &subjects, 1).map_err(|why| why.to_string())?;
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
            threads
                .into_iter()
                .try_for_each(|one| one.join().unwrap_or_else(|_| Err("a thread panicked".into())))
        })?;
        let seconds = start.elapsed().as_secs_f64();
        let count = f64::from(u32::try_from(IMAGES)?);
        Ok((count / seconds, f64::from(u32::try_from(self.server.log().len())?) / count))
    }
}

/// What a registry has, without asking it.
struct Fetched<'a> {
    server: &'a Server,
    blobs: BTreeMap<String, Arc<[u8]>>,
    referrers: Vec<Descriptor>,
}

impl ImageSource for Fetched<'_> {
    fn manifest(&self, which: Selector<'_>) -> std::result::Result<FetchedManifest, SourceError> {
        let found = self.server.manifest(REPO, &which.to_string());
        let (media_type, bytes) = found.ok_or_else(|| self.none(&which.to_string()))?;
        Ok(FetchedManifest { bytes, media_type: Some(media_type) })
    }

    fn blob(&self, want: &Descriptor) -> std::result::Result<Box<dyn Read + Send>, SourceError> {
        let digest = want.digest.to_string();
        let bytes = self.blobs.get(&digest).ok_or_else(|| self.none(&digest))?;
        Ok(Box::new(Cursor::new(Arc::clone(bytes))))
    }

    fn describe(&self) -> String {
        "what was fetched".into()
    }
}

impl Fetched<'_> {
    fn none(&self, what: &str) -> SourceError {
        SourceError::NotFound { at: self.describe(), what: what.into(), message: String::new() }
    }
}

impl EvidenceSource for Fetched<'_> {
    fn refers_to(&self, _: Digest) -> std::result::Result<(Vec<Descriptor>, Place), SourceError> {
        Ok((self.referrers.clone(), Place::Referrers))
    }
}

/// That so many have signed.
fn expect(judged: &[Judged], subjects: &Subjects, count: u32) -> Result<()> {
    let signers = NonZeroU32::new(count).ok_or("nobody")?;
    evidence::weigh(&Demand { wanted: Wanted::Approval, signers }, subjects, judged)?;
    Ok(())
}

/// A manifest like no other.
fn manifest(server: &Server, number: usize) -> Vec<u8> {
    let config =
        json!({ "architecture": "amd64", "os": "linux", "config": { "Labels": { "n": number.to_string() } },
        "rootfs": { "type": "layers", "diff_ids": [] } })
        .to_string();
    server.put_blob(REPO, config.as_bytes());
    json!({ "schemaVersion": 2, "mediaType": media::OCI_MANIFEST,
        "config": Descriptor::of(media::OCI_CONFIG, config.as_bytes()), "layers": [] })
    .to_string()
    .into_bytes()
}

/// What builders and scanners say: a list of components of a megabyte, provenance, and what doesn't touch the image.
fn predicates() -> [(&'static str, Value); 3] {
    let component = |number: usize| {
        json!({ "SPDXID": format!("SPDXRef-{number}"), "name": format!("package-{number}"), "versionInfo": "1.2.3",
            "downloadLocation": "NOASSERTION", "licenseConcluded": "MIT", "filesAnalyzed": false,
            "externalRefs": [{ "referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                "referenceLocator": format!("pkg:deb/debian/package-{number}@1.2.3?arch=amd64") }] })
    };
    let list = json!({ "spdxVersion": "SPDX-2.3", "creationInfo": { "created": "2030-01-01T00:00:00Z" },
        "packages": (0..3300).map(component).collect::<Vec<_>>() });
    let material = |number: usize| json!({ "uri": format!("pkg:cargo/crate-{number}@1.0"), "digest": { "sha256": "a".repeat(64) } });
    let built = json!({ "buildDefinition": { "buildType": "https://ci.example.com/kind", "externalParameters": {},
            "resolvedDependencies": (0..200).map(material).collect::<Vec<_>>() },
        "runDetails": { "builder": { "id": "https://ci.example.com" } } });
    let vex = json!({ "@context": "https://openvex.dev/ns/v0.2.0", "@id": "x", "author": "Acme", "version": 1,
        "timestamp": "2030-01-01T00:00:00Z", "statements": [{ "vulnerability": { "name": "CVE-2030-7" },
            "status": "not_affected", "justification": "component_not_present" }] });
    [
        ("https://spdx.dev/Document", list),
        ("https://slsa.dev/provenance/v1", built),
        ("https://openvex.dev/ns/v0.2.0", vex),
    ]
}

/// CPU of this thread so far, in milliseconds.
fn cpu_ms() -> Result<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let of = text.split_whitespace().next().ok_or("no CPU time")?;
    Ok(of.parse::<f64>()? / 1e6)
}
