//! The older image with the metadata that went with it: every signature is good, and nothing is expired.

use super::{Attack, EVERYWHERE, Expected, nothing};

pub(super) const ATTACK: Attack = Attack {
    name: "tag-moved-back-by-replay",
    story: "the tag is moved back to an older signed image, and the repository with it",
    step: "TUF 5.4.3.1",
    expected: Expected::Refused {
        link: "timestamp",
        says: &["timestamp expected version 3, got 2 (TUF 5.4.3.1)"],
    },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| {
        let older = world.older();
        world.images.move_tag("1.4", &older)?;
        world.repo.replay("timestamp", 1, "timestamp.json")?;
        Ok(Vec::new())
    },
};
