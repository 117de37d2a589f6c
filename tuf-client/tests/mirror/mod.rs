//! A repository in memory behind a transport that keeps a log and misbehaves as told.
//!
//! Nothing here is what is tested.

#![allow(unreachable_pub, missing_docs, dead_code, reason = "tests")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use oci_image::SourceError;
use test_repos::simulator::Simulator;
use tuf_client::{Client, Fetch, Fetched, MemoryStore, Transport};
use tuf_core::schema::Target;
use tuf_core::{Instant, consistent_target_name, hash::sha256_hex};

/// The time of the tests, unless they say otherwise.
pub fn now() -> Instant {
    Instant::from_timestamp(1_893_456_000, 0).unwrap()
}

/// What a client that starts afresh asks for, in order, where the repository is at its first versions.
pub const FRESH: [&str; 4] = ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"];

type Conduct =
    Box<dyn Fn(&Fetch<'_>, Result<Fetched, SourceError>) -> Result<Fetched, SourceError> + Send + Sync>;

/// One mirror of a repository.
pub struct Mirror {
    name: &'static str,
    repo: Mutex<Simulator>,
    targets: Mutex<BTreeMap<String, Vec<u8>>>,
    log: Mutex<Vec<String>>,
    known: Mutex<Vec<Option<String>>>,
    conduct: Mutex<Conduct>,
}

impl Mirror {
    pub fn of(name: &'static str, repo: &Simulator) -> Arc<Self> {
        let conduct: Conduct = Box::new(|_, fetched| fetched);
        Arc::new(Self {
            name,
            repo: Mutex::new(repo.clone()),
            targets: Mutex::default(),
            log: Mutex::default(),
            known: Mutex::default(),
            conduct: Mutex::new(conduct),
        })
    }

    pub fn repo(&self) -> MutexGuard<'_, Simulator> {
        self.repo.lock().unwrap()
    }

    /// Does this to every answer from now on.
    pub fn conduct(
        &self,
        conduct: impl Fn(&Fetch<'_>, Result<Fetched, SourceError>) -> Result<Fetched, SourceError>
        + Send
        + Sync
        + 'static,
    ) {
        *self.conduct.lock().unwrap() = Box::new(conduct);
    }

    pub fn down(&self) {
        let at = self.name;
        self.conduct(move |_, _| Err(SourceError::Unreachable { at: at.into(), why: "it is down".into() }));
    }

    /// Serves a target's bytes under its hash.
    pub fn serve_target(&self, path: &str, bytes: &[u8]) {
        let name = consistent_target_name(path, &sha256_hex(bytes));
        self.targets.lock().unwrap().insert(name, bytes.to_vec());
    }

    /// The entity tags sent since the last time, where any were.
    pub fn tags_sent(&self) -> Vec<String> {
        std::mem::take(&mut *self.known.lock().unwrap()).into_iter().flatten().collect()
    }

    /// The names asked for since the last time.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

/// The entity tag of bytes.
pub fn tag(bytes: &[u8]) -> String {
    format!("\"{}\"", sha256_hex(bytes))
}

impl Transport for Mirror {
    fn fetch(&self, wanted: &Fetch<'_>) -> Result<Fetched, SourceError> {
        self.log.lock().unwrap().push(wanted.name.to_owned());
        self.known.lock().unwrap().push(wanted.known.map(str::to_owned));
        let found = self.repo().fetch(wanted.name).unwrap();
        let found = found.or_else(|| self.targets.lock().unwrap().get(wanted.name).cloned());
        let fetched = match found {
            Some(bytes) if bytes.len() as u64 > wanted.limit => {
                Err(SourceError::TooLarge { at: self.name.into(), limit: wanted.limit, got: None })
            }
            Some(bytes) if wanted.known == Some(&tag(&bytes)) => Ok(Fetched::Unchanged),
            Some(bytes) => Ok(Fetched::File { tag: Some(tag(&bytes)), bytes }),
            None => Ok(Fetched::Absent),
        };
        (self.conduct.lock().unwrap())(wanted, fetched)
    }

    fn describe(&self) -> String {
        self.name.to_owned()
    }
}

/// A repository that lists one target, at its first versions but for targets.
pub fn repository() -> Simulator {
    Simulator::new(now()).unwrap()
}

/// Lists these bytes as the target `path`.
pub fn list(repo: &mut Simulator, path: &str, bytes: &[u8]) {
    repo.role_mut("targets").set_target(path, &Target::of(bytes)).unwrap();
    repo.publish().unwrap();
}

pub fn first_root(repo: &Simulator) -> Vec<u8> {
    repo.fetch("1.root.json").unwrap().unwrap()
}

/// A client without a past.
pub fn client(root: &[u8], mirror: &Arc<Mirror>) -> Client {
    Client::new(root.to_vec(), Arc::clone(mirror) as Arc<dyn Transport>, Box::<MemoryStore>::default(), now())
}

/// An executor that asks again and again.
pub fn drive<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = poll_once(future.as_mut()) {
            return output;
        }
        std::thread::yield_now();
    }
}

pub fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
