//! Rules are rehearsed on what was seen: images are verified and recorded, rules learnt from that, and stricter rules
//! tried, before any of them decides.
//!
//! Lines and reports are checked against their schemas by Python's `jsonschema`: `HALLMARK_PYTHON`, else `python3`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use image_signatures::{Envelope, Format, Signing};
use oci_image::{Digest, ImageSource as _, Registry, RegistryOptions, Selector};
use serde_json::Value;
use test_repos::images::{Image, ImageBuilder};
use test_repos::registry::Registry as Fake;
use test_repos::simulator::{Keyholder, Simulator};
use tuf_core::crypto::{Ed25519Signer, Sign};
use tuf_core::schema::Target;

/// Repositories, how many tags each has, who speaks for it, and whether key a signed its images.
const REPOSITORIES: [(&str, usize, &str, bool); 4] = [
    ("acme/web", 20, "targets", false),
    ("acme/api", 15, "targets", false),
    ("team/db", 15, "releases", false),
    ("base/os", 10, "targets", true),
];

struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Run {
    #[track_caller]
    fn is(self, code: i32, words: &[&str]) -> Self {
        let all = format!("{}{}", self.out, self.err);
        assert_eq!(self.code, code, "{all}");
        for words in words {
            assert!(all.contains(words), "expected {words:?} in\n{all}");
        }
        self
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}{}", self.out, self.err))
    }
}

/// A registry with sixty images of four repositories, and a trust repository that speaks for them.
struct Story {
    folder: tempfile::TempDir,
    registry: Fake,
    images: Vec<String>,
}

fn signer(name: &str) -> Ed25519Signer {
    Ed25519Signer::from_seed(Digest::of(name.as_bytes()).bytes())
}

impl Story {
    fn begin() -> Self {
        let (folder, registry) = (tempfile::tempdir().unwrap(), Fake::start().unwrap());
        let mut repo = Simulator::new(chrono::Utc::now()).unwrap();
        let host = registry.host();
        let team = format!("{host}/team/*");
        repo.delegate("releases", &Keyholder::named("team"), &[&team]);
        let mut images = Vec::new();
        for (name, tags, role, signed) in REPOSITORIES {
            for tag in 0..tags {
                let (image, tag) = (Image::named(&format!("{name} {tag}")).unwrap(), format!("1.{tag}"));
                image.push_to(&registry, name, &tag);
                let path = format!("{host}/{name}:{tag}");
                let target = Target::of(&image.manifest.bytes);
                repo.role_mut(role).set_target(&path, &target).unwrap();
                if signed {
                    sign(&path, &tag);
                }
                images.push(path);
            }
        }
        let bash = "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2.15-2+b2\n";
        let bash = ImageBuilder::new()
            .file("etc/os-release", b"ID=debian\nVERSION_ID=\"12\"\n")
            .file("var/lib/dpkg/status", bash.as_bytes())
            .build()
            .unwrap();
        bash.push_to(&registry, "debian/bash", "1");
        let target = Target::of(&bash.manifest.bytes);
        repo.role_mut("targets").set_target(&format!("{host}/debian/bash:1"), &target).unwrap();
        repo.publish().unwrap();
        let story = Self { folder, registry, images };
        fs::create_dir_all(story.path("trust/metadata")).unwrap();
        for name in repo.names() {
            fs::write(story.path("trust/metadata").join(&name), repo.fetch(&name).unwrap().unwrap()).unwrap();
        }
        fs::write(story.path("root.json"), repo.fetch("1.root.json").unwrap().unwrap()).unwrap();
        for key in ["a", "b"] {
            fs::write(story.path(&format!("{key}.pub")), signer(key).key().to_pem().unwrap()).unwrap();
        }
        story
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_verify"));
        command.args(words).env_clear().env("HOME", self.path("home")).current_dir(self.folder.path());
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, words: &[&str]) -> Run {
        let output = self.command(words).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Run { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// The name of an image here.
    fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.registry.host())
    }

