//! A person at a terminal: has three tries for a passphrase, and sees none of what they type.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use support::typist::{is_there as a_typist_is_there, typed};
use support::{Desk, PASSPHRASE};
use test_repos::tree::Tree;

#[test]
fn three_tries_and_no_more() {
    if !a_typist_is_there() {
        return;
    }
    let desk = Desk::new();
    desk.signer_with(PASSPHRASE, &["init"]).ok();
    desk.signer_with(PASSPHRASE, &["key", "new", "spare"]).ok();
    let export = ["key", "export", "spare", "--private", "--out", "spare.pem"];
    let before = Tree::of(desk.path("")).unwrap();
    let (shown, code) = typed(&desk, "wrong one|wrong two|wrong three|never", &export);
    assert_eq!(code, 2, "{shown}");
    assert_eq!(shown.matches("Passphrase for").count(), 3, "{shown}");
    assert_eq!(shown.matches("warning: the passphrase doesn't open it; try again").count(), 2, "{shown}");
    assert!(shown.contains("the passphrase that was typed doesn't open"), "{shown}");
    assert!(!shown.contains("wrong one") && !shown.contains("wrong three"), "{shown}");
    before.assert_unchanged();

    let lines = format!("wrong one|wrong two|{PASSPHRASE}");
    let (shown, code) = typed(&desk, &lines, &export);
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("wrote spare.pem") && !shown.contains(PASSPHRASE), "{shown}");

    // The same where keys are opened to sign.
    desk.signer(&["role", "renew", "root"]).ok();
    let (shown, code) = typed(&desk, &format!("wrong one|{PASSPHRASE}"), &["publish"]);
    assert_eq!(code, 0, "{shown}");
    assert_eq!(shown.matches("Passphrase for").count(), 2, "{shown}");
}

#[test]
fn a_new_passphrase_is_typed_twice() {
    if !a_typist_is_there() {
        return;
    }
    let desk = Desk::with_trust();
    let (shown, code) = typed(&desk, "one thing|another thing", &["key", "new", "spare"]);
    assert_eq!(code, 2, "{shown}");
    assert!(shown.contains("the two passphrases differ"), "{shown}");
    assert!(!desk.path("trust/keys/spare.pem").exists());
    let (shown, code) = typed(&desk, "one thing|one thing", &["key", "new", "spare"]);
    assert_eq!(code, 0, "{shown}");
    assert!(!shown.contains("one thing"), "{shown}");
    let (shown, code) =
        typed(&desk, &format!("one thing|{PASSPHRASE}|{PASSPHRASE}"), &["key", "password", "spare"]);
    assert_eq!(code, 0, "{shown}");
    desk.signer_with(PASSPHRASE, &["key", "export", "spare", "--private", "--out", "out.pem"]).ok();
}
