//! Whoever may push moves the tag. Nobody signed that image.

use super::{Attack, EVERYWHERE, Expected, nothing};

pub(super) const ATTACK: Attack = Attack {
    name: "tag-moved",
    story: "the registry's tag is moved to an image that nobody signed",
    step: "TUF 5.7.1: hash of the target",
    expected: Expected::Refused { link: "manifest", says: &[] },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| {
        let unsigned = world.unsigned();
        world.images.move_tag("1.4", &unsigned)
    },
};
