//! Who is affected: entries of a database weighed against a package, and their names brought together.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::Error;
use crate::database::Database;
use crate::ecosystem::{Ecosystem, Package};
use crate::format::{Cve, Entry, Event, Record};
use crate::range::{Judgement, judge};
use crate::severity::Severity;
use crate::version::{Order, Version};

/// What is known of a package.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// What affects it, by id.
    pub matches: Vec<Match>,
    /// Advisories on it of which it could not be told whether they apply: neither findings nor silence.
    pub unknown: Vec<Unknown>,
}

/// A weakness that affects a package.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// The CVE where it has one, else the advisory's own id.
    pub id: String,
    /// Its other names: advisories that are on it.
    pub aliases: Vec<String>,
    /// The first version that isn't affected, if there is one for everybody.
    pub fixed: Option<String>,
    /// A fix that only some can have, and who: `2.4.29-1ubuntu4.27+esm2 (Ubuntu Pro)`.
    pub fixed_for_some: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// Whether it is known to be exploited (CISA's list).
    pub kev: bool,
    /// Whether somebody disputes that it is a weakness at all.
    pub disputed: bool,
    /// What it is, in a line.
    pub summary: Option<String>,
    /// Where to read on.
    pub references: Vec<String>,
}

/// An advisory that may apply.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Unknown {
    /// The advisory.
    pub id: String,
    /// Why it can't be told.
    pub why: String,
}

pub(crate) fn affecting(database: &Database, package: &Package) -> Result<Answer, Error> {
    let ecosystem = &package.ecosystem;
    let Some(order) = ecosystem.order() else { return Ok(Answer::default()) };
    let mut entries = database.entries(&ecosystem.key(&package.name))?;
    if ecosystem.release.is_some() {
        entries.extend(database.entries(&ecosystem.any_release().key(&package.name))?);
    }
    let mut found = Found { ecosystem, order, groups: BTreeMap::new(), unknown: BTreeSet::new() };
    let version = Version::parse(order, &package.version);
    for entry in applicable(entries, package) {
        let judgement = match &version {
            Ok(version) => judge(order, version, &package.version, &entry),
            Err(error) => Judgement::Unknown(format!("the version that is installed: {error}")),
        };
        match judgement {
            Judgement::Unaffected => (),
            Judgement::Affected(fixed) => found.add(&entry, &database.read(entry.record)?, fixed),
            Judgement::Unknown(why) => {
                let record: Record = database.read(entry.record)?;
                found.unknown.insert(Unknown { id: record.id, why });
            }
        }
    }
    Ok(found.answer())
}

/// Entries that are on this package: its channel, its binaries, its module.
fn applicable(entries: Vec<Entry>, package: &Package) -> impl Iterator<Item = Entry> {
    // Where an advisory speaks for everybody, what it says besides for those who pay is left aside.
    let plain: BTreeSet<u64> =
        entries.iter().filter(|one| one.channel.is_none()).map(|one| one.record.offset).collect();
    entries.into_iter().filter(move |entry| {
        in_channel(entry, package, plain.contains(&entry.record.offset))
            && of_binary(entry, package)
            && of_module(entry, package)
    })
}

fn in_channel(entry: &Entry, package: &Package, also_plain: bool) -> bool {
    let version = package.version.to_lowercase();
    let is_fips = version.contains("fips");
    match &entry.channel {
        None => true,
        Some(channel) if channel.contains("FIPS") => is_fips,
        Some(_) => !also_plain || version.contains("esm"),
    }
}

fn of_binary(entry: &Entry, package: &Package) -> bool {
    match &package.binary {
        Some(binary) if !entry.binaries.is_empty() => entry.binaries.contains(binary),
        _ => true,
    }
}

/// A package of a module is only affected by advisories on that module and stream, one of no module by others.
fn of_module(entry: &Entry, package: &Package) -> bool {
    if package.ecosystem.order() != Some(Order::Rpm) {
        return true;
    }
    let modular = |version: &str| version.contains(".module");
    let by_module = entry.ranges.iter().flatten().any(|event| modular(event.version()));
    let is_modular = package.module.is_some() || modular(&package.version);
    let same_stream = match (&entry.module, &package.module) {
        (Some(advised), Some(installed)) => {
            advised.split(' ').any(|advised| stream(advised) == stream(installed))
        }
        _ => true,
    };
    by_module == is_modular && (!by_module || same_stream)
}

/// `nodejs:18:8060020220920153926:ad008a3a` is `nodejs:18`.
fn stream(module: &str) -> (&str, &str) {
    let mut parts = module.split(':');
    (parts.next().unwrap_or(""), parts.next().unwrap_or(""))
}

struct Found<'a> {
    ecosystem: &'a Ecosystem,
    order: Order,
    groups: BTreeMap<String, Match>,
    unknown: BTreeSet<Unknown>,
}

