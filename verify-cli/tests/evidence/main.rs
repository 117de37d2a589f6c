//! Signatures and attestations beside an image, honest and not: what `verify evidence`, `verify provenance` and
//! `--require-signers` make of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod buildkit;
mod by_rules;
mod by_verifiers;
mod keyless;
mod packed;
mod registries;
mod verdicts;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use image_signatures::{BUNDLE, COSIGN_SIGN, Envelope, Format, IN_TOTO, Signing, pae, signature_tag};
use oci_image::{Descriptor, Digest, ImageSource as _, Registry, RegistryOptions, Selector, media};
use serde_json::{Value, json};
use test_repos::registry::Registry as Fake;
use test_repos::surface::{Endpoints, Surface, SurfaceKind};
use tuf_core::crypto::{Ed25519Signer, Sign};
use tuf_core::schema::Target;

const REPO: &str = "acme/web";
const SPDX: &str = "https://spdx.dev/Document";
const PROVENANCE: &str = "https://slsa.dev/provenance/v1";

/// A published image in a registry, and two keys of signers.
struct Story {
    folder: tempfile::TempDir,
    surface: Surface,
    endpoints: Endpoints,
    fake: Fake,
    registry: Registry,
    top: Descriptor,
    older: Descriptor,
}

/// What the program said.
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

fn signer(name: &str) -> Ed25519Signer {
    Ed25519Signer::from_seed(Digest::of(name.as_bytes()).bytes())
}

fn public_key(name: &str) -> String {
    signer(name).key().to_pem().unwrap()
}

impl Story {
    fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let surface = Surface::start(SurfaceKind::Directory, folder.path()).unwrap();
        let endpoints = surface.endpoints().unwrap();
        fs::write(folder.path().join("root.json"), &endpoints.root).unwrap();
        let fake = Fake::start().unwrap();
        let layout = endpoints.image.strip_prefix("oci:").unwrap().rsplit_once(':').unwrap();
        fake.push_layout(layout.0, layout.1, REPO).unwrap();
        let name = format!("{}/{REPO}", fake.host()).parse().unwrap();
        let registry = Registry::new(&name, RegistryOptions::default()).unwrap();
        let older = surface.world().older();
        // What the tag meant before is still there, as in any registry.
        let (older_type, older_bytes) = {
            let world = surface.world();
            let part = world.images.part(&older).unwrap();
            (part.media_type.clone(), part.bytes.clone())
        };
        fake.put_manifest(REPO, &older, &older_type, &older_bytes);
        let top = registry.manifest(Selector::Tag("1.4")).unwrap().descriptor();
        let older = Descriptor::of(&older_type, &older_bytes);
        for key in ["a", "b", "stranger"] {
            fs::write(folder.path().join(format!("{key}.pub")), public_key(key)).unwrap();
        }
        Self { folder, surface, endpoints, fake, registry, top, older }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a verb on the image in the registry, in the folder where the keys are.
    fn verify(&self, verb: &str, more: &[&str]) -> Run {
        let image = format!("{}/{REPO}:1.4", self.fake.host());
        let root = self.path("root.json");
        let at = self.endpoints.now.to_rfc3339();
        let mut words =
            vec![verb, &image, "--as", &self.endpoints.name, "--platform", self.endpoints.platform];
        if !more.contains(&"--unverified") {
            words.extend(["--repo", &self.endpoints.repo, "--root", root.to_str().unwrap(), "--at", &at]);
        }
        words.extend(more);
        self.program(&words)
    }

