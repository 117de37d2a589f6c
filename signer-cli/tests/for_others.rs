//! Signatures for other tools: made before anything is published, pushed after it, once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs;

use serde_json::{Value, json};
use support::{Desk, Said};
use test_repos::images::ImageBuilder;
use test_repos::registry::{Fault, Place, Registry};
use test_repos::tree::Tree;

/// A repository whose images are in a registry of our own, and an image that is staged.
struct Stage {
    desk: Desk,
    registry: Registry,
}

impl Stage {
    fn new() -> Self {
        let stage = Self { desk: Desk::with_trust(), registry: Registry::start().unwrap() };
        stage.desk.signer(&["key", "new", "release", "--kind", "ecdsa-p256", "--unencrypted"]).ok();
        stage
    }

    fn name(&self, tag: &str) -> String {
        format!("{}/acme/web:{tag}", self.registry.host())
    }

    /// Pushes an image, and stages it.
    fn add(&self, content: &str, tag: &str) -> String {
        let image = ImageBuilder::new().file("content", content.as_bytes()).build().unwrap();
        let digest = image.push_to(&self.registry, "acme/web", tag);
        self.desk.signer(&["add", &self.name(tag)]).ok();
        digest
    }

    fn signatures(&self, digest: &str) -> Vec<Value> {
        let tag = format!("{}.sig", digest.replace(':', "-"));
        let Some((_, bytes)) = self.registry.manifest("acme/web", &tag) else { return vec![] };
        serde_json::from_slice::<Value>(&bytes).unwrap()["layers"].as_array().unwrap().clone()
    }

    fn wrote(&self) -> bool {
        self.registry.log().iter().any(|one| !matches!(one.method.as_str(), "GET" | "HEAD"))
    }
}

fn outcomes(said: &Said) -> Vec<(String, String)> {
    let signatures = said.json()["for_others"]["signatures"].as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let joined = |one: &Value| one.as_array().unwrap().iter().map(text).collect::<Vec<_>>().join(",");
    signatures.iter().map(|one| (joined(&one["for"]), text(&one["outcome"]))).collect()
}

const THREE: &str = "cosign2,cosign3,podman";

#[test]
fn what_a_publish_adds_or_moves_is_signed_and_nothing_else() {
    let stage = Stage::new();
    let (one, two) = (stage.add("one", "1"), stage.add("two", "2"));
    let rehearsed = stage.desk.signer(&["publish", "--dry-run", "--for", THREE, "--format", "json"]).ok();
    assert_eq!(outcomes(&rehearsed).len(), 4);
    assert!(outcomes(&rehearsed).iter().all(|(_, outcome)| outcome == "would-be-pushed"));
    assert!(!stage.wrote());
    let said = stage.desk.signer(&["publish", "--for", THREE, "--format", "json"]).ok();
    let both = [("cosign2,podman".to_owned(), "pushed".to_owned()), ("cosign3".into(), "pushed".into())];
    assert_eq!(outcomes(&said), [both.clone(), both.clone()].concat());
    assert_eq!(said.json()["for_others"]["key"], "targets");
    assert_eq!((stage.signatures(&one).len(), stage.signatures(&two).len()), (1, 1));
    // Moving a tag signs what it means now; what it meant stays as it was.
    let three = ImageBuilder::new().file("content", b"three").build().unwrap();
    let three = three.push_to(&stage.registry, "acme/web", "1");
    stage.desk.signer(&["add", &stage.name("1")]).ok();
    let said = stage.desk.signer(&["publish", "--for", THREE, "--format", "json"]).ok();
    assert_eq!(outcomes(&said), both);
    assert_eq!(stage.signatures(&three).len(), 1);
    assert_eq!((stage.signatures(&one).len(), stage.signatures(&two).len()), (1, 1));
    // A yank, and a renewal, sign nothing.
    stage.desk.signer(&["yank", &stage.name("1"), "--reason", "loses data"]).ok();
    stage.registry.clear_log();
    for _ in 0..2 {
        let said = stage.desk.signer(&["publish", "--for", THREE]).ok();
        assert!(said.stdout.ends_with("for other tools: no image is new, so none was signed\n"));
    }
    assert!(stage.registry.log().is_empty());
    let refused = stage.desk.signer(&["sign-for", &stage.name("1"), "--for", THREE]);
    refused.failed(1, &["refused ", "it is yanked: nobody shall run it"]);
}

