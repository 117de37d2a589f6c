//! Killed at every write: whatever moment the machine stops at, what is on disk is good, has not gone
//! back, and leads on.
//!
//! `strace` kills the program with SIGKILL on entering the Nth call of a kind, for every call that changes
//! a file. That shows each state that other processes can see. What a power cut may lose of the page
//! cache it can't show; that each file is synced before it is renamed is looked for in the trace.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::{Scene, changed as differing, holders, listed, staff, touch};
use test_repos::simulator::{Keyholder, Simulator};
use tuf_core::Role;
use tuf_core::authoring::Document;
use tuf_core::hash::sha256_hex;
use tuf_core::schema::Target;

/// Every call by which a file can be changed. `?`: where the machine has it.
const CHANGING: &str = "?open,openat,?creat,write,?pwrite64,?writev,?sendfile,?copy_file_range,fsync,fdatasync,\
                        ftruncate,?fallocate,?rename,renameat,?renameat2,?link,linkat,?unlink,unlinkat,?mkdir,\
                        mkdirat,?chmod,fchmod,fchmodat,?symlink";

type Files = BTreeMap<String, Vec<u8>>;

/// A call of the traced program: its name, and the how-manieth of that name in its first thread it is.
type Point = (String, usize);

/// What is done in a story, and what for.
struct Story {
    scene: Scene,
    /// The folder as the killed update finds it.
    before: PathBuf,
    /// The repository as it was before `before`; a replay serves it.
    older: Simulator,
    words: &'static [&'static str],
}

