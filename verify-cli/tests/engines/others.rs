//! The adapters: OpenSCAP and trivy as they are, podman with a scanner as Atomic ran them; grype, and a Clair that
//! answers as its documentation says.
//!
//! A test says SKIPPED where what it needs isn't installed; with `HALLMARK_NO_SKIPS` set it fails then.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use test_repos::http::{Response, Server};
use test_repos::images::ImageBuilder;
use test_repos::registry::Registry;

use crate::plugins::Bench;
use crate::support::{database, verify};

const OVAL: &str = include_str!("../../../scan-engines/tests/answers/oval.xml");

/// Whether a program is there. Says which isn't.
fn have(program: &str) -> bool {
    let there = Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap();
    if !there.status.success() {
        skipped(&format!("{program} is not installed"));
    }
    there.status.success()
}

fn skipped(why: &str) {
    assert!(std::env::var_os("HALLMARK_NO_SKIPS").is_none(), "{why}, and HALLMARK_NO_SKIPS is set");
    eprintln!("SKIPPED: {why}");
}

#[test]
fn oscap_evaluates_an_oval_file_on_the_image() {
    if !have("oscap") {
        return;
    }
    let bench = Bench::new();
    let evaluated = |oval: &str| {
        let file = bench.path("oval.xml");
        fs::write(&file, oval).unwrap();
        bench.scan(&["--plugin", &format!("oscap={}", file.display())])
    };
    let run = evaluated(OVAL);
    assert_eq!(run.code, 0, "{}", run.err);
    let report = run.json();
    assert_eq!(report["engines"][0]["data"], "2 definitions");
    let found = &report["findings"][0];
    for (member, expected) in [
        ("id", "CVE-2026-7"),
        ("package", "bash"),
        ("version", "5.2.15-2+b2"),
        ("fixed", "0:5.2.15-3"),
        ("severity", "high"),
        ("engine", "oscap"),
        ("path", "/var/lib/dpkg/status"),
    ] {
        assert_eq!(found[member], expected, "{member}");
    }
    // The same of a version that the image is beyond: what oscap says depends on the image.
    let mended = evaluated(&OVAL.replace("0:5.2.15-3<", "0:5.2.15-1<"));
    assert_eq!(mended.json()["findings"], json!([]));
    // Where it can't read the packages it says "false" of everything.
    let image = ImageBuilder::new().file("var/lib/dpkg/status", b"Package: bash\n").build().unwrap();
    image.write_layout(bench.path("bare"), "1").unwrap();
    fs::write(bench.path("oval.xml"), OVAL).unwrap();
    let (bare, oscap) = (bench.path("bare"), format!("oscap={}", bench.path("oval.xml").display()));
    let words = [
        "scan",
        &format!("oci:{}:1", bare.display()),
        "--unverified",
        "--format",
        "json",
        "--plugin",
        &oscap,
    ];
    verify(bench.home.path(), &words).failed(3, &["engine oscap", "dpkginfo_init has failed"]);
    evaluated("<nonsense/>").failed(3, &["engine oscap"]);
    evaluated(&OVAL.replace("</definitions>", "")).failed(3, &["engine oscap"]);
}

#[test]
fn oscap_and_our_own_database_agree_in_one_finding() {
    if !have("oscap") {
        return;
    }
    let bench = Bench::new();
    let file = bench.path("oval.xml");
    fs::write(&file, OVAL).unwrap();
    let db = database(bench.home.path(), 7).display().to_string();
    let run = bench.scan(&["--db", &db, "--plugin", &format!("oscap={}", file.display())]);
    let report = run.json();
    assert_eq!(report["findings"].as_array().unwrap().len(), 1, "{}", run.out);
    assert_eq!(report["findings"][0]["engines"], json!(["hallmark", "oscap"]));
}

