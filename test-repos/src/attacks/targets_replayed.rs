//! The snapshot speaks of new targets; the old ones come under their name.

use super::{Attack, EVERYWHERE, Expected, nothing};

pub(super) const ATTACK: Attack = Attack {
    name: "targets-replayed",
    story: "older targets are served in the place of the new ones",
    step: "TUF 5.6.2",
    expected: Expected::Refused { link: "targets", says: &["targets expected ", "(TUF 5.6.2)"] },
    surfaces: EVERYWHERE,
    advances: &["timestamp", "snapshot"],
    before: nothing,
    strike: |world| {
        world.publish_another()?;
        let (new, old) = world.repo.replay("targets", 1, "4.targets.json")?;
        Ok(vec![format!("{} bytes", new.len()), format!("got {}", old.len())])
    },
};
