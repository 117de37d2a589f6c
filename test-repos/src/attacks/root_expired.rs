//! The next root is withheld until the client's own is past its expiry.

use super::{Attack, EVERYWHERE, Expected, nothing};

pub(super) const ATTACK: Attack = Attack {
    name: "root-expired",
    story: "the root is past its expiry, and no newer one is served",
    step: "TUF 5.3.10",
    expected: Expected::Refused {
        link: "root",
        says: &["root expired at 2031-01-01T00:00:00Z, and it is now 2031-01-02T00:00:00Z (TUF 5.3.10)"],
    },
    surfaces: EVERYWHERE,
    advances: &[],
    before: nothing,
    strike: |world| {
        world.wait(366);
        Ok(Vec::new())
    },
};