/// Trivy's own database can't be had here. That it can't be is what it says, and is never "clean".
#[test]
fn trivy_reads_the_layout_and_without_its_database_there_is_no_answer() {
    let Some(trivy) = std::env::var_os("HALLMARK_TRIVY").map(PathBuf::from).filter(|file| file.is_file())
    else {
        return skipped("HALLMARK_TRIVY names no trivy");
    };
    let bench = Bench::new();
    let run = bench.scan(&["--plugin", &format!("trivy={}", trivy.display())]);
    run.failed(3, &["engine trivy", "ended with exit code 1"]);
    // The same program, asked for what it needs no database for, reads the layout that it was given.
    let asked = format!(
        "for word; do last=$word; done\nwhile [ $# -gt 0 ]; do [ \"$1\" = --input ] && dir=$2; shift; done\n\
         {} image --format json --quiet --list-all-pkgs --scanners license --offline-scan --input \"$dir\"",
        trivy.display()
    );
    let program = bench.program("trivy", &asked);
    let run = bench.scan(&["--plugin", &format!("trivy={program}")]);
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(run.json()["engines"][0]["name"], "trivy");
}

#[test]
fn findings_of_trivy_and_grype_join_ours() {
    let bench = Bench::new();
    let answers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scan-engines/tests/answers");
    let said = |name: &str| fs::copy(answers.join(name), bench.path(name)).map(|_| bench.path(name)).unwrap();
    // Each as it was called, and with the layout in the place that it reads.
    let trivy = format!(
        "[ \"$1\" = image ] && [ -f \"${{TMPDIR%/scratch}}/image/index.json\" ] || exit 9\n\
         case \"$*\" in *--skip-db-update*) cat {};; esac",
        said("trivy.json").display()
    );
    let grype = format!(
        "[ -f \"${{1#oci-dir:}}/index.json\" ] && [ \"$GRYPE_DB_AUTO_UPDATE\" = false ] || exit 9\ncat {}",
        said("grype.json").display()
    );
    let (trivy, grype) = (bench.program("trivy", &trivy), bench.program("grype", &grype));
    let db = database(bench.home.path(), 7).display().to_string();
    let run = bench.scan(&[
        "--db",
        &db,
        "--plugin",
        &format!("trivy={trivy}"),
        "--plugin",
        &format!("grype={grype}"),
    ]);
    assert_eq!(run.code, 0, "{}", run.err);
    let report = run.json();
    let found: Vec<(&str, &Value)> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["id"].as_str().unwrap(), &one["engines"]))
        .collect();
    // Grype's GHSA is trivy's CVE.
    assert_eq!(
        found,
        [("CVE-2026-7", &json!(["hallmark", "trivy"])), ("CVE-2026-8", &json!(["trivy", "grype"]))]
    );
    assert_eq!(report["engines"].as_array().unwrap().len(), 2);
}

