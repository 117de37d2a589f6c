//! The end of a layer is cut off, and the length of the answer agrees.

use super::{Attack, EVERYWHERE, Expected, nothing};
use crate::world::Spoil;

pub(super) const ATTACK: Attack = Attack {
    name: "layer-shorter",
    story: "the last byte of a layer is cut off",
    step: "OCI image-spec, descriptor: size",
    expected: Expected::Refused { link: "layer", says: &[] },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| {
        let length = world.images.spoil(&world.layer(), Spoil::Truncate)?;
        Ok(vec![format!("expected {length} bytes"), format!("got {}", length.saturating_sub(1))])
    },
};
