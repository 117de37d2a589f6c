//! The registry can't answer now. That says nothing about the image.

use super::{Attack, Expected, REGISTRY, nothing};

pub(super) const ATTACK: Attack = Attack {
    name: "registry-unavailable",
    story: "the registry says that it can't answer now",
    step: "OCI distribution-spec, error codes",
    expected: Expected::Unknown { link: "manifest", says: &["could not reach "] },
    surfaces: REGISTRY,
    advances: &[],
    before: nothing,
    strike: |world| {
        world.images.unavailable = true;
        Ok(Vec::new())
    },
};
