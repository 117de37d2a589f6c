//! Who may sign for what: keys and thresholds of roles, and hash bins.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use serde_json::{Map, Value, json};

use super::{Document, object_in};
use crate::envelope::Envelope;
use crate::key::Key;
use crate::schema::{self, RoleKeys, SuccinctRoles};
use crate::{Refusal, Role};

impl Document {
    /// Refuses a document that no client would read as this role's: one of another type, or malformed. Who
    /// signed it isn't looked at.
    ///
    /// # Errors
    /// Names what was expected, and what came.
    pub fn expect_form(&self, role: &Role) -> Result<(), Refusal> {
        let envelope = Envelope::parse(role, "4.2", Arc::new(self.to_bytes()))?;
        match role {
            Role::Root => envelope.read::<schema::Root>(role, "4.3").map(drop),
            Role::Snapshot => envelope.read::<schema::Snapshot>(role, "4.4").map(drop),
            Role::Targets | Role::Delegated(_) => envelope.read::<schema::Targets>(role, "4.5").map(drop),
            Role::Timestamp => envelope.read::<schema::Timestamp>(role, "4.6").map(drop),
        }
    }

    /// The keys that a document names for a role, and how many must sign: of a top-level role in a root, of
    /// a delegated one, or of a bin (TAP 15), in targets. `None` where it names no such role, or where what
    /// it says can't be read.
    #[must_use]
    pub fn keys_of(&self, role: &Role) -> Option<(BTreeMap<String, Key>, RoleKeys)> {
        let (holder, keys) = match role {
            Role::Delegated(name) => {
                let delegations = self.signed.get("delegations")?;
                (delegated_role(delegations, name)?, delegations.get("keys")?)
            }
            top => (self.signed.get("roles")?.get(top.name())?, self.signed.get("keys")?),
        };
        let role_keys: RoleKeys = serde_json::from_value(holder.clone()).ok()?;
        let key = |id: &String| Some((id.clone(), serde_json::from_value(keys.get(id)?.clone()).ok()?));
        let keys = role_keys.keyids.iter().filter_map(key).collect();
        Some((keys, role_keys))
    }

    /// Lets `key` sign for a role under `id`: of a top-level role in a root, of a delegated one in targets.
    /// Says whether the document names that role.
    pub fn add_key_of(&mut self, role: &Role, id: &str, key: &Key) -> bool {
        self.changed();
        let Some(ids) = self.key_ids_mut(role) else { return false };
        if !ids.iter().any(|known| known.as_str() == Some(id)) {
            ids.push(id.into());
        }
        if let Some(keys) = self.keys_mut(role) {
            keys.entry(id.to_owned()).or_insert_with(|| key.to_value());
        }
        true
    }

    /// Takes a key from a role, and from the document when no role there needs it. Says whether the role
    /// had it.
    pub fn remove_key_of(&mut self, role: &Role, id: &str) -> bool {
        self.changed();
        let Some(ids) = self.key_ids_mut(role) else { return false };
        let before = ids.len();
        ids.retain(|known| known.as_str() != Some(id));
        let had = ids.len() != before;
        let used = match role {
            Role::Delegated(_) => self.signed.get("delegations").is_some_and(|delegations| {
                let roles = delegations.get("roles").and_then(Value::as_array);
                let mut all = roles.into_iter().flatten().chain(delegations.get("succinct_roles"));
                all.any(|role| lists_key(role, id))
            }),
            _ => self
                .signed
                .get("roles")
                .and_then(Value::as_object)
                .is_some_and(|roles| roles.values().any(|role| lists_key(role, id))),
        };
        if !used && let Some(keys) = self.keys_mut(role) {
            keys.remove(id);
        }
        had
    }

    /// Sets how many keys of a role must sign. Says whether the document names that role.
    pub fn set_threshold_of(&mut self, role: &Role, threshold: u32) -> bool {
        self.changed();
        let Some(holder) = self.holder_mut(role) else { return false };
        holder.insert("threshold".into(), threshold.into());
        true
    }

    /// In targets: takes a delegation away, with the keys that no other needs. Says whether it was there.
    pub fn undelegate(&mut self, name: &str) -> bool {
        let role = Role::Delegated(name.to_owned());
        let ids = self.keys_of(&role).map(|(_, keys)| keys.keyids).unwrap_or_default();
        let delegations = self.object("delegations");
        let Some(Value::Array(roles)) = delegations.get_mut("roles") else { return false };
        let before = roles.len();
        roles.retain(|one| one.get("name").and_then(Value::as_str) != Some(name));
        let gone = roles.len() != before;
        for id in ids {
            let used = delegations.get("roles").and_then(Value::as_array);
            if !used.is_some_and(|roles| roles.iter().any(|role| lists_key(role, &id))) {
                object_in(delegations, "keys").remove(&id);
            }
        }
        gone
    }

    /// In targets: delegates everything to 2^`bit_length` bins with one set of keys (TAP 15), in place of
    /// whatever was delegated before.
    pub fn delegate_succinct(&mut self, bins: &Bins<'_>) {
        let Bins { name_prefix, bit_length, keys, threshold } = bins;
        let ids: Vec<&str> = keys.iter().map(|(id, _)| id.as_str()).collect();
        let all: Map<String, Value> = keys.iter().map(|(id, key)| (id.clone(), key.to_value())).collect();
        let succinct = json!({ "keyids": ids, "threshold": threshold,
                               "bit_length": bit_length, "name_prefix": name_prefix });
        self.signed_mut().insert("delegations".into(), json!({ "keys": all, "succinct_roles": succinct }));
    }

