//! The registry shows no signature any more. What it withholds was not said.

use super::{Attack, EVERYWHERE, Expected, signed};

pub(super) const ATTACK: Attack = Attack {
    name: "evidence-hidden",
    story: "the registry hides the signature that is demanded",
    step: "OCI distribution-spec, listing referrers",
    expected: Expected::Refused { link: "evidence", says: &["signed by 1, got none"] },
    surfaces: EVERYWHERE,
    advances: &[],
    before: signed,
    strike: |world| {
        world.images.detach_all();
        Ok(Vec::new())
    },
};
