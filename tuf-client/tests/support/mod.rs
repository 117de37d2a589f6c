//! A repository that is served, a client with a folder of its own, and stories told in one line a step:
//! *good update, attack, what is kept, good again*.
//!
//! Not here: any rule of TUF. What a client should do stands in the tests.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, reason = "tests")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use chrono::TimeDelta;
use test_repos::http::{Request, Response, Server};
use test_repos::simulator::{Keyholder, Simulator};
use tuf_client::{Client, ClientError, DirStore, Found, RepoLocation, TransportOptions};
use tuf_core::authoring::Document;
use tuf_core::crypto::{DefaultCrypto, Sign as _};
use tuf_core::schema::MetaFile;
use tuf_core::{Instant, Role};

pub const TOP: [&str; 4] = ["root", "timestamp", "snapshot", "targets"];

/// What is served: the repository, target files, and answers that replace both.
#[derive(Debug)]
pub struct Served {
    pub repo: Simulator,
    /// Below `/targets/`, by path.
    pub content: BTreeMap<String, Vec<u8>>,
    /// Statuses that are answered in the place of a metadata file.
    pub statuses: BTreeMap<String, u16>,
}

pub struct Scene {
    pub folder: tempfile::TempDir,
    pub now: Instant,
    pub root: Vec<u8>,
    pub gate: Arc<Gate>,
    served: Arc<Mutex<Served>>,
    server: Server,
}

/// Holds the answer to one request for the timestamp back.
#[derive(Debug, Default)]
pub struct Gate {
    phase: Mutex<Phase>,
    changed: Condvar,
}

#[derive(Debug, Default, PartialEq)]
enum Phase {
    #[default]
    Open,
    Armed,
    Holding,
}

impl Gate {
    /// The next answer waits until the gate is opened.
    pub fn arm(&self) {
        *locked(&self.phase) = Phase::Armed;
    }

    /// Returns once an answer waits.
    pub fn wait_until_held(&self) {
        let phase = locked(&self.phase);
        drop(self.changed.wait_while(phase, |phase| *phase == Phase::Armed).unwrap());
    }

    pub fn open(&self) {
        *locked(&self.phase) = Phase::Open;
        self.changed.notify_all();
    }

    fn pass(&self) {
        let mut phase = locked(&self.phase);
        if *phase == Phase::Armed {
            *phase = Phase::Holding;
            self.changed.notify_all();
            drop(self.changed.wait_while(phase, |phase| *phase == Phase::Holding).unwrap());
        }
    }
}

/// The server's end waits for its answers.
impl Drop for Scene {
    fn drop(&mut self) {
        self.gate.open();
    }
}

pub fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

impl Scene {
    /// A repository published once, on 2030-01-01.
    pub fn new() -> Self {
        Self::starting(at("2030-01-01T00:00:00Z"))
    }

    pub fn starting(now: Instant) -> Self {
        Self::of(Simulator::new(now).unwrap(), now)
    }

    /// The client begins with version 1 of the root.
    pub fn of(repo: Simulator, now: Instant) -> Self {
        let root = repo.fetch("1.root.json").unwrap().unwrap();
        let (content, statuses) = (BTreeMap::new(), BTreeMap::new());
        let served = Arc::new(Mutex::new(Served { repo, content, statuses }));
        let theirs = Arc::clone(&served);
        let gate = Arc::new(Gate::default());
        let its = Arc::clone(&gate);
        let server = Server::start(move |request| {
            let response = answer(&locked(&theirs), request);
            if request.path().ends_with("/timestamp.json") {
                its.pass();
            }
            response
        });
        let server = server.unwrap();
        Self { gate, folder: tempfile::tempdir().unwrap(), now, root, served, server }
    }

