//! What is published, served by the real nginx with the files of `docs/examples`, as they are but for ports and folders.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use oci_image::{HttpFetcher, HttpOptions};
use support::moto::python;
use support::python_tuf::{CLIENT, there_is_no_python_tuf};
use support::{Desk, NAME};
use tempfile::TempDir;
use tuf_client::{Client, DirStore, Found, HttpTransport};
use tuf_core::hash::sha256_hex;

fn example(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples").join(name)).unwrap()
}

/// nginx with the server and the proxy, ended by its number.
struct Nginx {
    child: Child,
    server: u16,
    proxy: u16,
    _dir: TempDir,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // A signal, so that it ends its workers too.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A program that Debian has where no user's PATH leads.
fn nginx() -> Option<&'static str> {
    let found = ["nginx", "/usr/sbin/nginx"].into_iter().find(|program| {
        let version = Command::new(program).arg("-v").stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    });
    if found.is_none() {
        assert!(std::env::var_os("HALLMARK_NO_SKIPS").is_none(), "no nginx");
        eprintln!("SKIPPED: no nginx: `apt-get install nginx-light`");
    }
    found
}

/// Puts something in the place of something that must be there.
fn replaced(text: &str, changes: &[(&str, String)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from} isn't in {text}");
        text.replace(from, to)
    })
}

impl Nginx {
    /// Serves what a desk publishes. `stubborn`: the proxy keeps everything, whatever it is told.
    fn start(desk: &Desk, stubborn: bool) -> Option<Self> {
        let program = nginx()?;
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let (server, proxy) = (free_port(), free_port());
        let listen = |port: u16| format!("listen 127.0.0.1:{port};");
        let served = replaced(
            &example("nginx.conf"),
            &[
                ("listen 8080;", listen(server)),
                ("/srv/trust", desk.path("trust/published").display().to_string()),
            ],
        );
        let mut cached = replaced(
            &example("nginx-cache.conf"),
            &[
                ("listen 8081;", listen(proxy)),
                ("/var/cache/nginx/trust", at("cache")),
                ("127.0.0.1:8080", format!("127.0.0.1:{server}")),
            ],
        );
        if stubborn {
            let keeps = "proxy_cache trust; proxy_ignore_headers Cache-Control; proxy_cache_valid any 1h;";
            cached = replaced(&cached, &[("proxy_cache trust;", keeps.to_owned())]);
        }
        fs::write(dir.path().join("server.conf"), served).unwrap();
        fs::write(dir.path().join("cache.conf"), cached).unwrap();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {};", at(kind)))
            .join(" ");
        let main = format!(
            "daemon off; user root root; worker_processes 1; pid {}; error_log {}; events {{}}\n\
             http {{ access_log off; {temporary} include {}; include {}; }}\n",
            at("pid"),
            at("error.log"),
            at("server.conf"),
            at("cache.conf"),
        );
        fs::write(dir.path().join("main.conf"), main).unwrap();
        let mut command = Command::new(program);
        command.args(["-p", &at("."), "-e", &at("error.log"), "-c", &at("main.conf")]);
        let child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let nginx = Self { child, server, proxy, _dir: dir };
        let began = Instant::now();
        for port in [server, proxy] {
            while TcpStream::connect(("127.0.0.1", port)).is_err() {
                let log = fs::read_to_string(nginx._dir.path().join("error.log")).unwrap_or_default();
                assert!(began.elapsed() < Duration::from_secs(30), "nginx didn't start: {log}");
                sleep(Duration::from_millis(20));
            }
        }
        Some(nginx)
    }
}

/// The status of an answer, and its headers in lower case.
fn get(port: u16, path: &str) -> (u16, BTreeMap<String, String>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let text = String::from_utf8_lossy(&answer);
    let mut lines = text.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(": "));
    (status, headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect())
}

/// A client with a state of its own, that comes again from here or there.
struct User {
    state: TempDir,
    root: Vec<u8>,
}

impl User {
    fn of(desk: &Desk) -> Self {
        let root = fs::read(desk.path("trust/published/metadata/1.root.json")).unwrap();
        Self { state: tempfile::tempdir().unwrap(), root }
    }

    /// What [`NAME`] means to them, in so many days, or why they are refused.
    fn ask(&self, port: u16, days: i64) -> Result<String, String> {
        let base = format!("http://127.0.0.1:{port}/metadata/").parse().unwrap();
        let transport = HttpTransport::new(&base, HttpFetcher::new(HttpOptions::default()));
        let store = DirStore::open(self.state.path().join("state")).unwrap();
        let now = Utc::now().checked_add_signed(TimeDelta::days(days)).unwrap();
        let client = Client::new(self.root.clone(), Arc::new(transport), Box::new(store), now);
        let state = client.refresh().map_err(|error| error.to_string())?;
        match state.find(NAME).map_err(|error| error.to_string())? {
            Found::Target { target, .. } => Ok(format!("sha256:{}", target.hashes["sha256"])),
            _ => Err("no such name".to_owned()),
        }
    }
}

const FOR_EVER: &str = "public, max-age=31536000, immutable";

