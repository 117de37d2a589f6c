//! TAP 4: a map says which repositories speak for which targets, and how many of them must agree.
//!
//! The map is a file of the user's. It is never fetched, and what it says is not guessed: a map that could
//! be understood in two ways is refused. This module reads the map and decides nothing about targets;
//! who agrees with whom is `consensus.rs`, and who is asked is `search.rs`.

mod answer;
mod consensus;
mod member;
mod search;

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use thiserror::Error;
use tuf_core::PathPattern;
use tuf_core::canonical::canonicalise;

use crate::{BadLocation, RepoLocation, StoreError};

pub use answer::{Consensus, Missed, NoConsensus, Said, Statement, Tried};
pub use search::{Addresses, MultiRepo};

/// Bytes of a map: it is written by hand, and 256 KiB are some thousand lines.
pub const MAP_BYTES: usize = 256 * 1024;
/// Repositories of a map: each is a folder and a root that somebody fetched by hand.
const REPOSITORIES: usize = 64;
/// Addresses of one repository: mirrors, which are asked one after the other.
const LOCATIONS: usize = 16;
/// Repositories of one mapping: all are asked at once, a thread and a connection each.
const ASKED: usize = 16;
/// Mappings, and patterns of one mapping: each is a line in a file that people read.
const LINES: usize = 1024;
/// Bytes of a repository's name: percent-encoded it takes up to three times as many, and file systems
/// end at 255.
const NAME: usize = 64;

/// The map file of TAP 4, read and found to make sense.
#[derive(Clone, Debug)]
pub struct RepositoryMap {
    repositories: BTreeMap<String, Vec<RepoLocation>>,
    mappings: Vec<Mapping>,
}

/// One entry of the list `mapping`.
#[derive(Clone, Debug)]
struct Mapping {
    paths: Vec<PathPattern>,
    /// In the order in which they are heard.
    repositories: Vec<String>,
    threshold: usize,
    terminating: bool,
}

/// The map, or what was given with it, can't be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MapError {
    /// The file is no JSON, or JSON that two readers understand differently.
    #[error("repository map: {0}")]
    Json(String),
    /// Something in it makes no sense.
    #[error("repository map, {at}: expected {expected}, got {got}")]
    Wrong {
        /// Which part of the map.
        at: String,
        /// What it should be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// The address of a repository can't be used.
    #[error("repository map, repository {repository:?}: {error}")]
    Location {
        /// The name of the repository.
        repository: String,
        /// Why not.
        error: BadLocation,
    },
    /// The folder of a repository can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RepositoryMap {
    /// Reads a map file. Unknown members beside `repositories` and `mapping` are ignored, as a place for
    /// comments; in a mapping they are refused, because they may be meant to narrow it.
    ///
    /// # Errors
    /// Names the part of the map, what was expected and what came.
    pub fn parse(bytes: &[u8]) -> Result<Self, MapError> {
        if bytes.len() > MAP_BYTES {
            return Err(wrong("file", format!("at most {MAP_BYTES} bytes"), bytes.len()));
        }
        // Refuses duplicate members, of which two readers would take different ones.
        canonicalise(bytes).map_err(|why| MapError::Json(why.to_string()))?;
        let map: Value = serde_json::from_slice(bytes).map_err(|why| MapError::Json(why.to_string()))?;
        let map = object("file", Some(&map))?;
        let repositories = repositories(object("repositories", map.get("repositories"))?)?;
        let entries = list("mapping", map.get("mapping"), LINES)?;
        let numbered = entries.iter().zip(1_usize..);
        let mappings = numbered
            .map(|(entry, number)| Mapping::read(&format!("mapping {number}"), entry, &repositories))
            .collect::<Result<_, _>>()?;
        Ok(Self { repositories, mappings })
    }

    /// The repositories by name, each with its addresses.
    pub fn repositories(&self) -> impl Iterator<Item = (&str, &[RepoLocation])> {
        self.repositories.iter().map(|(name, locations)| (name.as_str(), locations.as_slice()))
    }
}