impl Story {
    /// A client that did nothing but `init`.
    fn new(words: &'static [&'static str]) -> Self {
        let scene = Scene::starting(std::time::SystemTime::now().into());
        let first = scene.folder.path().join("first.json");
        fs::write(&first, &scene.root).unwrap();
        let before = scene.folder.path().join("before");
        let older = scene.repo(|repo| repo.clone());
        let story = Self { scene, before, older, words };
        story.run(&story.before, &["init", first.to_str().unwrap()]).unwrap();
        story
    }

    /// The client sees the repository as it is now; what came before is the older one.
    fn seen(&mut self, change: impl FnOnce(&mut Simulator)) {
        self.older = self.scene.repo(|repo| repo.clone());
        self.scene.publish(change);
        self.run(&self.before, self.words).unwrap();
    }

    fn words(&self, folder: &Path, words: &[&str]) -> Vec<String> {
        let targets = folder.join("targets");
        fs::create_dir_all(&targets).unwrap();
        let metadata = folder.join("metadata");
        let [metadata, targets] = [metadata, targets].map(|path| path.to_str().unwrap().to_owned());
        let urls = [self.scene.url("metadata"), self.scene.url("targets")];
        let [metadata_url, targets_url] = urls.map(String::from);
        let flags = [
            ("--metadata-dir", metadata),
            ("--metadata-url", metadata_url),
            ("--target-dir", targets),
            ("--target-base-url", targets_url),
        ];
        let flags = flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]);
        flags.chain(words.iter().map(|word| (*word).to_owned())).collect()
    }

    fn run(&self, folder: &Path, words: &[&str]) -> Result<(), String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tuf-conformance"));
        told(&command.args(self.words(folder, words)).output().unwrap())
    }

    /// Runs under `strace`, which writes its trace beside the folder: of all threads; or, to kill it, of the
    /// first one alone, since `strace` counts the calls of each thread, and others make some before it does.
    fn traced(&self, folder: &Path, inject: Option<&Point>) -> (Output, String) {
        let trace = folder.with_extension("trace");
        let mut command = Command::new("strace");
        command.args(["-y", "-qq", "-o"]).arg(&trace).arg("-e").arg(format!("trace={CHANGING}"));
        match inject {
            Some((call, number)) => {
                command.arg("-e").arg(format!("inject={call}:signal=SIGKILL:when={number}"))
            }
            None => command.arg("-f"),
        };
        command.arg(env!("CARGO_BIN_EXE_tuf-conformance")).args(self.words(folder, self.words));
        let output = command.output().unwrap();
        let text = fs::read_to_string(trace).unwrap_or_default();
        // With one thread, `strace` doesn't say which.
        let threads = if inject.is_some() { "1 " } else { "" };
        (output, text.lines().map(|line| format!("{threads}{line}\n")).collect())
    }

    /// A copy of the folder that the update finds.
    fn copy(&self, name: &str) -> PathBuf {
        let folder = self.scene.folder.path().join(name);
        let _ = fs::remove_dir_all(&folder);
        copy(&self.before, &folder);
        folder
    }

    /// An update from the older repository: whether it is refused, with nothing changed. A rotation that
    /// was begun is brought to its end all the same: `may_go` goes, and `root.json` follows the history.
    fn replay_is_refused(&self, folder: &Path, may_go: &[&str]) -> bool {
        let now = self.scene.repo(|repo| std::mem::replace(repo, self.older.clone()));
        let before = documents(folder);
        let refused = self.run(folder, self.words).is_err();
        let after = documents(folder);
        let ends_rotation = |name: &String| {
            !may_go.is_empty()
                && (name == "root.json" || may_go.contains(&name.as_str()) && !after.contains_key(name))
        };
        let changes: Vec<_> =
            differing(&before, &after).into_iter().filter(|name| !ends_rotation(name)).collect();
        self.scene.repo(|repo| *repo = now);
        refused && changes.is_empty()
    }

    /// Kills the update before every call that changes a file, and looks at what is left each time.
    fn tell(&self, may_go: &[&str]) -> Findings {
        let whole = self.copy("whole");
        let (output, text) = self.traced(&whole, None);
        told(&output).unwrap();
        assert_synced(&text);
        let trace = Trace::of(&text, self.scene.folder.path());
        assert!(trace.changes.len() >= 12, "an update changes files: {:?}", trace.changes);
        let (mut left, mut findings) =
            ((0..trace.changes.len()).collect::<BTreeSet<_>>(), Findings::default());
        // What the thread tells others are writes too, and their number is not the same each time: a call
        // that was missed is aimed at again.
        for _ in 0..ROUNDS {
            for point in &trace.points {
                if left.is_empty() {
                    break;
                }
                let folder = self.copy("killed");
                let (output, text) = self.traced(&folder, Some(point));
                let done = Trace::of(&text, self.scene.folder.path()).completed;
                if output.status.signal() != Some(9) || !left.remove(&done) {
                    continue;
                }
                self.look(&folder, &whole, may_go, &trace.changes[done], &mut findings);
            }
        }
        let missed: Vec<_> = left.iter().map(|number| &trace.changes[*number]).collect();
        assert!(missed.is_empty(), "never killed before {missed:?}");
        findings
    }

    /// Looks at a folder in which an update was killed before `call`.
    fn look(&self, folder: &Path, whole: &Path, may_go: &[&str], call: &str, findings: &mut Findings) {
        assert_none_went_back(&documents(&self.before), &documents(folder), may_go, call);
        assert_nothing_private(folder, call);
        let copied = self.scene.folder.path().join("replayed");
        let _ = fs::remove_dir_all(&copied);
        copy(folder, &copied);
        if !self.replay_is_refused(&copied, may_go) {
            findings.replayed.push(call.to_owned());
        }
        self.run(folder, self.words).unwrap_or_else(|why| panic!("after a kill before {call}: {why}"));
        for file in differing(&documents(whole), &documents(folder)) {
            findings.differing.insert(file, call.to_owned());
        }
        assert!(self.replay_is_refused(folder, &[]), "a replay, after an update after a kill before {call}");
        assert_eq!(targets(folder), targets(whole), "after a kill before {call}");
    }
}

/// What was found in folders of killed updates.
#[derive(Default)]
struct Findings {
    /// The calls before which it was killed where a replay of the older repository was taken afterwards.
    replayed: Vec<String>,
    /// The files that the next update left otherwise than one that nobody killed, and one such call each.
    differing: BTreeMap<String, String>,
}

/// How often a call that changes a file is aimed at until it is hit.
const ROUNDS: usize = 20;

/// What a trace tells of the files below a folder.
#[derive(Default)]
struct Trace {
    /// The calls that change something there, in order.
    changes: Vec<String>,
    /// How many of them came to their end.
    completed: usize,
    /// Where to aim at these calls, and at all others of the same names beside them.
    points: BTreeSet<Point>,
}

