//! What was verified once isn't verified again, for as long as nothing that matters changed.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use test_repos::simulator::{Keyholder, Simulator};
use tuf_client::{Client, DirStore, DirTransport, Found};
use tuf_core::Role;
use tuf_core::crypto::{self, Sign as _, Verify};
use tuf_core::key::PublicKey;
use tuf_core::schema::Target;

const PATH: &str = "registry.example.com/acme/web:1.4";
/// Messages from this length on are those of the large document.
const LARGE: usize = 256 * 1024;

/// The targets keys that sign, all of whose signatures are checked.
const WEIGHED: u32 = 2;

/// Counts the signatures over large documents that are checked.
#[derive(Debug)]
struct Counting(AtomicU32);

impl Verify for Counting {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        if message.len() >= LARGE {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
        crypto::default().verify(key, message, signature)
    }
}

struct Place {
    _folder: tempfile::TempDir,
    served: PathBuf,
    state: PathBuf,
    simulator: Simulator,
    checked: &'static Counting,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut simulator = Simulator::new("2030-01-01T00:00:00Z".parse().unwrap()).unwrap();
        let targets = simulator.role_mut("targets");
        for number in 0..2500 {
            let path = format!("registry.example.com/library/app-{number:05}:1.0");
            targets.set_target(&path, &Target::of(path.as_bytes())).unwrap();
        }
        targets.set_target(PATH, &Target::of(b"web")).unwrap();
        let (served, state) = (folder.path().join("served"), folder.path().join("state"));
        fs::create_dir(&served).unwrap();
        let mut place = Self {
            _folder: folder,
            served,
            state,
            simulator,
            checked: Box::leak(Box::new(Counting(AtomicU32::new(0)))),
        };
        place.publish();
        place
    }

    fn publish(&mut self) {
        self.simulator.publish().unwrap();
        for name in self.simulator.names() {
            fs::write(self.served.join(&name), self.simulator.fetch(&name).unwrap().unwrap()).unwrap();
        }
    }

    fn client(&self) -> Client {
        let root = self.simulator.fetch("1.root.json").unwrap().unwrap();
        let store = Box::new(DirStore::open(&self.state).unwrap());
        let now: tuf_core::Instant = "2030-01-01T00:00:00Z".parse().unwrap();
        Client::new(root, Arc::new(DirTransport::new(self.served.clone())), store, now)
            .with_crypto(self.checked)
    }

    /// Updates, finds the image, and says how many signatures of the large document were checked for that.
    fn checks(&self, client: &Client) -> u32 {
        self.checked.0.store(0, Ordering::SeqCst);
        let Found::Target { target, .. } = client.refresh().unwrap().find(PATH).unwrap() else {
            panic!("expected the image to be listed")
        };
        assert_eq!(target, Target::of(b"web"));
        self.checked.0.load(Ordering::SeqCst)
    }

    fn receipt(&self) -> PathBuf {
        self.state.join("receipt.targets.json")
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_large_document_is_weighed_once_also_for_the_next_process() {
    let place = Place::new();
    let client = place.client();
    assert_eq!(place.checks(&client), WEIGHED);
    assert_eq!(place.checks(&client), 0, "held in memory");
    assert_eq!(place.checks(&place.client()), 0, "kept with a receipt");
    assert_eq!(place.checks(&place.client().without_receipts()), WEIGHED);
    assert_eq!(place.checks(&place.client().offline()), 0);
}

#[test]
fn a_receipt_that_others_could_have_written_is_not_believed() {
    let place = Place::new();
    assert_eq!(place.checks(&place.client()), WEIGHED);
    for (name, path, open, closed) in
        [("the folder", place.state.clone(), 0o770, 0o700), ("the file", place.receipt(), 0o602, 0o600)]
    {
        set_mode(&path, open);
        assert_eq!(place.checks(&place.client()), WEIGHED, "{name} is open");
        set_mode(&path, closed);
        assert_eq!(place.checks(&place.client()), 0, "{name} is closed");
    }
}

#[test]
fn a_damaged_receipt_costs_a_weighing_and_a_changed_document_a_download() {
    let place = Place::new();
    assert_eq!(place.checks(&place.client()), WEIGHED);
    let good = fs::read(place.receipt()).unwrap();
    for damaged in [&good[..good.len() / 2], b"", &[b'0'; 65]] {
        fs::write(place.receipt(), damaged).unwrap();
        assert_eq!(place.checks(&place.client()), WEIGHED);
        assert_eq!(fs::read(place.receipt()).unwrap(), good, "it is made anew");
    }
    let kept = place.state.join("metadata/targets.json");
    let mut bytes = fs::read(&kept).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&kept, &bytes).unwrap();
    assert_eq!(place.checks(&place.client()), WEIGHED);
    assert_ne!(fs::read(&kept).unwrap(), bytes);
}

#[test]
fn after_a_change_of_keys_or_content_the_document_is_weighed_again() {
    let mut place = Place::new();
    let client = place.client();
    assert_eq!(place.checks(&client), WEIGHED);
    place
        .simulator
        .role_mut("targets")
        .set_target("registry.example.com/acme/new:1", &Target::of(b"new"))
        .unwrap();
    place.publish();
    assert_eq!(place.checks(&client), WEIGHED, "another version");
    assert_eq!(place.checks(&client), 0);

    // Another key may sign now. The document is as it was, and so is its signature.
    place.simulator.role_mut("root").add_key(&Role::Targets, Keyholder::named("second").key());
    place.publish();
    assert_eq!(place.checks(&client), WEIGHED, "other keys");
    assert_eq!(place.checks(&place.client()), 0);
}
