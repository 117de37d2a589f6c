//! A thousand and more lie beside the image. The good signature is among them, and nobody says which it is.

use super::{Attack, EVERYWHERE, Expected, flood, signed};

pub(super) const ATTACK: Attack = Attack {
    name: "evidence-drowned",
    story: "the signature is lost among a thousand others",
    step: "OCI distribution-spec, listing referrers",
    expected: Expected::Refused {
        link: "evidence",
        says: &["signed by 1, got none", "expected at most 1000"],
    },
    surfaces: EVERYWHERE,
    advances: &[],
    before: signed,
    strike: |world| {
        flood(world)?;
        Ok(Vec::new())
    },
};
