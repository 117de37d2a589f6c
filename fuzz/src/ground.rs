//! What the targets of one document stand on: a small repository, sealed, in which each top-level role
//! has one key. The document under test takes the place of one of its files.

use std::sync::LazyLock;

use serde_json::Value;
use tuf_core::authoring::Document;
use tuf_core::canonical::canonicalise;
use tuf_core::crypto::Sign as _;
use tuf_core::schema::MetaFile;
use tuf_core::{CurrentRoot, FreshSnapshot, FreshTimestamp, Instant, Refusal, Role, TrustedRoot};

use crate::reference::Paper;
use crate::seal::{Sealer, Seals};

/// The key of the root role, and of the other roles in the order of the workflow.
pub const ROOT: u8 = 1;
/// See [`ROOT`].
pub const TIMESTAMP: u8 = 2;
/// See [`ROOT`].
pub const SNAPSHOT: u8 = 3;
/// See [`ROOT`]. Delegated roles have it too.
pub const TARGETS: u8 = 4;

/// The time of the update: 2030-01-01.
pub fn now() -> Instant {
    Instant::from_timestamp(1_893_456_000, 0).expect("a time")
}

/// When what is good expires: a year later.
pub fn later() -> Instant {
    Instant::from_timestamp(1_924_992_000, 0).expect("a time")
}

/// A document as those keyholders publish it.
pub fn sealed(document: &Document, numbers: &[u8]) -> Vec<u8> {
    let mut document = document.clone();
    for number in numbers {
        document.sign(&Sealer::numbered(*number), &Seals).expect("ours is canonicalisable");
    }
    document.to_bytes()
}

/// The first root.
pub fn root() -> Document {
    let mut root = Document::root(later());
    let roles = [Role::Root, Role::Timestamp, Role::Snapshot, Role::Targets];
    for (role, number) in roles.iter().zip(ROOT..) {
        root.add_key(role, Sealer::numbered(number).key());
    }
    root
}

static ROOT_BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| sealed(&root(), &[ROOT]));
static CURRENT: LazyLock<CurrentRoot> = LazyLock::new(|| trusted().current().expect("a good root"));
static ROOT_PAPER: LazyLock<Paper> = LazyLock::new(|| Paper::read(&ROOT_BYTES).expect("an envelope"));

/// The root, trusted.
pub fn trusted() -> TrustedRoot {
    TrustedRoot::bootstrap(&ROOT_BYTES, now(), &Seals).expect("a good root")
}

/// The root, as the reference reads it.
pub fn root_paper() -> &'static Paper {
    &ROOT_PAPER
}

/// The root, current.
pub fn current() -> &'static CurrentRoot {
    &CURRENT
}

fn bare(version: u64) -> MetaFile {
    MetaFile { version, length: None, hashes: None }
}

/// A timestamp that states a snapshot of that version, and no length or hash.
pub fn timestamp(snapshot: u64) -> FreshTimestamp {
    let mut timestamp = Document::timestamp(later());
    timestamp.set_meta("snapshot.json", &bare(snapshot));
    current().timestamp(None, &sealed(&timestamp, &[TIMESTAMP])).expect("a good timestamp")
}

/// A snapshot that states these versions, and no lengths or hashes.
pub fn snapshot(files: &[(String, u64)]) -> FreshSnapshot {
    let mut snapshot = Document::snapshot(later());
    for (role, version) in files {
        snapshot.set_meta(&format!("{role}.json"), &bare(*version));
    }
    timestamp(1).snapshot(None, &sealed(&snapshot, &[SNAPSHOT])).expect("a good snapshot")
}

/// Weighs a text, and the same text written compactly and with white space: the verdict must be the same.
///
/// Nothing is written anew that two readers could understand differently.
pub fn in_any_words(text: &[u8], taken: fn(&[u8]) -> bool) -> bool {
    let verdict = taken(text);
    if canonicalise(text).is_ok() {
        let value: Value = serde_json::from_slice(text).expect("canonicalisable, but no JSON");
        for other in [serde_json::to_vec(&value), serde_json::to_vec_pretty(&value)] {
            let other = other.expect("a value");
            assert_eq!(taken(&other), verdict, "another verdict on {}", String::from_utf8_lossy(&other));
        }
    }
    verdict
}

/// A version that can be stated: what the document under test says, where that is a version.
pub fn stated_version(paper: Option<&Paper>) -> u64 {
    paper.map_or(1, Paper::version).max(1)
}

/// A refusal says what is wrong, and says where the specification asks for it. Nothing was taken then.
pub fn says_why(refusal: &Refusal) -> bool {
    let text = refusal.to_string();
    assert!(text.contains(refusal.step) && text.len() > refusal.step.len(), "{text:?}");
    false
}
