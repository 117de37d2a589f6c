//! Making and changing documents: the publisher's side (section 6).
//!
//! A document is edited as the JSON that it is, so members that we don't know survive. Signatures are
//! over the canonical form of what is written, and each is checked right after it was made.

mod listed;
mod roles;

use alloc::borrow::{Cow, ToOwned};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use serde_json::{Map, Value, json};

use crate::canonical::{JsonError, canonicalise, is_normal_form, normal_text};
use crate::crypto::{Sign, SignError, Verify};
use crate::envelope::Envelope;
use crate::hash::hex;
use crate::key::Key;
use crate::listing::Listing;
use crate::schema::{MetaFile, RoleKeys, Target, read_moment, strict_value};
use crate::threshold::weigh;
use crate::{Instant, Refusal, Role, Signers};

use listed::{Listed, quoted};
pub use roles::{Bins, bin_names};

/// The version of the specification that we write.
pub const SPEC_VERSION: &str = "1.0.34";

/// A document being written: its signed part, and signatures that are valid only until the next change.
#[derive(Clone, Debug)]
pub struct Document {
    signed: Map<String, Value>,
    /// The member that may list a hundred thousand things, where it is kept as text.
    listing: Option<Listed>,
    signatures: BTreeMap<String, String>,
    /// Of a large document: the signed part as it was last signed, which is also how the file writes it.
    text: Option<Vec<u8>>,
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        let Self { signed, listing, signatures, text: _ } = self;
        *signed == other.signed && *listing == other.listing && *signatures == other.signatures
    }
}

