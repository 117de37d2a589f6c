//! 5.7: the target itself, by the program that the conformance suite drives.

use std::fs;
use std::process::Command;

use tuf_core::hash::{sha256_hex, sha512_hex};
use tuf_core::schema::Target;

use crate::support::{Scene, listed};

/// A download by the program, with the clock of this machine.
struct Download {
    scene: Scene,
}

impl Download {
    fn new() -> Self {
        let scene = Scene::starting(std::time::SystemTime::now().into());
        let root = scene.folder.path().join("first.json");
        fs::write(&root, &scene.root).unwrap();
        let download = Self { scene };
        download.run(&["init", root.to_str().unwrap()]).unwrap();
        download
    }

    fn run(&self, words: &[&str]) -> Result<(), String> {
        let folder = self.scene.folder.path();
        let targets = folder.join("targets");
        fs::create_dir_all(&targets).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tuf-conformance"));
        command.arg("--metadata-dir").arg(folder.join("metadata"));
        command.args(["--metadata-url", &self.scene.url("metadata")]);
        command.arg("--target-dir").arg(targets);
        command.args(["--target-base-url", &self.scene.url("targets")]);
        let done = command.args(words).output().unwrap();
        if done.status.success() { Ok(()) } else { Err(String::from_utf8(done.stderr).unwrap()) }
    }

    fn get(&self, path: &str) -> Result<(), String> {
        self.run(&["--target-name", path, "download"])
    }

    fn list(&self, path: &str, target: &Target) {
        self.scene.publish(|repo| repo.role_mut("targets").set_target(path, target).unwrap());
    }

    fn serve(&self, file: &str, bytes: &[u8]) {
        self.scene.served().content.insert(file.to_owned(), bytes.to_vec());
    }

    /// The contents of all files that were downloaded.
    fn have(&self) -> Vec<Vec<u8>> {
        listed(&self.scene.folder.path().join("targets")).iter().map(|path| fs::read(path).unwrap()).collect()
    }

    fn asked(&self) -> Vec<String> {
        let requests = self.scene.requests();
        requests.into_iter().filter(|path| path.starts_with("/targets/")).collect()
    }
}

fn hashed(bytes: &[u8], hashes: &[(&str, &str)]) -> Target {
    let hashes = hashes.iter().map(|(name, hash)| ((*name).to_owned(), (*hash).to_owned())).collect();
    Target { hashes, ..Target::of(bytes) }
}

#[test]
fn a_target_is_fetched_under_its_hash_and_not_again_while_it_fits() {
    // 5.7.3, 6.2: `dir/HASH.name`.
    let it = Download::new();
    for (path, file) in [
        ("web", format!("{}.web", sha256_hex(b"web"))),
        ("acme/team/web", format!("acme/team/{}.web", sha256_hex(b"web"))),
    ] {
        it.list(path, &Target::of(b"web"));
        it.serve(&file, b"web");
        it.get(path).unwrap();
        assert_eq!(it.asked(), [format!("/targets/{file}")]);
        it.get(path).unwrap();
        assert_eq!(it.asked(), [""; 0]);
    }
    assert_eq!(it.have(), [b"web", b"web"]);
}

#[test]
fn a_target_without_consistent_names_is_fetched_under_its_own() {
    let it = Download::new();
    it.scene.publish(|repo| repo.role_mut("root").signed_mut()["consistent_snapshot"] = false.into());
    it.list("acme/web", &Target::of(b"web"));
    it.serve("acme/web", b"web");
    it.get("acme/web").unwrap();
    assert_eq!(it.asked(), ["/targets/acme/web"]);
}

#[test]
fn bytes_that_are_not_the_targets_are_refused_and_no_file_is_left() {
    // 5.7.1, 5.7.3: good, attack, as before, good again.
    let it = Download::new();
    it.list("web", &Target::of(b"good web"));
    let file = format!("{}.web", sha256_hex(b"good web"));
    it.serve(&file, b"good web");
    it.get("web").unwrap();
    let wrong = sha256_hex(b"evil web");
    fs::remove_file(listed(&it.scene.folder.path().join("targets")).remove(0)).unwrap();
    for (bytes, sentence) in [
        (
            &b"evil web"[..],
            format!(
                "target \"web\" expected sha256:{}, got sha256:{wrong} (TUF 5.7.3)",
                sha256_hex(b"good web")
            ),
        ),
        (b"good", "target \"web\" expected 8 bytes, got 4 (TUF 5.7.3)".to_owned()),
        (b"good web and more", "sent too much: expected at most 8 bytes, got 17".to_owned()),
    ] {
        it.serve(&file, bytes);
        let refused = it.get("web").expect_err("other bytes");
        assert!(refused.trim_end().ends_with(&sentence), "{refused}");
        assert!(it.have().is_empty());
    }
    it.serve(&file, b"good web");
    it.get("web").unwrap();
    assert_eq!(it.have(), [b"good web"]);
}

