//! What the documents say (section 4). Reading only: unknown members are skipped here and kept by
//! [`crate::authoring`], which edits the document itself.

use alloc::borrow::{Cow, ToOwned};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU32;

use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::canonical::{JsonError, Node, Normal, parse_with};
use crate::key::Key;
use crate::limits;
use crate::path::PathPattern;
use crate::{Instant, Reason, Refusal, Role};

/// Signatures, and the bytes they are over. Nothing in it is trusted yet.
#[derive(Debug, Default)]
pub(crate) struct Envelope {
    pub(crate) signatures: Vec<Signature>,
    signed: Normal,
}

/// SIGNATURE of section 4.2.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Signature {
    pub(crate) keyid: String,
    /// Hex. May be empty: `tuf-on-ci` leaves such a place for a signature still to come.
    pub(crate) sig: String,
}

impl Envelope {
    pub(crate) fn parse(role: &Role, step: &'static str, bytes: &[u8]) -> Result<Self, Refusal> {
        let malformed =
            |what: String| Refusal { role: role.clone(), step, reason: Reason::Malformed { what } };
        let envelope = parse_with(bytes, EnvelopeSeed).map_err(|why| malformed(format!("{why}")))?;
        let count = envelope.signatures.len();
        if count > limits::SIGNATURES {
            return Err(malformed(format!(
                "expected at most {} signatures, got {count}",
                limits::SIGNATURES
            )));
        }
        // 4.2: "each signature MUST have a unique keyid".
        let mut seen = BTreeSet::new();
        if let Some(twice) = envelope.signatures.iter().find(|one| !seen.insert(&one.keyid)) {
            return Err(malformed(format!("key {:?} signed twice", twice.keyid)));
        }
        Ok(envelope)
    }

    /// The bytes that signatures are over.
    pub(crate) fn canonical(&self) -> Cow<'_, [u8]> {
        self.signed.canonical()
    }

    /// Reads the signed part as `role`'s document.
    pub(crate) fn read<T: Document>(&self, role: &Role, step: &'static str) -> Result<T, Refusal> {
        let refuse = |reason| Refusal { role: role.clone(), step, reason };
        let malformed = |what: String| refuse(Reason::Malformed { what });
        let json = self.signed.json();
        let header: Header = serde_json::from_slice(json).map_err(|why| malformed(format!("{why}")))?;
        if header.type_name != role.type_name() {
            return Err(refuse(Reason::Type { expected: role.type_name(), got: header.type_name }));
        }
        // 4.3: within one major version the formats are compatible.
        if header.spec_version.split('.').next() != Some("1") {
            return Err(refuse(Reason::SpecVersion { got: header.spec_version }));
        }
        let document: T = serde_json::from_slice(json).map_err(|why| malformed(format!("{why}")))?;
        document.check().map_err(malformed)?;
        Ok(document)
    }
}

/// Reads `{"signatures": …, "signed": …}` strictly, other members included.
struct EnvelopeSeed;

impl<'de> DeserializeSeed<'de> for EnvelopeSeed {
    type Value = Envelope;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Envelope, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EnvelopeSeed {
    type Value = Envelope;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with \"signatures\" and \"signed\"")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope, A::Error> {
        let mut members: BTreeMap<String, Normal> = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let mut value = Normal::default();
            map.next_value_seed(Node::at_top(&mut value))?;
            if members.contains_key(&name) {
                return Err(de::Error::custom(format_args!("duplicate key {name:?}")));
            }
            members.insert(name, value);
        }
        let signed = members.remove("signed").ok_or_else(|| de::Error::missing_field("signed"))?;
        let signatures =
            members.remove("signatures").ok_or_else(|| de::Error::missing_field("signatures"))?;
        let signatures = serde_json::from_slice(signatures.json()).map_err(de::Error::custom)?;
        Ok(Envelope { signatures, signed })
    }
}

/// What every document starts with (section 4.3).
#[derive(Deserialize)]
struct Header {
    #[serde(rename = "_type")]
    type_name: String,
    spec_version: String,
}

/// A document of one of the four types.
pub(crate) trait Document: DeserializeOwned {
    /// What types alone can't say. The text names what was expected and what came.
    fn check(&self) -> Result<(), String>;
}

fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match u64::deserialize(deserializer)? {
        0 => Err(de::Error::custom("expected a version above 0, got 0")),
        version => Ok(version),
    }
}

fn moment<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Instant, D::Error> {
    let text = String::deserialize(deserializer)?;
    chrono::DateTime::parse_from_rfc3339(&text).map(|moment| moment.to_utc()).map_err(|_| {
        de::Error::custom(format_args!("expected a time such as 2030-01-31T00:00:00Z, got {text:?}"))
    })
}

/// ROLE of section 4.3: who may sign, and how many must.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
pub struct RoleKeys {
    /// The ids of the keys.
    pub keyids: Vec<String>,
    /// How many distinct keys must sign.
    pub threshold: NonZeroU32,
}

