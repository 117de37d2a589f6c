//! A repository in memory, signed with keys that are numbers.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::arithmetic_side_effects, reason = "tests")]

pub mod foreign;

use std::collections::BTreeMap;

use tuf_core::authoring::{Document, meta_of};
use tuf_core::crypto::{self, Ed25519Signer, Sign as _};
use tuf_core::{
    CurrentRoot, FreshSnapshot, FreshTimestamp, Instant, Refusal, Role, TrustedRoot, TrustedTargets,
};

pub const ROOT: u8 = 1;
pub const TIMESTAMP: u8 = 2;
pub const SNAPSHOT: u8 = 3;
pub const TARGETS: u8 = 4;

pub fn signer(number: u8) -> Ed25519Signer {
    Ed25519Signer::from_seed(&[number; 32])
}

pub fn at(text: &str) -> Instant {
    text.parse().unwrap()
}

pub fn now() -> Instant {
    at("2030-01-01T00:00:00Z")
}

pub fn later() -> Instant {
    at("2031-01-01T00:00:00Z")
}

/// Signs with the numbered keys and no others.
pub fn signed(document: &Document, keys: &[u8]) -> Vec<u8> {
    let mut document = document.clone();
    document.signed_mut();
    for &key in keys {
        document.sign(&signer(key), crypto::default()).unwrap();
    }
    document.to_bytes()
}

pub fn versioned(document: &Document, version: u64) -> Document {
    let mut document = document.clone();
    document.set_version(version);
    document
}

/// The sentence of a refusal.
pub fn why<T>(result: Result<T, Refusal>) -> String {
    result.err().expect("an unexpected success").to_string()
}

/// One state of a repository: four documents and the files of delegated roles.
#[derive(Clone)]
pub struct Repository {
    pub root: Document,
    pub timestamp: Document,
    pub snapshot: Document,
    pub targets: Document,
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Repository {
    pub fn new() -> Self {
        let mut root = Document::root(later());
        let roles = [Role::Root, Role::Timestamp, Role::Snapshot, Role::Targets];
        for (role, number) in roles.iter().zip(ROOT..) {
            root.add_key(role, signer(number).key());
        }
        let mut all = Self {
            root,
            timestamp: Document::timestamp(later()),
            snapshot: Document::snapshot(later()),
            targets: Document::targets(later()),
            files: BTreeMap::new(),
        };
        all.relink();
        all
    }

    /// States in snapshot and timestamp what targets and snapshot are now.
    pub fn relink(&mut self) {
        let targets = self.targets_bytes();
        self.snapshot.set_meta("targets.json", &meta_of(self.targets.version(), &targets));
        let snapshot = self.snapshot_bytes();
        self.timestamp.set_meta("snapshot.json", &meta_of(self.snapshot.version(), &snapshot));
    }

    /// Adds the file of a delegated role.
    pub fn role(&mut self, name: &str, document: &Document, keys: &[u8]) {
        let bytes = signed(document, keys);
        self.snapshot.set_meta(&format!("{name}.json"), &meta_of(document.version(), &bytes));
        self.files.insert(name.to_owned(), bytes);
    }

    pub fn root_bytes(&self) -> Vec<u8> {
        signed(&self.root, &[ROOT])
    }

    pub fn timestamp_bytes(&self) -> Vec<u8> {
        signed(&self.timestamp, &[TIMESTAMP])
    }

    pub fn snapshot_bytes(&self) -> Vec<u8> {
        signed(&self.snapshot, &[SNAPSHOT])
    }

    pub fn targets_bytes(&self) -> Vec<u8> {
        signed(&self.targets, &[TARGETS])
    }

    pub fn trusted(&self) -> TrustedRoot {
        TrustedRoot::bootstrap(&self.root_bytes(), now(), crypto::default()).unwrap()
    }

    pub fn current(&self) -> CurrentRoot {
        self.trusted().current().unwrap()
    }

    pub fn fresh(&self) -> FreshTimestamp {
        self.current().timestamp(None, &self.timestamp_bytes()).unwrap()
    }

    pub fn snap(&self) -> FreshSnapshot {
        self.fresh().snapshot(None, &self.snapshot_bytes()).unwrap()
    }

    pub fn top(&self) -> TrustedTargets {
        self.snap().targets(&self.targets_bytes()).unwrap()
    }
}
