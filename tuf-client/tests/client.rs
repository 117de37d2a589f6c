//! One client for many callers and several mirrors: who is asked, who is blamed, how long it may take, and
//! what is shared.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod mirror;

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use mirror::{FRESH, Mirror, client, drive, first_root, list, now, poll_once, repository, tag};
use oci_image::SourceError;
use test_repos::simulator::Simulator;
use tuf_client::{
    AsyncClient, AsyncTransport, BoxFuture, Client, ClientError, DirStore, Fetch, Fetched, Found, Limits,
    MemoryStore, OnThread, Refreshed, Store, Transport,
};
use tuf_core::Instant;
use tuf_core::authoring::Document;

fn blames(state: &Refreshed) -> Vec<String> {
    state.blames().iter().map(ToString::to_string).collect()
}

fn transport(mirror: &Arc<Mirror>) -> Arc<dyn Transport> {
    Arc::clone(mirror) as Arc<dyn Transport>
}

/// Two mirrors of one repository.
fn two() -> (Simulator, Arc<Mirror>, Arc<Mirror>, Client) {
    let repo = repository();
    let (first, second) = (Mirror::of("first", &repo), Mirror::of("second", &repo));
    let client = client(&first_root(&repo), &first).with_mirror(transport(&second));
    (repo, first, second, client)
}

fn later(days: i64) -> Instant {
    now().checked_add_signed(chrono::TimeDelta::days(days)).unwrap()
}

/// What a mirror serves in the place of a file.
fn serving(name: &'static str, bytes: &'static [u8]) -> impl Fn(&Fetch<'_>, Answer) -> Answer {
    move |wanted, fetched| match wanted.name == name {
        true => Ok(Fetched::File { bytes: bytes.to_vec(), tag: None }),
        false => fetched,
    }
}

type Answer = Result<Fetched, SourceError>;

#[test]
fn the_first_mirror_suffices_while_it_is_good() {
    let (_, first, second, client) = two();
    let state = client.refresh().unwrap();
    assert!(blames(&state).is_empty());
    assert_eq!(first.asked(), FRESH);
    // That there is no newer root is asked of all, so that one honest mirror suffices.
    assert_eq!(second.asked(), ["2.root.json"]);
}

