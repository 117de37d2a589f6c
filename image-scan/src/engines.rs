//! Findings of other engines, beside our own: the same weakness of the same package is one finding, which says who
//! all found it.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::component::Component;
use crate::report::{Finding, Report, Severity};

/// An engine that looked at the image.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
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

    /// Whether it is the same weakness of the same package.
    fn is_same(&self, own: &Finding) -> bool {
        let names = self.names();
        let known =
            names.contains(own.id.as_str()) || own.aliases.iter().any(|one| names.contains(one.as_str()));
        let package = self.package.eq_ignore_ascii_case(&own.package)
            || own.source_package.as_deref() == Some(self.package.as_str());
        // Of Go's modules and the like, several versions may be there.
        known && package && (self.version.is_empty() || self.version == own.version || self.purl_is(own))
    }

    fn purl_is(&self, own: &Finding) -> bool {
        self.purl.as_deref().is_some_and(|purl| !purl.is_empty() && purl == own.purl)
    }

    /// The component that it is about.
    fn component<'r>(&self, report: &'r Report) -> Option<&'r Component> {
        let purl = |one: &&Component| self.purl.as_deref().is_some_and(|purl| purl == one.purl);
        let named = |one: &&Component| {
            one.name.eq_ignore_ascii_case(&self.package)
                && (self.version.is_empty() || one.version == self.version)
        };
        report.components.iter().find(purl).or_else(|| report.components.iter().find(named))
    }

    fn into_finding(self, report: &Report, engine: &str) -> Finding {
        let component = self.component(report).cloned();
        let named = |layer: &crate::inventory::LayerInfo| {
            self.layer.as_deref().is_some_and(|one| one == layer.digest || one == layer.diff_id)
        };
        let of_component = |take: fn(&Component) -> String| component.as_ref().map(take);
        let layer = component.as_ref().map(|one| one.layer);
        let version = match self.version.is_empty() {
            true => of_component(|one| one.version.clone()).unwrap_or_default(),
            false => self.version,
        };
        Finding {
            layer: layer.or_else(|| report.layers.iter().position(named)).unwrap_or_default(),
            // Ours, by which other parts of the report name the component.
            path: of_component(|one| one.path.clone()).or(self.path).unwrap_or_default(),
            purl: of_component(|one| one.purl.clone()).or(self.purl).unwrap_or_default(),
            source_package: component.as_ref().and_then(|one| Some(one.source.as_ref()?.name.clone())),
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
            engines: vec![engine.to_owned()],
        }
    }
}

impl Report {
    /// Adds what another engine found. Where we, or one before it, found the same, the finding gets its name too,
    /// and keeps what it says.
    #[must_use]
    pub fn with_engine(mut self, engine: Engine, found: Vec<Foreign>) -> Self {
        for foreign in found {
            let mut known = false;
            for own in self.findings.iter_mut().filter(|own| foreign.is_same(own)) {
                known = true;
                if !own.engines.contains(&engine.name) {
                    own.engines.push(engine.name.clone());
                }
                let names = foreign.names().into_iter().map(str::to_owned);
                let new: Vec<_> =
                    names.filter(|name| *name != own.id && !own.aliases.contains(name)).collect();
                own.aliases.extend(new);
            }
            if !known {
                let finding = foreign.into_finding(&self, &engine.name);
                self.findings.push(finding);
            }
        }
        self.engines.push(engine);
        self.sort_findings();
        self
    }
}
