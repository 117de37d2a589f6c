//! A publish that stops at any of its writes: clients see the old state or the new one, and the next publish
//! goes through. And two publishers at once.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use publish_store::{DirStore, Head, Store, StoreError, Token};

/// A store whose n-th write fails: before anything is written, or after, so that only the answer is lost.
#[derive(Debug)]
struct Faulty<'s> {
    inner: &'s dyn Store,
    left: AtomicU32,
    after: bool,
}

impl<'s> Faulty<'s> {
    fn new(inner: &'s dyn Store, at: u32, after: bool) -> Self {
        Self { inner, left: AtomicU32::new(at), after }
    }

    fn write<T>(&self, write: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
        let lost = || StoreError::Unreachable { at: "the store".into(), why: "it vanished".into() };
        let left = self.left.load(Ordering::Relaxed);
        self.left.store(left.saturating_sub(1), Ordering::Relaxed);
        match (left, self.after) {
            (0, _) => Err(lost()),
            (1, false) => Err(lost()),
            (1, true) => write().and_then(|_| Err(lost())),
            _ => write(),
        }
    }
}

impl Store for Faulty<'_> {
    fn describe(&self) -> String {
        self.inner.describe()
    }
    fn metadata(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.metadata(name, limit)
    }
    fn has_metadata(&self, name: &str) -> Result<bool, StoreError> {
        self.inner.has_metadata(name)
    }
    fn target(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.target(name, limit)
    }
    fn head(&self) -> Result<Option<Head>, StoreError> {
        self.inner.head()
    }
    fn put_metadata(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.write(|| self.inner.put_metadata(name, bytes))
    }
    fn put_target(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.write(|| self.inner.put_target(name, bytes))
    }
    fn advance(
        &self,
        from: Option<&Token>,
        timestamp: &[u8],
        roots: &[(String, Vec<u8>)],
    ) -> Result<Token, StoreError> {
        self.write(|| self.inner.advance(from, timestamp, roots))
    }
    fn sweep(&self) -> Result<(), StoreError> {
        self.inner.sweep()
    }
}

/// A state is one number here: the timestamp names it, and two files must be there that go with it.
fn publish(store: &dyn Store, state: u32) -> Result<(), StoreError> {
    store.sweep()?;
    let head = store.head()?;
    store.put_target(&format!("dir/{state}.image"), format!("image {state}").as_bytes())?;
    let mut version = state;
    while store.has_metadata(&format!("{version}.targets.json"))? {
        version = version.saturating_add(1000);
    }
    store.put_metadata(&format!("{version}.targets.json"), format!("targets {state}").as_bytes())?;
    store.put_metadata(&format!("{version}.snapshot.json"), format!("snapshot {state}").as_bytes())?;
    let timestamp = format!("{state} {version}");
    store.advance(head.map(|head| head.token).as_ref(), timestamp.as_bytes(), &[])?;
    Ok(())
}

/// What a client sees: the state, with everything that belongs to it.
fn seen(store: &dyn Store) -> Option<u32> {
    let timestamp = String::from_utf8(store.head().unwrap()?.timestamp).unwrap();
    let (state, version) = timestamp.split_once(' ').unwrap();
    let file = |name: &str| String::from_utf8(store.metadata(name, 100).unwrap().unwrap()).unwrap();
    assert_eq!(file(&format!("{version}.targets.json")), format!("targets {state}"));
    assert_eq!(file(&format!("{version}.snapshot.json")), format!("snapshot {state}"));
    let target = store.target(&format!("dir/{state}.image"), 100).unwrap().unwrap();
    assert_eq!(target, format!("image {state}").as_bytes());
    Some(state.parse().unwrap())
}

fn dir(path: &Path) -> DirStore {
    for folder in ["metadata", "targets"] {
        std::fs::create_dir_all(path.join(folder)).unwrap();
    }
    DirStore::new(path)
}

#[test]
fn a_publish_that_stops_anywhere_leaves_the_old_state_or_the_new() {
    for after in [false, true] {
        for at in 1..=4 {
            let folder = tempfile::tempdir().unwrap();
            let store = dir(folder.path());
            publish(&store, 1).unwrap();
            publish(&Faulty::new(&store, at, after), 2).unwrap_err();
            let expected = if at == 4 && after { 2 } else { 1 };
            assert_eq!(seen(&store), Some(expected), "write {at}, after: {after}");
            publish(&store, 3).unwrap();
            assert_eq!(seen(&store), Some(3));
        }
    }
}

#[test]
fn of_two_publishers_at_once_one_wins_and_the_other_knows() {
    let folder = tempfile::tempdir().unwrap();
    let store = dir(folder.path());
    publish(&store, 1).unwrap();
    for round in 0..20_u32 {
        let token = store.head().unwrap().unwrap().token;
        let start = Barrier::new(2);
        let results: Vec<Result<Token, StoreError>> = thread::scope(|scope| {
            let one = |number: u32| {
                let (start, token) = (&start, &token);
                // Each has a store of its own, as two processes do.
                let store = DirStore::new(folder.path());
                scope.spawn(move || {
                    start.wait();
                    store.advance(Some(token), format!("{round} {number}").as_bytes(), &[])
                })
            };
            let both = [one(1), one(2)];
            both.map(|thread| thread.join().unwrap()).into()
        });
        let moved = results.iter().filter(|result| matches!(result, Err(StoreError::Moved))).count();
        assert_eq!((moved, results.iter().filter(|result| result.is_ok()).count()), (1, 1), "{results:?}");
    }
}

#[test]
fn a_version_is_written_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = dir(folder.path());
    store.put_metadata("2.targets.json", b"one").unwrap();
    store.put_metadata("2.targets.json", b"one").unwrap();
    assert!(matches!(store.put_metadata("2.targets.json", b"two"), Err(StoreError::Taken { .. })));
    assert_eq!(store.metadata("2.targets.json", 100).unwrap().unwrap(), b"one");
    assert!(matches!(
        store.metadata("2.targets.json", 2),
        Err(StoreError::TooLarge { limit: 2, got: 3, .. })
    ));
    let roots = [("2.root.json".to_owned(), b"root".to_vec())];
    store.put_metadata("2.root.json", b"another").unwrap();
    assert!(matches!(store.advance(None, b"t", &roots), Err(StoreError::Taken { .. })));
    assert!(store.head().unwrap().is_none(), "a refusal changes nothing");
}

#[test]
fn many_files_are_written_at_once_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = dir(folder.path());
    let mut files = (0..300).map(|number| (format!("1.bins-{number}.json"), vec![b'x'; 1000]));
    let last = AtomicU32::new(0);
    store
        .put_all_metadata(&mut files, &|done| last.store(u32::try_from(done).unwrap(), Ordering::Relaxed))
        .unwrap();
    assert_eq!(last.into_inner(), 300);
    assert_eq!(
        std::fs::read_dir(folder.path().join("metadata")).unwrap().count(),
        300,
        "and nothing unfinished"
    );
}
