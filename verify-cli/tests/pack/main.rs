//! Packs: made of what is trusted, judged without a network, and refused where anything in them was changed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::arithmetic_side_effects, reason = "tests")]

mod archive;
mod attacks;
mod evidence;
mod offline;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use test_repos::simulator::Keyholder;
use test_repos::surface::{Endpoints, Surface, SurfaceKind};

use archive::Archive;

/// A publisher's repository and image, and two users: one who packs, and one who has only the pack and a root.
pub(crate) struct Story {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) surface: Surface,
    pub(crate) endpoints: Endpoints,
}

#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// That it ended so, and said so.
    #[track_caller]
    pub(crate) fn is(self, code: i32, says: &[&str]) -> Self {
        assert_eq!(self.code, code, "{}{}", self.out, self.err);
        for words in says {
            assert!(self.err.contains(words), "expected {words:?} in {}", self.err);
        }
        if code != 0 {
            assert_eq!(self.out, "", "nothing is printed that could be pulled");
        }
        self
    }
}

impl Story {
    pub(crate) fn begin(kind: SurfaceKind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let surface = Surface::start(kind, folder.path()).unwrap();
        let endpoints = surface.endpoints().unwrap();
        fs::write(folder.path().join("root.json"), &endpoints.root).unwrap();
        Self { folder, surface, endpoints }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn command(&self, home: &str, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_verify"));
        command.args(words).env_clear().env("HOME", self.path(home)).current_dir(self.folder.path());
        command
    }

    pub(crate) fn verify(&self, home: &str, words: &[&str]) -> Run {
        Run::of(&self.command(home, words).output().unwrap())
    }

    /// What the one who packs says of the image, by its repository and root.
    pub(crate) fn call<'a>(&'a self, verb: &'a str, at: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let mut words = vec![verb, &self.endpoints.image, "--as", &self.endpoints.name];
        words.extend(["--repo", &self.endpoints.repo, "--root", "root.json", "--at", at]);
        if !more.contains(&"--all-platforms") {
            words.extend(["--platform", self.endpoints.platform]);
        }
        words.extend(more);
        words
    }

    pub(crate) fn at(&self) -> String {
        self.endpoints.now.to_rfc3339()
    }

    pub(crate) fn pack(&self, file: &str, more: &[&str]) -> Run {
        let at = self.at();
        let mut words = self.call("pack", &at, more);
        words.extend(["-o", file]);
        self.verify("home", &words)
    }

    /// What somebody else makes of a pack, who has the root.
    pub(crate) fn judge(&self, file: &str, more: &[&str]) -> Run {
        let at = self.at();
        let mut words = vec!["image", "--pack", file, "--root", "root.json"];
        if !more.contains(&"--at") {
            words.extend(["--at", &at]);
        }
        words.extend(more);
        self.verify("other", &words)
    }

    /// The same on a machine that has accepted nothing yet: what a pack lacks, no earlier one has brought.
    pub(crate) fn judge_first(&self, file: &str, more: &[&str]) -> Run {
        fs::remove_dir_all(self.path("fresh")).ok();
        self.judge(file, &[more, &["--state", "fresh"]].concat())
    }

    pub(crate) fn read(&self, file: &str) -> Archive {
        Archive::read(&fs::read(self.path(file)).unwrap())
    }

    pub(crate) fn write(&self, file: &str, archive: &Archive) {
        fs::write(self.path(file), archive.write()).unwrap();
    }

    pub(crate) fn pinned(&self) -> String {
        let world = self.surface.world();
        format!("{}@{}\n", world.name, world.index())
    }
}

fn none_in(folder: &Path, name: &str) {
    let names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let like = |one: &&std::ffi::OsString| one.to_string_lossy().contains(name);
    assert!(!names.iter().any(|one| like(&one)), "{names:?}");
}

#[test]
fn a_pack_is_judged_by_the_same_chain_without_a_repository() {
    for kind in [SurfaceKind::Directory, SurfaceKind::Http] {
        let story = Story::begin(kind);
        let run = story.pack("web.hpk", &[]).is(0, &["wrote web.hpk", "trusted "]);
        assert_eq!(run.out, story.pinned());
        let run =
            story.judge("web.hpk", &["--explain"]).is(0, &["trusted registry.example.com/acme/web:1.4"]);
        assert_eq!(run.out, story.pinned());
        for words in [
            "ok      root",
            "later   layer",
            "as of 20",
            "the index, whose own digest is signed",
            "not looked at:",
        ] {
            assert!(run.err.contains(words), "{words} in {}", run.err);
        }
        // By the name too, and not by another.
        story.judge("web.hpk", &["--as", &story.endpoints.name]).is(0, &[]);
        story
            .judge("web.hpk", &["registry.example.com/acme/other:1.4"])
            .is(1, &["is of another image: expected registry.example.com/acme/other:1.4, got registry.example.com/acme/web:1.4"]);
    }
}

