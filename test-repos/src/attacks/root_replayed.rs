//! The next root is asked for, and an old one comes, signed by the same keys.

use super::{Attack, EVERYWHERE, Expected};

pub(super) const ATTACK: Attack = Attack {
    name: "root-replayed",
    story: "an older root is served in the place of the next one",
    step: "TUF 5.3.5",
    expected: Expected::Refused { link: "root", says: &["root expected version 3, got 1 (TUF 5.3.5)"] },
    surfaces: EVERYWHERE,
    advances: &[],
    before: |world| world.publish_root(),
    strike: |world| {
        world.repo.replay("root", 1, "3.root.json")?;
        Ok(Vec::new())
    },
};
