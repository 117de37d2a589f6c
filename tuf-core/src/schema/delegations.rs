//! DELEGATIONS of section 4.5, and the hash bins of TAP 15.
//!
//! A document may delegate to 16,384 bins, of which one covers a path. So the roles are checked once and
//! stay text; what is kept of each is where it stands and which hashes it covers.

use alloc::borrow::{Cow, ToOwned};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;
use core::num::NonZeroU32;
use core::ops::Range;

use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Object, RoleKeys, present};
use crate::envelope::{Member, Signed};
use crate::hash::{hex, sha256};
use crate::key::Key;
use crate::limits;
use crate::path::PathPattern;
use crate::scan::{Scanner, unescaped};

/// Who else may speak, and for what.
#[derive(Clone, Debug)]
pub struct Delegations {
    /// The keys of the delegated roles, by their declared ids.
    pub keys: BTreeMap<String, Key>,
    /// Hash bins in short (TAP 15).
    pub succinct_roles: Option<SuccinctRoles>,
    roles: Roles,
}

/// The delegated roles, in order of their priority, as text.
#[derive(Clone, Default)]
struct Roles {
    file: Arc<Vec<u8>>,
    roles: Vec<Place>,
    /// Where each is in that, in order of their names: one of thousands of bins is asked for by its name.
    by_name: Vec<u32>,
    /// What the roles cover by hash, one role after the other.
    hashes: Vec<HashRange>,
}

/// Where a role stands, and how it says what it covers.
#[derive(Clone, Debug)]
struct Place {
    text: Range<u32>,
    covers: Covers,
}

#[derive(Clone, Debug)]
enum Covers {
    /// One of these of [`Roles::hashes`].
    Hashes(Range<u32>),
    /// The role itself must be asked.
    AsItSays,
}

/// The hashes that start with a prefix, or with one of several that adjoin: their first 64 bits, from the
/// lowest to the highest.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct HashRange {
    low: u64,
    high: u64,
}

impl HashRange {
    /// The range of a prefix of at most 16 digits. In capital letters it is no prefix of any hash, which
    /// are written small.
    fn of(prefix: &str) -> Option<Self> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let spare = u32::try_from(16_usize.checked_sub(prefix.len())?).ok()?.checked_mul(4)?;
        if prefix.is_empty() {
            return Some(Self { low: 0, high: u64::MAX });
        }
        if !prefix.bytes().all(digit) {
            return None;
        }
        let low = u64::from_str_radix(prefix, 16).ok()?.checked_shl(spare)?;
        Some(Self { low, high: low | u64::MAX.checked_shl(spare).map_or(u64::MAX, |mask| !mask) })
    }
}

/// A path whose delegations are wanted, with the hash that chooses bins.
pub(crate) struct HashedPath<'p> {
    path: &'p str,
    hash: [u8; 32],
}

impl<'p> HashedPath<'p> {
    pub(crate) fn new(path: &'p str) -> Self {
        Self { path, hash: sha256(path.as_bytes()) }
    }

    fn leading(&self) -> u64 {
        self.hash.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }
}

/// The members of a delegations object that mean something here.
#[derive(Default)]
struct Spans {
    keys: Option<Range<usize>>,
    /// `None` where there is no such member, which isn't the same as an empty one.
    roles: Option<Vec<Range<usize>>>,
    succinct_roles: Option<Range<usize>>,
}

impl Spans {
    fn scan(scanner: &mut Scanner<'_>) -> Option<Self> {
        let mut spans = Self::default();
        scanner.members(1, |scanner, key| {
            match key {
                b"roles" => {
                    let roles = spans.roles.insert(Vec::new());
                    scanner.elements(2, |scanner| scanner.span(3).map(|span| roles.push(span)))?;
                }
                b"keys" => spans.keys = Some(scanner.span(2)?),
                b"succinct_roles" => spans.succinct_roles = Some(scanner.span(2)?),
                _ => scanner.value(2)?,
            }
            Some(())
        })?;
        Some(spans)
    }
}

