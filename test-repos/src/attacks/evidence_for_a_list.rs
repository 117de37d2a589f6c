//! A list of what is inside is signed by the right key. That is no approval of the image.

use super::{Attack, EVERYWHERE, Expected, release, signed};

pub(super) const ATTACK: Attack = Attack {
    name: "evidence-for-a-list",
    story: "a signed list of components is offered as a signature of the image",
    step: "in-toto attestation 1.0: predicateType",
    expected: Expected::Refused {
        link: "evidence",
        says: &["expected https://sigstore.dev/cosign/sign/v1 signed by 1, got none"],
    },
    surfaces: EVERYWHERE,
    advances: &[],
    before: signed,
    strike: |world| {
        let index = world.index();
        world.images.detach_all();
        world.attest(&index, "https://spdx.dev/Document", &release())?;
        Ok(Vec::new())
    },
};