#[test]
fn where_nothing_could_be_published_nothing_is_pushed() {
    let stage = Stage::new();
    stage.add("one", "1");
    stage.registry.clear_log();
    // Everything is made and weighed; then the first file can't be written.
    let targets = stage.desk.path("trust/published/targets");
    fs::remove_dir_all(&targets).unwrap();
    fs::write(&targets, "no folder").unwrap();
    stage.desk.signer(&["publish", "--dry-run", "--for", THREE]).ok();
    stage.desk.signer(&["publish", "--for", THREE]).failed(3, &["can't be used"]);
    assert!(!stage.wrote());
    fs::remove_file(&targets).unwrap();
    fs::create_dir(&targets).unwrap();
    stage.desk.signer(&["publish", "--for", THREE]).ok();
    assert!(stage.wrote());
}

#[test]
fn what_could_not_be_pushed_is_named_and_done_with_the_command_that_is_shown() {
    let stage = Stage::new();
    let digest = stage.add("one", "1");
    stage.registry.set_fault(Place::blobs("acme/web"), Fault::Unavailable);
    let said = stage.desk.signer(&["publish", "--for", THREE, "--for-key", "release", "--format", "json"]);
    assert_eq!(said.code, 3, "{}", said.stderr);
    assert_eq!(stage.desk.trusted(&stage.name("1")), Some(digest.clone()));
    assert!(outcomes(&said).iter().all(|(_, outcome)| outcome == "not-pushed"));
    let report = said.json();
    assert!(report["for_others"]["signatures"][0]["why"].as_str().unwrap().contains("HTTP status 503"));
    let repeat = report["for_others"]["repeat"].as_str().unwrap().to_owned();
    let by_digest = format!("{}/acme/web@{digest}", stage.registry.host());
    assert_eq!(repeat, format!("signer sign-for {by_digest} --for {THREE} --for-key release"));
    stage.registry.clear_faults();
    let arguments: Vec<_> = repeat.split(' ').skip(1).chain(["--format", "json"]).collect();
    for outcome in ["pushed", "was-there", "was-there"] {
        let said = stage.desk.signer(&arguments).ok();
        assert!(outcomes(&said).iter().all(|(_, got)| got == outcome), "{}", said.stdout);
    }
    assert_eq!(stage.signatures(&digest).len(), 1);
    // Another key's is another signature.
    stage.desk.signer(&["sign-for", &stage.name("1"), "--for", "podman"]).ok();
    assert_eq!(stage.signatures(&digest).len(), 2);
    // What is under the tag and isn't ours to change is no passing fault.
    let tag = format!("{}.sig", digest.replace(':', "-"));
    let index = json!({"schemaVersion": 2, "mediaType": oci_image::media::OCI_INDEX, "manifests": []});
    let bytes = index.to_string();
    stage.registry.put_manifest("acme/web", &tag, oci_image::media::OCI_INDEX, bytes.as_bytes());
    let said = stage.desk.signer(&["sign-for", &stage.name("1"), "--for", "podman"]);
    assert_eq!(said.code, 1);
    assert!(said.stdout.contains("NOT pushed: "), "{}", said.stdout);
}

