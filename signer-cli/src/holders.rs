//! Which keys of a role are here. Nothing is asked: what is locked counts as here, and isn't named.

use std::collections::BTreeMap;

use tuf_core::Role;
use tuf_core::key::Key;
use tuf_core::schema::RoleKeys;

use crate::key_file::signer;
use crate::key_ring::{self, KeyRing};

/// The keys of one role, seen from this machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holding {
    /// The ids of those whose files are here and open.
    pub(crate) here: Vec<String>,
    /// How many files are here that need a passphrase before they say which key they are.
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
pub(crate) fn holding(ring: &KeyRing, role: &Role, keys: &BTreeMap<String, Key>, of: &RoleKeys) -> Holding {
    let mut holding = Holding::default();
    // Without a folder of keys there are none.
    for path in ring.files(role).unwrap_or_default() {
        let Ok(file) = key_ring::read(&path) else { continue };
        if file.is_encrypted() {
            holding.locked = holding.locked.saturating_add(1);
            continue;
        }
        let Some(ours) = file.open(b"").ok().and_then(|seed| signer_material(&seed)) else { continue };
        let same = |id: &&String| keys.get(*id).and_then(|key| key.material().ok()).as_ref() == Some(&ours);
        if let Some(id) = of.keyids.iter().find(same).filter(|id| !holding.here.contains(id)) {
            holding.here.push(id.clone());
        }
    }
    holding.away = of.keyids.iter().filter(|id| !holding.here.contains(id)).cloned().collect();
    holding
}

fn signer_material(seed: &crate::key_file::Seed) -> Option<tuf_core::key::PublicKey> {
    use tuf_core::crypto::Sign as _;
    signer(seed).key().material().ok()
}
