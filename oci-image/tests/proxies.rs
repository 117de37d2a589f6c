//! Proxies from the environment: who is asked through one, who never is, and what its word is worth.
//!
//! The environment belongs to a whole process. So each story runs its own test binary once more, as a
//! child with the environment it wants, and compares what that child says it got.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a broken test may panic")]

mod support;

use std::net::TcpListener;
use std::process::Command;

use oci_image::{HttpFetcher, HttpOptions, Registry, RegistryOptions, Selector};
use support::{Server, quick, reply};

/// What the child is told to fetch, which makes it the child.
const FETCH: &str = "HALLMARK_TEST_FETCH";

/// How the child's word begins.
const GOT: &str = "GOT ";

/// The environment of the machine must not decide a test.
const PROXY_VARIABLES: [&str; 9] = [
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
    "NO_PROXY",
    "no_proxy",
    "REQUEST_METHOD",
];

/// In the child: fetches, says what came of it, and is done.
fn is_child() -> bool {
    let Some(url) = std::env::var(FETCH).ok() else { return false };
    println!("\n{GOT}{}", if url.starts_with("http") { file(&url) } else { tag(&url) });
    true
}

fn file(url: &str) -> String {
    let options = HttpOptions { allow_http: true, limits: quick(), ..HttpOptions::default() };
    match HttpFetcher::new(options).get(&url.parse().unwrap(), 100, &[]) {
        Ok(answer) => format!("{} {}", answer.status, String::from_utf8(answer.body).unwrap()),
        Err(error) => format!("unreachable={} {error}", error.unreachable()),
    }
}

fn tag(name: &str) -> String {
    let options = RegistryOptions { allow_http: true, limits: quick(), ..RegistryOptions::default() };
    let registry = Registry::new(&name.parse().unwrap(), options).unwrap();
    match oci_image::ImageSource::manifest(&registry, Selector::Tag("1")) {
        Ok(manifest) => String::from_utf8(manifest.bytes).unwrap(),
        Err(error) => format!("unreachable={} {error}", error.unreachable()),
    }
}

/// Runs the test of this name as a child in this environment, and returns what it got.
fn fetched(test: &str, environment: &[(&str, &str)], url: &str) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    for name in PROXY_VARIABLES {
        child.env_remove(name);
    }
    child.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(FETCH, url);
    let output = child.envs(environment.iter().copied()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let got = said.lines().find_map(|line| line.strip_prefix(GOT));
    got.unwrap_or_else(|| panic!("the child said {said}")).to_owned()
}

fn proxy() -> Server {
    Server::fixed("200 OK", b"by proxy")
}

#[test]
fn http_is_asked_for_in_the_absolute_form() {
    if is_child() {
        return;
    }
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        let proxy = proxy();
        let got = fetched(
            "http_is_asked_for_in_the_absolute_form",
            &[(variable, &format!("http://{}", proxy.host))],
            "http://metadata.example.com/x.json",
        );
        assert_eq!(got, "200 by proxy", "{variable}");
        let requests = proxy.requests.lock().unwrap();
        let [request] = requests.as_slice() else { panic!("{requests:?}") };
        assert!(request.starts_with("get http://metadata.example.com/x.json http/1.1\r\n"), "{request}");
    }
}

#[test]
fn https_goes_through_a_tunnel_and_a_proxy_that_refuses_one_is_could_not_tell() {
    if is_child() {
        return;
    }
    for (variable, status) in [
        ("HTTPS_PROXY", "403 Forbidden"),
        ("https_proxy", "407 Proxy Authentication Required"),
        ("ALL_PROXY", "404 Not Found"),
        ("all_proxy", "418 I'm a teapot"),
    ] {
        let proxy = Server::fixed(status, b"");
        let got = fetched(
            "https_goes_through_a_tunnel_and_a_proxy_that_refuses_one_is_could_not_tell",
            &[(variable, &format!("http://{}", proxy.host))],
            "https://metadata.example.com/x.json",
        );
        let expected = "unreachable=true could not reach https://metadata.example.com/x.json: ";
        assert!(got.starts_with(expected), "{status}: {got}");
        let requests = proxy.requests.lock().unwrap();
        let [request] = requests.as_slice() else { panic!("{requests:?}") };
        assert!(request.starts_with("connect metadata.example.com:443 http/1.1\r\n"), "{request}");
    }
}

