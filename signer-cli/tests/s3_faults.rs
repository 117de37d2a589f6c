//! An object store that vanishes, forbids or stumbles at any write of a publish: the error says so, clients get the
//! old state or the new one, and the next publish goes on. The store is moto; between it and the real `signer` sits a
//! proxy of ours.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use support::client::Reader;
use support::faulty::{Fault, Proxy};
use support::moto::Moto;
use support::{Desk, NAME, Said, copy};

/// A publisher whose place is in moto, behind the proxy, and a folder in which clients see what is there.
struct Story {
    desk: Desk,
    moto: Moto,
    proxy: Proxy,
}

impl Story {
    fn begin() -> Option<Self> {
        let story = Self::before()?;
        story.publish().ok();
        Some(story)
    }

    /// Nothing is published there yet.
    fn before() -> Option<Self> {
        let moto = Moto::start()?;
        moto.request("PUT", "/trust");
        let proxy = Proxy::to(moto.port);
        Some(Self { desk: Desk::published(), moto, proxy })
    }

    fn signer(&self, arguments: &[&str]) -> Said {
        self.signer_at(&self.desk, "repo", arguments)
    }

    fn signer_at(&self, desk: &Desk, prefix: &str, arguments: &[&str]) -> Said {
        let place = format!("s3://trust/{prefix}?endpoint=http://127.0.0.1:{}", self.proxy.port);
        let mut command = desk.command(arguments);
        command
            .args(["--to", &place])
            .env("AWS_ACCESS_KEY_ID", "me")
            .env("AWS_SECRET_ACCESS_KEY", "hush-hush");
        let said = Said::of(&command.output().unwrap());
        assert!(!said.stderr.contains("hush-hush"), "{}", said.stderr);
        said
    }

    fn publish(&self) -> Said {
        self.signer(&["publish"])
    }

    /// Stages an image under [`NAME`].
    fn add(&self, content: &str) -> String {
        let digest = self.desk.image(content);
        self.signer(&["add", &format!("oci:{content}:1.4"), "--as", NAME]).ok();
        digest
    }

    /// Copies what is in the bucket to where clients look, as a mirror would.
    fn mirror(&self, prefix: &str) -> PathBuf {
        let listing = self.moto.request("GET", &format!("/trust?list-type=2&prefix={prefix}/"));
        let mirror = self.desk.path("mirror").join(prefix);
        for key in listing.split("<Key>").skip(1).map(|rest| rest.split("</Key>").next().unwrap()) {
            let to = mirror.join(key.strip_prefix(prefix).unwrap().trim_start_matches('/'));
            if !to.exists() || key.ends_with("/timestamp.json") {
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::write(to, self.moto.request("GET", &format!("/trust/{key}"))).unwrap();
            }
        }
        mirror.join("metadata")
    }

    /// Of timestamp, snapshot and targets.
    fn versions(&self) -> [u64; 3] {
        let metadata = self.mirror("repo");
        let read = |file: &str| -> Value {
            serde_json::from_slice(&fs::read(metadata.join(file)).unwrap()).unwrap()
        };
        let version = |file: &Value, name: &str| file["signed"]["meta"][name]["version"].as_u64().unwrap();
        let timestamp = read("timestamp.json");
        let snapshot = version(&timestamp, "snapshot.json");
        let targets = version(&read(&format!("{snapshot}.snapshot.json")), "targets.json");
        [timestamp["signed"]["version"].as_u64().unwrap(), snapshot, targets]
    }

    fn reader(&self) -> Reader {
        let metadata = self.mirror("repo");
        Reader::new(fs::read(metadata.join("1.root.json")).unwrap(), metadata)
    }

    /// What clients are told of [`NAME`], those who were there before and new ones alike.
    fn told(&self, old: &Reader) -> String {
        let fresh = self.reader().find(NAME).unwrap().0;
        assert_eq!(old.find(NAME).unwrap().0, fresh);
        fresh
    }
}

/// What a person reads of each fault.
fn says(fault: Fault) -> &'static str {
    match fault {
        Fault::Before | Fault::After => "can't be reached",
        Fault::Forbidden => "refused access",
        Fault::Unavailable => "503",
    }
}