    fn program(&self, words: &[&str]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_verify"))
            .args(words)
            .env_clear()
            .env("HOME", self.path("home"))
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Run {
            code: output.status.code().unwrap(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// `verify evidence` of everything by key a, as programs read it.
    fn evidence(&self, more: &[&str]) -> Value {
        let run = self.verify("evidence", &[&["--key", "a.pub", "--format", "json"], more].concat());
        assert_eq!(run.code, 0, "{}", run.stderr);
        serde_json::from_str(&run.stdout).unwrap()
    }

    fn demand(&self, count: &str, keys: &[&str], more: &[&str]) -> Run {
        let mut words = vec!["--require-signers", count];
        keys.iter().for_each(|key| words.extend(["--signer-key", key]));
        words.extend(more);
        self.verify("image", &words)
    }

    fn sign(&self, image: &Descriptor, name: &str, formats: &[Format]) {
        let formats: BTreeSet<_> = formats.iter().copied().collect();
        let reference = "registry.example.com/acme/web".parse().unwrap();
        let key = signer(name);
        let signing = Signing {
            name: &reference,
            image,
            parts: &[],
            formats: &formats,
            key: &key,
            chain: None,
            envelope: Envelope::default(),
            now: chrono::Utc::now(),
        };
        signing.make().unwrap().push(&self.registry).into_iter().for_each(|pushed| drop(pushed.unwrap()));
    }

    /// A manifest with one blob, put beside an image without any check.
    fn attach(&self, subject: &Descriptor, kind: &str, blob: &[u8]) -> Digest {
        self.attach_sized(subject, kind, blob, blob.len())
    }

    fn attach_sized(&self, subject: &Descriptor, kind: &str, blob: &[u8], size: usize) -> Digest {
        self.fake.put_blob(REPO, blob);
        self.refer(subject, &json!([{ "mediaType": kind, "digest": Digest::of(blob), "size": size }]))
    }

    /// A manifest beside another, of blobs that are there.
    fn refer(&self, subject: &Descriptor, layers: &Value) -> Digest {
        self.fake.put_blob(REPO, b"{}");
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media::OCI_MANIFEST, "artifactType": layers[0]["mediaType"],
            "config": { "mediaType": media::OCI_EMPTY, "digest": Digest::of(b"{}"), "size": 2 },
            "layers": layers,
            "subject": { "mediaType": subject.media_type, "digest": subject.digest, "size": subject.size },
        })
        .to_string();
        self.fake.put_manifest(
            REPO,
            &Digest::of(manifest.as_bytes()).to_string(),
            media::OCI_MANIFEST,
            manifest.as_bytes(),
        );
        Digest::of(manifest.as_bytes())
    }

    /// Publishes the image again, with evidence that belongs to it.
    fn name(&mut self, evidence: &[Digest]) {
        {
            let mut world = self.surface.world();
            let path = world.path();
            let bytes = self.registry.manifest(Selector::Digest(self.top.digest)).unwrap().bytes;
            let custom = json!({ "hallmark": { "version": 1, "media_type": self.top.media_type, "evidence": evidence } });
            let custom = Some(serde_json::value::to_raw_value(&custom).unwrap());
            let target = Target { custom, ..Target::of(&bytes) };
            world.repo.role_mut("targets").set_target(&path, &target).unwrap();
            world.repo.publish().unwrap();
        }
        self.endpoints = self.surface.endpoints().unwrap();
    }
}

/// A bundle by a key, around a statement.
fn bundle(key: &str, statement: &Value) -> Vec<u8> {
    use base64::Engine as _;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let statement = statement.to_string();
    let signature = signer(key).sign(&pae(IN_TOTO, statement.as_bytes())).unwrap();
    json!({
        "mediaType": BUNDLE,
        "verificationMaterial": { "publicKey": { "hint": "" } },
        "dsseEnvelope": {
            "payload": encode(statement.as_bytes()), "payloadType": IN_TOTO,
            "signatures": [{ "sig": encode(&signature) }],
        },
    })
    .to_string()
    .into_bytes()
}

fn statement(image: &Descriptor, kind: &str, predicate: &Value) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1", "subject": [{ "digest": { "sha256": image.digest.hex() } }],
        "predicateType": kind, "predicate": predicate,
    })
}

/// `[outcome, reason or predicate type]` of each piece, sorted.
fn outcomes(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let one = |piece: &Value| {
        let why = if piece["reason"].is_null() { &piece["predicate_type"] } else { &piece["reason"] };
        (text(&piece["outcome"]), text(why))
    };
    let mut all: Vec<_> = report["pieces"].as_array().unwrap().iter().map(one).collect();
    all.sort();
    all
}

fn pair(outcome: &str, why: &str) -> (String, String) {
    (outcome.into(), why.into())
}

