//! The newest news is held back by repeating older news.

use super::{Attack, EVERYWHERE, Expected};
use crate::world::World;

pub(super) const ATTACK: Attack = Attack {
    name: "timestamp-replayed",
    story: "an older timestamp is served",
    step: "TUF 5.4.3.1",
    expected: Expected::Refused {
        link: "timestamp",
        says: &["timestamp expected version 4, got 3 (TUF 5.4.3.1)"],
    },
    surfaces: EVERYWHERE,
    advances: &[],
    before: World::publish_another,
    strike: |world| {
        world.repo.replay("timestamp", 1, "timestamp.json")?;
        Ok(Vec::new())
    },
};
