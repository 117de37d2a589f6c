//! The timestamp never ends: memory or disk would, if nobody counted.

use super::{Attack, EVERYWHERE, Expected, nothing};
use crate::world::Conduct;

pub(super) const ATTACK: Attack = Attack {
    name: "timestamp-endless",
    story: "the timestamp goes on for ever",
    step: "TUF 5.4.1",
    expected: Expected::Refused { link: "timestamp", says: &["expected at most ", " bytes, got "] },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| {
        world.conduct.insert("timestamp.json".into(), Conduct::Endless);
        Ok(Vec::new())
    },
};
