//! The timestamp is renewed by a machine, but nobody has looked at the snapshot for a week.

use super::{Attack, EVERYWHERE, Expected, nothing};

pub(super) const ATTACK: Attack = Attack {
    name: "snapshot-expired",
    story: "the snapshot is past its expiry",
    step: "TUF 5.5.6",
    expected: Expected::Refused {
        link: "snapshot",
        says: &["snapshot expired at 2030-01-08T00:00:00Z, and it is now 2030-01-09T00:00:00Z (TUF 5.5.6)"],
    },
    surfaces: EVERYWHERE,
    advances: &["timestamp"],
    before: nothing,
    strike: |world| {
        world.wait(8);
        world.republish("timestamp")?;
        Ok(Vec::new())
    },
};
