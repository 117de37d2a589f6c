//! The manifest announces four gigabytes, to be read before anything can be verified.

use super::{Attack, EVERYWHERE, Expected, signed};
use crate::world::BUNDLE;

pub(super) const ATTACK: Attack = Attack {
    name: "evidence-oversized",
    story: "a signature of four gigabytes is announced",
    step: "OCI image-spec, descriptor sizes",
    expected: Expected::Refused {
        link: "evidence",
        says: &["signed by 1, got none", "expected a piece of evidence in bytes of at most "],
    },
    surfaces: EVERYWHERE,
    advances: &[],
    before: signed,
    strike: |world| {
        let index = world.index();
        world.images.detach_all();
        world.images.attach_sized(&index, BUNDLE, b"{}", 4 << 30)?;
        Ok(vec!["4294967296".into()])
    },
};