impl RoleKeys {
    fn check(&self, name: &str) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        match self.keyids.iter().find(|id| !seen.insert(*id)) {
            Some(twice) => Err(format!("role {name:?} lists key {twice:?} twice")),
            None => Ok(()),
        }
    }
}

/// Section 4.3.
#[derive(Clone, Debug, Deserialize)]
pub struct Root {
    /// The version, above 0.
    #[serde(deserialize_with = "version")]
    pub version: u64,
    /// When it expires.
    #[serde(deserialize_with = "moment")]
    pub expires: Instant,
    /// Whether files are named by version and hash (section 6.2).
    #[serde(default)]
    pub consistent_snapshot: bool,
    /// All keys, by their declared ids.
    pub keys: BTreeMap<String, Key>,
    /// The four top-level roles. Others, such as the mirrors role, are not used.
    pub roles: RootRoles,
}

/// The four roles that a root must name.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct RootRoles {
    pub root: RoleKeys,
    pub timestamp: RoleKeys,
    pub snapshot: RoleKeys,
    pub targets: RoleKeys,
}

impl Document for Root {
    fn check(&self) -> Result<(), String> {
        let RootRoles { root, timestamp, snapshot, targets } = &self.roles;
        root.check("root")?;
        timestamp.check("timestamp")?;
        snapshot.check("snapshot")?;
        targets.check("targets")
    }
}

/// METAFILES of sections 4.4 and 4.6: a file that belongs to this state of the repository.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MetaFile {
    /// The version of the file, above 0.
    #[serde(deserialize_with = "version")]
    pub version: u64,
    /// Its length in bytes, where stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// Its hashes in hex by algorithm, where stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hashes: Option<BTreeMap<String, String>>,
}

/// Section 4.6.
#[derive(Clone, Debug, Deserialize)]
pub struct Timestamp {
    /// The version, above 0.
    #[serde(deserialize_with = "version")]
    pub version: u64,
    /// When it expires.
    #[serde(deserialize_with = "moment")]
    pub expires: Instant,
    /// One file: the snapshot.
    pub meta: TimestampMeta,
}

/// The one file that a timestamp speaks of.
#[derive(Clone, Debug, Deserialize)]
pub struct TimestampMeta {
    /// The snapshot.
    #[serde(rename = "snapshot.json")]
    pub snapshot: MetaFile,
}

impl Document for Timestamp {
    fn check(&self) -> Result<(), String> {
        Ok(())
    }
}

/// Section 4.4.
#[derive(Clone, Debug, Deserialize)]
pub struct Snapshot {
    /// The version, above 0.
    #[serde(deserialize_with = "version")]
    pub version: u64,
    /// When it expires.
    #[serde(deserialize_with = "moment")]
    pub expires: Instant,
    /// The targets files, by name.
    pub meta: BTreeMap<String, MetaFile>,
}

impl Document for Snapshot {
    fn check(&self) -> Result<(), String> {
        if self.meta.contains_key("targets.json") {
            return Ok(());
        }
        Err("expected \"targets.json\" in meta, got none".to_owned())
    }
}

/// Section 4.5.
#[derive(Clone, Debug, Deserialize)]
pub struct Targets {
    /// The version, above 0.
    #[serde(deserialize_with = "version")]
    pub version: u64,
    /// When it expires.
    #[serde(deserialize_with = "moment")]
    pub expires: Instant,
    /// The targets, by path.
    pub targets: BTreeMap<String, Target>,
    /// Who else may speak, and for what.
    #[serde(default)]
    pub delegations: Option<Delegations>,
}

impl Document for Targets {
    fn check(&self) -> Result<(), String> {
        self.delegations.as_ref().map_or(Ok(()), Delegations::check)
    }
}

/// TARGETS of section 4.5: one target file.
#[derive(Clone, Debug, Deserialize)]
pub struct Target {
    /// Its length in bytes.
    pub length: u64,
    /// Its hashes in hex, by algorithm.
    pub hashes: BTreeMap<String, String>,
    /// What the application says of it.
    #[serde(default)]
    pub custom: Option<Box<RawValue>>,
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        let custom = |target: &Self| target.custom.as_ref().map(|raw| raw.get().to_owned());
        self.length == other.length && self.hashes == other.hashes && custom(self) == custom(other)
    }
}

impl Target {
    /// The length and hashes of `bytes` (SHA-256), without `custom`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let hashes = BTreeMap::from([("sha256".to_owned(), crate::hash::sha256_hex(bytes))]);
        Self { length, hashes, custom: None }
    }

    /// Compares the target with bytes (5.7.1).
    ///
    /// # Errors
    /// Names the length or the hash that was expected, and the one found.
    pub fn check(&self, bytes: &[u8]) -> Result<(), Reason> {
        let got = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if got != self.length {
            return Err(Reason::Length { expected: self.length, got });
        }
        crate::hash::check(&self.hashes, bytes).map_err(|(expected, got)| Reason::Hash { expected, got })
    }
}

