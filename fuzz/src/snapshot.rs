//! The signed part of a snapshot (TUF 4.4) as any text, sealed by the snapshot key and stated by a
//! timestamp without length and hashes.

use tuf_core::Role;

use crate::ground::{SNAPSHOT, now, root_paper, says_why, stated_version, timestamp};
use crate::reference::Paper;
use crate::seal::enveloped;

/// Offers it to a client that has seen none, and again to one that has seen it.
pub fn run(signed: &[u8]) -> bool {
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
    true
}
