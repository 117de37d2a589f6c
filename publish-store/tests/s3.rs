//! Real object stores: moto, which holds to conditions, and s3rver, which takes and ignores them.

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

use publish_store::{Access, AwsKeys, Place, Store, StoreError, Token, open};

/// A server of our own, stopped by its handle.
struct Server {
    child: Child,
    port: u16,
    _data: tempfile::TempDir,
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
    let mut server = Server { child, port, _data: data };
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(began.elapsed() < Duration::from_secs(60), "the server didn't start");
        assert!(server.child.try_wait().unwrap().is_none(), "the server ended");
        thread::sleep(Duration::from_millis(50));
    }
    server
}

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
    let main = "import sys; from moto.server import main; main(sys.argv[1:])";
    command.args(["-c", main, "-H", "127.0.0.1", "-p", &port.to_string()]);
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
    let aws = AwsKeys {
        access_key_id: "S3RVER".into(),
        secret_access_key: "S3RVER".to_owned().into(),
        session_token: None,
        region: None,
    };
    open(&place, &Access { aws: Some(aws), ..Access::default() }).unwrap()
}

#[test]
fn what_is_put_is_there_and_only_one_publisher_wins() {
    let Some(server) = moto() else { return };
    let store_of = || store(&server, "us-east-1");
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
    let listing = request(server.port, "GET /trust?list-type=2&prefix=repo/.hallmark");
    assert!(!listing.contains(".hallmark-probe"), "what was tried is cleared away: {listing}");
}

#[test]
fn caches_are_told_what_changes() {
    let Some(server) = moto() else { return };
    let store = store(&server, "us-east-1");
    store.put_metadata("1.targets.json", b"targets").unwrap();
    store.advance(None, b"timestamp", &[]).unwrap();
    let header = |name: &str| {
        let answer = request(server.port, &format!("GET /trust/repo/metadata/{name}")).to_lowercase();
        let line = answer.lines().find(|line| line.starts_with("cache-control:")).map(str::to_owned);
        line.unwrap_or_else(|| panic!("no Cache-Control in {answer}"))
    };
    assert_eq!(header("timestamp.json"), "cache-control: no-cache");
    assert!(header("1.targets.json").ends_with("immutable"));
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
