//! The timestamp speaks of a new snapshot; the old one comes under its name.

use super::{Attack, EVERYWHERE, Expected, nothing};
use crate::digest::sha256_hex;

pub(super) const ATTACK: Attack = Attack {
    name: "snapshot-replayed",
    story: "an older snapshot is served in the place of the new one",
    step: "TUF 5.5.2",
    expected: Expected::Refused {
        link: "snapshot",
        says: &["snapshot expected sha256:", "got sha256:", "(TUF 5.5.2)"],
    },
    surfaces: EVERYWHERE,
    advances: &["timestamp"],
    before: nothing,
    strike: |world| {
        world.publish_another()?;
        let (new, old) = world.repo.replay("snapshot", 1, "4.snapshot.json")?;
        Ok(vec![sha256_hex(&new), sha256_hex(&old)])
    },
};
