//! Anybody can write a statement. Nobody signed this one.

use super::{Attack, EVERYWHERE, Expected, signed};
use crate::world::{APPROVAL, STATEMENT, statement};

pub(super) const ATTACK: Attack = Attack {
    name: "evidence-unsigned",
    story: "a statement that nobody signed is offered as a signature",
    step: "DSSE 1.0: signatures",
    expected: Expected::Refused {
        link: "evidence",
        says: &["signed by 1, got none", "got one without a signature"],
    },
    surfaces: EVERYWHERE,
    advances: &[],
    before: signed,
    strike: |world| {
        let index = world.index();
        world.images.detach_all();
        world.images.attach(&index, STATEMENT, &statement(&index, APPROVAL))?;
        Ok(Vec::new())
    },
};
