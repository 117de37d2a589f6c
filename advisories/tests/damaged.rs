//! Files that are damaged, cut or made up: each is refused, or says what the good one says.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests"
)]

mod bucket;

use std::fs;

use advisories::{Database, Error, build};
use bucket::{archive, ids, package, texts};

const ADVISORY: &str = r#"{"id":"DSA-1-1","aliases":["CVE-2026-0001"],"modified":"2026-01-01T00:00:00Z","summary":"bad",
    "affected":[{"package":{"ecosystem":"Debian:12","name":"openssl"},
    "ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"3.0.15-1"}]}]}]}"#;

/// What a file says of one package.
fn asked(file: &std::path::Path) -> Result<Vec<String>, Error> {
    let database = Database::open(file)?;
    let answer = database.affecting(&package("Debian:12", "openssl", "3.0.11-1"), texts())?;
    Ok(ids(&answer).into_iter().map(ToOwned::to_owned).collect())
}

#[test]
fn every_byte_that_is_flipped_and_every_length_it_is_cut_to_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    archive(folder.path(), "Debian", &[ADVISORY]);
    let file = folder.path().join("advisories.db");
    build(folder.path(), &file).unwrap();
    let good = fs::read(&file).unwrap();
    let said = asked(&file).unwrap();
    assert_eq!(said.len(), 1);
    for at in 0..good.len() {
        for bit in [0x01, 0x80] {
            let mut bytes = good.clone();
            bytes[at] ^= bit;
            fs::write(&file, &bytes).unwrap();
            assert!(asked(&file).is_err(), "byte {at} of {} was flipped, and nobody saw it", good.len());
        }
    }
    for length in 0..good.len() {
        fs::write(&file, &good[..length]).unwrap();
        assert!(asked(&file).is_err(), "cut to {length} of {}", good.len());
    }
    fs::write(&file, [&good[..], b"\0"].concat()).unwrap();
    assert!(asked(&file).is_err(), "one byte too many");
    fs::write(&file, &good).unwrap();
    assert_eq!(asked(&file).unwrap(), said);
}

#[test]
fn the_same_archives_give_the_same_bytes_and_a_failed_build_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    archive(folder.path(), "Debian", &[ADVISORY]);
    let [one, two] = ["one.db", "two.db"].map(|name| folder.path().join(name));
    build(folder.path(), &one).unwrap();
    build(folder.path(), &two).unwrap();
    assert_eq!(fs::read(&one).unwrap(), fs::read(&two).unwrap());
    let before = fs::read(&one).unwrap();
    fs::write(folder.path().join("Debian/all.zip"), b"PK\x03\x04 and no more").unwrap();
    build(folder.path(), &one).unwrap_err();
    assert_eq!(fs::read(&one).unwrap(), before);
}

#[test]
fn an_advisory_without_an_id_is_in_no_database() {
    let folder = tempfile::tempdir().unwrap();
    archive(folder.path(), "Debian", &[&ADVISORY.replace("DSA-1-1", "")]);
    let error = build(folder.path(), &folder.path().join("advisories.db")).unwrap_err().to_string();
    assert!(error.ends_with("expected an id, got none"), "{error}");
    assert!(!folder.path().join("advisories.db").exists());
}
