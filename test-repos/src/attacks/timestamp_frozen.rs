//! Freeze: the newest timestamp that the attacker had is served for ever.

use super::{Attack, EVERYWHERE, Expected, nothing};

pub(super) const ATTACK: Attack = Attack {
    name: "timestamp-frozen",
    story: "an expired timestamp is served, although there is a newer one",
    step: "TUF 5.4.4",
    expected: Expected::Refused {
        link: "timestamp",
        says: &["timestamp expired at 2030-01-02T00:00:00Z, and it is now 2030-01-03T00:00:00Z (TUF 5.4.4)"],
    },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| {
        world.wait(2);
        world.repo.renew(world.now);
        world.repo.publish()?;
        world.repo.replay("timestamp", 1, "timestamp.json")?;
        Ok(Vec::new())
    },
};
