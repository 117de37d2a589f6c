//! Nothing answers. That says nothing about the image, and is no reason to trust it.

use super::{Attack, Expected, OVER_HTTP, nothing};

pub(super) const ATTACK: Attack = Attack {
    name: "repository-unreachable",
    story: "nothing answers where the trust repository should be",
    step: "TUF 5.3.3",
    expected: Expected::Unknown { link: "root", says: &["could not reach "] },
    surfaces: OVER_HTTP,
    advances: &[],
    before: nothing,
    strike: |world| {
        world.unreachable = true;
        Ok(Vec::new())
    },
};
