//! A new root that its predecessor's keys know nothing of.

use super::{Attack, EVERYWHERE, Expected, nothing, thieves};

pub(super) const ATTACK: Attack = Attack {
    name: "wrong-key-root",
    story: "the root is signed by keys that no root lists",
    step: "TUF 5.3.4",
    expected: Expected::Refused {
        link: "root",
        says: &["root needs 2 good signature(s) of distinct keys, got 0 of 2 present (TUF 5.3.4)"],
    },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| {
        world.repo.signers.insert("root".into(), thieves(2));
        world.publish_root()?;
        Ok(Vec::new())
    },
};
