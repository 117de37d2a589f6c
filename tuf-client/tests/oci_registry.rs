//! A trust repository in a registry, or in a layout: read as from anywhere, with nothing believed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a broken test may panic")]
#![allow(clippy::indexing_slicing, reason = "a broken test may panic")]

mod publication;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use oci_image::{Credentials, Digest, HttpLimits, HttpOptions, Secret};
use publication::{MANIFEST_TYPE, Publication, layer, manifest, tag_of};
use test_repos::registry::{Access, Fault, Place, Registry};
use test_repos::simulator::{Keyholder, Simulator};
use tuf_client::{
    Client, ClientError, DirStore, Fetch, Fetched, Found, RepoLocation, Transport, TransportOptions,
};
use tuf_core::Instant;
use tuf_core::schema::Target;

const REPO: &str = "acme/tuf-metadata";

/// 2030-01-01T00:00:00Z.
fn now() -> Instant {
    Instant::from_timestamp(1_893_456_000, 0).unwrap()
}

/// A registry, what is published in it, and a client's state.
struct Story {
    repo: Simulator,
    registry: Registry,
    options: TransportOptions,
    folder: tempfile::TempDir,
}

impl Story {
    fn begin() -> Self {
        let mut repo = Simulator::new(now()).unwrap();
        repo.delegate("acme", &Keyholder::named("acme"), &["acme/*"]);
        repo.role_mut("acme").set_target("acme/web:1", &Target::of(b"first")).unwrap();
        repo.publish().unwrap();
        let limits = HttpLimits {
            read: Duration::from_millis(400),
            window: Duration::from_millis(300),
            rate: 1000,
            retries: 0,
            back_off: Duration::from_millis(20),
            ..HttpLimits::default()
        };
        let http = HttpOptions { limits, ..HttpOptions::default() };
        let options = TransportOptions { http, ..TransportOptions::default() };
        let (registry, folder) = (Registry::start().unwrap(), tempfile::tempdir().unwrap());
        let story = Self { repo, registry, options, folder };
        story.push();
        story
    }

    fn push(&self) {
        Publication::of(&self.repo).push(&self.registry, REPO);
    }

    /// Another release, with another target under the delegated role.
    fn publish(&mut self) {
        self.repo.role_mut("acme").set_target("acme/web:2", &Target::of(b"second")).unwrap();
        self.repo.publish().unwrap();
    }

    fn transport(&self) -> Arc<dyn Transport> {
        let at: RepoLocation = format!("oci://{}/{REPO}", self.registry.host()).parse().unwrap();
        at.transport(&self.options)
    }

    fn client(&self, transport: Arc<dyn Transport>) -> Client {
        let store = DirStore::open(self.folder.path().join("state")).unwrap();
        let root = self.repo.fetch("1.root.json").unwrap().unwrap();
        Client::new(root, transport, Box::new(store), now())
    }

    fn find(&self, path: &str) -> Result<bool, ClientError> {
        find(&self.client(self.transport()), path)
    }

    fn latest(&self) -> String {
        Digest::of(&self.registry.manifest(REPO, "latest").unwrap().1).to_string()
    }

    /// The requests since the last call, without the part that all share.
    fn asked(&self) -> Vec<String> {
        let prefix = format!("/v2/{REPO}/");
        let log = self.registry.log();
        self.registry.clear_log();
        log.iter().map(|request| request.path.replace(&prefix, "")).collect()
    }

    /// What came of it, in the words that the registry's place doesn't change.
    fn sentence(&self, error: &ClientError) -> String {
        error.to_string().replace(&format!("registry {}/{REPO}:latest", self.registry.host()), "REGISTRY")
    }
}

fn find(client: &Client, path: &str) -> Result<bool, ClientError> {
    let state = client.refresh()?;
    Ok(matches!(state.find(path)?, Found::Target { .. }))
}

fn ask(transport: &dyn Transport, name: &str, known: Option<&str>) -> Fetched {
    let wanted = Fetch { name, limit: 100_000, known, time: Duration::from_secs(10) };
    transport.fetch(&wanted).unwrap()
}

