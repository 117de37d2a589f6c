//! The targets never end: memory or disk would, if nobody counted.

use super::{Attack, EVERYWHERE, Expected, nothing};
use crate::world::Conduct;

pub(super) const ATTACK: Attack = Attack {
    name: "targets-endless",
    story: "the targets go on for ever",
    step: "TUF 5.6.1",
    expected: Expected::Refused { link: "targets", says: &["expected at most ", " bytes, got "] },
    surfaces: EVERYWHERE,
    advances: &["timestamp", "snapshot"],
    before: nothing,
    strike: |world| {
        world.publish_another()?;
        world.conduct.insert("4.targets.json".into(), Conduct::Endless);
        Ok(Vec::new())
    },
};
