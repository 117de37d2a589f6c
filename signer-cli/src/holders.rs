//! Which keys of a role are here. Nothing is asked: what is locked counts as here, and isn't named.

use std::collections::BTreeMap;

use tuf_core::Role;
use tuf_core::key::Key;
use tuf_core::schema::RoleKeys;

use crate::key_ring::KeyRing;
use crate::proposal::KeySet;

/// The keys of one role, seen from this machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holding {
    /// The ids of those that are here, by their public halves.
    pub(crate) here: Vec<String>,
    /// How many are here that are called after the role and have no public half beside them.
    pub(crate) locked: usize,
    /// The ids of the others. With files that are locked some of them may be here.
    pub(crate) away: Vec<String>,
}

impl Holding {
    /// Whether what is here may be enough.
    pub(crate) fn suffices(&self, keys: &RoleKeys) -> bool {
        let here = self.here.len().saturating_add(self.locked);
        here >= usize::try_from(keys.threshold.get()).unwrap_or(usize::MAX)
    }
}

/// Looks which keys of a role are here.
pub(crate) fn holding(
    ring: &mut KeyRing,
    role: &Role,
    keys: &BTreeMap<String, Key>,
    of: &RoleKeys,
) -> Holding {
    let set = KeySet::of((keys.clone(), of.clone()), true);
    // Without a folder of keys there are none.
    let (here, locked) = ring.holds(role, &set).unwrap_or_default();
    let away = of.keyids.iter().filter(|id| !here.contains(id)).cloned().collect();
    Holding { here, locked, away }
}
