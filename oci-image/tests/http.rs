//! Plain HTTP answers: what each status is, which faults are repeated, and when it is over.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a broken test may panic")]
#![allow(clippy::arithmetic_side_effects, reason = "a broken test may panic")]

mod support;

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use oci_image::{HttpAnswer, HttpFetcher, HttpLimits, HttpOptions, SourceError};
use support::{Server, quick, reply};

fn fetcher(limits: HttpLimits) -> HttpFetcher {
    HttpFetcher::new(HttpOptions { limits, ..HttpOptions::default() })
}

fn get(server: &Server) -> Result<HttpAnswer, SourceError> {
    fetcher(quick()).get(&server.url("/x"), 100, &[])
}

/// Answers with these, one after the other, and with the last one for ever.
fn one_after_the_other(answers: &'static [&'static str]) -> Server {
    let next = AtomicUsize::new(0);
    Server::start(move |_, stream| {
        let number = next.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1);
        match answers.get(number) {
            Some(&"cut") | None => {}
            Some(head) => reply(stream, head, b"body"),
        }
    })
}

#[test]
fn any_status_that_answers_the_question_is_handed_on() {
    for (head, status, body) in [
        ("200 OK", 200, &b"body"[..]),
        ("204 No Content", 204, b""),
        ("206 Partial Content", 206, b"body"),
        ("300 Choose", 300, b"body"),
        ("302 Found", 302, b"body"),
        ("304 Not Modified", 304, b""),
        ("400 Bad Request", 400, b"body"),
        ("401 Unauthorized", 401, b"body"),
        ("403 Forbidden", 403, b"body"),
        ("404 Not Found", 404, b"body"),
        ("410 Gone", 410, b"body"),
        ("418 I'm a teapot", 418, b"body"),
        ("451 Unavailable For Legal Reasons", 451, b"body"),
    ] {
        let server = one_after_the_other(Box::leak(Box::new([head])));
        let answer = get(&server).unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (status, body), "{head}");
        assert_eq!(server.count(), 1, "{head} is asked for once");
    }
}

#[test]
fn a_status_that_is_no_answer_is_could_not_tell_and_only_faults_that_pass_are_repeated() {
    for (head, requests) in [
        ("407 Proxy Authentication Required", 1),
        ("408 Request Timeout", 1),
        ("500 Internal Server Error", 3),
        ("501 Not Implemented", 1),
        ("505 HTTP Version Not Supported", 1),
        ("511 Network Authentication Required", 1),
        ("599 Odd", 1),
        ("429 Too Many Requests", 3),
        ("502 Bad Gateway", 3),
        ("503 Service Unavailable", 3),
        ("504 Gateway Timeout", 3),
    ] {
        let server = Server::fixed(head, b"");
        let error = get(&server).unwrap_err();
        let (status, _) = head.split_once(' ').unwrap();
        let expected = format!("could not reach http://{}/x: HTTP status {status}", server.host);
        assert_eq!(error.to_string(), expected);
        assert!(error.unreachable(), "{head}");
        assert_eq!(server.count(), requests, "{head}");
    }
}

#[test]
fn faults_that_pass_are_asked_again_until_one_is_answered() {
    for (answers, requests) in [
        (&["cut", "200 OK"][..], 2),
        (&["502 Bad Gateway", "cut", "200 OK"], 3),
        (&["504 Gateway Timeout", "200 OK"], 2),
        (&["429 Slow Down", "404 Not Found"], 2),
        (&["503 Busy", "500 Oops", "200 OK"], 3),
        (&["500 Oops", "501 What", "200 OK"], 2),
        (&["cut", "cut", "cut", "200 OK"], 3),
    ] {
        let server = one_after_the_other(answers);
        let answered = get(&server).is_ok();
        let last = answers.get(requests - 1).unwrap();
        assert_eq!(answered, last.starts_with("200") || last.starts_with("404"), "{answers:?}");
        assert_eq!(server.count(), requests, "{answers:?}");
        let log = server.requests.lock().unwrap();
        assert!(log.iter().all(|request| request.starts_with("get /x http/1.1")), "{log:?}");
    }
}

#[test]
fn retry_after_stands_in_for_the_back_off_and_is_bounded() {
    let patient = HttpLimits { back_off: Duration::from_secs(3600), ..quick() };
    let ask = |server: &Server| fetcher(patient.clone()).get(&server.url("/x"), 100, &[]);
    let server = one_after_the_other(&["503 Busy\r\nRetry-After: 0", "200 OK"]);
    assert_eq!(ask(&server).unwrap().status, 200);
    assert_eq!(server.count(), 2);
    // More than `retry_after`, or in the form of a date, which only a clock could read.
    for wait in ["2", "99999999999999999999", "Wed, 21 Oct 2026 07:28:00 GMT", "-1", ""] {
        let server = Server::fixed(&format!("503 Busy\r\nRetry-After: {wait}"), b"");
        let error = ask(&server).unwrap_err();
        assert!(error.to_string().ends_with("HTTP status 503"), "{wait}: {error}");
        assert_eq!(server.count(), 1, "{wait}");
    }
}

