//! Beside python-tuf, on thousands of repositories good and bad: the same verdict, or a written reason.
//!
//! `tests/differential/helper.py` makes the repository of a seed with python-tuf's own types, spoils it in
//! up to two ways, serves it, and is python-tuf's client. Here our client runs over the same files, step by
//! step, and verdicts are compared. A difference must have a reason in [`REASONS`].
//!
//! `HALLMARK_DIFFERENTIAL_SEEDS=A..B` runs other seeds, and `HALLMARK_DIFFERENTIAL_CLIENT=COMMAND` puts
//! another client that speaks the conformance suite's command line in the place of ours;
//! `HALLMARK_DIFFERENTIAL_PEER=COMMAND` puts one in the place of python-tuf.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
#![allow(clippy::arithmetic_side_effects, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// What runs where nothing else is said: each mutation several times, in less than a minute.
const SEEDS: Range<u64> = 0..200;

/// Why two clients may come to different verdicts.
struct Reason {
    name: &'static str,
    /// Whether it is ours that refuses.
    ours: bool,
    /// The mutations that it is about; any, where none is named.
    mutations: &'static [&'static str],
    /// What the error of the one that refuses says.
    says: &'static [&'static str],
    /// Whether it holds only where a key of timestamp or snapshot was taken away.
    rotated: bool,
}

/// Who refuses, and what it says then. The reasons themselves are in docs/src/differential.md.
const REASONS: &[Reason] = &[
    // To be decided: see the manual.
    ours("a target's path is percent-encoded in the address", &[], &["a%2Bb%2520c"]),
    ours("a member twice", &[], &["duplicate key"]),
    ours("fractions", &[], &["is a fraction or too large"]),
    ours("more than 256 signatures", &[], &["expected at most 256 signatures"]),
    ours("nesting deeper than 24", &[], &["nested deeper than"]),
    ours("types as the specification has them", &[], &["invalid type: ", "as name of a role, got"]),
    ours("hashes other than SHA-256 and SHA-512", &[], &["expected a sha256 or sha512 hash"]),
    ours(
        "hex with white space in it",
        &["signature's hex in other form", "key's spelling"],
        &["good signature(s) of distinct keys"],
    ),
    peer("the 33rd to 64th role of a search", &["long chain of delegations"], &["is not listed"]),
    peer("members that python-tuf drops before it verifies", &["more in meta"], &["was signed by 0/"]),
    peer("hashes in capital letters", &[], &["does not match expected hash"]),
    peer("top-level roles beside the four", &[], &["Role names must be the top-level metadata roles"]),
    ours("RSA-PSS with a salt that isn't as long as the hash", &["key's form"], &["good signature(s) of"]),
    ours("one key under two ids is one", &["one key under two ids"], &["good signature(s) of"]),
    ours("thresholds of more than 32 bits", &["threshold"], &["expected a nonzero u32"]),
    ours("digits of other scripts", &["spec_version"], &["expected specification version 1.x"]),
    peer("an elliptic point in hex", &["key's spelling"], &["was signed by"]),
    peer("times with an offset or a space", &["expires"], &["does not match format"]),
    peer("members that are null", &["METAFILES entry"], &["was signed by 0/"]),
    peer("a timestamp of more than 16 KiB", &["padded"], &["exceeding the maximum allowed length"]),
    ours("paths that no address can have", &["odd target path"], &["a segment that no address can have"]),
    peer("a leap second", &["expires"], &["second must be in 0..59"]),
    peer("an unknown hash beside a known one", &[], &["Unsupported algorithm"]),
    peer("a key without a value", &["key's form"], &["public key string required"]),
    peer("delegations without roles", &["succinct roles"], &["One of roles and succinct_roles"]),
    peer("a specification version of one number", &["spec_version"], &["Failed to parse spec_version"]),
    ours(
        "a kept snapshot with another hash",
        &["version behind"],
        &["snapshot is malformed: expected value"],
    ),
    after_rotation(&["BadVersionNumberError", "DownloadHTTPError", "UnsignedMetadataError"]),
];

/// 5.3.11: what was seen before a key of timestamp or snapshot was taken away is forgotten.
const fn after_rotation(says: Words) -> Reason {
    let name = "what was seen before a key was taken away";
    Reason { name, ours: false, mutations: &[], says, rotated: true }
}

const fn ours(name: &'static str, mutations: Words, says: Words) -> Reason {
    Reason { name, ours: true, mutations, says, rotated: false }
}

const fn peer(name: &'static str, mutations: Words, says: Words) -> Reason {
    Reason { name, ours: false, mutations, says, rotated: false }
}

type Words = &'static [&'static str];

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

/// The client under test, with folders of its own.
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
        (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }

    /// Whether a root that is kept lacks a key of timestamp or snapshot that the one before it had.
    fn key_taken_away(&self, first: &Path) -> bool {
        let read = |path: &Path| serde_json::from_slice::<Value>(&fs::read(path).ok()?).ok();
        let history = self.folder.join("metadata/.client/root_history");
        let kept = (1..50).filter_map(|version| read(&history.join(format!("{version}.root.json"))));
        let roots: Vec<Value> = read(first).into_iter().chain(kept).collect();
        let ids = |root: &Value, role: &str| -> Vec<Value> {
            root["signed"]["roles"][role]["keyids"].as_array().cloned().unwrap_or_default()
        };
        let lacks = |pair: &[Value], role| {
            let now = ids(&pair[1], role);
            ids(&pair[0], role).iter().any(|id| !now.contains(id))
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

/// A difference, for a person who looks into it.
struct Difference {
    seed: u64,
    step: String,
    about: String,
    rotated: bool,
    ours: Verdict,
    peers: Verdict,
}

impl Difference {
    fn reason(&self) -> Option<&'static Reason> {
        REASONS.iter().find(|reason| {
            let said = if reason.ours { &self.ours } else { &self.peers };
            let other = if reason.ours { &self.peers } else { &self.ours };
            let about = |name: &&str| self.about.contains(&format!("\"{name}\""));
            other.is_none()
                && (self.rotated || !reason.rotated)
                && (reason.mutations.is_empty() || reason.mutations.iter().any(about))
                && said.as_ref().is_some_and(|said| reason.says.iter().any(|text| said.contains(text)))
        })
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seed, step, about, ours, peers, .. } = self;
        let shown = |verdict: &Verdict| verdict.clone().unwrap_or_else(|| "good".to_owned());
        let (ours, peers) = (shown(ours), shown(peers));
        write!(f, "seed {seed}, {step}: {about}\n  ours: {ours}\n  peer: {peers}")
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
    let (mut same, mut bad) = (0, 0);
    for (number, state) in (0..).zip(case["states"].as_array().unwrap()) {
        for verb in ["refresh", "download"] {
            let step = |client: &Ours| match verb {
                "refresh" => client.run(state, &["refresh"]),
                _ => client.download(state),
            };
            let own = step(&ours);
            let other = other.as_ref().map_or_else(|| peers(&helper.ask(verb, number)), step);
            if own.is_some() != other.is_some() {
                let step = format!("{verb} of state {number}");
                let about = format!("{} {}", case["mutations"], state["about"]);
                let rotated = ours.key_taken_away(&root);
                return (same, bad, Some(Difference { seed, step, about, rotated, ours: own, peers: other }));
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

#[test]
fn beside_python_tuf_every_verdict_is_the_same_or_has_a_reason() {
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
