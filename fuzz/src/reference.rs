//! The rules of the specification a second time: short, slow, and on plain JSON values. Nothing of
//! `tuf-core` is called here, so that an error is not compared with itself.
//!
//! Signatures are those of [`crate::seal`].

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::seal;

/// The canonical form (4.2), written by recursion; none for fractions.
pub fn canonical(value: &Value) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    write(value, &mut out)?;
    Some(out)
}

fn write(value: &Value, out: &mut Vec<u8>) -> Option<()> {
    match value {
        Value::Number(number) if number.is_f64() => return None,
        Value::Null | Value::Bool(_) | Value::Number(_) => out.extend(value.to_string().bytes()),
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                out.extend((index > 0).then_some(b','));
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            let sorted: BTreeMap<_, _> = members.iter().collect();
            out.push(b'{');
            for (index, (key, member)) in sorted.into_iter().enumerate() {
                out.extend((index > 0).then_some(b','));
                write_text(key, out);
                out.push(b':');
                write(member, out)?;
            }
            out.push(b'}');
        }
    }
    Some(())
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
    out.push(b'"');
    out.extend(escaped.bytes());
    out.push(b'"');
}

/// An envelope and the document in it, or nothing.
#[derive(Clone, Debug)]
pub struct Paper {
    envelope: Value,
}

impl Paper {
    /// Reads an envelope. Nothing is checked.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let envelope: Value = serde_json::from_slice(bytes).ok()?;
        envelope.get("signed")?.as_object()?;
        Some(Self { envelope })
    }

    /// The signed part.
    pub fn signed(&self) -> &Value {
        &self.envelope["signed"]
    }

    /// The version.
    pub fn version(&self) -> u64 {
        self.signed()["version"].as_u64().unwrap_or(0)
    }

    /// When it expires.
    pub fn expires(&self) -> Option<tuf_core::Instant> {
        self.signed()["expires"].as_str()?.parse().ok()
    }

    /// Whether a threshold of distinct keys signed (4.3): `role` has `keyids` and `threshold`.
    pub fn signed_by(&self, keys: &Value, role: &Value) -> bool {
        let Some(message) = canonical(self.signed()) else { return false };
        let (mut good, mut seen) = (BTreeSet::new(), BTreeSet::new());
        for signature in self.envelope["signatures"].as_array().into_iter().flatten() {
            let id = signature["keyid"].as_str().unwrap_or_default();
            // 4.2: each signature has a key of its own, or the document is none.
            if !seen.insert(id) {
                return false;
            }
            let listed = role["keyids"].as_array().into_iter().flatten().any(|one| one.as_str() == Some(id));
            let public = keys[id]["keyval"]["public"].as_str().unwrap_or_default().to_lowercase();
            let expected = seal::seal(&public, &message);
            let found = signature["sig"].as_str().map(str::to_lowercase);
            if listed && expected.is_some() && found == expected {
                good.insert(public);
            }
        }
        role["threshold"].as_u64().is_some_and(|need| need > 0 && good.len() as u64 >= need)
    }

    /// Whether it is signed as a top-level role of that root must be.
    pub fn holds_under(&self, root: &Paper, role: &str) -> bool {
        self.signed()["_type"] == role
            && self.signed_by(&root.signed()["keys"], &root.signed()["roles"][role])
    }

    /// What it states of a file: version, length, SHA-256.
    pub fn states(&self, file: &str) -> Option<Stated> {
        let meta = self.signed()["meta"].get(file)?;
        Some(Stated {
            version: meta["version"].as_u64()?,
            length: meta["length"].as_u64(),
            sha256: meta["hashes"]["sha256"].as_str().map(str::to_lowercase),
        })
    }

    /// The versions of the files that it lists.
    pub fn listed(&self) -> BTreeMap<String, u64> {
        let meta = self.signed()["meta"].as_object().into_iter().flatten();
        meta.filter_map(|(file, one)| Some((file.clone(), one["version"].as_u64()?))).collect()
    }

    /// What it states of a file under `role`: the same text as in the map, or nothing.
    pub fn target(&self, path: &str) -> Option<&Value> {
        self.signed()["targets"].get(path)
    }
}

/// METAFILES of one file (4.4).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stated {
    /// The version.
    pub version: u64,
    length: Option<u64>,
    sha256: Option<String>,
}

impl Stated {
    /// Whether these bytes, read as `paper`, are the ones stated.
    pub fn fits(&self, bytes: &[u8], paper: &Paper) -> bool {
        let length = self.length.is_none_or(|length| length == bytes.len() as u64);
        let hash = self.sha256.as_ref().is_none_or(|hash| *hash == seal::sha256(bytes));
        length && hash && self.version == paper.version()
    }
}