impl Delegations {
    /// Reads the member `delegations`.
    pub(super) fn read(signed: &Signed, member: &Member) -> Result<Self, String> {
        let mut scanner = Scanner::new(signed.file(), member.span.start);
        let spans = Spans::scan(&mut scanner)
            .ok_or("expected delegations with an array \"roles\", got another value")?;
        let wrong = |why: serde_json::Error| format!("{why} in delegations");
        let keys = spans.keys.as_ref().ok_or("missing field `keys` in delegations")?;
        let keys =
            super::keys(&mut serde_json::Deserializer::from_slice(signed.text(keys))).map_err(wrong)?;
        match (&spans.roles, &spans.succinct_roles) {
            (Some(roles), None) => {
                Ok(Self { keys, roles: Roles::read(signed, roles)?, succinct_roles: None })
            }
            (None, Some(bins)) => {
                let Object(bins): Object<SuccinctRoles> =
                    serde_json::from_slice(signed.text(bins)).map_err(wrong)?;
                bins.check()?;
                Ok(Self { keys, roles: Roles::default(), succinct_roles: Some(bins) })
            }
            (Some(_), Some(_)) => Err("expected roles or succinct_roles, got both (TAP 15)".into()),
            (None, None) => Err("expected roles or succinct_roles in delegations, got neither".into()),
        }
    }

    /// All roles that are delegated to by name, in order of their priority.
    pub fn roles(&self) -> impl Iterator<Item = DelegatedRole> {
        self.roles.roles.iter().filter_map(|place| self.roles.role(place))
    }

    /// The role that is delegated to by this name.
    #[must_use]
    pub fn role(&self, name: &str) -> Option<DelegatedRole> {
        self.roles.named(name)
    }

    /// The roles that are delegated to by name and not by the hash of a path, in order of their priority. Bins
    /// needn't be read for that.
    pub fn roles_by_path(&self) -> impl Iterator<Item = DelegatedRole> {
        let places = self.roles.roles.iter().filter(|place| matches!(place.covers, Covers::AsItSays));
        places.filter_map(|place| self.roles.role(place)).filter(|role| role.path_hash_prefixes.is_none())
    }

    /// The names of the roles that may speak for a path, bins among them, in the order in which a search
    /// visits them (5.6.7.2).
    #[must_use]
    pub fn covering_names(&self, path: &str) -> Vec<String> {
        let path = HashedPath::new(path);
        let bin = self.succinct_roles.as_ref().map(|bins| bins.bin(&path));
        bin.into_iter().chain(self.covering(&path).map(|role| role.name)).collect()
    }

    /// The keys of a delegated role, or of a bin, by its name.
    #[must_use]
    pub fn keys_of(&self, name: &str) -> Option<RoleKeys> {
        if let Some(bins) = self.succinct_roles.as_ref().filter(|bins| bins.number_of(name).is_some()) {
            return Some(RoleKeys { keyids: bins.keyids.clone(), threshold: bins.threshold });
        }
        let role = self.roles.named(name)?;
        Some(RoleKeys { keyids: role.keyids, threshold: role.threshold })
    }

    /// The roles that may speak for a path, in order of their priority.
    pub(crate) fn covering<'d>(&'d self, path: &'d HashedPath<'_>) -> impl Iterator<Item = DelegatedRole> {
        self.roles.roles.iter().filter_map(|place| self.roles.covering(place, path))
    }
}

impl Roles {
    fn read(signed: &Signed, spans: &[Range<usize>]) -> Result<Self, String> {
        if spans.len() > limits::ROLES {
            return Err(format!("expected at most {} delegated roles, got {}", limits::ROLES, spans.len()));
        }
        let mut roles = Self { file: Arc::clone(signed.file()), ..Self::default() };
        roles.roles.reserve_exact(spans.len());
        let mut names = Vec::with_capacity(spans.len());
        let bound = |at: usize| u32::try_from(at).map_err(|_| "expected less than 4 GiB".to_owned());
        for (at, span) in spans.iter().enumerate() {
            let text = signed.text(span);
            // A list would be read as the members in order, and those of no two readers are the same.
            if text.first() == Some(&b'[') {
                return Err("expected an object for each delegated role, got a list".into());
            }
            let head: Head<'_> =
                serde_json::from_slice(text).map_err(|why| format!("{why} in delegations"))?;
            let name = head.check()?;
            let covers = roles.covers(&head, &name)?;
            roles.roles.push(Place { text: bound(span.start)?..bound(span.end)?, covers });
            names.push((name, bound(at)?));
        }
        names.sort_unstable();
        if let Some([(twice, _), _]) = names.array_windows().find(|[(a, _), (b, _)]| a == b) {
            return Err(format!("delegates to role {twice:?} twice"));
        }
        roles.by_name = names.into_iter().map(|(_, at)| at).collect();
        Ok(roles)
    }

