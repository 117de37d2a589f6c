//! Half an image: the manifest of one platform that a signed document names isn't there.

use super::{Attack, EVERYWHERE, Expected, nothing};
use crate::world::Spoil;

pub(super) const ATTACK: Attack = Attack {
    name: "child-missing",
    story: "the manifest of one platform is withheld",
    step: "OCI image-spec, descriptor: digest",
    expected: Expected::Refused { link: "child", says: &["missing"] },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| {
        world.images.spoil(&world.child(), Spoil::Remove)?;
        Ok(vec![world.child()])
    },
};
