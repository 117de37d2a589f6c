//! The publisher takes a stolen key away. What it signed before lies in the client's cache, unchanged.

use super::{Attack, EVERYWHERE, Expected, delegated};
use crate::simulator::Keyholder;

pub(super) const ATTACK: Attack = Attack {
    name: "delegation-rekeyed",
    story: "a delegated role's key is replaced, and the file that the old key signed is served on",
    step: "TUF 5.6.3",
    expected: Expected::Refused {
        link: "targets",
        says: &[
            "delegated role \"acme\" needs 1 good signature(s) of distinct keys, got 0 of 1 present (TUF 5.6.3)",
        ],
    },
    surfaces: EVERYWHERE,
    advances: &["timestamp", "snapshot", "targets"],
    before: delegated,
    strike: |world| {
        let pattern = world.sibling_names();
        world.repo.delegate("acme", &Keyholder::named("the new key of acme"), &[&pattern]);
        world.repo.publish()?;
        Ok(Vec::new())
    },
};