#[test]
fn a_mirror_with_bad_bytes_is_passed_over_blamed_and_asked_last() {
    let (_, first, second, client) = two();
    first.conduct(serving("timestamp.json", b"{}"));
    let state = client.refresh().unwrap();
    let blamed = "first: timestamp is malformed: missing field `signed` at line 1 column 2 (TUF 5.4.2)";
    assert_eq!(blames(&state), [blamed]);
    assert_eq!(first.asked(), ["2.root.json", "timestamp.json"]);
    assert_eq!(second.asked(), ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"]);
}

#[test]
fn a_mirror_that_is_down_costs_nothing_but_its_turn() {
    let (_, first, _, client) = two();
    first.down();
    let state = client.refresh().unwrap();
    assert_eq!(blames(&state), ["first: root: could not reach first: it is down"]);
}

#[test]
fn one_honest_mirror_suffices_to_learn_of_a_new_root() {
    let (mut repo, _, second, client) = two();
    repo.role_mut("root").set_expires(later(300));
    repo.publish().unwrap();
    *second.repo() = repo;
    let state = client.refresh().unwrap();
    assert_eq!(state.snapshot().timestamp().root().version(), 2);
    assert_eq!(
        blames(&state),
        ["first: root: expected \"2.root.json\", which another mirror has, got nothing"]
    );
}

#[test]
fn when_all_fail_each_is_named_and_the_most_telling_decides() {
    let (_, first, second, client) = two();
    first.down();
    second.conduct(serving("timestamp.json", b"{}"));
    let error = client.refresh().err().unwrap();
    let lines: Vec<_> = error.to_string().lines().map(str::to_owned).collect();
    assert_eq!(lines[0], "timestamp: expected a document from one of 2 mirrors, got none");
    assert!(lines[1].starts_with("  second: timestamp is malformed"), "{lines:?}");
    assert_eq!(lines[2], "  first: timestamp: could not reach first: it is down");
    assert!(!error.unreachable(), "a refusal says more than silence");
    second.down();
    assert!(client.refresh().err().unwrap().unreachable());
}

#[test]
fn a_quiet_day_is_a_tag_and_no_answer() {
    let mirror = Mirror::of("mirror", &repository());
    let client = client(&first_root(&mirror.repo()), &mirror);
    client.refresh().unwrap();
    assert!(mirror.tags_sent().is_empty());
    let timestamp = mirror.repo().fetch("timestamp.json").unwrap().unwrap();
    assert_eq!(client.refresh().unwrap().snapshot().timestamp().version(), 1);
    assert_eq!(mirror.tags_sent(), [tag(&timestamp)]);
    list(&mut mirror.repo(), "acme/web", b"web");
    let state = client.refresh().unwrap();
    assert!(matches!(state.find("acme/web").unwrap(), Found::Target { .. }));
}

#[test]
fn unchanged_does_not_make_an_expired_timestamp_fresh() {
    let mirror = Mirror::of("mirror", &repository());
    let root = first_root(&mirror.repo());
    let today = Arc::new(Mutex::new(now()));
    let clock = Arc::clone(&today);
    let store = Box::<MemoryStore>::default();
    let client = Client::new(root, transport(&mirror), store, move || *clock.lock().unwrap());
    client.refresh().unwrap();
    *today.lock().unwrap() = later(2);
    let frozen = client.refresh().err().unwrap();
    assert!(frozen.to_string().starts_with("timestamp expired at "), "{frozen}");
    assert!(frozen.to_string().ends_with("(TUF 5.4.4)"), "{frozen}");
    assert_eq!(mirror.tags_sent().len(), 1);
}

#[test]
fn a_tag_of_other_bytes_is_not_sent_and_unchanged_since_nothing_is_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let mirror = Mirror::of("mirror", &repository());
    let root = first_root(&mirror.repo());
    let open = || {
        let store = Box::new(DirStore::open(folder.path()).unwrap());
        Client::new(root.clone(), transport(&mirror), store, now())
    };
    open().refresh().unwrap();
    assert!(!folder.path().join("metadata/timestamp.tag").exists(), "private files stay apart");
    // Signed and good, but not the bytes that the tag is of.
    let kept = folder.path().join("metadata/timestamp.json");
    let other = Document::parse(&fs::read(&kept).unwrap()).unwrap().to_bytes();
    fs::write(&kept, [other.as_slice(), b"\n"].concat()).unwrap();
    mirror.tags_sent();
    open().refresh().unwrap();
    assert!(mirror.tags_sent().is_empty());

    mirror.conduct(|_, _| Ok(Fetched::Unchanged));
    let error = open().refresh().err().unwrap();
    assert!(error.to_string().contains("it says that nothing changed since nothing"), "{error}");
}

/// Must not be called.
struct Nobody;

impl Transport for Nobody {
    fn fetch(&self, wanted: &Fetch<'_>) -> Answer {
        panic!("asked for {}", wanted.name)
    }

    fn describe(&self) -> String {
        "nobody".to_owned()
    }
}

#[test]
fn offline_no_transport_is_called_and_what_expired_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let mirror = Mirror::of("mirror", &repository());
    list(&mut mirror.repo(), "acme/web", b"web");
    let root = first_root(&mirror.repo());
    let at = |now: Instant, transport: Arc<dyn Transport>| {
        let store = Box::new(DirStore::open(folder.path()).unwrap());
        Client::new(root.clone(), Arc::clone(&transport), store, now).with_targets(transport)
    };
    let offline = |now| at(now, Arc::new(Nobody)).offline();

    let fresh = offline(now()).refresh().err().unwrap();
    assert_eq!(
        (fresh.to_string().as_str(), fresh.unreachable()),
        ("offline, and no timestamp is kept", true)
    );
    at(now(), transport(&mirror)).refresh().unwrap();
    let state = offline(now()).refresh().unwrap();
    assert!(matches!(state.find("acme/web").unwrap(), Found::Target { .. }));
    let download = state.download("acme/web").err().unwrap();
    assert!(matches!(download, ClientError::Offline { .. }), "{download}");
    for (days, role) in [(2, "timestamp"), (10, "timestamp"), (400, "root")] {
        let expired = offline(later(days)).refresh().err().unwrap();
        assert!(expired.to_string().starts_with(&format!("offline, and {role} expired at ")), "{expired}");
        assert!(expired.unreachable(), "could not tell, which is not refused");
    }
}