/// DELEGATIONS of section 4.5.
#[derive(Clone, Debug, Deserialize)]
pub struct Delegations {
    /// The keys of the delegated roles, by their declared ids.
    pub keys: BTreeMap<String, Key>,
    /// The delegated roles, in order of their priority.
    #[serde(default)]
    pub roles: Vec<DelegatedRole>,
    /// Hash bins in short (TAP 15).
    #[serde(default)]
    pub succinct_roles: Option<SuccinctRoles>,
}

impl Delegations {
    fn check(&self) -> Result<(), String> {
        let count = self.roles.len();
        if count > limits::ROLES {
            return Err(format!("expected at most {} delegated roles, got {count}", limits::ROLES));
        }
        if self.succinct_roles.is_some() && count > 0 {
            return Err("expected roles or succinct_roles, got both (TAP 15)".to_owned());
        }
        let mut seen = BTreeSet::new();
        for role in &self.roles {
            role.check()?;
            if !seen.insert(&role.name) {
                return Err(format!("delegates to role {:?} twice", role.name));
            }
        }
        self.succinct_roles.as_ref().map_or(Ok(()), SuccinctRoles::check)
    }
}

/// A delegated role: who may speak for which paths.
#[derive(Clone, Debug, Deserialize)]
pub struct DelegatedRole {
    /// Its name.
    pub name: String,
    /// The ids of its keys.
    pub keyids: Vec<String>,
    /// How many distinct keys must sign.
    pub threshold: NonZeroU32,
    /// Whether the search ends with it (5.6.7.2.1).
    #[serde(default)]
    pub terminating: bool,
    /// Patterns of the paths it may speak for.
    #[serde(default)]
    pub paths: Option<Vec<PathPattern>>,
    /// Prefixes of the SHA-256 of the paths it may speak for, in hex.
    #[serde(default)]
    pub path_hash_prefixes: Option<Vec<String>>,
}

impl DelegatedRole {
    fn check(&self) -> Result<(), String> {
        let Self { name, keyids, threshold, paths, path_hash_prefixes, .. } = self;
        if matches!(name.as_str(), "root" | "timestamp" | "snapshot" | "targets") {
            return Err(format!(
                "expected another name for a delegated role than that of the top-level {name}"
            ));
        }
        if paths.is_some() == path_hash_prefixes.is_some() {
            return Err(format!("expected either paths or path_hash_prefixes for role {name:?}"));
        }
        let patterns = paths.as_ref().map_or(0, Vec::len);
        if patterns.max(path_hash_prefixes.as_ref().map_or(0, Vec::len)) > limits::PATTERNS {
            return Err(format!("expected at most {} paths for role {name:?}", limits::PATTERNS));
        }
        RoleKeys { keyids: keyids.clone(), threshold: *threshold }.check(name)
    }

    /// Whether the role may speak for `path`, whose SHA-256 in hex is `path_hash`.
    pub(crate) fn covers(&self, path: &str, path_hash: &str) -> bool {
        let by_pattern = |patterns: &Vec<PathPattern>| patterns.iter().any(|pattern| pattern.matches(path));
        let by_hash =
            |prefixes: &Vec<String>| prefixes.iter().any(|prefix| path_hash.starts_with(prefix.as_str()));
        self.paths.as_ref().is_some_and(by_pattern) || self.path_hash_prefixes.as_ref().is_some_and(by_hash)
    }
}

/// SUCCINCT_ROLES of TAP 15: 2^`bit_length` bins, all with the same keys.
#[derive(Clone, Debug, Deserialize)]
pub struct SuccinctRoles {
    /// The ids of the keys.
    pub keyids: Vec<String>,
    /// How many distinct keys must sign.
    pub threshold: NonZeroU32,
    /// How many bits of the path's SHA-256 choose the bin: 1 to 32.
    pub bit_length: u32,
    /// What the names of the bins start with.
    pub name_prefix: String,
}

impl SuccinctRoles {
    fn check(&self) -> Result<(), String> {
        if !(1..=32).contains(&self.bit_length) {
            return Err(format!("expected a bit_length of 1 to 32, got {}", self.bit_length));
        }
        RoleKeys { keyids: self.keyids.clone(), threshold: self.threshold }.check(&self.name_prefix)
    }

    /// The bin of a path: the first bits of its SHA-256, in hex as wide as the last bin's.
    pub(crate) fn bin(&self, path: &str) -> String {
        let [a, b, c, d, ..] = crate::hash::sha256(path.as_bytes());
        let bin = u32::from_be_bytes([a, b, c, d]) >> 32_u32.saturating_sub(self.bit_length).min(31);
        let width = usize::try_from(self.bit_length.div_ceil(4)).unwrap_or(8);
        format!("{}-{bin:0width$x}", self.name_prefix)
    }
}

/// The error of reading JSON, for authoring.
pub(crate) fn strict_value(bytes: &[u8]) -> Result<serde_json::Value, JsonError> {
    let normal = Normal::parse(bytes)?;
    serde_json::from_slice(normal.json()).map_err(|why| JsonError::from_serde(&why))
}
