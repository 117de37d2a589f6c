//! What `signer attest` and `verify attest` say of an image, from one stage to the next: named by the metadata,
//! revoked, taken as a verdict, and read by cosign.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use test_repos::images::{ImageBuilder, IndexBuilder};
use test_repos::registry::Registry as Fake;

use crate::publisher::{Publisher, verify};
use crate::registry::Registry;
use crate::support::{Ran, copy, have, oci, reader, run};

const SPDX: &str = "https://spdx.dev/Document";
const VSA: &str = "https://slsa.dev/verification_summary/v1";
pub(crate) const SVR: &str = "https://in-toto.io/attestation/svr/v0.1";
pub(crate) const ID: &str = "https://verify.example.com/prod";

/// A publisher whose image is in a registry, published, and the keys of a build and of a verifier.
pub(crate) struct Story {
    pub(crate) publisher: Publisher,
    pub(crate) fake: Fake,
    pub(crate) image: String,
    pub(crate) digest: String,
}

impl Story {
    pub(crate) fn begin() -> Option<Self> {
        let (publisher, fake) = (Publisher::init()?, Fake::start().unwrap());
        let image =
            ImageBuilder::new().file("etc/os-release", b"ID=alpine\nVERSION_ID=3.20\n").build().unwrap();
        let digest = image.push_to(&fake, "acme/web", "1");
        let story = Self { image: format!("{}/acme/web:1", fake.host()), digest, fake, publisher };
        for key in ["ci", "verifier", "other"] {
            story.key(key);
        }
        story.publisher.publish(&[&story.image]);
        Some(story)
    }

    /// A key without a passphrase, in keys/, and its public half.
    fn key(&self, name: &str) {
        self.key_of(name, "ecdsa-p256");
    }

    pub(crate) fn key_of(&self, name: &str, kind: &str) {
        self.publisher.sign(&["key", "new", name, "--kind", kind, "--unencrypted"]);
        let public = self.public(name);
        self.publisher.sign(&["key", "export", name, "--out", &public]);
    }

    pub(crate) fn public(&self, name: &str) -> String {
        self.publisher.path(&format!("{name}.pub")).display().to_string()
    }

    fn private(&self, name: &str) -> String {
        format!("file:{}", self.publisher.path(&format!("trust/keys/{name}.pem")).display())
    }

    /// `verify attest` by that key.
    pub(crate) fn attest(&self, key: &str, more: &[&str]) -> Ran {
        let key = self.private(key);
        let all = ["attest", &self.image, "--key", &key, "--verifier-id", ID];
        self.publisher.verify(&[&all[..], more].concat())
    }

    pub(crate) fn demand(&self, key: &str, more: &[&str]) -> Ran {
        let verifier = format!("{ID}={}", self.public(key));
        self.publisher.verify(&[&["image", &self.image, "--verifier", &verifier], more].concat())
    }

    fn statement(&self, manifest: &str) -> Value {
        let (_, bytes) = self.fake.manifest("acme/web", manifest).unwrap();
        let manifest: Value = serde_json::from_slice(&bytes).unwrap();
        let blob = self.fake.blob("acme/web", manifest["layers"][0]["digest"].as_str().unwrap()).unwrap();
        statement_of(&blob)
    }
}

fn statement_of(bundle: &[u8]) -> Value {
    use base64::Engine as _;
    let bundle: Value = serde_json::from_slice(bundle).unwrap();
    let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::STANDARD.decode(payload).unwrap()).unwrap()
}

/// The digest behind the last `@` of what was printed.
fn manifest_of(ran: &Ran) -> String {
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.stdout.trim_end().rsplit_once('@').unwrap().1.to_owned()
}