#[test]
fn an_update_reads_the_tag_once_and_each_file_it_needs() {
    let mut story = Story::begin();
    let client = story.client(story.transport());
    assert!(find(&client, "acme/web:1").unwrap());
    let asked = story.asked();
    let manifests: Vec<_> = asked.iter().filter(|path| path.starts_with("manifests/")).collect();
    assert_eq!(manifests, ["manifests/latest", "manifests/acme"], "{asked:?}");
    assert_eq!(asked.len(), 2 + 4, "timestamp, snapshot, targets, acme: {asked:?}");

    story.publish();
    story.push();
    assert!(find(&client, "acme/web:2").unwrap(), "the same client sees what is new");
    assert!(story.asked().contains(&"manifests/latest".to_owned()));
}

#[test]
fn whoever_holds_the_bytes_is_told_that_they_are_the_same() {
    let mut story = Story::begin();
    let transport = story.transport();
    let Fetched::File { bytes, tag: Some(tag) } = ask(&*transport, "timestamp.json", None) else { panic!() };
    assert_eq!(tag, Digest::of(&bytes).to_string());
    story.asked();
    assert_eq!(ask(&*transport, "timestamp.json", Some(&tag)), Fetched::Unchanged);
    assert_eq!(story.asked(), ["manifests/latest"], "nothing but the manifest is read");
    story.publish();
    story.push();
    let Fetched::File { bytes: newer, .. } = ask(&*transport, "timestamp.json", Some(&tag)) else { panic!() };
    assert_ne!(newer, bytes);
}

#[test]
fn a_tag_that_moves_in_the_midst_of_an_update_mixes_nothing() {
    let mut story = Story::begin();
    let transport = story.transport();
    let Fetched::File { .. } = ask(&*transport, "timestamp.json", None) else { panic!() };
    let (snapshot, targets) = ("2.snapshot.json", "2.targets.json");
    story.publish();
    story.push();
    for name in [snapshot, targets] {
        let Fetched::File { bytes, .. } = ask(&*transport, name, None) else { panic!("{name}") };
        assert_eq!(Some(bytes), story.repo.release(1).file(name).cloned(), "{name}");
    }
    assert_eq!(ask(&*transport, "3.snapshot.json", None), Fetched::Absent);
}

#[test]
fn a_tag_moved_back_is_a_rollback_and_the_state_stays() {
    let mut story = Story::begin();
    let old = story.latest();
    story.publish();
    story.push();
    assert!(story.find("acme/web:2").unwrap());
    let new = story.latest();

    story.registry.tag(REPO, "latest", &old);
    let refusal = story.find("acme/web:2").unwrap_err();
    assert_eq!(refusal.to_string(), "timestamp expected version 3, got 2 (TUF 5.4.3.1)");

    story.registry.tag(REPO, "latest", &new);
    assert!(story.find("acme/web:2").unwrap());
}

#[test]
fn a_registry_that_lies_is_refused_and_one_that_fails_is_could_not_tell() {
    let story = Story::begin();
    let release = story.repo.release(0);
    let timestamp = Digest::of(release.file("timestamp.json").unwrap());
    let size = release.file("timestamp.json").unwrap().len();
    let blob = || Place::blob(REPO, &timestamp.to_string());
    let tag = || Place::manifest(REPO, "latest");
    let other = Digest::of(b"other");
    let index = format!(r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[]}}"#, INDEX_TYPE);
    let swapped = |layers: &[String]| Fault::SwapManifest { with: manifest(layers).into_bytes() };
    let twice = [layer("timestamp.json", b"a", 1), layer("timestamp.json", b"b", 1)];
    let vast = [layer("timestamp.json", b"a", 2_000_000_000)];
    let none = [layer("other.json", b"a", 1)];
    let every = Duration::from_millis(20);
    for (place, fault, unreachable, says) in [
        (blob(), Fault::FlipByte, false, format!("blob {timestamp}: expected digest {timestamp}, got")),
        (blob(), Fault::Truncate, false, format!("expected {size} bytes, got {}", size - 1)),
        (blob(), Fault::Extend, false, format!("expected {size} bytes, got more")),
        (blob(), Fault::Endless, false, format!("expected {size} bytes, got more")),
        (blob(), Fault::Missing, false, format!("has no blob {timestamp}")),
        (blob(), Fault::Drip { every }, false, "stalled".into()),
        (blob(), Fault::Stall, false, "stalled".into()),
        (blob(), Fault::Reset, true, "the answer broke off".into()),
        (blob(), Fault::Unavailable, true, "HTTP status 503".into()),
        (
            tag(),
            Fault::LieInDigestHeader { digest: other.to_string() },
            false,
            "lies about its digest".into(),
        ),
        (tag(), Fault::FlipByte, false, "lies about its digest".into()),
        (tag(), Fault::Endless, false, "sent too much: expected at most 4194304 bytes".into()),
        (tag(), Fault::Unavailable, true, "HTTP status 503".into()),
        (tag(), Fault::SwapManifest { with: index.into_bytes() }, false, "got an index".into()),
        (tag(), swapped(&twice), false, "it has two files \"timestamp.json\"".into()),
        (tag(), swapped(&vast), false, "bytes, got 2000000000".into()),
    ] {
        story.registry.clear_faults();
        story.registry.set_fault(place, fault.clone());
        let error = story.find("acme/web:1").unwrap_err();
        let text = story.sentence(&error);
        let ClientError::Source { error, .. } = &error else { panic!("{fault:?}: {text}") };
        assert!(text.contains(&says), "{fault:?}: {text}");
        assert_eq!(error.unreachable(), unreachable, "{fault:?}: {text}");
    }
    // To hold nothing, or nothing of that name, is to be no repository.
    for fault in [Fault::Missing, swapped(&none)] {
        story.registry.clear_faults();
        story.registry.set_fault(tag(), fault);
        let error = story.find("acme/web:1").unwrap_err();
        assert!(matches!(error, ClientError::NoRepository { .. }), "{error}");
    }
    story.registry.clear_faults();
    assert!(story.find("acme/web:1").unwrap(), "none of it left a trace");
}