impl Trace {
    fn of(text: &str, folder: &Path) -> Self {
        let mut trace = Self::default();
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let mut pending = BTreeSet::new();
        let first = text.split(' ').next().unwrap_or_default();
        for line in text.lines() {
            let Some((thread, rest)) = line.split_once(' ') else { continue };
            let ended = !rest.ends_with("<unfinished ...>") && !rest.ends_with("= ?");
            if rest.trim_start().starts_with("<... ") && pending.remove(thread) {
                trace.completed += usize::from(ended);
            }
            let Some((call, arguments)) = rest.trim_start().split_once('(') else { continue };
            let count = counts.entry((thread, call)).or_default();
            *count += 1;
            let reads = call.starts_with("open") && !arguments.contains("O_CREAT");
            if reads || !arguments.contains(folder.to_str().unwrap()) {
                if call == "write" && thread == first {
                    // Some more: the number is not the same each time.
                    trace.points.extend((*count..*count + 4).map(|number| (call.to_owned(), number)));
                }
                continue;
            }
            assert_eq!(thread, first, "files are changed by the first thread: {line}");
            trace.points.insert((call.to_owned(), *count));
            trace.changes.push(rest.trim_start().replace(folder.to_str().unwrap(), ""));
            trace.completed += usize::from(ended);
            if !ended {
                pending.insert(thread);
            }
        }
        trace
    }
}

fn told(output: &Output) -> Result<(), String> {
    if output.status.success() { Ok(()) } else { Err(said(output)) }
}

fn said(output: &Output) -> String {
    format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let beside = to.join(path.file_name().unwrap());
        if path.is_dir() { copy(&path, &beside) } else { fs::copy(&path, &beside).map(drop).unwrap() }
    }
}

