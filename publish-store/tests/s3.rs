//! Real object stores: moto, which holds to conditions; s3rver, which takes and ignores them; s3s-fs, which holds to
//! them only while nobody else writes. And one that is too slow.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::env;
use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use publish_store::{Access, AwsKeys, Place, S3Address, S3Store, S3Times, Store, StoreError, Token, open};

/// A server of our own, stopped by its handle.
struct Server {
    child: Child,
    port: u16,
    data: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn python() -> OsString {
    env::var_os("HALLMARK_PYTHON").unwrap_or_else(|| "python3".into())
}

fn skipped(what: &str) -> Option<Server> {
    assert!(env::var_os("HALLMARK_NO_SKIPS").is_none(), "{what}");
    eprintln!("SKIPPED: {what}");
    None
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn start(mut command: Command, port: u16, data: tempfile::TempDir) -> Server {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut server = Server { child, port, data };
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(began.elapsed() < Duration::from_secs(60), "the server didn't start");
        assert!(server.child.try_wait().unwrap().is_none(), "the server ended");
        thread::sleep(Duration::from_millis(50));
    }
    server
}

/// moto's threads look at a condition first and write then, as nobody should. So they take turns.
const MOTO: &str = r#"
import sys, threading, moto.server as moto
serve, turn = moto.run_simple, threading.Lock()
def in_turn(app):
    def answer(environ, start):
        with turn:
            return list(app(environ, start))
    return answer
moto.run_simple = lambda host, port, app, **more: serve(host, port, in_turn(app), **more)
moto.main(sys.argv[1:])
"#;

/// moto with a bucket `trust`.
fn moto() -> Option<Server> {
    let there = Command::new(python()).args(["-c", "import moto.server"]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        return skipped(
            "python has no moto: install moto[server], and name the interpreter in HALLMARK_PYTHON",
        );
    }
    let port = free_port();
    let mut command = Command::new(python());
    command.args(["-c", MOTO, "-H", "127.0.0.1", "-p", &port.to_string()]);
    let server = start(command, port, tempfile::tempdir().unwrap());
    assert!(request(port, "PUT /trust").starts_with("HTTP/1.1 200"));
    Some(server)
}

/// s3rver with a bucket `trust`; its folder is named in HALLMARK_S3RVER.
fn s3rver() -> Option<Server> {
    let Some(folder) = env::var_os("HALLMARK_S3RVER").map(PathBuf::from) else {
        return skipped("no s3rver: install the npm package s3rver, and name its folder in HALLMARK_S3RVER");
    };
    let data = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut command = Command::new("node");
    command.arg(folder.join("bin/s3rver.js")).args(["--address", "127.0.0.1", "--port", &port.to_string()]);
    command.arg("--directory").arg(data.path()).args(["--configure-bucket", "trust"]);
    Some(start(command, port, data))
}

/// s3s-fs with a bucket `trust`: a folder. HALLMARK_S3S_FS names the program, where it isn't on the PATH.
fn s3s_fs() -> Option<Server> {
    let program = env::var_os("HALLMARK_S3S_FS").unwrap_or_else(|| "s3s-fs".into());
    if !Command::new(&program).arg("--version").output().is_ok_and(|output| output.status.success()) {
        return skipped("no s3s-fs: `cargo install s3s-fs --features binary --locked`");
    }
    let data = tempfile::tempdir().unwrap();
    std::fs::create_dir(data.path().join("trust")).unwrap();
    let port = free_port();
    let mut command = Command::new(program);
    command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--access-key", "S3RVER", "--secret-key", "S3RVER"]).arg(data.path());
    Some(start(command, port, data))
}

fn request(port: u16, line: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let (method, path) = line.split_once(' ').unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\nConnection: close\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=me/20300101/us-east-1/s3/aws4_request, \
         SignedHeaders=host, Signature=00\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn store(server: &Server, region: &str) -> Box<dyn Store> {
    let place: Place =
        format!("s3://trust/repo?endpoint=http://127.0.0.1:{}&region={region}", server.port).parse().unwrap();
    open(&place, &Access { aws: Some(keys()), ..Access::default() }).unwrap()
}

fn keys() -> AwsKeys {
    AwsKeys {
        access_key_id: "S3RVER".into(),
        secret_access_key: "S3RVER".to_owned().into(),
        session_token: None,
        region: None,
    }
}

#[test]
fn what_is_put_is_there_and_only_one_publisher_wins() {
    let Some(server) = moto() else { return };
    keeps_the_contract(&server);
    let listing = request(server.port, "GET /trust?list-type=2&prefix=repo/.hallmark");
    assert!(!listing.contains(".hallmark-probe"), "what was tried is cleared away: {listing}");
}

/// s3s-fs looks first and writes then.
#[test]
fn a_store_whose_conditions_hold_for_one_at_a_time_is_refused() {
    let Some(server) = s3s_fs() else { return };
    let store = store(&server, "us-east-1");
    let refused = store.put_metadata("1.targets.json", b"targets").unwrap_err();
    assert!(matches!(refused, StoreError::Unsafe { .. }), "{refused}");
    assert!(refused.to_string().contains("at the same moment"), "{refused}");
    let left = std::fs::read_dir(server.data.path().join("trust/repo")).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name == "metadata" || name == "targets"), "{left:?}");
}

