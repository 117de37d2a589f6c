//! Who is affected: entries of a database weighed against a package, and their names brought together.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::Error;
use crate::database::Database;
use crate::ecosystem::{Ecosystem, Package};
use crate::format::{BlockHead, Cve, Entry, Grounds, Record};
use crate::range::{Judgement, judge};
use crate::severity::Severity;
use crate::version::{Order, Unreadable, Version};

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

impl Match {
    fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.id).chain(&self.aliases).map(String::as_str)
    }
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
    let every = ecosystem.release.is_some().then(|| ecosystem.any_release().key(&package.name));
    let weighing = Weighing::of(package, order);
    let keys = std::iter::once(ecosystem.key(&package.name)).chain(every);
    let bytes = keys.filter_map(|key| database.block(&key).transpose()).collect::<Result<Vec<_>, _>>()?;
    let (mut judged, mut places) = (Vec::new(), Vec::new());
    for bytes in &bytes {
        database.each_entry(bytes, &mut |head, record, entry| {
            if let Some(judgement) = weighing.judgement(head, &entry) {
                judged.push((entry, judgement));
                places.push(record);
            }
        })?;
    }
    let mut records = database.records(places);
    let mut found = Found::new(ecosystem, order);
    for (entry, judgement) in judged {
        let record = database.record(records.next()?)?;
        match judgement {
            Judgement::Unaffected => (),
            Judgement::Affected(fixed) => found.add(&entry, &record, fixed),
            Judgement::Unknown(why) => {
                found.unknown.insert(Unknown { id: record.id.to_owned(), why });
            }
        }
    }
    Ok(found.answer())
}

/// A package, weighed against entries that may be on it.
struct Weighing<'a> {
    package: &'a Package,
    order: Order,
    version: Result<Version<'a>, Unreadable>,
    is_fips: bool,
    is_esm: bool,
    is_modular: bool,
}

impl<'a> Weighing<'a> {
    fn of(package: &'a Package, order: Order) -> Self {
        let version = package.version.to_lowercase();
        Self {
            package,
            order,
            version: Version::parse(order, &package.version),
            is_fips: version.contains("fips"),
            is_esm: version.contains("esm"),
            is_modular: package.module.is_some() || is_modular(&package.version),
        }
    }

    /// What an entry says, unless it is on another package, or says that this one is unaffected.
    fn judgement<'b>(&self, head: &BlockHead<&str>, entry: &Entry<&'b str>) -> Option<Judgement<'b>> {
        if !self.applies(head, entry) {
            return None;
        }
        let judgement = match &self.version {
            Ok(version) => judge(self.order, version, &self.package.version, entry),
            Err(error) => Judgement::Unknown(format!("the version that is installed: {error}")),
        };
        (judgement != Judgement::Unaffected).then_some(judgement)
    }

    /// Whether it is on the package: by its channel, its binaries, its module.
    fn applies(&self, head: &BlockHead<&str>, entry: &Entry<&str>) -> bool {
        let is_rpm = self.order == Order::Rpm;
        self.in_channel(entry) && self.of_binary(head, entry) && (!is_rpm || self.of_module(entry))
    }

    /// Where an advisory speaks for everybody, what it says besides for those who pay is left aside.
    fn in_channel(&self, entry: &Entry<&str>) -> bool {
        match entry.channel {
            None => true,
            Some(channel) if channel.contains("FIPS") => self.is_fips,
            Some(_) => self.is_esm || !entry.beside_plain,
        }
    }

    fn of_binary(&self, head: &BlockHead<&str>, entry: &Entry<&str>) -> bool {
        let list = entry.binaries.and_then(|list| head.binaries.get(list as usize));
        match (&self.package.binary, list) {
            (Some(binary), Some(list)) => list.contains(&binary.as_str()),
            _ => true,
        }
    }

    /// A package of a module is only affected by advisories on that module and stream, one of no module by others.
    fn of_module(&self, entry: &Entry<&str>) -> bool {
        let by_module = entry.ranges.events.iter().any(|event| is_modular(event.version()));
        let same_stream = || match (entry.module, &self.package.module) {
            (Some(advised), Some(installed)) => {
                advised.split(' ').any(|advised| stream(advised) == stream(installed))
            }
            _ => true,
        };
        by_module == self.is_modular && (!by_module || same_stream())
    }
}

fn is_modular(version: &str) -> bool {
    version.contains(".module")
}

/// `nodejs:18:8060020220920153926:ad008a3a` is `nodejs:18`.
fn stream(module: &str) -> (&str, &str) {
    let mut parts = module.split(':');
    (parts.next().unwrap_or(""), parts.next().unwrap_or(""))
}