    pub fn served(&self) -> MutexGuard<'_, Served> {
        locked(&self.served)
    }

    /// Changes the repository. Nothing is published by that.
    pub fn repo<T>(&self, change: impl FnOnce(&mut Simulator) -> T) -> T {
        change(&mut self.served().repo)
    }

    /// Changes the repository and publishes it.
    pub fn publish(&self, change: impl FnOnce(&mut Simulator)) {
        self.repo(|repo| {
            change(repo);
            repo.publish().unwrap();
        });
    }

    /// Gives these roles a new version, each a moment longer valid, and publishes.
    pub fn touch(&self, roles: &[&str]) {
        self.publish(|repo| roles.iter().for_each(|role| touch(repo, role)));
    }

    /// Serves a role's document changed and signed by its signers, as the file that it has now. What
    /// others state of it isn't changed.
    pub fn offer(&self, role: &str, change: impl FnOnce(&mut Document)) -> Document {
        self.repo(|repo| {
            let mut document = repo.documents[role].clone();
            let name = file_name(role, &document);
            change(&mut document);
            let bytes = signed(&document, &repo.signers[role]);
            repo.overrides.insert(name, bytes);
            document
        })
    }

    /// Serves a timestamp of the next version that states only this version of the snapshot, or more.
    pub fn state_snapshot(&self, meta: &MetaFile) {
        self.offer("timestamp", |timestamp| {
            timestamp.set_version(timestamp.version() + 1);
            timestamp.set_meta("snapshot.json", meta);
        });
    }

    /// Serves a snapshot of the next version that states this of the targets, and a timestamp that states
    /// that snapshot by its version.
    pub fn state_targets(&self, file: &str, meta: &MetaFile) {
        let version = self.repo(|repo| repo.documents["snapshot"].version() + 1);
        self.repo(|repo| {
            let mut snapshot = repo.documents["snapshot"].clone();
            snapshot.set_version(version);
            snapshot.set_meta(file, meta);
            let bytes = signed(&snapshot, &repo.signers["snapshot"]);
            repo.overrides.insert(format!("{version}.snapshot.json"), bytes);
        });
        self.state_snapshot(&plain(version));
    }

    /// The attack is over: the same documents again, above all versions that were offered.
    pub fn recover(&self) {
        self.served().statuses.clear();
        self.publish(|repo| {
            repo.overrides.clear();
            repo.forges.clear();
            for role in ["timestamp", "snapshot", "targets"] {
                let above = repo.documents[role].version() + 10;
                repo.role_mut(role).set_version(above);
            }
        });
    }

    pub fn url(&self, folder: &str) -> String {
        format!("{}/{folder}/", self.server.url())
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub fn client(&self) -> Client {
        self.client_of(&self.root)
    }

    pub fn client_of(&self, root: &[u8]) -> Client {
        let location: RepoLocation = self.server.url().parse().unwrap();
        let store = Box::new(DirStore::open(self.state()).unwrap());
        Client::new(root.to_vec(), location.transport(&TransportOptions::default()), store, self.now)
    }

    /// Updates, and gives the versions of root, timestamp, snapshot and targets.
    pub fn refresh(&self) -> Result<[u64; 4], ClientError> {
        let client = self.client();
        let state = client.refresh()?;
        let timestamp = state.snapshot().timestamp();
        let root = timestamp.root().version();
        Ok([root, timestamp.version(), state.snapshot().version(), state.targets().version()])
    }

    /// Updates and searches. A target's content hash, or the roles that were searched without a result.
    pub fn find(&self, path: &str) -> Result<String, ClientError> {
        let client = self.client();
        let state = client.refresh()?;
        let names = |roles: Vec<&str>| roles.join(" ");
        Ok(match state.find(path)? {
            Found::Target { chain, .. } => {
                format!("found by {}", names(chain.iter().map(|one| one.role().name()).collect()))
            }
            Found::Absent(absent) => {
                format!("searched {}", names(absent.searched.iter().map(Role::name).collect()))
            }
        })
    }

    /// A good update: these versions are held, and the files kept are byte for byte those served.
    #[track_caller]
    pub fn good(&self, versions: [u64; 4]) {
        assert_eq!(self.refresh().expect("a good update"), versions);
        for (role, version) in TOP.iter().zip(versions) {
            let name =
                if *role == "timestamp" { "timestamp.json".into() } else { format!("{version}.{role}.json") };
            let served = self.repo(|repo| repo.fetch(&name).unwrap());
            assert_eq!(self.kept(&format!("{role}.json")), served, "{name} as it was served");
        }
    }

    /// An update that is good, whatever its versions.
    #[track_caller]
    pub fn good_again(&self) {
        self.recover();
        self.good(self.live());
    }

    /// The versions that the repository has published.
    pub fn live(&self) -> [u64; 4] {
        self.repo(|repo| TOP.map(|role| repo.documents[role].version()))
    }

    /// A refused update: with that sentence, and with only `advances` changed in what is kept.
    #[track_caller]
    pub fn refused(&self, sentence: &str, advances: &[&str]) {
        let before = self.documents();
        let refused = self.refresh().expect_err("an update to be refused");
        assert_eq!(refused.to_string(), sentence);
        assert_eq!(changed(&before, &self.documents()), advances, "what is kept after: {sentence}");
    }

    /// A file of the metadata folder.
    pub fn kept(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.state().join("metadata").join(name)).ok()
    }

    /// Everything that was accepted: the metadata, and the roots of before.
    pub fn documents(&self) -> BTreeMap<String, Vec<u8>> {
        let (state, mut files) = (self.state(), BTreeMap::new());
        for (folder, prefix) in [("metadata", ""), ("root_history", "root_history/")] {
            for path in listed(&state.join(folder)) {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                files.insert(format!("{prefix}{name}"), fs::read(path).unwrap());
            }
        }
        files
    }

    /// The paths that were asked for since the last call, below `/metadata/` without that.
    pub fn requests(&self) -> Vec<String> {
        let log = self.server.log();
        self.server.clear_log();
        log.iter().map(|one| one.path.trim_start_matches("/metadata/").to_owned()).collect()
    }
}

