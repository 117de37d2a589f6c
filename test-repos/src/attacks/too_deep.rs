//! Nesting that would overflow the stack of a reader that calls itself, before any signature is looked at.

use super::{Attack, EVERYWHERE, Expected, nothing};

pub(super) const ATTACK: Attack = Attack {
    name: "too-deep",
    story: "the timestamp is nested ten thousand deep",
    step: "TUF 5.4.2",
    expected: Expected::Refused {
        link: "timestamp",
        says: &["timestamp is malformed: nested deeper than ", "(TUF 5.4.2)"],
    },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| {
        world.repo.forges.insert("timestamp".into(), nested);
        Ok(Vec::new())
    },
};

fn nested(_: Vec<u8>) -> Vec<u8> {
    let (open, close) = ("[".repeat(10_000), "]".repeat(10_000));
    format!("{{\"signatures\":[],\"signed\":{open}{close}}}").into_bytes()
}
