//! The signed part of a snapshot (TUF 4.4) as any text, sealed by the snapshot key and stated by a
//! timestamp without length and hashes.

use std::collections::BTreeMap;

use tuf_core::authoring::Document;
use tuf_core::schema::MetaFile;
use tuf_core::{Role, SnapshotBaseline};

use crate::ground::{
    SNAPSHOT, in_any_words, later, now, root_paper, says_why, sealed, stated_version, timestamp,
};
use crate::reference::Paper;
use crate::seal::enveloped;

/// Offers it to a client that has seen none, and again to one that has seen it.
pub fn run(signed: &[u8]) -> bool {
    in_any_words(signed, weigh)
}

/// How many files are let go backwards, one after the other.
const TRIED: usize = 4;

/// 5.5.5: none of the files seen may go backwards or away, wherever it stands among them.
fn goes_only_forward(seen: &SnapshotBaseline, listed: &BTreeMap<String, u64>) {
    let timestamp = timestamp(1);
    let offer = |changed: Option<&String>| {
        let mut offered = Document::snapshot(later());
        for (file, version) in listed {
            let version = if changed == Some(file) { version - 1 } else { *version };
            if version > 0 {
                offered.set_meta(file, &MetaFile { version, length: None, hashes: None });
            }
        }
        timestamp.snapshot(Some(seen), &sealed(&offered, &[SNAPSHOT]))
    };
    offer(None).expect("every file at the version seen");
    for file in listed.keys().step_by(listed.len().div_ceil(TRIED)) {
        says_why(&offer(Some(file)).expect_err("a file went backwards or away"));
    }
}

fn weigh(signed: &[u8]) -> bool {
    let bytes = enveloped(signed, &[SNAPSHOT]);
    let paper = Paper::read(&bytes);
    let timestamp = timestamp(stated_version(paper.as_ref()));
    let fresh = match timestamp.snapshot(None, &bytes) {
        Ok(fresh) => fresh,
        Err(refusal) => return says_why(&refusal),
    };
    let paper = paper.expect("accepted, but it is no envelope");
    assert!(paper.holds_under(root_paper(), "snapshot"), "accepted below threshold");
    assert_eq!(fresh.version(), paper.version());
    assert!(fresh.expires() > now());
    for (file, version) in paper.listed() {
        let Some(role) = file.strip_suffix(".json") else { continue };
        let stated = fresh.targets_file(&Role::of_targets(role)).expect("it is listed");
        assert_eq!(stated.version, version, "{file}");
    }
    // What was seen doesn't go backwards to itself (5.5.5).
    let seen = timestamp.remembered(&bytes).expect("what is good is good enough to remember");
    timestamp.snapshot(Some(&seen), &bytes).expect("the same snapshot again");
    goes_only_forward(&seen, &paper.listed());
    true
}
