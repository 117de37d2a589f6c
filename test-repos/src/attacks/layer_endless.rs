//! A layer never ends: a disk would, if nobody counted.

use super::{Attack, EVERYWHERE, Expected, nothing};
use crate::world::Spoil;

pub(super) const ATTACK: Attack = Attack {
    name: "layer-endless",
    story: "a layer goes on for ever",
    step: "OCI image-spec, descriptor: size",
    expected: Expected::Refused { link: "layer", says: &[" bytes, got "] },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| {
        let length = world.images.spoil(&world.layer(), Spoil::Endless)?;
        Ok(vec!["expected ".into(), length.to_string()])
    },
};