#[test]
fn this_machine_is_never_asked_through_a_proxy() {
    if is_child() {
        return;
    }
    let (proxy, server) = (proxy(), Server::fixed("200 OK", b"directly"));
    let address = format!("http://{}", proxy.host);
    let environment = [("HTTP_PROXY", address.as_str()), ("ALL_PROXY", &address)];
    let test = "this_machine_is_never_asked_through_a_proxy";
    assert_eq!(fetched(test, &environment, server.url("/x").as_str()), "200 directly");
    assert_eq!(fetched(test, &environment, &format!("{}/acme/web", server.host)), "directly");
    assert_eq!((proxy.count(), server.count()), (0, 2));
}

#[test]
fn whom_no_proxy_names_is_asked_directly() {
    if is_child() {
        return;
    }
    for variable in ["NO_PROXY", "no_proxy"] {
        let proxy = proxy();
        let address = format!("http://{}", proxy.host);
        // Nothing has this name, so that whoever asks directly finds nobody.
        let ask = |list: &str, url: &str| {
            let environment = [("HTTP_PROXY", address.as_str()), (variable, list)];
            fetched("whom_no_proxy_names_is_asked_directly", &environment, url)
        };
        let url = "http://metadata.invalid/x.json";
        for (list, direct) in [
            ("metadata.invalid", true),
            ("other.invalid, .invalid", true),
            ("*", true),
            ("other.invalid", false),
            ("data.invalid", false),
            ("", false),
        ] {
            let got = ask(list, url);
            let expected = if direct { "unreachable=true could not reach" } else { "200 by proxy" };
            assert!(got.starts_with(expected), "{variable}={list}: {got}");
        }
        assert_eq!(proxy.count(), 3, "{variable}");
    }
}

#[test]
fn what_only_a_proxy_says_is_could_not_tell() {
    if is_child() {
        return;
    }
    let test = "what_only_a_proxy_says_is_could_not_tell";
    for (status, requests) in
        [("407 Proxy Authentication Required", 1), ("502 Bad Gateway", 3), ("511 Log In", 1)]
    {
        let (number, _) = status.split_once(' ').unwrap();
        let proxy = Server::fixed(status, b"");
        let address = format!("http://{}", proxy.host);
        let got = fetched(test, &[("HTTP_PROXY", &address)], "http://metadata.example.com/x.json");
        let expected = format!(
            "unreachable=true could not reach http://metadata.example.com/x.json: HTTP status {number}"
        );
        assert_eq!(got, expected);
        assert_eq!(proxy.count(), requests, "{status}");
        // A registry that isn't reached by https either.
        let environment = [("ALL_PROXY", address.as_str())];
        let got = fetched(test, &environment, "registry.example.com/acme/web");
        assert!(got.starts_with("unreachable=true ") && got.ends_with(number), "{got}");
    }
    // Nothing listens there.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let environment = [("HTTP_PROXY", format!("http://{gone}"))];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    let got = fetched(test, &environment, "http://metadata.example.com/x.json");
    assert!(got.starts_with("unreachable=true could not reach"), "{got}");
}

#[test]
fn a_proxys_password_is_told_to_the_proxy_and_shown_to_nobody() {
    if is_child() {
        return;
    }
    let test = "a_proxys_password_is_told_to_the_proxy_and_shown_to_nobody";
    let proxy = Server::start(|request, stream| {
        match request.contains("proxy-authorization: basic ywxpy2u6cznjcmv0") {
            true => reply(stream, "200 OK", b"by proxy"),
            false => reply(stream, "407 Who", b""),
        }
    });
    let address = format!("http://alice:s3cret@{}", proxy.host);
    let url = "http://metadata.example.com/x.json";
    assert_eq!(fetched(test, &[("HTTP_PROXY", &address)], url), "200 by proxy");
    let refused = Server::fixed("502 Bad Gateway", b"");
    let address = format!("http://alice:s3cret@{}", refused.host);
    let got = fetched(test, &[("ALL_PROXY", &address)], "https://metadata.example.com/x.json");
    assert!(got.starts_with("unreachable=true") && !got.contains("s3cret"), "{got}");
}