const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";

#[test]
fn a_delegated_role_whose_tag_lags_behind_is_asked_for_once_more_and_then_missing() {
    let mut story = Story::begin();
    story.publish();
    let new = Publication::of(&story.repo);
    let mut without = new.clone();
    without.manifests.remove("acme");
    without.push(&story.registry, REPO);

    let error = story.find("acme/web:2").unwrap_err();
    assert_eq!(
        error.to_string(),
        "delegated role \"acme\" is stated but not there: expected \"2.acme.json\", got nothing (TUF 5.6.1)"
    );
    let lagging = story.asked();
    assert_eq!(lagging.iter().filter(|path| *path == "manifests/acme").count(), 2, "{lagging:?}");

    new.push(&story.registry, REPO);
    assert!(story.find("acme/web:2").unwrap());
}

#[test]
fn a_delegated_tag_that_moves_between_the_two_looks_is_met() {
    let mut story = Story::begin();
    story.publish();
    let new = Publication::of(&story.repo);
    let mut without = new.clone();
    let moved = without.manifests.remove("acme").unwrap();
    without.push(&story.registry, REPO);
    // Long enough for the publisher below, which waits for the first look and not for a time.
    story.options.http.limits.back_off = Duration::from_secs(2);
    let looked = |story: &Story| story.registry.log().iter().any(|one| one.path.ends_with("manifests/acme"));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !looked(&story) {
                std::thread::sleep(Duration::from_millis(1));
            }
            story.registry.put_manifest(REPO, "acme", MANIFEST_TYPE, moved.as_bytes());
        });
        assert!(story.find("acme/web:2").unwrap());
    });
}

#[test]
fn roles_of_any_name_have_a_tag() {
    let mut story = Story::begin();
    let long = "x".repeat(150);
    let roles = ["npm.example", "a/b", "../acme", "?", "latest", "Ünïcode", &long, "role-sha256-00"];
    for (number, role) in roles.iter().enumerate() {
        let paths = format!("{number}/*");
        story.repo.delegate(role, &Keyholder::named(role), &[&paths]);
        story.repo.role_mut(role).set_target(&format!("{number}/x"), &Target::of(b"x")).unwrap();
    }
    story.repo.publish().unwrap();
    story.push();
    for (number, role) in roles.iter().enumerate() {
        assert!(story.find(&format!("{number}/x")).unwrap(), "{role}");
    }
    assert_eq!(tag_of("npm.example"), "npm.example");
    assert_eq!(tag_of("a/b").len(), 76);
}