/// A scanner as Atomic ran them: an image whose program reads `/scanin` and writes `/scanout`.
#[test]
fn a_scanner_of_atomics_gets_scanin_and_scanout() {
    if !have("podman") || !have("busybox") {
        return;
    }
    let bench = Bench::new();
    let script = r#"#!/bin/sh
set -e
for root in /scanin/*; do
  uuid=${root#/scanin/}
  version=$(sed -n 's/^Version: //p' "$root/var/lib/dpkg/status")
  ! touch "$root/written" 2>/dev/null
  cat > "/scanout/$uuid/json" <<JSON
{ "Scanner": "mine", "Scan Type": "$1", "UUID": "/scanin/$uuid", "Successful": "true", "Vulnerabilities": [
  { "Title": "MINE-1: bash $version", "Severity": "Moderate", "Description": "bash $version", "Custom": { "Package": "bash" } } ] }
JSON
done
"#;
    let busybox = fs::read("/bin/busybox").unwrap();
    let mut image = ImageBuilder::new().program("bin/busybox", &busybox).program("scan", script.as_bytes());
    for name in ["sh", "sed", "touch", "cat"] {
        image = image.link(&format!("bin/{name}"), "busybox");
    }
    let image = image.build().unwrap();
    image.write_layout(bench.path("scanner"), "1").unwrap();
    let registry = Registry::start().unwrap();
    registry.push_layout(bench.path("scanner"), "1", "acme/scanner").unwrap();
    let name = format!("{}/acme/scanner:1", registry.host());
    let file = bench.path("atomic");
    let text = format!(
        "type: scanner\nscanner_name: mine\nimage_name: {name}\ndefault_scan: cve\n\
         custom_args: ['--tls-verify=false', '--ulimit=nofile=1024:1024', '--ulimit=nproc=1024:1024']\nscans:\n  - name: cve\n    args: ['/scan', 'cve']\n"
    );
    fs::write(&file, text).unwrap();
    let run = bench.scan(&["--plugin", &format!("atomic={}", file.display())]);
    // What was pulled for this test.
    let _ = Command::new("podman").args(["rmi", "--force", &name]).output();
    assert_eq!(run.code, 0, "{}", run.err);
    let report = run.json();
    assert_eq!(report["engines"][0]["name"], "atomic/mine");
    assert_eq!(report["findings"][0]["id"], "MINE-1");
    assert_eq!(report["findings"][0]["summary"], "bash 5.2.15-2+b2");
    assert_eq!(report["findings"][0]["severity"], "medium");
}

/// A Clair that fetches the layers that it is told of, takes its time, and answers as recorded.
fn clair(answer: &'static str, seen: std::sync::Arc<AtomicUsize>) -> Server {
    let asked = AtomicUsize::new(0);
    let state = |digest: &str, state: &str| {
        let report = json!({ "manifest_hash": digest, "state": state, "success": true, "err": "" });
        report.to_string()
    };
    Server::start(move |request| {
        let path = request.path().to_owned();
        let digest = path.rsplit('/').next().unwrap_or_default().to_owned();
        if request.method == "POST" && path == "/clair/indexer/api/v1/index_report" {
            let manifest: Value = serde_json::from_slice(&request.body).unwrap();
            for layer in manifest["layers"].as_array().unwrap() {
                assert!(layer["uri"].as_str().unwrap().ends_with(layer["hash"].as_str().unwrap()));
                let fetched = oci_image::HttpFetcher::default()
                    .get(&layer["uri"].as_str().unwrap().parse().unwrap(), 1 << 20, &[])
                    .unwrap();
                assert_eq!(test_repos::sha256_digest(&fetched.body), layer["hash"]);
                seen.fetch_add(1, Ordering::SeqCst);
            }
            return Response::ok(state(manifest["hash"].as_str().unwrap(), "ScanLayers")).status(201);
        }
        if path.starts_with("/clair/indexer/") {
            let word =
                if asked.fetch_add(1, Ordering::SeqCst) == 0 { "IndexManifest" } else { "IndexFinished" };
            return Response::ok(state(&digest, word));
        }
        let recorded = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
        Response::ok(answer.replace(recorded, &digest))
    })
    .unwrap()
}

#[test]
fn clair_is_told_of_the_layers_and_asked_until_it_knows() {
    let bench = Bench::new();
    let registry = Registry::start().unwrap();
    registry.push_layout(bench.path("image"), "1", "acme/web").unwrap();
    let image = format!("{}/acme/web:1", registry.host());
    let seen = std::sync::Arc::new(AtomicUsize::new(0));
    let recorded = include_str!("../../../scan-engines/tests/answers/clair.json");
    let server = clair(recorded, seen.clone());
    let engine = format!("clair={}/clair", server.url());
    let scan = |engine: &str| {
        let words = ["scan", &image, "--unverified", "--format", "json", "--plugin", engine];
        verify(bench.home.path(), &words)
    };
    let run = scan(&engine);
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(seen.load(Ordering::SeqCst), 2, "both layers");
    let report = run.json();
    assert_eq!(report["findings"][0]["id"], "CVE-2026-7");
    assert_eq!(report["findings"][0]["engines"], json!(["clair"]));
    assert_eq!(report["findings"][0]["source_package"], "bash");

    let liar = clair("{}", seen);
    scan(&format!("clair={}/clair", liar.url())).failed(3, &["engine clair", "expected its JSON"]);
    let down = Server::start(|_| Response::new(500)).unwrap();
    scan(&format!("clair={}", down.url())).failed(3, &["engine clair", "500"]);
    bench.scan(&["--plugin", &engine]).failed(2, &["engine clair", "can't reach a layout"]);
}