#[test]
fn a_list_of_what_is_inside_goes_through_a_pipe_is_fresh_and_is_revoked() {
    let Some(story) = Story::begin() else { return };
    let signer = Path::new(env!("CARGO_BIN_EXE_verify")).with_file_name("signer");
    for (format, kind) in [("spdx", "spdx"), ("cyclonedx", "cyclonedx")] {
        let mut scan = verify(&story.publisher.path("state"), &["scan", &story.image, "--format", format]);
        scan.arg("--repo").arg(story.publisher.published()).arg("--root").arg(story.publisher.root());
        let mut scan = scan.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut attest = Command::new(&signer);
        attest.arg("--repo").arg(story.publisher.path("trust")).args(["attest", &story.image, "--stage"]);
        attest.args(["--type", kind, "--predicate", "-", "--key", "ci"]).stdin(scan.stdout.take().unwrap());
        let done = attest.output().unwrap();
        assert!(scan.wait().unwrap().success());
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let key = story.public("ci");
    let demand = |more: &[&str]| {
        let all =
            ["image", &story.image, "--require-signers", "1", "--signer-key", &key, "--predicate", SPDX];
        story.publisher.verify(&[&all[..], more].concat())
    };
    let signed = demand(&["--explain"]);
    assert_eq!(signed.code, Some(0), "{}", signed.stderr);
    assert!(signed.stderr.contains("; only signed"), "{}", signed.stderr);
    assert_eq!(demand(&["--fresh"]).code, Some(1));
    story.publisher.sign(&["publish"]);
    let fresh = demand(&["--fresh", "--explain"]);
    assert_eq!(fresh.code, Some(0), "{}", fresh.stderr);
    assert!(fresh.stderr.contains("; fresh"), "{}", fresh.stderr);
    let listed = story.publisher.verify(&["evidence", &story.image, "--key", &key, "--format", "json"]);
    let listed: Value = serde_json::from_str(&listed.stdout).unwrap();
    let pieces = listed["pieces"].as_array().unwrap();
    assert_eq!(pieces.len(), 2);
    assert!(pieces.iter().all(|one| one["fresh"] == true && one["outcome"] == "signed"), "{listed}");
    let spdx = pieces.iter().find(|one| one["predicate_type"] == SPDX).unwrap()["manifest"].as_str().unwrap();
    story.publisher.sign(&["attest", &story.image, "--revoke", spdx]);
    assert_eq!(demand(&["--fresh"]).code, Some(0), "what is staged is not said yet");
    story.publisher.sign(&["publish"]);
    let revoked = demand(&["--fresh"]);
    assert_eq!(revoked.code, Some(1), "{}", revoked.stderr);
    assert!(revoked.stderr.contains("got what is only signed"), "{}", revoked.stderr);
    assert_eq!(demand(&[]).code, Some(0), "it was signed, and is so for ever");
}

#[test]
fn a_verdict_is_signed_and_the_next_stage_takes_it_from_whom_it_names() {
    let Some(story) = Story::begin() else { return };
    assert_eq!(story.demand("verifier", &[]).code, Some(1));
    let policy = ["--policy-uri", "https://policy.example.com/prod", "--level", "ACME_REVIEWED"];
    let manifest = manifest_of(&story.attest("verifier", &policy));
    let statement = story.statement(&manifest);
    assert_eq!(statement["predicateType"], VSA);
    assert_eq!(
        format!("sha256:{}", statement["subject"][0]["digest"]["sha256"].as_str().unwrap()),
        story.digest
    );
    let said = &statement["predicate"];
    assert_eq!(said["verifier"]["id"], ID);
    assert_eq!(said["resourceUri"], format!("oci://{}", story.image));
    assert_eq!(said["policy"]["uri"], "https://policy.example.com/prod");
    assert_eq!(said["policy"]["digest"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(said["verificationResult"], "PASSED");
    assert_eq!(said["verifiedLevels"], json!(["SLSA_BUILD_LEVEL_UNEVALUATED", "ACME_REVIEWED"]));
    assert_eq!(story.demand("verifier", &["--vsa-level", "ACME_REVIEWED"]).code, Some(0));
    assert_eq!(story.demand("verifier", &["--vsa-level", "SLSA_BUILD_LEVEL_1"]).code, Some(1));
    assert_eq!(story.demand("other", &[]).code, Some(1), "another key may not speak for the verifier");
    // What was demanded is what went into it.
    story.publisher.sign(&["sign-for", &story.image, "--for", "cosign3", "--for-key", "ci"]);
    let key = story.public("ci");
    let manifest = manifest_of(&story.attest("verifier", &["--require-signers", "1", "--signer-key", &key]));
    let inputs = story.statement(&manifest)["predicate"]["inputAttestations"].clone();
    assert_eq!(inputs.as_array().unwrap().len(), 1, "{inputs}");
    assert!(inputs[0]["uri"].as_str().unwrap().contains("/acme/web@sha256:"), "{inputs}");
    // The other form says the same, and is no summary.
    let manifest = manifest_of(&story.attest("verifier", &["--type", "svr", "--level", "ACME_REVIEWED"]));
    let statement = story.statement(&manifest);
    assert_eq!(statement["predicateType"], SVR);
    assert_eq!(statement["predicate"]["properties"], json!(["HALLMARK_TRUSTED", "ACME_REVIEWED"]));
    // As a program reads it; and into a file.
    let file = story.publisher.path("verdict.json").display().to_string();
    let ran = story.attest("verifier", &["--out", &file, "--format", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&report["verdict"], &report["signed"]["result"]), (&json!("trusted"), &json!("PASSED")));
    assert_eq!(statement_of(&fs::read(&file).unwrap())["predicateType"], VSA);
}

#[test]
fn by_rules_the_level_is_that_of_their_builder_and_what_they_weighed_went_into_it() {
    let Some(story) = Story::begin() else { return };
    let provenance = json!({
        "buildDefinition": {
            "buildType": "https://ci.example.com/kind", "externalParameters": {},
            "resolvedDependencies": [{ "uri": "git+https://github.com/acme/web", "digest": { "gitCommit": "0".repeat(40) } }],
        },
        "runDetails": { "builder": { "id": "https://ci.example.com" } },
    });
    let file = story.publisher.path("provenance.json");
    fs::write(&file, provenance.to_string()).unwrap();
    let file = file.display().to_string();
    story.publisher.sign(&[
        "attest",
        &story.image,
        "--type",
        "slsaprovenance1",
        "--predicate",
        &file,
        "--key",
        "ci",
    ]);
    let rules = |builder: &str| {
        let name = story.image.rsplit_once(':').unwrap().0;
        let (repo, root) = (story.publisher.published(), story.publisher.root());
        let text = format!(
            "version = 1\n[[scope]]\nname = \"acme\"\nmatch = [{name:?}]\ntrust = {{ repo = {:?}, root = {:?} }}\n\
             [scope.build]\nbuilders = [{{ id = {builder:?}, level = 2, key = {:?} }}]\n",
            repo.display().to_string(),
            root.display().to_string(),
            story.public("ci")
        );
        let path = story.publisher.path("policy.toml");
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let attest = |policy: &str| {
        let (key, state) = (story.private("verifier"), story.publisher.path("state"));
        let all = ["attest", &story.image, "--key", &key, "--verifier-id", ID, "--policy", policy];
        run(&mut verify(&state, &all))
    };
    let refused = attest(&rules("https://other.example.com"));
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{}", refused.stderr);
    let manifest = manifest_of(&attest(&rules("https://ci.example.com")));
    let said = story.statement(&manifest)["predicate"].clone();
    assert_eq!(said["verifiedLevels"], json!(["SLSA_BUILD_LEVEL_2"]), "{said}");
    assert_eq!(said["inputAttestations"].as_array().unwrap().len(), 1, "{said}");
    assert_eq!(story.demand("verifier", &["--vsa-level", "SLSA_BUILD_LEVEL_2"]).code, Some(0));
}

#[test]
fn what_is_refused_is_signed_only_where_that_is_asked_for_and_what_is_unknown_never() {
    let Some(story) = Story::begin() else { return };
    manifest_of(&story.attest("verifier", &[]));
    let key = story.public("other");
    let unmet = ["--require-signers", "1", "--signer-key", &key];
    let count = || {
        let (_, bytes) = story.fake.manifest("acme/web", &story.digest).unwrap();
        assert!(!bytes.is_empty());
        let all = ["evidence", &story.image, "--key", &story.public("verifier"), "--format", "json"];
        let listed: Value = serde_json::from_str(&story.publisher.verify(&all).stdout).unwrap();
        listed["pieces"].as_array().unwrap().len()
    };
    let refused = story.attest("verifier", &unmet);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{}", refused.stderr);
    assert!(refused.stderr.contains("nothing was signed: --failed signs"), "{}", refused.stderr);
    assert_eq!(count(), 1);
    assert_eq!(story.demand("verifier", &[]).code, Some(0));
    // A second later, so that it is the newest word.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let failed = story.attest("verifier", &[&unmet[..], &["--failed"]].concat());
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    assert_eq!(count(), 2);
    let manifest = failed.stdout.trim_end().rsplit_once('@').unwrap().1;
    let said = story.statement(manifest)["predicate"].clone();
    assert_eq!(
        (&said["verificationResult"], &said["verifiedLevels"]),
        (&json!("FAILED"), &json!(["FAILED"]))
    );
    let next = story.demand("verifier", &[]);
    assert_eq!(next.code, Some(1), "{}", next.stderr);
    assert!(next.stderr.contains(&format!("{ID} refused it at")), "{}", next.stderr);
    // A registry that lets the name mean another image: the verdict is about that one, and not about ours.
    let swapped =
        ImageBuilder::new().file("evil", b"x").build().unwrap().push_to(&story.fake, "acme/web", "1");
    let failed = story.attest("verifier", &["--failed", "--format", "json"]);
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    let report: Value = serde_json::from_str(&failed.stdout).unwrap();
    assert_eq!(report["digest"], swapped);
    story.fake.tag("acme/web", "1", &story.digest);
    // Nobody answers: nothing is known, and nothing is signed.
    let expired = ["--repo", "http://127.0.0.1:9/", "--root-sha256", &"0".repeat(64)];
    let (key, state) = (story.private("verifier"), story.publisher.path("state"));
    let all = ["attest", &story.image, "--key", &key, "--verifier-id", ID, "--failed"];
    let unknown = run(&mut verify(&state, &[&all[..], &expired].concat()));
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(3), ""), "{}", unknown.stderr);
    assert_eq!(count(), 2);
    for wrong in [
        &["--at", "2026-01-01T00:00:00Z"][..],
        &["--type", "svr", "--failed"],
        &["--level", "SLSA_BUILD_LEVEL_3"],
        &["--builder", "3,ci.pub,https://ci"],
    ] {
        assert_eq!(story.attest("verifier", wrong).code, Some(2), "{wrong:?}");
    }
}

#[test]
fn of_an_index_the_verdict_is_about_what_was_verified() {
    let Some(story) = Story::begin() else { return };
    let image = |platform: &str| {
        let builder = ImageBuilder::new().file("content", platform.as_bytes());
        builder.platform(platform).build().unwrap()
    };
    let (one, two) = (image("linux/amd64"), image("linux/arm64"));
    let part = one.digest();
    let index = IndexBuilder::new().image(one).image(two).build().unwrap();
    let top = index.push_to(&story.fake, "acme/web", "multi");
    let name = format!("{}/acme/web:multi", story.fake.host());
    story.publisher.publish(&[&name]);
    let (key, verifier) = (story.private("verifier"), format!("{ID}={}", story.public("verifier")));
    let attest = |more: &[&str]| {
        let all = ["attest", &name, "--key", &key, "--verifier-id", ID, "--format", "json"];
        let ran = story.publisher.verify(&[&all[..], more].concat());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        serde_json::from_str::<Value>(&ran.stdout).unwrap()["digest"].as_str().unwrap().to_owned()
    };
    let demand = |platform: &str| {
        let all = ["image", &name, "--verifier", &verifier, "--platform", platform];
        story.publisher.verify(&all).code
    };
    assert_eq!(attest(&["--platform", "linux/amd64"]), part);
    assert_eq!((demand("linux/amd64"), demand("linux/arm64")), (Some(0), Some(1)));
    assert_eq!(attest(&["--all-platforms"]), top);
    assert_eq!((demand("linux/amd64"), demand("linux/arm64")), (Some(0), Some(0)));
}

#[test]
fn cosign_verifies_our_verdicts() {
    let Some(program) = reader("cosign3") else { return };
    let Some(publisher) = have(&["docker-registry", "skopeo"]).then(Publisher::init).flatten() else {
        return;
    };
    let registry = Registry::start();
    let layout = publisher.path("layout");
    ImageBuilder::new().file("content", b"one").build().unwrap().write_layout(&layout, "1").unwrap();
    let name = registry.name("web");
    copy(&oci(&layout, "1"), &registry.docker("web:1"));
    let image = format!("{name}:1");
    publisher.publish(&[&image]);
    publisher.sign(&["key", "new", "verifier", "--kind", "ecdsa-p256", "--unencrypted"]);
    let public = publisher.path("verifier.pub").display().to_string();
    publisher.sign(&["key", "export", "verifier", "--out", &public]);
    let key = format!("file:{}", publisher.path("trust/keys/verifier.pem").display());
    for kind in ["vsa", "svr"] {
        let all = ["attest", &image, "--key", &key, "--verifier-id", ID, "--type", kind];
        let ran = publisher.verify(&all);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    let by_cosign = |kind: &str, key: &str| {
        let mut command = Command::new(&program);
        command.env("HOME", publisher.path("home")).args([
            "verify-attestation",
            "--key",
            key,
            "--type",
            kind,
        ]);
        command.args(["--insecure-ignore-tlog=true", "--allow-http-registry=true", &image]);
        run(&mut command)
    };
    for kind in [VSA, SVR] {
        let taken = by_cosign(kind, &public);
        assert_eq!(taken.code, Some(0), "{kind}: {}", taken.stderr);
        let line = taken.stdout.lines().next().unwrap_or_default();
        assert!(line.contains("payload"), "{line}");
    }
    publisher.sign(&[
        "key",
        "export",
        "targets",
        "--out",
        &publisher.path("targets.pub").display().to_string(),
    ]);
    let stranger = publisher.path("targets.pub").display().to_string();
    assert_ne!(by_cosign(VSA, &stranger).code, Some(0));
    assert_ne!(by_cosign("https://slsa.dev/provenance/v1", &public).code, Some(0));
}
