//! A root is skipped, and with it whatever keys it had taken away.

use super::{Attack, EVERYWHERE, Expected, nothing};

pub(super) const ATTACK: Attack = Attack {
    name: "root-gap",
    story: "the root after the next is served as the next",
    step: "TUF 5.3.5",
    expected: Expected::Refused { link: "root", says: &["root expected version 2, got 3 (TUF 5.3.5)"] },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| {
        world.publish_root()?;
        world.publish_root()?;
        world.repo.replay("root", 0, "2.root.json")?;
        Ok(Vec::new())
    },
};
