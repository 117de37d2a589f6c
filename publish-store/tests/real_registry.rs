//! The registry that everyone runs, docker-registry: what every place must do, by the side of skopeo, which
//! reads what was written. It takes `If-Match` and ignores it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod contract;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use contract::{publish, publish_with, seen};
use oci_image::{Credentials, RegistryOptions};
use publish_store::{Access, OciStore, Place, Store, StoreError, open};
use serde_json::Value;

/// A registry on a free port, gone when dropped.
struct Server {
    child: Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start() -> Option<Self> {
        Self::start_with(&["docker-registry", "skopeo"], |_| String::new())
    }

    /// `more` gets the folder, and returns what else its configuration says of http and of logins.
    fn start_with(programs: &[&str], more: impl Fn(&Path) -> String) -> Option<Self> {
        let there = |program: &str| {
            let found =
                Command::new(program).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status();
            found.is_ok()
        };
        if let Some(missing) = programs.iter().find(|program| !there(program)) {
            assert!(std::env::var_os("HALLMARK_NO_SKIPS").is_none(), "{missing} is not installed");
            eprintln!("SKIPPED: {missing} is not installed");
            return None;
        }
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let storage = dir.path().join("storage");
        let config = dir.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\nhttp:\n  addr: 127.0.0.1:{port}\n{}",
            storage.display(),
            more(dir.path()),
        );
        fs::write(&config, text).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&config).env("OTEL_TRACES_EXPORTER", "none");
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Self { child, port, dir };
        let up = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        assert!(up, "docker-registry does not start");
        Some(server)
    }

    fn store(&self) -> Box<dyn Store> {
        let name = format!("127.0.0.1:{}/acme/tuf", self.port).parse().unwrap();
        let store = OciStore::new(&name, &"latest".parse().unwrap(), RegistryOptions::default()).unwrap();
        Box::new(store.with_settle(Duration::from_millis(500)))
    }

    fn skopeo(&self, arguments: &[&str]) -> String {
        let output = Command::new("skopeo").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn docker_registry_keeps_the_contract() {
    for contract in [
        contract::what_is_put_changes_nothing_before_it_is_led_to as fn(contract::Open<'_>),
        contract::a_version_is_written_once,
        |open| contract::of_many_publishers_one_wins_and_nobodys_files_are_lost(open, 2),
    ] {
        let Some(server) = Server::start() else { return };
        contract(&|| server.store());
    }
}

#[test]
fn skopeo_copies_what_was_published_file_by_file() {
    let Some(server) = Server::start() else { return };
    publish_with(&*server.store(), 1, Some(1)).unwrap();
    publish(&*server.store(), 2).unwrap();
    let image = format!("docker://127.0.0.1:{}/acme/tuf:latest", server.port);
    let layout = server.dir.path().join("layout");
    let target = format!("oci:{}:latest", layout.display());
    server.skopeo(&["copy", "--quiet", "--preserve-digests", "--src-tls-verify=false", &image, &target]);
    let manifest = server.skopeo(&["inspect", "--raw", "--tls-verify=false", &image]);
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    let layers = manifest["layers"].as_array().unwrap();
    let name = |layer: &Value| layer["annotations"]["tuf.io/filename"].as_str().unwrap().to_owned();
    let names: Vec<String> = layers.iter().map(name).collect();
    assert_eq!(names, ["1.root.json", "2.snapshot.json", "2.targets.json", "timestamp.json"]);
    for layer in layers {
        let digest = layer["digest"].as_str().unwrap();
        let bytes = fs::read(layout.join("blobs/sha256").join(&digest[7..])).unwrap();
        match name(layer).as_str() {
            "timestamp.json" => assert_eq!(bytes, server.store().head().unwrap().unwrap().timestamp),
            file => assert_eq!(bytes, server.store().metadata(file, 1000).unwrap().unwrap()),
        }
    }
    assert_eq!(seen(&*server.store()), Some((2, 2)));
}

/// As bins are, of which most list nothing yet.
#[test]
fn many_files_that_are_equal_are_written_at_once() {
    let Some(server) = Server::start() else { return };
    for round in 1..=3_u32 {
        let store = server.store();
        let mut files =
            (0..200).map(|number| (format!("{round}.bins-{number}.json"), format!("{round}").into_bytes()));
        store.put_all_metadata(&mut files, &|_| {}).unwrap();
        let there = server.store().metadata(&format!("{round}.bins-199.json"), 100).unwrap().unwrap();
        assert_eq!(there, format!("{round}").into_bytes());
    }
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A certificate of its own, and one login.
fn private(dir: &Path) -> String {
    let (key, cert) = (dir.join("tls.key"), dir.join("tls.crt"));
    let subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "36500"];
    let files = ["-keyout", key.to_str().unwrap(), "-out", cert.to_str().unwrap()];
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let leaf = ["-addext", "basicConstraints=critical,CA:FALSE"];
    run("openssl", &[&["req", "-x509"][..], &curve, &files, &subject, &leaf].concat());
    let users = dir.join("htpasswd");
    fs::write(&users, run("htpasswd", &["-Bbn", "alice", "s3cret"])).unwrap();
    format!(
        "  tls: {{certificate: {}, key: {}}}\nauth:\n  htpasswd: {{realm: test, path: {}}}\n",
        cert.display(),
        key.display(),
        users.display()
    )
}

#[test]
fn over_tls_with_a_password_and_a_certificate_of_ones_own() {
    let programs = ["docker-registry", "openssl", "htpasswd"];
    let Some(server) = Server::start_with(&programs, private) else { return };
    let place = format!("oci://127.0.0.1:{}/acme/tuf", server.port);
    let with = |place: String, password: &str| {
        let place: Place = place.parse().unwrap();
        let credentials =
            Credentials::password(&format!("127.0.0.1:{}", server.port), "alice", password.to_owned().into());
        let registry = RegistryOptions { credentials, ..RegistryOptions::default() };
        open(&place, &Access { registry, ..Access::default() }).unwrap()
    };
    let trusting = format!("{place}?ca-file={}", server.dir.path().join("tls.crt").display());
    let denied = publish(&*with(trusting.clone(), "wrong"), 1).unwrap_err();
    assert!(matches!(denied, StoreError::Denied { .. }), "{denied}");
    publish_with(&*with(trusting.clone(), "s3cret"), 1, Some(1)).unwrap();
    assert_eq!(seen(&*with(trusting, "s3cret")), Some((1, 1)));
    let unknown = with(place, "s3cret").head().unwrap_err();
    assert!(!unknown.to_string().contains("s3cret"), "{unknown}");
}
