//! Who is affected: entries of a database weighed against a package, and their names brought together.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::Error;
use crate::database::{Database, Records};
use crate::ecosystem::{Ecosystem, Package};
use crate::format::{BlockHead, Cve, Entry, Place, Record};
use crate::range::{Judgement, judge};
use crate::severity::{Level, Severity};
use crate::texts::{Read, Texts};
use crate::version::{Order, Unreadable, Version};

/// What is known of a package. The texts lie in a [`Texts`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer<'t> {
    /// What affects it, by id.
    pub matches: Vec<Match<'t>>,
    /// Advisories on it of which it could not be told whether they apply: neither findings nor silence.
    pub unknown: Vec<Unknown<'t>>,
}

/// A weakness that affects a package.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match<'t> {
    /// The CVE where it has one, else the advisory's own id.
    pub id: &'t str,
    /// Its other names: advisories that are on it.
    pub aliases: &'t [&'t str],
    /// The first version that isn't affected, if there is one for everybody.
    pub fixed: Option<&'t str>,
    /// A fix that only some can have, and who: `2.4.29-1ubuntu4.27+esm2 (Ubuntu Pro)`.
    pub fixed_for_some: Option<&'t str>,
    /// How bad it is.
    pub severity: Severity<&'t str>,
    /// Whether it is known to be exploited (CISA's list).
    pub kev: bool,
    /// Whether somebody disputes that it is a weakness at all.
    pub disputed: bool,
    /// What it is, in a line.
    pub summary: Option<&'t str>,
    /// Where to read on.
    pub references: &'t [&'t str],
}

impl<'t> Match<'t> {
    fn names(&self) -> impl Iterator<Item = &'t str> {
        std::iter::once(self.id).chain(self.aliases.iter().copied())
    }
}

/// An advisory that may apply.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Unknown<'t> {
    /// The advisory.
    pub id: &'t str,
    /// Why it can't be told.
    pub why: &'t str,
}

pub(crate) fn affecting<'t>(
    database: &Database,
    package: &Package,
    texts: &'t Texts,
) -> Result<Answer<'t>, Error> {
    let ecosystem = &package.ecosystem;
    let Some(order) = ecosystem.order() else { return Ok(Answer::default()) };
    let name = ecosystem.normalised(&package.name);
    let weighing = Weighing::of(package, order);
    let mut found = Found::new(ecosystem, order, texts);
    let mut room = texts.room();
    // What is on every release of a distribution is kept without one.
    let every = ecosystem.release.is_some().then_some(Cow::Borrowed(ecosystem.name.as_str()));
    for ecosystem in std::iter::once(ecosystem.spelt()).chain(every) {
        if let Some(place) = database.read_block(&ecosystem, &name, &mut room.block)? {
            weigh(database, place, &weighing, &mut room, &mut found)?;
        }
    }
    texts.give_back(room);
    Ok(found.answer())
}

/// Weighs a block that was read.
fn weigh(
    database: &Database,
    place: Place,
    weighing: &Weighing<'_>,
    room: &mut Read,
    found: &mut Found<'_, '_>,
) -> Result<(), Error> {
    let (mut judged, mut places) = (Vec::new(), Vec::new());
    let bytes = database.believed(&room.block, place)?;
    database.each_entry(bytes.unwrap_or_default(), &mut |head, record, entry| {
        if let Some(judgement) = weighing.judgement(head, entry) {
            judged.push(found.judged(entry, judgement));
            places.push(record);
        }
    })?;
    let mut records = Records { database, places: &places, beside: &room.block, piece: &mut room.records };
    for judged in judged {
        let record = database.record(found.texts.bytes(records.next()?))?;
        match judged {
            Judged::Affected(said) => found.add(said, &record),
            Judged::Unknown(why) => {
                found.unknown.insert(Unknown { id: record.id, why });
            }
        }
    }
    Ok(())
}

/// What an entry says, kept for when its record is read.
enum Judged<'t> {
    Affected(Said<'t>),
    Unknown(&'t str),
}

/// What an entry says to those who are affected.
struct Said<'t> {
    fixed: Option<&'t str>,
    fixed_for_some: Option<&'t str>,
    level: Option<Level>,
    severity: Option<Severity<&'t str>>,
}

/// A package, weighed against entries that may be on it.
struct Weighing<'a> {
    package: &'a Package,
    order: Order,
    version: Result<Version<'a>, Unreadable>,
    is_modular: bool,
}

impl<'a> Weighing<'a> {
    fn of(package: &'a Package, order: Order) -> Self {
        Self {
            package,
            order,
            version: Version::parse(order, &package.version),
            is_modular: order == Order::Rpm && (package.module.is_some() || is_modular(&package.version)),
        }
    }

