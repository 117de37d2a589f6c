//! Later: what a publisher finds on coming back. Run within the process, to say what time it is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::process::Command;
use std::time::{Duration, SystemTime};
use std::{env, fs};

use chrono::{TimeDelta, Utc};
use signer_cli::{Exit, Surroundings, run};
use support::{Desk, Said};
use test_repos::tree::Tree;

fn signer_in(days: i64, desk: &Desk, arguments: &[&str]) -> Exit {
    let around = Surroundings {
        now: Utc::now().checked_add_signed(TimeDelta::days(days)).unwrap(),
        ..Surroundings::bare(Utc::now)
    };
    let repo = desk.path("trust");
    let arguments = [&["signer", "--repo", repo.to_str().unwrap()], arguments].concat();
    run(arguments.into_iter().map(Into::into), around)
}

#[test]
fn each_role_is_renewed_before_it_would_expire_under_the_timestamp() {
    // Days from now, and the versions of timestamp, snapshot and targets after publishing then.
    for (days, versions) in [(0, [3, 3, 2]), (5, [3, 3, 2]), (82, [3, 3, 2]), (84, [3, 3, 3])] {
        let desk = Desk::published();
        assert_eq!(signer_in(days, &desk, &["publish"]), Exit::Done);
        assert_eq!(desk.versions(), versions, "in {days} days");
    }
}

#[test]
fn a_repository_that_expired_is_brought_back() {
    let desk = Desk::published();
    assert_eq!(signer_in(200, &desk, &["status"]), Exit::Done);
    assert_eq!(signer_in(200, &desk, &["publish"]), Exit::Done);
    assert_eq!(desk.versions(), [3, 3, 3]);
}

#[test]
fn nothing_is_published_under_a_root_that_expired() {
    let desk = Desk::published();
    let before = Tree::of(desk.path("trust")).unwrap();
    assert_eq!(signer_in(366, &desk, &["publish"]), Exit::Refused);
    before.assert_unchanged();
}

/// Our own files are from later than such a clock says.
#[test]
fn nothing_is_signed_by_a_clock_that_is_behind() {
    let desk = Desk::published();
    desk.add("two");
    let before = Tree::of(desk.path("trust")).unwrap();
    for days in [-1, -30, -10_000] {
        for command in [&["publish"] as &[&str], &["refresh", "--within", "90d"], &["publish", "--dry-run"]] {
            assert_eq!(signer_in(days, &desk, command), Exit::Refused, "{command:?} {days} days ago");
        }
        let out = desk.path("c.json").display().to_string();
        assert_eq!(signer_in(days, &desk, &["ceremony", "propose", "--out", &out]), Exit::Refused);
    }
    before.assert_unchanged();
    assert_eq!(signer_in(0, &desk, &["publish"]), Exit::Done);
}

/// The real program, with a clock that is set back.
fn signer_back(desk: &Desk, days: u32, arguments: &[&str]) -> Option<Said> {
    let there = Command::new("faketime").arg("--version").output().is_ok_and(|done| done.status.success());
    if !there {
        assert!(env::var_os("HALLMARK_NO_SKIPS").is_none(), "no faketime");
        eprintln!("SKIPPED: no faketime");
        return None;
    }
    let mut command = Command::new("faketime");
    command.args(["-f", &format!("-{days}d")]).arg(env!("CARGO_BIN_EXE_signer")).args(arguments);
    // The times of files are the disk's, not this clock's.
    command.env("NO_FAKE_STAT", "1").current_dir(desk.dir.path());
    Some(Said::of(&command.output().unwrap()))
}

#[test]
fn a_clock_that_is_set_back_is_told() {
    let desk = Desk::published();
    let Some(said) = signer_back(&desk, 3, &["publish"]) else { return };
    said.failed(
        1,
        &["error: this machine's clock is behind\n  it says ", "timestamp.json was written", "hint: "],
    );

    // As on a machine that just got a copy: only what is published tells.
    let long_ago = SystemTime::now().checked_sub(Duration::from_secs(90 * 86_400)).unwrap();
    for file in ["trust/timestamp.json", "trust/published/metadata/timestamp.json"] {
        fs::File::options().append(true).open(desk.path(file)).unwrap().set_modified(long_ago).unwrap();
    }
    let said = signer_back(&desk, 3, &["publish"]).unwrap().ok();
    assert!(said.stderr.starts_with("warning: timestamp expires "), "{}", said.stderr);
    assert!(said.stderr.contains("clock is behind; it says "), "{}", said.stderr);
}

/// Who lets a role hold for less time is told the same, and not hindered.
#[test]
fn a_shorter_lifetime_is_told_and_done() {
    let desk = Desk::published();
    let config = desk.path("trust/signer.toml");
    let text = fs::read_to_string(&config).unwrap();
    let line = text.lines().find(|line| line.starts_with("timestamp")).unwrap();
    fs::write(
        &config,
        text.replace(line, &format!("timestamp = {}", if line.contains('"') { "\"1d\"" } else { "1" })),
    )
    .unwrap();
    let said = desk.signer(&["publish"]).ok();
    assert!(said.stderr.starts_with("warning: timestamp expires "), "{}", said.stderr);
    assert_eq!(desk.versions()[0], 3);
}
