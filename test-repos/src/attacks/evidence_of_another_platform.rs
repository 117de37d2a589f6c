//! A signature of the image for another platform is put beside the one that will run.

use super::{Attack, EVERYWHERE, Expected, approval, signed};
use crate::world::BUNDLE;

pub(super) const ATTACK: Attack = Attack {
    name: "evidence-of-another-platform",
    story: "the signature of another platform's image is offered for the one that will run",
    step: "in-toto attestation 1.0: subject",
    expected: Expected::Refused {
        link: "evidence",
        says: &["expected a statement about ", ", got one about "],
    },
    surfaces: EVERYWHERE,
    advances: &[],
    before: signed,
    strike: |world| {
        let (child, sibling) = (world.child(), world.sibling());
        let (_, other) = approval(&sibling)?;
        world.images.detach_all();
        world.images.attach(&child, BUNDLE, &other)?;
        Ok(vec![child, sibling])
    },
};
