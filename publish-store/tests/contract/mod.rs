//! What every place must do, whatever it is made of. A state is a timestamp that names a snapshot, which names
//! targets and a delegated role, each of them in files that say which state they are of.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, reason = "small numbers of a test")]

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use publish_store::{Head, Store, StoreError, Token};

/// What stands at a place: the state's number, and the version of its files.
pub type Seen = (u32, u64);

/// The delegated roles of each state. A dot and a slash: names that some places can't have.
pub const ROLES: [&str; 3] = ["acme", "npm.example", "odd%2Frole"];

fn document(state: u32, meta: &str) -> Vec<u8> {
    format!(r#"{{"signatures":[],"signed":{{"meta":{{{meta}}},"state":{state}}}}}"#).into_bytes()
}

/// The files of a state, in the order in which they are written.
pub fn files(state: u32, version: u64) -> Vec<(String, Vec<u8>)> {
    let entry = |role: &str| format!(r#""{role}.json":{{"version":{version}}}"#);
    let mut files: Vec<_> =
        ROLES.iter().map(|role| (format!("{version}.{role}.json"), document(state, ""))).collect();
    files.push((format!("{version}.targets.json"), document(state, "")));
    let listed: Vec<String> = ROLES.iter().copied().chain(["targets"]).map(entry).collect();
    // A role's name is not encoded within the document.
    let listed = listed.join(",").replace("%2F", "/");
    files.push((format!("{version}.snapshot.json"), document(state, &listed)));
    files
}

pub fn timestamp(state: u32, version: u64) -> Vec<u8> {
    document(state, &format!(r#""snapshot.json":{{"version":{version}}}"#))
}

/// The first version that nobody has written or claimed.
pub fn free(store: &dyn Store, from: u64) -> Result<u64, StoreError> {
    let mut version = from;
    while files(0, version).iter().map(|(name, _)| store.has_metadata(name)).any(|there| there.unwrap()) {
        version += 1;
    }
    Ok(version)
}

pub fn target_name(state: u32) -> String {
    let sha256 = oci_image::Digest::of(format!("image {state}").as_bytes()).hex();
    format!("registry.example.com/acme/{sha256}.web")
}

/// Publishes a state as `signer` does, with one more root where `root` says so.
pub fn publish_with(store: &dyn Store, state: u32, root: Option<u64>) -> Result<Token, StoreError> {
    store.sweep()?;
    let head = store.head()?;
    let version = free(store, u64::from(state))?;
    store.put_target(&target_name(state), format!("image {state}").as_bytes())?;
    let mut files = files(state, version).into_iter();
    let snapshot = files.next_back().unwrap();
    store.put_all_metadata(&mut files, &|_| {})?;
    store.put_metadata(&snapshot.0, &snapshot.1)?;
    let roots: Vec<_> = root
        .map(|root| (format!("{root}.root.json"), format!("root {root}").into_bytes()))
        .into_iter()
        .collect();
    store.advance(head.map(|head| head.token).as_ref(), &timestamp(state, version), &roots)
}

pub fn publish(store: &dyn Store, state: u32) -> Result<Token, StoreError> {
    publish_with(store, state, None)
}

/// Reads the state that clients are led to, with all that belongs to it. A mixture fails.
pub fn seen(store: &dyn Store) -> Option<Seen> {
    let head: Head = store.head().unwrap()?;
    let text = String::from_utf8(head.timestamp).unwrap();
    let number = |key: &str| {
        let digits =
            text.split(key).nth(1).unwrap().split(|byte: char| !byte.is_ascii_digit()).next().unwrap();
        digits.parse::<u64>().unwrap()
    };
    let (state, version) = (u32::try_from(number(r#""state":"#)).unwrap(), number(r#""version":"#));
    for (name, bytes) in files(state, version) {
        let there = store.metadata(&name, 1000).unwrap().unwrap_or_else(|| panic!("{name} is missing"));
        assert_eq!(String::from_utf8(there), String::from_utf8(bytes), "{name}");
    }
    Some((state, version))
}

/// A place of this kind, as another process opens it.
pub type Open<'o> = &'o (dyn Fn() -> Box<dyn Store> + Sync);

pub fn what_is_put_changes_nothing_before_it_is_led_to(open: Open<'_>) {
    let (store, reader) = (open(), open());
    assert!(store.head().unwrap().is_none());
    assert_eq!(store.metadata("1.root.json", 100).unwrap(), None);
    publish_with(&*store, 1, Some(1)).unwrap();
    assert_eq!(seen(&*reader), Some((1, 1)));
    assert_eq!(reader.metadata("1.root.json", 100).unwrap().unwrap(), b"root 1");
    let before = reader.head().unwrap().unwrap();

    let again = open();
    let token = again.head().unwrap().unwrap().token;
    for (name, bytes) in files(2, 2) {
        again.put_metadata(&name, &bytes).unwrap();
        again.put_metadata(&name, &bytes).unwrap();
        assert!(again.has_metadata(&name).unwrap());
        assert_eq!(again.metadata(&name, 1000).unwrap().unwrap(), bytes);
        assert_eq!(open().head().unwrap().unwrap().timestamp, before.timestamp);
        assert_eq!(seen(&*open()), Some((1, 1)), "after {name}");
    }
    let roots = [("2.root.json".to_owned(), b"root 2".to_vec())];
    again.advance(Some(&token), &timestamp(2, 2), &roots).unwrap();
    assert_eq!(seen(&*open()), Some((2, 2)));
    let reader = open();
    for root in [1, 2] {
        let bytes = reader.metadata(&format!("{root}.root.json"), 100).unwrap().unwrap();
        assert_eq!(bytes, format!("root {root}").as_bytes());
    }
}

pub fn a_version_is_written_once(open: Open<'_>) {
    let store = open();
    publish_with(&*store, 1, Some(1)).unwrap();
    for name in ["1.targets.json", "1.acme.json", "1.odd%2Frole.json"] {
        let refused = store.put_metadata(name, b"others").unwrap_err();
        assert!(matches!(refused, StoreError::Taken { .. }), "{name}: {refused}");
        let refused = open().put_metadata(name, b"others").unwrap_err();
        assert!(matches!(refused, StoreError::Taken { .. }), "{name}: {refused}");
    }
    let refused = store.metadata("1.targets.json", 2).unwrap_err();
    assert!(matches!(refused, StoreError::TooLarge { limit: 2, .. }), "{refused}");
    let token = store.head().unwrap().unwrap().token;
    let roots = [("1.root.json".to_owned(), b"another".to_vec())];
    let refused = store.advance(Some(&token), &timestamp(2, 1), &roots).unwrap_err();
    assert!(matches!(refused, StoreError::Taken { .. }), "{refused}");
    assert_eq!(seen(&*open()), Some((1, 1)), "a refusal changes nothing");
    assert_eq!(open().metadata("1.root.json", 100).unwrap().unwrap(), b"root 1");
}

/// Each writes its own files and then leads clients on; `losers` are told so, begin again, and nothing is lost.
pub fn of_many_publishers_one_wins_and_nobodys_files_are_lost(open: Open<'_>, rounds: u32) {
    publish_with(&*open(), 1, Some(1)).unwrap();
    for round in 1..=rounds {
        let token = open().head().unwrap().unwrap().token;
        let start = Barrier::new(2);
        let results: Vec<Result<Token, StoreError>> = thread::scope(|scope| {
            let one = |number: u32| {
                let (start, token) = (&start, &token);
                scope.spawn(move || {
                    let state = round * 10 + number;
                    let store = open();
                    store.head()?;
                    for (name, bytes) in files(state, u64::from(state)) {
                        store.put_metadata(&name, &bytes)?;
                    }
                    start.wait();
                    store.advance(Some(token), &timestamp(state, u64::from(state)), &[])
                })
            };
            [one(1), one(2)].map(|thread| thread.join().unwrap()).into()
        });
        let moved = results.iter().filter(|result| matches!(result, Err(StoreError::Moved))).count();
        assert_eq!((moved, results.iter().filter(|result| result.is_ok()).count()), (1, 1), "{results:?}");
        let winner = if results[0].is_ok() { 1 } else { 2 };
        let state = round * 10 + winner;
        assert_eq!(seen(&*open()), Some((state, u64::from(state))));
        // The one who lost begins again on top of that.
        publish(&*open(), round * 10 + 3).unwrap();
        assert_eq!(seen(&*open()).unwrap().0, round * 10 + 3);
    }
    assert_eq!(
        open().metadata("1.root.json", 100).unwrap().unwrap(),
        b"root 1",
        "the first root is still there"
    );
}

/// Stops at each write in turn, before it and after it.
pub fn a_publish_that_stops_anywhere_leaves_the_old_state_or_the_new(open: Open<'_>) {
    publish_with(&*open(), 1, Some(1)).unwrap();
    let (mut state, mut last, mut stops) = (1, 1, 0);
    for after in [false, true] {
        for at in 1_u32.. {
            state += 1;
            let store = open();
            let faulty = Faulty::new(&*store, at, after);
            match publish(&faulty, state) {
                // There were fewer writes than that.
                Ok(_) => {
                    last = state;
                    break;
                }
                Err(StoreError::Unreachable { .. }) => stops += 1,
                Err(error) => panic!("write {at}, after: {after}: {error}"),
            }
            let found = seen(&*open()).unwrap().0;
            let is_last = faulty.was_last.load(Ordering::Relaxed) == 1;
            let expected = if is_last && after { state } else { last };
            assert_eq!(found, expected, "write {at}, after: {after}");
            state += 1;
            publish(&*open(), state).unwrap();
            assert_eq!(seen(&*open()).unwrap().0, state, "the next publish goes through");
            last = state;
        }
    }
    assert!(stops >= 6, "{stops}");
}

/// A store whose n-th write fails: before anything is written, or after, so that only the answer is lost.
#[derive(Debug)]
pub struct Faulty<'s> {
    inner: &'s dyn Store,
    left: AtomicU32,
    after: bool,
    /// 1 where the write that failed was the one that leads clients on.
    pub was_last: AtomicU32,
}

impl<'s> Faulty<'s> {
    pub fn new(inner: &'s dyn Store, at: u32, after: bool) -> Self {
        Self { inner, left: AtomicU32::new(at), after, was_last: AtomicU32::new(0) }
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
        if self.left.load(Ordering::Relaxed) == 1 {
            self.was_last.store(1, Ordering::Relaxed);
        }
        self.write(|| self.inner.advance(from, timestamp, roots))
    }
    fn sweep(&self) -> Result<(), StoreError> {
        self.inner.sweep()
    }
}
