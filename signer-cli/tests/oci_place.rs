//! Publishing into a registry: our own client reads it there, and python-tuf does, by the rules of
//! docker/attest's reader. Two publishers at once, and a registry that vanishes half way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../publish-store/tests/proxy/mod.rs"]
mod proxy;
mod support;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use proxy::Proxy;
use support::{Desk, NAME, Said, copy};
use test_repos::registry::{Access, Credentials, Registry};
use tuf_client::{Client, DirStore, Found, RepoLocation, TransportOptions};

/// What a new client finds there under a name.
#[track_caller]
fn find(desk: &Desk, place: &str, name: &str) -> Option<String> {
    let location: RepoLocation = place.parse().unwrap();
    let state = tempfile::tempdir().unwrap();
    let client = Client::new(
        fs::read(desk.path("trust/root.json")).unwrap(),
        location.transport(&TransportOptions::default()),
        Box::new(DirStore::open(state.path().join("state")).unwrap()),
        chrono::Utc::now,
    );
    let Found::Target { target, .. } = client.refresh().unwrap().find(name).unwrap() else { return None };
    Some(format!("sha256:{}", target.hashes["sha256"]))
}

/// A home that shares the keys with the first one, and publishes to the same place.
fn colleague(first: &Desk) -> Desk {
    let desk = Desk::new();
    copy(&first.path("trust"), &desk.path("trust"));
    fs::remove_dir_all(desk.path("trust/published")).unwrap();
    desk
}

fn publish_to(desk: &Desk, place: &str) {
    let config = desk.path("trust/signer.toml");
    let text = fs::read_to_string(&config).unwrap();
    let rest: String =
        text.lines().filter(|line| !line.starts_with("publish-to")).map(|line| format!("{line}\n")).collect();
    fs::write(&config, format!("publish-to = \"{place}\"\n{rest}")).unwrap();
}

#[test]
fn what_is_published_into_a_registry_is_what_clients_find_there() {
    let registry = Registry::start().unwrap();
    let place = format!("oci://{}/acme/tuf", registry.host());
    let desk = Desk::published();
    let first = find(&desk, &desk.path("trust/published").display().to_string(), NAME);
    let said = desk.signer(&["publish", "--to", &place]).ok();
    assert!(
        said.stderr.contains(&format!("carried what was published over to {place}:latest")),
        "{}",
        said.stderr
    );
    assert_eq!(find(&desk, &place, NAME), first);
    publish_to(&desk, &place);
    // Roles whose names are tags, aren't, and would be too long.
    let long = "x".repeat(200);
    for (role, folder) in [("acme", "a"), ("npm.example", "b"), ("odd/role", "c"), (long.as_str(), "d")] {
        let paths = format!("registry.example.com/{folder}/*");
        desk.signer(&["delegate", "add", role, "--paths", &paths, "--unencrypted-keys"]).ok();
        desk.signer(&["publish"]).ok();
        let name = format!("registry.example.com/{folder}/web:1");
        for content in ["one", "two"] {
            let digest = desk.image(content);
            desk.signer(&["add", &format!("oci:{content}:1.4"), "--as", &name]).ok();
            desk.signer(&["publish"]).ok();
            assert_eq!(find(&desk, &place, &name), Some(digest), "{role}");
        }
    }
    desk.signer(&["role", "rotate", "root", "--unencrypted-keys"]).ok();
    desk.signer(&["publish"]).ok();
    desk.signer(&["refresh", "--within", "400d"]).ok();
    assert_eq!(find(&desk, &place, NAME), first);
    let said = desk.signer(&["status"]).ok();
    assert!(
        said.stdout.starts_with(&format!("published in {place}:latest\n  root         2 ")),
        "{}",
        said.stdout
    );
}

#[test]
fn what_two_publish_at_the_same_moment_is_there_afterwards() {
    let registry = Registry::start().unwrap();
    let place = format!("oci://{}/acme/tuf:next", registry.host());
    let alice = Desk::published();
    alice.signer(&["publish", "--to", &place]).ok();
    let bob = colleague(&alice);
    for round in 0..2 {
        let names = ["alice", "bob"].map(|name| format!("registry.example.com/acme/{name}:{round}"));
        for (desk, name) in [&alice, &bob].iter().zip(&names) {
            desk.image("one");
            desk.signer(&["add", "oci:one:1.4", "--as", name, "--to", &place]).ok();
        }
        let children = [&alice, &bob].map(|desk| desk.start(&["publish", "--to", &place]));
        for child in children {
            Said::of(&child.wait_with_output().unwrap()).ok();
        }
        for name in &names {
            assert!(find(&alice, &place, name).is_some(), "{name} is lost");
        }
    }
}

