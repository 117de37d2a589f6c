//! With the keys of both online roles: a fresh snapshot leads back to older targets.

use super::{Attack, EVERYWHERE, Expected, nothing};

pub(super) const ATTACK: Attack = Attack {
    name: "targets-rolled-back",
    story: "a thief of the timestamp and snapshot keys states older targets",
    step: "TUF 5.5.5",
    expected: Expected::Refused {
        link: "snapshot",
        says: &["snapshot lists \"targets.json\": expected version 3 or later, got 2 (TUF 5.5.5)"],
    },
    surfaces: EVERYWHERE,
    advances: &["timestamp"],
    before: nothing,
    strike: |world| {
        world.repo.rewind("targets", 1)?;
        world.repo.publish()?;
        Ok(Vec::new())
    },
};
