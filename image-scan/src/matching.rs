//! From components to findings: what is looked up, and what there was nothing to look up in.
//!
//! Where advisories come from isn't known here: [`Advisories`] is all that is asked of them.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use crate::component::{Component, Kind};
use crate::ecosystem::{Ecosystem, Query};
use crate::limits;
use crate::report::{Coverage, CoverageStatus, DatabaseInfo, Finding, Report, Severity, Undecided};

/// Advisories to look components up in.
pub trait Advisories {
    /// What they are, and how old.
    fn info(&self) -> DatabaseInfo;

    /// Why there is nothing to look components of an ecosystem up in, such as `no data for this release`; `None`
    /// where there is something.
    fn no_data(&self, ecosystem: &Ecosystem) -> Option<String>;

    /// What affects a component. Several names of one weakness are one answer.
    ///
    /// # Errors
    /// When the advisories can't be read.
    fn affecting(&self, component: &Query) -> Result<Answer, String>;
}

/// What advisories say of a component.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Those that affect it.
    pub known: Vec<Known>,
    /// Those of which it can't be told, and why: a version that can't be compared is neither affected nor not.
    pub undecided: Vec<(String, String)>,
}

/// An advisory that affects a component.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    /// The CVE where it has one, else its own id.
    pub id: String,
    /// Its other names.
    pub aliases: Vec<String>,
    /// The first version that is mended.
    pub fixed: Option<String>,
    /// A fix that only some can have, and who.
    pub fixed_for_some: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// The score of CVSS.
    pub score: Option<f32>,
    /// The vector of CVSS.
    pub vector: Option<String>,
    /// Who says how bad it is.
    pub severity_source: Option<String>,
    /// Whether it is known to be exploited.
    pub exploited: bool,
    /// Whether somebody disputes that it is a weakness at all.
    pub disputed: bool,
    /// What it is, in a line.
    pub summary: Option<String>,
    /// Where to read on.
    pub references: Vec<String>,
}

/// Why packages by others than the distribution aren't looked up: their versions are in no order with its own.
const OTHERS: &str = "packaged by others than the distribution, of whom there are no advisories";

/// Who finds what is found here.
const ENGINE: &str = "hallmark";

impl Report {
    /// Looks every component up.
    ///
    /// # Errors
    /// When the advisories can't be read, or say more than a report can hold.
    pub fn matched(mut self, advisories: &dyn Advisories) -> Result<Self, String> {
        let mut coverage = Counts::default();
        let mut known = Cache::default();
        let packages: HashSet<(&str, usize)> = self
            .components
            .iter()
            // What a package by others brought isn't looked up by looking up that package: it has no advisories.
            .filter(|one| one.kind.is_distribution() && one.vendor.is_none())
            .map(|one| (one.name.as_str(), one.layer))
            .collect();
        for component in &self.components {
            // A file that a later layer replaced isn't the package's any more, nor that of one that was removed.
            let owner = component.owner.as_deref();
            let is_owned = owner.is_some_and(|owner| packages.contains(&(owner, component.layer)));
            let query = match Query::of(component, self.os.as_ref(), is_owned) {
                Ok(query) => query,
                Err(why) => {
                    let ecosystem = Ecosystem::of(component.kind, self.os.as_ref());
                    coverage.count(ecosystem, component.kind, CoverageStatus::LeftOut, Some(why.to_owned()));
                    continue;
                }
            };
            let why = match &component.vendor {
                Some(_) => Some(OTHERS.to_owned()),
                None => advisories.no_data(&query.ecosystem),
            };
            let status = if why.is_some() { CoverageStatus::NoData } else { CoverageStatus::Matched };
            coverage.count(query.ecosystem.clone(), component.kind, status, why);
            if status == CoverageStatus::Matched {
                let (query, answer) = known.first(advisories, named(component, query))?;
                self.findings.extend(answer.known.iter().map(|known| finding(component, &query, known)));
                self.undecided.extend(answer.undecided.iter().map(|one| undecided(component, one)));
                let found = self.findings.len().saturating_add(self.undecided.len());
                if found > limits::FINDINGS_MAX {
                    return Err(format!("expected at most {} findings, got more", limits::FINDINGS_MAX));
                }
            }
        }
        self.database = Some(advisories.info());
        self.coverage = coverage.into_coverage();
        self.sort_findings();
        Ok(self)
    }

