//! What registries must not do to us: lie, send for ever, drip, lead astray, collect passwords.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a broken test may panic")]
#![allow(clippy::indexing_slicing, reason = "a broken test may panic")]

mod support;

use std::io::Write;
use std::time::{Duration, Instant};

use oci_image::{
    BlobError, Credentials, Descriptor, Digest, HttpFetcher, HttpOptions, ImageSource, MANIFEST_MAX,
    RegistryOptions, Secret, Selector, SourceError, verify_blob,
};
use support::{Server, quick, reply};

const MANIFEST: &[u8] = b"{\"schemaVersion\":2,\"manifests\":[]}";

fn fetch(server: &Server) -> Result<Vec<u8>, SourceError> {
    server.registry().manifest(Selector::Tag("1")).map(|fetched| fetched.bytes)
}

fn pull(server: &Server, want: &Descriptor) -> Result<(), BlobError> {
    let reader = server.registry().blob(want).map_err(BlobError::Source)?;
    verify_blob(reader, want, &mut |_| {})
}

fn fetcher() -> HttpFetcher {
    HttpFetcher::new(HttpOptions { limits: quick(), ..HttpOptions::default() })
}

fn alice() -> RegistryOptions {
    let credentials = Credentials::password("127.0.0.1", "alice", Secret::from("s3cret".to_owned()));
    RegistryOptions { credentials, limits: quick(), ..RegistryOptions::default() }
}

/// Logins are stored by host and port.
fn alice_at(host: &str) -> RegistryOptions {
    let credentials = Credentials::password(host, "alice", Secret::from("s3cret".to_owned()));
    RegistryOptions { credentials, ..alice() }
}

#[test]
fn the_question_is_for_all_four_types_of_manifest() {
    let server = Server::fixed("200 OK\r\nContent-Type: application/vnd.oci.image.index.v1+json", MANIFEST);
    let fetched = server.registry().manifest(Selector::Tag("1")).unwrap();
    assert_eq!(fetched.media_type.as_deref(), Some("application/vnd.oci.image.index.v1+json"));
    assert_eq!(fetched.descriptor().digest, Digest::of(MANIFEST));
    let request = server.requests.lock().unwrap()[0].clone();
    assert!(request.starts_with("get /v2/acme/web/manifests/1 http/1.1"), "{request}");
    assert_eq!(request.matches("application/vnd.").count(), 4, "{request}");
    assert!(!request.contains("authorization"), "{request}");
}

#[test]
fn a_lie_in_docker_content_digest_is_named() {
    let claimed = Digest::of(b"another");
    let server = Server::fixed(&format!("200 OK\r\nDocker-Content-Digest: {claimed}"), MANIFEST);
    let error = fetch(&server).unwrap_err();
    let got = Digest::of(MANIFEST);
    let host = &server.host;
    assert_eq!(
        error.to_string(),
        format!("registry {host}/acme/web lies about its digest: it says {claimed}, its bytes have {got}")
    );
    assert!(!error.unreachable());
}

#[test]
fn the_truth_in_docker_content_digest_changes_nothing() {
    for claimed in [Digest::of(MANIFEST).to_string(), "sha512:00".into(), "?".into()] {
        let server = Server::fixed(&format!("200 OK\r\nDocker-Content-Digest: {claimed}"), MANIFEST);
        assert_eq!(fetch(&server).unwrap(), MANIFEST, "{claimed}");
    }
}

#[test]
fn each_status_has_its_meaning() {
    for (status, could_not_tell, requests, text) in [
        ("401 Unauthorized", true, 1, "denied access (HTTP status 401): DENIED: go away"),
        ("403 Forbidden", true, 1, "denied access (HTTP status 403): DENIED: go away"),
        ("404 Not Found", false, 1, "has no tag 1: DENIED: go away"),
        ("400 Bad Request", false, 1, "can't be used: HTTP status 400 DENIED: go away"),
        ("204 No Content", false, 1, "can't be used: HTTP status 204"),
        ("500 Oops", true, 3, "HTTP status 500: DENIED: go away"),
        ("503 Busy", true, 3, "HTTP status 503: DENIED: go away"),
        ("429 Slow Down", true, 3, "HTTP status 429: DENIED: go away"),
        ("429 Slow Down\r\nRetry-After: 3600", true, 1, "HTTP status 429: DENIED: go away"),
    ] {
        let server = Server::fixed(status, br#"{"errors":[{"code":"DENIED","message":"go\u001b away"}]}"#);
        let error = fetch(&server).unwrap_err();
        assert!(error.to_string().contains(text), "{status}: {error}");
        assert_eq!(error.unreachable(), could_not_tell, "{status}");
        assert_eq!(server.count(), requests, "{status}");
    }
}

#[test]
fn a_fault_that_passes_is_waited_for() {
    let tries = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |_, stream| {
        match tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
            0 => {} // the connection is cut without an answer
            1 => reply(stream, "503 Busy\r\nRetry-After: 0", b""),
            _ => reply(stream, "200 OK", MANIFEST),
        }
    });
    assert_eq!(fetch(&server).unwrap(), MANIFEST);
    assert_eq!(server.count(), 3);
}

