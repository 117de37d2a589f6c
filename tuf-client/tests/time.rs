//! The time of an update: what it may take, and what it is told.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use oci_image::SourceError;
use support::{Mirror, client, first_root, list, now, repository};
use tuf_client::{Client, Limits, MemoryStore};

#[test]
fn an_update_ends_when_its_time_is_over_and_says_how_far_it_came() {
    let repo = repository();
    let mirror = Mirror::of("mirror", &repo);
    let total = Duration::from_millis(50);
    let limits = Limits { update: total, ..Limits::default() };
    // It keeps us for as long as it may, and then gives up, as a transport must.
    mirror.conduct(move |wanted, fetched| {
        assert!(wanted.time <= total);
        let began = Instant::now();
        while wanted.name == "1.snapshot.json" && began.elapsed() < wanted.time {
            std::thread::yield_now();
        }
        match wanted.name {
            "1.snapshot.json" => Err(SourceError::Unreachable { at: "mirror".into(), why: "slow".into() }),
            _ => fetched,
        }
    });
    let error = client(&first_root(&repo), &mirror).with_limits(limits).refresh().err().unwrap();
    assert_eq!(error.to_string(), "snapshot: took too long: expected all of it within 50.0ms");
    assert!(error.unreachable());
}

#[test]
fn the_clock_is_asked_once_for_each_update() {
    let mut repo = repository();
    list(&mut repo, "acme/web", b"web");
    let asked = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&asked);
    let clock = move || {
        count.fetch_add(1, Ordering::SeqCst);
        now()
    };
    let store = Box::<MemoryStore>::default();
    let client = Client::new(first_root(&repo), Mirror::of("mirror", &repo), store, clock);
    for updates in 1..=3 {
        let state = client.refresh().unwrap();
        state.find("acme/web").unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), updates);
    }
}
