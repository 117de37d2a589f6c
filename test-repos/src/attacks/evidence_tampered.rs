//! One bit of the signature is another: the manifest beside the image still names the good one.

use super::{Attack, EVERYWHERE, Expected, approval, signed};

pub(super) const ATTACK: Attack = Attack {
    name: "evidence-tampered",
    story: "one bit of the signature is flipped",
    step: "OCI image-spec, descriptor digests",
    expected: Expected::Refused { link: "evidence", says: &["signed by 1, got none"] },
    surfaces: EVERYWHERE,
    advances: &[],
    before: signed,
    strike: |world| {
        let (digest, _) = approval(&world.index())?;
        world.images.flip(&digest)
    },
};
