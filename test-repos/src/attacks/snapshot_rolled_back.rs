//! With the timestamp's key alone: a fresh timestamp leads back to an older snapshot.

use super::{Attack, EVERYWHERE, Expected, nothing};

pub(super) const ATTACK: Attack = Attack {
    name: "snapshot-rolled-back",
    story: "a thief of the timestamp key states an older snapshot",
    step: "TUF 5.4.3.2",
    expected: Expected::Refused {
        link: "timestamp",
        says: &["timestamp lists \"snapshot.json\": expected version 3 or later, got 2 (TUF 5.4.3.2)"],
    },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| {
        world.repo.rewind("snapshot", 1)?;
        world.repo.rewind("targets", 1)?;
        world.repo.publish()?;
        Ok(Vec::new())
    },
};
