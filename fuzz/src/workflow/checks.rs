//! What must hold after each update, whatever was served:
//!
//! - what is trusted never goes backwards (5.3.5, 5.4.3, 5.5.5), but after a key was rotated (5.3.11);
//! - what is newly kept came byte for byte from the server, and holds by the reference's rules;
//! - nothing is lost but by a rotation, and an accepted root never;
//! - a client that says all is well has a chain in its store that holds, and says so offline, too;
//! - a target that is found was said by the publisher, and the reference finds the same.

use std::collections::{BTreeMap, BTreeSet};

use tuf_client::ClientError;

use super::client::{Answer, Files, Outcome, Shelf, Way, Wire, update};
use super::publisher::{Publisher, ROLES, said_by};
use super::server::role_of;
use crate::reference::{Paper, Searched, delegation, rotated, search};

/// An update that is over.
pub struct Update<'a> {
    /// How it was made.
    pub way: Way<'a>,
    /// What was kept before it.
    pub before: Files,
    /// What is kept after it.
    pub after: Files,
    /// What was served during it.
    pub served: Vec<(String, Vec<u8>)>,
    /// Whether the store was cut off during it.
    pub cut_off: bool,
    /// Whether all that the client relies on has to be in the store.
    pub complete: bool,
    /// How it ended.
    pub outcome: Outcome,
}

