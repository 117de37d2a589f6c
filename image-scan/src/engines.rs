//! Findings of other engines, beside our own: the same weakness of the same package is one finding, which says who
//! all found it.

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::component::Component;
use crate::report::{Finding, Report, Severity};

/// The most names of one weakness that engines may add up to.
const ALIASES_MAX: usize = 64;

/// An engine that looked at the image.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Engine {
    /// Its name: `trivy`, or a plug-in's.
    pub name: String,
    /// Its version, where it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What it knows of, and how old that is, in its own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// How many findings it has.
    pub findings: usize,
}

/// A finding of another engine.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Foreign {
    /// The advisory: a CVE, or the engine's own id.
    pub id: String,
    /// Its other names.
    pub aliases: Vec<String>,
    /// Where it is from, in the engine's words.
    pub ecosystem: String,
    /// The package.
    pub package: String,
    /// The version there is.
    pub version: String,
    /// The first version that is mended.
    pub fixed: Option<String>,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// What it is, in a line.
    pub summary: Option<String>,
    /// Where to read on.
    pub references: Vec<String>,
    /// The file that names the package.
    pub path: Option<String>,
    /// The package URL.
    pub purl: Option<String>,
    /// The digest or diff id of the layer that brought it.
    pub layer: Option<String>,
}

impl Foreign {
    fn names(&self) -> BTreeSet<&str> {
        self.aliases.iter().map(String::as_str).chain([self.id.as_str()]).collect()
    }

    /// Whether it is about the same component, where package and weakness are the same: of Go's modules and the
    /// like, several versions may be there.
    fn is_same(&self, own: &Finding) -> bool {
        self.version.is_empty()
            || self.version == own.version
            || self.purl.as_deref() == Some(own.purl.as_str())
    }

    fn into_finding(self, report: &Report, component: Option<&Component>, engine: &str) -> Finding {
        let named = |layer: &crate::inventory::LayerInfo| {
            self.layer.as_deref().is_some_and(|one| one == layer.digest || one == layer.diff_id)
        };
        let of_component = |take: fn(&Component) -> String| component.map(take);
        let layer = component.map(|one| one.layer);
        let version = match self.version.is_empty() {
            true => of_component(|one| one.version.clone()).unwrap_or_default(),
            false => self.version,
        };
        Finding {
            layer: layer.or_else(|| report.layers.iter().position(named)).unwrap_or_default(),
            // Ours, by which other parts of the report name the component.
            path: of_component(|one| one.path.clone()).or(self.path).unwrap_or_default(),
            purl: of_component(|one| one.purl.clone()).or(self.purl).unwrap_or_default(),
            source_package: component.and_then(|one| Some(one.source.as_ref()?.name.clone())),
            id: self.id,
            aliases: self.aliases,
            ecosystem: self.ecosystem,
            package: self.package,
            version,
            fixed: self.fixed,
            fixed_for_some: None,
            severity: self.severity.unwrap_or(Severity::Unknown),
            score: None,
            vector: None,
            severity_source: self.severity.map(|_| engine.to_owned()),
            exploited: false,
            disputed: false,
            summary: self.summary,
            references: self.references,
            engine: engine.to_owned(),
            suppressed: None,
            engines: vec![engine.to_owned()],
        }
    }
}

/// Where findings are, by the weakness and the package: engines are strangers, and may have very many.
#[derive(Default)]
struct Places(HashMap<(String, String), Vec<usize>>);

impl Places {
    fn add(&mut self, at: usize, one: &Finding) {
        let packages = [Some(&one.package), one.source_package.as_ref()];
        for package in packages.into_iter().flatten() {
            for name in one.aliases.iter().chain([&one.id]) {
                self.name(at, name, package);
            }
        }
    }

    fn name(&mut self, at: usize, name: &str, package: &str) {
        let all = self.0.entry((name.to_owned(), package.to_ascii_lowercase())).or_default();
        if all.last() != Some(&at) {
            all.push(at);
        }
    }

    fn of(&self, foreign: &Foreign) -> BTreeSet<usize> {
        let package = foreign.package.to_ascii_lowercase();
        let names = foreign.names().into_iter();
        names.filter_map(|name| self.0.get(&(name.to_owned(), package.clone()))).flatten().copied().collect()
    }
}

/// Where components are, by package URL and by name.
struct Components {
    purls: HashMap<String, usize>,
    names: HashMap<(String, String), usize>,
    any: HashMap<String, usize>,
}

impl Components {
    fn of(components: &[Component]) -> Self {
        let (mut purls, mut names, mut any) = (HashMap::new(), HashMap::new(), HashMap::new());
        for (at, one) in components.iter().enumerate() {
            let name = one.name.to_ascii_lowercase();
            purls.entry(one.purl.clone()).or_insert(at);
            names.entry((name.clone(), one.version.clone())).or_insert(at);
            any.entry(name).or_insert(at);
        }
        Self { purls, names, any }
    }

    /// The component that a finding is about.
    fn find(&self, foreign: &Foreign) -> Option<usize> {
        let purl = foreign.purl.as_ref().and_then(|purl| self.purls.get(purl));
        let name = foreign.package.to_ascii_lowercase();
        let named = || match foreign.version.as_str() {
            "" => self.any.get(&name),
            version => self.names.get(&(name, version.to_owned())),
        };
        purl.or_else(named).copied()
    }
}

impl Report {
    /// Adds what another engine found. Where we, or one before it, found the same, the finding gets its name too,
    /// and keeps what it says.
    #[must_use]
    pub fn with_engine(mut self, engine: Engine, found: Vec<Foreign>) -> Self {
        let components = Components::of(&self.components);
        let mut places = Places::default();
        for (at, one) in self.findings.iter().enumerate() {
            places.add(at, one);
        }
        for foreign in found {
            let mut known = false;
            for at in places.of(&foreign) {
                let Some(own) = self.findings.get_mut(at).filter(|own| foreign.is_same(own)) else {
                    continue;
                };
                known = true;
                own.join(&foreign, &engine.name);
            }
            if !known {
                let component = components.find(&foreign).and_then(|at| self.components.get(at));
                let finding = foreign.into_finding(&self, component, &engine.name);
                places.add(self.findings.len(), &finding);
                self.findings.push(finding);
            }
        }
        self.engines.push(engine);
        self.sort_findings();
        self
    }
}

impl Finding {
    /// Found by another engine too, which may know other names of it.
    fn join(&mut self, foreign: &Foreign, engine: &str) {
        if !self.engines.iter().any(|known| known == engine) {
            self.engines.push(engine.to_owned());
        }
        for name in foreign.names() {
            if self.aliases.len() < ALIASES_MAX
                && name != self.id
                && !self.aliases.iter().any(|one| one == name)
            {
                self.aliases.push(name.to_owned());
            }
        }
    }
}
