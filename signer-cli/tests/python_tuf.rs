//! python-tuf, the reference implementation, reads what `signer` publishes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use support::moto::python;
use support::python_tuf::{CLIENT, there_is_no_python_tuf};
use support::{Desk, NAME};

/// Serves the folder it is started in, on a port that it prints.
const SERVER: &str = r#"
import http.server
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Our own child, by its handle.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(desk: &Desk) -> Self {
        let mut child = Command::new(python())
            .args(["-c", SERVER])
            .current_dir(desk.path("trust/published"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self { child, address: format!("http://127.0.0.1:{}", port.trim()) }
    }
}

/// What python-tuf downloads, or what it says against it.
fn download(desk: &Desk, server: &Server, path: &str) -> Result<Vec<u8>, String> {
    let output = Command::new(python())
        .args(["-c", CLIENT, &server.address, "trust/published/metadata/1.root.json", "state", path])
        .current_dir(desk.dir.path())
        .output()
        .unwrap();
    if output.status.success() {
        return Ok(fs::read(desk.path("state/target")).unwrap());
    }
    Err(String::from_utf8(output.stderr).unwrap())
}

fn manifest(desk: &Desk, content: &str, digest: &str) -> Vec<u8> {
    fs::read(desk.path(content).join("blobs/sha256").join(&digest["sha256:".len()..])).unwrap()
}

/// What one of the newest clients downloads that starts from the first root, and one that has followed
/// everything.
#[track_caller]
fn both(desk: &Desk, server: &Server, path: &str, expected: &[u8]) {
    assert_eq!(download(desk, server, path), Ok(expected.to_vec()), "who followed");
    let state = desk.path("state");
    fs::rename(&state, desk.path("kept")).unwrap();
    assert_eq!(download(desk, server, path), Ok(expected.to_vec()), "who is new");
    fs::remove_dir_all(&state).unwrap();
    fs::rename(desk.path("kept"), state).unwrap();
}

#[test]
fn python_tuf_follows_every_change_of_roles() {
    if there_is_no_python_tuf() {
        return;
    }
    let desk = Desk::with_trust();
    let one = desk.add("one");
    let manifest = manifest(&desk, "one", &one);
    desk.signer(&["publish"]).ok();
    let server = Server::start(&desk);
    both(&desk, &server, NAME, &manifest);
    for role in ["timestamp", "snapshot", "targets", "root"] {
        desk.signer(&["role", "rotate", role, "--unencrypted-keys"]).ok();
        desk.signer(&["publish"]).ok();
        both(&desk, &server, NAME, &manifest);
    }
    desk.signer(&["role", "renew", "root"]).ok();
    desk.signer(&["publish"]).ok();
    both(&desk, &server, NAME, &manifest);

    let other = "registry.example.com/team/app:2";
    desk.signer(&["delegate", "add", "team", "--paths", "registry.example.com/team/*", "--unencrypted-keys"])
        .ok();
    desk.signer(&["add", "oci:one:1.4", "--as", other]).ok();
    desk.signer(&["publish"]).ok();
    both(&desk, &server, other, &manifest);
    desk.signer(&["role", "rotate", "team", "--unencrypted-keys"]).ok();
    desk.signer(&["publish"]).ok();
    both(&desk, &server, other, &manifest);
    desk.signer(&["delegate", "remove", "team"]).ok();
    desk.signer(&["publish"]).ok();
    let said = download(&desk, &server, other).unwrap_err();
    assert!(said.contains("no such target"), "{said}");

    // Into bins, into more of them, and into such as are written out.
    for bins in [&["16", "--succinct", "--unencrypted-keys"][..], &["256", "--succinct"]] {
        desk.signer(&[&["delegate", "bins"], bins].concat()).ok();
        desk.signer(&["publish"]).ok();
        both(&desk, &server, NAME, &manifest);
    }
    desk.signer(&["delegate", "bins", "32", "--prefix", "hashed", "--unencrypted-keys"]).ok();
    desk.signer(&["publish"]).ok();
    both(&desk, &server, NAME, &manifest);
    desk.signer(&["add", "oci:one:1.4", "--as", other]).ok();
    desk.signer(&["publish"]).ok();
    both(&desk, &server, other, &manifest);
}

#[test]
fn python_tuf_refreshes_and_downloads_what_signer_published() {
    if there_is_no_python_tuf() {
        return;
    }
    let desk = Desk::with_trust();
    let one = desk.add("one");
    desk.signer(&["publish"]).ok();
    let server = Server::start(&desk);
    assert_eq!(download(&desk, &server, NAME), Ok(manifest(&desk, "one", &one)));
    let by_digest = format!("registry.example.com/acme/web@{one}");
    assert_eq!(download(&desk, &server, &by_digest), Ok(manifest(&desk, "one", &one)));

    // The same client, later: the tag has moved.
    let two = desk.add("two");
    desk.signer(&["publish"]).ok();
    assert_eq!(download(&desk, &server, NAME), Ok(manifest(&desk, "two", &two)));
    desk.signer(&["publish"]).ok();
    assert_eq!(download(&desk, &server, NAME), Ok(manifest(&desk, "two", &two)));
    desk.signer(&["remove", NAME]).ok();
    desk.signer(&["publish"]).ok();
    let said = download(&desk, &server, NAME).unwrap_err();
    assert!(said.contains("no such target"), "{said}");
}
