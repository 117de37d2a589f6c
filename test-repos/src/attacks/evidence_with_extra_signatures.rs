//! A bundle has one signature. Of several, readers would look at different ones.

use super::{Attack, EVERYWHERE, Expected, release, signed, thieves};
use crate::world::{APPROVAL, BUNDLE, bundle, statement};

pub(super) const ATTACK: Attack = Attack {
    name: "evidence-with-extra-signatures",
    story: "a stranger's signature is added to a bundle",
    step: "DSSE 1.0: signatures; sigstore bundle 0.3",
    expected: Expected::Refused {
        link: "evidence",
        says: &["signed by 1, got none", " signature in the envelope, got "],
    },
    surfaces: EVERYWHERE,
    advances: &[],
    before: signed,
    strike: |world| {
        let index = world.index();
        world.images.detach_all();
        let keys = [thieves(1), vec![release()]].concat();
        world.images.attach(&index, BUNDLE, &bundle(&statement(&index, APPROVAL), &keys)?)?;
        Ok(vec!["expected 1".into(), "got 2".into()])
    },
};
