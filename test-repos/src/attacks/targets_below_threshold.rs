//! One thief of one key, with those of the online roles, makes targets alone.

use super::{Attack, EVERYWHERE, Expected, nothing};

pub(super) const ATTACK: Attack = Attack {
    name: "targets-below-threshold",
    story: "one key signs the targets where two must",
    step: "TUF 5.6.3",
    expected: Expected::Refused {
        link: "targets",
        says: &["targets needs 2 good signature(s) of distinct keys, got 1 of 1 present (TUF 5.6.3)"],
    },
    surfaces: EVERYWHERE,
    advances: &["timestamp", "snapshot"],
    before: nothing,
    strike: |world| {
        world.repo.signers.entry("targets".into()).or_default().truncate(1);
        world.repo.publish()?;
        Ok(Vec::new())
    },
};