#[test]
fn before_anything_is_written_it_is_refused() {
    let stage = Stage::new();
    let desk = &stage.desk;
    desk.signer(&["key", "new", "large", "--kind", "ecdsa-p384", "--unencrypted"]).ok();
    fs::write(desk.path("chain.pem"), "no certificate").unwrap();
    let digest = stage.add("one", "1");
    stage.registry.clear_log();
    let before = Tree::of(desk.path("trust/published")).unwrap();
    for (more, code, said) in [
        (&["--for", "cosign"][..], 2, "expected cosign2, cosign3, notation or podman, got \"cosign\""),
        (&["--for-key", "release"], 2, "expected the tools to sign for, got none"),
        (&["--for", "podman", "--for-key", "none"], 2, "keys/ has no key called none"),
        (&["--for", "podman", "--for-key", "../root"], 2, "keys/ has no key called ../root"),
        (&["--for", "notation"], 1, "key targets: notation can't use this key: expected ECDSA or RSA"),
        (&["--for", "podman,notation", "--for-key", "release"], 2, "notation needs a certificate chain"),
        (&["--for", "cosign3", "--for-key", "large"], 1, "key large: cosign3 can't use this key"),
        (&["--for", "notation", "--certificate", "chain.pem"], 2, "expected certificates in PEM"),
        (&["--for", "notation", "--certificate", "nowhere.pem"], 2, "nowhere.pem"),
        (&["--for", "notation", "--signature-format", "xml"], 2, "expected jws or cose, got \"xml\""),
        (&["--signature-format", "cose"], 2, "expected the tools to sign for, got none"),
    ] {
        desk.signer(&[&["publish"], more].concat()).failed(code, &["error: ", said]);
        desk.signer(&[&["publish", "--dry-run"], more].concat()).failed(code, &["error: ", said]);
    }
    // An image that isn't where its name says.
    stage.registry.remove("acme/web", &digest);
    let said = desk.signer(&["publish", "--for", THREE]);
    said.failed(
        1,
        &["error: refused ", "nothing was published", "hint: signatures for other tools lie beside"],
    );
    // Or other bytes in its place.
    stage.registry.set_fault(Place::manifests("acme/web"), Fault::SwapManifest { with: b"{}".to_vec() });
    desk.signer(&["publish", "--for", THREE]).failed(1, &["error: refused ", &digest]);
    stage.registry.clear_faults();
    stage.registry.set_fault(Place::manifests("acme/web"), Fault::Unavailable);
    desk.signer(&["publish", "--for", THREE]).failed(3, &["could not read", "nothing was published"]);
    assert!(!stage.wrote());
    before.assert_unchanged();
    desk.signer(&["publish", "--for", "none"]).ok();
}

#[test]
fn how_notations_signatures_are_written_is_of_use_with_notation_alone() {
    let stage = Stage::new();
    stage.add("one", "1");
    stage.registry.clear_log();
    let said = [
        "error: --signature-format is for notation's signatures, and none are asked for",
        "expected notation among the tools to sign for, got cosign2, podman",
        "hint: add notation to --for, or leave --signature-format out",
    ];
    for format in ["jws", "cose"] {
        let more = ["--for", "podman,cosign2", "--signature-format", format];
        stage.desk.signer(&[&["publish"], &more[..]].concat()).failed(2, &said);
        stage.desk.signer(&[&["publish", "--dry-run"], &more[..]].concat()).failed(2, &said);
        stage.desk.signer(&[&["sign-for", &stage.name("1")], &more[..]].concat()).failed(2, &said);
    }
    assert!(!stage.wrote() && stage.desk.trusted(&stage.name("1")).is_none());
    stage.desk.signer(&["publish", "--for", "none", "--signature-format", "cose"]).ok();
}

#[test]
fn what_is_only_staged_is_signed_for_nobody() {
    let stage = Stage::new();
    stage.add("one", "1");
    let name = stage.name("1");
    let said = stage.desk.signer(&["sign-for", &name, "--for", THREE]);
    said.failed(1, &["expected a name that is published, got another"]);
    stage.desk.signer(&["sign-for", &name]).failed(2, &["expected the tools to sign for, got none"]);
    assert!(!stage.wrote());
}

#[test]
fn signer_toml_says_for_whom() {
    let stage = Stage::new();
    let file = stage.desk.path("trust/signer.toml");
    let before = fs::read_to_string(&file).unwrap();
    for (lines, said) in [
        ("formats = [\"cosign\"]", "expected cosign2, cosign3, notation or podman, got \"cosign\""),
        ("readers = []", "unknown field"),
        ("signature-format = \"xml\"", "expected jws or cose, got \"xml\""),
        ("signature_format = \"cose\"", "unknown field"),
    ] {
        fs::write(&file, format!("{before}\n[for-others]\n{lines}\n")).unwrap();
        stage.desk.signer(&["publish"]).failed(2, &[said]);
    }
    fs::write(&file, format!("{before}\n[for-others]\nformats = [\"podman\"]\nkey = \"release\"\n")).unwrap();
    let one = stage.add("one", "1");
    let said = stage.desk.signer(&["publish", "--format", "json"]).ok();
    assert_eq!(outcomes(&said), [("podman".into(), "pushed".into())]);
    assert_eq!(said.json()["for_others"]["key"], "release");
    let two = stage.add("two", "2");
    stage.desk.signer(&["publish", "--for", "none"]).ok();
    assert_eq!((stage.signatures(&one).len(), stage.signatures(&two).len()), (1, 0));
    stage.desk.signer(&["sign-for", &stage.name("2")]).ok();
    assert_eq!(stage.signatures(&two).len(), 1);
}

