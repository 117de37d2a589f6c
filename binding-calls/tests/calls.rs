//! Whole calls, against a registry and a trust repository in this process, and from bytes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use binding_calls::{BadCall, BytesSetup, Session, Setup, verify_bytes};
use chrono::TimeDelta;
use test_repos::surface::{Surface, SurfaceKind};
use test_repos::world::World;
use verdict_report::{Report, Word};
use verifier_lib::{Stage, Status};

#[test]
fn a_name_in_a_registry_is_trusted_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let surface = Surface::start(SurfaceKind::Registry, folder.path()).unwrap();
    let endpoints = surface.endpoints().unwrap();
    let authfile = folder.path().join("auth.json");
    let host = endpoints.name.split('/').next().unwrap();
    std::fs::write(&authfile, endpoints.credentials.as_ref().unwrap().auth_file(host)).unwrap();
    let setup = Setup {
        repo: endpoints.repo.clone(),
        platform: Some(endpoints.platform.to_owned()),
        at: Some(endpoints.now.to_rfc3339()),
        authfile: Some(authfile),
        state: Some(folder.path().join("state")),
        ..Setup::default()
    };
    let session = Session::open(&setup, &endpoints.root).unwrap();
    let report = session.verify(&endpoints.name).unwrap();
    assert_eq!(report.verdict, Word::Trusted, "{report:?}");
    assert!(report.pinned.unwrap().contains("@sha256:"));
    let report = session.verify(&endpoints.name.replace(":1.4", ":9.9")).unwrap();
    assert_eq!((report.verdict, report.broken.unwrap().stage), (Word::Refused, Stage::Target));
    let bad = session.verify("no name").unwrap_err();
    assert!(bad.error.starts_with("the reference can't be used: "), "{bad}");
    assert!(folder.path().join("state/metadata").is_dir(), "nothing was kept");
    assert!(surface.leaks().is_empty(), "{:?}", surface.leaks());
}

/// A world as bytes: what a caller has who fetched all of it by other means.
struct Given {
    world: World,
    documents: Vec<(String, Vec<u8>)>,
}

impl Given {
    fn of(world: World) -> Self {
        let one = |name: String| {
            let bytes = world.repo.fetch(&name).unwrap().unwrap();
            (name, bytes)
        };
        let documents = world.repo.names().into_iter().map(one).collect();
        Self { world, documents }
    }

    fn verify(&self, setup: &BytesSetup, manifest: &[u8]) -> Result<Report, BadCall> {
        let root = self.world.repo.fetch("1.root.json").unwrap().unwrap();
        let documents: Vec<_> =
            self.documents.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
        verify_bytes(&self.world.path(), setup, &root, manifest, &documents)
    }

    fn manifest(&self, digest: &str) -> Vec<u8> {
        self.world.images.part(digest).unwrap().bytes.to_vec()
    }

    fn setup(&self) -> BytesSetup {
        BytesSetup { at: self.world.now.to_rfc3339(), ..BytesSetup::default() }
    }
}

#[test]
fn bytes_are_what_a_name_means_or_not() {
    let mut world = World::new("registry.example.com/acme/web").unwrap();
    world.publish_root().unwrap();
    let given = Given::of(world);
    let (setup, good) = (given.setup(), given.manifest(&given.world.index()));
    let report = given.verify(&setup, &good).unwrap();
    assert_eq!(report.verdict, Word::Trusted, "{report:?}");
    assert_eq!(report.digest.unwrap(), given.world.index());
    // What the index names is told, and left to whoever reads it.
    let left: Vec<_> = report.links.iter().filter(|link| link.status == Status::Deferred).collect();
    assert_eq!(left.iter().map(|link| link.stage).collect::<Vec<_>>(), [Stage::Child, Stage::Child]);
    assert_eq!(left[0].subject, given.world.child());

    for (manifest, expected) in [
        (given.manifest(&given.world.unsigned()), given.world.unsigned()),
        (given.manifest(&given.world.older()), given.world.older()),
        (Vec::new(), String::new()),
    ] {
        let report = given.verify(&setup, &manifest).unwrap();
        let broken = report.broken.unwrap();
        assert_eq!((report.verdict, broken.stage), (Word::Refused, Stage::Manifest));
        assert!(broken.got.unwrap().contains(&expected));
        assert_eq!(broken.expected.unwrap(), given.world.index());
    }
    let late = BytesSetup { at: (given.world.now + TimeDelta::days(4000)).to_rfc3339(), ..setup };
    let report = given.verify(&late, &good).unwrap();
    assert_eq!(report.verdict, Word::Refused);
    assert!(report.broken.unwrap().detail.contains("expired"));
}

#[test]
fn a_document_that_was_not_given_is_not_to_be_told() {
    let mut given = Given::of(World::new("registry.example.com/acme/web").unwrap());
    let (setup, good) = (given.setup(), given.manifest(&given.world.index()));
    let all = given.documents.clone();
    for (suffix, stage) in [
        ("timestamp.json", Stage::Timestamp),
        ("snapshot.json", Stage::Snapshot),
        ("targets.json", Stage::Targets),
    ] {
        given.documents = all.iter().filter(|(name, _)| !name.ends_with(suffix)).cloned().collect();
        let report = given.verify(&setup, &good).unwrap();
        assert_eq!((report.verdict, report.broken.unwrap().stage), (Word::Unknown, stage), "{suffix}");
    }
    given.documents = Vec::new();
    assert_eq!(given.verify(&setup, &good).unwrap().verdict, Word::Unknown);
}

#[test]
fn what_was_accepted_is_kept_where_a_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let old = Given::of(World::new("registry.example.com/acme/web").unwrap());
    let mut world = old.world.clone();
    world.publish_another().unwrap();
    let new = Given::of(world);
    let setup = BytesSetup { state: Some(folder.path().join("state")), ..old.setup() };
    let good = old.manifest(&old.world.index());
    assert_eq!(new.verify(&setup, &good).unwrap().verdict, Word::Trusted);
    let report = old.verify(&setup, &good).unwrap();
    assert_eq!((report.verdict, report.broken.unwrap().stage), (Word::Refused, Stage::Timestamp));
}

#[test]
fn too_many_or_too_large_documents_are_a_bad_call() {
    let given = Given::of(World::new("registry.example.com/acme/web").unwrap());
    let (setup, root) = (given.setup(), given.world.repo.fetch("1.root.json").unwrap().unwrap());
    let call = |documents: &[(&str, &[u8])]| {
        verify_bytes(&given.world.path(), &setup, &root, b"{}", documents).unwrap_err().error
    };
    let names: Vec<_> = (0..2000).map(|number| number.to_string()).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), &b"{}"[..])).collect();
    assert!(call(&many).starts_with("documents: expected at most"), "{}", call(&many));
    let twice = call(&[("a.json", b"{}"), ("a.json", b"{}")]);
    assert_eq!(twice, r#"documents: expected each file once, got "a.json" twice"#);
    let large = vec![0; 64 * 1024 * 1024 + 1];
    assert!(call(&[("a.json", &large)]).starts_with("a.json: expected at most 67108864 bytes, got"));
    let large = vec![0; 4 * 1024 * 1024 + 1];
    let error = verify_bytes(&given.world.path(), &setup, &root, &large, &[]).unwrap_err();
    assert!(error.error.starts_with("manifest: expected at most 4194304 bytes"), "{error}");
}
