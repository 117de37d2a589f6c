//! Two must sign. One signs twice, by two documents that differ.

use super::{Attack, EVERYWHERE, Expected, release};
use crate::simulator::Keyholder;
use crate::world::{APPROVAL, BUNDLE, Setback, World, bundle, statement};

pub(super) const ATTACK: Attack = Attack {
    name: "evidence-by-one-twice",
    story: "of two who must sign, one signs twice",
    step: "DSSE 1.0: threshold by unique keys",
    expected: Expected::Refused { link: "evidence", says: &["signed by 2, got 1"] },
    surfaces: EVERYWHERE,
    advances: &[],
    before: by_two,
    strike: |world| {
        let index = world.index();
        world.images.detach_all();
        world.attest(&index, APPROVAL, &release())?;
        let mut spaced = statement(&index, APPROVAL);
        spaced.push(b'\n');
        world.images.attach(&index, BUNDLE, &bundle(&spaced, &[release()])?)?;
        Ok(Vec::new())
    },
};

fn by_two(world: &mut World) -> Result<(), Setback> {
    let (index, both) = (world.index(), [release(), Keyholder::named("review")]);
    world.demand(2, &both);
    for one in &both {
        world.attest(&index, APPROVAL, one)?;
    }
    Ok(())
}
