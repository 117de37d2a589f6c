//! Bytes that each reader repairs in its own way, so that two of them see two documents.

use super::{Attack, EVERYWHERE, Expected, nothing};

pub(super) const ATTACK: Attack = Attack {
    name: "not-utf8",
    story: "the timestamp holds a byte that is not UTF-8",
    step: "TUF 4.2, RFC 8259 section 8.1",
    expected: Expected::Refused {
        link: "timestamp",
        says: &["timestamp is malformed: not UTF-8 at byte 1 (TUF 5.4.2)"],
    },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| {
        world.repo.forges.insert("timestamp".into(), broken);
        Ok(Vec::new())
    },
};

fn broken(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.insert(1, 0xff);
    bytes
}
