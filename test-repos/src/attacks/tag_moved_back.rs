//! The image was signed, and stood under this very tag, but the publisher has moved on.

use super::{Attack, EVERYWHERE, Expected, nothing};

pub(super) const ATTACK: Attack = Attack {
    name: "tag-moved-back",
    story: "the registry's tag is moved back to an older signed image",
    step: "TUF 5.7.1: hash of the target",
    expected: Expected::Refused { link: "manifest", says: &[] },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| {
        let older = world.older();
        world.images.move_tag("1.4", &older)
    },
};