    /// Checks what a role says of its paths, and keeps its hashes.
    fn covers(&mut self, head: &Head<'_>, name: &str) -> Result<Covers, String> {
        let wrong = |why: serde_json::Error| format!("{why} in role {name:?}");
        let count = match (head.paths, head.path_hash_prefixes) {
            (Some(paths), None) => {
                serde_json::from_str::<Vec<PathPattern>>(paths.get()).map_err(wrong)?.len()
            }
            (None, Some(prefixes)) => {
                let start = self.hashes.len();
                let mut parser = serde_json::Deserializer::from_str(prefixes.get());
                let read = Prefixes { ranges: &mut self.hashes, start }.deserialize(&mut parser);
                let (count, short) = read.map_err(wrong)?;
                too_many(count, name)?;
                if !short {
                    self.hashes.truncate(start);
                    return Ok(Covers::AsItSays);
                }
                let bound = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
                return Ok(Covers::Hashes(bound(start)..bound(self.hashes.len())));
            }
            _ => return Err(format!("expected either paths or path_hash_prefixes for role {name:?}")),
        };
        too_many(count, name)?;
        Ok(Covers::AsItSays)
    }

    fn role(&self, place: &Place) -> Option<DelegatedRole> {
        let Range { start, end } = place.text;
        let text = self.file.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)?;
        serde_json::from_slice(text).ok()
    }

    fn named(&self, name: &str) -> Option<DelegatedRole> {
        let read = |at: &u32| self.role(self.roles.get(usize::try_from(*at).ok()?)?);
        let order = |at: &u32| read(at).map_or(Ordering::Less, |role| role.name.as_str().cmp(name));
        let found = self.by_name.binary_search_by(order).ok()?;
        read(self.by_name.get(found)?)
    }

    fn covering(&self, place: &Place, path: &HashedPath<'_>) -> Option<DelegatedRole> {
        match &place.covers {
            Covers::Hashes(Range { start, end }) => {
                let own = usize::try_from(*start).ok()?..usize::try_from(*end).ok()?;
                let leading = path.leading();
                let covers = |range: &HashRange| (range.low..=range.high).contains(&leading);
                self.hashes.get(own)?.iter().any(covers).then(|| self.role(place))?
            }
            Covers::AsItSays => self.role(place).filter(|role| role.covers(path)),
        }
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.roles.iter().filter_map(|place| self.role(place))).finish()
    }
}

fn too_many(count: usize, name: &str) -> Result<(), String> {
    if count <= limits::PATTERNS {
        return Ok(());
    }
    Err(format!("expected at most {} paths for role {name:?}, got {count}", limits::PATTERNS))
}

/// A [`DelegatedRole`] that is checked and not kept.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    name: &'a RawValue,
    keyids: Vec<String>,
    threshold: NonZeroU32,
    #[serde(rename = "terminating")]
    _terminating: bool,
    #[serde(default, borrow, deserialize_with = "present")]
    paths: Option<&'a RawValue>,
    #[serde(default, borrow, deserialize_with = "present")]
    path_hash_prefixes: Option<&'a RawValue>,
    /// TAP 3: the role counts only together with others. To read it alone would be less than was meant.
    #[serde(default, deserialize_with = "present")]
    min_roles_in_agreement: Option<IgnoredAny>,
    #[serde(default, deserialize_with = "present")]
    roleinfo: Option<IgnoredAny>,
}

impl<'a> Head<'a> {
    /// The name of a role that may be delegated to.
    fn check(&self) -> Result<Cow<'a, str>, String> {
        let written = self.name.get().strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        let name = written.and_then(|written| unescaped(written.as_bytes()));
        let name = name.ok_or_else(|| format!("expected a string as name of a role, got {}", self.name))?;
        if name.is_empty() {
            return Err("expected a name for each delegated role, got an empty one".into());
        }
        if matches!(&*name, "root" | "timestamp" | "snapshot" | "targets") {
            return Err(format!(
                "expected another name for a delegated role than that of the top-level {name}"
            ));
        }
        let together =
            [("min_roles_in_agreement", &self.min_roles_in_agreement), ("roleinfo", &self.roleinfo)];
        if let Some((member, _)) = together.iter().find(|(_, value)| value.is_some()) {
            return Err(format!("expected role {name:?} to speak alone, got {member:?} (TAP 3)"));
        }
        super::distinct(&self.keyids, &name)?;
        let _: NonZeroU32 = self.threshold;
        Ok(name)
    }
}