#[test]
fn a_key_with_a_passphrase_signs_and_a_wrong_one_writes_nothing() {
    let stage = Stage::new();
    stage.desk.signer_with("words", &["key", "new", "closed", "--kind", "ecdsa-p256"]).ok();
    let digest = stage.add("one", "1");
    stage.registry.clear_log();
    let publish = ["publish", "--for", "podman", "--for-key", "closed"];
    stage.desk.signer_with("other", &publish).failed(2, &["doesn't open"]);
    assert!(!stage.wrote() && stage.desk.trusted(&stage.name("1")).is_none());
    stage.desk.signer_with("words", &publish).ok();
    assert_eq!(stage.signatures(&digest).len(), 1);
}

#[test]
fn what_several_people_signed_is_signed_for_others_when_it_is_published() {
    let stage = Stage::new();
    let desk = &stage.desk;
    let digest = stage.add("one", "1");
    desk.signer(&["ceremony", "propose", "--out", "done.json"]).ok();
    // Who publishes it needs no key of targets, and another one for other tools.
    for half in ["targets.pem", "targets.pub"] {
        fs::remove_file(desk.path("trust/keys").join(half)).unwrap();
    }
    let publish = ["publish", "--ceremony", "done.json", "--for", THREE];
    desk.signer(&publish).failed(2, &["expected one key of targets in keys/, got none", "--for-key"]);
    assert_eq!(desk.trusted(&stage.name("1")), None);
    desk.signer(&[&publish[..], &["--for-key", "release"]].concat()).ok();
    assert_eq!(desk.trusted(&stage.name("1")), Some(digest.clone()));
    assert_eq!(stage.signatures(&digest).len(), 1);
}

#[test]
fn two_who_publish_at_once_sign_each_image_once() {
    let stage = Stage::new();
    let digest = stage.add("one", "1");
    let publish = ["publish", "--for", "podman", "--for-key", "release"];
    let both = [stage.desk.start(&publish), stage.desk.start(&publish)];
    for one in both {
        Said::of(&one.wait_with_output().unwrap()).ok();
    }
    assert_eq!(stage.signatures(&digest).len(), 1);
    assert_eq!(stage.desk.trusted(&stage.name("1")), Some(digest));
}

#[test]
fn what_died_between_the_metadata_and_the_signatures_is_made_good_by_the_next_publish() {
    let stage = Stage::new();
    let desk = &stage.desk;
    let digest = stage.add("one", "1");
    // Before each write it asks what is there, and gets no answer.
    let tag = format!("{}.sig", digest.replace(':', "-"));
    stage.registry.set_fault(Place::manifest("acme/web", &tag), Fault::Stall);
    stage.registry.set_fault(Place::referrers("acme/web"), Fault::Stall);
    let mut publisher = desk.start(&["publish", "--for", THREE, "--for-key", "release"]);
    let published = || desk.trusted(&stage.name("1")) == Some(digest.clone());
    let up = (0..200).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(50));
        published() && stage.registry.log().iter().any(|one| one.path.ends_with(&tag))
    });
    assert!(up, "it has published, and is about to push");
    publisher.kill().unwrap();
    publisher.wait().unwrap();
    stage.registry.clear_faults();
    assert!(stage.signatures(&digest).is_empty());
    let status = desk.signer(&["status"]).ok();
    assert!(status.stdout.contains(" for cosign2, cosign3, podman\n"), "{}", status.stdout);
    // For one reader now: the others wait on. Nothing is staged.
    let said = desk.signer(&["publish", "--for", "cosign3", "--for-key", "release", "--format", "json"]).ok();
    assert_eq!(outcomes(&said), [("cosign3".into(), "pushed".into())]);
    let status = desk.signer(&["status"]).ok();
    assert!(status.stdout.contains(" for cosign2, podman\n"), "{}", status.stdout);
    let said = desk.signer(&["publish", "--for", THREE, "--for-key", "release", "--format", "json"]).ok();
    let expected = [("cosign2,podman".into(), "pushed".into()), ("cosign3".into(), "was-there".into())];
    assert_eq!(outcomes(&said), expected);
    assert!(!desk.path("trust/for-others.json").exists());
    let said = desk.signer(&["publish", "--for", THREE, "--for-key", "release"]).ok();
    assert!(said.stdout.ends_with("no image is new, so none was signed\n"), "{}", said.stdout);
}