#[test]
fn nothing_listening_is_could_not_tell() {
    let host = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let server = Server { requests: std::sync::Arc::default(), host };
    let error = fetch(&server).unwrap_err();
    assert!(error.unreachable() && error.to_string().contains("refused"), "{error}");
}

#[test]
fn silence_is_could_not_tell() {
    let server = Server::start(|_, _| std::thread::sleep(Duration::from_secs(3)));
    let start = Instant::now();
    let error = fetch(&server).unwrap_err();
    assert!(error.unreachable() && error.to_string().ends_with("no answer in time"), "{error}");
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn an_endless_manifest_ends_at_four_mebibytes() {
    let server = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        while stream.write_all(&[b' '; 65536]).is_ok() {}
    });
    let error = fetch(&server).unwrap_err();
    assert!(matches!(error, SourceError::TooLarge { limit: MANIFEST_MAX, got: None, .. }), "{error}");
    assert!(!error.unreachable());
}

#[test]
fn a_manifest_announced_too_large_is_not_read() {
    let server = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n");
        std::thread::sleep(Duration::from_secs(1));
    });
    let error = fetch(&server).unwrap_err().to_string();
    assert!(error.ends_with("expected at most 4194304 bytes, got 99999999999"), "{error}");
}

#[test]
fn an_endless_blob_ends_one_byte_after_its_size() {
    let server = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        while stream.write_all(&[0; 65536]).is_ok() {}
    });
    let want = Descriptor { size: 100_000, ..Descriptor::of("x/y", b"") };
    assert_eq!(pull(&server, &want).unwrap_err().to_string(), "expected 100000 bytes, got more");
}

#[test]
fn a_blob_of_other_bytes_is_refused() {
    let want = Descriptor::of("x/y", b"layer");
    for (sent, why) in [
        (&b"lAyer"[..], format!("expected digest {}, got {}", want.digest, Digest::of(b"lAyer"))),
        (b"laye", "expected 5 bytes, got 4".into()),
        (b"layer!", "expected 5 bytes, got more".into()),
    ] {
        let error = pull(&Server::fixed("200 OK", sent), &want).unwrap_err();
        assert_eq!(error.to_string(), why);
        assert!(!error.unreachable());
    }
    pull(&Server::fixed("200 OK", b"layer"), &want).unwrap();
}

#[test]
fn one_byte_at_a_time_is_a_stall_with_numbers() {
    let server = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        while stream.write_all(b"x").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let want = Descriptor { size: 100_000, ..Descriptor::of("x/y", b"") };
    let start = Instant::now();
    let error = pull(&server, &want).unwrap_err();
    let BlobError::Source(SourceError::Stalled { expected, got, .. }) = &error else { panic!("{error}") };
    assert!(*expected >= 300 && *got < 50, "{error}");
    assert!(!error.unreachable() && start.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_beginning_and_then_nothing_is_a_stall() {
    let server = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
        std::thread::sleep(Duration::from_secs(3));
    });
    let want = Descriptor { size: 100, ..Descriptor::of("x/y", b"") };
    let error = pull(&server, &want).unwrap_err();
    assert!(matches!(error, BlobError::Source(SourceError::Stalled { got: 4, .. })), "{error}");
}

#[test]
fn an_answer_that_breaks_off_is_could_not_tell() {
    let server = Server::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    });
    let want = Descriptor { size: 100, ..Descriptor::of("x/y", b"") };
    let error = pull(&server, &want).unwrap_err();
    assert!(error.unreachable() && error.to_string().contains("the answer broke off"), "{error}");
}

