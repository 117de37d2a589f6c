//! Something is appended to a layer; gzip and tar readers would not notice.

use super::{Attack, EVERYWHERE, Expected, nothing};
use crate::world::Spoil;

pub(super) const ATTACK: Attack = Attack {
    name: "layer-longer",
    story: "a byte is appended to a layer",
    step: "OCI image-spec, descriptor: size",
    expected: Expected::Refused { link: "layer", says: &["bytes, got "] },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| {
        let length = world.images.spoil(&world.layer(), Spoil::Extend)?;
        Ok(vec!["expected ".into(), length.to_string()])
    },
};
