//! The kept roots: neither a damaged history nor a role with a root's name brings back old keys.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::Path;

use test_repos::surface::{Endpoints, Surface, SurfaceKind};
use tuf_client::{Client, ClientError, DirStore, RepoLocation, TransportOptions};

fn refresh(endpoints: &Endpoints, state: &Path) -> Result<u64, ClientError> {
    let repo: RepoLocation = endpoints.repo.parse().unwrap();
    let store = Box::new(DirStore::open(state).unwrap());
    let transport = repo.transport(&TransportOptions::default());
    let client = Client::new(endpoints.root.clone(), transport, store, endpoints.now);
    let refreshed = client.refresh()?;
    Ok(refreshed.snapshot().timestamp().root().version())
}

#[test]
fn a_root_once_accepted_is_not_forgotten_when_the_history_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let surface = Surface::start(SurfaceKind::Directory, folder.path()).unwrap();
    assert_eq!(refresh(&surface.endpoints().unwrap(), &state).unwrap(), 1);
    surface.world().publish_root().unwrap();
    let endpoints = surface.endpoints().unwrap();
    assert_eq!(refresh(&endpoints, &state).unwrap(), 2);

    // The history is damaged, and a mirror withholds the newer root.
    fs::write(state.join("root_history/2.root.json"), b"{}").unwrap();
    fs::remove_file(Path::new(&endpoints.repo).join("metadata/2.root.json")).unwrap();
    let refusal = refresh(&endpoints, &state).unwrap_err();
    assert_eq!(refusal.to_string(), "root expected version 2, got 1 (TUF 5.3.5)");

    // The mirror shows it again, and all is well.
    assert_eq!(refresh(&surface.endpoints().unwrap(), &state).unwrap(), 2);
}