#[test]
fn a_redirect_to_another_host_does_not_take_the_password_along() {
    let storage = Server::fixed("200 OK", b"layer");
    let there = storage.url("/signed?key=hidden");
    let server = Server::start(move |request, stream| {
        if request.contains("authorization: basic ywxpy2u6cznjcmv0") {
            reply(stream, &format!("307 There\r\nLocation: {there}"), b"");
        } else {
            reply(stream, "401 Who\r\nWWW-Authenticate: Basic realm=\"x\"", b"");
        }
    });
    let want = Descriptor::of("x/y", b"layer");
    let registry = server.registry_with(alice_at(&server.host));
    verify_blob(registry.blob(&want).unwrap(), &want, &mut |_| {}).unwrap();
    assert_eq!((server.count(), storage.count()), (2, 1));
    let request = storage.requests.lock().unwrap()[0].clone();
    assert!(!request.contains("authorization"), "{request}");
}

#[test]
fn passwords_of_another_host_are_not_sent() {
    let server = Server::fixed("401 Who\r\nWWW-Authenticate: Basic realm=\"x\"", b"");
    let error = server.registry_with(alice()).manifest(Selector::Tag("1")).unwrap_err();
    assert!(matches!(error, SourceError::Denied { status: 401, .. }));
    assert_eq!(server.count(), 1);
}

#[test]
fn a_wrong_password_is_tried_once() {
    let server = Server::fixed("401 Who\r\nWWW-Authenticate: Basic realm=\"x\"", b"");
    let registry = server.registry_with(alice_at(&server.host));
    let error = registry.manifest(Selector::Tag("1")).unwrap_err();
    assert!(matches!(error, SourceError::Denied { status: 401, .. }));
    assert!(!error.to_string().contains("s3cret"));
    assert_eq!(server.count(), 2);
}

#[test]
fn redirects_that_must_not_be_followed() {
    for (location, why) in [
        ("http://registry.example.com/x?secret", "plain http is for this machine only"),
        ("file:///etc/passwd", "it has no host"),
        ("gopher://127.0.0.1/", "it is neither https nor http"),
        ("http://u:p@127.0.0.1/", "it has a user in it"),
        ("/v2/acme/web/manifests/1", "there were too many redirects before"),
    ] {
        let server = Server::fixed(&format!("302 There\r\nLocation: {location}"), b"");
        let error = fetch(&server).unwrap_err();
        assert!(matches!(error, SourceError::Redirect { .. }) && !error.unreachable(), "{error}");
        let text = error.to_string();
        assert!(text.ends_with(why) && !text.contains("secret") && !text.contains("u:p"), "{text}");
    }
}

/// A registry that wants a token, and the server that gives it out.
fn with_token_server(answer: &'static str) -> (Server, Server) {
    let tokens = Server::fixed("200 OK", answer.as_bytes());
    let realm = tokens.url("/token");
    let server = Server::start(move |request, stream| {
        if request.contains("authorization: bearer t0ken") {
            reply(stream, "200 OK", MANIFEST);
        } else {
            let challenge = format!("Bearer realm=\"{realm}\",service=\"here\"");
            reply(stream, &format!("401 Who\r\nWWW-Authenticate: {challenge}"), b"");
        }
    });
    (server, tokens)
}

