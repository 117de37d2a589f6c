//! Beside python-tuf, on thousands of repositories good and bad: the same verdict and the same files kept,
//! or a written reason.
//!
//! `tests/differential/helper.py` makes the repository of a seed with python-tuf's own types, spoils it in
//! up to two ways, serves it, and is python-tuf's client. Here our client runs over the same files, step by
//! step; after each, the verdicts are compared, and what each client keeps. A difference must have a reason in
//! [`REASONS`], and each of those stands in `docs/src/differential.md`. A crash of ours is no refusal.
//!
//! `HALLMARK_DIFFERENTIAL_SEEDS=A..B` runs other seeds, and `HALLMARK_DIFFERENTIAL_CLIENT=COMMAND` puts
//! another client that speaks the conformance suite's command line in the place of ours;
//! `HALLMARK_DIFFERENTIAL_PEER=COMMAND` puts one in the place of python-tuf.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::arithmetic_side_effects, reason = "tests")]

#[path = "differential/reasons.rs"]
mod reasons;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use reasons::{REASONS, Reason, Side};
use serde_json::{Value, json};

/// What runs where nothing else is said: each mutation several times, in less than a minute.
const SEEDS: Range<u64> = 0..200;

struct Helper {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Helper {
    fn start(python: &str, work: &Path) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential/helper.py");
        let mut child = Command::new(python)
            .arg("-B")
            .arg(script)
            .arg(work)
            // Names that come out of sets come in the same order each time: a seed is a repository.
            .env("PYTHONHASHSEED", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    fn ask(&mut self, verb: &str, number: u64) -> Value {
        writeln!(self.input, "{}", json!([verb, number])).unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|why| panic!("{verb} {number}: {why}: {line:?}"))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client with the suite's command line, with folders of its own.
struct Ours {
    command: Vec<String>,
    folder: PathBuf,
}

/// `None` for success, or what the client said.
type Verdict = Option<String>;

impl Ours {
    fn new(command: &[String], folder: PathBuf) -> Self {
        for part in ["metadata", "targets"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        Self { command: command.to_vec(), folder }
    }

    fn run(&self, state: &Value, words: &[&str]) -> Verdict {
        let (program, arguments) = self.command.split_first().unwrap();
        let mut command = Command::new(program);
        command.args(arguments).arg("--metadata-dir").arg(self.folder.join("metadata"));
        command.arg("--target-dir").arg(self.folder.join("targets"));
        for (flag, part) in [("--metadata-url", "metadata"), ("--target-base-url", "targets")] {
            command.arg(flag).arg(state[part].as_str().unwrap_or_default());
        }
        let output = command.args(words).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        // The suite's protocol knows two ends. Another one, such as a panic's or a signal's, is no verdict.
        let refused = match output.status.code() {
            Some(0) => false,
            Some(1) => true,
            _ => panic!("{words:?} in {}: {}: {said}", self.folder.display(), output.status),
        };
        assert!(!said.contains("panicked at"), "{words:?} in {}: {said}", self.folder.display());
        refused.then_some(said)
    }

    /// Whether a root that is kept lacks a key of timestamp or snapshot that the one before it had, or has
    /// another key under its id.
    fn key_taken_away(&self, first: &Path) -> bool {
        let read = |path: &Path| serde_json::from_slice::<Value>(&fs::read(path).ok()?).ok();
        let history = self.folder.join("metadata/.client/root_history");
        let kept = (1..50).filter_map(|version| read(&history.join(format!("{version}.root.json"))));
        let roots: Vec<Value> = read(first).into_iter().chain(kept).collect();
        let keys = |root: &Value, role: &str| -> Vec<Value> {
            let ids = root["signed"]["roles"][role]["keyids"].as_array().cloned().unwrap_or_default();
            let key = |id: Value| json!([root["signed"]["keys"][id.as_str().unwrap_or_default()], id]);
            ids.into_iter().map(key).collect()
        };
        let lacks = |pair: &[Value], role| {
            let now = keys(&pair[1], role);
            keys(&pair[0], role).iter().any(|key| !now.contains(key))
        };
        roots.windows(2).any(|pair| ["timestamp", "snapshot"].iter().any(|role| lacks(pair, role)))
    }

    fn download(&self, state: &Value) -> Verdict {
        let names: Vec<_> = state["names"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let mut words: Vec<_> = names.iter().flat_map(|name| ["--target-name", name]).collect();
        words.push("download");
        self.run(state, &words)
    }
}

fn peers(answer: &Value) -> Verdict {
    let error = answer["error"].as_str().unwrap().to_owned();
    (answer["ok"] != true).then_some(error)
}

/// What a client keeps: metadata by the names of the files, and targets by what is in them, because the suite
/// leaves their names to the client.
fn kept(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = |part: &str| {
        let entries = fs::read_dir(folder.join(part)).unwrap().map(|entry| entry.unwrap());
        // Folders hold what is a client's own: root histories, receipts, locks.
        let plain = entries.filter(|entry| fs::metadata(entry.path()).is_ok_and(|seen| seen.is_file()));
        plain.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
    };
    let metadata = files("metadata").filter(|(name, _)| name.ends_with(".json"));
    let targets =
        files("targets").map(|(_, bytes)| (format!("target {:?}", &bytes[..bytes.len().min(40)]), bytes));
    metadata.chain(targets.collect::<Vec<_>>()).collect()
}

/// A file that two clients keep otherwise: its version where it has one, 0 where it has none, and `None` where
/// there is no file.
#[derive(Debug)]
struct Kept {
    name: String,
    ours: Option<u64>,
    peers: Option<u64>,
}

impl std::fmt::Display for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown =
            |file: Option<u64>| file.map_or("nothing".to_owned(), |version| format!("version {version}"));
        write!(f, "{}: ours {}, theirs {}", self.name, shown(self.ours), shown(self.peers))
    }
}

fn kept_otherwise(ours: &Path, peers: &Path) -> Vec<Kept> {
    let (ours, peers) = (kept(ours), kept(peers));
    let names: BTreeSet<_> = ours.keys().chain(peers.keys()).collect();
    let version = |bytes: &Vec<u8>| {
        let value: Value = serde_json::from_slice(bytes).unwrap_or_default();
        value["signed"]["version"].as_u64().unwrap_or(0)
    };
    let pairs = names.into_iter().map(|name| (name, ours.get(name), peers.get(name)));
    let other = pairs.filter(|(_, own, theirs)| own != theirs);
    other
        .map(|(name, own, theirs)| Kept {
            name: name.clone(),
            ours: own.map(version),
            peers: theirs.map(version),
        })
        .collect()
}

/// A difference, for a person who looks into it.
struct Difference {
    seed: u64,
    step: String,
    about: String,
    rotated: bool,
    ours: Verdict,
    peers: Verdict,
    kept: Vec<Kept>,
}

impl Difference {
    fn reason(&self) -> Option<&'static Reason> {
        REASONS.iter().find(|reason| {
            let about = |name: &&str| self.about.contains(&format!("\"{name}\""));
            let says = |said: &str| reason.says.iter().any(|text| said.contains(text));
            (self.rotated || !reason.rotated)
                && (reason.mutations.is_empty() || reason.mutations.iter().any(about))
                && match (reason.side, &self.ours, &self.peers) {
                    (Side::Ours, Some(said), peers) => {
                        says(said)
                            && (peers.is_none()
                                || reason.rotated
                                || self.behind(|file| (file.ours, file.peers)))
                    }
                    (Side::Peer, ours, Some(said)) => {
                        says(said)
                            && (ours.is_none()
                                || reason.rotated
                                || self.behind(|file| (file.peers, file.ours)))
                    }
                    (Side::Kept, ours, peers) => {
                        ours.is_some() == peers.is_some()
                            && self.kept.iter().all(|file| says(&file.to_string()))
                    }
                    _ => false,
                }
        })
    }

    /// Whether the one that refuses for a reason did so before the other one, which refuses too: all files that
    /// differ are older with it, or not there. What a rotation made ours forget says nothing about that.
    fn behind(&self, of: impl Fn(&Kept) -> (Option<u64>, Option<u64>)) -> bool {
        let forgotten = |file: &Kept| {
            self.rotated && file.ours.is_none() && ["timestamp.json", "snapshot.json"].contains(&&*file.name)
        };
        let older = |file| matches!(of(file), (own, other) if own <= other) || forgotten(file);
        !self.kept.is_empty() && self.kept.iter().all(older)
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seed, step, about, ours, peers, kept, rotated } = self;
        let shown = |verdict: &Verdict| verdict.clone().unwrap_or_else(|| "good".to_owned());
        let (ours, peers) = (shown(ours), shown(peers));
        let rotated = if *rotated { " (a key was taken away)" } else { "" };
        write!(f, "seed {seed}, {step}: {about}{rotated}\n  ours: {ours}\n  peer: {peers}")?;
        kept.iter().try_for_each(|file| write!(f, "\n  kept: {file}"))
    }
}

/// Runs one case until the first difference. How many verdicts were the same, and how many of them bad.
fn run(
    helper: &mut Helper,
    [command, peer]: [&[String]; 2],
    work: &Path,
    seed: u64,
) -> (u32, u32, Option<Difference>) {
    let case = helper.ask("case", seed);
    let folder = work.join(seed.to_string());
    let ours = Ours::new(command, folder.join("ours"));
    let root = folder.join("root.json");
    assert_eq!(ours.run(&Value::Null, &["init", root.to_str().unwrap()]), None, "seed {seed}: init");
    let other = (!peer.is_empty()).then(|| Ours::new(peer, folder.join("other")));
    if let Some(other) = &other {
        let _ = other.run(&Value::Null, &["init", root.to_str().unwrap()]);
    }
    let peers_folder = folder.join(if other.is_some() { "other" } else { "peer" });
    let (mut same, mut bad) = (0, 0);
    for (number, state) in (0..).zip(case["states"].as_array().unwrap()) {
        for verb in ["refresh", "download"] {
            let step = |client: &Ours| match verb {
                "refresh" => client.run(state, &["refresh"]),
                _ => client.download(state),
            };
            let own = step(&ours);
            let other = other.as_ref().map_or_else(|| peers(&helper.ask(verb, number)), step);
            let kept = kept_otherwise(&ours.folder, &peers_folder);
            if own.is_some() != other.is_some() || !kept.is_empty() {
                let step = format!("{verb} of state {number}");
                let about = format!("{} {} {}", case["mutations"], state["traits"], state["about"]);
                let rotated = ours.key_taken_away(&root);
                let difference = Difference { seed, step, about, rotated, ours: own, peers: other, kept };
                return (same, bad, Some(difference));
            }
            same += 1;
            bad += u32::from(own.is_some());
        }
    }
    let _ = fs::remove_dir_all(folder);
    (same, bad, None)
}

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var("HALLMARK_DIFFERENTIAL_SEEDS") else { return SEEDS };
    let (from, to) = text.split_once("..").expect("HALLMARK_DIFFERENTIAL_SEEDS: expected A..B");
    from.parse().unwrap()..to.parse().unwrap()
}