    /// In targets: delegates everything to bins that are written out, in place of whatever was delegated
    /// before: 2^`bit_length` roles, each for the paths whose SHA-256 starts with one prefix.
    pub fn delegate_hashed(&mut self, bins: &Bins<'_>) {
        let Bins { bit_length, keys, threshold, .. } = bins;
        let ids: Vec<&str> = keys.iter().map(|(id, _)| id.as_str()).collect();
        let all: Map<String, Value> = keys.iter().map(|(id, key)| (id.clone(), key.to_value())).collect();
        let roles: Vec<Value> = bins
            .names()
            .zip(0_u64..)
            .map(|(name, bin)| {
                json!({ "name": name, "keyids": ids, "threshold": threshold, "terminating": false,
                        "path_hash_prefixes": hash_prefixes(bin, *bit_length) })
            })
            .collect();
        self.signed_mut().insert("delegations".into(), json!({ "keys": all, "roles": roles }));
    }

    fn key_ids_mut(&mut self, role: &Role) -> Option<&mut Vec<Value>> {
        match self.holder_mut(role)?.get_mut("keyids") {
            Some(Value::Array(ids)) => Some(ids),
            _ => None,
        }
    }

    fn keys_mut(&mut self, role: &Role) -> Option<&mut Map<String, Value>> {
        let holder = match role {
            Role::Delegated(_) => self.signed.get_mut("delegations")?.as_object_mut()?,
            _ => &mut self.signed,
        };
        Some(object_in(holder, "keys"))
    }

    /// The object with the role's keys and threshold.
    fn holder_mut(&mut self, role: &Role) -> Option<&mut Map<String, Value>> {
        match role {
            Role::Delegated(name) => {
                let delegations = self.signed.get_mut("delegations")?.as_object_mut()?;
                let named = delegations.get("roles").and_then(Value::as_array).is_some_and(|roles| {
                    roles.iter().any(|role| role.get("name").and_then(Value::as_str) == Some(name))
                });
                if named {
                    let roles = delegations.get_mut("roles")?.as_array_mut()?;
                    let same = |role: &&mut Value| role.get("name").and_then(Value::as_str) == Some(name);
                    return roles.iter_mut().find(same)?.as_object_mut();
                }
                let bins = delegations.get_mut("succinct_roles")?;
                bins_of(bins)?.number_of(name)?;
                bins.as_object_mut()
            }
            top => self.signed.get_mut("roles")?.get_mut(top.name())?.as_object_mut(),
        }
    }
}

/// Hash bins to write: 2^`bit_length` roles with one set of keys.
#[derive(Clone, Copy, Debug)]
pub struct Bins<'k> {
    /// What the names of the bins start with.
    pub name_prefix: &'k str,
    /// How many bits of the path's SHA-256 choose the bin: 1 to 32.
    pub bit_length: u32,
    /// The keys, by the ids under which they are listed.
    pub keys: &'k [(String, Key)],
    /// How many must sign.
    pub threshold: u32,
}

impl Bins<'_> {
    /// The names of the bins, in the order of the hashes that they are for (TAP 15).
    pub fn names(&self) -> impl Iterator<Item = String> + use<> {
        bin_names(self.name_prefix, self.bit_length)
    }
}

/// The names of 2^`bit_length` bins, in order: the prefix, a dash, and the number in hex, as wide as that of
/// the last one (TAP 15).
pub fn bin_names(name_prefix: &str, bit_length: u32) -> impl Iterator<Item = String> + use<> {
    let width = usize::try_from(bit_length.div_ceil(4)).unwrap_or(8);
    let prefix = name_prefix.to_owned();
    (0..1_u64.checked_shl(bit_length).unwrap_or(0)).map(move |bin| format!("{prefix}-{bin:0width$x}"))
}

/// The prefixes, in hex, of the hashes whose first `bits` bits are `bin`.
fn hash_prefixes(bin: u64, bits: u32) -> Vec<String> {
    let digits = bits.div_ceil(4);
    let spare = digits.saturating_mul(4).saturating_sub(bits);
    let width = usize::try_from(digits).unwrap_or(8);
    let first = bin.checked_shl(spare).unwrap_or(0);
    (0..1_u64.checked_shl(spare).unwrap_or(1))
        .map(|step| format!("{:0width$x}", first.saturating_add(step)))
        .collect()
}

fn bins_of(succinct: &Value) -> Option<SuccinctRoles> {
    serde_json::from_value(succinct.clone()).ok()
}

/// The object that names a delegated role's keys: its own, or that of the bins of which it is one.
fn delegated_role<'d>(delegations: &'d Value, name: &str) -> Option<&'d Value> {
    let roles = delegations.get("roles").and_then(Value::as_array);
    let named = |role: &&Value| role.get("name").and_then(Value::as_str) == Some(name);
    if let Some(role) = roles.into_iter().flatten().find(named) {
        return Some(role);
    }
    let bins = delegations.get("succinct_roles")?;
    bins_of(bins)?.number_of(name).map(|_| bins)
}

fn lists_key(role: &Value, id: &str) -> bool {
    let ids = role.get("keyids").and_then(Value::as_array);
    ids.is_some_and(|ids| ids.iter().any(|known| known.as_str() == Some(id)))
}