/// What no registry can rule out: somebody's write was under way for too long.
#[test]
fn who_was_overtaken_is_told_and_goes_on_from_what_is_there() {
    let registry = Registry::start().unwrap();
    let place = format!("oci://{}/acme/tuf", registry.host());
    let alice = Desk::published();
    alice.signer(&["publish", "--to", &place]).ok();
    let bob = colleague(&alice);
    let (kind, before) = registry.manifest("acme/tuf", "latest").unwrap();
    let names = ["alice", "bob"].map(|name| format!("registry.example.com/acme/{name}:1"));
    for (desk, name) in [&alice, &bob].iter().zip(&names) {
        registry.put_manifest("acme/tuf", "latest", &kind, &before);
        desk.image("one");
        desk.signer(&["add", "oci:one:1.4", "--as", name, "--to", &place]).ok();
        desk.signer(&["publish", "--to", &place]).ok();
    }
    let said = alice.signer(&["publish", "--to", &place]).ok();
    assert!(said.stderr.contains("another publisher wrote over it"), "{}", said.stderr);
    assert!(find(&alice, &place, &names[1]).is_some(), "what is there stays");
    assert!(find(&alice, &place, &names[0]).is_none(), "hers is what is missing");
    let said = alice.signer(&["status", "--to", &place]).ok();
    assert_eq!(said.stderr, "", "it is told until the next publish");
}

/// Publishes, and is killed at the n-th write. `None` where there were fewer.
fn killed(desk: &Desk, proxy: &Proxy, place: &str, at: u32) -> Option<Said> {
    proxy.hold_at(at);
    let mut child = desk.start(&["publish", "--to", place]);
    while !proxy.is_holding() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    let said = Said::of(&child.wait_with_output().unwrap());
    if proxy.let_go() { None } else { Some(said) }
}

/// Publishes, and the connection breaks when the n-th write was done. `None` where there were fewer.
fn cut_off(desk: &Desk, proxy: &Proxy, place: &str, at: u32) -> Option<Said> {
    proxy.break_at(at, true);
    let said = desk.signer(&["publish", "--to", place]);
    if proxy.mend() { None } else { Some(said) }
}

#[test]
fn a_publish_that_is_killed_or_cut_off_at_any_write_is_made_good_by_the_next() {
    let registry = Registry::start().unwrap();
    let proxy = Proxy::start(&registry.host());
    let desk = Desk::published();
    let (through, straight) =
        (format!("oci://{}/acme/tuf", proxy.host()), format!("oci://{}/acme/tuf", registry.host()));
    let to = ["--to", &straight];
    desk.signer(&[&["publish"], &to[..]].concat()).ok();
    let paths = ["delegate", "add", "acme", "--paths", "registry.example.com/a/*", "--unencrypted-keys"];
    desk.signer(&[&paths[..], &to].concat()).ok();
    desk.signer(&[&["publish"], &to[..]].concat()).ok();
    let name = "registry.example.com/a/web:1";
    let mut last = None;
    // Every third, from the first file to the tag that clients begin with; the store's own tests try all.
    for at in (1..).step_by(3) {
        let content = format!("image-{at}");
        let next = desk.image(&content);
        desk.signer(&[&["add", &format!("oci:{content}:1.4"), "--as", name], &to[..]].concat()).ok();
        let stopped = match at % 2 {
            0 => cut_off(&desk, &proxy, &through, at),
            _ => killed(&desk, &proxy, &through, at),
        };
        let there = find(&desk, &straight, name);
        let Some(said) = stopped else {
            assert!(at > 10, "{at}");
            assert_eq!(there, Some(next));
            return;
        };
        match said.code {
            0 => assert_eq!(there.as_ref(), Some(&next), "write {at}: it found out that it was done"),
            -1 => assert_eq!(there, last, "write {at}: killed before it"),
            _ => {
                said.failed(3, &["can't be used", "could not reach"]);
                assert_eq!(there, last, "write {at}");
            }
        }
        desk.signer(&[&["publish"], &to[..]].concat()).ok();
        assert_eq!(find(&desk, &straight, name).as_ref(), Some(&next), "write {at}, and a publish");
        last = Some(next);
    }
}