/// The documents in a folder of the program: metadata, and the roots of before.
fn documents(folder: &Path) -> Files {
    let metadata = folder.join("metadata");
    let history = metadata.join(".client/root_history");
    let mut files = Files::new();
    for (folder, prefix) in [(metadata, ""), (history, "root_history/")] {
        for path in listed(&folder) {
            let name = path.file_name().unwrap().to_str().unwrap();
            if name.ends_with(".json") {
                files.insert(format!("{prefix}{name}"), fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn targets(folder: &Path) -> Vec<Vec<u8>> {
    listed(&folder.join("targets")).iter().map(|path| fs::read(path).unwrap()).collect()
}

fn assert_none_went_back(held: &Files, left: &Files, may_go: &[&str], call: &str) {
    let version = |bytes: &Vec<u8>| {
        Document::parse(bytes).unwrap_or_else(|why| panic!("half a file before {call}: {why}")).version()
    };
    for (name, bytes) in left {
        let before = held.get(name).map_or(0, version);
        assert!(
            version(bytes) >= before || may_go.contains(&name.as_str()),
            "{name} went back before {call}"
        );
    }
    let gone: Vec<_> = held.keys().filter(|name| !left.contains_key(*name)).collect();
    assert!(gone.iter().all(|name| may_go.contains(&name.as_str())), "gone before {call}: {gone:?}");
}

/// The suite reads every `*.json` of the folder as metadata. What isn't metadata may not look like it.
fn assert_nothing_private(folder: &Path, call: &str) {
    for path in listed(&folder.join("metadata")) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let known = ["root.json", "timestamp.json", "snapshot.json", "targets.json", "acme.json"];
        // What a killed update was writing. It is never read.
        assert!(known.contains(&name) || name.starts_with("+new-"), "{name} is left before {call}");
    }
}

/// Each file is synced before it gets its name, and its folder afterwards.
fn assert_synced(trace: &str) {
    let calls: Vec<_> =
        trace.lines().filter_map(|line| line.split_once(' ')).map(|(_, call)| call.trim()).collect();
    let synced = |calls: &[&str], what: &str| {
        let syncs = ["fsync(", "fdatasync("];
        calls.iter().any(|call| syncs.iter().any(|sync| call.starts_with(sync)) && call.contains(what))
    };
    let mut seen = 0;
    for (number, rename) in calls.iter().enumerate().filter(|(_, call)| call.starts_with("rename")) {
        let temporary = rename.split('"').nth(1).unwrap();
        let folder = Path::new(temporary).parent().unwrap().to_str().unwrap();
        assert!(synced(&calls[..number], &format!("<{temporary}>")), "synced before {rename}");
        assert!(synced(&calls[number..], &format!("<{folder}>")), "its folder synced after {rename}");
        seen += 1;
    }
    assert!(seen >= 3, "files are renamed into their place");
}

/// Says so, past the capture of the test harness, where `strace` isn't there or may not trace.
fn without_strace() -> bool {
    let traced = Command::new("strace").args(["-qq", "-e", "trace=none", "true"]).output();
    let works = traced.is_ok_and(|output| output.status.success());
    if !works {
        let _ = writeln!(std::io::stderr(), "SKIPPED: there is no strace that may trace here");
        let required = std::env::var_os("HALLMARK_NO_SKIPS").is_some_and(|value| value == "1");
        assert!(!required, "HALLMARK_NO_SKIPS is set, and strace can't trace");
    }
    !works
}

#[test]
fn a_first_update_that_is_killed_at_any_write_is_made_up_for() {
    if without_strace() {
        return;
    }
    let story = Story::new(&["refresh"]);
    story.scene.touch(&["targets"]);
    // The client knows nothing yet, so what is older is good as long as nothing newer was kept.
    let findings = story.tell(&[]);
    assert!(!findings.replayed.is_empty());
    assert_eq!(findings.differing, BTreeMap::new());
}

#[test]
fn an_update_and_download_that_is_killed_at_any_write_is_made_up_for() {
    if without_strace() {
        return;
    }
    let mut story = Story::new(&["--target-name", "acme/web", "download"]);
    let list = |bytes: &'static [u8]| {
        move |repo: &mut Simulator| {
            repo.role_mut("acme").set_target("acme/web", &Target::of(bytes)).unwrap();
        }
    };
    for bytes in [&b"first"[..], b"second", b"third"] {
        let file = format!("acme/{}.web", sha256_hex(bytes));
        story.scene.served().content.insert(file, bytes.to_vec());
    }
    story.seen(|repo| {
        repo.delegate("acme", &Keyholder::named("acme"), &["acme/*"]);
        list(b"first")(repo);
    });
    story.seen(list(b"second"));
    story.scene.publish(list(b"third"));
    let findings = story.tell(&[]);
    assert_eq!(findings.replayed, [""; 0]);
    assert_eq!(findings.differing, BTreeMap::new());
}

#[test]
fn a_rotation_of_the_timestamps_key_that_is_killed_at_any_write_brings_no_old_timestamp_back() {
    // 5.3.11.
    if without_strace() {
        return;
    }
    let mut story = Story::new(&["refresh"]);
    story.seen(|repo| touch(repo, "targets"));
    story.scene.publish(|repo| {
        let key = holders(&["another timestamp"]);
        staff(repo, &Role::Timestamp, &key, 1, &key);
    });
    let findings = story.tell(&["timestamp.json", "snapshot.json"]);
    // The new root is kept before the timestamp under the old key is forgotten.
    assert_eq!(findings.replayed, [""; 0]);
    assert_eq!(findings.differing, BTreeMap::new());
}

#[test]
fn a_rotation_that_is_killed_at_any_write_still_frees_from_a_timestamp_that_ran_ahead() {
    // 5.3.11: the key that stays has signed the timestamp of the attacker too, so that only forgetting it
    // helps; and the update after the kill must still know that a key went.
    if without_strace() {
        return;
    }
    let mut story = Story::new(&["refresh"]);
    let both = holders(&["timestamp 1", "stolen"]);
    story.seen(|repo| staff(repo, &Role::Timestamp, &both, 1, &both));
    story.seen(|repo| repo.role_mut("timestamp").set_version(1_000_000));
    story.scene.publish(|repo| {
        staff(repo, &Role::Timestamp, &both[..1], 1, &both[..1]);
        repo.role_mut("timestamp").set_version(10);
    });
    let findings = story.tell(&["timestamp.json", "snapshot.json"]);
    assert_eq!(findings.differing, BTreeMap::new());
}