impl Mapping {
    fn read(at: &str, entry: &Value, known: &BTreeMap<String, Vec<RepoLocation>>) -> Result<Self, MapError> {
        let entry = object(at, Some(entry))?;
        let member = |name: &str| (format!("{at}, {name}"), entry.get(name));
        let names = ["paths", "repositories", "terminating", "threshold"];
        if let Some(other) = entry.keys().find(|name| !names.contains(&name.as_str())) {
            return Err(wrong(at, names.join(", "), format!("{other:?}")));
        }
        let (place, value) = member("paths");
        let paths = strings(&place, list(&place, value, LINES)?)?;
        let (place, value) = member("repositories");
        let repositories = strings(&place, list(&place, value, ASKED)?)?;
        for (count, name) in repositories.iter().enumerate() {
            if !known.contains_key(name) {
                return Err(wrong(&place, "names of repositories of this map", format!("{name:?}")));
            }
            if repositories.iter().take(count).any(|before| before == name) {
                return Err(wrong(&place, "each repository once", format!("{name:?} twice")));
            }
        }
        let (place, value) = member("terminating");
        let terminating =
            value.and_then(Value::as_bool).ok_or_else(|| wrong(&place, "true or false", kind(value)))?;
        let (place, value) = member("threshold");
        let most = repositories.len();
        let number = value.and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok());
        let threshold = number
            .filter(|number| (1..=most).contains(number))
            .ok_or_else(|| wrong(&place, format!("a number from 1 to {most}"), kind(value)))?;
        let paths = paths.into_iter().map(PathPattern::new).collect();
        Ok(Self { paths, repositories, threshold, terminating })
    }

    /// Whether the mapping speaks for a path. A lone `*` is every path, as TAP 4 says of it; in any other
    /// pattern `*` ends at a `/`, as in a delegation.
    fn covers(&self, path: &str) -> bool {
        self.paths.iter().any(|pattern| pattern.as_str() == "*" || pattern.matches(path))
    }
}

fn repositories(members: &Map<String, Value>) -> Result<BTreeMap<String, Vec<RepoLocation>>, MapError> {
    let at = "repositories";
    if members.is_empty() || members.len() > REPOSITORIES {
        return Err(wrong(at, format!("1 to {REPOSITORIES} of them"), members.len()));
    }
    let mut repositories = BTreeMap::new();
    let mut folders: BTreeMap<String, &str> = BTreeMap::new();
    let mut places: BTreeMap<String, &str> = BTreeMap::new();
    for (name, value) in members {
        if name.is_empty() || name.len() > NAME {
            return Err(wrong(at, format!("names of 1 to {NAME} bytes"), format!("{name:?}")));
        }
        // Some file systems know no case, and two repositories must not share a folder.
        if let Some(other) = folders.insert(name.to_ascii_lowercase(), name) {
            let got = format!("{other:?} and {name:?}");
            return Err(wrong(at, "names that differ in more than case", got));
        }
        let at = format!("repository {name:?}");
        let mut locations = Vec::new();
        for text in strings(&at, list(&at, Some(value), LOCATIONS)?)? {
            let failed = |error| MapError::Location { repository: name.clone(), error };
            let location: RepoLocation = text.parse().map_err(failed)?;
            // Its agreement with itself would be no consensus.
            if let Some(other) = places.insert(place(&location), name).filter(|other| *other != name) {
                let got = format!("{location}, which is an address of {other:?}");
                return Err(wrong(at, "addresses of its own", got));
            }
            locations.push(location);
        }
        repositories.insert(name.clone(), locations);
    }
    Ok(repositories)
}

/// An address without what doesn't tell two repositories apart: scheme, slashes, and the level named.
fn place(location: &RepoLocation) -> String {
    let text = location.to_string();
    let schemes = ["https://", "http://", "./"];
    let mut place = schemes.iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(&text);
    for level in ["/metadata", "/published"] {
        place = place.trim_end_matches('/');
        place = place.strip_suffix(level).unwrap_or(place);
    }
    place.trim_end_matches('/').to_owned()
}

fn wrong(at: impl Into<String>, expected: impl Into<String>, got: impl ToString) -> MapError {
    MapError::Wrong { at: at.into(), expected: expected.into(), got: got.to_string() }
}

fn object<'v>(at: &str, value: Option<&'v Value>) -> Result<&'v Map<String, Value>, MapError> {
    value.and_then(Value::as_object).ok_or_else(|| wrong(at, "an object", kind(value)))
}

fn list<'v>(at: &str, value: Option<&'v Value>, most: usize) -> Result<&'v [Value], MapError> {
    let list = value.and_then(Value::as_array).ok_or_else(|| wrong(at, "a list", kind(value)))?;
    if list.is_empty() || list.len() > most {
        return Err(wrong(at, format!("a list of 1 to {most}"), format!("{} of them", list.len())));
    }
    Ok(list)
}

fn strings(at: &str, list: &[Value]) -> Result<Vec<String>, MapError> {
    let text = |value: &Value| {
        value.as_str().map(str::to_owned).ok_or_else(|| wrong(at, "strings", kind(Some(value))))
    };
    list.iter().map(text).collect()
}

fn kind(value: Option<&Value>) -> String {
    match value {
        None => "nothing".into(),
        Some(Value::Array(_)) => "a list".into(),
        Some(Value::Object(_)) => "an object".into(),
        Some(Value::String(_)) => "a string".into(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