/// From this size on, the text that was signed is kept for the file: a smaller one is written as fast anew.
const LARGE: usize = 1 << 20;

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
        let mut document = Self { signed, listing: None, signatures: BTreeMap::new(), text: None };
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
        Ok(Self { signed, listing: None, signatures, text: None })
    }

    /// Reads a document to change it, as [`Self::parse`] does, and leaves what it lists (`targets` of targets,
    /// `meta` of a snapshot) as text: [`Self::signed`] is without that.
    ///
    /// # Errors
    /// As for [`Self::parse`].
    pub fn parse_listed(bytes: &[u8]) -> Result<Self, JsonError> {
        Self::parse_listed_shared(&Arc::new(bytes.to_vec()))
    }

    /// [`Self::parse_listed`] of bytes that needn't be copied.
    ///
    /// # Errors
    /// As for [`Self::parse`].
    pub fn parse_listed_shared(bytes: &Arc<Vec<u8>>) -> Result<Self, JsonError> {
        let refused = |refusal: Refusal| JsonError::new(&refusal.reason.to_string());
        let envelope = Envelope::parse(&Role::Targets, "4.2", Arc::clone(bytes)).map_err(refused)?;
        let (mut signed, mut listing) = (Map::new(), None);
        for member in envelope.signed.members() {
            let text = envelope.signed.text(&member.span);
            let name = match (member.name.as_str(), &member.marks) {
                ("targets", Some(_)) => Some("targets"),
                ("meta", Some(_)) => Some("meta"),
                _ => None,
            };
            if let Some(name) = name {
                let all = envelope.signed.listing(name).map_err(|why| JsonError::new(&why))?;
                listing = Some(Listed::of(name, all));
            } else {
                let value = serde_json::from_slice(text).map_err(|why| JsonError::from_serde(&why))?;
                signed.insert(member.name.clone(), value);
            }
        }
        let signatures = envelope.signatures.into_iter().map(|one| (one.keyid, one.sig)).collect();
        Ok(Self { signed, listing, signatures, text: None })
    }

    /// With this in place of what it lists.
    pub(crate) fn listing(mut self, name: &'static str, listing: Listing) -> Self {
        self.signed.remove(name);
        self.text = None;
        self.listing = Some(Listed::of(name, listing));
        self
    }

    /// The members of a large object, `targets` or `meta`, each as text: read it with `serde_json`.
    #[must_use]
    pub fn listed(&self, name: &str) -> BTreeMap<Cow<'_, str>, Cow<'_, str>> {
        if let Some(listing) = self.listing.as_ref().filter(|listing| listing.name == name) {
            return listing.members().into_iter().map(|(name, text)| (name, Cow::Borrowed(text))).collect();
        }
        let entries = self.signed.get(name).and_then(Value::as_object).into_iter().flatten();
        entries.map(|(name, value)| (name.as_str().into(), Cow::Owned(value.to_string()))).collect()
    }

    /// How many members a large object has, `targets` or `meta`.
    #[must_use]
    pub fn count_of(&self, name: &str) -> usize {
        match self.listing.as_ref().filter(|listing| listing.name == name) {
            Some(listing) => listing.len(),
            None => self.signed.get(name).and_then(Value::as_object).map_or(0, Map::len),
        }
    }

    /// The signed part.
    #[must_use]
    pub fn signed(&self) -> &Map<String, Value> {
        &self.signed
    }

    /// The signed part, to change. Signatures are dropped.
    pub fn signed_mut(&mut self) -> &mut Map<String, Value> {
        self.changed();
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
        self.set_shared_target(path.into(), target)
    }

    /// The same, of a path that others keep too: of a million paths, each is in memory once.
    ///
    /// # Errors
    /// As [`Self::set_target`].
    pub fn set_shared_target(&mut self, path: Arc<str>, target: &Target) -> Result<(), JsonError> {
        if let Some(listing) = self.listing.as_mut().filter(|listing| listing.name == "targets") {
            listing.set(path, target_text(target)?);
            self.changed();
            return Ok(());
        }
        let mut value = json!({ "length": target.length, "hashes": target.hashes });
        if let (Some(custom), Some(object)) = (&target.custom, value.as_object_mut()) {
            object.insert("custom".into(), strict_value(custom.get().as_bytes())?);
        }
        self.list("targets", &path, value);
        Ok(())
    }

    /// In targets: whether a target is listed.
    #[must_use]
    pub fn has_target(&self, path: &str) -> bool {
        match &self.listing {
            Some(listing) => listing.name == "targets" && listing.get(path).is_some(),
            None => self.signed.get("targets").and_then(|targets| targets.get(path)).is_some(),
        }
    }

    /// In targets: drops all targets.
    pub fn clear_targets(&mut self) {
        if let Some(listing) = &mut self.listing {
            listing.clear();
            self.changed();
            return;
        }
        self.signed_mut().insert("targets".into(), json!({}));
    }

    /// In targets: drops a target. Says whether it was listed.
    pub fn remove_target(&mut self, path: &str) -> bool {
        if let Some(listing) = &mut self.listing {
            let was = listing.remove(path);
            self.changed();
            return was;
        }
        self.object("targets").remove(path).is_some()
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
        self.list("meta", file, value);
    }

    /// Sets a member of what is listed.
    fn list(&mut self, name: &'static str, key: &str, value: Value) {
        match &mut self.listing {
            Some(listing) if listing.name == name => {
                listing.set(key.into(), value.to_string());
                self.changed();
            }
            _ => {
                self.object(name).insert(key.to_owned(), value);
            }
        }
    }

    /// What was signed is no longer what it says.
    fn changed(&mut self) {
        self.signatures.clear();
        self.text = None;
    }

    /// The signed part as JSON in normal form.
    fn text(&self) -> String {
        let mut out = String::with_capacity(self.size());
        self.write(&mut out);
        out
    }

    /// About how long that is.
    fn size(&self) -> usize {
        self.listing.as_ref().map_or(1024, Listed::size)
    }

    fn write(&self, out: &mut String) {
        let Some(listing) = &self.listing else {
            out.push_str(&serde_json::to_string(&self.signed).unwrap_or_default());
            return;
        };
        let mut first = true;
        let mut open = |out: &mut String, name: &str| {
            out.push(if core::mem::take(&mut first) { '{' } else { ',' });
            quoted(out, name);
            out.push(':');
        };
        let mut pending = Some(listing);
        for (name, value) in &self.signed {
            if let Some(listing) = pending.take_if(|listing| listing.name < name.as_str()) {
                open(out, listing.name);
                listing.write(out);
            }
            open(out, name);
            out.push_str(&value.to_string());
        }
        if let Some(listing) = pending {
            open(out, listing.name);
            listing.write(out);
        }
        out.push('}');
    }

    /// The bytes that a signature is made over.
    ///
    /// # Errors
    /// Refuses fractions and deep nesting, which have no canonical form.
    pub fn canonical(&self) -> Result<Vec<u8>, JsonError> {
        self.written().map(|(canonical, _)| canonical)
    }

    /// The same, and whether the file writes the signed part with these very bytes.
    fn written(&self) -> Result<(Vec<u8>, bool), JsonError> {
        let text = self.text();
        // What is listed was brought into normal form one by one, and needn't be read again for that.
        let is_normal = self.listing.is_some()
            && serde_json::to_vec(&self.signed).is_ok_and(|rest| is_normal_form(&rest));
        // Only what is escaped is written otherwise in canonical form.
        match is_normal && !text.contains('\\') {
            true => Ok((text.into_bytes(), true)),
            false => canonicalise(text.as_bytes()).map(|canonical| (canonical, false)),
        }
    }

    /// Signs with one key and checks the signature before it is taken. A second signature of the same
    /// key replaces the first.
    ///
    /// # Errors
    /// When the document has no canonical form, the key can't sign, or what it made is not valid.
    pub fn sign(&mut self, signer: &dyn Sign, crypto: &dyn Verify) -> Result<(), AuthorError> {
        let (message, is_text) = match self.text.take() {
            Some(text) => (text, true),
            None => self.written().map_err(AuthorError::Json)?,
        };
        let signature = signer.sign(&message).map_err(AuthorError::Sign)?;
        let good = signer.key().material().is_ok_and(|key| crypto.verify(&key, &message, &signature));
        if !good {
            return Err(AuthorError::BadSignature { key_id: signer.key_id() });
        }
        self.signatures.insert(signer.key_id(), hex(&signature));
        self.text = (is_text && message.len() >= LARGE).then_some(message);
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
        let mut text = String::with_capacity(self.size().saturating_add(1024));
        text.push_str(&self.opening());
        self.write(&mut text);
        text.push_str(CLOSING);
        text.into_bytes()
    }

    /// [`Self::to_bytes`], of a large document made of the text that was signed and not of another copy of it.
    pub fn take_bytes(&mut self) -> Vec<u8> {
        let Some(mut bytes) = self.text.take() else { return self.to_bytes() };
        bytes.splice(..0, self.opening().into_bytes());
        bytes.extend_from_slice(CLOSING.as_bytes());
        bytes
    }

    /// What the file says before its signed part.
    fn opening(&self) -> String {
        let signatures: Vec<Value> =
            self.signatures.iter().map(|(id, sig)| json!({ "keyid": id, "sig": sig })).collect();
        format!("{{\"signatures\":{},\"signed\":", Value::Array(signatures))
    }

    fn object(&mut self, name: &str) -> &mut Map<String, Value> {
        self.changed();
        object_in(&mut self.signed, name)
    }

    fn role_mut(&mut self, role: &Role) -> &mut Map<String, Value> {
        object_in(self.object("roles"), role.name())
    }
}

/// What the file says behind its signed part.
const CLOSING: &str = "}\n";
/// How deep `custom` lies in the signed part: below `targets` and the target.
const CUSTOM_DEPTH: usize = 3;

/// A target as JSON in normal form.
fn target_text(target: &Target) -> Result<String, JsonError> {
    let mut text = String::from("{");
    if let Some(custom) = &target.custom {
        text.push_str("\"custom\":");
        text.push_str(&normal_text(custom.get(), CUSTOM_DEPTH)?);
        text.push(',');
    }
    text.push_str("\"hashes\":{");
    for (number, (algorithm, hash)) in target.hashes.iter().enumerate() {
        if number > 0 {
            text.push(',');
        }
        quoted(&mut text, algorithm);
        text.push(':');
        quoted(&mut text, hash);
    }
    text.push_str(&format!("}},\"length\":{}}}", target.length));
    Ok(text)
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