#[test]
fn with_layers_every_blob_is_hashed_and_all_platforms_are_in_it() {
    let story = Story::begin(SurfaceKind::Directory);
    story.pack("all.hpk", &["--all-platforms", "--with-layers"]).is(0, &[]);
    let run = story.judge("all.hpk", &["--format", "json"]).is(0, &[]);
    let json: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(json["platforms"].as_array().unwrap().len(), 2, "{json}");
    assert!(json["platforms"].as_array().unwrap().iter().all(|one| one["layers"] == "hashed"));
    let index = story.read("all.hpk").index();
    assert_eq!((&index["complete"], &index["layers"]), (&true.into(), &true.into()));
    story.judge("all.hpk", &["--platform", "linux/arm64"]).is(0, &["every blob was hashed"]);
    // What isn't in a pack was not seen: it is never trusted.
    story.pack("one.hpk", &["--with-layers"]).is(0, &[]);
    story.judge("one.hpk", &["--platform", "linux/arm64"]).is(3, &["is not in it"]);
}

#[test]
fn the_same_content_makes_the_same_bytes() {
    let story = Story::begin(SurfaceKind::Directory);
    story.pack("a.hpk", &["--with-layers"]).is(0, &[]);
    story.pack("b.hpk", &["--with-layers"]).is(0, &[]);
    assert_eq!(fs::read(story.path("a.hpk")).unwrap(), fs::read(story.path("b.hpk")).unwrap());
    // Code that isn't the program's writes the same.
    assert!(story.read("a.hpk").write() == fs::read(story.path("a.hpk")).unwrap());
}

#[test]
fn the_tree_leads_from_the_root_to_each_blob() {
    let story = Story::begin(SurfaceKind::Directory);
    story.pack("web.hpk", &[]).is(0, &[]);
    let run = story.judge("web.hpk", &["--format", "json"]).is(0, &[]);
    let json: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    let mut node = &json["tree"];
    let mut stages = vec![];
    loop {
        stages.push(node["link"]["stage"].as_str().unwrap().to_owned());
        let children = node["children"].as_array();
        match children.and_then(|children| children.last()) {
            Some(last) => node = last,
            None => break,
        }
    }
    let chain = [
        "reference",
        "trust",
        "root",
        "timestamp",
        "snapshot",
        "targets",
        "target",
        "manifest",
        "child",
        "layer",
    ];
    assert_eq!(stages, chain);
    // The same links, no more and no less.
    fn count(node: &serde_json::Value) -> usize {
        1 + node["children"].as_array().map_or(0, |all| all.iter().map(count).sum())
    }
    assert_eq!(count(&json["tree"]), json["links"].as_array().unwrap().len());
}

#[test]
fn without_a_root_of_the_users_own_a_pack_is_refused_and_the_answer_names_the_one_it_holds() {
    let story = Story::begin(SurfaceKind::Directory);
    story.pack("web.hpk", &[]).is(0, &[]);
    let fingerprint = test_repos::sha256_digest(&story.endpoints.root);
    let hex = fingerprint.strip_prefix("sha256:").unwrap();
    let at = story.at();
    let judge = |more: &[&str]| {
        story.verify("other", &[&["image", "--pack", "web.hpk", "--at", &at][..], more].concat())
    };
    judge(&[]).is(1, &["a pack can't vouch for itself", &fingerprint, "hint: "]);
    judge(&["--root-sha256", hex]).is(0, &[]);
    judge(&["--root-sha256", &hex.replace(|one: char| one.is_ascii_digit(), "0")])
        .is(1, &["expected a root with sha256", "got root version 1 with sha256:"]);
    judge(&["--repo", &story.endpoints.repo, "--root", "root.json"]).is(2, &["cannot be used with"]);
    judge(&["--trust-on-first-use"]).is(2, &[]);
    // A pin.
    let scope = "registry.example.com/acme/*";
    let words =
        ["trust", "add", "acme", "--scope", scope, "--repo", &story.endpoints.repo, "--root", "root.json"];
    assert_eq!(story.verify("other", &words).code, 0);
    judge(&["--explain"]).is(0, &["by pin \"acme\""]);
}

