//! With the keys of both online roles: targets that anyone could have made.

use super::{Attack, EVERYWHERE, Expected, nothing, thieves};

pub(super) const ATTACK: Attack = Attack {
    name: "wrong-key-targets",
    story: "the targets are signed by keys that no root lists",
    step: "TUF 5.6.3",
    expected: Expected::Refused {
        link: "targets",
        says: &["targets needs 2 good signature(s) of distinct keys, got 0 of 2 present (TUF 5.6.3)"],
    },
    surfaces: EVERYWHERE,
    advances: &["timestamp", "snapshot"],
    before: nothing,
    strike: |world| {
        world.repo.signers.insert("targets".into(), thieves(2));
        world.repo.publish()?;
        Ok(Vec::new())
    },
};