#[test]
fn the_time_of_an_update_is_bounded_and_each_fetch_gets_what_is_left() {
    let mirror = Mirror::of("mirror", &repository());
    let root = first_root(&mirror.repo());
    let total = Duration::from_millis(200);
    let limits = Limits { update: total, ..Limits::default() };
    let last = Arc::new(Mutex::new(total));
    let seen = Arc::clone(&last);
    mirror.conduct(move |wanted, fetched| {
        let before = std::mem::replace(&mut *seen.lock().unwrap(), wanted.time);
        assert!(wanted.time <= before, "time only gets less");
        std::thread::sleep(Duration::from_millis(90));
        fetched
    });
    let error = client(&root, &mirror).with_limits(limits).refresh().err().unwrap();
    let ClientError::Overdue { total: bound, .. } = &error else { panic!("{error}") };
    assert_eq!(*bound, total);
    assert!(error.to_string().ends_with("took too long: expected all of it within 200.0ms"), "{error}");
    assert!(error.unreachable());
    assert!(mirror.asked().len() < FRESH.len());
}

#[test]
fn a_store_that_another_process_holds_is_waited_for_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let mirror = Mirror::of("mirror", &repository());
    let store = || Box::new(DirStore::open(folder.path()).unwrap());
    let other = store().try_lock().unwrap().unwrap();
    let limits = Limits { lock: Duration::from_millis(20), ..Limits::default() };
    let client = Client::new(first_root(&mirror.repo()), transport(&mirror), store(), now());
    let client = client.with_limits(limits);
    let error = client.refresh().err().unwrap().to_string();
    let held =
        format!("the trusted store failed: another process holds the lock of {}", folder.path().display());
    assert!(error.starts_with(&held), "{error}");
    assert!(mirror.asked().is_empty());
    drop(other);
    client.refresh().unwrap();
}

/// A transport of an async program: nothing is answered before the gate is open.
struct Gated {
    mirror: Arc<Mirror>,
    open: AtomicBool,
}

impl AsyncTransport for Gated {
    fn fetch<'a>(&'a self, wanted: Fetch<'a>) -> BoxFuture<'a, Answer> {
        Box::pin(std::future::poll_fn(move |_| match self.open.load(Ordering::SeqCst) {
            true => Poll::Ready(self.mirror.fetch(&wanted)),
            false => Poll::Pending,
        }))
    }

    fn describe(&self) -> String {
        "gated".to_owned()
    }
}

#[test]
fn eight_callers_at_once_share_one_update_and_its_error() {
    let mirror = Mirror::of("mirror", &repository());
    let root = first_root(&mirror.repo());
    let gated = Arc::new(Gated { mirror: Arc::clone(&mirror), open: AtomicBool::new(false) });
    let transport = Arc::clone(&gated) as Arc<dyn AsyncTransport>;
    let client = AsyncClient::new_async(root, transport, Box::<MemoryStore>::default(), now());
    let round = || {
        gated.open.store(false, Ordering::SeqCst);
        let mut callers: Vec<_> = (0..8).map(|_| Box::pin(client.refresh())).collect();
        assert!(callers.iter_mut().all(|caller| poll_once(caller.as_mut()).is_pending()));
        gated.open.store(true, Ordering::SeqCst);
        // The one that began goes away; the others go on where it was.
        drop(callers.remove(0));
        callers.into_iter().map(drive).collect::<Vec<_>>()
    };
    for state in round() {
        assert_eq!(state.unwrap().snapshot().timestamp().version(), 1);
    }
    assert_eq!(mirror.asked(), FRESH, "one update's worth of requests");
    mirror.down();
    let errors: Vec<_> = round().into_iter().map(|state| state.err().unwrap().to_string()).collect();
    assert_eq!(errors, ["root: could not reach mirror: it is down"; 7]);
    assert_eq!(mirror.asked(), ["2.root.json"]);
}

#[test]
fn a_blocking_transport_serves_the_async_client_from_a_thread() {
    let mirror = Mirror::of("mirror", &repository());
    list(&mut mirror.repo(), "acme/web", b"web");
    mirror.serve_target("acme/web", b"web");
    let root = first_root(&mirror.repo());
    let on_thread = || Arc::new(OnThread::new(transport(&mirror))) as Arc<dyn AsyncTransport>;
    let client = AsyncClient::new_async(root, on_thread(), Box::<MemoryStore>::default(), now())
        .with_targets(on_thread());
    let download = drive(async { client.refresh().await?.download("acme/web").await }).unwrap();
    assert_eq!((download.bytes.as_slice(), download.fetched), (&b"web"[..], true));
    mirror.conduct(|_, _| panic!("as told"));
    let error = drive(client.refresh()).err().unwrap().to_string();
    assert_eq!(error, "root: could not reach mirror: its thread panicked");
}
