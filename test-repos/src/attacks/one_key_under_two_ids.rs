//! The root lists one key under two ids, which no reader of ids can see.

use serde_json::Value;

use super::{Attack, EVERYWHERE, Expected};
use crate::simulator::Keyholder;
use crate::world::{Setback, World};
use tuf_core::crypto::Sign;

pub(super) const ATTACK: Attack = Attack {
    name: "one-key-under-two-ids",
    story: "one key signs under two ids where two keys must",
    step: "TUF 5.6.3, GHSA-3633-5h82-39pq",
    expected: Expected::Refused {
        link: "targets",
        says: &["targets needs 2 good signature(s) of distinct keys, got 1 of 2 present (TUF 5.6.3)"],
    },
    surfaces: EVERYWHERE,
    advances: &["timestamp", "snapshot"],
    before: list_again,
    strike: |world| {
        let first = Keyholder::named("targets 1");
        world.repo.signers.insert("targets".into(), vec![first.under_id(ALIAS), first]);
        world.repo.publish()?;
        Ok(Vec::new())
    },
};

/// An id as good as any: ids are declared, not computed (TAP 12).
const ALIAS: &str = "the-same-key-again";

/// The publisher's mistake. It does no harm while two keys sign.
fn list_again(world: &mut World) -> Result<(), Setback> {
    let key = Keyholder::named("targets 1").key().to_value();
    let root = world.repo.role_mut("root").signed_mut();
    if let Some(keys) = root.get_mut("keys").and_then(Value::as_object_mut) {
        keys.insert(ALIAS.into(), key);
    }
    let roles = root.get_mut("roles").and_then(|roles| roles.pointer_mut("/targets/keyids"));
    if let Some(ids) = roles.and_then(Value::as_array_mut) {
        ids.push(ALIAS.into());
    }
    Ok(world.repo.publish()?)
}
