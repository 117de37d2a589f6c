//! Over HTTP: what a quiet day costs, what its entity tag is worth, and what is asked twice.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use oci_image::{HttpFetcher, HttpLimits, HttpOptions};
use support::{first_root, list, now, repository};
use test_repos::http::{LoggedRequest, Request, Response, Server};
use test_repos::simulator::Simulator;
use tuf_client::{Client, ClientError, DirStore, HttpTransport, Refreshed};
use tuf_core::Instant;
use tuf_core::hash::sha256_hex;
use url::Url;

type Repo = Arc<Mutex<Simulator>>;

/// A server that tags its files by their hash, and sends none twice. `conduct` may answer in its place.
fn serve(repo: &Repo, conduct: impl Fn(&Request) -> Option<Response> + Send + Sync + 'static) -> Server {
    let repo = Arc::clone(repo);
    Server::start(move |request| {
        if let Some(response) = conduct(request) {
            return response;
        }
        let name = request.path().trim_start_matches('/');
        let Some(bytes) = repo.lock().unwrap().fetch(name).unwrap() else { return Response::not_found() };
        let tag = format!("\"{}\"", sha256_hex(&bytes));
        let response = match request.headers.get("if-none-match") {
            Some(known) if known == tag => Response::new(304),
            _ => Response::ok(bytes),
        };
        response.header("ETag", &tag)
    })
    .unwrap()
}

fn refresh(server: &Server, root: &[u8], state: &Path, now: Instant) -> Result<Refreshed, ClientError> {
    let limits = HttpLimits { back_off: Duration::from_millis(1), ..HttpLimits::default() };
    let fetcher = HttpFetcher::new(HttpOptions { limits, ..HttpOptions::default() });
    let transport = Arc::new(HttpTransport::new(&Url::parse(&server.url()).unwrap(), fetcher));
    let store = Box::new(DirStore::open(state).unwrap());
    Client::new(root.to_vec(), transport, store, now).refresh()
}

/// What was asked, and with `?` where it was only asked whether it changed.
fn asked(server: &Server) -> Vec<String> {
    let mark = |request: &LoggedRequest| if request.headers.contains("if-none-match") { "?" } else { "" };
    let log = server.log().iter().map(|request| format!("{}{}", request.path, mark(request))).collect();
    server.clear_log();
    log
}

#[test]
fn a_quiet_day_costs_two_questions_and_a_frozen_one_is_found_out_when_it_expires() {
    let folder = tempfile::tempdir().unwrap();
    let repo: Repo = Arc::new(Mutex::new(repository()));
    let root = first_root(&repo.lock().unwrap());
    let server = serve(&repo, |_| None);
    refresh(&server, &root, folder.path(), now()).unwrap();
    assert_eq!(asked(&server), ["/2.root.json", "/timestamp.json", "/1.snapshot.json", "/1.targets.json"]);
    for _ in 0..2 {
        let state = refresh(&server, &root, folder.path(), now()).unwrap();
        assert_eq!(state.snapshot().timestamp().version(), 1);
        assert_eq!(asked(&server), ["/2.root.json", "/timestamp.json?"]);
    }

    // It says for ever that nothing changed: weighed as if it had come.
    let error = refresh(&server, &root, folder.path(), now() + TimeDelta::days(2)).err().unwrap();
    assert_eq!(
        error.to_string(),
        "timestamp expired at 2030-01-02T00:00:00Z, and it is now 2030-01-03T00:00:00Z (TUF 5.4.4)"
    );
    assert_eq!(asked(&server), ["/2.root.json", "/timestamp.json?"]);

    // News come as ever, and their tag takes the place of the old one.
    list(&mut repo.lock().unwrap(), "acme/web", b"web");
    assert_eq!(refresh(&server, &root, folder.path(), now()).unwrap().targets().version(), 2);
    asked(&server);
    refresh(&server, &root, folder.path(), now()).unwrap();
    assert_eq!(asked(&server), ["/2.root.json", "/timestamp.json?"]);

    // What is private stays out of the folder of the metadata.
    let names = fs::read_dir(folder.path().join("metadata")).unwrap();
    let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["root.json", "snapshot.json", "targets.json", "timestamp.json"]);
}

#[test]
fn a_tag_of_other_bytes_or_of_another_place_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let repo: Repo = Arc::new(Mutex::new(repository()));
    let root = first_root(&repo.lock().unwrap());
    let (server, other) = (serve(&repo, |_| None), serve(&repo, |_| None));
    refresh(&server, &root, folder.path(), now()).unwrap();
    refresh(&other, &root, folder.path(), now()).unwrap();
    assert_eq!(asked(&other), ["/2.root.json", "/timestamp.json"]);

    // Now the tag is the other's. The kept timestamp is lost, or damaged: the tag speaks of what is gone.
    let timestamp = folder.path().join("metadata/timestamp.json");
    for damage in [None, Some("{}"), Some("")] {
        match damage {
            Some(text) => fs::write(&timestamp, text).unwrap(),
            None => fs::remove_file(&timestamp).unwrap(),
        }
        refresh(&other, &root, folder.path(), now()).unwrap();
        assert_eq!(asked(&other), ["/2.root.json", "/timestamp.json"], "{damage:?}");
    }
    // Nor is one that could not stand in a header.
    let tag = folder.path().join("timestamp.tag");
    let kept = fs::read_to_string(&tag).unwrap();
    let bad = kept.lines().take(2).chain(["a b"]).map(|line| format!("{line}\n")).collect::<String>();
    fs::write(&tag, bad).unwrap();
    refresh(&other, &root, folder.path(), now()).unwrap();
    assert_eq!(asked(&other), ["/2.root.json", "/timestamp.json"]);
    assert_eq!(fs::read_to_string(&tag).unwrap(), kept);
}

#[test]
fn what_says_unchanged_without_having_been_asked_is_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let repo: Repo = Arc::new(Mutex::new(repository()));
    let root = first_root(&repo.lock().unwrap());
    let server = serve(&repo, |request| (request.path() == "/timestamp.json").then(|| Response::new(304)));
    let error = refresh(&server, &root, folder.path(), now()).err().unwrap();
    let why = "sent an answer that can't be used: HTTP status 304 to a question without a condition";
    assert_eq!(error.to_string(), format!("timestamp: {}/timestamp.json {why}", server.url()));
    assert!(!error.unreachable());
}

#[test]
fn only_what_passes_is_asked_again_and_a_missing_root_is_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let repo: Repo = Arc::new(Mutex::new(repository()));
    let root = first_root(&repo.lock().unwrap());
    let busy = Mutex::new(2);
    let server = serve(&repo, move |request| {
        let mut left = busy.lock().unwrap();
        if request.path() != "/timestamp.json" || *left == 0 {
            return None;
        }
        *left = i32::saturating_sub(*left, 1);
        Some(Response::new(503))
    });
    refresh(&server, &root, folder.path(), now()).unwrap();
    assert_eq!(
        asked(&server),
        [
            "/2.root.json",
            "/timestamp.json",
            "/timestamp.json",
            "/timestamp.json",
            "/1.snapshot.json",
            "/1.targets.json"
        ]
    );
}
