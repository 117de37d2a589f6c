use tuf_core::TrustedRoot;
use tuf_core::crypto;

use super::*;

fn now() -> Instant {
    Instant::from_timestamp(1_893_456_000, 0).unwrap()
}

fn repo() -> Simulator {
    Simulator::new(now()).unwrap()
}

fn versions(repo: &Simulator) -> Vec<(String, u64)> {
    repo.documents.iter().map(|(role, document)| (role.clone(), document.version())).collect()
}

fn numbered(root: u64, snapshot: u64, targets: u64, timestamp: u64) -> Vec<(String, u64)> {
    [("root", root), ("snapshot", snapshot), ("targets", targets), ("timestamp", timestamp)]
        .map(|(role, version)| (role.to_owned(), version))
        .to_vec()
}

#[test]
fn a_new_repository_is_accepted_step_by_step() {
    let repo = repo();
    let fetch = |name| repo.fetch(name).unwrap().unwrap();
    let root = TrustedRoot::bootstrap(&fetch("1.root.json"), now(), crypto::default()).unwrap();
    let timestamp = root.current().unwrap().timestamp(None, &fetch("timestamp.json")).unwrap();
    let snapshot = timestamp.snapshot(None, &fetch("1.snapshot.json")).unwrap();
    snapshot.targets(&fetch("1.targets.json")).unwrap();
    assert_eq!(repo.fetch("2.root.json").unwrap(), None);
}

#[test]
fn publishing_gives_a_new_version_to_what_changed_and_to_what_states_it() {
    let mut repo = repo();
    repo.publish().unwrap();
    assert_eq!(versions(&repo), numbered(1, 1, 1, 2));
    repo.role_mut("targets").set_expires(now());
    repo.publish().unwrap();
    assert_eq!(versions(&repo), numbered(1, 2, 2, 3));
    repo.role_mut("root").set_expires(now());
    repo.publish().unwrap();
    assert_eq!(versions(&repo), numbered(2, 2, 2, 4));
}

#[test]
fn what_was_published_once_can_be_had_again() {
    let mut repo = repo();
    let first = repo.fetch("1.targets.json").unwrap();
    repo.role_mut("targets").set_expires(now());
    repo.publish().unwrap();
    assert_eq!(repo.fetch("1.targets.json").unwrap(), first);
    assert_eq!(repo.release(1).of("targets").cloned(), first);
    assert_eq!(repo.release(0).name("targets"), Some("2.targets.json"));
    assert_eq!(repo.release(9).of("targets"), None);
}

#[test]
fn a_document_is_signed_when_it_is_fetched() {
    let mut repo = repo();
    repo.signers.insert("timestamp".into(), Vec::new());
    let bytes = repo.fetch("timestamp.json").unwrap().unwrap();
    assert_eq!(Document::parse(&bytes).unwrap().signed_by().count(), 0);
    repo.overrides.insert("timestamp.json".into(), b"{}".to_vec());
    assert_eq!(repo.fetch("timestamp.json").unwrap().unwrap(), b"{}");
}

#[test]
fn one_key_has_as_many_ids_as_one_gives_it() {
    let holder = Keyholder::named("a");
    let again = holder.under_id("another");
    assert_eq!(holder.key(), again.key());
    assert_eq!((holder.key_id(), again.key_id()), (holder.key().id(), "another".to_owned()));
}
