//! A thousand and more lie beside the image. The publisher's metadata says which one counts: no flood hides it.

use super::{Attack, Expected, REGISTRY, approval, flood, signed};
use crate::world::{Setback, World};

pub(super) const ATTACK: Attack = Attack {
    name: "evidence-flooded",
    story: "a thousand others are put before the signature that the metadata names",
    step: "TUF 4.5: custom; OCI distribution-spec, listing referrers",
    expected: Expected::Trusted,
    surfaces: REGISTRY,
    advances: &[],
    before: named,
    strike: |world| {
        flood(world)?;
        Ok(Vec::new())
    },
};

/// The metadata names the blob, and not the manifest, which is harder to find.
fn named(world: &mut World) -> Result<(), Setback> {
    signed(world)?;
    let (blob, _) = approval(&world.index())?;
    world.name_evidence(&[blob])?;
    Ok(world.repo.publish()?)
}
