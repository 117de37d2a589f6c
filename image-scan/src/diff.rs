//! Two reports side by side: what got better, what got worse, and what that can't be told of.
//!
//! A finding is the same in both where the package is the same by kind and name and one of the advisory's names is the
//! other's id; its version may have changed. One that is gone only because nothing was looked up is not gone.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::gate::{Gate, Rules};
use crate::report::{CoverageStatus, Finding, ImageInfo, Report, Severity};

/// The version of the JSON form. It grows only by new members.
const DIFF_VERSION: u32 = 1;

/// The answer of `verify scan diff`. Schema: `docs/schema/verify-scan-diff.json`.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Diff {
    /// The version of this form.
    pub version: u32,
    /// The image before.
    pub old: Side,
    /// The image after.
    pub new: Side,
    /// How many findings count, by severity, the worst first: each weakness of each source package once.
    pub severities: Vec<SeverityChange>,
    /// What is in them.
    pub components: ComponentChanges,
    /// What is known to be wrong with them.
    pub findings: FindingChanges,
    /// Whether a rule was broken by what is new, where rules were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
}

/// One of the two images.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Side {
    /// Which image. Of a report that was read from a file, `verified` is what the file says.
    pub image: ImageInfo,
    /// The file that the report was read from, for which nobody vouches; none where the image was scanned now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The distribution, where the image says which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// When the advisories were made that were used; none where nothing was looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// How many components it has.
    pub components: usize,
    /// How many findings somebody answers for: they don't count.
    pub ignored: usize,
    /// What nothing was learnt about.
    pub gaps: Vec<String>,
}

/// How many findings of one severity count.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SeverityChange {
    /// The severity.
    pub severity: Severity,
    /// How many there were.
    pub old: usize,
    /// How many there are.
    pub new: usize,
    /// How many of those are new.
    pub appeared: usize,
    /// How many of the old ones are gone.
    pub gone: usize,
}

/// What came, went and changed.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ComponentChanges {
    /// Those that only the new image has.
    pub added: Vec<ComponentChange>,
    /// Those that only the old image has.
    pub removed: Vec<ComponentChange>,
    /// Those of which the new image has other versions.
    pub changed: Vec<ComponentChange>,
    /// How many are in both, in the same versions.
    pub same: usize,
}

/// A component, and the versions of it that only one of the images has.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ComponentChange {
    /// How it is packaged: the type of its package URL.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Versions that only the old image has.
    pub old: Vec<String>,
    /// Versions that only the new image has.
    pub new: Vec<String>,
}

/// What became of the findings.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FindingChanges {
    /// Those that count now and did not before, the most severe first.
    pub new: Vec<FindingChange>,
    /// Those that counted before and do not now.
    pub gone: Vec<FindingChange>,
    /// Those that count in both.
    pub still: Vec<FindingChange>,
    /// Those that counted before and of which it can't be told: nothing was looked up, or a file wasn't read.
    pub not_known: Vec<FindingChange>,
}

/// One weakness of one package.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FindingChange {
    /// The advisory: the CVE where it has one, else its own id.
    pub id: String,
    /// Its other names.
    pub aliases: Vec<String>,
    /// Where it is from: `Debian:12`, `PyPI`.
    pub ecosystem: String,
    /// The package, by its source's name where advisories use that.
    pub package: String,
    /// The versions that the old image has of it.
    pub old: Vec<String>,
    /// The versions that the new image has of it.
    pub new: Vec<String>,
    /// How bad it is.
    pub severity: Severity,
    /// How bad it was, where that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<Severity>,
    /// The first version that is mended, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
    /// Whether it is known to be exploited.
    pub exploited: bool,
    /// What it is, in a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Why it came or went, or can't be told; none of those that are still there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<Because>,
}

