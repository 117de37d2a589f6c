//! The front door: by name, from threads and tasks, over transports and clocks of the caller's own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::fs;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use oci_image::{Credentials, MemorySource, Reference, RegistryOptions, Secret, Selector, SourceError};
use test_repos::http::{Response, Server};
use test_repos::surface::{Endpoints, Surface, SurfaceKind};
use test_repos::world::World;
use tuf_client::{
    DirStore, Fetch, Fetched, MemoryStore, MemoryTransport, RepoLocation, Transport, TransportOptions,
};
use verifier_lib::{Platforms, Stage, Verdict, Verifier};

const fn shared<T: Send + Sync>() {}
const _: () = shared::<Verifier>();

struct Alarm(Thread);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Any runtime will do; this is the smallest.
fn block_on<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Alarm(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

struct Story {
    _folder: tempfile::TempDir,
    _surface: Surface,
    endpoints: Endpoints,
}

impl Story {
    fn begin() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let surface = Surface::start(SurfaceKind::Registry, folder.path()).unwrap();
        let endpoints = surface.endpoints().unwrap();
        Self { _folder: folder, _surface: surface, endpoints }
    }

    fn set_up(&self, verifier: Verifier) -> Verifier {
        let login = self.endpoints.credentials.as_ref().unwrap();
        let host = self.endpoints.name.split('/').next().unwrap();
        let credentials = Credentials::password(host, &login.user, Secret::from(login.password.clone()));
        verifier
            .registries(RegistryOptions { credentials, ..RegistryOptions::default() })
            .platforms(Platforms::One(self.endpoints.platform.parse().unwrap()))
    }

    fn verifier(&self) -> Verifier {
        let place: RepoLocation = self.endpoints.repo.parse().unwrap();
        self.set_up(Verifier::new(&place, self.endpoints.root.clone(), self.endpoints.now))
    }
}

#[track_caller]
fn trusted(verdict: &Verdict) {
    assert!(matches!(verdict, Verdict::Trusted(_)), "{verdict:?}");
}

#[test]
fn a_name_becomes_a_verdict_in_a_thread_and_in_a_task() {
    let story = Story::begin();
    let verifier = story.verifier();
    let name = &story.endpoints.name;
    trusted(&verifier.verify(name).unwrap());
    trusted(&block_on(verifier.verify_async(name)).unwrap());
    // By its digest too, which is signed as well.
    let Verdict::Trusted(image) = verifier.verify(name).unwrap() else { panic!("not trusted") };
    trusted(&verifier.verify(&image.pinned()).unwrap());

    let unsigned = name.replace(":1.4", ":9.9");
    let Verdict::Refused(broken) = verifier.verify(&unsigned).unwrap() else { panic!("not refused") };
    assert_eq!(broken.link.stage, Stage::Target);
    assert!(verifier.verify("no name").is_err() && block_on(verifier.verify_async("no name")).is_err());
    // Nobody answers there: that accuses nobody.
    let nowhere = verifier.verify("127.0.0.1:1/acme/web:1.4").unwrap();
    assert!(matches!(nowhere, Verdict::Unknown(_) | Verdict::Refused(_)), "{nowhere:?}");
}

#[test]
fn the_clock_and_the_store_are_the_callers() {
    let story = Story::begin();
    let place: RepoLocation = story.endpoints.repo.parse().unwrap();
    let late = story.endpoints.now + chrono::TimeDelta::days(4000);
    let verifier = story.set_up(Verifier::new(&place, story.endpoints.root.clone(), late));
    let verdict = verifier.verify(&story.endpoints.name).unwrap();
    let Verdict::Refused(broken) = verdict else { panic!("{verdict:?}") };
    assert!(broken.to_string().contains("expired"), "{broken}");

    let folder = tempfile::tempdir().unwrap();
    let store = Box::new(DirStore::open(folder.path().join("store")).unwrap());
    let (root, now) = (story.endpoints.root.clone(), story.endpoints.now);
    let verifier = story.set_up(Verifier::with_store(&place, root, now, store));
    trusted(&verifier.verify(&story.endpoints.name).unwrap());
    assert!(fs::read_dir(folder.path().join("store")).unwrap().count() > 0, "nothing was kept");
}

