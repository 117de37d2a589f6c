//! What keeps a repository alive: status, diff, refresh, serve.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;
use signer_cli::report;
use signer_cli::reports::diff::Diff;
use signer_cli::reports::refresh::Refresh;
use support::{Desk, NAME};
use test_repos::tree::Tree;

/// Lets a role's statements hold only for this long.
fn holds_for(desk: &Desk, role: &str, span: &str) {
    let path = desk.path("trust/signer.toml");
    let text = fs::read_to_string(&path).unwrap();
    let line = format!("{role} = \"{span}\"\n");
    let text = match text.contains("\n[expiry]\n") {
        true => text.replace("\n[expiry]\n", &format!("\n[expiry]\n{line}")),
        false => format!("{text}\n[expiry]\n{line}"),
    };
    fs::write(path, text).unwrap();
}

#[test]
fn status_says_who_must_sign_what_by_when() {
    let desk = Desk::published();
    let said = desk.signer(&["status"]).ok();
    for words in [
        "who must sign what by when",
        "1 of 1 keys must sign; here ",
        "`signer refresh` renews it when it is due",
    ] {
        assert!(said.stdout.contains(words), "{}", said.stdout);
    }
    desk.signer(&["status", "--check"]).ok();
    assert_eq!(
        desk.signer(&["status", "--check", "--within", "30d"]).code,
        1,
        "the timestamp holds for seven days"
    );
    assert_eq!(desk.signer(&["status", "--within", "30d"]).code, 0, "without --check it is only said");
    fs::remove_file(desk.path("trust/keys/root.pem")).unwrap();
    fs::remove_file(desk.path("trust/keys/root.pub")).unwrap();
    let said = desk.signer(&["status", "--format", "json"]).ok();
    let status: report::Status = serde_json::from_str(&said.stdout).unwrap();
    let root = status.duties.iter().find(|duty| duty.role == "root").unwrap();
    assert!(!root.can_sign && root.keys_here.is_empty() && root.keys_away.len() == 1, "{root:?}");
    assert!(root.action.contains("signer ceremony propose"), "{root:?}");
    desk.signer(&["status", "--within", "soon"]).failed(2, &["expected a time such as 7d"]);
}

#[test]
fn a_bin_that_is_due_is_told_to_who_checks() {
    let desk = Desk::published();
    holds_for(&desk, "delegated", "20d");
    desk.signer(&["delegate", "bins", "4", "--succinct", "--unencrypted-keys"]).ok();
    desk.signer(&["publish"]).ok();
    holds_for(&desk, "timestamp", "60d");
    holds_for(&desk, "snapshot", "60d");
    desk.signer(&["publish"]).ok();
    desk.signer(&["refresh", "--within", "8d"]).ok();
    desk.signer(&["status", "--check", "--within", "8d"]).ok();
    let said = desk.signer(&["status", "--check", "--within", "21d"]);
    assert_eq!(said.code, 1, "{}", said.stdout);
    assert!(said.stdout.contains("bins-"), "{}", said.stdout);
    desk.signer(&["refresh", "--within", "21d"]).ok();
}

#[test]
fn a_difference_is_shown_before_it_is_signed() {
    let desk = Desk::published();
    let before = Tree::of(desk.path("trust/published")).unwrap();
    let old = desk.trusted(NAME).unwrap();
    let new = desk.add("two");
    let said = desk.signer(&["diff"]).ok();
    assert!(said.stdout.contains(&format!("{NAME}  {old} -> {new}")), "{}", said.stdout);
    let shown: Diff = serde_json::from_str(&desk.signer(&["diff", "--format", "json"]).ok().stdout).unwrap();
    let dry: Diff =
        serde_json::from_str(&desk.signer(&["publish", "--dry-run", "--format", "json"]).ok().stdout)
            .unwrap();
    let roles =
        |diff: &Diff| diff.roles.iter().map(|role| (role.role.clone(), role.new_version)).collect::<Vec<_>>();
    assert_eq!(roles(&shown), roles(&dry));
    assert!(dry.signed && !shown.signed);
    before.assert_unchanged();
    assert_eq!(
        desk.signer(&["status", "--format", "json"]).ok().json()["staged"].as_array().unwrap().len(),
        2
    );
    // A dry run refuses what a publish would.
    fs::remove_file(desk.path("trust/keys/targets.pem")).unwrap();
    desk.signer(&["publish", "--dry-run"]).failed(1, &["targets can't be signed"]);
    before.assert_unchanged();
}