#[test]
fn a_pack_ages_and_the_verdict_says_as_of_when() {
    let story = Story::begin(SurfaceKind::Directory);
    story.pack("web.hpk", &[]).is(0, &[]);
    story.judge("web.hpk", &["--at", "2999-01-01T00:00:00Z"]).is(1, &["expired at "]);
    let at = story.at();
    story.judge("web.hpk", &["--at", &at, "--explain"]).is(0, &[&format!("as of {at}")]);
}

#[test]
fn nothing_is_replaced_unless_that_is_said() {
    let story = Story::begin(SurfaceKind::Directory);
    fs::write(story.path("web.hpk"), "a letter").unwrap();
    story.pack("web.hpk", &[]).is(2, &["web.hpk is there already", "--force"]);
    assert_eq!(fs::read(story.path("web.hpk")).unwrap(), b"a letter");
    story.pack("web.hpk", &["--force"]).is(0, &[]);
    story.judge("web.hpk", &[]).is(0, &[]);
    story.pack(".", &["--force"]).is(2, &["got the folder"]);
    story.pack("nowhere/web.hpk", &[]).is(3, &["nowhere/web.hpk"]);
}

#[test]
fn of_an_image_that_is_not_trusted_no_pack_is_made() {
    let mut story = Story::begin(SurfaceKind::Directory);
    {
        let mut world = story.surface.world();
        let (tag, unsigned) = (world.tag.clone(), world.unsigned());
        world.images.tags.insert(tag, unsigned);
    }
    story.endpoints = story.surface.endpoints().unwrap();
    story.pack("web.hpk", &[]).is(1, &["error: refused "]);
    none_in(story.folder.path(), "hpk");
    none_in(story.folder.path(), ".hallmark-");
    // A layer that is bad is found as it is copied, and leaves no file either.
    let story = Story::begin(SurfaceKind::Http);
    for entry in fs::read_dir(story.path("image").join("blobs/sha256")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        if bytes.starts_with(&[0x1f, 0x8b]) {
            bytes[9] ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    story.pack("bad.hpk", &["--with-layers"]).is(1, &["layer sha256:", "expected digest "]);
    none_in(story.folder.path(), "hpk");
    none_in(story.folder.path(), ".hallmark-");
}

#[test]
fn roots_before_and_after_the_pinned_one_are_in_the_pack() {
    let story = Story::begin(SurfaceKind::Http);
    {
        let mut world = story.surface.world();
        world.publish_root().unwrap();
        world.publish_root().unwrap();
    }
    let second = story.surface.world().repo.fetch("2.root.json").unwrap().unwrap();
    fs::write(story.path("second.json"), second).unwrap();
    let at = story.at();
    let words = story.call("pack", &at, &["-o", "web.hpk"]);
    let words: Vec<_> =
        words.iter().map(|word| if *word == "root.json" { "second.json" } else { word }).collect();
    story.verify("home", &words).is(0, &[]);
    let names = story.read("web.hpk").names();
    for version in 1..=3 {
        assert!(names.contains(&format!("tuf/metadata/{version}.root.json")), "{names:?}");
    }
    story.judge("web.hpk", &["--explain"]).is(0, &["root version 1 with", "version 3, until"]);
    let words = ["image", "--pack", "web.hpk", "--root", "second.json", "--at", &at];
    story.verify("third", &words).is(0, &[]);
}

#[test]
fn the_rules_are_in_it_for_the_record_and_are_never_judged_by() {
    let story = Story::begin(SurfaceKind::Directory);
    let rules = format!(
        "version = 1\n[[scope]]\nname = \"acme\"\nmatch = [\"registry.example.com/acme/**\"]\n\
         trust = {{ repo = {:?}, root = \"root.json\" }}\n",
        story.endpoints.repo
    );
    fs::write(story.path("policy.toml"), &rules).unwrap();
    let at = story.at();
    let words = [
        "pack",
        &story.endpoints.image,
        "--as",
        &story.endpoints.name,
        "--at",
        &at,
        "--policy",
        "policy.toml",
        "-o",
        "web.hpk",
        "--platform",
        "linux/amd64",
    ];
    story.verify("home", &words).is(0, &[]);
    assert_eq!(story.read("web.hpk").get("hallmark/policy.toml").unwrap(), rules.as_bytes());
    // Whoever judges has rules, and a root, of their own.
    story
        .verify("other", &["image", "--pack", "web.hpk", "--at", &at])
        .is(1, &["no root is given or pinned"]);
    let judged = ["image", "--pack", "web.hpk", "--at", &at, "--policy", "policy.toml", "--explain"];
    story.verify("other", &judged).is(0, &["scope acme"]);
    fs::write(story.path("policy.toml"), rules.replace("acme/**", "other/**")).unwrap();
    story.verify("other", &judged).is(1, &["no scope fits"]);
}

/// What holds where the image was verified, and not for whoever has the pack alone, is found before there is one.
#[test]
fn the_condition_of_the_rules_is_weighed_again_as_the_reader_of_the_pack_will() {
    let story = Story::begin(SurfaceKind::Directory);
    let at = story.at();
    let words = ["trust", "add", "acme", "--scope", "registry.example.com/acme/*", "--root", "root.json"];
    let pinned = story.verify("home", &[&words[..], &["--repo", &story.endpoints.repo]].concat());
    assert_eq!(pinned.code, 0, "{}", pinned.err);
    let pack = |condition: &str, trust: &str| {
        let rules = format!(
            "version = 1\n[[scope]]\nname = \"acme\"\nmatch = [\"registry.example.com/acme/**\"]\n\
             {trust}\ncondition = \"{condition}\"\n"
        );
        fs::write(story.path("policy.toml"), &rules).unwrap();
        let words = ["pack", &story.endpoints.image, "--as", &story.endpoints.name, "--at", &at];
        let by = ["--policy", "policy.toml", "-o", "web.hpk", "--platform", "linux/amd64"];
        story.verify("home", &[&words[..], &by].concat())
    };
    pack("image.tag == '9'", "").is(1, &["condition"]);
    // The pin says which repository, and the reader of a pack has none.
    pack("repo.startsWith('/')", "").is(3, &["was not written", "a condition on `repo`"]);
    assert!(!story.path("web.hpk").exists());
    let trust = format!("trust = {{ repo = {:?}, root = \"root.json\" }}", story.endpoints.repo);
    pack("image.tag == '1.4' && repo.startsWith('/')", &trust).is(0, &[]);
    story.verify("other", &["image", "--pack", "web.hpk", "--at", &at, "--policy", "policy.toml"]).is(0, &[]);
}

/// Each role that was asked is in the pack, whatever its name: the one that speaks, and one that had nothing to say.
#[test]
fn delegated_roles_are_in_the_pack_and_the_image_hangs_on_the_one_that_speaks_for_it() {
    let mut story = Story::begin(SurfaceKind::Directory);
    let long = format!("a role / {}", "x".repeat(120));
    {
        let mut world = story.surface.world();
        let pattern = world.sibling_names();
        world.repo.delegate("silent", &Keyholder::named("silent"), &[&pattern]);
        world.repo.delegate(&long, &Keyholder::named("team"), &[&pattern]);
        let digest = world.index();
        world.announce_as(&long, "2.0", &digest).unwrap();
        world.images.tags.insert("2.0".to_owned(), digest);
        world.tag = "2.0".to_owned();
        world.repo.publish().unwrap();
    }
    story.endpoints = story.surface.endpoints().unwrap();
    story.pack("web.hpk", &[]).is(0, &[]);
    let names = story.read("web.hpk").names();
    let of = |what: &str| names.iter().filter(|name| name.contains(what)).count();
    assert_eq!((of(".silent.json"), of("tuf/metadata/sha256-")), (1, 1), "{names:?}");
    let run = story.judge_first("web.hpk", &["--format", "json"]).is(0, &[]);
    let json: serde_json::Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(json["role"], *long);
    let team = "/tree/children/0/children/0/children/0/children/0/children/0/children/0";
    assert_eq!(json.pointer(team).unwrap()["link"]["subject"], format!("delegated role {long:?}"));
    assert_eq!(json.pointer(team).unwrap()["children"][0]["link"]["stage"], "target");
    // Without the one that had nothing to say, nobody knows what it would have said.
    let mut bad = story.read("web.hpk");
    bad.remove(names.iter().find(|name| name.contains(".silent.json")).unwrap());
    story.write("bad.hpk", &bad.honest());
    let run = story.judge_first("bad.hpk", &[]);
    assert!([1, 3].contains(&run.code) && run.out.is_empty(), "{} {}", run.code, run.err);
}
