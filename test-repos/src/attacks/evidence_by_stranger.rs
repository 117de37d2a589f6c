//! A good signature, by a key that nobody named.

use super::{Attack, EVERYWHERE, Expected, signed, thieves};
use crate::world::APPROVAL;

pub(super) const ATTACK: Attack = Attack {
    name: "evidence-by-stranger",
    story: "a stranger signs the image in place of the one who must",
    step: "DSSE 1.0: signatures",
    expected: Expected::Refused { link: "evidence", says: &["signed by 1, got none", "by none of them"] },
    surfaces: EVERYWHERE,
    advances: &[],
    before: signed,
    strike: |world| {
        let index = world.index();
        world.images.detach_all();
        for thief in thieves(1) {
            world.attest(&index, APPROVAL, &thief)?;
        }
        Ok(Vec::new())
    },
};
