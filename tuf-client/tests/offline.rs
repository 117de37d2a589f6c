//! Offline: no transport is called, whatever the store holds, and expiry says that the network is needed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use std::path::Path;
use std::sync::Arc;

use chrono::TimeDelta;
use oci_image::SourceError;
use support::{Mirror, first_root, list, now, repository};
use tuf_client::{Client, DirStore, Fetch, Fetched, Found, Transport};
use tuf_core::Instant;

/// Whoever calls it opens a socket.
struct Forbidden;

impl Transport for Forbidden {
    fn fetch(&self, wanted: &Fetch<'_>) -> Result<Fetched, SourceError> {
        panic!("asked for {} although offline", wanted.name)
    }

    fn describe(&self) -> String {
        "the network".to_owned()
    }
}

fn offline(root: &[u8], state: &Path, now: Instant) -> Client {
    let store = Box::new(DirStore::open(state).unwrap());
    let client = Client::new(root.to_vec(), Arc::new(Forbidden), store, now);
    client.with_mirror(Arc::new(Forbidden)).with_targets(Arc::new(Forbidden)).offline()
}

#[test]
fn a_store_without_a_past_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let error = offline(&first_root(&repository()), folder.path(), now()).refresh().err().unwrap();
    assert_eq!(error.to_string(), "offline, and no timestamp is kept");
    assert!(error.unreachable());
}

#[test]
fn what_was_kept_serves_until_it_expires_and_then_nothing_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let mut repo = repository();
    list(&mut repo, "acme/web", b"web");
    let (root, mirror) = (first_root(&repo), Mirror::of("mirror", &repo));
    let store = Box::new(DirStore::open(folder.path()).unwrap());
    Client::new(root.clone(), mirror, store, now()).refresh().unwrap();

    let state = offline(&root, folder.path(), now()).refresh().unwrap();
    let Found::Target { target, .. } = state.find("acme/web").unwrap() else { panic!("it is listed") };
    let kept = state.download_unless("acme/web", |_| Some(b"web".to_vec())).unwrap();
    assert!(!kept.fetched);
    let error = state.fetch_target("acme/web", &target).unwrap_err();
    assert_eq!(error.to_string(), "offline, and target \"acme/web\" is not kept");

    for (days, what) in [
        (
            2,
            "offline, and timestamp expired at 2030-01-02T00:00:00Z, and it is now 2030-01-03T00:00:00Z (TUF 5.4.4)",
        ),
        (
            400,
            "offline, and root expired at 2031-01-01T00:00:00Z, and it is now 2031-02-05T00:00:00Z (TUF 5.3.10)",
        ),
    ] {
        let later = now() + TimeDelta::days(days);
        let error = offline(&root, folder.path(), later).refresh().err().unwrap();
        assert_eq!(error.to_string(), what);
        assert!(error.unreachable(), "nothing is known, so nothing is refused");
    }
}

#[test]
fn a_document_that_is_not_kept_is_missed_and_not_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let repo = repository();
    let (root, mirror) = (first_root(&repo), Mirror::of("mirror", &repo));
    let store = Box::new(DirStore::open(folder.path()).unwrap());
    Client::new(root.clone(), mirror, store, now()).refresh().unwrap();
    for name in ["targets", "snapshot"] {
        std::fs::remove_file(folder.path().join(format!("metadata/{name}.json"))).unwrap();
        let error = offline(&root, folder.path(), now()).refresh().err().unwrap();
        let what = format!("offline, and 1.{name}.json is not kept, or no longer good");
        assert_eq!(error.to_string(), what);
    }
}
