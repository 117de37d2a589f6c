//! `verify scan --plugin`: what a plug-in gets, what it may do, and what becomes of what it says.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Run, database, debian, verify};

/// A machine with one image and plug-ins.
pub(crate) struct Bench {
    pub(crate) home: tempfile::TempDir,
    image: String,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let image = debian(home.path());
        Self { home, image }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A program that a shell runs.
    pub(crate) fn program(&self, name: &str, script: &str) -> String {
        let path = self.path(name);
        fs::write(&path, format!("#!/bin/sh\n{script}")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }

    /// A plug-in that describes itself, and runs a script to scan, in which `$request` is the request's file and
    /// `$digest` what it is about.
    fn plugin(&self, input: &str, script: &str) -> String {
        let script = format!(
            r#"if [ "$1" = describe ]; then
  echo '{{ "protocol": 1, "name": "mine", "version": "1.2", "input": "{input}" }}'
  exit
fi
request=$2
member() {{ sed -n "s/^  \"$1\": \"\(.*\)\",\{{0,1\}}$/\1/p" "$request"; }}
digest=$(member digest)
path=$(member path)
scratch=$(member scratch)
answer() {{ printf '{{ "protocol": 1, "digest": "%s", "findings": [%s] }}' "$digest" "$1"; }}
{script}
"#
        );
        self.program("plugin", &script)
    }

    /// A scan, after which no copy of the image is left.
    pub(crate) fn scan(&self, more: &[&str]) -> Run {
        let words = ["scan", &self.image, "--unverified", "--format", "json"];
        let run = verify(self.home.path(), &[&words[..], more].concat());
        let left = fs::read_dir(self.home.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let left: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with("hallmark-scan-")).collect();
        assert!(left.is_empty(), "{left:?}");
        run
    }

    /// No answer, for a reason that names the plug-in.
    #[track_caller]
    fn fails(&self, plugin: &str, more: &[&str], why: &str) {
        let run = self.scan(&[&["--plugin", plugin], more].concat());
        run.failed(3, &["engine plugin", why]);
    }
}

fn finding(id: &str, package: &str) -> String {
    json!({ "id": id, "package": package, "severity": "high", "fixed": "9" }).to_string()
}

#[test]
fn a_plugin_gets_the_image_as_a_folder_and_its_findings_are_in_the_report() {
    let bench = Bench::new();
    let plugin = bench.plugin(
        "root",
        &format!(
            r#"grep -q "^Package: bash" "$path/var/lib/dpkg/status" || exit 5
[ -f "$path/opt/a-1.0.dist-info/METADATA" ] || exit 6
cat > "$scratch/input" < /dev/null || exit 7
[ -z "$SECRET" ] && [ -z "$(cat)" ] || exit 8
answer '{}'"#,
            finding("CVE-2026-9", "a")
        ),
    );
    let run = bench.scan(&["--plugin", &plugin]);
    let report = run.json();
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(report["engines"], json!([{ "name": "mine", "version": "1.2", "findings": 1 }]));
    let found = &report["findings"][0];
    for (member, expected) in [
        ("id", json!("CVE-2026-9")),
        ("package", json!("a")),
        ("version", json!("1.0")),
        ("severity", json!("high")),
        ("fixed", json!("9")),
        ("layer", json!(1)),
        ("purl", json!("pkg:pypi/a@1.0")),
        ("engine", json!("mine")),
        ("engines", json!(["mine"])),
    ] {
        assert_eq!(found[member], expected, "{member}");
    }
    // Without advisories of ours, a person sees them too.
    let text = verify(bench.home.path(), &["scan", &bench.image, "--unverified", "--plugin", &plugin]).out;
    assert!(text.contains("  mine 1.2 found 1\n"), "{text}");
    assert!(text.contains("\nFINDINGS\n") && text.contains("high       CVE-2026-9"), "{text}");
    let gate = bench.scan(&[
        "--plugin",
        &plugin,
        "--db",
        database(bench.home.path(), 7).to_str().unwrap(),
        "--fail-on",
        "high",
    ]);
    assert_eq!(gate.code, 4, "{}", gate.err);
    // It has advisories of its own: a rule needs none of ours beside it.
    assert_eq!(bench.scan(&["--plugin", &plugin, "--fail-on", "high"]).code, 4);
    assert_eq!(bench.scan(&["--plugin", &plugin, "--fail-on", "critical"]).code, 0);
    assert_eq!(bench.scan(&["--plugin", &plugin, "--max-db-age", "7d"]).code, 4);
    assert_eq!(bench.scan(&["--fail-on", "high"]).code, 2);
}

#[test]
fn a_plugin_gets_the_image_as_a_layout_of_verified_bytes() {
    let bench = Bench::new();
    let script = r#"hex=${digest#sha256:}
[ "$(sha256sum < "$path/blobs/sha256/$hex" | cut -d' ' -f1)" = "$hex" ] || exit 5
for blob in "$path"/blobs/sha256/*; do
  [ "$(sha256sum < "$blob" | cut -d' ' -f1)" = "$(basename "$blob")" ] || exit 6
done
grep -q '"imageLayoutVersion"' "$path/oci-layout" || exit 7
answer ''"#;
    let plugin = bench.plugin("oci-layout", script);
    let run = bench.scan(&["--plugin", &plugin]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(run.json()["engines"][0]["findings"], 0);
}

#[test]
fn the_same_weakness_is_one_finding_and_says_who_found_it() {
    let bench = Bench::new();
    let db = database(bench.home.path(), 7).display().to_string();
    let other = json!({ "id": "MINE-1", "aliases": ["CVE-2026-7"], "package": "bash" }).to_string();
    let plugin = bench.plugin("root", &format!("answer '{other},{}'", finding("CVE-2026-7", "a")));
    let report = bench.scan(&["--plugin", &plugin, "--db", &db]).json();
    let findings: Vec<_> = report["findings"].as_array().unwrap().iter().collect();
    assert_eq!(findings.len(), 2, "of another package it is another: {findings:?}");
    let bash = findings.iter().find(|one| one["package"] == "bash").unwrap();
    assert_eq!((&bash["engine"], &bash["engines"]), (&json!("hallmark"), &json!(["hallmark", "mine"])));
    assert_eq!(bash["severity"], "critical", "what it said stays");
    assert!(bash["aliases"].as_array().unwrap().contains(&json!("MINE-1")));
}

#[test]
fn a_broken_or_lying_plugin_is_an_error_that_names_it() {
    let bench = Bench::new();
    for (script, why) in [
        ("exit 1", "ended with exit code 1"),
        ("echo oops >&2; exit 1", "oops"),
        ("", "expected its JSON"),
        ("echo garbage", "expected its JSON"),
        ("echo '{}'", "expected its JSON"),
        ("answer '' | head -c 30", "expected its JSON"),
        ("digest=sha256:00; answer ''", "expected an answer about sha256:"),
        ("echo '{ \"protocol\": 2, \"digest\": \"\", \"findings\": [] }'", "expected protocol 1, got 2"),
        ("answer '{ \"id\": \"\", \"package\": \"a\" }'", "expected an id and a package"),
        ("answer '{ \"id\": \"a\\u001b[31m\", \"package\": \"a\" }'", "expected names of a line"),
        ("sh -c 'kill -SEGV $$'; exit $?", "signal 11"),
        ("answer ''; exit 3", "ended with exit code 3"),
    ] {
        let plugin = bench.plugin("root", script);
        bench.fails(&plugin, &[], why);
    }
    let plugin =
        bench.program("plugin", "echo '{ \"protocol\": 1, \"name\": \"hallmark\", \"input\": \"root\" }'");
    bench.fails(&plugin, &[], "expected a name of its own");
    bench.scan(&["--plugin", "not-there"]).failed(3, &["hallmark-plugin-not-there"]);
    fs::set_permissions(bench.path("plugin"), fs::Permissions::from_mode(0o644)).unwrap();
    bench.fails(&plugin, &[], "could not be");
}

#[test]
fn time_output_and_memory_are_bounded_and_nothing_is_left_running() {
    let bench = Bench::new();
    let marker = bench.path("alive").display().to_string();
    // Also what it started and let go of.
    let plugin = bench.plugin("root", &format!("(setsid sh -c 'sleep 3; touch {marker}' &) ; sleep 100"));
    let began = Instant::now();
    bench.fails(&plugin, &["--plugin-time", "1"], "took too long: expected an end within 1.0s");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let plugin = bench.plugin("root", "yes garbage");
    bench.fails(&plugin, &["--plugin-time", "60"], "said too much");
    let plugin = bench.plugin("root", "x=x; while :; do x=$x$x; done");
    bench.fails(&plugin, &["--plugin-memory", "64", "--plugin-time", "60"], "ended");
    let left = Duration::from_secs(4).saturating_sub(began.elapsed());
    std::thread::sleep(left);
    assert!(!bench.path("alive").exists(), "what it started was ended with it");
}

#[test]
fn there_is_no_network_unless_it_is_allowed() {
    let bench = Bench::new();
    // The interfaces that a program can see: but for the loopback, none.
    let script = r#"names=$(tail -n +3 /proc/self/net/dev | cut -d: -f1 | tr -d ' ' | sort | tr '\n' ' ')
answer "{ \"id\": \"SEEN\", \"package\": \"$names\" }""#;
    let plugin = bench.plugin("root", script);
    let seen = |report: &Value| report["findings"][0]["package"].as_str().unwrap().to_owned();
    assert_eq!(seen(&bench.scan(&["--plugin", &plugin]).json()), "lo");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // The loopback there is another one, and down.
    let connect = format!(
        "if bash -c 'exec 3<>/dev/tcp/127.0.0.1/{port}' 2>/dev/null; then answer '{}'; else answer ''; fi",
        finding("CONNECTED", "a")
    );
    let plugin = bench.plugin("root", &connect);
    assert_eq!(bench.scan(&["--plugin", &plugin]).json()["findings"], json!([]));
    let allowed = bench.scan(&["--plugin", &plugin, "--plugin-network"]).json();
    assert_eq!(allowed["findings"][0]["id"], "CONNECTED");
}