#[test]
fn a_repository_in_a_layout_is_the_same_repository() {
    let story = Story::begin();
    let dir = story.folder.path().join("layout");
    let at: RepoLocation = format!("oci:{}", dir.display()).parse().unwrap();
    let client = story.client(at.transport(&story.options));
    let error = find(&client, "acme/web:1").unwrap_err();
    let ClientError::Source { error, .. } = &error else { panic!("{error}") };
    let text = format!("could not reach OCI layout {}: there is no file oci-layout", dir.display());
    assert_eq!((error.to_string(), error.unreachable()), (text, true));

    Publication::of(&story.repo).write_layout(&dir);
    assert!(find(&client, "acme/web:1").unwrap());
    let timestamp = Digest::of(story.repo.release(0).file("timestamp.json").unwrap());
    fs::write(dir.join("blobs/sha256").join(timestamp.hex()), "{}").unwrap();
    // The layout still names the timestamp that is held, so nobody reads it. Without its tag it is read.
    assert!(find(&client, "acme/web:1").unwrap());
    fs::remove_file(story.folder.path().join("state/timestamp.tag")).unwrap();
    let error = find(&client, "acme/web:1").unwrap_err().to_string();
    assert!(error.contains(&format!("blob {timestamp}: expected")), "{error}");
}

#[test]
fn a_private_repository_is_read_with_its_login() {
    let mut story = Story::begin();
    let login = test_repos::registry::Credentials::new("reader", "s3cret");
    for access in [Access::Basic(login.clone()), Access::Bearer(login)] {
        story.registry = Registry::start_with(access).unwrap();
        story.push();
        story.options.credentials = Credentials::anonymous();
        let error = story.find("acme/web:1").unwrap_err();
        assert!(error.to_string().contains("denied access (HTTP status 401)"), "{error}");
        let secret = Secret::from("s3cret".to_owned());
        story.options.credentials = Credentials::password(&story.registry.host(), "reader", secret);
        assert!(story.find("acme/web:1").unwrap());
    }
}

#[test]
fn the_time_of_one_fetch_covers_all_that_is_asked_for_it() {
    let story = Story::begin();
    let transport = story.transport();
    let wanted = Fetch { name: "timestamp.json", limit: 1000, known: None, time: Duration::ZERO };
    let error = transport.fetch(&wanted).unwrap_err();
    let text = format!(
        "registry {}/{REPO} took too long: expected the whole answer within 0.0ns, got 0 bytes by then",
        story.registry.host()
    );
    assert_eq!((error.to_string(), error.unreachable()), (text, true));
    assert!(story.asked().is_empty());
}

/// Docker's repository, made with tuf-on-ci. Where it is absent that is said past the test harness.
fn docker() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/formats/tuf-docker/metadata");
    if !folder.is_dir() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: there is no tuf-docker repository here");
        return None;
    }
    Some(folder)
}

#[test]
fn dockers_own_repository_is_followed_to_its_delegated_roles() {
    let Some(folder) = docker() else { return };
    let read = |file: &str| fs::read(folder.join(file)).unwrap();
    let file = |name: &str, file: &str| (name.to_owned(), read(file));
    let mut publication = Publication::default();
    publication.add(
        "latest",
        &[
            file("1.root.json", "root_history/1.root.json"),
            file("timestamp.json", "timestamp.json"),
            file("10.snapshot.json", "snapshot.json"),
            file("7.targets.json", "targets.json"),
        ],
    );
    publication.add("doi", &[file("3.doi.json", "doi.json")]);
    publication.add("rekor", &[file("2.rekor.json", "rekor.json")]);
    publication.add("testing", &[file("3.testing.json", "testing.json")]);
    let registry = Registry::start().unwrap();
    publication.push(&registry, "docker/tuf-metadata");

    let at: RepoLocation = format!("oci://{}/docker/tuf-metadata", registry.host()).parse().unwrap();
    let state = tempfile::tempdir().unwrap();
    let store = Box::new(DirStore::open(state.path()).unwrap());
    let first = read("root_history/1.root.json");
    // The day before its timestamp expired.
    let day: Instant = "2024-12-04T00:00:00Z".parse().unwrap();
    let client = Client::new(first, at.transport(&TransportOptions::default()), store, day);
    let state = client.refresh().unwrap();
    for (path, there) in [
        ("mapping.yaml", true),
        ("testing/mapping.yaml", true),
        ("testing/version-constraints", true),
        ("rekor/c0d23d6ad406973f9559f3ba2d1ca01f84147d8ffc5b8445c224f98b9591801d.pem", true),
        ("doi/none", false),
    ] {
        assert_eq!(matches!(state.find(path).unwrap(), Found::Target { .. }), there, "{path}");
    }
}
