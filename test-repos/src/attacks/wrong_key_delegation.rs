//! With the keys of both online roles: a delegated role that anyone could have made.

use super::{Attack, EVERYWHERE, Expected, delegated, thieves};

pub(super) const ATTACK: Attack = Attack {
    name: "wrong-key-delegation",
    story: "a delegated role is signed by a key that its delegator doesn't list",
    step: "TUF 5.6.3",
    expected: Expected::Refused {
        link: "targets",
        says: &[
            "delegated role \"acme\" needs 1 good signature(s) of distinct keys, got 0 of 1 present (TUF 5.6.3)",
        ],
    },
    surfaces: EVERYWHERE,
    advances: &["timestamp", "snapshot"],
    before: delegated,
    strike: |world| {
        world.repo.signers.insert("acme".into(), thieves(1));
        world.repo.publish()?;
        Ok(Vec::new())
    },
};
