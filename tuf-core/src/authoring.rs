//! Making and changing documents: the publisher's side (section 6).
//!
//! A document is edited as the JSON that it is, so members that we don't know survive. Signatures are
//! over the canonical form of what is written, and each is checked right after it was made.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use serde_json::{Map, Value, json};

use crate::canonical::{JsonError, canonical_value};
use crate::crypto::{Sign, SignError, Verify};
use crate::envelope::Envelope;
use crate::hash::hex;
use crate::key::Key;
use crate::schema::{MetaFile, RoleKeys, SuccinctRoles, Target, read_moment, strict_value};
use crate::threshold::weigh;
use crate::{Instant, Refusal, Role, Signers};

/// The version of the specification that we write.
pub const SPEC_VERSION: &str = "1.0.34";

/// A document being written: its signed part, and signatures that are valid only until the next change.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    signed: Map<String, Value>,
    signatures: BTreeMap<String, String>,
}

/// A delegation to write (section 4.5).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delegation {
    /// The delegated role's name.
    pub name: String,
    /// Its keys.
    pub keys: Vec<Key>,
    /// How many must sign.
    pub threshold: u32,
    /// Whether a search ends with it.
    pub terminating: bool,
    /// Path patterns it may speak for.
    pub paths: Vec<String>,
}

impl Document {
    fn new(kind: &str, expires: Instant, members: Value) -> Self {
        let mut signed = Map::new();
        signed.insert("_type".into(), kind.into());
        signed.insert("spec_version".into(), SPEC_VERSION.into());
        signed.insert("version".into(), 1.into());
        if let Value::Object(members) = members {
            signed.extend(members);
        }
        let mut document = Self { signed, signatures: BTreeMap::new() };
        document.set_expires(expires);
        document
    }

    /// A first root, consistent snapshots on, with no keys yet.
    #[must_use]
    pub fn root(expires: Instant) -> Self {
        let role = || json!({ "keyids": [], "threshold": 1 });
        let roles = json!({ "root": role(), "timestamp": role(), "snapshot": role(), "targets": role() });
        Self::new("root", expires, json!({ "consistent_snapshot": true, "keys": {}, "roles": roles }))
    }

    /// A first targets document, top-level or delegated, with no targets.
    #[must_use]
    pub fn targets(expires: Instant) -> Self {
        Self::new("targets", expires, json!({ "targets": {} }))
    }

    /// A first snapshot, with nothing listed.
    #[must_use]
    pub fn snapshot(expires: Instant) -> Self {
        Self::new("snapshot", expires, json!({ "meta": {} }))
    }

    /// A first timestamp, with nothing listed.
    #[must_use]
    pub fn timestamp(expires: Instant) -> Self {
        Self::new("timestamp", expires, json!({ "meta": {} }))
    }

