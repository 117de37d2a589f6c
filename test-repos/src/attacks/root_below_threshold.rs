//! One thief of one root key makes a root alone.

use super::{Attack, EVERYWHERE, Expected, nothing};

pub(super) const ATTACK: Attack = Attack {
    name: "root-below-threshold",
    story: "one key signs the root where two must",
    step: "TUF 5.3.4",
    expected: Expected::Refused {
        link: "root",
        says: &["root needs 2 good signature(s) of distinct keys, got 1 of 1 present (TUF 5.3.4)"],
    },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| {
        world.repo.signers.entry("root".into()).or_default().truncate(1);
        world.publish_root()?;
        Ok(Vec::new())
    },
};
