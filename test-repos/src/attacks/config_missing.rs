//! Half an image: the config that a signed document names isn't there.

use super::{Attack, EVERYWHERE, Expected, nothing};
use crate::world::Spoil;

pub(super) const ATTACK: Attack = Attack {
    name: "config-missing",
    story: "the config is withheld",
    step: "OCI image-spec, descriptor: digest",
    expected: Expected::Refused { link: "config", says: &["missing"] },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| {
        world.images.spoil(&world.config(), Spoil::Remove)?;
        Ok(vec![world.config()])
    },
};
