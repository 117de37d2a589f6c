//! The verbs of a story, and its world: time, publisher, server, client.
//!
//! A record is `[verb, a, b, c]`. Verbs count on from 0 again, and so do all numbers, so that no record is
//! wrong.

use std::sync::LazyLock;

use tuf_core::Instant;
use tuf_core::authoring::{Document, meta_of};

use super::checks::Update;
use super::client::{Living, Shelf, Way, Wire, update};
use super::publisher::{PATHS, Publisher, ROLES};
use super::server::Instead;
use crate::ground::{now, sealed};

/// In role `a`, lists path `b` with content `c`; takes it out where `c` is 0.
pub const TARGET: u8 = 0;
/// Role `a` delegates to role `b` the pattern `c`, terminating where its high bit is set.
pub const DELEGATE: u8 = 1;
/// Role `a` delegates to the bins.
pub const BINS: u8 = 2;
/// Role `a` gets its key `b`.
pub const ADD_KEY: u8 = 3;
/// Role `a` loses its key `b`.
pub const DROP_KEY: u8 = 4;
/// Of role `a`, `b` + 1 must sign.
pub const THRESHOLD: u8 = 5;
/// Consistent snapshots go on or off.
pub const CONSISTENT: u8 = 6;
/// Publishes what changed and the roles of the bits of `a`; without lengths and hashes where `b` is odd, and
/// without white space where its next bit is set.
pub const PUBLISH: u8 = 7;
/// The day becomes `a` (of 64); it may be an earlier one.
pub const DAY: u8 = 8;
/// The online roles get new keys, and all is published.
pub const RECOVER: u8 = 9;
/// From now on, what the publisher put out is served.
pub const HEAL: u8 = 10;
/// In the place of role `a`'s file, something is served that `b` and `c` choose: see [`World::forged`].
pub const SERVE: u8 = 11;
/// Who stole the online keys makes a timestamp and a snapshot: see [`World::stolen`].
pub const STEAL: u8 = 12;
/// Updates and looks for path `a`; the store is cut off after `b` - 1 changes; offline where `c` is odd,
/// else by the client that lives on where its next bit is set.
pub const UPDATE: u8 = 13;
/// The kept file of number `a` is lost where `c` is 0, else changed at `b`.
pub const DAMAGE: u8 = 14;
/// How many verbs there are.
pub const VERBS: u8 = 15;

/// A longer story finds nothing that two can't: it would only be slower.
const MOST_STEPS: usize = 48;

/// A key that no role ever lists.
const STRANGER: u8 = 250;

/// Every story begins the same.
static FIRST_RELEASE: LazyLock<Publisher> = LazyLock::new(|| Publisher::new(now()));