struct Found<'a> {
    ecosystem: &'a Ecosystem,
    order: Order,
    is_distribution: bool,
    matches: Vec<Match>,
    unknown: BTreeSet<Unknown>,
}

impl<'a> Found<'a> {
    fn new(ecosystem: &'a Ecosystem, order: Order) -> Self {
        let is_distribution = ecosystem.is_distribution();
        Self { ecosystem, order, is_distribution, matches: Vec::new(), unknown: BTreeSet::new() }
    }

    fn add(&mut self, entry: &Entry<&str>, record: &Record<&str>, fixed: Option<&str>) {
        if self.is_distribution && !record.cves.is_empty() {
            // One advisory on several CVEs is several findings; two on one CVE are one.
            for cve in &record.cves {
                let one = self.of(entry, record, std::slice::from_ref(cve), fixed);
                self.matches.push(one);
            }
        } else {
            let one = self.of(entry, record, &record.cves, fixed);
            self.matches.push(one);
        }
    }

    fn of(
        &self,
        entry: &Entry<&str>,
        record: &Record<&str>,
        cves: &[Cve<&str>],
        fixed: Option<&str>,
    ) -> Match {
        let id = cves.first().map_or(record.id, |cve| cve.id);
        let own = std::iter::once(&record.id).chain(&record.aliases);
        let names = own.chain(cves.iter().map(|cve| &cve.id)).filter(|name| **name != id);
        let (fixed, fixed_for_some) = match (entry.channel, fixed) {
            (Some(channel), Some(fixed)) if for_some(fixed) => {
                (None, Some(format!("{fixed} ({} {channel})", self.ecosystem.name)))
            }
            (_, fixed) => (fixed.map(str::to_owned), None),
        };
        Match {
            id: id.to_owned(),
            aliases: owned(names),
            fixed,
            fixed_for_some,
            severity: self.severity(entry, cves),
            kev: cves.iter().any(|cve| cve.exploited),
            disputed: record.disputed,
            summary: record.summary.map(str::to_owned),
            references: owned(record.references.iter()),
        }
    }

    /// The distribution's word, with the grounds of others; else the vectors.
    fn severity(&self, entry: &Entry<&str>, cves: &[Cve<&str>]) -> Severity {
        let joined = || cves.iter().filter_map(|cve| cve.severity).max_by_key(|one| one.level);
        let by_vector = entry.severity.filter(|one| one.score.is_some()).or_else(joined);
        let by_vector = by_vector.or(entry.severity).map_or(Severity::UNKNOWN, Grounds::severity);
        match entry.level {
            Some(level) => Severity { level, source: Some(self.ecosystem.name.clone()), ..by_vector },
            None => by_vector,
        }
    }

    /// Matches on one weakness become one: of distributions, those on one CVE.
    fn of_one_cve(&self, mut matches: Vec<Match>) -> Vec<Match> {
        // In the order that they came, where they are on the same.
        matches.sort_by(|a, b| a.id.cmp(&b.id));
        let mut all: Vec<Match> = Vec::with_capacity(matches.len());
        for one in matches {
            match all.pop_if(|last| last.id == one.id) {
                Some(last) => all.push(self.joined(one, last)),
                None => all.push(one),
            }
        }
        all
    }

    /// Of languages, those that share any name.
    fn of_one_name(&self, mut matches: Vec<Match>) -> Vec<Match> {
        let mut seen = HashSet::new();
        let all_differ =
            matches.len() < 2 || matches.iter().flat_map(Match::names).all(|name| seen.insert(name));
        if all_differ {
            matches.sort_by(|a, b| a.id.cmp(&b.id));
            return matches;
        }
        let (mut groups, mut by_name) = (BTreeMap::new(), HashMap::new());
        for mut one in matches {
            let shared: BTreeSet<String> =
                one.names().filter_map(|name| by_name.get(name)).cloned().collect();
            for id in shared {
                if let Some(other) = groups.remove(&id) {
                    one = self.joined(one, other);
                }
            }
            by_name.extend(one.names().map(|name| (name.to_owned(), one.id.clone())));
            groups.insert(one.id.clone(), one);
        }
        groups.into_values().collect()
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

    fn answer(mut self) -> Answer {
        let matches = std::mem::take(&mut self.matches);
        let matches = if self.is_distribution { self.of_one_cve(matches) } else { self.of_one_name(matches) };
        let mut unknown = self.unknown;
        if !unknown.is_empty() {
            let found: HashSet<&str> = matches.iter().flat_map(Match::names).collect();
            unknown.retain(|one| !found.contains(one.id.as_str()));
        }
        Answer { matches, unknown: unknown.into_iter().collect() }
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

fn owned<'a>(texts: impl Iterator<Item = &'a &'a str>) -> Vec<String> {
    texts.map(|text| (*text).to_owned()).collect()
}
