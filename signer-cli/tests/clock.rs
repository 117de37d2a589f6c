//! Later: what a publisher finds on coming back. Run within the process, to say what time it is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use chrono::{TimeDelta, Utc};
use signer_cli::{Exit, Surroundings, run};
use support::Desk;
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