#[test]
fn a_target_that_changed_is_fetched_anew_and_replaces_the_old_one() {
    let it = Download::new();
    for (bytes, stale) in [(&b"first"[..], false), (b"second", false), (b"third", true)] {
        it.list("web", &Target::of(bytes));
        let file = format!("{}.web", sha256_hex(bytes));
        it.serve(&file, if stale { b"stale" } else { bytes });
        let had = it.have();
        if stale {
            assert!(it.get("web").is_err());
            assert_eq!(it.have(), had, "the last good one stays");
            it.serve(&file, bytes);
        }
        it.get("web").unwrap();
        assert_eq!(it.have(), [bytes]);
    }
}

#[test]
fn any_hash_that_we_know_serves_and_without_one_nothing_is_kept() {
    // HASHES of section 4.5.
    let (sha256, sha512) = (sha256_hex(b"web"), sha512_hex(b"web"));
    let good: &[&[(&str, &str)]] = &[
        &[("sha256", &sha256)],
        &[("sha512", &sha512)],
        &[("sha256", &sha256), ("sha512", &sha512)],
        &[("sha256", &sha256), ("whirlpool", "00")],
    ];
    for hashes in good {
        let it = Download::new();
        it.list("web", &hashed(b"web", hashes));
        for hash in [&sha256, &sha512] {
            it.serve(&format!("{hash}.web"), b"web");
        }
        it.get("web").unwrap_or_else(|why| panic!("{hashes:?}: {why}"));
        assert_eq!(it.have(), [b"web"], "{hashes:?}");
    }
    let none = "expected a sha256 or sha512 hash, got whirlpool".to_owned();
    let wrong = "0".repeat(64);
    for (hashes, sentence) in [
        (vec![("whirlpool", sha256.as_str())], none),
        (
            vec![("sha256", wrong.as_str()), ("sha512", &sha512)],
            format!("expected sha256:{wrong}, got sha256:{sha256}"),
        ),
    ] {
        let it = Download::new();
        it.list("web", &hashed(b"web", &hashes));
        for (_, hash) in &hashes {
            it.serve(&format!("{hash}.web"), b"web");
        }
        let refused = it.get("web").expect_err("no hash that fits");
        assert!(refused.contains(&sentence), "{refused}");
        assert!(it.have().is_empty());
    }
}

#[test]
fn a_target_that_nobody_lists_is_not_asked_for_but_the_update_is_made() {
    // 5.6.7: refreshed first, then looked up.
    let it = Download::new();
    assert_eq!(
        it.get("web").expect_err("no target"),
        "error: target \"web\": expected a role that lists it, got none (TUF 5.7.2)\n"
    );
    let requests = it.scene.requests();
    assert_eq!(requests, ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"]);
    assert!(it.have().is_empty());
}

#[test]
fn of_several_targets_those_before_the_first_bad_one_are_kept() {
    let it = Download::new();
    for name in ["a", "b", "c"] {
        it.list(name, &Target::of(name.as_bytes()));
        it.serve(
            &format!("{}.{name}", sha256_hex(name.as_bytes())),
            if name == "b" { b"x" } else { name.as_bytes() },
        );
    }
    let words: Vec<_> =
        ["a", "b", "c"].iter().flat_map(|name| ["--target-name", name]).chain(["download"]).collect();
    let refused = it.run(&words).expect_err("a bad one");
    assert!(refused.contains("target \"b\" expected sha256:"), "{refused}");
    assert_eq!(it.have(), [b"a"]);
}

#[test]
fn a_target_path_is_asked_for_as_it_stands_and_only_what_no_address_has_is_escaped() {
    // 4.5: TARGETPATH is a path-relative URL string; 5.7.3 asks for it.
    let hash = sha256_hex(b"web");
    for (path, asked) in [
        ("a%20b/c%2Bd", format!("a%20b/{hash}.c%2Bd")),
        ("acme/web:1.4", format!("acme/{hash}.web:1.4")),
        ("a b?c#d", format!("{hash}.a%20b%3Fc%23d")),
        ("a%2Fb", format!("{hash}.a%2Fb")),
        ("100%", format!("{hash}.100%25")),
    ] {
        let it = Download::new();
        it.list(path, &Target::of(b"web"));
        let refused = it.get(path).expect_err("nothing is served");
        assert!(refused.contains(&format!("expected \"{asked}\", got nothing")), "{refused}");
        assert_eq!(it.asked(), [format!("/targets/{asked}")], "{path}");
    }
    for path in ["a/%2e%2e/b", "..%2Fb", "..\\b", "/b", "b/"] {
        let it = Download::new();
        it.list(path, &Target::of(b"web"));
        let refused = it.get(path).expect_err("it has no address");
        assert!(refused.contains("its path has a segment that no address can have"), "{refused}");
        assert!(it.asked().is_empty(), "{path}");
    }
}

#[test]
fn a_target_name_leads_to_no_file_outside() {
    for path in ["../up", "/etc/up", "a/../../up", "a//b", ".", "..", "?x", "#x", "%2e%2e/up"] {
        let it = Download::new();
        it.list(path, &Target::of(b"web"));
        // Wherever it is fetched from: what matters is where it is put.
        let _ = it.get(path);
        let mut names: Vec<_> =
            fs::read_dir(it.scene.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["first.json", "metadata", "targets"], "{path}");
        assert!(!it.scene.folder.path().parent().unwrap().join("up").exists(), "{path}");
    }
}