/// Everybody, at some day.
pub struct World {
    day: u8,
    publisher: Publisher,
    pinned: Vec<u8>,
    wire: Wire,
    shelf: Shelf,
    /// Whether the client may have taken statements of somebody who had the online keys, so that it may
    /// refuse honest ones until keys are rotated.
    stolen: bool,
    /// Whether such statements are being served.
    stealing: bool,
    /// Whether a file was ever damaged.
    damaged: bool,
    living: Living,
    /// Whether the last update found what it looked for.
    found: bool,
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl World {
    /// A repository that is out, and a client that knows its first root.
    pub fn new() -> Self {
        let publisher = FIRST_RELEASE.clone();
        let pinned = publisher.issued["root"][0].clone();
        let wire = Wire::default();
        wire.server().files = publisher.files.clone();
        let shelf = Shelf::default();
        let living = Living::new(&pinned, &wire, &shelf);
        let (day, stolen, stealing, damaged, found) = (0, false, false, false, false);
        Self { day, publisher, pinned, wire, shelf, stolen, stealing, damaged, living, found }
    }

    /// Goes through the records. Says whether the last update found what it looked for.
    pub fn tell(&mut self, bytes: &[u8]) -> bool {
        let (records, _) = bytes.as_chunks::<4>();
        for record in records.iter().take(MOST_STEPS) {
            self.step(*record);
        }
        self.found
    }

    fn step(&mut self, [verb, a, b, c]: [u8; 4]) {
        let (role, other) = (usize::from(a), usize::from(b));
        match verb % VERBS {
            TARGET => self.publisher.target(role, other, c),
            DELEGATE => self.publisher.delegate(role, other, usize::from(c & 0x7f), c & 0x80 != 0),
            BINS => self.publisher.bins(role),
            ADD_KEY => self.publisher.add_key(role, other),
            DROP_KEY => self.publisher.drop_key(role, other),
            THRESHOLD => self.publisher.threshold(role, other),
            CONSISTENT => self.publisher.toggle_consistent(),
            PUBLISH => self.publish(a, (b & 1 == 0, b & 2 == 2)),
            DAY => self.day = a % 64,
            RECOVER => {
                self.publisher.recover();
                self.publish(0, (true, false));
                self.stolen = false;
            }
            HEAL => {
                self.wire.server().instead.clear();
                self.stealing = false;
            }
            SERVE => self.serve(ROLES[role % ROLES.len()], b, c),
            STEAL => self.stolen(a, b, c),
            UPDATE => self.update(PATHS[role % PATHS.len()], b.checked_sub(1), c & 1 == 1, c & 2 == 2),
            _ => self.damage(role, b, c),
        }
    }

    fn now(&self) -> Instant {
        now() + chrono::TimeDelta::days(self.day.into())
    }

    fn publish(&mut self, also: u8, written: (bool, bool)) {
        self.publisher.publish(self.now(), also, written);
        self.wire.server().files = self.publisher.files.clone();
    }

    fn serve(&mut self, role: &str, kind: u8, detail: u8) {
        let instead = match kind % 11 {
            0 => Some(Instead::Absent),
            1 => Some(Instead::Unreachable),
            10 => Some(Instead::Unchanged),
            kind => self.forged(role, kind, detail).map(Instead::Bytes),
        };
        if let Some(instead) = instead {
            self.wire.server().instead.insert(role.to_owned(), instead);
        }
    }

    /// What somebody can make without a key: 2 an older file, 3 another role's, 4 a changed byte, 5 less,
    /// 6 more, 7 signed by a stranger, 8 with a signature less, 9 with a signature twice.
    fn forged(&self, role: &str, kind: u8, detail: u8) -> Option<Vec<u8>> {
        let issued = self.publisher.issued.get(role)?;
        let mut bytes = issued.last()?.clone();
        // Far apart in a file of any length.
        let place = bytes.len() * usize::from(detail) / 256;
        match kind {
            2 => return issued.get(usize::from(detail) % issued.len()).cloned(),
            3 => return self.publisher.issued.get(ROLES[usize::from(detail) % ROLES.len()])?.last().cloned(),
            4 => *bytes.get_mut(place)? ^= 1 << (detail % 8),
            5 => bytes.truncate(place),
            6 => bytes.extend(vec![b' '; usize::from(detail)]),
            7 => {
                let mut document = self.publisher.document(role)?.clone();
                document.set_version(document.version() + u64::from(detail % 4));
                return Some(sealed(&document, &[STRANGER]));
            }
            _ => return resigned(&bytes, kind == 9),
        }
        Some(bytes)
    }

    /// A timestamp of the version that `a` chooses, a snapshot of `b`'s, which lists targets of `c`'s. The
    /// high bits: `a` no length and hash, `b` expired, `c` without one file.
    fn stolen(&mut self, a: u8, b: u8, c: u8) {
        let of = |role: &str| self.publisher.document(role).cloned();
        let (Some(mut timestamp), Some(mut snapshot)) = (of("timestamp"), of("snapshot")) else { return };
        let stating = |version, bytes: &[u8]| {
            let mut meta = meta_of(version, bytes);
            if a & 0x80 != 0 {
                (meta.length, meta.hashes) = (None, None);
            }
            meta
        };
        let targets = self.publisher.issued["targets"].last().cloned().unwrap_or_default();
        snapshot.set_version(moved(snapshot.version(), b));
        snapshot.set_meta("targets.json", &stating(moved(version_of(&targets), c), &targets));
        if let Some(meta) = snapshot.signed_mut()["meta"].as_object_mut().filter(|_| c & 0x80 != 0) {
            let last = meta.keys().next_back().cloned().unwrap_or_default();
            meta.remove(&last);
        }
        let days = if b & 0x80 != 0 { -1 } else { 3 };
        for document in [&mut timestamp, &mut snapshot] {
            document.set_expires(self.now() + chrono::TimeDelta::days(days));
        }
        let snapshot_bytes = sealed(&snapshot, &self.publisher.signers("snapshot"));
        timestamp.set_version(moved(timestamp.version(), a));
        timestamp.set_meta("snapshot.json", &stating(snapshot.version(), &snapshot_bytes));
        let timestamp_bytes = sealed(&timestamp, &self.publisher.signers("timestamp"));
        let mut server = self.wire.server();
        server.instead.insert("timestamp".to_owned(), Instead::Bytes(timestamp_bytes));
        server.instead.insert("snapshot".to_owned(), Instead::Bytes(snapshot_bytes));
        self.stealing = true;
    }

    fn update(&mut self, path: &str, changes: Option<u8>, offline: bool, living: bool) {
        let way = Way { pinned: &self.pinned, now: self.now(), offline, path };
        self.stolen |= self.stealing && !offline;
        let before = self.shelf.files();
        self.shelf.cut_off_after(changes.map(u32::from));
        let living = living && !offline;
        let outcome = match living {
            true => self.living.update(&way, &self.wire),
            false => update(&way, &self.wire, &self.shelf),
        };
        self.shelf.cut_off_after(None);
        let served = self.wire.server().served.clone();
        let after = self.shelf.files();
        let cut_off = changes.is_some();
        // What a client holds in memory it doesn't miss in a store that somebody damaged.
        let complete = !(living && self.damaged);
        let update = Update { way, before, after, served, cut_off, complete, outcome };
        update.check(&self.publisher);
        self.found = matches!(update.outcome.found, Some(Ok(Some(_))));
        let honest = self.wire.server().instead.is_empty() && self.publisher.settled();
        let well = honest && !self.stolen && !cut_off && !offline && self.publisher.unexpired(self.now());
        if let (true, Err(error)) = (well, &update.outcome.refreshed) {
            panic!("an honest repository was refused: {error}");
        }
    }

    fn damage(&mut self, number: usize, place: u8, change: u8) {
        // Roots are what trust hangs on: who can change those has won.
        let mut names: Vec<String> = self.shelf.files().into_keys().collect();
        names.retain(|name| name != "root.json" && !name.starts_with("root_history/"));
        let Some(name) = names.get(number % names.len().max(1)) else { return };
        self.damaged = true;
        if change == 0 {
            return self.shelf.lose(name);
        }
        self.shelf.damage(name, |bytes| {
            let place = bytes.len() * usize::from(place) / 256;
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= change;
            }
        });
    }
}

/// A version moved by a number: a bit forward, a bit backward, or as far as versions go.
fn moved(version: u64, by: u8) -> u64 {
    match by & 0x7f {
        0x7f => u64::MAX,
        0x7e => u64::MAX - 1,
        by if by >= 0x40 => version.saturating_sub(u64::from(by - 0x40)).max(1),
        by => version + u64::from(by),
    }
}

fn version_of(bytes: &[u8]) -> u64 {
    Document::parse(bytes).map_or(1, |document| document.version())
}

/// The file with its last signature gone, or given twice.
fn resigned(bytes: &[u8], twice: bool) -> Option<Vec<u8>> {
    let mut envelope: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let signatures = envelope["signatures"].as_array_mut()?;
    let last = signatures.pop()?;
    if twice {
        signatures.extend([last.clone(), last]);
    }
    serde_json::to_vec(&envelope).ok()
}
