//! The publisher: an honest one, whose releases are always consistent. Everything that was ever published is
//! remembered, for replays and for asking afterwards whether he said a thing.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tuf_core::authoring::{Delegation, Document, meta_of};
use tuf_core::crypto::Sign as _;
use tuf_core::schema::{MetaFile, Target};
use tuf_core::{Instant, Role, metadata_file_name};

use crate::ground::sealed;
use crate::seal::{Sealer, sha256};

/// The roles of a story: the top-level ones, delegated ones with names that go astray where a name is taken
/// for a file, and two bins.
pub const ROLES: [&str; 9] =
    ["root", "timestamp", "snapshot", "targets", "dev", "../up", "2.root", "bin-0", "bin-1"];
/// What is listed and looked for.
pub const PATHS: [&str; 6] = ["app/a", "app/b", "app/c/d", "x", "dev/1", "../x"];
/// What is delegated.
pub const PATTERNS: [&str; 6] = ["*", "app/*", "app/?", "*/*", "dev/1", "*/*/?"];

/// Days that a statement holds, by role; delegated roles are like targets.
const DAYS: [(&str, u8); 4] = [("timestamp", 5), ("snapshot", 10), ("targets", 30), ("root", 40)];

/// Who signs for a role.
#[derive(Clone, Debug)]
struct Staff {
    keys: Vec<u8>,
    threshold: usize,
}

/// What a publisher said of a target: whose key, path, length and hashes.
pub type Said = (String, String, String);

/// The publisher, with what is not yet published.
#[derive(Clone, Debug)]
pub struct Publisher {
    documents: BTreeMap<String, Document>,
    staff: BTreeMap<String, Staff>,
    /// Whose keys the root before lists for itself.
    root_keys_before: Vec<u8>,
    /// Roles whose document changed since it was signed.
    changed: BTreeSet<String>,
    /// Whether snapshot and timestamp state lengths and hashes.
    stating: bool,
    /// Whether files are written without white space, their keys in order.
    compact: bool,
    next_key: u8,
    /// All files ever published, by name; the newest of each.
    pub files: BTreeMap<String, Vec<u8>>,
    /// All files ever published, by role, oldest first.
    pub issued: BTreeMap<String, Vec<Vec<u8>>>,
    /// All that was ever said.
    pub said: BTreeSet<Said>,
}

impl Publisher {
    /// A publisher whose first release is out.
    pub fn new(now: Instant) -> Self {
        let mut publisher = Self {
            documents: BTreeMap::from([
                ("root".to_owned(), Document::root(now)),
                ("timestamp".to_owned(), Document::timestamp(now)),
                ("snapshot".to_owned(), Document::snapshot(now)),
                ("targets".to_owned(), Document::targets(now)),
            ]),
            staff: BTreeMap::new(),
            root_keys_before: Vec::new(),
            changed: BTreeSet::new(),
            stating: true,
            compact: false,
            next_key: 100,
            files: BTreeMap::new(),
            issued: BTreeMap::new(),
            said: BTreeSet::new(),
        };
        for (index, role) in ROLES.iter().enumerate() {
            let first = key_of(index, 0);
            publisher.staff.insert(staff_of(role).to_owned(), Staff { keys: vec![first], threshold: 1 });
        }
        publisher.add_key(0, 1);
        for role in ROLES.iter().take(4) {
            publisher.changed.insert((*role).to_owned());
            publisher.tell_root(role);
        }
        publisher.release(now);
        publisher
    }

    /// Lists a target in a role, or takes it out where `content` is 0.
    pub fn target(&mut self, role: usize, path: usize, content: u8) {
        let (role, path) = (targets_role(role), PATHS[path % PATHS.len()]);
        let document = self.targets_mut(role);
        if content == 0 {
            document.remove_target(path);
        } else {
            document.set_target(path, &Target::of(&[content])).expect("no custom");
        }
    }

    /// Delegates a pattern from a role to another, itself included. Bins give way.
    pub fn delegate(&mut self, from: usize, to: usize, pattern: usize, terminating: bool) {
        let (from, to) = (targets_role(from), targets_role(4 + (to + 2) % 3));
        let staff = self.staff[to].clone();
        self.targets_mut(to);
        let document = self.targets_mut(from);
        if let Some(delegations) = document.signed_mut().get_mut("delegations").and_then(Value::as_object_mut)
        {
            delegations.remove("succinct_roles");
        }
        document.delegate(&Delegation {
            name: to.to_owned(),
            keys: staff.keys.iter().map(|key| Sealer::numbered(*key).key().clone()).collect(),
            threshold: staff.threshold as u32,
            terminating,
            paths: vec![PATTERNS[pattern % PATTERNS.len()].to_owned()],
        });
    }