    /// Reads a document to change it. Nothing is verified.
    ///
    /// # Errors
    /// Refuses bytes that are not an object with `signed` and `signatures`.
    pub fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        let malformed = |what: &str| JsonError::new(what);
        let Value::Object(mut envelope) = strict_value(bytes)? else {
            return Err(malformed("expected an object"));
        };
        let Some(Value::Object(signed)) = envelope.remove("signed") else {
            return Err(malformed("expected an object \"signed\""));
        };
        let Some(Value::Array(list)) = envelope.remove("signatures") else {
            return Err(malformed("expected an array \"signatures\""));
        };
        let mut signatures = BTreeMap::new();
        for one in &list {
            let text = |name: &str| one.get(name).and_then(Value::as_str).map(str::to_owned);
            let (Some(keyid), Some(sig)) = (text("keyid"), text("sig")) else {
                return Err(malformed("expected signatures with \"keyid\" and \"sig\""));
            };
            if signatures.insert(keyid, sig).is_some() {
                return Err(malformed("expected one signature for each key, got two (TUF 4.2)"));
            }
        }
        Ok(Self { signed, signatures })
    }

    /// The signed part.
    #[must_use]
    pub fn signed(&self) -> &Map<String, Value> {
        &self.signed
    }

    /// The signed part, to change. Signatures are dropped.
    pub fn signed_mut(&mut self) -> &mut Map<String, Value> {
        self.signatures.clear();
        &mut self.signed
    }

    /// The version; 0 where it is missing.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.signed.get("version").and_then(Value::as_u64).unwrap_or(0)
    }

    /// Sets the version.
    pub fn set_version(&mut self, version: u64) {
        self.signed_mut().insert("version".into(), version.into());
    }

    /// The expiry, where it can be read.
    #[must_use]
    pub fn expires(&self) -> Option<Instant> {
        let text = self.signed.get("expires")?.as_str()?;
        read_moment(text)
    }

    /// Sets the expiry, to the second.
    pub fn set_expires(&mut self, expires: Instant) {
        let text = expires.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        self.signed_mut().insert("expires".into(), text.into());
    }

    /// In a root: lets `key` sign for a top-level role.
    pub fn add_key(&mut self, role: &Role, key: &Key) {
        let id = key.id();
        self.object("keys").entry(id.clone()).or_insert_with(|| key.to_value());
        if let Some(Value::Array(ids)) = self.role_mut(role).get_mut("keyids")
            && !ids.iter().any(|known| known.as_str() == Some(&id))
        {
            ids.push(id.into());
        }
    }

    /// In a root: takes a key from a top-level role, and from the document when no role needs it.
    pub fn remove_key(&mut self, role: &Role, id: &str) {
        if let Some(Value::Array(ids)) = self.role_mut(role).get_mut("keyids") {
            ids.retain(|known| known.as_str() != Some(id));
        }
        let used = |role: &Value| {
            let ids = role.get("keyids").and_then(Value::as_array);
            ids.is_some_and(|ids| ids.iter().any(|known| known.as_str() == Some(id)))
        };
        if !self.object("roles").values().any(used) {
            self.object("keys").remove(id);
        }
    }

    /// In a root: sets how many keys of a top-level role must sign.
    pub fn set_threshold(&mut self, role: &Role, threshold: u32) {
        self.role_mut(role).insert("threshold".into(), threshold.into());
    }

    /// In targets: lists a target, or replaces what is said of it.
    ///
    /// # Errors
    /// Refuses a `custom` that is not JSON without fractions.
    pub fn set_target(&mut self, path: &str, target: &Target) -> Result<(), JsonError> {
        let mut value = json!({ "length": target.length, "hashes": target.hashes });
        if let (Some(custom), Some(object)) = (&target.custom, value.as_object_mut()) {
            object.insert("custom".into(), strict_value(custom.get().as_bytes())?);
        }
        self.object("targets").insert(path.to_owned(), value);
        Ok(())
    }

    /// In targets: whether a target is listed.
    #[must_use]
    pub fn has_target(&self, path: &str) -> bool {
        self.signed.get("targets").and_then(|targets| targets.get(path)).is_some()
    }

    /// In targets: drops all targets.
    pub fn clear_targets(&mut self) {
        self.signed_mut().insert("targets".into(), json!({}));
    }

    /// In targets: drops a target. Says whether it was listed.
    pub fn remove_target(&mut self, path: &str) -> bool {
        self.object("targets").remove(path).is_some()
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
        self.signatures.clear();
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
        self.signatures.clear();
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
        self.signatures.clear();
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

    /// In targets: adds a delegation at the end, or replaces the one of that name in its place.
    pub fn delegate(&mut self, delegation: &Delegation) {
        let Delegation { name, keys, threshold, terminating, paths } = delegation;
        let ids: Vec<String> = keys.iter().map(Key::id).collect();
        let role = json!({ "name": name, "keyids": ids, "threshold": threshold,
                           "terminating": terminating, "paths": paths });
        let delegations = self.object("delegations");
        let all = object_in(delegations, "keys");
        for (id, key) in ids.iter().zip(keys) {
            all.insert(id.clone(), key.to_value());
        }
        let roles = delegations.entry("roles").or_insert_with(|| json!([]));
        if let Value::Array(roles) = roles {
            let same = |role: &&mut Value| role.get("name").and_then(Value::as_str) == Some(name);
            match roles.iter_mut().find(same) {
                Some(old) => *old = role,
                None => roles.push(role),
            }
        }
    }

    /// In a snapshot or timestamp: states the version, length and hashes of a file.
    pub fn set_meta(&mut self, file: &str, meta: &MetaFile) {
        let mut value = json!({ "version": meta.version });
        if let Some(object) = value.as_object_mut() {
            if let Some(length) = meta.length {
                object.insert("length".into(), length.into());
            }
            if let Some(hashes) = &meta.hashes {
                object.insert("hashes".into(), json!(hashes));
            }
        }
        self.object("meta").insert(file.to_owned(), value);
    }

    /// The bytes that a signature is made over.
    ///
    /// # Errors
    /// Refuses fractions and deep nesting, which have no canonical form.
    pub fn canonical(&self) -> Result<Vec<u8>, JsonError> {
        canonical_value(&Value::Object(self.signed.clone()))
    }

    /// Signs with one key and checks the signature before it is taken. A second signature of the same
    /// key replaces the first.
    ///
    /// # Errors
    /// When the document has no canonical form, the key can't sign, or what it made is not valid.
    pub fn sign(&mut self, signer: &dyn Sign, crypto: &dyn Verify) -> Result<(), AuthorError> {
        let message = self.canonical().map_err(AuthorError::Json)?;
        let signature = signer.sign(&message).map_err(AuthorError::Sign)?;
        let good = signer.key().material().is_ok_and(|key| crypto.verify(&key, &message, &signature));
        if !good {
            return Err(AuthorError::BadSignature { key_id: signer.key_id() });
        }
        self.signatures.insert(signer.key_id(), hex(&signature));
        Ok(())
    }

    /// Whose valid signatures it carries, counted as a client counts them.
    ///
    /// # Errors
    /// Says how many keys were demanded and how many signed; or that it is malformed.
    pub fn signers(
        &self,
        role: &Role,
        keys: &BTreeMap<String, Key>,
        role_keys: &RoleKeys,
        crypto: &dyn Verify,
    ) -> Result<Signers, Refusal> {
        let envelope = Envelope::parse(role, "4.2", Arc::new(self.to_bytes()))?;
        weigh(crypto, role, "4.2", &envelope, keys, role_keys)
    }

    /// The signatures, by key id, in hex. None of them has been checked.
    pub fn signatures(&self) -> impl Iterator<Item = (&str, &str)> {
        self.signatures.iter().map(|(id, signature)| (id.as_str(), signature.as_str()))
    }

    /// Drops a signature.
    pub fn remove_signature(&mut self, key_id: &str) {
        self.signatures.remove(key_id);
    }

    /// Adds a signature as it is, unchecked: one made elsewhere, or a false one in a test.
    pub fn add_signature(&mut self, key_id: &str, signature_hex: &str) {
        self.signatures.insert(key_id.to_owned(), signature_hex.to_owned());
    }

    /// The ids of the keys that signed since the last change.
    pub fn signed_by(&self) -> impl Iterator<Item = &str> {
        self.signatures.keys().map(String::as_str)
    }

    /// The file to publish: in normal form, so that whoever reads it needn't copy it. People look at it with `jq`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let signatures: Vec<Value> =
            self.signatures.iter().map(|(id, sig)| json!({ "keyid": id, "sig": sig })).collect();
        let envelope = json!({ "signatures": signatures, "signed": self.signed });
        let mut bytes = serde_json::to_vec(&envelope).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    fn object(&mut self, name: &str) -> &mut Map<String, Value> {
        self.signatures.clear();
        object_in(&mut self.signed, name)
    }

    fn role_mut(&mut self, role: &Role) -> &mut Map<String, Value> {
        object_in(self.object("roles"), role.name())
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

/// The object called `name`, made (or made anew) where there is none.
fn object_in<'m>(parent: &'m mut Map<String, Value>, name: &str) -> &'m mut Map<String, Value> {
    let value = parent.entry(name).or_insert_with(|| json!({}));
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(object) => object,
        // Made an object just above.
        _ => unreachable!(),
    }
}

/// What a snapshot or timestamp says of a file with these bytes.
#[must_use]
pub fn meta_of(version: u64, bytes: &[u8]) -> MetaFile {
    let target = Target::of(bytes);
    MetaFile { version, length: Some(target.length), hashes: Some(target.hashes) }
}

/// Why a document could not be signed.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AuthorError {
    /// It has no canonical form.
    Json(JsonError),
    /// The key can't sign.
    Sign(SignError),
    /// The key made a signature that isn't valid: a broken token, or the wrong key behind it.
    BadSignature {
        /// The key.
        key_id: String,
    },
}

impl fmt::Display for AuthorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(why) => write!(f, "the document has no canonical form: {why}"),
            Self::Sign(why) => write!(f, "{why}"),
            Self::BadSignature { key_id } => {
                f.write_str(&format!("key {key_id} made a signature that its own public half doesn't verify"))
            }
        }
    }
}

impl core::error::Error for AuthorError {}
