//! Two versions in one document: the one who checks reads the first, the one who uses reads the last.

use super::{Attack, EVERYWHERE, Expected, nothing};

pub(super) const ATTACK: Attack = Attack {
    name: "duplicate-keys",
    story: "a member of the timestamp is there twice, with two values",
    step: "TUF 4.2, RFC 8259 section 4",
    expected: Expected::Refused {
        link: "timestamp",
        says: &["timestamp is malformed: duplicate key \"version\"", "(TUF 5.4.2)"],
    },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| {
        world.repo.forges.insert("timestamp".into(), doubled);
        Ok(Vec::new())
    },
};

fn doubled(bytes: Vec<u8>) -> Vec<u8> {
    let text = String::from_utf8_lossy(&bytes);
    text.replacen("\"version\":", "\"version\": 999, \"version\":", 1).into_bytes()
}
