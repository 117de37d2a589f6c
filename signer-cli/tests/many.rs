//! Very many names: `signer add --list`, spread over bins or in one file, and what is kept so that the next publish
//! is quick.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod support;

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use support::Desk;
use tuf_core::hash::sha256_hex;

/// Writes a list of names, each with a digest that follows from its number and `what`.
fn list(desk: &Desk, numbers: impl Iterator<Item = usize>, what: &str) -> String {
    let mut text = String::from("# names, digests, lengths\n\n");
    for number in numbers {
        writeln!(text, "{} {} {}", name(number), digest(number, what), number + 100).unwrap();
    }
    fs::write(desk.path("list"), text).unwrap();
    "list".into()
}

fn name(number: usize) -> String {
    format!("registry.example.com/acme/app-{}:1.{number}", number % 7)
}

fn digest(number: usize, what: &str) -> String {
    format!("sha256:{}", sha256_hex(format!("{what} {number}").as_bytes()))
}

fn publish(desk: &Desk, list: &str) -> Vec<String> {
    desk.signer(&["add", "--list", list]).ok();
    let said = desk.signer(&["publish", "--format", "json"]).ok().json();
    let signed = said["signed"].as_array().unwrap().iter();
    signed.map(|one| one["role"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn very_many_names_are_found_where_a_client_looks_for_them() {
    let desk = Desk::published();
    desk.signer(&["delegate", "bins", "64", "--succinct", "--unencrypted-keys"]).ok();
    // Bins and names in one publish, from nothing.
    let signed = publish(&desk, &list(&desk, 0..3000, "first"));
    assert_eq!(signed.iter().filter(|role| role.starts_with("bins-")).count(), 64);
    let reader = desk.reader();
    for number in (0..3000).step_by(97) {
        let (found, chain) = reader.again().find(&name(number)).unwrap();
        assert_eq!(found, digest(number, "first"));
        assert!(chain[1].starts_with("bins-"), "{chain:?}");
    }
    // Some of them change, others stay, more come: each in its bin.
    publish(&desk, &list(&desk, (0..3000).step_by(100).chain(3000..3100), "second"));
    let reader = desk.reader();
    for number in [0, 100, 2900, 3000, 3099] {
        assert_eq!(reader.again().find(&name(number)).unwrap().0, digest(number, "second"));
    }
    assert_eq!(reader.again().find(&name(1)).unwrap().0, digest(1, "first"));
    // The same again is no change, and takes nothing back.
    desk.signer(&["yank", &name(3001), "--reason", "loses data"]).ok();
    let said = desk.signer(&["add", "--list", "list"]).ok();
    assert_eq!(said.stdout, "staged 0 names\n", "what is yanked stays staged");
    assert!(said.stderr.contains("130 of the names are published already"), "{}", said.stderr);
    desk.signer(&["publish"]).ok();
    desk.signer(&["add", "--list", "list"]).ok();
    let said = desk.signer(&["publish"]).ok();
    assert!(said.stdout.starts_with("nothing staged"), "{}", said.stdout);
    desk.signer(&["unyank", &name(3001)]).ok();
    let said = desk.signer(&["publish"]).ok();
    assert!(said.stdout.contains(&name(3001)), "{}", said.stdout);
    let signed = publish(&desk, &list(&desk, 3000..3100, "second"));
    assert!(signed.iter().all(|role| role == "snapshot" || role == "timestamp"), "{signed:?}");
    // One name is one bin.
    desk.signer(&["remove", &name(2)]).ok();
    let said = desk.signer(&["publish", "--format", "json"]).ok().json();
    assert_eq!(said["signed"].as_array().unwrap().len(), 3, "{said}");
    let reader = desk.reader();
    assert_eq!(reader.again().find(&name(2)), None);
    assert_eq!(reader.again().find(&name(9)).unwrap().0, digest(9, "first"));
}

#[test]
fn a_name_that_another_publisher_moved_is_a_conflict_among_many() {
    let desk = Desk::published();
    publish(&desk, &list(&desk, 0..200, "first"));
    desk.signer(&["add", "--list", &list(&desk, 0..200, "second")]).ok();
    // As if it had been staged on top of another state.
    let path = desk.path("trust/staged/changes.json");
    let mut staged: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    staged["changes"][name(150)]["was"]["digest"] = digest(150, "another").into();
    fs::write(&path, staged.to_string()).unwrap();
    let versions = desk.versions();
    desk.signer(&["publish"]).failed(1, &[&name(150), "was changed by another publisher"]);
    assert_eq!(desk.versions(), versions);
    for (member, value, why) in [
        ("action", "replace".into(), "unknown variant `replace`"),
        ("digest", Value::Null, "missing field `digest`"),
        ("more", 1.into(), "unknown field `more`"),
    ] {
        let mut odd = staged.clone();
        odd["changes"][name(7)][member] = value;
        fs::write(&path, odd.to_string()).unwrap();
        desk.signer(&["publish"]).failed(1, &["changes.json can't be used", why]);
    }
}

/// The receipt, made to fit other bytes: its first line is the SHA-256 of the rest.
fn fitting(receipt: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut said: Value = serde_json::from_slice(&receipt[65..]).unwrap();
    said["sha256"] = sha256_hex(bytes).into();
    let said = said.to_string();
    format!("{}\n{said}", sha256_hex(said.as_bytes())).into_bytes()
}

#[test]
fn a_receipt_spares_work_and_vouches_for_its_own_bytes_only() {
    let desk = Desk::published();
    let receipt = desk.path("trust/receipt.json");
    publish(&desk, &list(&desk, 0..50, "few"));
    assert!(!receipt.exists());
    publish(&desk, &list(&desk, 0..6000, "many"));
    assert_eq!(fs::metadata(&receipt).unwrap().permissions().mode() & 0o777, 0o600);
    // What it says of the file is compared, and where that fails, the file is weighed.
    let good = fs::read(&receipt).unwrap();
    let other = fitting(&good, b"another");
    for (number, damaged) in [b"{}".to_vec(), b"\0".repeat(100), other].into_iter().enumerate() {
        fs::write(&receipt, damaged).unwrap();
        publish(&desk, &list(&desk, number..=number, "again"));
        assert_eq!(desk.reader().find(&name(number)).unwrap().0, digest(number, "again"));
    }
    // A file that was changed is refused, also where the receipt is made to fit.
    let [_, _, version] = desk.versions();
    let targets = desk.path(&format!("trust/published/metadata/{version}.targets.json"));
    let text = fs::read_to_string(&targets).unwrap();
    let changed = text.replace(&digest(5, "many")[7..], &digest(5, "forged")[7..]);
    assert_ne!(changed, text);
    fs::write(&targets, &changed).unwrap();
    fs::write(&receipt, fitting(&fs::read(&receipt).unwrap(), changed.as_bytes())).unwrap();
    desk.signer(&["publish"]).failed(1, &["doesn't verify", "sha256"]);
    fs::write(&targets, &text).unwrap();
    desk.signer(&["publish"]).ok();
}