/// Why a finding came or went.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Because {
    /// The old image has no such component.
    ComponentAdded,
    /// The new image has no such component.
    ComponentRemoved,
    /// It has another version.
    VersionChanged,
    /// The component is the same: advisories say something else of it now, or it is looked up otherwise.
    JudgedOtherwise,
    /// Nobody answers for it any more.
    NoLongerIgnored,
    /// Somebody answers for it now.
    Ignored,
    /// In the other image, such components were not looked up.
    NotLookedUp,
    /// The file that named the component could not be read in the new image.
    NotRead,
    /// It can't be told whether the advisory applies to the version that is there now.
    Undecided,
}

impl Because {
    /// In words, for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::ComponentAdded => "the component is new",
            Self::ComponentRemoved => "the component is gone",
            Self::VersionChanged => "another version",
            Self::JudgedOtherwise => "same component, judged otherwise",
            Self::NoLongerIgnored => "nobody answers for it any more",
            Self::Ignored => "somebody answers for it now",
            Self::NotLookedUp => "not looked up in the other image",
            Self::NotRead => "the file that named it can't be read now",
            Self::Undecided => "it can't be told of this version",
        }
    }
}

impl Diff {
    /// Compares two reports. Rules were applied to both before; of findings, they weigh here what is new only.
    #[must_use]
    pub fn of(old: &Report, new: &Report, rules: Option<(&Rules, DateTime<Utc>)>) -> Self {
        let (before, after) = (View::of(old), View::of(new));
        let findings = findings(&before, &after);
        Self {
            version: DIFF_VERSION,
            severities: severities(&before, &after, &findings),
            components: components(&before, &after),
            gate: rules.and_then(|(rules, now)| gate(new, &findings, rules, now)),
            old: before.side(),
            new: after.side(),
            findings,
        }
    }

    /// Whether both are of the same manifest.
    #[must_use]
    pub fn is_same_image(&self) -> bool {
        self.old.image.manifest == self.new.image.manifest
    }
}

/// What names a weakness of a package: the kind, the package, the advisory.
type Key<'r> = (&'r str, &'r str, &'r str);

/// The findings of one advisory for one package.
#[derive(Clone)]
struct Weakness<'r> {
    findings: Vec<&'r Finding>,
}

impl<'r> Weakness<'r> {
    /// What stands for all of them: one that counts, the worst.
    fn first(&self) -> Option<&'r Finding> {
        self.findings.iter().copied().max_by_key(|one| (one.suppressed.is_none(), one.severity))
    }

    fn counts(&self) -> bool {
        self.findings.iter().any(|one| one.suppressed.is_none())
    }

    fn severity(&self) -> Severity {
        self.first().map_or(Severity::Unknown, |one| one.severity)
    }

    fn versions(&self) -> BTreeSet<&'r str> {
        self.findings.iter().map(|one| one.version.as_str()).collect()
    }
}

/// A report, as it is compared.
struct View<'r> {
    report: &'r Report,
    weaknesses: BTreeMap<Key<'r>, Weakness<'r>>,
    /// The versions of components by kind and name.
    versions: BTreeMap<(&'r str, &'r str), BTreeSet<&'r str>>,
    /// The same under the names that advisories use: of source packages, and those that are guessed.
    by_source: HashMap<(&'r str, &'r str), BTreeSet<&'r str>>,
    /// Kinds of components that were not looked up.
    blind: HashSet<&'r str>,
}

impl<'r> View<'r> {
    fn of(report: &'r Report) -> Self {
        let mut weaknesses: BTreeMap<_, Weakness<'_>> = BTreeMap::new();
        for one in &report.findings {
            let key = (kind(one, report), package(one), one.id.as_str());
            weaknesses.entry(key).or_insert(Weakness { findings: Vec::new() }).findings.push(one);
        }
        let mut versions: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let mut by_source: HashMap<_, BTreeSet<_>> = HashMap::new();
        for one in &report.components {
            let kind = one.kind.name();
            versions.entry((kind, one.name.as_str())).or_default().insert(one.version.as_str());
            let source = one.source.as_ref().map_or(one.name.as_str(), |source| source.name.as_str());
            let guesses = one.guess.iter().flat_map(|guess| guess.names.iter().map(String::as_str));
            for name in guesses.chain([source]) {
                by_source.entry((kind, name)).or_default().insert(one.version.as_str());
            }
        }
        let not_looked_up = |status| matches!(status, CoverageStatus::NoData | CoverageStatus::NoDatabase);
        let blind = report.coverage.iter().filter(|one| not_looked_up(one.status));
        let blind = blind.map(|one| one.kind.name()).filter(|_| report.engines.is_empty()).collect();
        Self { report, weaknesses, versions, by_source, blind }
    }