/// 5.3.11: whether a key of the timestamp or snapshot role went away from one root to the other.
pub fn rotated(before: &Paper, after: &Paper) -> bool {
    ["timestamp", "snapshot"].iter().any(|role| !keys_of(before, role).is_subset(&keys_of(after, role)))
}

/// Whether who must sign a role is the same in both roots.
pub fn same_rule(before: &Paper, after: &Paper, role: &str) -> bool {
    let threshold = |root: &Paper| root.signed()["roles"][role]["threshold"].clone();
    keys_of(before, role) == keys_of(after, role) && threshold(before) == threshold(after)
}

fn keys_of(root: &Paper, role: &str) -> BTreeSet<String> {
    let ids = root.signed()["roles"][role]["keyids"].as_array().into_iter().flatten();
    ids.map(|id| root.signed()["keys"][id.as_str().unwrap_or_default()].to_string()).collect()
}

/// Path patterns of 4.5 by dynamic programming: row by row, which beginnings of the text a beginning of
/// the pattern covers.
pub fn glob(pattern: &str, text: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut row = vec![false; text.len() + 1];
    row[0] = true;
    for sign in pattern.chars() {
        let mut next = vec![false; text.len() + 1];
        next[0] = sign == '*' && row[0];
        for (at, found) in text.iter().enumerate() {
            next[at + 1] = match sign {
                '*' => row[at + 1] || (next[at] && *found != '/'),
                '?' => row[at] && *found != '/',
                wanted => row[at] && wanted == *found,
            };
        }
        row = next;
    }
    row[text.len()]
}

/// How far [`search`] came.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Searched {
    /// The role that lists the target.
    In(String),
    /// No role, and the search goes on with those that come after.
    On,
    /// No role, and a terminating one ended it.
    Ended,
}

/// 5.6.7, by recursion: pre-order, each role once, a terminating delegation ends all. Whoever is visited must
/// be in `papers`, signed as the delegator that leads to it says.
pub fn search(
    papers: &BTreeMap<String, Paper>,
    role: &str,
    path: &str,
    seen: &mut BTreeSet<String>,
) -> Searched {
    if !seen.insert(role.to_owned()) {
        return Searched::On;
    }
    let paper = papers.get(role).unwrap_or_else(|| panic!("{role:?} was visited and not accepted"));
    if paper.target(path).is_some() {
        return Searched::In(role.to_owned());
    }
    let delegations = &paper.signed()["delegations"];
    for (name, terminating) in children(delegations, path) {
        if let (Some((keys, rule)), Some(child)) = (delegation(paper, &name), papers.get(&name))
            && !seen.contains(&name)
        {
            assert!(child.signed_by(keys, rule), "{name:?} was visited below the threshold of {role:?}");
        }
        match search(papers, &name, path, seen) {
            Searched::On if terminating => return Searched::Ended,
            Searched::On => {}
            end => return end,
        }
    }
    Searched::On
}

/// The roles that a path is delegated to, in order, and whether each is terminating.
fn children(delegations: &Value, path: &str) -> Vec<(String, bool)> {
    let hash = seal::sha256(path.as_bytes());
    let mut found = Vec::new();
    if let Some(bins) = delegations.get("succinct_roles") {
        // TAP 15: the first bits of the hash, as a number, in hex of the width of the last bin's.
        let bits = bins["bit_length"].as_u64().unwrap_or(1) as usize;
        let number = u64::from_str_radix(&hash[..8], 16).unwrap_or(0) / 2_u64.pow(32 - bits as u32);
        let width = format!("{:x}", 2_u64.pow(bits as u32) - 1).len();
        let prefix = bins["name_prefix"].as_str().unwrap_or_default();
        found.push((format!("{prefix}-{number:0width$x}"), false));
    }
    for role in delegations["roles"].as_array().into_iter().flatten() {
        let texts = |name: &str| role[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        let covered = texts("paths").any(|pattern| glob(pattern, path))
            || texts("path_hash_prefixes").any(|prefix| hash.starts_with(prefix));
        if covered {
            let name = role["name"].as_str().unwrap_or_default().to_owned();
            found.push((name, role["terminating"].as_bool().unwrap_or(false)));
        }
    }
    found
}

/// The keys and the rule by which a delegator lets `role` sign.
pub fn delegation<'p>(delegator: &'p Paper, role: &str) -> Option<(&'p Value, &'p Value)> {
    let delegations = delegator.signed().get("delegations")?;
    let listed = delegations["roles"].as_array().into_iter().flatten().find(|one| one["name"] == role);
    let bins = &delegations["succinct_roles"];
    let binned = bins["name_prefix"]
        .as_str()
        .and_then(|prefix| role.strip_prefix(prefix)?.strip_prefix('-'))
        .filter(|number| u64::from_str_radix(number, 16).is_ok())
        .map(|_| bins);
    Some((&delegations["keys"], listed.or(binned)?))
}