impl Found<'_> {
    fn add(&mut self, entry: &Entry, record: &Record, fixed: Option<String>) {
        if self.ecosystem.is_distribution() && !record.cves.is_empty() {
            // One advisory on several CVEs is several findings; two on one CVE are one.
            for cve in &record.cves {
                let one = self.of(entry, record, std::slice::from_ref(cve), fixed.clone());
                self.merge(one);
            }
        } else {
            let one = self.of(entry, record, &record.cves, fixed);
            self.merge(one);
        }
    }

    fn of(&self, entry: &Entry, record: &Record, cves: &[Cve], fixed: Option<String>) -> Match {
        let id = cves.first().map_or(&record.id, |cve| &cve.id).clone();
        let own = std::iter::once(&record.id).chain(&record.aliases);
        let mut aliases: Vec<String> = own.chain(cves.iter().map(|cve| &cve.id)).cloned().collect();
        aliases.retain(|alias| *alias != id);
        let (fixed, fixed_for_some) = match (&entry.channel, fixed) {
            (Some(channel), Some(fixed)) if for_some(&fixed) => {
                (None, Some(format!("{fixed} ({} {channel})", self.ecosystem.name)))
            }
            (_, fixed) => (fixed, None),
        };
        Match {
            id,
            aliases,
            fixed,
            fixed_for_some,
            severity: self.severity(entry, cves),
            kev: cves.iter().any(|cve| cve.exploited),
            disputed: record.disputed,
            summary: record.summary.clone(),
            references: record.references.clone(),
        }
    }

    /// The distribution's word, with the grounds of others; else the vectors.
    fn severity(&self, entry: &Entry, cves: &[Cve]) -> Severity {
        let joined = || cves.iter().filter_map(|cve| cve.severity.clone()).max_by_key(|one| one.level);
        let by_vector = entry.severity.clone().filter(|one| one.score.is_some()).or_else(joined);
        let by_vector = by_vector.or_else(|| entry.severity.clone());
        match entry.level {
            Some(level) => {
                let grounds = by_vector.unwrap_or(Severity::UNKNOWN);
                Severity { level, source: Some(self.ecosystem.name.clone()), ..grounds }
            }
            None => by_vector.unwrap_or(Severity::UNKNOWN),
        }
    }

    /// Adds a match to the one that shares a name with it; in distributions, the CVE.
    fn merge(&mut self, mut one: Match) {
        let names =
            |one: &Match| std::iter::once(&one.id).chain(&one.aliases).cloned().collect::<BTreeSet<String>>();
        if !self.ecosystem.is_distribution() {
            let mine = names(&one);
            let shared: Vec<String> = self
                .groups
                .iter()
                .filter(|(_, other)| !names(other).is_disjoint(&mine))
                .map(|(id, _)| id.clone())
                .collect();
            for id in shared {
                if let Some(other) = self.groups.remove(&id) {
                    one = self.joined(one, other);
                }
            }
        } else if let Some(other) = self.groups.remove(&one.id) {
            one = self.joined(one, other);
        }
        self.groups.insert(one.id.clone(), one);
    }

    fn joined(&self, a: Match, b: Match) -> Match {
        let (first, second) = if rank(&a.id) <= rank(&b.id) { (a, b) } else { (b, a) };
        let mut aliases: BTreeSet<String> = first.aliases.into_iter().chain(second.aliases).collect();
        aliases.insert(second.id);
        aliases.remove(&first.id);
        let mut references = first.references;
        references.extend(second.references);
        let mut seen = BTreeSet::new();
        references.retain(|reference| seen.insert(reference.clone()));
        let weighed = |one: &Severity| (one.vector.is_some() || one.source.is_some(), one.level);
        let first_weighs_more = weighed(&first.severity) >= weighed(&second.severity);
        Match {
            id: first.id,
            aliases: aliases.into_iter().collect(),
            fixed: self.later(first.fixed, second.fixed),
            fixed_for_some: first.fixed_for_some.or(second.fixed_for_some),
            severity: if first_weighs_more { first.severity } else { second.severity },
            kev: first.kev || second.kev,
            disputed: first.disputed || second.disputed,
            summary: first.summary.or(second.summary),
            references,
        }
    }

    /// What all advisories call fixed.
    fn later(&self, a: Option<String>, b: Option<String>) -> Option<String> {
        let (Some(first), Some(second)) = (&a, &b) else { return a.or(b) };
        let parse = |text| Version::parse(self.order, text).ok();
        let order = parse(first).zip(parse(second)).and_then(|(first, second)| first.compare(&second));
        if order == Some(Ordering::Less) { b } else { a }
    }

    fn answer(self) -> Answer {
        let found: BTreeSet<String> = self
            .groups
            .values()
            .flat_map(|one| std::iter::once(&one.id).chain(&one.aliases))
            .cloned()
            .collect();
        let unknown = self.unknown.into_iter().filter(|one| !found.contains(&one.id)).collect();
        Answer { matches: self.groups.into_values().collect(), unknown }
    }
}

/// CVEs are the name of a group, then GitHub's ids, then others.
fn rank(id: &str) -> (u8, &str) {
    match id {
        id if id.starts_with("CVE-") => (0, id),
        id if id.starts_with("GHSA-") => (1, id),
        id => (2, id),
    }
}

/// Whether a version is only in Ubuntu's archives for those who pay.
fn for_some(version: &str) -> bool {
    let version = version.to_lowercase();
    version.contains("esm") || version.contains("fips")
}

impl Event {
    /// Reads an event of the schema; `None` for kinds that it doesn't have.
    pub(crate) fn of(kind: &str, version: &str) -> Option<Self> {
        let version = version.to_owned();
        Some(match kind {
            "introduced" => Self::Introduced(version),
            "fixed" => Self::Fixed(version),
            "last_affected" => Self::LastAffected(version),
            "limit" if version != "*" => Self::Limit(version),
            _ => return None,
        })
    }
}