    fn side(&self) -> Side {
        let report = self.report;
        Side {
            image: report.image.clone(),
            file: None,
            os: report.os.as_ref().map(|os| os.name.clone().unwrap_or_else(|| os.label())),
            database: report.database.as_ref().map(|database| database.made_at.clone()),
            components: report.components.len(),
            ignored: self.weaknesses.values().filter(|one| !one.counts()).count(),
            gaps: gaps(report),
        }
    }

    /// The versions of what a finding names.
    fn versions_of<'k>(&'k self, key: Key<'k>) -> Option<&'k BTreeSet<&'k str>> {
        let package = (key.0, key.1);
        self.by_source.get(&package).or_else(|| self.versions.get(&package))
    }
}

/// The type of the component's package URL; else the kind of its ecosystem's components, or where it is from.
fn kind<'r>(finding: &'r Finding, report: &'r Report) -> &'r str {
    let of_purl = finding.purl.strip_prefix("pkg:").and_then(|rest| rest.split_once('/'));
    let of_ecosystem = || report.coverage.iter().find(|one| one.ecosystem == finding.ecosystem);
    of_purl.map(|(kind, _)| kind).or_else(|| Some(of_ecosystem()?.kind.name())).unwrap_or(&finding.ecosystem)
}

fn package(finding: &Finding) -> &str {
    finding.source_package.as_deref().unwrap_or(&finding.package)
}

fn gaps(report: &Report) -> Vec<String> {
    let unknown = |status| matches!(status, CoverageStatus::NoData | CoverageStatus::NoDatabase);
    let coverage = report.coverage.iter().filter(|one| unknown(one.status));
    let mut gaps: Vec<String> = coverage
        .map(|one| {
            let why = one.why.as_deref().unwrap_or("nothing to look them up in");
            format!("{} components of {}: {why}", one.components, one.ecosystem)
        })
        .collect();
    let unread = report.unread.len().saturating_add(report.unread_more);
    if unread > 0 {
        gaps.push(format!("{unread} files that could not be read"));
    }
    if !report.undecided.is_empty() {
        gaps.push(format!("{} advisories of which it can't be told", report.undecided.len()));
    }
    gaps
}

/// For each key of the new report, that of the same weakness in the old one.
fn pairs<'r>(before: &View<'r>, after: &View<'r>) -> HashMap<Key<'r>, Key<'r>> {
    let mut pairs = HashMap::new();
    let mut taken = HashSet::new();
    for key in after.weaknesses.keys().filter(|key| before.weaknesses.contains_key(*key)) {
        pairs.insert(*key, *key);
        taken.insert(*key);
    }
    // An advisory may have got another name since: its CVE, mostly.
    let mut by_alias: HashMap<Key<'r>, Key<'r>> = HashMap::new();
    for (key, weakness) in before.weaknesses.iter().filter(|(key, _)| !taken.contains(*key)) {
        for alias in aliases(weakness) {
            by_alias.entry((key.0, key.1, alias)).or_insert(*key);
        }
    }
    for (key, weakness) in &after.weaknesses {
        if pairs.contains_key(key) {
            continue;
        }
        let own = aliases(weakness).map(|alias| (key.0, key.1, alias));
        let renamed = own.filter_map(|named| before.weaknesses.get_key_value(&named).map(|(old, _)| *old));
        let mut same = by_alias.get(key).copied().into_iter().chain(renamed);
        if let Some(old) = same.find(|old| !taken.contains(old)) {
            pairs.insert(*key, old);
            taken.insert(old);
        }
    }
    pairs
}

