//! A repository that python-tuf wrote is taken over, and goes on: python-tuf's client, an old one and a new one,
//! sees what was there and what came.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::{Desk, NAME, files};
use test_repos::http::{Server, folder};
use test_repos::tree::Tree;

const MAKER: &str = include_str!("support/python_repo.py");

/// Refreshes and downloads: argv is address, root, state folder, target paths.
const CLIENT: &str = r#"
import sys, os
from tuf.ngclient import Updater
address, root, state, *paths = sys.argv[1:]
os.makedirs(state + "/targets", exist_ok=True)
updater = Updater(
    metadata_dir=state + "/metadata", metadata_base_url=address + "/metadata/",
    target_dir=state + "/targets", target_base_url=address + "/targets/",
    bootstrap=open(root, "rb").read(),
)
updater.refresh()
for path in paths:
    info = updater.get_targetinfo(path)
    if info is None:
        sys.exit("no such target: " + path)
    file = updater.download_target(info, state + "/target")
    print(path, open(file, "rb").read()[:5])
    os.remove(file)
"#;

const OLD: [&str; 3] = ["old/file one.txt", "two.txt", "team/app.bin"];

fn python() -> OsString {
    env::var_os("HALLMARK_PYTHON").unwrap_or_else(|| "python3".into())
}

fn there_is_no_python_tuf() -> bool {
    let import = Command::new(python()).args(["-c", "import tuf.ngclient"]).output();
    let missing = !import.is_ok_and(|output| output.status.success());
    if missing {
        eprintln!(
            "SKIPPED: python has no tuf. Install the packages tuf and securesystemslib[crypto], and name the \
             interpreter in HALLMARK_PYTHON"
        );
    }
    missing
}

#[track_caller]
fn run(desk: &Desk, script: &str, arguments: &[&str]) -> String {
    let output =
        Command::new(python()).args(["-c", script]).args(arguments).current_dir(desk.dir.path()).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What a client sees of these paths.
#[track_caller]
fn sees(desk: &Desk, served: &str, state: &str, paths: &[&str]) {
    let server = Server::start(folder(desk.path(served))).unwrap();
    let url = server.url();
    let said = run(desk, CLIENT, &[&[&*url, "theirs/metadata/1.root.json", state], paths].concat());
    for path in paths {
        assert!(said.contains(&format!("{path} b'")), "{said}");
    }
}

/// Every file of the one is in the other, byte for byte.
#[track_caller]
fn all_kept(from: &Path, to: &Path) {
    for path in files(from) {
        let kept = to.join(path.strip_prefix(from).unwrap());
        assert_eq!(fs::read(&path).unwrap(), fs::read(&kept).unwrap(), "{}", kept.display());
    }
}

#[test]
fn a_repository_of_python_tuf_goes_on() {
    if there_is_no_python_tuf() {
        return;
    }
    for (kind, bins) in [("plain", 0), ("hashed", 8), ("succinct", 8)] {
        let desk = Desk::new();
        run(&desk, MAKER, &["theirs", kind]);
        sees(&desk, "theirs", "followed", &OLD);
        let theirs = Tree::of(desk.path("theirs")).unwrap();

        let said =
            desk.signer(&["import", "theirs", "--root", "theirs/metadata/1.root.json", "--format", "json"]);
        let report: Value = said.ok().json();
        assert_eq!(report["targets_present"], 3, "{report}");
        assert_eq!((&report["bins"], &report["targets_absent"]), (&bins.into(), &0.into()), "{report}");
        assert_eq!(report["consistent_snapshot"], kind != "plain");
        theirs.assert_unchanged();
        all_kept(&desk.path("theirs/metadata"), &desk.path("trust/published/metadata"));
        all_kept(&desk.path("theirs/targets"), &desk.path("trust/published/targets"));
        sees(&desk, "trust/published", "new", &OLD);

        // Before its keys are here, nothing can be signed.
        desk.add("one");
        desk.signer(&["publish"]).failed(1, &["can't be signed", "signer ceremony propose"]);
        for key in files(&desk.path("theirs/keys")) {
            let name = key.file_stem().unwrap().to_str().unwrap();
            desk.signer(&["key", "import", name, key.to_str().unwrap()]).ok();
        }
        desk.signer(&["publish"]).ok();
        let paths = [&OLD[..], &[NAME]].concat();
        // Who has followed it for long, and who begins.
        sees(&desk, "trust/published", "followed", &paths);
        sees(&desk, "trust/published", "newer", &paths);
        // What was published before is as it was, but for the timestamp.
        fs::remove_file(desk.path("theirs/metadata/timestamp.json")).unwrap();
        all_kept(&desk.path("theirs/metadata"), &desk.path("trust/published/metadata"));
        // Members that nobody here knows are signed on.
        let versions = (1..).take_while(|version| {
            desk.path(&format!("trust/published/metadata/{version}.root.json")).exists()
        });
        let root = desk.metadata(&format!("{}.root.json", versions.last().unwrap()));
        assert_eq!(root["signed"]["x-note"]["kept"][2], "is");
        assert_eq!(root["signed"]["consistent_snapshot"], true);

        desk.signer(&["role", "renew", "root"]).ok();
        desk.signer(&["publish"]).ok();
        desk.signer(&["refresh", "--within", "100d"]).ok();
        sees(&desk, "trust/published", "followed", &paths);
        let doctor = desk.signer(&["doctor", "--format", "json"]).ok().json();
        assert_eq!(doctor["problems"], 0, "{doctor}");
    }
}
