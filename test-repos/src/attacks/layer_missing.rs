//! Half an image: a layer that a signed document names isn't there.

use super::{Attack, EVERYWHERE, Expected, nothing};
use crate::world::Spoil;

pub(super) const ATTACK: Attack = Attack {
    name: "layer-missing",
    story: "a layer is withheld",
    step: "OCI image-spec, descriptor: digest",
    expected: Expected::Refused { link: "layer", says: &["missing"] },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| {
        world.images.spoil(&world.layer(), Spoil::Remove)?;
        Ok(vec![world.layer()])
    },
};