    /// Verifies an image by our root, looks for the signatures of key a, and records what was seen.
    fn record(&self, image: &str) {
        let root = ["--repo", "trust", "--root", "root.json", "--signer-key", "a.pub"];
        self.run(&[&["image", image, "--record", "seen.jsonl"][..], &root].concat()).is(0, &[]);
    }

    fn simulate(&self, policy: &str, more: &[&str]) -> Run {
        let words = ["policy", "simulate", "--inventory", "seen.jsonl", "--policy", policy];
        self.run(&[&words[..], more].concat())
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }
}

fn sign(path: &str, tag: &str) {
    let reference: oci_image::Reference = path.parse().unwrap();
    let registry = Registry::new(reference.name(), RegistryOptions::default()).unwrap();
    let image = registry.manifest(Selector::Tag(tag)).unwrap().descriptor();
    let (key, formats) = (signer("a"), BTreeSet::from([Format::Cosign3]));
    let signing = Signing {
        name: reference.name(),
        image: &image,
        parts: &[],
        formats: &formats,
        key: &key,
        chain: None,
        envelope: Envelope::default(),
        now: chrono::Utc::now(),
    };
    signing.make().unwrap().push(&registry).into_iter().for_each(|pushed| drop(pushed.unwrap()));
}

/// The images of a report that fare so, by name.
fn that_are(report: &Value, word: &str) -> BTreeSet<String> {
    let decisions = report["decisions"].as_array().unwrap().iter();
    decisions.filter(|one| one["now"] == word).map(|one| one["image"].as_str().unwrap().to_owned()).collect()
}

/// Every line of the first file is what the schema in the second says.
const SCHEMA: &str = r#"
import json, sys
from jsonschema import Draft202012Validator
validator = Draft202012Validator(json.load(open(sys.argv[2])))
lines = [json.loads(line) for line in open(sys.argv[1])]
assert lines
for line in lines:
    validator.validate(line)
assert list(validator.iter_errors({"version": 1})), "nothing is demanded"
"#;

