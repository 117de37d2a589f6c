//! A bit of the config is another, as after a bad disk or a bad friend.

use super::{Attack, EVERYWHERE, Expected, nothing};

pub(super) const ATTACK: Attack = Attack {
    name: "config-flipped",
    story: "one bit of the config is changed on its way",
    step: "OCI image-spec, descriptor: digest",
    expected: Expected::Refused { link: "config", says: &[] },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| world.images.flip(&world.config()),
};
