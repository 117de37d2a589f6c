//! That no network is needed: where there is none.

use std::io::Write as _;
use std::process::Command;

use test_repos::surface::SurfaceKind;

use super::{Run, Story};

/// Whether this machine lets us into a network namespace of our own, which has no interface that is up.
fn can_unshare() -> bool {
    let ran = Command::new("unshare").args(["--map-root-user", "--net", "true"]).output();
    if ran.is_ok_and(|ran| ran.status.success()) {
        return true;
    }
    let why = "unshare(1) makes no network namespace here";
    assert!(std::env::var_os("HALLMARK_NO_SKIPS").is_none(), "{why}, and HALLMARK_NO_SKIPS is set");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
    false
}

#[test]
fn a_pack_is_judged_and_a_report_replayed_where_there_is_no_network() {
    if !can_unshare() {
        return;
    }
    let story = Story::begin(SurfaceKind::Http);
    story.pack("web.hpk", &["--with-layers"]).is(0, &[]);
    let at = story.at();
    let alone = |words: &[&str]| {
        let output = Command::new("unshare")
            .args(["--map-root-user", "--net"])
            .arg(env!("CARGO_BIN_EXE_verify"))
            .args(words)
            .env("HOME", story.path("other"))
            .current_dir(story.folder.path())
            .output()
            .unwrap();
        Run::of(&output)
    };
    // It is a place without a network: the repository on 127.0.0.1 can't be reached from there.
    let words = story.call("image", &at, &[]);
    alone(&words).is(3, &["could not reach"]);
    let run = alone(&["image", "--pack", "web.hpk", "--root", "root.json", "--at", &at])
        .is(0, &["every blob was hashed"]);
    assert_eq!(run.out, story.pinned());
    let words = story.call("image", &at, &["--format", "json", "--with-proof"]);
    let report = story.verify("home", &words);
    assert_eq!(report.code, 0, "{}", report.err);
    std::fs::write(story.path("proof.json"), report.out).unwrap();
    alone(&["replay", "proof.json", "--root", "root.json"]).is(0, &["as reported"]);
}
