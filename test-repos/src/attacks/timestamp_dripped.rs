//! Slow retrieval: one byte now and then keeps a patient client waiting, and old, for ever.

use super::{Attack, Expected, OVER_HTTP, nothing};
use crate::world::Conduct;

pub(super) const ATTACK: Attack = Attack {
    name: "timestamp-dripped",
    story: "the timestamp comes a byte at a time",
    step: "TUF 5.4.1, slow retrieval",
    expected: Expected::Refused { link: "timestamp", says: &["stalled: expected at least ", ", got "] },
    surfaces: OVER_HTTP,
    advances: &[],
    before: nothing,
    strike: |world| {
        world.conduct.insert("timestamp.json".into(), Conduct::Drip);
        Ok(Vec::new())
    },
};
