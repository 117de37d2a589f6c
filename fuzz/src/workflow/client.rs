//! The one place that speaks to `tuf-client`: its transport and its store in memory, and one update.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use oci_image::SourceError;
use serde_json::{Value, json};
use tuf_client::{Client, ClientError, Fetch, Fetched, Found, Store, StoreError, StoreLock, Transport};
use tuf_core::Instant;

use super::server::Server;
use crate::seal::{Seals, sha256};

/// The server, shared with the client.
#[derive(Clone, Debug, Default)]
pub struct Wire(Arc<Mutex<Server>>);

impl Wire {
    /// The server, between updates.
    pub fn server(&self) -> MutexGuard<'_, Server> {
        self.0.lock().expect("no panic is outlived")
    }
}

impl Transport for Wire {
    fn fetch(&self, wanted: &Fetch<'_>) -> Result<Fetched, SourceError> {
        let mut server = self.server();
        if wanted.known.is_some() && server.says_unchanged(wanted.name) {
            return Ok(Fetched::Unchanged);
        }
        let Some(bytes) = server.serve(wanted.name, wanted.limit)? else { return Ok(Fetched::Absent) };
        let tag = sha256(&bytes);
        match wanted.known {
            Some(known) if known == tag => Ok(Fetched::Unchanged),
            _ => Ok(Fetched::File { bytes, tag: Some(tag) }),
        }
    }

    fn describe(&self) -> String {
        "a story".to_owned()
    }
}

/// Files by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What a client keeps, and how many changes it can still make before it is cut off.
#[derive(Clone, Debug, Default)]
pub struct Shelf(Arc<Mutex<(Files, Option<u32>)>>);

impl Shelf {
    /// A store that holds these files.
    pub fn of(files: Files) -> Self {
        Self(Arc::new(Mutex::new((files, None))))
    }

    /// The files.
    pub fn files(&self) -> Files {
        self.inner().0.clone()
    }

    /// Changes a file behind the client's back.
    pub fn damage(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        if let Some(bytes) = self.inner().0.get_mut(name) {
            change(bytes);
        }
    }

    /// Loses a file behind the client's back.
    pub fn lose(&self, name: &str) {
        self.inner().0.remove(name);
    }

    /// Lets that many changes through, and no more; all of them where it is none.
    pub fn cut_off_after(&self, changes: Option<u32>) {
        self.inner().1 = changes;
    }

    fn inner(&self) -> MutexGuard<'_, (Files, Option<u32>)> {
        self.0.lock().expect("no panic is outlived")
    }

    fn change(&self, change: impl FnOnce(&mut Files)) -> Result<(), StoreError> {
        let mut inner = self.inner();
        match &mut inner.1 {
            Some(0) => {
                let (path, error) = (PathBuf::new(), io::Error::other("cut off"));
                return Err(StoreError::Io { path, error });
            }
            Some(left) => *left -= 1,
            None => {}
        }
        change(&mut inner.0);
        Ok(())
    }
}

impl Store for Shelf {
    fn try_lock(&self) -> Result<Option<StoreLock>, StoreError> {
        Ok(Some(StoreLock::holding(())))
    }

    fn read(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let bytes = self.inner().0.get(name).cloned();
        Ok(bytes.filter(|bytes| bytes.len() as u64 <= limit))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.change(|files| {
            files.insert(name.to_owned(), bytes.to_vec());
        })
    }

    fn remove(&self, name: &str) -> Result<(), StoreError> {
        self.change(|files| {
            files.remove(name);
        })
    }

    fn is_private(&self, _name: &str) -> Result<bool, StoreError> {
        Ok(true)
    }

    fn describe(&self) -> String {
        "a story".to_owned()
    }
}

/// Where a target was found, and what is said of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// The role that lists it.
    pub role: String,
    /// TARGETS of one file (4.5).
    pub target: Value,
}

/// How an update ended.
#[derive(Debug)]
pub struct Outcome {
    /// Whether the state of the repository is known, or why not.
    pub refreshed: Result<(), ClientError>,
    /// The answer of the search, where there was one.
    pub found: Option<Result<Option<Answer>, ClientError>>,
}

/// How to update.
#[derive(Clone, Debug)]
pub struct Way<'a> {
    /// The root that came by a way that is trusted.
    pub pinned: &'a [u8],
    /// The time.
    pub now: Instant,
    /// Whether only what is kept is used.
    pub offline: bool,
    /// What is looked for.
    pub path: &'a str,
}

/// A client that begins anew at each update, as a program that is run now and then.
pub fn update(way: &Way<'_>, wire: &Wire, shelf: &Shelf) -> Outcome {
    let (transport, store) = (Arc::new(wire.clone()), Box::new(shelf.clone()));
    let client = Client::new(way.pinned.to_vec(), transport, store, way.now).with_crypto(&Seals);
    ask(if way.offline { client.offline() } else { client }, way, wire)
}

/// A client that lives on from update to update, and holds in memory what it weighed.
pub struct Living {
    client: Client,
    now: Arc<Mutex<Instant>>,
}

impl Living {
    /// A client that has not updated yet.
    pub fn new(pinned: &[u8], wire: &Wire, shelf: &Shelf) -> Self {
        let (transport, store) = (Arc::new(wire.clone()), Box::new(shelf.clone()));
        let now = Arc::new(Mutex::new(Instant::default()));
        let told = Arc::clone(&now);
        let clock = move || *told.lock().expect("no panic is outlived");
        let client = Client::new(pinned.to_vec(), transport, store, clock).with_crypto(&Seals);
        Self { client, now }
    }

    /// Updates, and searches. It is never offline.
    pub fn update(&self, way: &Way<'_>, wire: &Wire) -> Outcome {
        *self.now.lock().expect("no panic is outlived") = way.now;
        ask(self.client.clone(), way, wire)
    }
}

fn ask(client: Client, way: &Way<'_>, wire: &Wire) -> Outcome {
    wire.server().served.clear();
    wire.server().silent = way.offline;
    let refreshed = client.refresh();
    let found = refreshed.as_ref().ok().map(|state| state.find(way.path).map(answer));
    Outcome { refreshed: refreshed.map(|_| ()), found }
}

fn answer(found: Found) -> Option<Answer> {
    let Found::Target { target, chain } = found else { return None };
    let role = chain.last().expect("a chain has an end").role().name().to_owned();
    Some(Answer { role, target: json!({ "length": target.length, "hashes": target.hashes }) })
}
