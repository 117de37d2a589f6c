//! The timestamp asked for while the root walk goes on: that the two overlap, and that nothing else changes.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod mirror;

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use mirror::{FRESH, Mirror, client, drive, first_root, list, now, repository, tag};
use oci_image::SourceError;
use test_repos::simulator::{Keyholder, Simulator};
use tuf_client::{
    AsyncClient, AsyncTransport, BoxFuture, Client, Fetch, Fetched, Limits, MemoryStore, OnThread, Refreshed,
    Transport,
};
use tuf_core::Role;
use tuf_core::crypto::Sign as _;

/// How long a test waits for what must happen at once.
const PATIENCE: Duration = Duration::from_secs(20);

/// A mirror that answers for the root only once it was asked for the timestamp.
struct Late {
    mirror: Arc<Mirror>,
    concurrent: bool,
    asked: Mutex<bool>,
    changed: Condvar,
}

impl Late {
    fn of(mirror: &Arc<Mirror>) -> Arc<Self> {
        let mirror = Arc::clone(mirror);
        Arc::new(Self { mirror, concurrent: true, asked: Mutex::default(), changed: Condvar::new() })
    }

    fn wait(&self) -> Result<(), SourceError> {
        let asked = self.asked.lock().unwrap();
        let (asked, _) = self.changed.wait_timeout_while(asked, PATIENCE, |asked| !*asked).unwrap();
        let why = || "the timestamp was not asked for meanwhile".into();
        asked.then_some(()).ok_or_else(|| SourceError::Unreachable { at: "late".into(), why: why() })
    }
}

impl Transport for Late {
    fn fetch(&self, wanted: &Fetch<'_>) -> Result<Fetched, SourceError> {
        if wanted.name == "timestamp.json" {
            *self.asked.lock().unwrap() = true;
            self.changed.notify_all();
        } else if wanted.name.ends_with(".root.json") {
            self.wait()?;
        }
        self.mirror.fetch(wanted)
    }

    fn describe(&self) -> String {
        "late".to_owned()
    }

    fn concurrent(&self) -> bool {
        self.concurrent
    }
}

/// A mirror that may be asked for two files at once, and answers the timestamp before the root, always.
struct Quick(Arc<Late>);

impl Quick {
    fn of(mirror: &Arc<Mirror>) -> Arc<Self> {
        Arc::new(Self(Late::of(mirror)))
    }
}

impl Transport for Quick {
    fn fetch(&self, wanted: &Fetch<'_>) -> Result<Fetched, SourceError> {
        if wanted.name != "timestamp.json" {
            return self.0.fetch(wanted);
        }
        // Answered before anybody is told that it was asked for.
        let fetched = self.0.mirror.fetch(wanted);
        *self.0.asked.lock().unwrap() = true;
        self.0.changed.notify_all();
        fetched
    }

    fn describe(&self) -> String {
        self.0.describe()
    }

    fn concurrent(&self) -> bool {
        true
    }
}

fn ahead(mirror: &Mirror, transport: Arc<dyn Transport>) -> Client {
    let root = first_root(&mirror.repo());
    Client::new(root, transport, Box::<MemoryStore>::default(), now()).asking_ahead()
}

fn versions(state: &Refreshed) -> [u64; 4] {
    let (snapshot, timestamp) = (state.snapshot(), state.snapshot().timestamp());
    [timestamp.root().version(), timestamp.version(), snapshot.version(), state.targets().version()]
}

/// The next root: other keys for the timestamp, and whatever is published after that.
fn rotate(repo: &mut Simulator) {
    let new = Keyholder::named("timestamp, the second");
    let ids: Vec<_> = repo.signers["timestamp"].iter().map(|old| old.key_id()).collect();
    let root = repo.role_mut("root");
    ids.iter().for_each(|id| root.remove_key(&Role::Timestamp, id));
    root.add_key(&Role::Timestamp, new.key());
    repo.signers.insert("timestamp".into(), vec![new]);
    repo.publish().unwrap();
}