#[test]
fn the_manual_shows_the_files_as_they_are() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/publishing-anywhere.md");
    let manual = fs::read_to_string(manual).unwrap();
    for name in ["nginx.conf", "nginx-cache.conf"] {
        assert!(manual.contains(&format!("```\n{}```", example(name))), "{name}");
    }
}

#[test]
fn what_nginx_serves_is_verified_and_cached_as_it_may_be() {
    let desk = Desk::published();
    let Some(nginx) = Nginx::start(&desk, false) else { return };
    let (near, far, new) = (User::of(&desk), User::of(&desk), || User::of(&desk));
    let one = near.ask(nginx.proxy, 0).unwrap();
    assert_eq!(far.ask(nginx.server, 0), Ok(one.clone()));

    let target = fs::read_dir(desk.path("trust/published/targets/registry.example.com/acme")).unwrap().next();
    let target = target.unwrap().unwrap().file_name().into_string().unwrap();
    let target = format!("/targets/registry.example.com/acme/{target}");
    for (path, kind, cache) in [
        ("/metadata/timestamp.json", "application/json", "no-cache"),
        ("/metadata/2.targets.json", "application/json", FOR_EVER),
        ("/metadata/1.root.json", "application/json", FOR_EVER),
        (&target, "application/octet-stream", FOR_EVER),
    ] {
        for port in [nginx.server, nginx.proxy] {
            let (status, headers) = get(port, path);
            let said = (status, headers["content-type"].as_str(), headers["cache-control"].as_str());
            assert_eq!(said, (200, kind, cache), "{path} of {port}");
        }
        let again = get(nginx.proxy, path).1;
        assert_eq!(again["x-cache"], if cache == FOR_EVER { "HIT" } else { "MISS" }, "{path}");
    }
    for path in ["/metadata/2.root.json", "/.lock", "/metadata/.signer-unfinished-x", "/targets/"] {
        fs::write(desk.path("trust/published/metadata/.signer-unfinished-x"), "half").unwrap();
        for port in [nginx.server, nginx.proxy] {
            let (status, headers) = get(port, path);
            assert!(matches!(status, 403 | 404), "{path}: {status}");
            assert_eq!(headers.get("cache-control"), None, "{path}");
        }
    }

    if !there_is_no_python_tuf() {
        let address = format!("http://127.0.0.1:{}", nginx.proxy);
        let mut client = Command::new(python());
        client.args(["-c", CLIENT, &address, "trust/root.json", "state", NAME]).current_dir(desk.dir.path());
        let done = client.output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(format!("sha256:{}", sha256_hex(&fs::read(desk.path("state/target")).unwrap())), one);
    }

    // A publish and a rotation are seen at once, by whoever comes from wherever.
    let two = desk.add("two");
    desk.signer(&["publish"]).ok();
    for user in [&near, &far, &new()] {
        for port in [nginx.proxy, nginx.server, nginx.proxy] {
            assert_eq!(user.ask(port, 0), Ok(two.clone()));
        }
    }
    for role in ["timestamp", "root"] {
        desk.signer(&["role", "rotate", role, "--unencrypted-keys"]).ok();
        desk.signer(&["publish"]).ok();
        desk.signer(&["publish"]).ok();
        for user in [&near, &far, &new()] {
            assert_eq!(user.ask(nginx.proxy, 0), Ok(two.clone()), "{role}");
        }
    }
    assert_eq!(get(nginx.proxy, "/metadata/2.root.json").0, 200, "that it was missing isn't kept");
}

/// One that keeps what it was told not to.
#[test]
fn a_stale_cache_holds_its_users_back_until_the_timestamp_expires_and_no_longer() {
    let desk = Desk::published();
    let Some(nginx) = Nginx::start(&desk, true) else { return };
    let (old, new, traveller) = (User::of(&desk), User::of(&desk), User::of(&desk));
    let one = old.ask(nginx.proxy, 0).unwrap();
    desk.signer(&["role", "rotate", "timestamp", "--unencrypted-keys"]).ok();
    let two = desk.add("two");
    desk.signer(&["publish"]).ok();

    assert_eq!(get(nginx.proxy, "/metadata/timestamp.json").1["x-cache"], "HIT");
    for user in [&old, &new] {
        assert_eq!(user.ask(nginx.proxy, 0), Ok(one.clone()), "the old state, whole");
        assert_eq!(user.ask(nginx.proxy, 6), Ok(one.clone()), "for as long as it holds");
        let refused = user.ask(nginx.proxy, 8).unwrap_err();
        assert!(refused.contains("timestamp expired"), "{refused}");
        assert_eq!(user.ask(nginx.server, 0), Ok(two.clone()), "and what is new once they are elsewhere");
    }
    // Whoever has seen the new state isn't taken back to the old one.
    assert_eq!(traveller.ask(nginx.server, 0), Ok(two.clone()));
    let refused = traveller.ask(nginx.proxy, 0).unwrap_err();
    assert!(refused.starts_with("timestamp "), "{refused}");
    assert_eq!(traveller.ask(nginx.server, 0), Ok(two));
}
