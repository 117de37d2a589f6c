//! A good manifest in the wrong place: another platform's comes for the one that is asked for.

use super::{Attack, EVERYWHERE, Expected, nothing};
use crate::world::Spoil;

pub(super) const ATTACK: Attack = Attack {
    name: "child-swapped",
    story: "the manifest of one platform is answered with that of another",
    step: "OCI image-spec, descriptor: digest",
    expected: Expected::Refused { link: "child", says: &[] },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| {
        let other = world.images.part(&world.sibling())?.bytes.clone();
        world.images.spoil(&world.child(), Spoil::Swap(other))?;
        Ok(vec![world.child(), world.sibling()])
    },
};
