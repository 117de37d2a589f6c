//! What the documents say (section 4). Reading only: unknown members are skipped here and kept by
//! [`crate::authoring`], which edits the document itself.
//!
//! Every member is checked when the document is read. What may be there a hundred thousand times, the
//! targets and the files of a snapshot, is checked in place and read again when it is asked for.

mod delegations;
mod moment;
mod object;

use alloc::borrow::{Cow, ToOwned};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU32;

use serde::de::{self, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Instant;
use crate::Reason;
use crate::canonical::{JsonError, Normal};
use crate::envelope::Signed;
use crate::key::Key;
use crate::listing::Listing;

pub(crate) use delegations::HashedPath;
pub use delegations::{DelegatedRole, Delegations, SuccinctRoles};
use moment::moment;
pub(crate) use moment::read as read_moment;
pub(crate) use object::{Object, object, present};

/// A document of one of the four types.
pub(crate) trait Document: Sized {
    /// Reads the signed part. The error names what was expected and what came.
    fn read(signed: &Signed) -> Result<Self, String>;
}

/// Keys by their ids.
fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Key>, D::Error> {
    let keys = BTreeMap::<String, Object<Key>>::deserialize(deserializer)?;
    Ok(keys.into_iter().map(|(id, Object(key))| (id, key)).collect())
}

/// The whole of a small document.
fn whole<T: DeserializeOwned>(signed: &Signed) -> Result<T, String> {
    serde_json::from_slice(signed.json()).map_err(|why| format!("{why}"))
}

/// A version on its own.
#[derive(Deserialize)]
#[serde(transparent)]
struct Version(#[serde(deserialize_with = "version")] u64);

/// A time on its own.
#[derive(Deserialize)]
#[serde(transparent)]
struct Moment(#[serde(deserialize_with = "moment")] Instant);

fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match u64::deserialize(deserializer)? {
        0 => Err(de::Error::custom("expected a version above 0, got 0")),
        version => Ok(version),
    }
}

/// HASHES of section 4.4. One that says nothing is none: it could only be refused later, when the file that it
/// is about has come.
fn hashes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let hashes = BTreeMap::deserialize(deserializer)?;
    if hashes.is_empty() { Err(no_hash()) } else { Ok(hashes) }
}

/// [`hashes`] where they may be left out.
fn stated_hashes<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, String>>, D::Error> {
    hashes(deserializer).map(Some)
}

fn no_hash<E: de::Error>() -> E {
    E::custom("expected at least one hash, got none")
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
        distinct(&self.keyids, name)
    }
}

/// 4.3: "clients MUST ensure that … each KEYID is unique" within a role.
fn distinct(keyids: &[String], name: &str) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    match keyids.iter().find(|id| !seen.insert(*id)) {
        Some(twice) => Err(format!("role {name:?} lists key {twice:?} twice")),
        None => Ok(()),
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
    #[serde(deserialize_with = "keys")]
    pub keys: BTreeMap<String, Key>,
    /// The four top-level roles. Others, such as the mirrors role, are not used.
    #[serde(deserialize_with = "object")]
    pub roles: RootRoles,
}

/// The four roles that a root must name.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct RootRoles {
    #[serde(deserialize_with = "object")]
    pub root: RoleKeys,
    #[serde(deserialize_with = "object")]
    pub timestamp: RoleKeys,
    #[serde(deserialize_with = "object")]
    pub snapshot: RoleKeys,
    #[serde(deserialize_with = "object")]
    pub targets: RoleKeys,
}

impl Document for Root {
    fn read(signed: &Signed) -> Result<Self, String> {
        let document: Self = whole(signed)?;
        let RootRoles { root, timestamp, snapshot, targets } = &document.roles;
        root.check("root")?;
        timestamp.check("timestamp")?;
        snapshot.check("snapshot")?;
        targets.check("targets")?;
        Ok(document)
    }
}

/// METAFILES of sections 4.4 and 4.6: a file that belongs to this state of the repository.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct MetaFile {
    /// The version of the file, above 0.
    #[serde(deserialize_with = "version")]
    pub version: u64,
    /// Its length in bytes, where stated.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// Its hashes in hex by algorithm, where stated: at least one.
    #[serde(default, deserialize_with = "stated_hashes", skip_serializing_if = "Option::is_none")]
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
    #[serde(deserialize_with = "object")]
    pub meta: TimestampMeta,
}

/// The one file that a timestamp speaks of.
#[derive(Clone, Debug, Deserialize)]
pub struct TimestampMeta {
    /// The snapshot.
    #[serde(rename = "snapshot.json", deserialize_with = "object")]
    pub snapshot: MetaFile,
}

impl Document for Timestamp {
    fn read(signed: &Signed) -> Result<Self, String> {
        whole(signed)
    }
}

/// Section 4.4.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The version, above 0.
    pub version: u64,
    /// When it expires.
    pub expires: Instant,
    meta: Listing,
}

