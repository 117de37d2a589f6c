//! The store: a program that dies at any write leaves one from which the next goes on, and that has
//! forgotten nothing that protects.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod support;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use support::{Mirror, first_root, list, now, repository};
use test_repos::simulator::{Keyholder, Simulator};
use tuf_client::{Client, ClientError, DirStore, Limits, Refreshed, Store, StoreError, StoreLock};
use tuf_core::Role;

/// A folder whose program dies at a given change: from then on nothing is written any more.
struct Dying {
    store: DirStore,
    left: AtomicUsize,
}

impl Dying {
    fn change(&self, change: impl FnOnce() -> Result<(), StoreError>) -> Result<(), StoreError> {
        let alive = |left: usize| left.checked_sub(1);
        match self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, alive) {
            Ok(_) => change(),
            Err(_) => {
                let error = io::Error::other("killed");
                Err(StoreError::Io { path: PathBuf::from("store"), error })
            }
        }
    }
}

impl Store for Dying {
    fn try_lock(&self) -> Result<Option<StoreLock>, StoreError> {
        self.store.try_lock()
    }

    fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.read(name, limit)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.change(|| self.store.write(name, bytes))
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.change(|| self.store.remove(name))
    }

    fn describe(&self) -> String {
        self.store.describe()
    }
}

fn refresh(root: &[u8], repo: &Simulator, store: impl Store + 'static) -> Result<Refreshed, ClientError> {
    Client::new(root.to_vec(), Mirror::of("mirror", repo), Box::new(store), now()).refresh()
}

/// Another root, with another timestamp key, and everything new.
fn rotate(repo: &mut Simulator, name: &str) {
    let holder = Keyholder::named(name);
    let root = repo.role_mut("root");
    let before: Vec<String> = ids(root, "timestamp");
    before.iter().for_each(|id| root.remove_key(&Role::Timestamp, id));
    root.add_key(&Role::Timestamp, tuf_core::crypto::Sign::key(&holder));
    repo.signers.insert("timestamp".into(), vec![holder]);
    repo.publish().unwrap();
}

fn ids(root: &tuf_core::authoring::Document, role: &str) -> Vec<String> {
    let ids = root.signed()["roles"][role]["keyids"].as_array().unwrap();
    ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect()
}

fn versions(state: &Refreshed) -> [u64; 4] {
    let timestamp = state.snapshot().timestamp();
    [timestamp.root().version(), timestamp.version(), state.snapshot().version(), state.targets().version()]
}

/// What a stranger finds in the folder of the metadata.
fn kept(state: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(state.join("metadata")).unwrap();
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn killed_at_every_write_of_a_rotation_the_next_update_ends_where_one_without_a_crash_does() {
    let mut repo = repository();
    let (root, before) = (first_root(&repo), repo.clone());
    rotate(&mut repo, "second timestamp key");
    rotate(&mut repo, "third timestamp key");
    list(&mut repo, "acme/web", b"web");
    let mut deaths = 0;
    for at in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let open = || DirStore::open(folder.path()).unwrap();
        assert_eq!(versions(&refresh(&root, &before, open()).unwrap()), [1, 1, 1, 1]);
        let died = refresh(&root, &repo, Dying { store: open(), left: AtomicUsize::new(at) }).is_err();
        let state = refresh(&root, &repo, open()).unwrap_or_else(|error| panic!("killed at {at}: {error}"));
        assert_eq!(versions(&state), [3, 4, 2, 2], "killed at {at}");
        let names: Vec<_> = kept(folder.path()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["root.json", "snapshot.json", "targets.json", "timestamp.json"], "killed at {at}");
        let newest = repo.fetch("3.root.json").unwrap().unwrap();
        assert_eq!(fs::read(folder.path().join("metadata/root.json")).unwrap(), newest, "killed at {at}");
        // What protects is not forgotten either: the repository of before is refused.
        let error = refresh(&root, &before, open()).err().unwrap();
        assert!(!error.unreachable(), "killed at {at}: {error}");
        if !died {
            break;
        }
        deaths += 1;
    }
    // Two removals, two roots of the history, root.json, timestamp, snapshot and targets.
    assert_eq!(deaths, 8);
}

#[test]
fn a_lost_root_json_is_written_anew_from_the_history() {
    let folder = tempfile::tempdir().unwrap();
    let open = || DirStore::open(folder.path()).unwrap();
    let mut repo = repository();
    let root = first_root(&repo);
    rotate(&mut repo, "second timestamp key");
    refresh(&root, &repo, open()).unwrap();
    let path = folder.path().join("metadata/root.json");
    let newest = repo.fetch("2.root.json").unwrap().unwrap();
    for damage in [None, Some(&b"{"[..]), Some(root.as_slice())] {
        match damage {
            Some(bytes) => fs::write(&path, bytes).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        refresh(&root, &repo, open()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), newest);
    }
}

#[test]
fn another_process_that_keeps_the_lock_is_waited_for_and_then_named() {
    let folder = tempfile::tempdir().unwrap();
    let (repo, other) = (repository(), DirStore::open(folder.path()).unwrap());
    let lock = other.try_lock().unwrap().unwrap();
    let mirror = Mirror::of("mirror", &repo);
    let store = Box::new(DirStore::open(folder.path()).unwrap());
    let limits = Limits { lock: Duration::ZERO, ..Limits::default() };
    let client = Client::new(first_root(&repo), mirror.clone(), store, now()).with_limits(limits);
    let error = client.refresh().err().unwrap();
    let what = format!(
        "the trusted store failed: another process holds the lock of {}: expected it free within ",
        folder.path().display()
    );
    assert!(error.to_string().starts_with(&what), "{error}");
    assert!(error.unreachable());
    assert!(mirror.asked().is_empty(), "who has no lock asks nothing");

    // It is given back while somebody waits.
    let client = client.with_limits(Limits::default());
    let waiting = std::thread::spawn(move || client.refresh().map(|state| versions(&state)));
    drop(lock);
    assert_eq!(waiting.join().unwrap().unwrap(), [1, 1, 1, 1]);
}