#[test]
fn two_distinct_keys_must_have_signed_and_one_counts_once() {
    let story = Story::begin();
    let unsigned = story.demand("1", &["a.pub"], &[]);
    assert_eq!(unsigned.code, 1, "{}", unsigned.stderr);
    assert!(unsigned.stderr.contains("signed by 1, got none"), "{}", unsigned.stderr);
    story.sign(&story.top, "a", &[Format::Cosign2, Format::Cosign3]);
    fs::copy(story.path("a.pub"), story.path("again.pub")).unwrap();
    let once = story.demand("2", &["a.pub", "again.pub", "b.pub"], &[]);
    assert_eq!(once.code, 1, "{}", once.stderr);
    assert!(once.stderr.contains("signed by 2, got 1: key"), "{}", once.stderr);
    story.sign(&story.top, "b", &[Format::Cosign2]);
    story.sign(&story.top, "stranger", &[Format::Cosign2, Format::Cosign3]);
    let both = story.demand("2", &["a.pub", "b.pub"], &["--explain"]);
    assert_eq!(both.code, 0, "{}", both.stderr);
    assert!(both.stderr.contains("the image signed by 2 of 2 needed: key "), "{}", both.stderr);
    assert!(both.stdout.contains(&story.top.digest.to_string()));
    assert_eq!(story.demand("3", &["a.pub", "b.pub"], &[]).code, 1);
    let pull = |count: &str| {
        let named = ["--signer-key", "a.pub", "--signer-key", "b.pub"];
        story.verify("pull", &[&["oci:out:1", "--require-signers", count], &named[..]].concat()).code
    };
    assert_eq!(pull("3"), 1);
    assert!(!story.path("out").join("index.json").exists(), "of a refused image nothing is written");
    assert_eq!(pull("2"), 0);
    assert_eq!(story.verify("image", &["--signer-key", "a.pub"]).code, 2, "named, and none required");
    assert_eq!(story.verify("image", &["--require-signers", "1"]).code, 2, "required, and none named");
}

#[test]
fn signers_can_not_make_up_for_a_chain_that_broke() {
    let story = Story::begin();
    story.sign(&story.older, "a", &[Format::Cosign3]);
    story.fake.tag(REPO, "1.4", &story.older.digest.to_string());
    let swapped = story.demand("1", &["a.pub"], &[]);
    assert_eq!(swapped.code, 1, "{}", swapped.stderr);
    assert!(
        swapped.stderr.contains("which is signed, but is not what the name means now"),
        "{}",
        swapped.stderr
    );
    let listed = story.verify("evidence", &["--key", "a.pub"]);
    assert_eq!((listed.code, listed.stdout.as_str()), (1, ""), "{}", listed.stderr);
    let listed = story.verify("evidence", &["--key", "a.pub", "--format", "json"]);
    let report: Value = serde_json::from_str(&listed.stdout).unwrap();
    assert_eq!((listed.code, &report["verdict"], &report["pieces"]), (1, &json!("refused"), &json!([])));
}

#[test]
fn a_signature_of_another_image_is_refused_wherever_it_is_put() {
    let story = Story::begin();
    story.sign(&story.older, "a", &[Format::Cosign2]);
    let moved = signature_tag(story.older.digest).unwrap();
    let (kind, bytes) = story.fake.manifest(REPO, moved.as_str()).unwrap();
    story.fake.put_manifest(REPO, signature_tag(story.top.digest).unwrap().as_str(), &kind, &bytes);
    let replayed = bundle("a", &statement(&story.older, COSIGN_SIGN, &json!({})));
    story.attach(&story.top, BUNDLE, &replayed);
    let report = story.evidence(&[]);
    assert_eq!(outcomes(&report), [pair("refused", "other-subject"), pair("refused", "other-subject")]);
    let detail = report["pieces"][0]["detail"].as_str().unwrap();
    let expected =
        format!("expected a statement about {}, got one about {}", story.top.digest, story.older.digest);
    assert_eq!(detail.replace("sha256:sha256:", "sha256:"), expected);
    assert_eq!(story.demand("1", &["a.pub"], &[]).code, 1);
}

