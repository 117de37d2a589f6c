//! A bit of the index is another, as after a bad disk or a bad friend.

use super::{Attack, EVERYWHERE, Expected, nothing};

pub(super) const ATTACK: Attack = Attack {
    name: "index-flipped",
    story: "one bit of the index is changed on its way",
    step: "TUF 5.7.1: hash of the target",
    expected: Expected::Refused { link: "manifest", says: &[] },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| world.images.flip(&world.index()),
};
