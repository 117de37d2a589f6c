//! A bit of the manifest of one platform is another, as after a bad disk or a bad friend.

use super::{Attack, EVERYWHERE, Expected, nothing};

pub(super) const ATTACK: Attack = Attack {
    name: "child-flipped",
    story: "one bit of the manifest of one platform is changed on its way",
    step: "OCI image-spec, descriptor: digest",
    expected: Expected::Refused { link: "child", says: &[] },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| world.images.flip(&world.child()),
};
