//! A bit of a layer is another, as after a bad disk or a bad friend.

use super::{Attack, EVERYWHERE, Expected, nothing};

pub(super) const ATTACK: Attack = Attack {
    name: "layer-flipped",
    story: "one bit of a layer is changed on its way",
    step: "OCI image-spec, descriptor: digest",
    expected: Expected::Refused { link: "layer", says: &[] },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| world.images.flip(&world.layer()),
};
