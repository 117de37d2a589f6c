//! The older image has a signature, and a good one. What the name means now is not for signatures to say.

use super::{Attack, EVERYWHERE, Expected, release, signed};
use crate::world::APPROVAL;

pub(super) const ATTACK: Attack = Attack {
    name: "tag-moved-back-with-evidence",
    story: "the tag is moved back to an older image, signature and all",
    step: "TUF 5.7.1: hash of the target",
    expected: Expected::Refused { link: "manifest", says: &[] },
    surfaces: EVERYWHERE,
    advances: &[],
    before: signed,
    strike: |world| {
        let older = world.older();
        world.attest(&older, APPROVAL, &release())?;
        world.images.move_tag("1.4", &older)
    },
};
