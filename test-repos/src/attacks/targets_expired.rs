//! The online roles are renewed by a machine, but no person has signed for three months.

use super::{Attack, EVERYWHERE, Expected, nothing};

pub(super) const ATTACK: Attack = Attack {
    name: "targets-expired",
    story: "the targets are past their expiry",
    step: "TUF 5.6.5",
    expected: Expected::Refused {
        link: "targets",
        says: &["targets expired at 2030-04-01T00:00:00Z, and it is now 2030-04-02T00:00:00Z (TUF 5.6.5)"],
    },
    surfaces: EVERYWHERE,
    advances: &["timestamp", "snapshot"],
    before: nothing,
    strike: |world| {
        world.wait(91);
        world.republish("snapshot")?;
        world.republish("timestamp")?;
        Ok(Vec::new())
    },
};