#[test]
fn the_timestamp_is_asked_for_while_an_answer_for_the_root_is_awaited() {
    let mirror = Mirror::of("mirror", &repository());
    let state = ahead(&mirror, Late::of(&mirror)).refresh().unwrap();
    assert_eq!(versions(&state), [1, 1, 1, 1]);
    let mut asked = mirror.asked();
    assert_eq!(asked.split_off(2), FRESH[2..]);
    asked.sort();
    assert_eq!(asked, FRESH[..2], "each once");
}

/// The async face of a mirror that is late, without a thread: its answers come to whoever polls again.
struct LateAsync(Arc<Late>);

impl AsyncTransport for LateAsync {
    fn fetch<'a>(&'a self, wanted: Fetch<'a>) -> BoxFuture<'a, Result<Fetched, SourceError>> {
        Box::pin(std::future::poll_fn(move |context| {
            let first = wanted.name == "timestamp.json" || *self.0.asked.lock().unwrap();
            if !first {
                context.waker().wake_by_ref();
                return std::task::Poll::Pending;
            }
            std::task::Poll::Ready(self.0.fetch(&wanted))
        }))
    }

    fn describe(&self) -> String {
        self.0.describe()
    }

    fn concurrent(&self) -> bool {
        true
    }
}

#[test]
fn async_requests_overlap_on_one_task_and_on_threads() {
    for threads in [false, true] {
        let mirror = Mirror::of("mirror", &repository());
        let late = Late::of(&mirror);
        let transport: Arc<dyn AsyncTransport> =
            if threads { Arc::new(OnThread::new(late)) } else { Arc::new(LateAsync(late)) };
        let root = first_root(&mirror.repo());
        let client =
            AsyncClient::new_async(root, transport, Box::<MemoryStore>::default(), now()).asking_ahead();
        let state = drive(client.refresh()).unwrap();
        assert_eq!(state.snapshot().timestamp().version(), 1);
        assert_eq!(mirror.asked().len(), FRESH.len());
    }
}

#[test]
fn who_does_not_ask_for_it_and_who_cannot_are_asked_in_order() {
    let mirror = Mirror::of("mirror", &repository());
    let root = first_root(&mirror.repo());
    client(&root, &mirror).refresh().unwrap();
    assert_eq!(mirror.asked(), FRESH);
    // A transport says nothing about itself unless it is asked, and then no.
    ahead(&mirror, Arc::clone(&mirror) as Arc<dyn Transport>).refresh().unwrap();
    assert_eq!(mirror.asked(), FRESH);
}

#[test]
fn after_a_rotation_the_early_timestamp_is_weighed_under_the_newest_root_and_fetched_once() {
    let mirror = Mirror::of("mirror", &repository());
    let root = first_root(&mirror.repo());
    rotate(&mut mirror.repo());
    let client = Client::new(root, Quick::of(&mirror), Box::<MemoryStore>::default(), now()).asking_ahead();
    let state = client.refresh().unwrap();
    assert_eq!(versions(&state)[0], 2);
    assert_eq!(mirror.asked().iter().filter(|name| *name == "timestamp.json").count(), 1);
}

#[test]
fn an_early_timestamp_of_the_keys_before_is_not_believed_but_asked_for_again() {
    let mirror = Mirror::of("mirror", &repository());
    let root = first_root(&mirror.repo());
    let old = mirror.repo().fetch("timestamp.json").unwrap().unwrap();
    rotate(&mut mirror.repo());
    // The publisher's new timestamp becomes visible between the two questions.
    let first = Mutex::new(Some(old));
    mirror.conduct(move |wanted, fetched| {
        let early = if wanted.name == "timestamp.json" { first.lock().unwrap().take() } else { None };
        early.map_or(fetched, |bytes| Ok(Fetched::File { bytes, tag: None }))
    });
    let client = Client::new(root, Quick::of(&mirror), Box::<MemoryStore>::default(), now()).asking_ahead();
    let state = client.refresh().unwrap();
    assert_eq!(versions(&state)[0], 2);
    assert!(state.blames().is_empty(), "it was right when it was asked");
    assert_eq!(mirror.asked().iter().filter(|name| *name == "timestamp.json").count(), 2);
}