#[test]
fn logins_come_from_dockers_places_and_their_lack_is_told() {
    let login = Credentials { user: "ann".into(), password: "secret".into() };
    let registry = Registry::start_with(Access::BearerOpenToRead(login)).unwrap();
    let place = format!("oci://{}/acme/tuf", registry.host());
    let desk = Desk::published();
    desk.signer(&["publish", "--to", &place])
        .failed(3, &["can't be used", "denied access", "hint: log in with docker or podman"]);
    let config = format!(r#"{{"auths":{{"{}":{{"auth":"YW5uOnNlY3JldA=="}}}}}}"#, registry.host());
    fs::create_dir(desk.path("docker")).unwrap();
    fs::write(desk.path("docker/config.json"), config).unwrap();
    let output = desk.command(&["publish", "--to", &place]).env("DOCKER_CONFIG", "docker").output().unwrap();
    Said::of(&output).ok();
    assert!(find(&desk, &place, NAME).is_some());
    desk.signer(&["status", "--to", "oci://me:hush@r.example.com/x"])
        .failed(2, &["logins don't belong in an address"]);
}

/// python-tuf with the rules of docker/attest's reader as its fetcher: argv is registry, repository, root,
/// state folder, target path, and where the target is written.
const READER: &str = r#"
import json, os, sys, urllib.error, urllib.request
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

registry, repository, root, state, path, output = sys.argv[1:]
KINDS = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json"

def get(repo, rest):
    request = urllib.request.Request(f"http://{registry}/v2/{repo}/{rest}", headers={"Accept": KINDS})
    try:
        return urllib.request.urlopen(request).read()
    except urllib.error.HTTPError as error:
        raise DownloadHTTPError(str(error), error.code)

def layer(repo, manifest, name, kind):
    assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert manifest["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    assert "artifactType" not in manifest
    for found in manifest["layers"]:
        assert found["mediaType"] == kind, found
        if found["annotations"]["tuf.io/filename"] == name:
            return get(repo, "blobs/" + found["digest"])
    raise DownloadHTTPError("no such file", 404)

class Reader(FetcherInterface):
    def _fetch(self, url):
        kind, name = url.split("//", 1)
        if kind == "metadata:":
            role = name.split(".")[-2]
            top = role in ("root", "snapshot", "targets", "timestamp")
            manifest = json.loads(get(repository, "manifests/" + ("latest" if top else role)))
            return iter([layer(repository, manifest, name, "application/vnd.tuf.metadata+json")])
        targets = repository + "-targets"
        tag, file = (name.split("/", 1)[0], name.rsplit("/", 1)[1]) if "/" in name else (name, name)
        manifest = json.loads(get(targets, "manifests/" + tag))
        if "/" in name:
            entries = [e for e in manifest["manifests"] if e["annotations"]["tuf.io/filename"] == name]
            manifest = json.loads(get(targets, "manifests/" + entries[0]["digest"]))
        return iter([layer(targets, manifest, file, "application/vnd.tuf.target")])

os.makedirs(state, exist_ok=True)
updater = Updater(
    metadata_dir=state, metadata_base_url="metadata://", target_dir=state, target_base_url="targets://",
    fetcher=Reader(), bootstrap=open(root, "rb").read(),
)
updater.refresh()
info = updater.get_targetinfo(path)
if info is None:
    sys.exit("no such target")
updater.download_target(info, output)
"#;

/// docker-registry on a free port, gone when dropped.
struct Server {
    child: Child,
    host: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn docker_registry(desk: &Desk) -> Server {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (storage, config) = (desk.path("storage"), desk.path("registry.yml"));
    let text = format!(
        "version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n\
         storage:\n  filesystem: {{rootdirectory: {}}}\n",
        storage.display()
    );
    fs::write(&config, text).unwrap();
    let mut command = Command::new("docker-registry");
    command.arg("serve").arg(config).env("OTEL_TRACES_EXPORTER", "none");
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let server = Server { child, host: format!("127.0.0.1:{port}") };
    let up = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    assert!(up, "docker-registry does not start");
    server
}

fn python() -> OsString {
    env::var_os("HALLMARK_PYTHON").unwrap_or_else(|| "python3".into())
}

fn is_missing() -> bool {
    let runs = |program: OsString, arguments: &[&str]| {
        Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
    };
    let why = if !runs(python(), &["-c", "import tuf.ngclient"]) {
        "python has no tuf: install the packages tuf and securesystemslib[crypto], and name the interpreter in \
         HALLMARK_PYTHON"
    } else if !runs("docker-registry".into(), &["--help"]) {
        "docker-registry is not installed"
    } else {
        return false;
    };
    assert!(env::var_os("HALLMARK_NO_SKIPS").is_none(), "{why}");
    eprintln!("SKIPPED: {why}");
    true
}

#[test]
fn python_tuf_reads_docker_registry_by_the_rules_of_docker_attest() {
    if is_missing() {
        return;
    }
    let desk = Desk::published();
    let server = docker_registry(&desk);
    let download = |name: &str| {
        let mut command = Command::new(python());
        command.args(["-c", READER, &server.host, "acme/tuf", "trust/root.json", "state", name, "target"]);
        let output = command.current_dir(desk.dir.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fs::read(desk.path("target")).unwrap()
    };
    let place = format!("oci://{}/acme/tuf", server.host);
    desk.signer(&["publish", "--to", &place]).ok();
    publish_to(&desk, &place);
    let manifest = |content: &str, digest: &str| {
        fs::read(desk.path(content).join("blobs/sha256").join(&digest["sha256:".len()..])).unwrap()
    };
    let one = desk.image("one");
    assert_eq!(download(NAME), manifest("one", &one));
    desk.signer(&["delegate", "add", "acme", "--paths", "registry.example.com/a/*", "--unencrypted-keys"])
        .ok();
    desk.signer(&["publish"]).ok();
    for content in ["two", "three"] {
        let digest = desk.image(content);
        let name = "registry.example.com/a/web:1";
        desk.signer(&["add", &format!("oci:{content}:1.4"), "--as", name]).ok();
        desk.signer(&["publish"]).ok();
        assert_eq!(download(name), manifest(content, &digest));
    }
    desk.signer(&["role", "rotate", "root", "--unencrypted-keys"]).ok();
    desk.signer(&["publish"]).ok();
    assert_eq!(download(NAME), manifest("one", &one));
}
