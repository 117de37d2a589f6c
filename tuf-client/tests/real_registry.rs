//! A trust repository in the registry that everyone runs, put there by skopeo from a layout.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a broken test may panic")]

mod publication;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use publication::Publication;
use test_repos::simulator::{Keyholder, Simulator};
use tuf_client::{Client, ClientError, DirStore, Found, RepoLocation, TransportOptions};
use tuf_core::Instant;
use tuf_core::schema::Target;

/// A registry on a free port, gone when dropped.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(folder: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let storage = folder.join("storage");
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n",
            storage.display(),
        );
        let file = folder.join("config.yml");
        fs::write(&file, config).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(&file).env("OTEL_TRACES_EXPORTER", "none");
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let server = Self { child, port };
        let up = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        assert!(up, "docker-registry does not start");
        server
    }

    fn name(&self) -> String {
        format!("127.0.0.1:{}/acme/tuf-metadata", self.port)
    }

    /// Pushes with skopeo, the tag of the top-level roles last.
    fn fill(&self, publication: &Publication, layout: &Path) {
        publication.write_layout(layout);
        let delegated = publication.manifests.keys().filter(|tag| *tag != "latest");
        for tag in delegated.map(String::as_str).chain(["latest"]) {
            let from = format!("oci:{}:{tag}", layout.display());
            let to = format!("docker://{}:{tag}", self.name());
            let arguments = ["copy", "--quiet", "--preserve-digests", "--dest-tls-verify=false", &from, &to];
            let output = Command::new("skopeo").args(arguments).output().unwrap();
            assert!(output.status.success(), "{tag}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

fn missing() -> Option<&'static str> {
    ["docker-registry", "skopeo"].into_iter().find(|program| {
        let mut command = Command::new(program);
        command.arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err()
    })
}

fn find(client: &Client, path: &str) -> Result<bool, ClientError> {
    let state = client.refresh()?;
    Ok(matches!(state.find(path)?, Found::Target { .. }))
}

#[test]
fn what_skopeo_pushed_into_docker_registry_is_followed() {
    if let Some(program) = missing() {
        eprintln!("SKIPPED: {program} is not installed");
        let forbidden = std::env::var_os("HALLMARK_NO_SKIPS").is_some();
        assert!(!forbidden, "{program} is not installed, and HALLMARK_NO_SKIPS is set");
        return;
    }
    let now = Instant::from_timestamp(1_893_456_000, 0).unwrap();
    let mut repo = Simulator::new(now).unwrap();
    for role in ["acme", "odd/role"] {
        let (pattern, path) = (format!("{role}/*"), format!("{role}/web:1"));
        repo.delegate(role, &Keyholder::named(role), &[&pattern]);
        repo.role_mut(role).set_target(&path, &Target::of(b"first")).unwrap();
    }
    repo.publish().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let (first, second) = (Publication::of(&repo), folder.path().join("second"));
    server.fill(&first, &folder.path().join("first"));

    let at: RepoLocation = format!("oci://{}", server.name()).parse().unwrap();
    let store = Box::new(DirStore::open(folder.path().join("state")).unwrap());
    let root = repo.fetch("1.root.json").unwrap().unwrap();
    let client = Client::new(root, at.transport(&TransportOptions::default()), store, now);
    assert!(find(&client, "acme/web:1").unwrap());
    assert!(find(&client, "odd/role/web:1").unwrap());
    assert!(!find(&client, "acme/web:2").unwrap());

    // Published once more: the tags move, and the client with them.
    repo.role_mut("acme").set_target("acme/web:2", &Target::of(b"second")).unwrap();
    repo.publish().unwrap();
    server.fill(&Publication::of(&repo), &second);
    assert!(find(&client, "acme/web:2").unwrap());

    // The tags are moved back: a replay, and the state stays.
    server.fill(&first, &folder.path().join("first"));
    let refusal = find(&client, "acme/web:2").unwrap_err();
    assert_eq!(refusal.to_string(), "timestamp expected version 3, got 2 (TUF 5.4.3.1)");
    server.fill(&Publication::of(&repo), &second);
    assert!(find(&client, "acme/web:2").unwrap());
}
