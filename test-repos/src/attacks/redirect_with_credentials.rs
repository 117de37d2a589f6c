//! The bytes are right, so nothing is refused; but the other host must not see who asks.

use super::{Attack, Expected, REGISTRY, nothing};
use crate::world::Spoil;

pub(super) const ATTACK: Attack = Attack {
    name: "redirect-with-credentials",
    story: "the registry redirects to another host, to learn our credentials there",
    step: "OCI distribution-spec, redirects; RFC 9110 section 15.4",
    expected: Expected::Trusted,
    surfaces: REGISTRY,
    advances: &[],
    before: nothing,
    strike: |world| {
        world.images.spoil(&world.config(), Spoil::Redirect)?;
        world.images.spoil(&world.layer(), Spoil::Redirect)?;
        Ok(Vec::new())
    },
};