/// Reads prefixes into ranges: how many there are, and whether all are short enough to be ranges.
struct Prefixes<'r> {
    ranges: &'r mut Vec<HashRange>,
    start: usize,
}

impl<'de> DeserializeSeed<'de> for Prefixes<'_> {
    type Value = (usize, bool);
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Prefixes<'_> {
    type Value = (usize, bool);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of prefixes in hex")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut prefixes: A) -> Result<Self::Value, A::Error> {
        let (mut count, mut short) = (0_usize, true);
        while let Some(prefix) = prefixes.next_element::<Prefix>()? {
            count = count.saturating_add(1);
            short &= prefix.short;
            let Some(range) = prefix.range else { continue };
            let own = self.ranges.get_mut(self.start..).unwrap_or_default();
            match own.last_mut() {
                Some(last) if last.high.checked_add(1) == Some(range.low) => last.high = range.high,
                _ => self.ranges.push(range),
            }
        }
        Ok((count, short))
    }
}

/// One prefix.
struct Prefix {
    range: Option<HashRange>,
    short: bool,
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Prefix;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a prefix in hex")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Prefix, E> {
                Ok(Prefix { range: HashRange::of(text), short: text.len() <= 16 })
            }
        }
        deserializer.deserialize_str(Text)
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
    pub terminating: bool,
    /// Patterns of the paths it may speak for.
    #[serde(default)]
    pub paths: Option<Vec<PathPattern>>,
    /// Prefixes of the SHA-256 of the paths it may speak for, in hex.
    #[serde(default)]
    pub path_hash_prefixes: Option<Vec<String>>,
}

impl DelegatedRole {
    /// Whether the role may speak for a path.
    #[must_use]
    pub fn may_speak_for(&self, path: &str) -> bool {
        self.covers(&HashedPath::new(path))
    }

    /// Whether the role may speak for a path.
    fn covers(&self, path: &HashedPath<'_>) -> bool {
        let by_pattern = |patterns: &Vec<PathPattern>| patterns.iter().any(|one| one.matches(path.path));
        let by_hash = |prefixes: &Vec<String>| {
            let hash = hex(&path.hash);
            prefixes.iter().any(|prefix| hash.starts_with(prefix.as_str()))
        };
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
        super::distinct(&self.keyids, &self.name_prefix)
    }

    /// Which bin a role is, by its name; `None` where it is none of these.
    #[must_use]
    pub fn number_of(&self, name: &str) -> Option<u64> {
        let digits = name.strip_prefix(&self.name_prefix)?.strip_prefix('-')?;
        let width = usize::try_from(self.bit_length.div_ceil(4)).ok()?;
        let plain = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != width || !digits.bytes().all(plain) {
            return None;
        }
        let number = u64::from_str_radix(digits, 16).ok()?;
        (number < 1_u64.checked_shl(self.bit_length)?).then_some(number)
    }

    /// The bin of a path, by its name.
    #[must_use]
    pub fn bin_of(&self, path: &str) -> String {
        self.bin(&HashedPath::new(path))
    }

    /// The bin of a path: the first bits of its SHA-256, in hex as wide as the last bin's.
    pub(crate) fn bin(&self, path: &HashedPath<'_>) -> String {
        let [a, b, c, d, ..] = path.hash;
        let bin = u32::from_be_bytes([a, b, c, d]) >> 32_u32.saturating_sub(self.bit_length).min(31);
        let width = usize::try_from(self.bit_length.div_ceil(4)).unwrap_or(8);
        format!("{}-{bin:0width$x}", self.name_prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_the_range_of_hashes_that_start_with_it() {
        let range = |low, high| Some(HashRange { low, high });
        for (prefix, expected) in [
            ("", range(0, u64::MAX)),
            ("0", range(0, u64::MAX >> 4)),
            ("f", range(0xf << 60, u64::MAX)),
            ("ab", range(0xab << 56, (0xac << 56) - 1)),
            ("0123456789abcdef", range(0x0123_4567_89ab_cdef, 0x0123_4567_89ab_cdef)),
            ("AB", None),
            ("+1", None),
            ("g", None),
            ("0123456789abcdef0", None),
        ] {
            assert_eq!(HashRange::of(prefix), expected, "{prefix}");
        }
    }
}