/// A command from the environment, or the one that is run otherwise.
fn command(variable: &str, otherwise: &[&str]) -> Vec<String> {
    let given = std::env::var(variable).ok();
    let words = given.as_deref().map(|text| text.split_whitespace().map(str::to_owned).collect());
    words.unwrap_or_else(|| otherwise.iter().map(|&word| word.to_owned()).collect())
}

/// The Python that has python-tuf, or a loud word that there is none.
fn python() -> Option<String> {
    let python = std::env::var("HALLMARK_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python).args(["-c", "import tuf.ngclient"]).stderr(Stdio::null()).status();
    if has.is_ok_and(|status| status.success()) {
        return Some(python);
    }
    let _ = writeln!(std::io::stderr(), "SKIPPED: {python} has no python-tuf; set HALLMARK_PYTHON");
    assert!(std::env::var_os("HALLMARK_NO_SKIPS").is_none(), "HALLMARK_NO_SKIPS is set, and there is none");
    None
}

/// The first cells of the tables under a heading of the manual.
fn rows(manual: &str, heading: &str) -> BTreeSet<String> {
    let section = manual.split_once(&format!("## {heading}\n")).unwrap_or_else(|| panic!("no {heading:?}")).1;
    let section = section.split("\n## ").next().unwrap();
    let table = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    table.skip(1).map(str::to_owned).collect()
}

#[test]
fn every_reason_stands_in_the_manual_and_no_other() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/differential.md");
    let manual = fs::read_to_string(manual).unwrap();
    for (side, heading) in [
        (Side::Ours, "Ours refuses, python-tuf doesn't"),
        (Side::Peer, "python-tuf refuses, ours doesn't"),
        (Side::Kept, "The verdict is the same, and other files are kept"),
    ] {
        let named = REASONS.iter().filter(|reason| reason.side == side).map(|reason| reason.name.to_owned());
        assert_eq!(rows(&manual, heading), named.collect(), "docs/src/differential.md: {heading}");
    }
}

