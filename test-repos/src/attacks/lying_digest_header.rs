//! The registry claims the signed digest for another image, and hopes that nobody hashes.

use super::{Attack, Expected, REGISTRY, nothing};
use crate::world::Spoil;

pub(super) const ATTACK: Attack = Attack {
    name: "lying-digest-header",
    story: "the registry sends another image under the signed digest's name",
    step: "OCI distribution-spec, Docker-Content-Digest",
    expected: Expected::Refused { link: "manifest", says: &[] },
    surfaces: REGISTRY,
    advances: &[],
    before: nothing,
    strike: |world| {
        let (signed, unsigned) = (world.index(), world.unsigned());
        world.images.spoil(&unsigned, Spoil::Claim(signed))?;
        world.images.move_tag("1.4", &unsigned)
    },
};