fn keeps_the_contract(server: &Server) {
    let store_of = || store(server, "us-east-1");
    let one = store_of();
    assert!(one.head().unwrap().is_none());
    assert_eq!(one.metadata("1.root.json", 100).unwrap(), None);
    one.put_metadata("1.targets.json", b"targets").unwrap();
    one.put_metadata("1.targets.json", b"targets").unwrap();
    assert!(matches!(one.put_metadata("1.targets.json", b"others"), Err(StoreError::Taken { .. })));
    assert!(one.has_metadata("1.targets.json").unwrap() && !one.has_metadata("2.targets.json").unwrap());
    one.put_target("r.example.com/acme/0f.web:1", b"image").unwrap();
    assert_eq!(one.target("r.example.com/acme/0f.web:1", 100).unwrap().unwrap(), b"image");
    assert!(matches!(one.metadata("1.targets.json", 3), Err(StoreError::TooLarge { limit: 3, .. })));
    // A role's name stays as it is encoded.
    one.put_metadata("1.a%2Fb.json", b"role").unwrap();
    assert_eq!(one.metadata("1.a%2Fb.json", 100).unwrap().unwrap(), b"role");

    let roots = [("1.root.json".to_owned(), b"root".to_vec())];
    let token = one.advance(None, b"timestamp 1", &roots).unwrap();
    assert_eq!(one.metadata("1.root.json", 100).unwrap().unwrap(), b"root");
    assert!(matches!(store_of().advance(None, b"timestamp 2", &[]), Err(StoreError::Moved)));
    let start = Barrier::new(4);
    let results: Vec<Result<Token, StoreError>> = thread::scope(|scope| {
        let one = |number: u32| {
            let (store, start, token) = (store_of(), &start, &token);
            scope.spawn(move || {
                // Each of them tries first whether the store holds to conditions, all at the same time.
                let put = store.put_metadata(&format!("{number}.snapshot.json"), b"s");
                start.wait();
                put?;
                store.advance(Some(token), format!("timestamp of {number}").as_bytes(), &[])
            })
        };
        let threads: Vec<_> = (0..4).map(one).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let moved = results.iter().filter(|result| matches!(result, Err(StoreError::Moved))).count();
    assert_eq!((moved, results.iter().filter(|result| result.is_ok()).count()), (3, 1), "{results:?}");

    let mut files = (0..100).map(|number| (format!("1.bins-{number}.json"), vec![b'x'; 100]));
    one.put_all_metadata(&mut files, &|_| {}).unwrap();
    assert!(one.has_metadata("1.bins-99.json").unwrap());
}

#[test]
fn readers_are_told_what_each_file_is_and_what_changes() {
    let Some(server) = moto() else { return };
    let store = store(&server, "us-east-1");
    let (json, bytes) = ("application/json", "application/octet-stream");
    let index = "application/vnd.oci.image.index.v1+json";
    let manifest = format!(r#"{{"schemaVersion":2,"mediaType":"{index}","manifests":[]}}"#);
    store.put_metadata("1.targets.json", b"targets").unwrap();
    store.put_target("0f.web:1", manifest.as_bytes()).unwrap();
    store.put_target("1e.web:1", b"bytes").unwrap();
    store.advance(None, b"timestamp", &[("1.root.json".to_owned(), b"root".to_vec())]).unwrap();
    let for_ever = "public, max-age=31536000, immutable";
    for (name, kind, cache) in [
        ("metadata/timestamp.json", json, "no-cache"),
        ("metadata/1.targets.json", json, for_ever),
        ("metadata/1.root.json", json, for_ever),
        ("targets/0f.web:1", index, for_ever),
        ("targets/1e.web:1", bytes, for_ever),
    ] {
        let answer = request(server.port, &format!("GET /trust/repo/{name}")).to_lowercase();
        let header = |name: &str| {
            let value = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            value.unwrap_or_else(|| panic!("no {name} in {answer}"))
        };
        assert_eq!((header("content-type"), header("cache-control")), (kind, cache), "{name}");
    }
}

/// Answers a connection so slowly that nobody waits for the end of it.
fn slow(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // It ends with the test program.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            thread::spawn(move || {
                for byte in answer.bytes().chain(std::iter::repeat(b' ')) {
                    if stream.write_all(&[byte]).is_err() {
                        break;
                    }
                    thread::sleep(Duration::from_millis(20));
                }
            });
        }
    });
    port
}

