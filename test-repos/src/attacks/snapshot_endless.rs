//! The snapshot never ends: memory or disk would, if nobody counted.

use super::{Attack, EVERYWHERE, Expected, nothing};
use crate::world::Conduct;

pub(super) const ATTACK: Attack = Attack {
    name: "snapshot-endless",
    story: "the snapshot goes on for ever",
    step: "TUF 5.5.1",
    expected: Expected::Refused { link: "snapshot", says: &["expected at most ", " bytes, got "] },
    surfaces: EVERYWHERE,
    advances: &["timestamp"],
    before: nothing,
    strike: |world| {
        world.publish_another()?;
        world.conduct.insert("4.snapshot.json".into(), Conduct::Endless);
        Ok(Vec::new())
    },
};