#[test]
fn a_publish_whose_store_fails_at_any_write_is_made_good() {
    let Some(story) = Story::begin() else { return };
    let old = story.reader();
    let mut now = story.told(&old);

    // What a publish writes when nothing goes wrong: what is tried first, two names, targets, snapshot, timestamp.
    let next = story.add("whole");
    story.proxy.count();
    story.publish().ok();
    let writes = story.proxy.seen();
    assert_eq!(writes.len(), 6, "{writes:?}");
    assert!(writes[5].ends_with("/timestamp.json"), "{writes:?}");
    assert_eq!(story.told(&old), next);
    now.clone_from(&next);

    for fault in [Fault::Before, Fault::After, Fault::Forbidden, Fault::Unavailable] {
        for at in 1..=writes.len() {
            let name = format!("{}-{at}", format!("{fault:?}").to_lowercase());
            let next = story.add(&name);
            story.proxy.fail(at, fault);
            let said = story.publish();
            story.proxy.mend();
            eprintln!("{name}: {}", said.stderr.trim());
            let said = said
                .failed(3, &["error: s3://trust/repo?endpoint=http://127.0.0.1:", says(fault), "\nhint: "]);
            assert!(said.stderr.lines().all(|line| line.len() < 400), "{}", said.stderr);
            let expected = if at == writes.len() && matches!(fault, Fault::After) { &next } else { &now };
            assert_eq!(&story.told(&old), expected, "{name}");
            story.publish().ok();
            assert_eq!(story.told(&old), next, "{name}, and a publish");
            now = next;
        }
    }
    let left = story.moto.request("GET", "/trust?list-type=2&prefix=repo/.hallmark");
    let left: BTreeSet<&str> = left.split("<Key>").skip(1).collect();
    // Where the store vanished or forbade to delete, what was tried can't be taken away.
    assert!(left.len() <= 2, "{left:?}");
}

#[test]
fn a_rotation_whose_store_fails_at_any_write_is_made_good() {
    let Some(story) = Story::begin() else { return };
    let old = story.reader();
    let now = story.told(&old);
    let rotate = |role: &str| story.signer(&["role", "rotate", role, "--unencrypted-keys"]).ok();
    rotate("timestamp");
    story.proxy.count();
    story.publish().ok();
    let writes = story.proxy.seen();
    assert!(writes.last().unwrap().ends_with("/2.root.json"), "{writes:?}");
    for fault in [Fault::Before, Fault::After] {
        for at in 2..=writes.len() {
            // Each root from the one before: what is left half done is brought to its end in between.
            for role in ["timestamp", "root"] {
                rotate(role);
                story.proxy.fail(at, fault);
                let said = story.publish();
                story.proxy.mend();
                eprintln!("{fault:?} at {at} of {role}: {}", said.stderr.trim());
                assert_eq!(story.told(&old), now);
                story.publish().ok();
                assert_eq!(story.told(&old), now);
                assert!(story.signer(&["diff"]).ok().stdout.starts_with("nothing is staged"));
            }
        }
    }
}

#[test]
fn a_move_to_a_store_that_vanishes_is_made_good() {
    let Some(story) = Story::before() else { return };
    let root = fs::read(story.desk.path("trust/root.json")).unwrap();
    for role in ["timestamp", "root"] {
        story.desk.signer(&["role", "rotate", role, "--unencrypted-keys"]).ok();
        story.desk.signer(&["publish"]).ok();
    }
    // Once it is elsewhere, what is here is the past: each move begins with a home of its own.
    let home = || {
        let desk = Desk::new();
        copy(&story.desk.path("trust"), &desk.path("trust"));
        desk
    };
    story.proxy.count();
    story.signer_at(&home(), "whole", &["publish"]).ok();
    // What is carried over, then what is published on top of it.
    let writes = story.proxy.seen();
    let led = writes.iter().position(|path| path.ends_with("/timestamp.json")).unwrap();
    assert!(writes[led - 3..led].iter().all(|path| path.ends_with(".root.json")), "{writes:?}");
    for fault in [Fault::Before, Fault::After] {
        for at in led - 2..=led + 2 {
            let prefix = format!("{fault:?}-{at}").to_lowercase();
            let home = home();
            story.proxy.fail(at, fault);
            story.signer_at(&home, &prefix, &["publish"]).failed(3, &["can't be reached"]);
            story.proxy.mend();
            let metadata = story.mirror(&prefix);
            let is_there = metadata.join("timestamp.json").exists();
            assert_eq!(is_there, at > led + 1 || (at == led + 1 && fault == Fault::After), "{prefix}");
            if is_there {
                assert!(Reader::new(root.clone(), metadata).find(NAME).is_some(), "{prefix}");
            }
            story.signer_at(&home, &prefix, &["publish"]).ok();
            assert!(Reader::new(root.clone(), story.mirror(&prefix)).find(NAME).is_some(), "{prefix}");
        }
    }
}

