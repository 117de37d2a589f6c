//! What a metadata server's answers mean: the file, none, or that it could not be told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a broken test may panic")]

use std::time::Duration;

use oci_image::{HttpFetcher, HttpLimits, HttpOptions, SourceError};
use test_repos::http::{Body, Response, Server};
use tuf_client::{Fetch, Fetched, HttpTransport, Transport};

fn fetch(server: &Server, known: Option<&str>, time: Duration) -> Result<Fetched, SourceError> {
    let limits = HttpLimits { retries: 0, rate: 0, ..HttpLimits::default() };
    let fetcher = HttpFetcher::new(HttpOptions { limits, ..HttpOptions::default() });
    let transport = HttpTransport::new(&server.url().parse().unwrap(), fetcher);
    transport.fetch(&Fetch { name: "timestamp.json", limit: 100, known, time })
}

/// The error without the server's address, and whether it is *could not tell*.
fn said(server: &Server, known: Option<&str>) -> (bool, String) {
    let error = fetch(server, known, Duration::from_secs(10)).unwrap_err();
    (error.unreachable(), error.to_string().replace(&format!("{}/timestamp.json", server.url()), "SERVER"))
}

#[test]
fn each_status_is_the_file_none_could_not_tell_or_no_answer() {
    for status in [403, 404, 410] {
        let server = Server::start(move |_| Response::new(status)).unwrap();
        assert_eq!(fetch(&server, None, Duration::from_secs(10)).unwrap(), Fetched::Absent, "{status}");
        assert_eq!(server.log().len(), 1, "{status} is asked for once");
    }
    for (status, unreachable, says) in [
        (101, false, "SERVER sent an answer that can't be used: expected HTTP status 200, got 101"),
        (204, false, "SERVER sent an answer that can't be used: expected HTTP status 200, got 204"),
        (206, false, "SERVER sent an answer that can't be used: expected HTTP status 200, got 206"),
        (300, false, "SERVER sent an answer that can't be used: HTTP status 300 leads nowhere"),
        (302, false, "SERVER sent an answer that can't be used: HTTP status 302 leads nowhere"),
        (
            304,
            false,
            "SERVER sent an answer that can't be used: HTTP status 304 to a question without a condition",
        ),
        (400, true, "could not reach SERVER: HTTP status 400"),
        (401, true, "SERVER denied access (HTTP status 401)"),
        (407, true, "could not reach SERVER: HTTP status 407"),
        (418, true, "could not reach SERVER: HTTP status 418"),
        (429, true, "could not reach SERVER: HTTP status 429"),
        (451, true, "could not reach SERVER: HTTP status 451"),
        (500, true, "could not reach SERVER: HTTP status 500"),
        (503, true, "could not reach SERVER: HTTP status 503"),
        (599, true, "could not reach SERVER: HTTP status 599"),
    ] {
        let server = Server::start(move |_| Response::new(status)).unwrap();
        assert_eq!(said(&server, None), (unreachable, says.to_owned()));
    }
}

#[test]
fn what_is_held_already_is_not_sent_again() {
    let server = Server::start(|request| match request.headers.get("If-None-Match") {
        Some("\"v1\"") => Response::new(304),
        _ => Response::ok("file").header("ETag", "\"v1\""),
    })
    .unwrap();
    let file = Fetched::File { bytes: b"file".to_vec(), tag: Some("\"v1\"".into()) };
    let time = Duration::from_secs(10);
    assert_eq!(fetch(&server, None, time).unwrap(), file);
    assert_eq!(fetch(&server, Some("\"v0\""), time).unwrap(), file);
    assert_eq!(fetch(&server, Some("\"v1\""), time).unwrap(), Fetched::Unchanged);
}

#[test]
fn the_time_that_is_left_ends_a_file_that_drips() {
    let drip = || Body::Drip { bytes: vec![b' '; 100], every: Duration::from_millis(20) };
    let server = Server::start(move |_| Response::new(200).body(drip())).unwrap();
    let error = fetch(&server, None, Duration::from_millis(300)).unwrap_err();
    let SourceError::Overdue { got: 1..=20, .. } = error else { panic!("{error}") };
    assert!(error.to_string().contains("expected the whole answer within 300.0ms, got"), "{error}");
}
