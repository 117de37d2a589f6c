//! With the timestamp's key alone: a snapshot that anyone could have made.

use super::{Attack, EVERYWHERE, Expected, nothing, thieves};

pub(super) const ATTACK: Attack = Attack {
    name: "wrong-key-snapshot",
    story: "the snapshot is signed by a key that the root doesn't list",
    step: "TUF 5.5.3",
    expected: Expected::Refused {
        link: "snapshot",
        says: &["snapshot needs 1 good signature(s) of distinct keys, got 0 of 1 present (TUF 5.5.3)"],
    },
    surfaces: EVERYWHERE,
    advances: &["timestamp"],
    before: nothing,
    strike: |world| {
        world.repo.signers.insert("snapshot".into(), thieves(1));
        world.repo.publish()?;
        Ok(Vec::new())
    },
};
