//! Several processes and threads over one store, while the repository changes: nobody fails but by the
//! lock, what is kept never goes back, and it is good afterwards.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use support::Scene;
use test_repos::simulator::Keyholder;
use tuf_core::authoring::Document;
use tuf_core::hash::sha256_hex;
use tuf_core::schema::Target;

/// What each process and thread is: enough to meet in every step of an update.
const MANY: usize = 8;
/// How often the repository changes while they are under way.
const UPDATES: usize = 5;

/// How a process may say that another update is under way.
const LOCKED: &str = "error: the trusted store failed: ";

fn scene(now: tuf_core::Instant) -> Scene {
    let scene = Scene::starting(now);
    scene.publish(|repo| {
        repo.delegate("acme", &Keyholder::named("acme"), &["acme/*"]);
        repo.role_mut("acme").set_target("acme/web", &Target::of(b"web")).unwrap();
    });
    scene.served().content.insert(format!("acme/{}.web", sha256_hex(b"web")), b"web".to_vec());
    scene
}

/// Reads the versions in a metadata folder over and over until `done`, and says how often it saw a file
/// change. A file that goes back, is gone again or is no document ends the test.
fn watch(metadata: &Path, done: &AtomicBool) -> usize {
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    let mut changes = 0;
    loop {
        let last = done.load(Ordering::Acquire);
        for name in ["root.json", "timestamp.json", "snapshot.json", "targets.json", "acme.json"] {
            let before = seen.get(name).copied().unwrap_or(0);
            let Ok(bytes) = fs::read(metadata.join(name)) else {
                assert_eq!(before, 0, "{name} is gone");
                continue;
            };
            let version =
                Document::parse(&bytes).unwrap_or_else(|why| panic!("half of {name}: {why}")).version();
            assert!(version >= before, "{name} went back from {before} to {version}");
            changes += usize::from(version > before);
            seen.insert(name, version);
        }
        if last {
            return changes;
        }
        thread::yield_now();
    }
}

struct Processes {
    scene: Scene,
    folder: PathBuf,
}

impl Processes {
    fn new() -> Self {
        let scene = scene(std::time::SystemTime::now().into());
        let folder = scene.folder.path().to_owned();
        let first = folder.join("first.json");
        fs::write(&first, &scene.root).unwrap();
        let it = Self { scene, folder };
        assert!(it.start(0, &["init", first.to_str().unwrap()]).wait().unwrap().success());
        it
    }

    /// Each has its own folder of targets, and all of them one of metadata.
    fn start(&self, number: usize, words: &[&str]) -> Child {
        let targets = self.folder.join(format!("targets {number}"));
        fs::create_dir_all(&targets).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_tuf-conformance"));
        command.arg("--metadata-dir").arg(self.folder.join("metadata")).arg("--target-dir").arg(targets);
        command.args(["--metadata-url", &self.scene.url("metadata")]);
        command.args(["--target-base-url", &self.scene.url("targets")]);
        command.args(words).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// One change of the repository, then all processes at once.
    fn round(&self, update: usize) -> usize {
        self.scene.touch(if update.is_multiple_of(2) { &["root", "acme"] } else { &["targets"] });
        let download = ["--target-name", "acme/web", "download"];
        let children: Vec<_> = (0..MANY).map(|number| self.start(number, &download)).collect();
        // And one while they run.
        self.scene.touch(&["snapshot"]);
        let outcomes = children.into_iter().map(|child| {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() || said.starts_with(LOCKED), "{said}");
            usize::from(output.status.success())
        });
        outcomes.sum()
    }
}

#[test]
fn eight_processes_that_share_a_folder_do_each_other_no_harm() {
    let it = Processes::new();
    let (metadata, done) = (it.folder.join("metadata"), AtomicBool::new(false));
    let (good, changes) = thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&metadata, &done));
        let good: usize = (0..UPDATES).map(|update| it.round(update)).sum();
        done.store(true, Ordering::Release);
        (good, watcher.join().unwrap())
    });
    assert!(good >= UPDATES, "at least one process a round comes through, got {good}");
    assert!(changes > UPDATES, "the watcher saw the folder change, {changes} times");

    // What they left is whole: an update takes it all as it is.
    assert!(it.start(0, &["refresh"]).wait().unwrap().success());
    it.scene.requests();
    assert!(it.start(0, &["--target-name", "acme/web", "download"]).wait().unwrap().success());
    let [root, ..] = it.scene.live();
    assert_eq!(it.scene.requests(), [format!("{}.root.json", root + 1), "timestamp.json".into()]);
    let names: Vec<_> =
        support::listed(&metadata).iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["acme.json", "root.json", "snapshot.json", "targets.json", "timestamp.json"]);
}

/// Returns once a process waits for a lock, or has ended. Where neither can be seen, after a while: what is
/// tested then is less, and still true.
fn wait_until_stopped(child: &mut Child) {
    let (waiting, began) = (format!(" {} ", child.id()), Instant::now());
    while child.try_wait().unwrap().is_none() && began.elapsed() < Duration::from_secs(2) {
        let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
        if locks.lines().any(|line| line.contains("-> FLOCK") && line.contains(&waiting)) {
            return;
        }
        thread::yield_now();
    }
}

#[test]
fn a_slow_update_does_not_undo_a_faster_one() {
    // The slow one has its timestamp already when a newer one is published and taken by another process.
    let it = Processes::new();
    assert!(it.start(0, &["refresh"]).wait().unwrap().success());
    it.scene.touch(&["targets"]);
    it.scene.gate.arm();
    let slow = it.start(0, &["refresh"]);
    it.scene.gate.wait_until_held();
    it.scene.touch(&["targets"]);
    let mut fast = it.start(1, &["refresh"]);
    wait_until_stopped(&mut fast);
    it.scene.gate.open();
    assert!(slow.wait_with_output().unwrap().status.success());
    let fast = fast.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&fast.stderr);
    assert!(fast.status.success() || said.starts_with(LOCKED), "{said}");
    if fast.status.success() {
        let kept = Document::parse(&fs::read(it.folder.join("metadata/timestamp.json")).unwrap()).unwrap();
        assert_eq!(kept.version(), it.scene.live()[1], "the newer timestamp was taken, and then undone");
    }
    assert!(it.start(1, &["refresh"]).wait().unwrap().success());
}

#[test]
fn eight_threads_that_share_a_folder_do_each_other_no_harm() {
    let scene = scene(support::at("2030-01-01T00:00:00Z"));
    let (metadata, done) = (scene.state().join("metadata"), AtomicBool::new(false));
    thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(&metadata, &done));
        let updating: Vec<_> = (0..MANY)
            .map(|number| {
                let scene = &scene;
                scope.spawn(move || {
                    for update in 0..UPDATES {
                        if number == 0 {
                            scene.touch(if update.is_multiple_of(2) { &["root"] } else { &["acme"] });
                        }
                        assert_eq!(scene.find("acme/web").expect("an update"), "found by targets acme");
                    }
                })
            })
            .collect();
        updating.into_iter().for_each(|thread| thread.join().unwrap());
        done.store(true, Ordering::Release);
        assert!(watcher.join().unwrap() > UPDATES, "the watcher saw the folder change");
    });
    scene.good(scene.live());
    scene.requests();
    assert_eq!(scene.find("acme/web").unwrap(), "found by targets acme");
    assert_eq!(scene.requests(), [format!("{}.root.json", scene.live()[0] + 1), "timestamp.json".into()]);
}