#[test]
fn a_signed_list_of_what_is_inside_is_no_approval_and_is_one_where_it_is_asked_for() {
    let story = Story::begin();
    let list = json!({ "spdxVersion": "SPDX-2.3", "packages": [{}, {}], "creationInfo": { "created": "2030-01-01T00:00:00Z" } });
    story.attach(&story.top, BUNDLE, &bundle("a", &statement(&story.top, SPDX, &list)));
    let report = story.evidence(&[]);
    assert_eq!(outcomes(&report), [pair("signed", SPDX)]);
    assert_eq!(report["pieces"][0]["says"], "SPDX SPDX-2.3: 2 components, of 2030-01-01T00:00:00Z");
    let refused = story.demand("1", &["a.pub"], &[]);
    assert_eq!(refused.code, 1, "{}", refused.stderr);
    assert_eq!(story.demand("1", &["a.pub"], &["--predicate", SPDX]).code, 0);
    assert_eq!(story.demand("1", &["b.pub"], &["--predicate", SPDX]).code, 1);
}

#[test]
fn what_is_tampered_unsigned_doubled_or_too_large_is_refused_and_hinders_nobody() {
    let story = Story::begin();
    let good = bundle("a", &statement(&story.top, COSIGN_SIGN, &json!({})));
    story.attach(&story.top, BUNDLE, &good);
    let mut doubled: Value = serde_json::from_slice(&good).unwrap();
    let signature = doubled["dsseEnvelope"]["signatures"][0].clone();
    doubled["dsseEnvelope"]["signatures"].as_array_mut().unwrap().push(signature);
    story.attach(&story.top, BUNDLE, doubled.to_string().as_bytes());
    let mut other: Value = serde_json::from_slice(&good).unwrap();
    other["dsseEnvelope"]["payloadType"] = json!("text/plain");
    story.attach(&story.top, BUNDLE, other.to_string().as_bytes());
    let twice = String::from_utf8(good.clone()).unwrap().replacen('{', r#"{"mediaType":"x","#, 1);
    story.attach(&story.top, BUNDLE, twice.as_bytes());
    story.attach(&story.top, BUNDLE, &bundle("stranger", &statement(&story.top, COSIGN_SIGN, &json!({}))));
    story.attach(&story.top, IN_TOTO, statement(&story.top, SPDX, &json!({})).to_string().as_bytes());
    story.attach_sized(&story.top, BUNDLE, b"a bundle of four gigabytes", 4 << 30);
    // Its size is a lie, and its bytes end too soon.
    story.attach_sized(&story.top, BUNDLE, b"short", 500);
    let report = story.evidence(&[]);
    assert_eq!(
        outcomes(&report),
        [
            pair("refused", "malformed"),
            pair("refused", "malformed"),
            pair("refused", "other-key"),
            pair("refused", "other-kind"),
            pair("refused", "signature-count"),
            pair("refused", "too-large"),
            pair("refused", "unsigned"),
            pair("signed", COSIGN_SIGN),
        ]
    );
    assert_eq!(story.demand("1", &["a.pub"], &[]).code, 0);
}

#[test]
fn what_the_metadata_names_is_fresh_and_a_thousand_referrers_hide_nothing_of_it() {
    let mut story = Story::begin();
    let manifest =
        story.attach(&story.top, BUNDLE, &bundle("a", &statement(&story.top, COSIGN_SIGN, &json!({}))));
    let report = story.evidence(&[]);
    assert_eq!(
        (&report["pieces"][0]["fresh"], &report["pieces"][0]["outcome"]),
        (&json!(false), &json!("signed"))
    );
    for number in 0..400 {
        story.attach(&story.top, BUNDLE, format!("junk {number}").as_bytes());
    }
    story.name(&[manifest]);
    let report = story.evidence(&[]);
    let fresh: Vec<_> =
        report["pieces"].as_array().unwrap().iter().filter(|piece| piece["fresh"] == true).collect();
    assert_eq!(fresh.len(), 1);
    assert_eq!((&fresh[0]["outcome"], &fresh[0]["place"]), (&json!("signed"), &json!("named")));
    assert_eq!(report["pieces"].as_array().unwrap().len(), 300);
    let gaps = report["gaps"].to_string();
    assert!(gaps.contains("at most 300 are looked into, and 101 are left"), "{gaps}");
    assert_eq!(story.demand("1", &["a.pub"], &[]).code, 0);
    for number in 400..1000 {
        story.attach(&story.top, BUNDLE, format!("junk {number}").as_bytes());
    }
    let gaps = story.evidence(&[])["gaps"].to_string();
    assert!(gaps.contains("expected at most 1000 referrers"), "{gaps}");
    assert_eq!(story.demand("1", &["a.pub"], &[]).code, 0);
}

#[test]
fn what_the_metadata_names_and_nobody_has_is_a_gap() {
    let mut story = Story::begin();
    let nowhere = Digest::of(b"nowhere");
    story.name(&[nowhere]);
    let report = story.evidence(&[]);
    assert_eq!(report["gaps"][0]["what"], format!("evidence {nowhere} that the metadata names"));
    assert_eq!(report["gaps"][0]["why"], "it is nowhere");
    let other =
        story.attach(&story.older, BUNDLE, &bundle("a", &statement(&story.older, COSIGN_SIGN, &json!({}))));
    story.name(&[other]);
    let report = story.evidence(&[]);
    assert_eq!(
        report["gaps"][0]["why"],
        format!("it refers to {}, which isn't this image", story.older.digest)
    );
    assert_eq!(story.demand("1", &["a.pub"], &[]).code, 1);
}

#[test]
fn a_list_under_the_tag_that_lies_is_looked_into() {
    let story = Story::begin();
    story.fake.set_referrers(false);
    story.sign(&story.top, "a", &[Format::Cosign3]);
    let elsewhere =
        story.attach(&story.older, BUNDLE, &bundle("b", &statement(&story.top, COSIGN_SIGN, &json!({}))));
    let tag = story.top.digest.to_string().replace(':', "-");
    let (kind, bytes) = story.fake.manifest(REPO, &tag).unwrap();
    let mut list: Value = serde_json::from_slice(&bytes).unwrap();
    // No types, no annotations, as older writers leave them out; and one entry that refers to another image.
    for entry in list["manifests"].as_array_mut().unwrap() {
        entry
            .as_object_mut()
            .unwrap()
            .retain(|name, _| ["mediaType", "digest", "size"].contains(&name.as_str()));
    }
    let size = story.fake.manifest(REPO, &elsewhere.to_string()).unwrap().1.len();
    list["manifests"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "mediaType": media::OCI_MANIFEST, "digest": elsewhere, "size": size }));
    story.fake.put_manifest(REPO, &tag, &kind, list.to_string().as_bytes());
    let report = story.evidence(&["--key", "b.pub"]);
    assert_eq!(outcomes(&report), [pair("signed", COSIGN_SIGN)]);
    assert_eq!(report["pieces"][0]["place"], "referrers-tag");
    assert_eq!(report["gaps"][0]["why"], "it is listed, and refers to something else");
}