fn aliases<'r>(weakness: &Weakness<'r>) -> impl Iterator<Item = &'r str> + use<'r> {
    let all: BTreeSet<&'r str> =
        weakness.findings.iter().flat_map(|one| one.aliases.iter().map(String::as_str)).collect();
    all.into_iter()
}

fn findings(before: &View<'_>, after: &View<'_>) -> FindingChanges {
    let mut changes =
        FindingChanges { new: Vec::new(), gone: Vec::new(), still: Vec::new(), not_known: Vec::new() };
    let pairs = pairs(before, after);
    let paired: HashSet<Key<'_>> = pairs.values().copied().collect();
    for (key, now) in &after.weaknesses {
        let then = pairs.get(key).and_then(|old| before.weaknesses.get(old));
        match (then.filter(|then| then.counts()), now.counts()) {
            (Some(then), true) => {
                changes.still.extend(change(Some(then), Some(now), None, (before, after), *key))
            }
            (Some(then), false) => {
                let why = Some(Because::Ignored);
                changes.gone.extend(change(Some(then), Some(now), why, (before, after), *key));
            }
            (None, true) => {
                let why = if then.is_some() { Because::NoLongerIgnored } else { why_new(*key, now, before) };
                changes.new.extend(change(None, Some(now), Some(why), (before, after), *key));
            }
            (None, false) => {}
        }
    }
    for (key, then) in before.weaknesses.iter().filter(|(key, then)| !paired.contains(*key) && then.counts())
    {
        let why = why_gone(*key, then, after);
        let gone = change(Some(then), None, Some(why), (before, after), *key);
        match why {
            Because::NotLookedUp | Because::NotRead | Because::Undecided => changes.not_known.extend(gone),
            _ => changes.gone.extend(gone),
        }
    }
    for list in [&mut changes.new, &mut changes.gone, &mut changes.still, &mut changes.not_known] {
        list.sort_by(|a, b| {
            let key = |one: &FindingChange| (one.package.clone(), one.id.clone());
            b.severity.cmp(&a.severity).then_with(|| key(a).cmp(&key(b)))
        });
    }
    changes
}

fn why_new(key: Key<'_>, now: &Weakness<'_>, before: &View<'_>) -> Because {
    match before.versions_of(key) {
        None => Because::ComponentAdded,
        Some(_) if before.blind.contains(key.0) => Because::NotLookedUp,
        Some(had) if now.versions().is_disjoint(had) => Because::VersionChanged,
        Some(_) => Because::JudgedOtherwise,
    }
}

fn why_gone(key: Key<'_>, then: &Weakness<'_>, after: &View<'_>) -> Because {
    let report = after.report;
    let unread =
        |path: &str| report.unread.iter().any(|unread| path == unread.path || is_inside(path, &unread.path));
    let Some(has) = after.versions_of(key) else {
        return match report.unread_more > 0 || then.findings.iter().any(|one| unread(&one.path)) {
            true => Because::NotRead,
            false => Because::ComponentRemoved,
        };
    };
    let names: BTreeSet<&str> = aliases(then).chain([key.2]).collect();
    let packages: BTreeSet<&str> = then.findings.iter().map(|one| one.package.as_str()).collect();
    let undecided = |one: &crate::report::Undecided| {
        names.contains(one.id.as_str()) && packages.contains(one.package.as_str())
    };
    match () {
        () if after.blind.contains(key.0) => Because::NotLookedUp,
        () if report.undecided.iter().any(undecided) => Because::Undecided,
        () if then.versions().is_disjoint(has) => Because::VersionChanged,
        () => Because::JudgedOtherwise,
    }
}