impl Snapshot {
    /// What it says of a file, such as `targets.json`.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<MetaFile> {
        meta_file(self.meta.get(name)?)
    }

    /// A file by which the holders of a role's keys changed or revoked them (TAP 8, TAP 20).
    pub(crate) fn rotation(&self, role: &str) -> Option<String> {
        self.meta.first_with(&format!("rotate/{role}.rotate.")).map(Cow::into_owned)
    }

    /// How many files it lists.
    #[must_use]
    pub fn files(&self) -> usize {
        self.meta.len()
    }

    /// The first file that goes backwards from here to `next`, or is no longer listed: its name, and the
    /// two versions.
    pub(crate) fn first_older(&self, next: &Self) -> Option<(String, u64, Option<u64>)> {
        let version = |text: &[u8]| meta_file(text).map_or(0, |file| file.version);
        let older = |was: &[u8], is: &[u8]| version(is) < version(was);
        let (name, was, is) = self.meta.first_older(&next.meta, older)?;
        Some((name.into_owned(), version(was), is.map(version)))
    }
}

fn meta_file(text: &[u8]) -> Option<MetaFile> {
    serde_json::from_slice(text).ok()
}

impl Document for Snapshot {
    fn read(signed: &Signed) -> Result<Self, String> {
        let meta = signed.listing("meta")?;
        for (name, text) in meta.entries() {
            let Object(MetaShape { .. }) =
                serde_json::from_slice(text).map_err(|why| format!("{why} in {name:?}"))?;
        }
        if meta.get("targets.json").is_none() {
            return Err("expected \"targets.json\" in meta, got none".to_owned());
        }
        let (Version(version), Moment(expires)) = (signed.member("version")?, signed.member("expires")?);
        Ok(Self { version, expires, meta })
    }
}

/// Section 4.5.
#[derive(Clone, Debug)]
pub struct Targets {
    /// The version, above 0.
    pub version: u64,
    /// When it expires.
    pub expires: Instant,
    /// Who else may speak, and for what.
    pub delegations: Option<Delegations>,
    targets: Listing,
}

impl Targets {
    /// What it says of a target.
    #[must_use]
    pub fn target(&self, path: &str) -> Option<Target> {
        serde_json::from_slice(self.targets.get(path)?).ok()
    }

    /// All targets, in the order of their paths.
    pub fn targets(&self) -> impl Iterator<Item = (String, Target)> {
        let read = |(path, text): (Cow<'_, str>, &[u8])| {
            Some((path.into_owned(), serde_json::from_slice(text).ok()?))
        };
        self.targets.entries().filter_map(read)
    }

    /// How many targets it lists.
    #[must_use]
    pub fn count(&self) -> usize {
        self.targets.len()
    }

    /// Reads all but the targets themselves, which were checked when these very bytes were read before.
    pub(crate) fn recall(signed: &Signed) -> Result<Self, String> {
        let (Version(version), Moment(expires)) = (signed.member("version")?, signed.member("expires")?);
        let delegations = signed.find("delegations").map(|member| Delegations::read(signed, member));
        Ok(Self {
            version,
            expires,
            delegations: delegations.transpose()?,
            targets: signed.listing("targets")?,
        })
    }
}

impl Document for Targets {
    fn read(signed: &Signed) -> Result<Self, String> {
        let document = Self::recall(signed)?;
        for (path, text) in document.targets.entries() {
            let Object(TargetShape { .. }) =
                serde_json::from_slice(text).map_err(|why| format!("{why} in {path:?}"))?;
        }
        Ok(document)
    }
}

/// A [`Target`] that is checked and not kept.
#[derive(Deserialize)]
struct TargetShape {
    #[serde(rename = "length")]
    _length: u64,
    #[serde(rename = "hashes")]
    _hashes: HashesShape,
}

/// A [`MetaFile`] that is checked and not kept.
#[derive(Deserialize)]
struct MetaShape {
    #[serde(rename = "version", deserialize_with = "version")]
    _version: u64,
    #[serde(default, rename = "length", deserialize_with = "present")]
    _length: Option<u64>,
    #[serde(default, rename = "hashes", deserialize_with = "present")]
    _hashes: Option<HashesShape>,
}

/// An object of strings, at least one, that is checked and not kept.
struct HashesShape;

impl<'de> Deserialize<'de> for HashesShape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Self)
    }
}

impl<'de> Visitor<'de> for HashesShape {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of hashes by algorithm")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        map.next_entry::<IgnoredAny, TextShape>()?.ok_or_else(no_hash)?;
        while map.next_entry::<IgnoredAny, TextShape>()?.is_some() {}
        Ok(self)
    }
}

/// A string that is checked and not kept.
struct TextShape;

impl<'de> Deserialize<'de> for TextShape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Self)
    }
}

impl Visitor<'_> for TextShape {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }
}

/// TARGETS of section 4.5: one target file.
#[derive(Clone, Debug, Deserialize)]
pub struct Target {
    /// Its length in bytes.
    pub length: u64,
    /// Its hashes in hex, by algorithm: at least one.
    #[serde(deserialize_with = "hashes")]
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

/// The error of reading JSON, for authoring.
pub(crate) fn strict_value(bytes: &[u8]) -> Result<serde_json::Value, JsonError> {
    serde_json::from_slice(&Normal::parse(bytes)?.into_json()).map_err(|why| JsonError::from_serde(&why))
}
