//! A timestamp that anyone could have made.

use super::{Attack, EVERYWHERE, Expected, nothing, thieves};

pub(super) const ATTACK: Attack = Attack {
    name: "wrong-key-timestamp",
    story: "the timestamp is signed by a key that the root doesn't list",
    step: "TUF 5.4.2",
    expected: Expected::Refused {
        link: "timestamp",
        says: &["timestamp needs 1 good signature(s) of distinct keys, got 0 of 1 present (TUF 5.4.2)"],
    },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| {
        world.repo.signers.insert("timestamp".into(), thieves(1));
        world.repo.publish()?;
        Ok(Vec::new())
    },
};