#[test]
fn what_is_owed_holds_nobody_up_and_is_forgotten_with_its_name() {
    let stage = Stage::new();
    let desk = &stage.desk;
    let digest = stage.add("one", "1");
    stage.registry.set_fault(Place::blobs("acme/web"), Fault::Unavailable);
    let publish = ["publish", "--for", "podman", "--for-key", "release"];
    assert_eq!(desk.signer(&publish).code, 3);
    // Neither a registry that is silent nor a key that isn't there stops a renewal.
    stage.registry.set_fault(Place::manifests("acme/web"), Fault::Unavailable);
    let said = desk.signer(&publish).ok();
    assert_eq!(said.stderr.matches("is missing still: could not read").count(), 1, "{}", said.stderr);
    fs::rename(desk.path("trust/keys/release.pem"), desk.path("release.pem")).unwrap();
    let said = desk.signer(&publish).ok();
    assert!(said.stderr.contains("is missing still: keys/ has no key called release"), "{}", said.stderr);
    fs::rename(desk.path("release.pem"), desk.path("trust/keys/release.pem")).unwrap();
    stage.registry.clear_faults();
    // What is only staged, and then isn't, takes nothing from what is owed.
    stage.add("two", "1");
    stage.registry.set_fault(Place::manifests("acme/web"), Fault::Unavailable);
    desk.signer(&publish).failed(3, &["nothing was published"]);
    desk.signer(&["reset"]).ok();
    stage.registry.clear_faults();
    assert!(desk.path("trust/for-others.json").exists());
    // Once nobody shall run it, no signature is owed to it.
    desk.signer(&["yank", &stage.name("1"), "--reason", "loses data"]).ok();
    desk.signer(&publish).ok();
    assert!(!desk.path("trust/for-others.json").exists());
    assert!(stage.signatures(&digest).is_empty());
    // Nor by way of another tag, or of one that only now leads there.
    let other = stage.add("one", "latest");
    assert_eq!(other, digest);
    desk.signer(&publish).ok();
    let latest = stage.name("latest");
    desk.signer(&["sign-for", &latest, "--for", "podman", "--for-key", "release"])
        .failed(1, &["it is yanked"]);
    assert!(stage.signatures(&digest).is_empty());
    // Once it may be run again, it is signed.
    desk.signer(&["unyank", &stage.name("1")]).ok();
    desk.signer(&publish).ok();
    assert!(!stage.signatures(&digest).is_empty());
    fs::write(desk.path("trust/for-others.json"), "{}").unwrap();
    desk.signer(&publish).failed(1, &["for-others.json can't be used", "hint: remove the file"]);
}

#[test]
fn the_command_that_is_shown_names_all_that_was_named() {
    let stage = Stage::new();
    let desk = &stage.desk;
    stage.add("one", "1");
    fs::rename(desk.path("trust"), desk.path("my trust")).unwrap();
    stage.registry.set_fault(Place::blobs("acme/web"), Fault::Unavailable);
    let said = desk.signer(&["--repo", "my trust", "publish", "--for", "podman", "--format", "json"]);
    assert_eq!(said.code, 3, "{}", said.stderr);
    let repeat = said.json()["for_others"]["repeat"].as_str().unwrap().to_owned();
    assert!(repeat.ends_with(" --for podman --repo 'my trust'"), "{repeat}");
    stage.registry.clear_faults();
    // As a shell reads it.
    let signer = env!("CARGO_BIN_EXE_signer");
    let mut shell = std::process::Command::new("sh");
    let command = repeat.replacen("signer", signer, 1);
    Said::of(&shell.args(["-c", &command]).current_dir(desk.dir.path()).output().unwrap()).ok();
}