#[test]
fn refresh_renews_what_is_due_and_leaves_what_is_staged() {
    let desk = Desk::published();
    let before = Tree::of(desk.path("trust/published")).unwrap();
    desk.add("two");
    assert!(desk.signer(&["refresh"]).ok().stdout.starts_with("nothing to renew"), "nothing is due");
    desk.signer(&["refresh", "--within", "30d", "--dry-run"]).ok();
    before.assert_unchanged();
    let old = desk.trusted(NAME);
    let said = desk.signer(&["refresh", "--within", "30d", "--format", "json"]).ok();
    let refresh: Refresh = serde_json::from_str(&said.stdout).unwrap();
    let roles: Vec<&str> = refresh.signed.iter().map(|signed| signed.role.as_str()).collect();
    assert_eq!(roles, ["snapshot", "timestamp"]);
    assert_eq!(desk.trusted(NAME), old, "what is staged is not published");
    assert_eq!(
        desk.signer(&["status", "--format", "json"]).ok().json()["staged"].as_array().unwrap().len(),
        2
    );
}

#[test]
fn refresh_does_what_its_keys_go_for() {
    let desk = Desk::published();
    desk.signer(&["delegate", "add", "team", "--paths", "a/*", "--unencrypted-keys"]).ok();
    desk.signer(&["publish"]).ok();
    for name in ["team.pem", "targets.pem"] {
        fs::remove_file(desk.path("trust/keys").join(name)).unwrap();
    }
    let said = desk.signer(&["refresh", "--within", "100d", "--format", "json"]).ok();
    let refresh: Refresh = serde_json::from_str(&said.stdout).unwrap();
    let left: Vec<&str> = refresh.left.iter().map(|left| left.role.as_str()).collect();
    assert!(left.contains(&"targets") && left.contains(&"team"), "{left:?}");
    assert_eq!(refresh.signed.len(), 2);
    fs::remove_file(desk.path("trust/keys/timestamp.pem")).unwrap();
    desk.signer(&["refresh", "--within", "100d"])
        .failed(1, &["the timestamp is due, and its keys aren't here"]);
}

#[test]
fn refresh_renews_bins_too() {
    let desk = Desk::published();
    desk.signer(&["delegate", "bins", "8", "--succinct", "--unencrypted-keys"]).ok();
    desk.signer(&["publish"]).ok();
    let said = desk.signer(&["refresh", "--within", "100d", "--format", "json"]).ok();
    let refresh: Refresh = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(refresh.signed.iter().filter(|signed| signed.role.starts_with("bins-")).count(), 8);
    assert!(desk.reader().find(NAME).is_some());
}

/// A service of our own, ended by its handle.
struct Service {
    child: Child,
    address: String,
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Service {
    fn start(desk: &Desk) -> Self {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--every", "1s"];
        let mut child =
            desk.command(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        stderr.read_line(&mut line).unwrap();
        std::thread::spawn(move || {
            let mut rest = String::new();
            let _ = stderr.read_to_string(&mut rest);
        });
        let address = line.trim().rsplit("http://").next().unwrap().to_owned();
        Self { child, address }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn is_well(&self) -> bool {
        self.get("/healthz").starts_with("HTTP/1.1 200")
    }
}

#[track_caller]
fn within_ten_seconds(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(10), "{what}");
        sleep(Duration::from_millis(100));
    }
}

#[test]
fn two_services_keep_one_repository_fresh_and_end_when_told() {
    let desk = Desk::published();
    holds_for(&desk, "timestamp", "4s");
    desk.signer(&["publish"]).ok();
    let first = desk.versions()[0];
    let mut services = [Service::start(&desk), Service::start(&desk)];
    within_ten_seconds("three renewals", || desk.versions()[0] >= first + 3);
    for service in &services {
        within_ten_seconds("health", || service.is_well());
        let metrics = service.get("/metrics");
        assert!(metrics.contains("hallmark_role_expiry_seconds{role=\"timestamp\"}"), "{metrics}");
        assert!(service.get("/other").starts_with("HTTP/1.1 404"));
    }
    assert!(desk.reader().find(NAME).is_some());
    for service in &mut services {
        let pid = service.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let began = Instant::now();
        assert!(service.child.wait().unwrap().success());
        assert!(began.elapsed() < Duration::from_secs(3), "it ended at once");
    }
    assert!(desk.reader().find(NAME).is_some());
}

#[test]
fn a_service_that_cannot_read_its_repository_is_not_well() {
    let desk = Desk::published();
    let service = Service::start(&desk);
    within_ten_seconds("health", || service.is_well());
    let metadata = desk.path("trust/published/metadata");
    fs::rename(&metadata, desk.path("away")).unwrap();
    within_ten_seconds("trouble", || service.get("/healthz").starts_with("HTTP/1.1 503"));
    fs::rename(desk.path("away"), &metadata).unwrap();
    within_ten_seconds("health again", || service.is_well());
}

#[test]
fn a_wrong_call_ends_a_service_at_once() {
    let desk = Desk::new();
    desk.signer(&["serve", "--listen", "127.0.0.1:0"]).failed(2, &["is not a trust repository"]);
    let desk = Desk::published();
    desk.signer(&["serve", "--listen", "256.0.0.1:1"]).failed(2, &["invalid"]);
    assert_eq!(json!(desk.versions()), json!([2, 2, 2]));
}
