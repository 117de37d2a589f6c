//! Slow retrieval: one byte now and then keeps a patient client waiting for ever.

use super::{Attack, Expected, REGISTRY, nothing};
use crate::world::Spoil;

pub(super) const ATTACK: Attack = Attack {
    name: "layer-dripped",
    story: "a layer comes a byte at a time",
    step: "OCI distribution-spec, pulling blobs",
    expected: Expected::Refused { link: "layer", says: &["stalled: expected at least ", ", got "] },
    surfaces: REGISTRY,
    advances: &[],
    before: nothing,
    strike: |world| {
        world.images.spoil(&world.layer(), Spoil::Drip)?;
        Ok(Vec::new())
    },
};