    /// Delegates to two bins in short (TAP 15). Other delegations of the role give way.
    pub fn bins(&mut self, from: usize) {
        let staff = self.staff["bin"].clone();
        let keys: Vec<Sealer> = staff.keys.iter().map(|key| Sealer::numbered(*key)).collect();
        let ids: Vec<String> = keys.iter().map(Sealer::key_id).collect();
        let listed: BTreeMap<_, _> = keys.iter().map(|key| (key.key_id(), key.key().to_value())).collect();
        let bins =
            json!({ "keyids": ids, "threshold": staff.threshold, "bit_length": 1, "name_prefix": "bin" });
        let delegations = json!({ "keys": listed, "succinct_roles": bins });
        self.targets_mut(targets_role(from)).signed_mut().insert("delegations".into(), delegations);
        self.targets_mut("bin-0");
        self.targets_mut("bin-1");
    }

    /// Gives a role another key of its own four.
    pub fn add_key(&mut self, role: usize, key: usize) {
        let role = role % ROLES.len();
        let number = key_of(role, key);
        let staff = self.staff_mut(ROLES[role]);
        if !staff.keys.contains(&number) {
            staff.keys.push(number);
        }
        self.tell_root(ROLES[role]);
    }

    /// Takes a key from a role that has more than it needs.
    pub fn drop_key(&mut self, role: usize, key: usize) {
        let role = ROLES[role % ROLES.len()];
        let staff = self.staff_mut(role);
        if staff.keys.len() > staff.threshold {
            staff.keys.remove(key % staff.keys.len());
        }
        self.tell_root(role);
    }

    /// Sets how many must sign for a role: as many as there are keys, at most.
    pub fn threshold(&mut self, role: usize, threshold: usize) {
        let role = ROLES[role % ROLES.len()];
        let staff = self.staff_mut(role);
        staff.threshold = 1 + threshold % staff.keys.len();
        self.tell_root(role);
    }

    /// Replaces the keys of both online roles by new ones, as after a theft.
    pub fn recover(&mut self) {
        for role in ["timestamp", "snapshot"] {
            let number = self.next_key;
            // 100 to 199: a story is too short to use them up.
            self.next_key = self.next_key.saturating_add(1).min(199);
            *self.staff_mut(role) = Staff { keys: vec![number], threshold: 1 };
            self.tell_root(role);
        }
    }

    /// Turns consistent snapshots on or off (6.2).
    pub fn toggle_consistent(&mut self) {
        let root = self.documents.get_mut("root").expect("made first");
        let on = root.signed()["consistent_snapshot"] == true;
        root.signed_mut().insert("consistent_snapshot".into(), (!on).into());
        self.changed.insert("root".into());
    }

    /// Publishes what changed, and the roles of `also` (a bit for each of [`ROLES`]) with it. They state lengths and
    /// hashes or not, and are written compactly or not.
    pub fn publish(&mut self, now: Instant, also: u8, (stating, compact): (bool, bool)) {
        for (index, role) in ROLES.iter().take(8).enumerate() {
            if also >> index & 1 == 1 && self.documents.contains_key(*role) {
                self.changed.insert((*role).to_owned());
            }
        }
        (self.stating, self.compact) = (stating, compact);
        for (role, document) in &mut self.documents {
            if self.changed.contains(role) {
                document.set_version(document.version() + 1);
            }
        }
        self.release(now);
    }

    /// Signs what changed, and what speaks of it.
    fn release(&mut self, now: Instant) {
        let targets: Vec<String> = self.documents.keys().filter(|role| !top(role)).cloned().collect();
        for role in targets {
            if self.changed.contains(&role) {
                let meta = self.sign(&role, now);
                self.state("snapshot", &role, &meta);
            }
        }
        if self.changed.contains("root") {
            self.sign("root", now);
        }
        if self.changed.contains("snapshot") {
            let meta = self.sign("snapshot", now);
            self.state("timestamp", "snapshot", &meta);
        }
        if self.changed.contains("timestamp") {
            self.sign("timestamp", now);
        }
        self.root_keys_before = self.staff["root"].keys.clone();
        self.changed.clear();
    }

    fn state(&mut self, speaker: &str, role: &str, meta: &MetaFile) {
        let document = self.documents.get_mut(speaker).expect("made first");
        document.set_meta(&format!("{role}.json"), meta);
        if self.changed.insert(speaker.to_owned()) {
            document.set_version(document.version() + 1);
        }
    }