/// Whether a path is of an archive within that file.
fn is_inside(path: &str, file: &str) -> bool {
    path.strip_prefix(file).is_some_and(|rest| rest.starts_with('!'))
}

fn change(
    then: Option<&Weakness<'_>>,
    now: Option<&Weakness<'_>>,
    because: Option<Because>,
    (before, after): (&View<'_>, &View<'_>),
    key: Key<'_>,
) -> Option<FindingChange> {
    // What stands for it is what counts: before, if it is gone.
    let told = now.filter(|now| now.counts()).or(then)?;
    let one = told.first()?;
    let was = then.map(Weakness::severity).filter(|was| now.is_some() && *was != told.severity());
    let versions = |view: &View<'_>, weakness: Option<&Weakness<'_>>| -> Vec<String> {
        let all = weakness.map(Weakness::versions).or_else(|| view.versions_of(key).cloned());
        all.into_iter().flatten().map(str::to_owned).collect()
    };
    Some(FindingChange {
        id: one.id.clone(),
        aliases: one.aliases.clone(),
        ecosystem: one.ecosystem.clone(),
        package: package(one).to_owned(),
        old: versions(before, then),
        new: versions(after, now),
        severity: told.severity(),
        was,
        fixed: one.fixed.clone(),
        exploited: told.findings.iter().any(|one| one.exploited),
        summary: one.summary.clone(),
        because,
    })
}

fn severities(before: &View<'_>, after: &View<'_>, findings: &FindingChanges) -> Vec<SeverityChange> {
    let counted = |view: &View<'_>, severity| {
        view.weaknesses.values().filter(|one| one.counts() && one.severity() == severity).count()
    };
    let listed =
        |list: &[FindingChange], severity| list.iter().filter(|one| one.severity == severity).count();
    Severity::ALL
        .into_iter()
        .map(|severity| SeverityChange {
            severity,
            old: counted(before, severity),
            new: counted(after, severity),
            appeared: listed(&findings.new, severity),
            gone: listed(&findings.gone, severity),
        })
        .collect()
}

fn components(before: &View<'_>, after: &View<'_>) -> ComponentChanges {
    let mut changes =
        ComponentChanges { added: Vec::new(), removed: Vec::new(), changed: Vec::new(), same: 0 };
    let names: BTreeSet<_> = before.versions.keys().chain(after.versions.keys()).copied().collect();
    let none = BTreeSet::new();
    for (kind, name) in names {
        let had = before.versions.get(&(kind, name)).unwrap_or(&none);
        let has = after.versions.get(&(kind, name)).unwrap_or(&none);
        let only = |these: &BTreeSet<&str>, those: &BTreeSet<&str>| -> Vec<String> {
            these.difference(those).map(|version| (*version).to_owned()).collect()
        };
        let (old, new) = (only(had, has), only(has, had));
        let list = match (old.is_empty(), new.is_empty()) {
            (true, true) => {
                changes.same = changes.same.saturating_add(1);
                continue;
            }
            (true, false) => &mut changes.added,
            (false, true) => &mut changes.removed,
            (false, false) => &mut changes.changed,
        };
        list.push(ComponentChange { kind: kind.to_owned(), name: name.to_owned(), old, new });
    }
    changes
}

/// The rules, of which those on findings weigh what is new only.
fn gate(new: &Report, changes: &FindingChanges, rules: &Rules, now: DateTime<Utc>) -> Option<Gate> {
    let is_new: HashSet<(&str, &str, &str)> = changes
        .new
        .iter()
        .map(|one| (one.ecosystem.as_str(), one.package.as_str(), one.id.as_str()))
        .collect();
    let of_all = new.clone().gated(rules, now).gate?;
    let mut report = new.clone();
    report.findings.retain(|one| is_new.contains(&(one.ecosystem.as_str(), package(one), one.id.as_str())));
    // Whether a rule fits anything is told of all findings.
    Some(Gate { unused: of_all.unused, ..report.gated(rules, now).gate? })
}