impl Update<'_> {
    /// Checks all of it.
    pub fn check(&self, publisher: &Publisher) {
        let roots = self.roots();
        self.ended_for_a_reason();
        self.kept_its_root(&roots);
        self.lost_nothing(&roots);
        self.went_forward(&roots);
        for (name, bytes) in &self.after {
            if self.before.get(name) != Some(bytes) {
                self.may_keep(name, bytes, &roots);
            }
        }
        if !self.complete {
            return;
        }
        if self.outcome.refreshed.is_ok() {
            self.holds(&roots);
            self.says_the_same_offline();
        }
        if let Some(Ok(answer)) = &self.outcome.found {
            self.found_rightly(answer.as_ref(), publisher);
        }
    }

    /// The roots from the one trusted before on, as far as what was kept or served leads (5.3).
    fn roots(&self) -> Vec<Paper> {
        let kept = self.before.get("root.json").and_then(|bytes| Paper::read(bytes));
        let mut roots = vec![kept.or_else(|| Paper::read(self.way.pinned)).expect("a root is pinned")];
        loop {
            let last = roots.last().expect("it starts with one");
            let name = format!("{}.root.json", last.version() + 1);
            let kept = self.before.get(&format!("root_history/{name}"));
            let served = self.served.iter().filter(|(file, _)| *file == name).map(|(_, bytes)| bytes);
            let follows = |root: &Paper| {
                let rightful = root.holds_under(last, "root") && root.holds_under(root, "root");
                rightful && root.version() == last.version() + 1
            };
            let next = kept.into_iter().chain(served).filter_map(|bytes| Paper::read(bytes)).find(follows);
            match next {
                Some(next) => roots.push(next),
                None => return roots,
            }
        }
    }

    /// An error is of the kind that the circumstances allow, and says something.
    fn ended_for_a_reason(&self) {
        let not_found = self.outcome.found.as_ref().and_then(|found| found.as_ref().err());
        for error in [self.outcome.refreshed.as_ref().err(), not_found].into_iter().flatten() {
            assert!(!error.to_string().is_empty(), "an error without a word");
            match error {
                ClientError::Store(_) => assert!(self.cut_off, "the store works: {error}"),
                ClientError::Offline { .. } => assert!(self.way.offline, "online: {error}"),
                ClientError::Source { .. } | ClientError::NoRepository { .. } => {
                    assert!(!self.way.offline, "nobody was asked: {error}");
                }
                _ => {}
            }
        }
    }

    fn kept_its_root(&self, roots: &[Paper]) {
        let (before, newest) = (&roots[0], &roots[roots.len() - 1]);
        let Some(kept) = self.paper("root") else {
            return assert!(self.cut_off, "the root was not kept");
        };
        assert!(kept.version() >= before.version(), "the root went backwards");
        if self.cut_off || self.way.offline {
            return;
        }
        assert_eq!(kept.version(), newest.version(), "an accepted root was not kept");
    }

    fn rotated(&self, roots: &[Paper]) -> bool {
        let newest = &roots[roots.len() - 1];
        roots.iter().any(|root| rotated(root, newest))
    }

    fn lost_nothing(&self, roots: &[Paper]) {
        for name in self.before.keys().filter(|name| !self.after.contains_key(*name)) {
            let may_go = ["timestamp.json", "snapshot.json"].contains(&name.as_str());
            // What is no document may be forgotten.
            let document = self.before.get(name).and_then(|bytes| Paper::read(bytes)).is_some();
            assert!(may_go && self.rotated(roots) || !document, "{name} was lost");
        }
    }

    fn went_forward(&self, roots: &[Paper]) {
        if self.rotated(roots) {
            return;
        }
        let before = |role: &str| {
            let paper = self.before.get(&format!("{role}.json")).and_then(|bytes| Paper::read(bytes));
            paper.filter(|paper| paper.holds_under(&roots[0], role))
        };
        let (timestamp, snapshot) = (before("timestamp"), before("snapshot"));
        for (role, before) in [("timestamp", &timestamp), ("snapshot", &snapshot)] {
            let Some(before) = before else { continue };
            let after = self.paper(role).unwrap_or_else(|| panic!("{role} was lost"));
            // A snapshot's own version is remembered by the timestamp only.
            if role == "timestamp" || timestamp.is_some() {
                assert!(after.version() >= before.version(), "{role} went backwards");
            }
            let listed = after.listed();
            for (file, version) in before.listed() {
                let now = listed.get(&file).copied();
                assert!(now >= Some(version), "{role}: {file} went from {version} to {now:?}");
            }
        }
    }

    /// Whether a file may be kept that wasn't before.
    fn may_keep(&self, name: &str, bytes: &[u8], roots: &[Paper]) {
        let served = self.served.iter().any(|(_, one)| one == bytes);
        let history = || self.before.values().any(|one| one == bytes);
        let root = bytes == self.way.pinned || served || history();
        let role = match name.strip_prefix("root_history/") {
            Some(_) => "root",
            None => kept_role(name),
        };
        if role == "root" {
            return assert!(root, "{name} came from nowhere");
        }
        // What is private to the client is not metadata.
        if role.is_empty() {
            return;
        }
        assert!(served, "{name} is not as it was served");
        let paper = Paper::read(bytes).unwrap_or_else(|| panic!("{name} was kept, and is no document"));
        self.is_good(role, bytes, &paper, &roots[roots.len() - 1]);
    }

    /// Whether a document is the one that the others state, signed by whom they say, and unexpired.
    fn is_good(&self, role: &str, bytes: &[u8], paper: &Paper, root: &Paper) {
        assert!(paper.expires().is_some_and(|expires| expires > self.way.now), "{role} is expired");
        match role {
            "timestamp" => assert!(paper.holds_under(root, role), "{role} below threshold"),
            "snapshot" => {
                assert!(paper.holds_under(root, role), "{role} below threshold");
                self.is_stated("timestamp", role, bytes, paper);
            }
            "targets" => {
                assert!(paper.holds_under(root, role), "{role} below threshold");
                self.is_stated("snapshot", role, bytes, paper);
            }
            delegated => {
                self.is_stated("snapshot", role, bytes, paper);
                let papers = ROLES.iter().skip(3).filter_map(|role| self.paper(role));
                let led = papers.into_iter().any(|delegator| {
                    delegation(&delegator, delegated).is_some_and(|(keys, rule)| paper.signed_by(keys, rule))
                });
                assert!(led && paper.signed()["_type"] == "targets", "nobody leads to {delegated}");
            }
        }
    }

    fn is_stated(&self, by: &str, role: &str, bytes: &[u8], paper: &Paper) {
        let speaker = self.paper(by).unwrap_or_else(|| panic!("{role} is kept without {by}"));
        let stated = speaker.states(&format!("{role}.json"));
        assert!(stated.is_some_and(|stated| stated.fits(bytes, paper)), "{role} is not the one stated");
    }

    /// The whole chain in the store.
    fn holds(&self, roots: &[Paper]) {
        let root = self.paper("root").expect("a root is kept");
        let newest = &roots[roots.len() - 1];
        // The store may have been cut off between two files of the root.
        let root = if newest.version() > root.version() { newest.clone() } else { root };
        assert!(root.expires().is_some_and(|expires| expires > self.way.now), "the root is expired");
        for role in ["timestamp", "snapshot", "targets"] {
            let name = format!("{role}.json");
            let bytes = self.after.get(&name).unwrap_or_else(|| panic!("all is well without {role}"));
            let paper = Paper::read(bytes).unwrap_or_else(|| panic!("{role} is no document"));
            self.is_good(role, bytes, &paper, &root);
        }
    }

    fn says_the_same_offline(&self) {
        let way = Way { offline: true, ..self.way.clone() };
        let shelf = Shelf::of(self.after.clone());
        let outcome = update(&way, &Wire::default(), &shelf);
        if let Err(error) = &outcome.refreshed {
            panic!("all is well, but not offline: {error}");
        }
        if let Some(Ok(answer)) = &self.outcome.found {
            match &outcome.found {
                Some(Ok(again)) => assert_eq!(again, answer, "another answer offline"),
                other => assert!(self.cut_off, "found, but not offline: {other:?}"),
            }
        }
    }

    fn found_rightly(&self, answer: Option<&Answer>, publisher: &Publisher) {
        let snapshot = self.paper("snapshot").expect("found without a snapshot");
        let mut papers = BTreeMap::new();
        for role in ROLES.iter().skip(3) {
            let name = tuf_core::metadata_file_name(role, None);
            let Some(bytes) = self.after.get(&name) else { continue };
            let stated = snapshot.states(&format!("{role}.json"));
            if let (Some(paper), Some(stated)) = (Paper::read(bytes), stated)
                && stated.fits(bytes, &paper)
            {
                papers.insert((*role).to_owned(), paper);
            }
        }
        let path = self.way.path;
        let by_recursion = match search(&papers, "targets", path, &mut BTreeSet::new()) {
            Searched::In(role) => Some(role),
            Searched::On | Searched::Ended => None,
        };
        assert_eq!(answer.map(|answer| &answer.role), by_recursion.as_ref(), "the search for {path:?}");
        let Some(Answer { role, target }) = answer else { return };
        assert_eq!(papers[role].target(path), Some(target), "what is said of {path:?}");
        let said = said_by(role, path, target);
        assert!(publisher.said.contains(&said), "nobody ever said {said:?}");
    }

    fn paper(&self, role: &str) -> Option<Paper> {
        Paper::read(self.after.get(&tuf_core::metadata_file_name(role, None))?)
    }
}

/// The role of a kept file: nothing where it is no role's.
fn kept_role(name: &str) -> &'static str {
    let known = ROLES.iter().find(|role| tuf_core::metadata_file_name(role, None) == name);
    known.copied().unwrap_or_else(|| role_of(name))
}
