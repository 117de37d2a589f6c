//! The search over several repositories (TAP 4): the mappings in order, and of each all repositories at
//! once. It decides nothing; `consensus.rs` does.

use std::collections::{BTreeMap, btree_map};
use std::path::Path;
use std::thread;

use tuf_core::Instant;

use super::answer::{Consensus, Missed, NoConsensus, Said, Statement, Tried};
use super::consensus::{Outcome, decide};
use super::member::{Ask, Member};
use super::{MapError, Mapping, RepositoryMap, wrong};
use crate::{Client, DirStore, RepoLocation, TransportOptions};

/// Several repositories, each with its own root and its own store, and the map that binds them.
pub struct MultiRepo {
    map: RepositoryMap,
    members: BTreeMap<String, Box<dyn Ask>>,
}

impl MultiRepo {
    /// Opens the repositories of a map. `roots` has each repository's root file, which came by a way that
    /// is trusted; below `state` each repository gets a folder. Nothing is fetched yet.
    ///
    /// # Errors
    /// When a root is missing, or that of another repository, or a folder can't be made.
    pub fn open(
        map: RepositoryMap,
        roots: &BTreeMap<String, Vec<u8>>,
        state: &Path,
        options: &TransportOptions,
        now: Instant,
    ) -> Result<Self, MapError> {
        Self::with_clients(map, roots, |name, location, root| {
            let store = DirStore::open(state.join(folder_name(name)))?;
            Ok(Client::new(root, location.transport(options), Box::new(store), now))
        })
    }

    /// As [`MultiRepo::open`], with clients that the caller makes: `client` is called with a repository's
    /// name, each of its addresses, and its root. The clients of one repository share a store, and those
    /// of two never do.
    ///
    /// # Errors
    /// When a root is missing, or that of another repository, or a client can't be made.
    pub fn with_clients(
        map: RepositoryMap,
        roots: &BTreeMap<String, Vec<u8>>,
        mut client: impl FnMut(&str, &RepoLocation, Vec<u8>) -> Result<Client, MapError>,
    ) -> Result<Self, MapError> {
        check_roots(&map, roots)?;
        let mut members: BTreeMap<String, Box<dyn Ask>> = BTreeMap::new();
        for (name, locations) in map.repositories() {
            let root = roots.get(name).map(Vec::as_slice).unwrap_or_default();
            let clients = locations.iter().map(|location| client(name, location, root.to_owned()));
            let mut clients = clients.collect::<Result<Vec<_>, _>>()?.into_iter();
            // The map has at least one address of each.
            if let Some(first) = clients.next() {
                members.insert(name.to_owned(), Box::new(Member { first, mirrors: clients.collect() }));
            }
        }
        Ok(Self { map, members })
    }

    /// Searches for a target: brings up to date the repositories of the first mapping that covers it, and
    /// of later ones where that one doesn't end the search. Each repository is asked once.
    ///
    /// # Errors
    /// When too few repositories agree, with what each of them said. Whether that is a refusal or *could
    /// not tell* is [`NoConsensus::unreachable`].
    pub fn find(&self, path: &str) -> Result<Consensus, NoConsensus> {
        let (mut statements, mut tried) = (Vec::new(), Vec::new());
        let numbered = self.map.mappings.iter().zip(1_usize..);
        for (mapping, number) in numbered.filter(|(mapping, _)| mapping.covers(path)) {
            self.ask(mapping, path, &mut statements);
            match decide(&of_mapping(mapping, &statements), mapping.threshold) {
                Outcome::Agreed(target) => return Ok(Consensus { mapping: number, target, statements }),
                Outcome::Short { most: got, missed } => {
                    let (expected, of) = (mapping.threshold, mapping.repositories.len());
                    tried.push(Tried { mapping: number, expected, of, got, missed });
                    // TAP 4, step 4.2 is for what the repositories say, not for their silence.
                    if mapping.terminating || missed != Missed::Heard {
                        break;
                    }
                }
            }
        }
        Err(NoConsensus { path: path.to_owned(), tried, statements })
    }

    /// Asks those of a mapping's repositories that weren't asked yet, all at once. The statements are in
    /// the order of the map, whoever answers first.
    fn ask(&self, mapping: &Mapping, path: &str, statements: &mut Vec<Statement>) {
        let new: Vec<_> = mapping
            .repositories
            .iter()
            .filter(|name| !statements.iter().any(|one| one.repository == **name))
            .filter_map(|name| Some((name, self.members.get(name)?)))
            .collect();
        thread::scope(|scope| {
            let asked: Vec<_> =
                new.iter().map(|(name, member)| (name, scope.spawn(|| member.ask(path)))).collect();
            for (name, asked) in asked {
                // A panic there is a bug, and goes on being one here.
                let said = asked.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                statements.push(Statement { repository: (*name).clone(), said });
            }
        });
    }
}

/// What a mapping's repositories said, in its own order.
fn of_mapping<'s>(mapping: &Mapping, statements: &'s [Statement]) -> Vec<&'s Said> {
    let of = |name: &String| statements.iter().find(|one| one.repository == *name);
    mapping.repositories.iter().filter_map(of).map(|one| &one.said).collect()
}

/// Each repository has a root, and none has another's.
fn check_roots(map: &RepositoryMap, roots: &BTreeMap<String, Vec<u8>>) -> Result<(), MapError> {
    if let Some(stranger) = roots.keys().find(|name| !map.repositories.contains_key(*name)) {
        return Err(wrong("roots", "those of its repositories", format!("one for {stranger:?}")));
    }
    let mut seen: BTreeMap<&[u8], &str> = BTreeMap::new();
    for (name, _) in map.repositories() {
        let at = format!("repository {name:?}");
        let Some(root) = roots.get(name) else { return Err(wrong(at, "a root file", "none")) };
        match seen.entry(root) {
            btree_map::Entry::Vacant(free) => free.insert(name),
            // Its agreement with itself would be no consensus.
            btree_map::Entry::Occupied(taken) => {
                return Err(wrong(at, "a root of its own", format!("that of {:?}", taken.get())));
            }
        };
    }
    Ok(())
}

/// The folder of a repository: percent-encoded, dots included, so that no name leaves its place.
fn folder_name(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let encoded = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    name.bytes().map(encoded).collect()
}

#[cfg(test)]
mod tests;