#[test]
fn a_store_that_does_not_let_us_in_says_so_and_stays_as_it_was() {
    let Some(moto) = Moto::start() else { return };
    moto.request("PUT", "/trust");
    let [publisher, reader, stranger] =
        ["s3:*", r#"["s3:GetObject", "s3:ListBucket"]"#, "kms:*"].map(|action| moto.user(action));
    moto.enforce();
    let desk = Desk::published();
    let place = format!("s3://trust/repo?endpoint=http://127.0.0.1:{}", moto.port);
    let run = |user: &(String, String), arguments: &[&str]| {
        let mut command = desk.command(arguments);
        command
            .args(["--to", &place])
            .env("AWS_ACCESS_KEY_ID", &user.0)
            .env("AWS_SECRET_ACCESS_KEY", &user.1);
        let said = Said::of(&command.output().unwrap());
        assert!(!said.stderr.contains(&user.1), "{}", said.stderr);
        said
    };
    run(&publisher, &["publish"]).ok();
    desk.image("two");
    run(&publisher, &["add", "oci:two:1.4", "--as", NAME]).ok();
    let words = ["refused access", "hint: "];
    run(&stranger, &["publish"]).failed(3, &words);
    run(&reader, &["status"]).ok();
    run(&reader, &["publish"]).failed(3, &words);
    let wrong = (publisher.0.clone(), "hush".to_owned());
    run(&wrong, &["publish"]).failed(3, &words);
    let said = run(&publisher, &["status"]).ok();
    assert!(said.stdout.contains("staged\n"), "{}", said.stdout);
    run(&publisher, &["publish"]).ok();
}

#[test]
fn doctor_and_import_treat_an_object_store_as_a_folder() {
    let Some(story) = Story::begin() else { return };
    let digest = story.add("whole");
    story.publish().ok();
    let doctor = |code: i32| {
        let said = story.signer(&["doctor", "--format", "json"]);
        assert_eq!(said.code, code, "{}{}", said.stdout, said.stderr);
        said.stdout
    };
    let sound = doctor(0);
    assert!(sound.contains("holds no private key"), "{sound}");

    // What lies beside it is found: a private key by what is in it, and a state that nobody is led to.
    let key = fs::read_to_string(story.desk.path("trust/keys/targets.pem")).unwrap();
    let strange = ["/trust/repo/notes/backup.txt", "/trust/repo/metadata/99.snapshot.json"];
    story.moto.put(strange[0], &key);
    story.moto.put(strange[1], "{}");
    let found = doctor(1);
    assert!(found.contains("everyone is served") && found.contains("notes/backup.txt in s3://"), "{found}");
    assert!(found.contains("an interrupted publish left this"), "{found}");
    assert!(found.contains("metadata/99.snapshot.json in s3://"), "{found}");
    for object in strange {
        story.moto.request("DELETE", object);
    }
    doctor(0);

    // Another publisher takes the repository over from a mirror of it, into a place of their own.
    let metadata = story.mirror("repo");
    let other = Desk::new();
    copy(metadata.parent().unwrap(), &other.path("mirror"));
    let import = ["import", "mirror", "--root", "mirror/metadata/1.root.json"];
    story.signer_at(&other, "imported", &import).ok();
    fs::remove_dir_all(other.path("trust/keys")).unwrap();
    copy(&story.desk.path("trust/keys"), &other.path("trust/keys"));
    story.signer_at(&other, "imported", &["publish"]).ok();
    let imported = story.mirror("imported");
    let root = fs::read(imported.join("1.root.json")).unwrap();
    assert_eq!(root, fs::read(metadata.join("1.root.json")).unwrap());
    assert_eq!(Reader::new(root, imported).find(NAME).unwrap().0, digest);

    // What goes missing is found, with the way out.
    let [_, snapshot, targets] = story.versions();
    story.moto.request("DELETE", &format!("/trust/repo/metadata/{targets}.targets.json"));
    let missing = doctor(1);
    assert!(missing.contains(&format!("{targets}.targets.json")), "{missing}");
    story.moto.request("DELETE", &format!("/trust/repo/metadata/{snapshot}.snapshot.json"));
    let missing = doctor(1);
    assert!(missing.contains(&format!("{snapshot}.snapshot.json")), "{missing}");
}
