//! The root never ends: memory or disk would, if nobody counted.

use super::{Attack, EVERYWHERE, Expected, nothing};
use crate::world::Conduct;

pub(super) const ATTACK: Attack = Attack {
    name: "root-endless",
    story: "the root goes on for ever",
    step: "TUF 5.3.3",
    expected: Expected::Refused { link: "root", says: &["expected at most ", " bytes, got "] },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| {
        world.publish_root()?;
        world.conduct.insert("2.root.json".into(), Conduct::Endless);
        Ok(Vec::new())
    },
};