/// The files of a folder, in order; none where there is no folder.
pub fn listed(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<_> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    paths.sort();
    paths
}

/// The names that are new, gone or different.
pub fn changed(before: &BTreeMap<String, Vec<u8>>, after: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let mut names: Vec<_> = before.keys().chain(after.keys()).cloned().collect();
    names.sort();
    names.dedup();
    names.retain(|name| before.get(name) != after.get(name));
    names
}

/// What METAFILES may say at least: a version.
pub fn plain(version: u64) -> MetaFile {
    MetaFile { version, length: None, hashes: None }
}

pub fn file_name(role: &str, document: &Document) -> String {
    tuf_core::metadata_file_name(role, (role != "timestamp").then(|| document.version()))
}

/// A document with these signatures and no others.
pub fn signed(document: &Document, holders: &[Keyholder]) -> Vec<u8> {
    let mut document = document.clone();
    document.signed_mut();
    for holder in holders {
        document.sign(holder, &DefaultCrypto).unwrap();
    }
    document.to_bytes()
}

pub fn touch(repo: &mut Simulator, role: &str) {
    let expires = repo.role_mut(role).expires().unwrap();
    repo.role_mut(role).set_expires(expires + TimeDelta::seconds(1));
}

pub fn holders(names: &[&str]) -> Vec<Keyholder> {
    names.iter().map(|name| Keyholder::named(name)).collect()
}

/// Replaces the keys that the root lists for a top-level role, and those who sign for it.
pub fn staff(repo: &mut Simulator, role: &Role, keys: &[Keyholder], threshold: u32, signers: &[Keyholder]) {
    let root = repo.role_mut("root");
    let old = root.signed()["roles"][role.name()]["keyids"].clone();
    for id in old.as_array().unwrap() {
        root.remove_key(role, id.as_str().unwrap());
    }
    for holder in keys {
        root.add_key(role, holder.key());
    }
    root.set_threshold(role, threshold);
    repo.signers.insert(role.name().into(), signers.to_vec());
}

fn answer(served: &Served, request: &Request) -> Response {
    let path = request.path();
    if let Some(path) = path.strip_prefix("/targets/") {
        return served
            .content
            .get(path)
            .map_or_else(Response::not_found, |bytes| Response::ok(bytes.clone()));
    }
    let Some(name) = path.strip_prefix("/metadata/") else { return Response::not_found() };
    if let Some(status) = served.statuses.get(name) {
        return Response::new(*status);
    }
    metadata(&served.repo, name).map_or_else(Response::not_found, Response::ok)
}

/// A file by its name; without a version in it, that of today.
fn metadata(repo: &Simulator, name: &str) -> Option<Vec<u8>> {
    if let Some(bytes) = repo.fetch(name).unwrap() {
        return Some(bytes);
    }
    let consistent = repo.documents["root"].signed()["consistent_snapshot"] == true;
    let (role, document) =
        repo.documents.iter().find(|(role, _)| tuf_core::metadata_file_name(role, None) == name)?;
    let live = file_name(role, document);
    (!consistent).then(|| repo.fetch(&live).unwrap()).flatten()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