#[test]
fn a_bad_early_timestamp_is_refused_as_one_in_its_turn_is() {
    let mirror = Mirror::of("mirror", &repository());
    mirror.conduct(|wanted, fetched| match wanted.name {
        "timestamp.json" => Ok(Fetched::File { bytes: b"{}".to_vec(), tag: None }),
        _ => fetched,
    });
    let root = first_root(&mirror.repo());
    let early = ahead(&mirror, Quick::of(&mirror)).refresh().err().unwrap().to_string();
    let in_turn = client(&root, &mirror).refresh().err().unwrap().to_string();
    assert_eq!(early, in_turn);
    assert!(early.starts_with("timestamp is malformed"), "{early}");
}

#[test]
fn a_quiet_day_is_one_round_trip_with_a_tag() {
    let mirror = Mirror::of("mirror", &repository());
    let client = ahead(&mirror, Quick::of(&mirror));
    client.refresh().unwrap();
    assert!(mirror.tags_sent().is_empty());
    mirror.asked();
    client.refresh().unwrap();
    let timestamp = mirror.repo().fetch("timestamp.json").unwrap().unwrap();
    assert_eq!(mirror.tags_sent(), [tag(&timestamp)]);
    assert_eq!(mirror.asked().len(), 2, "the next root, and the timestamp");
    // And when there is news, it is seen at once.
    list(&mut mirror.repo(), "acme/web", b"web");
    assert_eq!(versions(&client.refresh().unwrap()), [1, 2, 2, 2]);
}

#[test]
fn unchanged_is_worth_nothing_once_the_keys_of_the_timestamp_were_taken_away() {
    let mirror = Mirror::of("mirror", &repository());
    let client = ahead(&mirror, Quick::of(&mirror));
    client.refresh().unwrap();
    mirror.tags_sent();
    rotate(&mut mirror.repo());
    // Whoever still holds the old key says that nothing changed since.
    mirror.conduct(|wanted, fetched| match wanted.known {
        Some(_) => Ok(Fetched::Unchanged),
        None => fetched,
    });
    let state = client.refresh().unwrap();
    assert_eq!(versions(&state)[0], 2);
    assert!(versions(&state)[1] > 1, "the new timestamp, asked for without a tag");
}

#[test]
fn where_the_root_walk_fails_the_early_timestamp_changes_nothing() {
    let mirror = Mirror::of("mirror", &repository());
    let client = ahead(&mirror, Quick::of(&mirror));
    client.refresh().unwrap();
    list(&mut mirror.repo(), "acme/web", b"web");
    mirror.conduct(|wanted, fetched| match wanted.name {
        "2.root.json" => Ok(Fetched::File { bytes: b"{}".to_vec(), tag: None }),
        _ => fetched,
    });
    let refused = client.refresh().err().unwrap().to_string();
    assert!(refused.starts_with("root is malformed"), "{refused}");
    let offline = client.offline().refresh().unwrap();
    assert_eq!(versions(&offline), [1, 1, 1, 1]);
}

#[test]
fn a_mirror_that_hangs_when_asked_early_leaves_time_for_the_others() {
    let (hanging, good) = (Mirror::of("mirror", &repository()), Mirror::of("good", &repository()));
    hanging.conduct(|wanted, fetched| match wanted.name {
        "timestamp.json" => {
            std::thread::sleep(wanted.time);
            Err(SourceError::Overdue { at: "mirror".into(), limit: wanted.time, got: 0 })
        }
        _ => fetched,
    });
    let total = Duration::from_secs(3);
    let limits = Limits { update: total, ..Limits::default() };
    let quick = Late::of(&hanging);
    *quick.asked.lock().unwrap() = true;
    let good = Arc::clone(&good) as Arc<dyn Transport>;
    let state = ahead(&hanging, quick).with_mirror(good).with_limits(limits).refresh().unwrap();
    assert_eq!(versions(&state), [1, 1, 1, 1]);
    assert!(state.blames().iter().all(|blame| blame.source == "late"), "{:?}", state.blames());
}