    /// Says of every ecosystem that nothing was looked up, because there is no database.
    #[must_use]
    pub fn without_database(mut self) -> Self {
        let mut coverage = Counts::default();
        for component in &self.components {
            let ecosystem = Ecosystem::of(component.kind, self.os.as_ref());
            let why = Some("no database of advisories was given".to_owned());
            coverage.count(ecosystem, component.kind, CoverageStatus::NoDatabase, why);
        }
        self.coverage = coverage.into_coverage();
        self
    }
}

/// Under which names a component is asked for: its own, or those that it may have.
fn named(component: &Component, query: Query) -> Vec<Query> {
    match component.guess.as_ref().filter(|guess| !guess.names.is_empty()) {
        None => vec![query],
        Some(guess) => guess.names.iter().map(|name| Query { name: name.clone(), ..query.clone() }).collect(),
    }
}

/// How many answers are kept: components may have more names than there is memory for, and neighbours share theirs.
const ANSWERS_KEPT: usize = 10_000;

/// What was asked already: of many binary packages of one source, the same is asked but for the binary's name.
#[derive(Default)]
struct Cache(HashMap<Key, Rc<Answer>>);

/// Ecosystem and name, version, binary package, module.
type Key = (String, String, Option<String>, Option<String>);

impl Cache {
    /// What is said under the first name of which anything is; nothing, where there is no name.
    fn first(
        &mut self,
        advisories: &dyn Advisories,
        queries: Vec<Query>,
    ) -> Result<(Query, Rc<Answer>), String> {
        let mut last = None;
        for query in queries {
            let answer = self.affecting(advisories, &query)?;
            let says = !answer.known.is_empty() || !answer.undecided.is_empty();
            last = Some((query, answer));
            if says {
                break;
            }
        }
        last.ok_or_else(|| "a component without a name".to_owned())
    }

    fn affecting(&mut self, advisories: &dyn Advisories, query: &Query) -> Result<Rc<Answer>, String> {
        if self.0.len() >= ANSWERS_KEPT {
            self.0.clear();
        }
        let name = format!("{}/{}", query.ecosystem, query.name);
        let key = (name, query.version.clone(), query.binary.clone(), query.module.clone());
        Ok(match self.0.entry(key) {
            Entry::Occupied(entry) => Rc::clone(entry.get()),
            Entry::Vacant(entry) => Rc::clone(entry.insert(Rc::new(advisories.affecting(query)?))),
        })
    }
}

fn finding(component: &Component, query: &Query, known: &Known) -> Finding {
    Finding {
        id: known.id.clone(),
        aliases: known.aliases.clone(),
        ecosystem: query.ecosystem.to_string(),
        package: component.name.clone(),
        source_package: source_package(component, query),
        version: component.version.clone(),
        fixed: known.fixed.clone(),
        fixed_for_some: known.fixed_for_some.clone(),
        severity: known.severity,
        score: known.score,
        vector: known.vector.clone(),
        severity_source: known.severity_source.clone(),
        exploited: known.exploited,
        disputed: known.disputed,
        summary: known.summary.clone(),
        references: known.references.clone(),
        layer: component.layer,
        path: component.path.clone(),
        purl: component.purl.clone(),
        engine: ENGINE.to_owned(),
        suppressed: None,
        engines: vec![ENGINE.to_owned()],
    }
}

/// What advisories name, where that isn't the component.
fn source_package(component: &Component, query: &Query) -> Option<String> {
    let guessed = component.guess.as_ref().filter(|_| query.name != component.name).map(|_| &query.name);
    component.source.as_ref().map(|source| &source.name).or(guessed).cloned()
}

fn undecided(component: &Component, (id, why): &(String, String)) -> Undecided {
    Undecided {
        id: id.clone(),
        package: component.name.clone(),
        version: component.version.clone(),
        why: why.clone(),
        layer: component.layer,
        path: component.path.clone(),
    }
}

/// What was looked up, and what wasn't, by why.
#[derive(Default)]
struct Counts(BTreeMap<(Ecosystem, Kind, CoverageStatus, Option<String>), usize>);

impl Counts {
    fn count(&mut self, ecosystem: Ecosystem, kind: Kind, status: CoverageStatus, why: Option<String>) {
        let count = self.0.entry((ecosystem, kind, status, why)).or_default();
        *count = count.saturating_add(1);
    }

    fn into_coverage(self) -> Vec<Coverage> {
        let coverage = |((ecosystem, kind, status, why), components): ((Ecosystem, _, _, _), _)| Coverage {
            ecosystem: ecosystem.to_string(),
            kind,
            components,
            status,
            why,
        };
        self.0.into_iter().map(coverage).collect()
    }
}