#[test]
fn bytes_at_hand_are_verified_and_nobody_is_asked() {
    let world = World::new("registry.example.com/acme/web").unwrap();
    let documents = world.repo.names().into_iter().map(|name| {
        let bytes = world.repo.fetch(&name).unwrap().unwrap();
        (name, bytes)
    });
    let transport: Arc<dyn Transport> = Arc::new(documents.collect::<MemoryTransport>());
    let root = world.repo.fetch("1.root.json").unwrap().unwrap();
    let verifier = Verifier::over(transport, root, world.now, Box::new(MemoryStore::default()));
    let bytes = |digest: &str| world.images.part(digest).unwrap().bytes.clone();

    let verdict = verifier.verify_manifest(&world.path(), &bytes(&world.index()), None).unwrap();
    let Verdict::Trusted(manifest) = verdict else { panic!("{verdict:?}") };
    assert_eq!(manifest.pinned(), format!("{}@{}", world.name, world.index()));
    assert_eq!((manifest.digest().to_string(), manifest.bytes()), (world.index(), &*bytes(&world.index())));
    // By the digest alone, which is signed too; what is not of that digest is refused.
    let pinned = verifier.verify_manifest(&manifest.pinned(), manifest.bytes(), None).unwrap();
    assert!(matches!(pinned, Verdict::Trusted(_)), "{pinned:?}");
    for other in [world.unsigned(), world.older()] {
        for name in [world.path(), manifest.pinned()] {
            let verdict = verifier.verify_manifest(&name, &bytes(&other), None).unwrap();
            let Verdict::Refused(broken) = verdict else { panic!("{verdict:?}") };
            assert_eq!((broken.link.stage, broken.link.got), (Stage::Manifest, Some(other.clone())));
        }
    }

    // The whole image, where all of it is at hand; without its configuration, it can't be told.
    let name: Reference = world.path().parse().unwrap();
    let source = MemorySource::default().with_manifest(&bytes(&world.index()), None);
    let source = source.with_manifest(&bytes(&world.child()), None);
    let verifier = verifier.platforms(Platforms::One("linux/amd64".parse().unwrap()));
    let digest = Selector::Digest(manifest.digest());
    let verdict = verifier.verify_in(&source, digest, &name);
    let Verdict::Unknown(broken) = verdict else { panic!("{verdict:?}") };
    assert_eq!(broken.link.stage, Stage::Config);
    trusted(&verifier.verify_in(&source.with_blob(&bytes(&world.config())), digest, &name));
}

/// Serves a world's metadata. Who asks for the timestamp first waits until `begun` verifications have begun, and a
/// moment more.
fn patient_server(world: World, begun: Arc<AtomicUsize>, many: usize) -> Server {
    let first = AtomicBool::new(true);
    Server::start(move |request| {
        let name = request.path().trim_start_matches("/metadata/");
        if name == "timestamp.json" && first.swap(false, Ordering::Relaxed) {
            let wait = Duration::from_millis(10);
            while begun.load(Ordering::Relaxed) < many {
                thread::sleep(wait);
            }
            thread::sleep(Duration::from_millis(500));
        }
        world.repo.fetch(name).unwrap().map_or_else(Response::not_found, Response::ok)
    })
    .unwrap()
}

#[test]
fn many_images_of_one_repository_cost_the_requests_of_one() {
    const MANY: usize = 16;
    let world = World::new("registry.example.com/acme/web").unwrap();
    let manifest = world.images.part(&world.index()).unwrap().bytes.clone();
    let root = world.repo.fetch("1.root.json").unwrap().unwrap();
    let (name, now) = (world.path(), world.now);
    let requests = |many: usize| {
        let begun = Arc::new(AtomicUsize::new(0));
        let server = patient_server(world.clone(), Arc::clone(&begun), many);
        let verifier = Verifier::new(&server.url().parse().unwrap(), root.clone(), now);
        thread::scope(|scope| {
            for _ in 0..many {
                scope.spawn(|| {
                    begun.fetch_add(1, Ordering::Relaxed);
                    let verdict = verifier.verify_manifest(&name, &manifest, None).unwrap();
                    assert!(matches!(verdict, Verdict::Trusted(_)), "{verdict:?}");
                });
            }
        });
        server.log().len()
    };
    let one = requests(1);
    assert!(one >= 4, "root, timestamp, snapshot and targets: {one} requests");
    // One more update, for those whom a busy machine let begin late.
    let all = requests(MANY);
    assert!(all <= one * 2, "{all} requests for {MANY} verifications, {one} for one");
}

/// Counts what is asked for, and takes its time.
struct Slow {
    inner: Arc<dyn Transport>,
    timestamps: AtomicUsize,
}

impl Transport for Slow {
    fn fetch(&self, wanted: &Fetch<'_>) -> Result<Fetched, SourceError> {
        if wanted.name == "timestamp.json" {
            self.timestamps.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(300));
        }
        self.inner.fetch(wanted)
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

#[test]
fn what_is_verified_at_once_shares_one_update() {
    const MANY: usize = 12;
    let story = Story::begin();
    let place: RepoLocation = story.endpoints.repo.parse().unwrap();
    let inner = place.transport(&TransportOptions::default());
    let slow = Arc::new(Slow { inner, timestamps: AtomicUsize::new(0) });
    let (transport, root) = (Arc::clone(&slow), story.endpoints.root.clone());
    let store = Box::new(MemoryStore::default());
    let verifier = story.set_up(Verifier::over(transport, root, story.endpoints.now, store));
    let barrier = Barrier::new(MANY);
    thread::scope(|scope| {
        for number in 0..MANY {
            let (verifier, barrier, name) = (verifier.clone(), &barrier, &story.endpoints.name);
            scope.spawn(move || {
                barrier.wait();
                trusted(&match number % 2 {
                    0 => verifier.verify(name).unwrap(),
                    _ => block_on(verifier.verify_async(name)).unwrap(),
                });
            });
        }
    });
    // All but those whom a busy machine let begin late.
    let asked = slow.timestamps.load(Ordering::Relaxed);
    assert!((1..=MANY / 3).contains(&asked), "{asked} updates for {MANY} verifications");
}