#[test]
fn a_store_that_is_too_slow_is_given_up() {
    for answer in ["", "HTTP/1.1 200 OK\r\nETag: \"x\"\r\nContent-Length: 9999\r\n\r\n"] {
        let endpoint = format!("http://127.0.0.1:{}", slow(answer)).parse().unwrap();
        let at = S3Address { bucket: "trust", prefix: "repo", endpoint: Some(&endpoint), region: None };
        let times = S3Times { request: Duration::from_millis(500), tries: Duration::from_secs(1) };
        let store = S3Store::new(at, Some(&keys()), times).unwrap();
        let began = Instant::now();
        for error in [
            store.head().map(|_| ()).unwrap_err(),
            store.put_metadata("1.targets.json", b"targets").unwrap_err(),
        ] {
            assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }
}

#[test]
fn a_store_that_ignores_conditions_is_refused_before_anything_is_written() {
    let Some(server) = s3rver() else { return };
    let store = store(&server, "us-east-1");
    let refused = store.put_metadata("1.targets.json", b"targets").unwrap_err();
    assert!(matches!(refused, StoreError::Unsafe { .. }), "{refused}");
    assert!(refused.to_string().contains("If-None-Match"), "{refused}");
    assert!(matches!(store.advance(None, b"timestamp", &[]), Err(StoreError::Unsafe { .. })));
    assert!(store.head().unwrap().is_none());
    assert_eq!(store.metadata("1.targets.json", 100).unwrap(), None);
}

#[test]
fn a_store_that_is_not_there_says_so() {
    let place: Place = format!("s3://trust/repo?endpoint=http://127.0.0.1:{}", free_port()).parse().unwrap();
    let missing = open(&place, &Access::default()).unwrap_err();
    assert!(matches!(missing, StoreError::Denied { .. }), "{missing}");
    let aws = AwsKeys {
        access_key_id: "me".into(),
        secret_access_key: "hush-hush".to_owned().into(),
        session_token: None,
        region: None,
    };
    assert!(!format!("{aws:?}").contains("hush"));
    let store = open(&place, &Access { aws: Some(aws), ..Access::default() }).unwrap();
    let error = store.head().unwrap_err();
    assert!(matches!(error, StoreError::Unreachable { .. }), "{error:?}");
    assert!(!error.to_string().contains("hush"), "{error}");
}
