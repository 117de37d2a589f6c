//! Mix and match: each file is good, but they were never published together.

use super::{Attack, EVERYWHERE, Expected, nothing};
use crate::digest::sha256_hex;

pub(super) const ATTACK: Attack = Attack {
    name: "mixed-moments",
    story: "a snapshot of one moment comes with targets of a later one",
    step: "TUF 5.6.2",
    expected: Expected::Refused {
        link: "targets",
        says: &["targets expected sha256:", "got sha256:", "(TUF 5.6.2)"],
    },
    surfaces: EVERYWHERE,
    advances: &["timestamp", "snapshot"],
    before: nothing,
    strike: |world| {
        world.publish_another()?;
        world.republish("targets")?;
        world.repo.replay("timestamp", 1, "timestamp.json")?;
        let (then, now) = world.repo.replay("targets", 0, "4.targets.json")?;
        Ok(vec![sha256_hex(&then), sha256_hex(&now)])
    },
};
