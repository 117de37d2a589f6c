//! The program as a person calls it: what it prints where, and how it ends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;
use test_repos::surface::{Endpoints, Surface, SurfaceKind};
use test_repos::tree::Tree;

/// A publisher's repository and image, and a user's empty home.
struct Story {
    folder: tempfile::TempDir,
    surface: Surface,
    endpoints: Endpoints,
}

impl Story {
    fn begin(kind: SurfaceKind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let surface = Surface::start(kind, folder.path()).unwrap();
        let endpoints = surface.endpoints().unwrap();
        fs::write(folder.path().join("root.json"), &endpoints.root).unwrap();
        Self { folder, surface, endpoints }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn at(&self) -> String {
        self.endpoints.now.to_rfc3339()
    }

    /// Runs `verify` with a clean environment.
    fn verify(&self, words: &[&str]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_verify"))
            .args(words)
            .env_clear()
            .env("HOME", self.path("home"))
            .output()
            .unwrap();
        Run::of(&output)
    }

    /// `verify image` of the story's image, with its repository and root.
    fn image(&self, more: &[&str]) -> Run {
        let (at, root) = (self.at(), self.path("root.json"));
        let mut words = vec!["image", &self.endpoints.image, "--as", &self.endpoints.name];
        words.extend(["--repo", &self.endpoints.repo, "--root", root.to_str().unwrap(), "--at", &at]);
        if !more.contains(&"--all-platforms") {
            words.extend(["--platform", self.endpoints.platform]);
        }
        words.extend(more);
        self.verify(&words)
    }

    fn pinned(&self) -> String {
        let world = self.surface.world();
        format!("{}@{}", world.name, world.index())
    }
}

#[derive(Debug)]
struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Run {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}

fn state(story: &Story) -> PathBuf {
    story.path("home").join(".local/share/hallmark")
}

#[test]
fn a_trusted_image_prints_its_digest_reference_and_nothing_else_on_stdout() {
    let story = Story::begin(SurfaceKind::Directory);
    let run = story.image(&[]);
    assert_eq!((run.code, run.out), (0, format!("{}\n", story.pinned())), "{}", run.err);
    assert!(run.err.starts_with(&format!("trusted {}\n", story.endpoints.name)), "{}", run.err);
    assert!(run.err.contains("every blob was hashed"), "{}", run.err);
    assert!(!run.err.contains('\x1b'), "colour off a terminal: {}", run.err);
}

#[test]
fn explain_prints_every_link_in_order() {
    let story = Story::begin(SurfaceKind::Directory);
    let run = story.image(&["--explain"]);
    let mut rest = run.err.as_str();
    for link in [
        "reference",
        "trust",
        "root",
        "timestamp",
        "snapshot",
        "targets",
        "target",
        "manifest",
        "child",
        "config",
        "layer",
    ] {
        let found = rest.find(&format!("ok      {link}")).unwrap_or_else(|| panic!("{link} in {}", run.err));
        rest = &rest[found..];
    }
}

#[test]
fn json_has_a_version_the_verdict_and_the_links() {
    let story = Story::begin(SurfaceKind::Directory);
    let run = story.image(&["--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(json["version"], 1);
    assert_eq!(json["verdict"], "trusted");
    assert_eq!(json["pinned"], story.pinned());
    assert_eq!(json["platforms"][0]["layers"], "hashed");
    assert!(json["links"].as_array().unwrap().len() > 8);
    assert!(run.err.is_empty(), "{}", run.err);
}

#[test]
fn a_broken_layer_is_refused_with_both_digests_and_exit_1() {
    let story = Story::begin(SurfaceKind::Directory);
    assert_eq!(story.image(&[]).code, 0);
    let before = Tree::of(state(&story)).unwrap();
    // Every layer is broken: the one of this platform among them.
    for entry in fs::read_dir(story.path("image").join("blobs/sha256")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    let run = story.image(&[]);
    assert_eq!((run.code, run.out.as_str()), (1, ""), "{}", run.err);
    assert!(run.err.starts_with("error: refused "), "{}", run.err);
    assert!(run.err.contains("expected digest sha256:") && run.err.contains(", got sha256:"), "{}", run.err);
    assert!(run.err.contains("hint: "), "{}", run.err);
    before.assert_unchanged();
}

#[test]
fn sarif_has_a_result_for_what_broke_and_none_for_a_trusted_image() {
    let mut story = Story::begin(SurfaceKind::Directory);
    let sarif = |run: &Run| -> serde_json::Value {
        let log: serde_json::Value = serde_json::from_str(&run.out).unwrap();
        assert_eq!(log["version"], "2.1.0");
        log["runs"][0].clone()
    };
    let run = story.image(&["--format", "sarif"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let trusted = sarif(&run);
    assert_eq!((&trusted["results"], &trusted["properties"]["verdict"]), (&json!([]), &json!("trusted")));
    assert!(story.pinned().ends_with(trusted["properties"]["digest"].as_str().unwrap()));

    // Refused at a link.
    let (root, at) = (story.path("root.json"), "2999-01-01T00:00:00Z");
    let mut words = vec!["image", &story.endpoints.image, "--as", &story.endpoints.name];
    words.extend(["--repo", &story.endpoints.repo, "--root", root.to_str().unwrap(), "--at", at]);
    words.extend(["--format", "sarif"]);
    let run = story.verify(&words);
    assert_eq!(run.code, 1, "{}", run.err);
    let refused = sarif(&run);
    let result = &refused["results"][0];
    assert_eq!(result["level"], "error");
    assert_eq!(result["ruleId"], refused["tool"]["driver"]["rules"][0]["id"]);
    assert!(result["ruleId"].as_str().unwrap().starts_with("chain/"), "{result}");
    assert!(result["message"]["text"].as_str().unwrap().contains("expired"), "{result}");

    // Refused before there was a chain; a port in a name is no scheme.
    let run = story.verify(&["image", "other.example.com:5000/web:1", "--format", "sarif"]);
    let refused = sarif(&run);
    let result = &refused["results"][0];
    assert_eq!((run.code, &result["ruleId"]), (1, &json!("chain/begin")));
    let place = &result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(place, "other.example.com%3A5000/web%3A1");

    // What could not be told is no error.
    story.endpoints.repo = "http://127.0.0.1:9/".to_owned();
    let run = story.image(&["--format", "sarif"]);
    assert_eq!(run.code, 3, "{}", run.err);
    assert_eq!(sarif(&run)["results"][0]["level"], "warning");
}

#[test]
fn a_wrong_call_ends_with_2_and_says_what_was_expected() {
    let story = Story::begin(SurfaceKind::Directory);
    for (words, says) in [
        (vec![], "Usage"),
        (vec!["image"], "required"),
        (vec!["image", "oci:./x"], "has no name that could be trusted"),
        (vec!["image", "docker.io/UPPER/case"], "invalid value"),
        (vec!["image", "r.example.com/a:1", "--at", "yesterday"], "expected a time such as"),
        (vec!["image", "r.example.com/a:1", "--repo", "/nowhere"], "not who may speak"),
        (
            vec!["trust", "add", "x", "--scope", "**", "--repo", "/r", "--root", "/f"],
            "must name at least a registry",
        ),
    ] {
        let run = story.verify(&words);
        assert_eq!(run.code, 2, "{words:?}: {}", run.err);
        assert!(run.err.contains(says), "{words:?}: {}", run.err);
    }
}

#[test]
fn without_a_pinned_root_nothing_is_trusted() {
    let story = Story::begin(SurfaceKind::Directory);
    let run = story.verify(&["image", "registry.example.com/acme/web:1.4"]);
    assert_eq!(run.code, 1, "{}", run.err);
    assert!(
        run.err.contains("no root is pinned that speaks for registry.example.com/acme/web"),
        "{}",
        run.err
    );
    assert!(run.err.contains("verify trust add"), "{}", run.err);
    let run = story.verify(&["image", "registry.example.com/acme/web:1.4", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!((run.code, &json["verdict"]), (1, &"refused".into()));
    assert!(json["error"].as_str().unwrap().contains("no root is pinned"), "{json}");
}

#[test]
fn after_trust_add_the_name_alone_is_enough() {
    let story = Story::begin(SurfaceKind::Directory);
    let root = story.path("root.json");
    let scope = "registry.example.com/acme/*";
    let words = ["trust", "add", "acme", "--scope", scope, "--repo", &story.endpoints.repo, "--root"];
    let add = |more: &[&str]| {
        let mut words = words.to_vec();
        words.push(root.to_str().unwrap());
        words.extend(more);
        story.verify(&words)
    };
    assert_eq!(add(&[]).code, 0);
    let again = add(&[]);
    assert_eq!(again.code, 2, "{}", again.err);
    assert_eq!(add(&["--replace"]).code, 0);
    let at = story.at();
    let image = [
        "image",
        &story.endpoints.image,
        "--as",
        &story.endpoints.name,
        "--at",
        &at,
        "--platform",
        "linux/amd64",
    ];
    let run = story.verify(&image);
    assert_eq!((run.code, run.out), (0, format!("{}\n", story.pinned())), "{}", run.err);
    let list = story.verify(&["trust", "list", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&list.out).unwrap();
    assert_eq!((&json["pins"][0]["name"], &json["pins"][0]["origin"]), (&"acme".into(), &"given".into()));
    assert!(story.verify(&["trust", "show", "acme"]).out.contains("root     sha256:"));
    assert_eq!(story.verify(&["trust", "remove", "acme"]).code, 0);
    assert_eq!(story.verify(&image).code, 1);
}

#[test]
fn a_fingerprint_stands_for_the_root_and_a_wrong_one_is_refused() {
    let story = Story::begin(SurfaceKind::Http);
    let hex = test_repos::sha256_digest(&story.endpoints.root).replace("sha256:", "");
    let at = story.at();
    let image = |hex: &str| {
        story.verify(&[
            "image",
            &story.endpoints.image,
            "--as",
            &story.endpoints.name,
            "--at",
            &at,
            "--platform",
            "linux/amd64",
            "--repo",
            &story.endpoints.repo,
            "--root-sha256",
            hex,
        ])
    };
    let run = image(&hex);
    assert_eq!(run.code, 0, "{}", run.err);
    let run = image(&hex.replace(|one: char| one.is_ascii_digit(), "0"));
    assert_eq!(run.code, 1, "{}", run.err);
    assert!(run.err.contains("expected sha256 "), "{}", run.err);
}

#[test]
fn first_use_is_spelled_out_and_prints_what_it_pinned() {
    let story = Story::begin(SurfaceKind::Directory);
    let at = story.at();
    let mut words = vec![
        "image",
        &story.endpoints.image,
        "--as",
        &story.endpoints.name,
        "--at",
        &at,
        "--platform",
        "linux/amd64",
    ];
    words.extend(["--repo", &story.endpoints.repo]);
    assert_eq!(story.verify(&words).code, 2, "a repository alone is no trust");
    words.push("--trust-on-first-use");
    let run = story.verify(&words);
    assert_eq!(run.code, 0, "{}", run.err);
    let fingerprint = test_repos::sha256_digest(&story.endpoints.root);
    assert!(run.err.contains(&format!("trusting root {fingerprint}")), "{}", run.err);
    words.truncate(8);
    assert_eq!(story.verify(&words).code, 0, "the pin holds afterwards");
}

#[test]
fn a_first_use_that_ends_in_a_refusal_pins_nothing() {
    let story = Story::begin(SurfaceKind::Directory);
    let at = story.at();
    // The root is good, and nothing that follows is.
    fs::write(Path::new(&story.endpoints.repo).join("metadata/timestamp.json"), b"{}").unwrap();
    let run = story.verify(&[
        "image",
        &story.endpoints.image,
        "--as",
        &story.endpoints.name,
        "--at",
        &at,
        "--repo",
        &story.endpoints.repo,
        "--trust-on-first-use",
    ]);
    assert_eq!(run.code, 1, "{}", run.err);
    let list = story.verify(&["trust", "list"]);
    assert_eq!((list.code, list.out.as_str()), (0, ""), "{}", list.err);
}

#[test]
fn a_platform_that_the_image_lacks_is_refused_and_the_answer_names_those_it_has() {
    let story = Story::begin(SurfaceKind::Directory);
    let (at, root) = (story.at(), story.path("root.json"));
    let run = story.verify(&[
        "image",
        &story.endpoints.image,
        "--as",
        &story.endpoints.name,
        "--repo",
        &story.endpoints.repo,
        "--root",
        root.to_str().unwrap(),
        "--at",
        &at,
        "--platform",
        "windows/amd64",
    ]);
    assert_eq!(run.code, 1, "{}", run.err);
    assert!(run.err.contains("expected windows/amd64, got linux/amd64, linux/arm64"), "{}", run.err);
    assert!(run.err.contains("hint: choose one that it has with --platform"), "{}", run.err);
}

#[test]
fn offline_opens_no_socket_and_tells_nothing_once_expired() {
    let mut story = Story::begin(SurfaceKind::Http);
    assert_eq!(story.image(&[]).code, 0);
    assert_eq!(story.image(&["--offline"]).code, 0);
    story.surface.world().wait(400);
    story.endpoints.now = story.surface.world().now;
    let run = story.image(&["--offline"]);
    assert_eq!(run.code, 3, "{}", run.err);
    assert!(run.err.contains("could not tell") && run.err.contains("expired at"), "{}", run.err);
}

#[test]
fn unreachable_is_could_not_tell() {
    let mut story = Story::begin(SurfaceKind::Http);
    story.endpoints.repo = "http://127.0.0.1:9/".to_owned();
    let run = story.image(&["--format", "json"]);
    assert_eq!(run.code, 3, "{}", run.err);
    let json: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(json["verdict"], "unknown");
}

fn pull(story: &Story, to: &Path, more: &[&str]) -> Run {
    let (at, root) = (story.at(), story.path("root.json"));
    let destination = format!("oci:{}:1.4", to.display());
    let mut words = vec!["pull", &story.endpoints.image, &destination, "--as", &story.endpoints.name];
    words.extend(["--repo", &story.endpoints.repo, "--root", root.to_str().unwrap(), "--at", &at]);
    words.extend(more);
    story.verify(&words)
}

#[test]
fn pull_writes_what_was_verified_and_it_verifies_again() {
    let story = Story::begin(SurfaceKind::Directory);
    let out = story.path("out");
    let run = pull(&story, &out, &["--all-platforms"]);
    assert_eq!((run.code, run.out), (0, format!("{}\n", story.pinned())), "{}", run.err);
    let mut again = Story { endpoints: story.endpoints.clone(), ..story };
    again.endpoints.image = format!("oci:{}:1.4", out.display());
    let run = again.image(&["--all-platforms"]);
    assert_eq!(run.code, 0, "{}", run.err);
}

#[test]
fn pull_of_a_broken_image_leaves_nothing() {
    let story = Story::begin(SurfaceKind::Directory);
    let out = story.path("out");
    for entry in fs::read_dir(story.path("image").join("blobs/sha256")).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        }
    }
    let run = pull(&story, &out, &["--all-platforms"]);
    assert_eq!((run.code, run.out.as_str()), (1, ""), "{}", run.err);
    assert!(run.err.contains("layer sha256:"), "{}", run.err);
    assert!(!out.exists(), "something was left in {}", out.display());
}

/// Says something of the story's image, and publishes it.
fn say(story: &Story, member: &str, value: serde_json::Value) {
    let mut world = story.surface.world();
    let path = world.path();
    let targets = world.repo.role_mut("targets").signed_mut();
    targets["targets"][&path]["custom"]["hallmark"][member] = value;
    targets["targets"][&path]["custom"]["hallmark"]["version"] = 1.into();
    world.republish("targets").unwrap();
    drop(world);
    story.surface.endpoints().unwrap();
}

#[test]
fn a_yanked_image_is_refused_with_the_reason_and_what_to_use_instead() {
    let story = Story::begin(SurfaceKind::Directory);
    assert_eq!(story.image(&[]).code, 0);
    let yanked = serde_json::json!({
        "reason": "loses data\u{1b}[2J", "replacement": "registry.example.com/acme/web:1.5", "since": "2030-01-02T00:00:00Z"
    });
    say(&story, "yanked", yanked);
    let run = story.image(&[]);
    assert_eq!((run.code, run.out.as_str()), (1, ""), "{}", run.err);
    for words in [
        "was yanked by its publisher on 2030-01-02",
        "its publisher took it back",
        "loses data",
        "use registry.example.com/acme/web:1.5 instead",
    ] {
        assert!(run.err.contains(words), "expected {words:?} in {}", run.err);
    }
    assert!(!run.err.contains('\u{1b}'), "what comes from outside can't move the cursor");
    say(&story, "yanked", serde_json::Value::Null);
    assert_eq!(story.image(&[]).code, 0);
}

#[test]
fn a_promise_that_was_broken_is_refused() {
    let story = Story::begin(SurfaceKind::Directory);
    let older = format!("sha256:{}", "0".repeat(64));
    say(&story, "rule", "immutable".into());
    assert_eq!(story.image(&[]).code, 0, "kept so far");
    say(&story, "previous", older.clone().into());
    let run = story.image(&[]);
    assert_eq!(run.code, 1);
    assert!(
        run.err.contains("breaks its publisher's promise: expected an immutable tag to stay"),
        "{}",
        run.err
    );
    say(&story, "rule", "forward-only".into());
    assert_eq!(story.image(&[]).code, 0, "it went forward");
    let index = story.surface.world().index();
    say(&story, "history", serde_json::json!([older, index]));
    let run = story.image(&[]);
    assert_eq!(run.code, 1);
    assert!(run.err.contains("which it meant before"), "{}", run.err);
}