#[test]
fn what_informs_only_is_passed_over() {
    let server = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: </y>\r\n\r\n");
        reply(stream, "200 OK", b"body");
    });
    assert_eq!(get(&server).unwrap().body, b"body");
}

#[test]
fn an_entity_tag_is_opaque_bounded_and_printable() {
    let long = format!("\"{}\"", "x".repeat(254));
    let longer = format!("\"{}\"", "x".repeat(255));
    for (sent, kept) in [
        ("\"v1\"", true),
        ("W/\"v1\"", true),
        ("v1", true),
        ("\"\"", true),
        (long.as_str(), true),
        (longer.as_str(), false),
        ("\"a b\"", false),
        ("\"a\tb\"", false),
        ("\"\u{e9}\"", false),
        ("", false),
    ] {
        let server = Server::fixed(&format!("200 OK\r\nETag: {sent}"), b"");
        let expected = kept.then(|| sent.to_owned());
        assert_eq!(get(&server).unwrap().etag, expected, "{sent:?}");
    }
}

#[test]
fn a_question_with_a_condition_has_not_modified_for_an_answer() {
    let server = Server::start(|request, stream| match request.contains("if-none-match: \"v1\"") {
        true => reply(stream, "304 Not Modified\r\nETag: \"v1\"", b""),
        false => reply(stream, "200 OK\r\nETag: \"v1\"", b"body"),
    });
    let fetcher = fetcher(quick());
    let first = fetcher.get(&server.url("/x"), 100, &[]).unwrap();
    let tag = first.etag.unwrap();
    let second = fetcher.get(&server.url("/x"), 100, &[("If-None-Match", &tag)]).unwrap();
    assert_eq!((second.status, second.etag.as_deref(), second.body.len()), (304, Some("\"v1\""), 0));
}

/// Slow, but never slow enough for the rate; with nothing left but the time for all of it.
fn drips(stream: &mut std::net::TcpStream) {
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
    while stream.write_all(&[b'x'; 110]).is_ok() {
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_server_that_is_just_fast_enough_does_not_hold_us() {
    let server = Server::start(|_, stream| drips(stream));
    let start = Instant::now();
    let time = Duration::from_millis(700);
    let error = fetcher(quick()).get_within(&server.url("/x"), 1_000_000, &[], time).unwrap_err();
    let SourceError::Overdue { got, .. } = &error else { panic!("{error}") };
    let expected = format!(
        "http://{}/x took too long: expected the whole answer within 700.0ms, got {got} bytes by then",
        server.host
    );
    assert_eq!(error.to_string(), expected);
    assert!((110..=110 * 15).contains(got) && error.unreachable(), "{error}");
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn the_time_for_all_of_it_is_a_limit_of_every_fetch() {
    let server = Server::start(|_, stream| drips(stream));
    let limits = HttpLimits { total: Duration::from_millis(300), ..quick() };
    let error = fetcher(limits.clone()).get(&server.url("/x"), 1_000_000, &[]).unwrap_err();
    assert!(matches!(error, SourceError::Overdue { .. }), "{error}");
    let options = oci_image::RegistryOptions { limits, ..oci_image::RegistryOptions::default() };
    let error = server.registry_with(options).resolve(&"1".parse().unwrap()).unwrap_err();
    assert!(matches!(error, SourceError::Overdue { .. }), "{error}");
}

#[test]
fn redirects_waits_and_repetitions_share_the_time_of_the_first_question() {
    // Five redirects of 100 ms each, and 250 ms for all.
    let slow = Server::start(|_, stream| {
        std::thread::sleep(Duration::from_millis(100));
        reply(stream, "302 Found\r\nLocation: /x", b"");
    });
    let time = Duration::from_millis(250);
    let error = fetcher(quick()).get_within(&slow.url("/x"), 10, &[], time).unwrap_err();
    assert!(matches!(error, SourceError::Overdue { got: 0, .. }), "{error}");
    assert!(slow.count() <= 3, "{}", slow.count());

    // A wait that would outlast the time isn't begun.
    let busy = Server::fixed("503 Busy\r\nRetry-After: 1", b"");
    let start = Instant::now();
    let error = fetcher(quick()).get_within(&busy.url("/x"), 10, &[], time).unwrap_err();
    assert!(error.to_string().ends_with("HTTP status 503"), "{error}");
    assert!(busy.count() == 1 && start.elapsed() < Duration::from_millis(900));

    // Silence ends with the time, not with the longer wait for an answer.
    let silent = Server::start(|_, _| std::thread::sleep(Duration::from_secs(1)));
    let error = fetcher(quick()).get_within(&silent.url("/x"), 10, &[], time).unwrap_err();
    let text = "took too long: expected the whole answer within 250.0ms, got 0 bytes by then";
    assert!(error.to_string().ends_with(text), "{error}");
}
