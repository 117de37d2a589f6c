//! The index never ends, and the registry announces no length.

use super::{Attack, EVERYWHERE, Expected, nothing};
use crate::world::Spoil;

pub(super) const ATTACK: Attack = Attack {
    name: "index-endless",
    story: "the index goes on for ever",
    step: "OCI distribution-spec, pulling manifests",
    expected: Expected::Refused { link: "manifest", says: &["expected at most ", " bytes, got "] },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| {
        world.images.spoil(&world.index(), Spoil::Endless)?;
        Ok(Vec::new())
    },
};