    /// What an entry says, unless it is on another package, or says that this one is unaffected.
    fn judgement<'b>(&self, head: &BlockHead<&str>, entry: &Entry<&'b str>) -> Option<Judgement<'b>> {
        if !self.applies(head, entry) {
            return None;
        }
        match &self.version {
            Ok(version) => judge(self.order, version, &self.package.version, entry),
            Err(error) => Some(Judgement::Unknown(format!("the version that is installed: {error}"))),
        }
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
            Some(channel) if channel.contains("FIPS") => has_word(&self.package.version, "fips"),
            Some(_) => !entry.beside_plain || has_word(&self.package.version, "esm"),
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

struct Found<'a, 't> {
    ecosystem: &'a Ecosystem,
    order: Order,
    is_distribution: bool,
    texts: &'t Texts,
    /// The ecosystem's, once it is told.
    name: OnceCell<&'t str>,
    matches: Vec<Match<'t>>,
    unknown: BTreeSet<Unknown<'t>>,
}

impl<'a, 't> Found<'a, 't> {
    fn new(ecosystem: &'a Ecosystem, order: Order, texts: &'t Texts) -> Self {
        Self {
            ecosystem,
            order,
            is_distribution: ecosystem.is_distribution(),
            texts,
            name: OnceCell::new(),
            matches: Vec::new(),
            unknown: BTreeSet::new(),
        }
    }

    /// What an entry says, without what it was read from.
    fn judged(&self, entry: &Entry<&str>, judgement: Judgement<'_>) -> Judged<'t> {
        let fixed = match judgement {
            Judgement::Affected(fixed) => fixed,
            Judgement::Unknown(why) => return Judged::Unknown(self.texts.text(&why)),
        };
        let (fixed, fixed_for_some) = self.fixes(entry, fixed);
        let severity = entry.severity.as_ref().map(|one| one.map(|text| self.texts.text(text)));
        Judged::Affected(Said { fixed, fixed_for_some, level: entry.level, severity })
    }

    fn add(&mut self, said: Said<'t>, record: &Record<&'t str>) {
        let one = Match {
            id: record.id,
            aliases: &[],
            fixed: said.fixed,
            fixed_for_some: said.fixed_for_some,
            severity: said.severity.unwrap_or(Severity::UNKNOWN),
            kev: false,
            disputed: record.disputed,
            summary: record.summary,
            references: self.texts.list(&record.references),
        };
        if self.is_distribution && !record.cves.is_empty() {
            // One advisory on several CVEs is several findings; two on one CVE are one.
            for cve in record.cves.iter() {
                self.matches.push(self.on(one, said.level, record, std::slice::from_ref(cve)));
            }
        } else {
            self.matches.push(self.on(one, said.level, record, &record.cves));
        }
    }

    /// The fix for everybody, and that for some.
    fn fixes(&self, entry: &Entry<&str>, fixed: Option<&str>) -> (Option<&'t str>, Option<&'t str>) {
        match (entry.channel, fixed) {
            (Some(channel), Some(fixed)) if for_some(fixed) => {
                let fixed = format!("{fixed} ({} {channel})", self.ecosystem.name);
                (None, Some(self.texts.text(&fixed)))
            }
            (_, fixed) => (fixed.map(|fixed| self.texts.text(fixed)), None),
        }
    }

    /// A match on some of the CVEs of an advisory: what is said of those.
    fn on(
        &self,
        one: Match<'t>,
        level: Option<Level>,
        record: &Record<&'t str>,
        cves: &[Cve<&'t str>],
    ) -> Match<'t> {
        let id = cves.first().map_or(record.id, |cve| cve.id);
        let own = std::iter::once(record.id).chain(record.aliases.iter().copied());
        let names = own.chain(cves.iter().map(|cve| cve.id)).filter(|name| *name != id);
        Match {
            id,
            aliases: self.texts.gather(names),
            severity: self.severity(one.severity, level, cves),
            kev: cves.iter().any(|cve| cve.exploited),
            ..one
        }
    }

    /// The distribution's word, with the grounds of others; else the vectors.
    fn severity(
        &self,
        own: Severity<&'t str>,
        level: Option<Level>,
        cves: &[Cve<&'t str>],
    ) -> Severity<&'t str> {
        let joined = || cves.iter().filter_map(|cve| cve.severity).max_by_key(|one| one.level);
        let by_vector = Some(own).filter(|one| one.score.is_some()).or_else(joined).unwrap_or(own);
        match level {
            Some(level) => Severity { level, source: Some(self.name()), ..by_vector },
            None => by_vector,
        }
    }

    fn name(&self) -> &'t str {
        self.name.get_or_init(|| self.texts.text(&self.ecosystem.name))
    }

