//! A team that may speak for its own images speaks for one of ours.

use super::{Attack, EVERYWHERE, Expected};
use crate::simulator::Keyholder;
use crate::world::{Setback, World};

pub(super) const ATTACK: Attack = Attack {
    name: "outside-delegation",
    story: "a delegated role lists an image that its delegation doesn't cover",
    step: "TUF 5.6.7",
    expected: Expected::Refused { link: "target", says: &["no role that may speak for", "lists it"] },
    surfaces: EVERYWHERE,
    advances: &["timestamp", "snapshot", "targets"],
    before: welcome_a_team,
    strike: |world| {
        world.withdraw();
        world.announce_as("team", "1.4", &world.index())?;
        world.repo.publish()?;
        Ok(vec![world.path()])
    },
};

fn welcome_a_team(world: &mut World) -> Result<(), Setback> {
    world.repo.delegate("team", &Keyholder::named("team"), &["other/*"]);
    Ok(world.repo.publish()?)
}
