use std::io::{Read, Write};
use std::time::Instant;

use super::*;

/// Sends `request` and reads until the server closes or `limit` bytes came.
fn exchange(server: &Server, request: &str, limit: u64) -> String {
    let mut stream = TcpStream::connect(server.addr()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A time-out ends what never ends.
    let _ = Read::by_ref(&mut stream).take(limit).read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn get(server: &Server, path: &str) -> String {
    exchange(server, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), 1 << 20)
}

fn serving(body: Body) -> Server {
    Server::start(move |_| Response::new(200).body(body.clone())).unwrap()
}

fn echo() -> Server {
    Server::start(|request| Response::ok(request.body.clone())).unwrap()
}

#[test]
fn honest_bytes_come_with_their_length() {
    let answer = get(&serving(Body::Bytes(b"hello".to_vec())), "/");
    assert_eq!(answer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello");
}

#[test]
fn a_head_has_the_length_and_no_body() {
    let request = "HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n";
    let answer = exchange(&serving(Body::Bytes(b"hello".to_vec())), request, 1 << 20);
    assert_eq!(answer, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n");
}

#[test]
fn each_misbehaviour_is_what_its_name_says() {
    let bytes = b"{}".to_vec();
    let table = [
        ("declared", Body::Declared { length: 9, bytes: bytes.clone() }, "Content-Length: 9", "\r\n\r\n{}"),
        ("reset", Body::Reset(bytes.clone()), "Content-Length: 2", "\r\n\r\n{"),
        ("stall", Body::Stall, "Transfer-Encoding: chunked", "\r\n\r\n"),
        ("drip", Body::Drip { bytes, every: Duration::from_secs(60) }, "Content-Length: 2", "\r\n\r\n"),
    ];
    for (name, body, header, end) in table {
        let answer = get(&serving(body), "/");
        assert!(answer.contains(header) && answer.ends_with(end), "{name}: {answer}");
    }
}

#[test]
fn the_endless_body_does_not_end() {
    let answer = exchange(&serving(Body::Endless(b"{}".to_vec())), "GET / HTTP/1.1\r\n\r\n", 1 << 20);
    assert!(answer.contains("\r\n\r\n2\r\n{}\r\n1000\r\n   "));
    assert_eq!(answer.len(), 1 << 20);
}

#[test]
fn a_drip_arrives_whole_in_the_end() {
    let body = Body::Drip { bytes: b"abc".to_vec(), every: Duration::from_millis(5) };
    assert!(get(&serving(body), "/").ends_with("\r\n\r\nabc"));
}

#[test]
fn a_body_may_come_in_chunks_and_after_a_continue() {
    let head = "PUT / HTTP/1.1\r\nConnection: close\r\n";
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n");
    assert!(exchange(&echo(), &chunked, 1 << 20).ends_with("\r\n\r\nabcde"));
    let expecting = format!("{head}Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi");
    let answer = exchange(&echo(), &expecting, 1 << 20);
    assert!(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"), "{answer}");
    assert!(answer.ends_with("hi"));
}

#[test]
fn one_connection_takes_many_requests() {
    let twice = "POST /a HTTP/1.1\r\nContent-Length: 1\r\n\r\n1POST /b HTTP/1.1\r\nConnection: close\r\n\r\n";
    let server = echo();
    assert_eq!(exchange(&server, twice, 1 << 20).matches("200 OK").count(), 2);
    let paths: Vec<_> = server.log().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/a", "/b"]);
}

#[test]
fn the_log_knows_who_sent_credentials() {
    let server = echo();
    get(&server, "/without");
    exchange(&server, "GET /with HTTP/1.1\r\nauthorization: Basic eDp5\r\nConnection: close\r\n\r\n", 999);
    let log = server.log();
    assert_eq!(log.iter().map(|request| request.authorization).collect::<Vec<_>>(), [false, true]);
    assert_eq!(log[1].headers.get("Authorization"), Some("Basic eDp5"));
}

#[test]
fn what_is_no_request_closes_the_connection() {
    let table = [
        ("no words", "hello\r\n\r\n".to_owned()),
        ("no colon", "GET / HTTP/1.1\r\nhost\r\n\r\n".into()),
        ("a length that is no number", "PUT / HTTP/1.1\r\nContent-Length: many\r\n\r\n".into()),
        ("a body beyond the limit", "PUT / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n".into()),
        ("a head beyond the limit", format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000))),
    ];
    for (name, request) in table {
        assert_eq!(exchange(&echo(), &request, 99), "", "{name}");
    }
}

#[test]
fn dropping_the_server_ends_every_connection() {
    let bodies = [
        Body::Stall,
        Body::Endless(Vec::new()),
        Body::Drip { bytes: b"ab".to_vec(), every: Duration::from_secs(60) },
    ];
    for body in bodies {
        let server = serving(body.clone());
        let mut stream = TcpStream::connect(server.addr()).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 8]).unwrap();
        let idle = TcpStream::connect(server.addr()).unwrap();
        let start = Instant::now();
        drop(server);
        assert!(start.elapsed() < Duration::from_secs(5), "{body:?}");
        drop(idle);
    }
}

#[test]
fn a_panicking_handler_costs_its_connection_only() {
    let server = Server::start(|request| {
        assert_ne!(request.path(), "/panic");
        Response::ok("fine")
    })
    .unwrap();
    assert_eq!(get(&server, "/panic"), "");
    assert!(get(&server, "/").ends_with("fine"));
}

#[test]
fn a_folder_serves_its_files_and_nothing_else() {
    let outside = tempfile::tempdir().unwrap();
    let root = outside.path().join("root");
    std::fs::create_dir_all(root.join("a")).unwrap();
    std::fs::write(outside.path().join("secret"), "secret").unwrap();
    std::fs::write(root.join("a/b c%41"), "file").unwrap();
    std::os::unix::fs::symlink("../secret", root.join("link")).unwrap();
    let server = Server::start(folder(&root)).unwrap();
    let table = [
        ("a file, decoded once", "/a/b%20c%2541", "200"),
        ("its query is not part of its name", "/a/b%20c%2541?x=y", "200"),
        ("decoded twice", "/a/b%20cA", "404"),
        ("up", "/../secret", "404"),
        ("up, encoded", "/%2e%2e/secret", "404"),
        ("up, with an encoded slash", "/a%2f..%2f..%2fsecret", "404"),
        ("through a link", "/link", "404"),
        ("a folder", "/a", "404"),
        ("a broken escape", "/%zz", "404"),
        ("a zero byte", "/a%00", "404"),
        ("not there", "/nothing", "404"),
    ];
    for (name, path, status) in table {
        let answer = get(&server, path);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {answer}");
        assert!(!answer.contains("secret"), "{name}: {answer}");
    }
    std::fs::write(root.join("new"), "later").unwrap();
    assert!(get(&server, "/new").ends_with("later"));
}

#[test]
fn query_parameters_are_decoded() {
    let target = "/v2/?digest=sha256%3Aab&scope=a+b&scope=c&n=".into();
    let request = Request { method: "GET".into(), target, headers: Headers::default(), body: Vec::new() };
    assert_eq!(request.path(), "/v2/");
    assert_eq!(request.query("digest").as_deref(), Some("sha256:ab"));
    assert_eq!(request.query_all("scope"), ["a b", "c"]);
    assert_eq!(request.query("n").as_deref(), Some(""));
    assert_eq!(request.query("last"), None);
}