impl Story {
    fn is_of_schema(&self, file: &str, schema: &str) {
        let python = std::env::var_os("HALLMARK_PYTHON").unwrap_or_else(|| "python3".into());
        let has = Command::new(&python).args(["-c", "import jsonschema"]).stderr(Stdio::null()).status();
        if !has.is_ok_and(|status| status.success()) {
            assert!(std::env::var_os("HALLMARK_NO_SKIPS").is_none(), "no jsonschema");
            eprintln!("SKIPPED: {python:?} has no jsonschema; set HALLMARK_PYTHON");
            return;
        }
        let schema = format!("{}/../docs/schema/{schema}.json", env!("CARGO_MANIFEST_DIR"));
        let output =
            Command::new(python).args(["-c", SCHEMA]).arg(self.path(file)).arg(schema).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn sixty_images_are_recorded_learnt_from_and_stricter_rules_say_whom_they_block() {
    let story = Story::begin();
    story.images.iter().for_each(|image| story.record(image));
    assert_eq!(story.read("seen.jsonl").lines().count(), 60);

    // Rules that were learnt can be read, are not odd, and admit what they were learnt from.
    let learn = ["policy", "learn", "--inventory", "seen.jsonl", "-o", "learnt.toml"];
    story.run(&learn).is(0, &["learnt 3 scopes from 60 images"]);
    story.run(&learn).is(2, &["learnt.toml can't be used", "name a file that isn't there yet"]);
    story.run(&["policy", "check", "learnt.toml", "--strict"]).is(0, &["3 scopes, 0 mirrors, 0 warnings"]);
    let all = story.simulate("learnt.toml", &["--format", "json"]).is(0, &[]).json();
    assert_eq!((&all["images"], &all["admitted"], &all["blocked"]), (&60.into(), &60.into(), &0.into()));
    let learnt = story.read("learnt.toml");
    for part in [
        &format!("match = [\n    {:?},\n    {:?},\n]", story.name("acme/api"), story.name("acme/web")),
        "roles = [\"releases\"]",
        "[scope.signers]\nat-least = 1\nkeys = [",
        "# 35 images, the last at ",
    ] {
        assert!(learnt.contains(part), "{part}\n{learnt}");
    }
    // They admit the images themselves, too, and nothing else.
    for image in ["acme/web:1.3", "team/db:1.0", "base/os:1.9"] {
        story.run(&["image", &story.name(image), "--policy", "learnt.toml"]).is(0, &[]);
    }
    story.run(&["image", &story.name("other/web:1"), "--policy", "learnt.toml"]).is(1, &["no scope fits"]);

    // Stricter: no tags 1.1*, of acme; the team's images must be signed; the base images have no scope any more.
    let stricter = learnt.replacen(
        "roles = [\"targets\"]\n",
        "roles = [\"targets\"]\ntags = { deny = [\"1.1*\"] }\n",
        1,
    );
    let stricter = stricter.replacen(
        "roles = [\"releases\"]\n",
        "roles = [\"releases\"]\nsigners = { at-least = 1, keys = [\"a.pub\"] }\n",
        1,
    );
    let base = stricter.find(&format!("name = {:?}", story.name("base/os"))).unwrap();
    let (before, rest) = stricter.split_at(stricter[..base].rfind("[[scope]]").unwrap());
    let after = rest[2..].find("\n# ").map_or("", |at| &rest[2 + at..]);
    story.write("stricter.toml", &format!("{before}{after}"));
    let report = story.simulate("stricter.toml", &["--format", "json"]).is(1, &[]).json();
    let expected: BTreeSet<String> = story
        .images
        .iter()
        .filter(|image| {
            let tag = image.rsplit_once(':').unwrap().1;
            let acme = image.contains("/acme/") && tag.starts_with("1.1");
            acme || image.contains("/team/db:") || image.contains("/base/os:")
        })
        .cloned()
        .collect();
    assert_eq!(expected.len(), 11 + 6 + 15 + 10);
    assert_eq!(that_are(&report, "blocked"), expected);
    assert_eq!(that_are(&report, "admitted").len(), 60 - 42);
    assert_eq!(report["newly_blocked"], 42);
    story.is_of_schema("seen.jsonl", "inventory");
    story.write("report.jsonl", &report.to_string());
    story.is_of_schema("report.jsonl", "verify-policy-simulate");
    let text = story.simulate("stricter.toml", &[]).is(
        1,
        &[
            "60 images: 18 admitted, 0 can't be told, 42 blocked",
            "42 are blocked that could run",
            "was admitted",
        ],
    );
    assert!(text.out.contains("to admit it, put this before all other scopes:"), "{}", text.out);

    // Each blocked image has a smallest rule. Put before all others it admits that image, and blocks none.
    let mut rules: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in report["decisions"].as_array().unwrap().iter().filter(|one| one["now"] == "blocked") {
        let rule = one["smallest_rule"].as_str().unwrap_or_else(|| panic!("no rule for {one}"));
        rules.entry(rule).or_default().push(one["image"].as_str().unwrap());
    }
    let stricter = story.read("stricter.toml");
    for (rule, images) in &rules {
        let with = stricter.replacen("version = 1\n", &format!("version = 1\n\n{rule}"), 1);
        story.write("with.toml", &with);
        story.run(&["policy", "check", "with.toml"]).is(0, &[]);
        let report = story.simulate("with.toml", &["--format", "json"]).json();
        let (blocked, admitted) = (that_are(&report, "blocked"), that_are(&report, "admitted"));
        for image in images {
            assert!(admitted.contains(*image), "{image}\n{rule}");
        }
        assert!(blocked.is_subset(&expected), "{rule}");
    }
    // Of the base images all were signed by a, and the rule says so.
    let base = rules.iter().find(|(_, images)| images[0].contains("/base/os:")).unwrap();
    assert!(base.0.contains("a.pub") && base.0.contains("root-sha256"), "{}", base.0);

    // Compared with other rules, and not with what was recorded.
    let report =
        story.simulate("learnt.toml", &["--against", "stricter.toml", "--format", "json"]).is(0, &[]);
    assert_eq!(report.json()["newly_admitted"], 42);
}

#[test]
fn what_was_not_looked_at_can_not_be_told_and_what_is_broken_is_admitted_by_no_rule() {
    let story = Story::begin();
    let (web, os) = (story.name("acme/web:1.0"), story.name("base/os:1.0"));
    for image in [&web, &os] {
        story.record(image);
    }
    let scope = |more: &str| {
        format!(
            "version = 1\n[[scope]]\nname = \"all\"\nmatch = [\"{}/**\"]\ntrust = {{ repo = \"trust\", root = \"root.json\" }}\n{more}\n",
            story.registry.host()
        )
    };
    let simulate = |more: &str| {
        story.write("new.toml", &scope(more));
        story.simulate("new.toml", &[])
    };
    simulate("").is(0, &["2 images: 2 admitted"]);
    // Key a was looked for, and b was not: one of them can be said to be missing.
    simulate("signers = { keys = [\"a.pub\"] }")
        .is(1, &["blocked ", &web, "1 admitted, 0 can't be told, 1 blocked"]);
    let untold = simulate("signers = { keys = [\"b.pub\"] }");
    untold.is(3, &["unknown ", "not looked for: key sha256:", "0 admitted, 2 can't be told"]);
    // Two of which one was not looked for: the other alone is not enough, and more could be there.
    simulate("signers = { at-least = 2, keys = [\"a.pub\", \"b.pub\"] }").is(3, &["2 can't be told"]);
    simulate("scan = { fail-on = \"high\" }").is(3, &["a scan is demanded, and none was recorded"]);
    simulate("condition = \"size(signers) > 0\"").is(1, &["its condition doesn't hold"]);
    simulate("condition = \"scan.high == 0\"\nscan = {}").is(3, &["its condition looks at a scan"]);
    // Another root was not asked.
    let other = scope("").replace("root = \"root.json\"", &format!("root-sha256 = {:?}", "0".repeat(64)));
    story.write("new.toml", &other);
    story.simulate("new.toml", &[]).is(3, &["it was not asked of this root: expected sha256 000"]);

    // A tag that was moved: refused, recorded, and no rule lets it run.
    let moved = Image::named("something else").unwrap();
    moved.push_to(&story.registry, "acme/api", "1.0");
    let api = story.name("acme/api:1.0");
    let root = ["--repo", "trust", "--root", "root.json"];
    story.run(&[&["image", &api, "--record", "seen.jsonl"][..], &root].concat()).is(1, &[]);
    let run = simulate("").is(0, &["blocked ", &api, "its chain is broken", "no rule admits it"]);
    assert!(!run.out.contains("[[scope]]"), "{}", run.out);
    story
        .run(&["policy", "learn", "--inventory", "seen.jsonl"])
        .is(0, &["nothing is learnt from", "it was refused"]);
    // A name that rules deny is recorded without having been asked.
    story.write("deny.toml", "version = 1\n[[scope]]\nname = \"no\"\nmatch = [\"**\"]\ndeny = \"ask us\"\n");
    let name = story.name("acme/web:1.7");
    story.run(&["image", &name, "--policy", "deny.toml", "--record", "seen.jsonl"]).is(1, &[]);
    let last: Value = serde_json::from_str(story.read("seen.jsonl").lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["chain"], &last["verdict"], &last["scope"]),
        (&"unasked".into(), &"refused".into(), &"no".into())
    );
    simulate("").is(0, &["unknown ", "its chain was not begun"]);
}

#[test]
fn one_key_in_two_files_is_learnt_as_one_signer() {
    let story = Story::begin();
    story.write("again.pub", &story.read("a.pub"));
    let os = story.name("base/os:1.0");
    let root =
        ["--repo", "trust", "--root", "root.json", "--signer-key", "a.pub", "--signer-key", "again.pub"];
    story.run(&[&["image", &os, "--record", "seen.jsonl"][..], &root].concat()).is(0, &[]);
    story.run(&["policy", "learn", "--inventory", "seen.jsonl", "-o", "learnt.toml"]).is(0, &["1 scopes"]);
    assert!(story.read("learnt.toml").contains("at-least = 1"), "{}", story.read("learnt.toml"));
    story.simulate("learnt.toml", &[]).is(0, &["1 admitted"]);
    story.run(&["image", &os, "--policy", "learnt.toml"]).is(0, &[]);
}

#[test]
fn cases_are_tested_on_what_was_seen() {
    let story = Story::begin();
    let (web, os, db) = (story.name("acme/web:1.0"), story.name("base/os:1.0"), story.name("team/db:1.0"));
    for image in [&web, &os, &db] {
        story.record(image);
    }
    let rules = format!(
        "version = 1\n[[scope]]\nname = \"all\"\nmatch = [\"{}/**\"]\ntrust = {{ repo = \"trust\", root = \"root.json\" }}\n\
         roles = [\"targets\"]\nsigners = {{ keys = [\"a.pub\"] }}\n",
        story.registry.host()
    );
    story.write("policy.toml", &rules);
    let case = |image: &str, expect: &str, more: &str| {
        format!("[[case]]\nimage = {image:?}\nexpect = {expect:?}\n{more}\n")
    };
    let test = |cases: &str, more: &[&str]| {
        story.write("cases.toml", cases);
        let words = ["policy", "test", "cases.toml", "--policy", "policy.toml"];
        story.run(&[&words[..], more].concat())
    };
    let seen = ["--inventory", "seen.jsonl"];
    // By name all may run; by what was seen one of them was signed.
    let all = ["web", "os", "db"].len();
    let named = [&web, &os, &db].map(|image| case(image, "admit", "")).concat();
    test(&named, &[]).is(0, &[&format!("{all} cases as they should be, 0 not")]);
    let words = [
        format!(
            "{web}: expected admit by all, got deny by all: expected https://sigstore.dev/cosign/sign/v1 signed"
        ),
        format!("{db}: expected admit by all, got deny by all: a role may not speak for it"),
        "1 cases as they should be, 2 not; 0 by name alone".to_owned(),
    ];
    test(&named, &seen).is(1, &words.each_ref().map(String::as_str));
    let right =
        [case(&web, "deny", "scope = \"all\""), case(&os, "admit", ""), case(&db, "deny", "")].concat();
    test(&right, &seen).is(0, &["3 cases as they should be, 0 not; 0 by name alone"]);
    test(&case("evil.example.com/x:1", "deny", ""), &seen)
        .is(0, &["1 cases as they should be, 0 not; 1 by name"]);
    test(&case(&os, "admit", "role = \"releases\""), &seen)
        .is(1, &["expected role releases to speak for it, got targets"]);
    let line: Value = serde_json::from_str(story.read("seen.jsonl").lines().nth(1).unwrap()).unwrap();
    let digest = |hex: &str| format!("digest = \"{hex}\"");
    test(&case(&os, "admit", &digest(line["digest"].as_str().unwrap())), &seen).is(0, &["1 cases"]);
    test(&case(&os, "admit", &digest("sha256:00")), &seen).is(1, &["sha256:00 was not seen under this name"]);
    // What was not looked at is neither.
    story.write("policy.toml", &rules.replace("a.pub", "b.pub"));
    for expect in ["admit", "deny"] {
        test(&case(&os, expect, ""), &seen).is(1, &["got that it can't be told by all", "not looked for"]);
    }
}

#[test]
fn names_alone_are_an_inventory_and_say_what_names_can_say() {
    let story = Story::begin();
    story.write(
        "seen.jsonl",
        "# running\nr.io/acme/web:1.4\nr.io/acme/web:latest\n\ndocker.io/library/alpine\nr.io/acme/web:1.4\n",
    );
    story.write("new.toml", "version = 1\n[[scope]]\nname = \"acme\"\nmatch = [\"r.io/acme/*\"]\ntags = { deny = [\"latest\"] }\n");
    let report = story.simulate("new.toml", &["--format", "json"]).is(1, &[]).json();
    assert_eq!(
        (&report["images"], &report["by_name"], &report["blocked"]),
        (&3.into(), &1.into(), &2.into())
    );
    for one in report["decisions"].as_array().unwrap().iter().filter(|one| one["now"] == "blocked") {
        let rule = one["smallest_rule"].as_str().unwrap();
        let policy = story.read("new.toml").replacen("version = 1\n", &format!("version = 1\n{rule}"), 1);
        story.write("with.toml", &policy);
        let report = story.simulate("with.toml", &["--format", "json"]).json();
        assert!(that_are(&report, "by-name").contains(one["image"].as_str().unwrap()), "{rule}");
    }
    story
        .run(&["policy", "learn", "--inventory", "seen.jsonl"])
        .is(1, &["expected images that are trusted, got none"]);
    // On stdin, as from another program.
    use std::io::Write as _;
    let words = ["policy", "simulate", "--inventory", "-", "--policy", "new.toml"];
    let mut child = story.command(&words).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"r.io/acme/web:1.4\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    story.write("seen.jsonl", "");
    story.simulate("new.toml", &[]).is(2, &["expected images, got none"]);
}

#[test]
fn lines_of_many_processes_are_whole_and_only_their_owner_reads_them() {
    let story = Story::begin();
    let images: Vec<_> = story.images.iter().take(8).collect();
    let start = |image: &&String| {
        let words = ["image", image, "--record", "seen.jsonl", "--repo", "trust", "--root", "root.json"];
        story.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    let children: Vec<_> = images.iter().map(start).collect();
    for mut child in children {
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
    let names: BTreeSet<String> = story
        .read("seen.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["image"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names.len(), 8);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(story.path("seen.jsonl")).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // What can't be recorded is not said to be trusted.
    let words = ["image", images[0], "--record", "/dev/full", "--repo", "trust", "--root", "root.json"];
    if PathBuf::from("/dev/full").exists() {
        let run = story.run(&words).is(3, &["could not record to /dev/full"]);
        assert_eq!(run.out, "");
    }
    let words = ["image", images[0], "--record", "no/such/folder", "--repo", "trust", "--root", "root.json"];
    story.run(&words).is(2, &["no/such/folder can't be used"]);
    // Pulling records, too.
    let words = [
        "pull",
        images[0],
        "oci:out:1",
        "--record",
        "pulled.jsonl",
        "--repo",
        "trust",
        "--root",
        "root.json",
    ];
    story.run(&words).is(0, &[]);
    let line: Value = serde_json::from_str(story.read("pulled.jsonl").trim()).unwrap();
    assert_eq!((&line["verdict"], &line["chain"]), (&"trusted".into(), &"held".into()));
}

#[test]
fn rules_are_learnt_from_images_that_are_looked_at_now() {
    let story = Story::begin();
    let (web, os) = (story.name("acme/web:1.0"), story.name("base/os:1.0"));
    let root = ["--repo", "trust", "--root", "root.json", "--signer-key", "a.pub", "-o", "now.toml"];
    story
        .run(&[&["policy", "learn", &web, &os][..], &root].concat())
        .is(0, &["learnt 2 scopes from 2 images"]);
    story.run(&["policy", "check", "now.toml", "--strict"]).is(0, &[]);
    for image in [&web, &os] {
        story.run(&["image", image, "--policy", "now.toml"]).is(0, &[]);
    }
    // A root that is believed on first use is in the rules, and pinned nowhere.
    let first = ["policy", "learn", &web, "--repo", "trust", "--trust-on-first-use"];
    let run = story.run(&first).is(0, &["root-sha256 = "]);
    assert!(!story.path("home/.local/share/hallmark/trust").exists());
    story.write("first.toml", &run.out);
    story.run(&["image", &web, "--policy", "first.toml"]).is(0, &[]);
    story.run(&["policy", "learn", &web]).is(1, &["no root is pinned", "expected images that are trusted"]);
    let words = ["expected an image in a registry", "hint: `verify image LAYOUT --as NAME --record FILE`"];
    story.run(&["policy", "learn", "oci:layout:1"]).is(2, &words);
}

/// A database of one advisory, on Debian's bash.
fn database(folder: &std::path::Path) {
    use std::io::Write as _;
    let advisory = r#"{ "id": "DEBIAN-CVE-2026-7", "modified": "2026-01-01T00:00:00Z", "aliases": ["CVE-2026-7"],
        "severity": [{ "type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H" }],
        "affected": [{ "package": { "ecosystem": "Debian:12", "name": "bash" },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": "5.2.15-3" }] }] }] }"#;
    fs::create_dir_all(folder.join("osv/Debian")).unwrap();
    let mut zip = zip::ZipWriter::new(fs::File::create(folder.join("osv/Debian/all.zip")).unwrap());
    zip.start_file("advisory.json", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(advisory.as_bytes()).unwrap();
    zip.finish().unwrap();
    advisories::build(&folder.join("osv"), &folder.join("advisories.db")).unwrap();
}

#[test]
fn what_a_scan_found_is_rehearsed_as_it_is_decided() {
    let story = Story::begin();
    database(story.folder.path());
    let image = story.name("debian/bash:1");
    let scope = |more: &str| {
        format!(
            "version = 1\n[[scope]]\nname = \"all\"\nmatch = [\"{}/**\"]\ntrust = {{ repo = \"trust\", root = \"root.json\" }}\n{more}\n",
            story.registry.host()
        )
    };
    story.write(
        "lax.toml",
        &scope("scan = { db = \"advisories.db\" }\ncondition = \"scan.critical == 1 && scan.fixable == 1\""),
    );
    story.run(&["image", &image, "--policy", "lax.toml", "--record", "seen.jsonl"]).is(0, &[]);
    story.simulate("lax.toml", &[]).is(0, &["1 images: 1 admitted"]);
    story.is_of_schema("seen.jsonl", "inventory");
    let ignored =
        "ignore = [{ id = \"CVE-2026-7\", package = \"bash\", reason = \"no shell\", expires = 2999-01-01 }]";
    for (rules, code) in [
        ("fail-on = \"high\"", 4),
        ("fail-on = \"critical\", fixable-only = true", 4),
        ("fail-on-exploited = true", 0),
        ("max-db-age = \"7d\"", 4),
        (&format!("fail-on = \"any\", {ignored}"), 0),
    ] {
        story.write("new.toml", &scope(&format!("scan = {{ db = \"advisories.db\", {rules} }}")));
        // The rehearsal, the verification and the scan come to the same.
        story.run(&["image", &image, "--policy", "new.toml"]).is(code, &[]);
        story.run(&["scan", &image, "--policy", "new.toml"]).is(code, &[]);
        let report = story.simulate("new.toml", &["--format", "json"]).is(i32::from(code != 0), &[]).json();
        let Some(rule) = report["decisions"][0]["smallest_rule"].as_str() else {
            assert_eq!(code, 0);
            continue;
        };
        assert!(report["decisions"][0]["why"][0].as_str().unwrap().contains("a rule of the scan is broken"));
        let with = scope(&format!("scan = {{ db = \"advisories.db\", {rules} }}"));
        story.write("with.toml", &with.replacen("version = 1\n", &format!("version = 1\n{rule}"), 1));
        story.simulate("with.toml", &[]).is(0, &["1 images: 1 admitted"]);
        story.run(&["image", &image, "--policy", "with.toml"]).is(0, &[]);
    }
}