#[test]
fn beside_python_tuf_every_verdict_and_file_is_the_same_or_has_a_reason() {
    let Some(python) = python() else { return };
    let command = command("HALLMARK_DIFFERENTIAL_CLIENT", &[env!("CARGO_BIN_EXE_tuf-conformance")]);
    let peer = self::command("HALLMARK_DIFFERENTIAL_PEER", &[]);
    let work = tempfile::tempdir().unwrap();
    let mut helper = Helper::start(&python, work.path());
    let (mut same, mut bad, mut cases) = (0, 0, 0);
    let (mut reasons, mut unexplained) = (BTreeMap::new(), Vec::new());
    for seed in seeds() {
        let (equal, refused, difference) = run(&mut helper, [&command, &peer], work.path(), seed);
        (same, bad, cases) = (same + equal, bad + refused, cases + 1);
        let Some(difference) = difference else { continue };
        match difference.reason() {
            Some(reason) => *reasons.entry(reason.name).or_insert(0) += 1,
            None => unexplained.push(difference.to_string()),
        }
    }
    println!("{cases} cases: {same} verdicts the same, {bad} of them refusals; differences: {reasons:?}");
    for unused in REASONS.iter().filter(|reason| !reasons.contains_key(reason.name)) {
        println!("not met in these seeds: {}", unused.name);
    }
    assert!(unexplained.is_empty(), "{} without a reason:\n{}", unexplained.len(), unexplained.join("\n"));
}