fn provenance_of(builder: &str) -> Value {
    json!({
        "buildDefinition": {
            "buildType": "https://actions.github.io/buildtypes/workflow/v1",
            "externalParameters": {
                "workflow": { "ref": "refs/heads/main", "repository": "https://github.com/acme/web", "path": ".github/workflows/release.yml" },
                "skipTests": true,
            },
            "resolvedDependencies": [
                { "uri": "git+https://github.com/acme/web@refs/heads/main", "digest": { "gitCommit": "0123456789abcdef0123456789abcdef01234567" } },
                { "uri": "pkg:docker/alpine@3.19", "digest": { "sha256": "a".repeat(64) } },
            ],
        },
        "runDetails": { "builder": { "id": builder }, "metadata": { "finishedOn": "2030-01-01T00:00:00Z" } },
    })
}

#[test]
fn how_an_image_was_built_is_told_with_its_gaps() {
    let story = Story::begin();
    let none = story.verify("provenance", &["--key", "a.pub"]);
    assert!(
        none.stdout.contains("gap  how it was built: no provenance was found"),
        "{}{}",
        none.stdout,
        none.stderr
    );
    let builder = "https://ci.example.com";
    story.attach(
        &story.top,
        BUNDLE,
        &bundle("a", &statement(&story.top, PROVENANCE, &provenance_of(builder))),
    );
    let run = story.verify("provenance", &["--key", "a.pub", "--builder", "3,a.pub,https://ci.example.com"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    for line in [
        "built, as signed by a.pub",
        "  source     https://github.com/acme/web",
        "  commit     0123456789abcdef0123456789abcdef01234567",
        "  build file .github/workflows/release.yml",
        "  builder    https://ci.example.com",
        "  SLSA level 3, by the pair of signer and builder given",
        "  base       alpine:3.19@sha256:aaaaaaaaaaaa… unknown",
        "gap  external parameters: this kind of build isn't known to take skipTests",
        "gap  base image alpine:3.19: refused docker.io/library/alpine:3.19@sha256:aaaaaaaaaaaa…: no root is pinned",
    ] {
        assert!(run.stdout.contains(line), "{line}\n{}", run.stdout);
    }
    for pair in ["3,b.pub,https://ci.example.com", "3,a.pub,https://other.example.com"] {
        let run = story.verify("provenance", &["--key", "a.pub", "--builder", pair]);
        assert!(run.stdout.contains("SLSA level none"), "{}", run.stdout);
        assert!(run.stdout.contains("none of the pairs given"), "{}", run.stdout);
    }
    let nobody =
        story.verify("provenance", &["--key", "b.pub", "--builder", "3,b.pub,https://ci.example.com"]);
    assert!(nobody.stdout.contains("built, as somebody wrote: nobody vouches for it"), "{}", nobody.stdout);
    assert!(nobody.stdout.contains("SLSA level none"), "{}", nobody.stdout);
}

#[test]
fn a_base_image_is_trusted_by_its_own_root_or_not_at_all() {
    let mut story = Story::begin();
    let base = format!("{}/{REPO}", story.fake.host());
    {
        let mut world = story.surface.world();
        let bytes = world.images.part(&story.top.digest.to_string()).unwrap().bytes.clone();
        world.repo.role_mut("targets").set_target(&format!("{base}:1.4"), &Target::of(&bytes)).unwrap();
        world.repo.publish().unwrap();
    }
    story.endpoints = story.surface.endpoints().unwrap();
    let root = story.path("root.json");
    let pinned = Command::new(env!("CARGO_BIN_EXE_verify"))
        .args(["trust", "add", "base", "--scope", &base, "--repo", &story.endpoints.repo, "--root"])
        .arg(&root)
        .env_clear()
        .env("HOME", story.path("home"))
        .output()
        .unwrap();
    assert!(pinned.status.success(), "{}", String::from_utf8_lossy(&pinned.stderr));
    let mut predicate = provenance_of("https://ci.example.com");
    let material = |digest: Digest| json!({ "uri": format!("docker-image://{base}:1.4"), "digest": { "sha256": digest.hex() } });
    predicate["buildDefinition"]["resolvedDependencies"] =
        json!([material(story.top.digest), material(story.older.digest)]);
    story.attach(&story.top, BUNDLE, &bundle("a", &statement(&story.top, PROVENANCE, &predicate)));
    let run = story.verify("provenance", &["--key", "a.pub", "--format", "json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let bases = &report["builds"][0]["bases"];
    assert_eq!(
        (&bases[0]["verdict"], &bases[1]["verdict"]),
        (&json!("trusted"), &json!("refused")),
        "{bases}"
    );
    let detail = bases[1]["detail"].as_str().unwrap();
    assert!(detail.contains("stands for another digest"), "{detail}");
}

#[test]
fn the_doctors_own_command_is_one_that_answers_the_same() {
    let story = Story::begin();
    let run = story.verify("doctor", &["--format", "json"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let own = report["clients"].as_array().unwrap().iter().find(|one| one["client"] == "hallmark").unwrap();
    assert_eq!(own["answer"], "accepts", "{own}");
    let words: Vec<_> =
        own["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    let run = story.program(&words[1..]);
    assert_eq!(run.code, 0, "{words:?} {}", run.stderr);
}

#[test]
fn an_image_that_no_root_speaks_for_is_shown_as_such() {
    let story = Story::begin();
    story.sign(&story.top, "a", &[Format::Cosign2]);
    let run = story.verify("evidence", &["--unverified", "--key", "a.pub"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("unverified: no root of trust was asked"), "{}", run.stdout);
    assert!(run.stdout.contains("signed    simple signing by a.pub"), "{}", run.stdout);
    let clash = story.verify("evidence", &["--unverified", "--repo", "x", "--root", "y"]);
    assert_eq!(clash.code, 2);
    let nobody = story.verify("evidence", &["--unverified"]);
    assert!(nobody.stdout.contains("expected a key, got none: nobody is trusted"), "{}", nobody.stdout);
}