    /// Matches on one weakness become one: of distributions, those on one CVE.
    fn of_one_cve(&self, mut matches: Vec<Match<'t>>) -> Vec<Match<'t>> {
        // In the order that they came, where they are on the same.
        matches.sort_by_cached_key(|one| one.id);
        if matches.is_sorted_by(|a, b| a.id != b.id) {
            return matches;
        }
        let mut all: Vec<Match<'t>> = Vec::with_capacity(matches.len());
        for one in matches {
            match all.pop_if(|last| last.id == one.id) {
                Some(last) => all.push(self.joined(one, last)),
                None => all.push(one),
            }
        }
        all
    }

    /// Of languages, those that share any name.
    fn of_one_name(&self, mut matches: Vec<Match<'t>>) -> Vec<Match<'t>> {
        if all_differ(&matches) {
            matches.sort_by(|a, b| a.id.cmp(b.id));
            return matches;
        }
        let (mut groups, mut by_name) = (BTreeMap::new(), HashMap::new());
        for mut one in matches {
            let shared: BTreeSet<&str> = one.names().filter_map(|name| by_name.get(name)).copied().collect();
            for id in shared {
                if let Some(other) = groups.remove(id) {
                    one = self.joined(one, other);
                }
            }
            by_name.extend(one.names().map(|name| (name, one.id)));
            groups.insert(one.id, one);
        }
        groups.into_values().collect()
    }

    fn joined(&self, a: Match<'t>, b: Match<'t>) -> Match<'t> {
        let (first, second) = if rank(a.id) <= rank(b.id) { (a, b) } else { (b, a) };
        let names = first.aliases.iter().chain(second.aliases).copied();
        let mut aliases: Vec<&str> = names.chain([second.id]).filter(|name| *name != first.id).collect();
        aliases.sort_unstable();
        aliases.dedup();
        let mut seen = HashSet::new();
        let references = first.references.iter().chain(second.references).copied();
        let references = references.filter(|reference| seen.insert(*reference));
        let weighed = |one: &Severity<&str>| (one.vector.is_some() || one.source.is_some(), one.level);
        let first_weighs_more = weighed(&first.severity) >= weighed(&second.severity);
        Match {
            id: first.id,
            aliases: self.texts.list(&aliases),
            fixed: self.later(first.fixed, second.fixed),
            fixed_for_some: first.fixed_for_some.or(second.fixed_for_some),
            severity: if first_weighs_more { first.severity } else { second.severity },
            kev: first.kev || second.kev,
            disputed: first.disputed || second.disputed,
            summary: first.summary.or(second.summary),
            references: self.texts.gather(references),
        }
    }

    /// What all advisories call fixed.
    fn later(&self, a: Option<&'t str>, b: Option<&'t str>) -> Option<&'t str> {
        let (Some(first), Some(second)) = (a, b) else { return a.or(b) };
        let parse = |text| Version::parse(self.order, text).ok();
        let order = parse(first).zip(parse(second)).and_then(|(first, second)| first.compare(&second));
        if order == Some(Ordering::Less) { b } else { a }
    }

    fn answer(mut self) -> Answer<'t> {
        let matches = std::mem::take(&mut self.matches);
        let matches = if self.is_distribution { self.of_one_cve(matches) } else { self.of_one_name(matches) };
        let mut unknown = self.unknown;
        if !unknown.is_empty() {
            let found: HashSet<&str> = matches.iter().flat_map(Match::names).collect();
            unknown.retain(|one| !found.contains(one.id));
        }
        Answer { matches, unknown: unknown.into_iter().collect() }
    }
}

/// Whether no two have a name in common.
fn all_differ(matches: &[Match<'_>]) -> bool {
    if matches.len() < 2 {
        return true;
    }
    let mut names: Vec<&str> = matches.iter().flat_map(Match::names).collect();
    names.sort_unstable();
    names.is_sorted_by(|a, b| a != b)
}

/// CVEs are the name of a group, then GitHub's ids, then others.
fn rank(id: &str) -> (u8, &str) {
    match id {
        id if id.starts_with("CVE-") => (0, id),
        id if id.starts_with("GHSA-") => (1, id),
        id => (2, id),
    }
}

/// Whether a word is in a version, in letters of either case.
fn has_word(version: &str, word: &str) -> bool {
    version.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
}

/// Whether a version is only in Ubuntu's archives for those who pay.
fn for_some(version: &str) -> bool {
    has_word(version, "esm") || has_word(version, "fips")
}
