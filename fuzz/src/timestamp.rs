//! The signed part of a timestamp (TUF 4.6) as any text, sealed by the timestamp key.

use crate::ground::{TIMESTAMP, current, in_any_words, now, root_paper, says_why};
use crate::reference::Paper;
use crate::seal::enveloped;

/// Offers it to a client that has seen none, and again to one that has seen it.
pub fn run(signed: &[u8]) -> bool {
    in_any_words(signed, weigh)
}

fn weigh(signed: &[u8]) -> bool {
    let bytes = enveloped(signed, &[TIMESTAMP]);
    let fresh = match current().timestamp(None, &bytes) {
        Ok(fresh) => fresh,
        Err(refusal) => return says_why(&refusal),
    };
    let paper = Paper::read(&bytes).expect("accepted, but it is no envelope");
    assert!(paper.holds_under(root_paper(), "timestamp"), "accepted below threshold");
    assert_eq!(fresh.version(), paper.version());
    assert!(fresh.expires() > now() && fresh.is_new());
    let stated = fresh.snapshot_file();
    let listed = paper.states("snapshot.json").expect("accepted without a snapshot");
    assert_eq!(stated.version, listed.version);

    // 5.4.3.1: the same version is an ordinary quiet day.
    let seen = current().remembered(&bytes).expect("what is good is good enough to remember");
    let quiet = current().timestamp(Some(&seen), &bytes).expect("a quiet day is no error");
    assert!(!quiet.is_new());
    let offline = current().timestamp_offline(&seen).expect("unexpired");
    assert_eq!(offline.version(), fresh.version());
    true
}