#[test]
fn a_token_is_fetched_once_and_used_again() {
    let (server, tokens) = with_token_server(r#"{"token":"t0ken"}"#);
    let registry = server.registry_with(alice_at(&server.host));
    for _ in 0..2 {
        assert_eq!(registry.manifest(Selector::Tag("1")).unwrap().bytes, MANIFEST);
    }
    assert_eq!((server.count(), tokens.count()), (3, 1));
    let request = tokens.requests.lock().unwrap()[0].clone();
    let question = "get /token?service=here&scope=repository%3aacme%2fweb%3apull http";
    assert!(request.starts_with(question), "{request}");
    assert!(request.contains("authorization: basic ywxpy2u6cznjcmv0"), "{request}");
}

#[test]
fn without_a_login_the_token_is_asked_for_without_one() {
    let (server, tokens) = with_token_server(r#"{"access_token":"t0ken"}"#);
    assert_eq!(fetch(&server).unwrap(), MANIFEST);
    assert!(!tokens.requests.lock().unwrap()[0].contains("authorization"));
}

#[test]
fn an_identity_token_is_posted() {
    let (server, tokens) = with_token_server(r#"{"access_token":"t0ken"}"#);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.json");
    let config = format!(r#"{{"auths":{{"{}":{{"identitytoken":"refresh"}}}}}}"#, server.host);
    std::fs::write(&file, config).unwrap();
    let credentials = Credentials::load(Some(file)).unwrap();
    let registry = server.registry_with(RegistryOptions { credentials, ..alice() });
    assert_eq!(registry.manifest(Selector::Tag("1")).unwrap().bytes, MANIFEST);
    assert!(tokens.requests.lock().unwrap()[0].starts_with("post /token http"));
}

#[test]
fn a_token_server_is_reached_safely_or_not_at_all() {
    for (realm, why) in [
        ("http://tokens.example.com/", "plain http is for this machine only"),
        ("file:///etc/passwd", "it has no host"),
        ("nonsense", "the address can't be read"),
    ] {
        let challenge = format!("401 Who\r\nWWW-Authenticate: Bearer realm=\"{realm}\"");
        let server = Server::fixed(&challenge, b"");
        let error = fetch(&server).unwrap_err();
        assert!(error.to_string().ends_with(why), "{error}");
    }
}

#[test]
fn an_answer_without_a_token_is_a_bad_one() {
    for answer in [r#"{"token":""}"#, "{}", "<html>", r#"{"token":7}"#] {
        let (server, _tokens) = with_token_server(answer);
        assert!(matches!(fetch(&server), Err(SourceError::Malformed { .. })), "{answer}");
    }
    let (server, _tokens) = with_token_server(r#"{"token":"line\nbreak"}"#);
    assert!(matches!(fetch(&server), Err(SourceError::Denied { .. })));
}

#[test]
fn tags_are_listed_page_by_page() {
    let server = Server::start(|request, stream| {
        if request.contains("last=b") {
            reply(stream, "200 OK", br#"{"name":"acme/web","tags":["c","not a tag"]}"#);
        } else {
            let link = "Link: </v2/acme/web/tags/list?last=b>; rel=\"next\"";
            reply(stream, &format!("200 OK\r\n{link}"), br#"{"tags":["a","b"]}"#);
        }
    });
    assert_eq!(server.registry().tags().unwrap(), ["a", "b", "c"]);
}

#[test]
fn tags_without_end_come_to_an_end() {
    let page: Vec<String> = (0..10_000).map(|n| format!("t{n}")).collect();
    let page = serde_json::json!({ "tags": page }).to_string();
    let server = Server::fixed("200 OK\r\nLink: </v2/acme/web/tags/list>; rel=\"next\"", page.as_bytes());
    let error = server.registry().tags().unwrap_err().to_string();
    assert!(error.ends_with("it lists more than 50000 tags"), "{error}");
    let elsewhere = "200 OK\r\nLink: <http://127.0.0.1:9/x>; rel=\"next\"";
    let server = Server::fixed(elsewhere, br#"{"tags":["a"]}"#);
    assert!(matches!(server.registry().tags(), Err(SourceError::Redirect { .. })));
}

#[test]
fn a_tag_can_not_leave_its_place_in_the_address() {
    let server = Server::fixed("200 OK", MANIFEST);
    for tag in ["../blobs/x", "a/b", "", "a?b", "a b"] {
        let error = server.registry().manifest(Selector::Tag(tag)).unwrap_err();
        assert!(matches!(error, SourceError::NotFound { .. }), "{tag:?}: {error}");
    }
    assert_eq!(server.count(), 0);
}

#[test]
fn any_file_is_fetched_within_its_bound() {
    let server = Server::fixed("200 OK\r\nETag: \"v1\"", b"1234567890");
    let answer = fetcher().get(&server.url("/x"), 10, &[("If-None-Match", "\"v0\"")]).unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"1234567890"[..]));
    assert_eq!(answer.etag.as_deref(), Some("\"v1\""));
    assert!(server.requests.lock().unwrap()[0].contains("if-none-match: \"v0\""));
    let error = fetcher().get(&server.url("/x"), 9, &[]).unwrap_err();
    assert!(error.to_string().ends_with("expected at most 9 bytes, got 10"), "{error}");
}

#[test]
fn a_missing_file_is_an_answer() {
    for status in ["404 Not Found", "403 Forbidden", "304 Not Modified"] {
        let answer = fetcher().get(&Server::fixed(status, b"").url("/x"), 10, &[]).unwrap();
        assert!(status.starts_with(&answer.status.to_string()));
    }
}

#[test]
fn plain_http_to_others_is_refused_before_anything_is_sent() {
    let url = "http://registry.example.com/?token=secret".parse().unwrap();
    let error = fetcher().get(&url, 10, &[]).unwrap_err();
    let text = "refused to ask http://registry.example.com/: plain http is for this machine only";
    assert_eq!(error.to_string(), text);
    assert!(error.unreachable());
}
