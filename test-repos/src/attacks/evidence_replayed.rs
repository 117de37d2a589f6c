//! An old signature, of what the tag meant before, is put beside the image of today.

use super::{Attack, EVERYWHERE, Expected, approval, signed};
use crate::world::BUNDLE;

pub(super) const ATTACK: Attack = Attack {
    name: "evidence-replayed",
    story: "the signature of an older image is offered for this one",
    step: "in-toto attestation 1.0: subject",
    expected: Expected::Refused {
        link: "evidence",
        says: &["expected a statement about ", ", got one about "],
    },
    surfaces: EVERYWHERE,
    advances: &[],
    before: signed,
    strike: |world| {
        let (index, older) = (world.index(), world.older());
        let (_, old) = approval(&older)?;
        world.images.detach_all();
        world.images.attach(&index, BUNDLE, &old)?;
        Ok(vec![index, older])
    },
};