    fn sign(&mut self, role: &str, now: Instant) -> MetaFile {
        let document = self.documents.get_mut(role).expect("signed because it is there");
        document.set_expires(now + chrono::TimeDelta::days(days(role).into()));
        let (document, version) = (document.clone(), document.version());
        let staff = &self.staff[staff_of(role)];
        // As few as must, each time others: a kept document may have been signed by a key since removed.
        let turn = version as usize;
        let some = (0..staff.threshold).map(|index| staff.keys[(turn + index) % staff.keys.len()]);
        let signers: Vec<u8> = match role {
            "root" => self.root_keys_before.iter().chain(&staff.keys).copied().collect(),
            _ => some.collect(),
        };
        let envelope: Value = serde_json::from_slice(&sealed(&document, &signers)).expect("ours is JSON");
        let text = if self.compact { envelope.to_string() } else { format!("{envelope:#}") };
        let bytes = text.into_bytes();
        let plain = metadata_file_name(role, None);
        let said = document.signed().get("targets").and_then(Value::as_object).into_iter().flatten();
        self.said.extend(said.map(|(path, target)| said_by(role, path, target)));
        // Without versions in the names, the file of the role "2.root" would be the second root's.
        if !["root", "2.root"].contains(&role) {
            self.files.insert(plain, bytes.clone());
        }
        self.files.insert(metadata_file_name(role, Some(version)), bytes.clone());
        self.issued.entry(role.to_owned()).or_default().push(bytes.clone());
        match self.stating {
            true => meta_of(version, &bytes),
            false => MetaFile { version, length: None, hashes: None },
        }
    }

    /// The document of a role as it is, to forge from.
    pub fn document(&self, role: &str) -> Option<&Document> {
        self.documents.get(role)
    }

    /// The keys that sign for a role, as many as must.
    pub fn signers(&self, role: &str) -> Vec<u8> {
        let staff = &self.staff[staff_of(role)];
        staff.keys.iter().copied().take(staff.threshold).collect()
    }

    /// Whether all that changed is published.
    pub fn settled(&self) -> bool {
        self.changed.is_empty()
    }

    /// Whether each top-level document that is out holds at that time.
    pub fn unexpired(&self, now: Instant) -> bool {
        let newest = ROLES.iter().take(4).filter_map(|role| Document::parse(self.issued[*role].last()?).ok());
        newest.map(|document| document.expires()).all(|expires| expires.is_some_and(|expires| expires > now))
    }

    fn staff_mut(&mut self, role: &str) -> &mut Staff {
        self.changed.extend(self.documents.contains_key(role).then(|| role.to_owned()));
        self.staff.get_mut(staff_of(role)).expect("every role has a staff")
    }

    /// The document of a targets role, to change. It is made where there is none.
    fn targets_mut(&mut self, role: &str) -> &mut Document {
        self.changed.insert(role.to_owned());
        let none_yet = || {
            let mut document = Document::targets(Instant::default());
            document.set_version(0);
            document
        };
        self.documents.entry(role.to_owned()).or_insert_with(none_yet)
    }

    /// Puts the staff of a top-level role into the root.
    fn tell_root(&mut self, role: &str) {
        let known = match role {
            "root" => Role::Root,
            "timestamp" => Role::Timestamp,
            "snapshot" => Role::Snapshot,
            "targets" => Role::Targets,
            _ => return,
        };
        let staff = self.staff[role].clone();
        let root = self.documents.get_mut("root").expect("made first");
        let ids: Vec<String> = staff.keys.iter().map(|key| Sealer::numbered(*key).key_id()).collect();
        for old in root.signed()["roles"][role]["keyids"].as_array().cloned().unwrap_or_default() {
            let old = old.as_str().unwrap_or_default();
            if !ids.iter().any(|id| id == old) {
                root.remove_key(&known, old);
            }
        }
        for key in &staff.keys {
            root.add_key(&known, Sealer::numbered(*key).key());
        }
        root.set_threshold(&known, staff.threshold as u32);
        self.changed.insert("root".into());
    }
}

/// What a document of `role` says of a target. Bins share their keys, so one may speak for the other.
pub fn said_by(role: &str, path: &str, target: &Value) -> Said {
    (staff_of(role).to_owned(), path.to_owned(), sha256(target.to_string().as_bytes()))
}

fn top(role: &str) -> bool {
    ["root", "timestamp", "snapshot"].contains(&role)
}

fn staff_of(role: &str) -> &str {
    if role.starts_with("bin-") { "bin" } else { role }
}

/// The role of that number among those that list targets.
fn targets_role(number: usize) -> &'static str {
    ROLES[3 + number.saturating_sub(3) % (ROLES.len() - 3)]
}

/// The number of one of the four keys that a role may have.
fn key_of(role: usize, key: usize) -> u8 {
    10 + 4 * role.min(7) as u8 + (key % 4) as u8
}

fn days(role: &str) -> u8 {
    DAYS.iter().find(|(name, _)| *name == role).map_or(30, |(_, days)| *days)
}
