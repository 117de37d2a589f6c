//! The report of a scan: what the image is, what is in it, what is known to be wrong with it, and what could not
//! be told.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::component::{Component, Kind};
use crate::engines::Engine;
use crate::gate::{Gate, Suppression};
use crate::inventory::{Inventory, LayerInfo, Unread};
use crate::limits;
use crate::os_release::OsRelease;

/// The version of the JSON form. It grows only by new members.
const REPORT_VERSION: u32 = 1;

/// The answer of `verify scan`. Schema: `docs/schema/verify-scan.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Report {
    /// The version of this form.
    pub version: u32,
    /// The image.
    pub image: ImageInfo,
    /// The advisories that were used; without them nothing was looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub database: Option<DatabaseInfo>,
    /// The distribution, where the image says which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<OsRelease>,
    /// Which other engines looked at the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub engines: Vec<Engine>,
    /// The layers, the lowest first.
    pub layers: Vec<LayerInfo>,
    /// What is known to be wrong, the most severe first.
    pub findings: Vec<Finding>,
    /// Advisories of which it can't be told whether they apply.
    pub undecided: Vec<Undecided>,
    /// For each ecosystem in the image, whether there was anything to look its components up in.
    pub coverage: Vec<Coverage>,
    /// What is in the image.
    pub components: Vec<Component>,
    /// Files that should have been read and were not: what they hold is not known.
    pub unread: Vec<Unread>,
    /// How many more there were of those.
    pub unread_more: usize,
    /// Whether a rule was broken, where rules were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
}

/// Which image the report is about, and on whose word.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImageInfo {
    /// The name, as it was asked for.
    pub reference: String,
    /// The digest that the name stands for: of an index, or of the manifest.
    pub digest: String,
    /// The digest of the manifest that was scanned: of one platform.
    pub manifest: String,
    /// The platform, where an index names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Whether a chain of trust led to the digest. Otherwise the report is about bytes of nobody knows whom.
    pub verified: bool,
    /// The targets role that speaks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
}

/// Which advisories were used.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DatabaseInfo {
    /// When it was made.
    pub made_at: String,
    /// How old it is now.
    pub age_seconds: i64,
    /// How many advisories it has.
    pub advisories: u64,
    /// What it was made from.
    pub sources: Vec<SourceInfo>,
}

impl DatabaseInfo {
    /// What was looked up in, of whom it is and how old, in a line.
    #[must_use]
    pub fn words(&self) -> String {
        let names: Vec<&str> = self.sources.iter().map(|source| source.name.as_str()).collect();
        let of = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
        let age = match self.age_seconds {
            i64::MAX => "of an age that nobody says".to_owned(),
            seconds => format!("{} days old", seconds.div_euclid(24 * 60 * 60)),
        };
        format!("{} advisories of {of}, made {} ({age})", self.advisories, self.made_at)
    }
}

/// One source of advisories.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SourceInfo {
    /// Whose advisories.
    pub name: String,
    /// How many.
    pub advisories: u64,
    /// When the newest of them was changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<String>,
}

/// How bad it is: the order is that of the variants.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nobody said.
    Unknown,
    /// Of no consequence, says the distribution.
    Negligible,
    /// Below 4.0 of CVSS.
    Low,
    /// Below 7.0.
    Medium,
    /// Below 9.0.
    High,
    /// From 9.0 on.
    Critical,
}

impl Severity {
    /// All of them, the worst first.
    pub const ALL: [Self; 6] =
        [Self::Critical, Self::High, Self::Medium, Self::Low, Self::Negligible, Self::Unknown];

    /// The word in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
            Self::Negligible => "negligible",
            Self::Unknown => "unknown",
        }
    }
}

/// An advisory that applies to a component.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// The advisory: the CVE where it has one, else its own id.
    pub id: String,
    /// Its other names.
    pub aliases: Vec<String>,
    /// Where it is from: `Debian:12`, `PyPI`.
    pub ecosystem: String,
    /// The component.
    pub package: String,
    /// What the component was built from, where advisories name that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_package: Option<String>,
    /// The version there is.
    pub version: String,
    /// The first version that is mended, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed: Option<String>,
    /// A version that is mended and that only some can have, and who: those who pay for longer support.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fixed_for_some: Option<String>,
    /// How bad it is.
    pub severity: Severity,
    /// The score of CVSS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f32>,
    /// The vector of CVSS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vector: Option<String>,
    /// Who says how bad it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity_source: Option<String>,
    /// Whether it is known to be exploited (CISA's list).
    pub exploited: bool,
    /// Whether somebody disputes that it is a weakness at all.
    pub disputed: bool,
    /// What it is, in a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Where to read on.
    pub references: Vec<String>,
    /// The layer that brought the component: an index into the layers.
    pub layer: usize,
    /// The file that names the component.
    pub path: String,
    /// The component's package URL.
    pub purl: String,
    /// Who found it first.
    pub engine: String,
    /// Who all found it.
    pub engines: Vec<String>,
    /// Why it doesn't count, where somebody answers for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppressed: Option<Suppression>,
}

/// An advisory of which it can't be told whether it applies.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Undecided {
    /// The advisory.
    pub id: String,
    /// The component.
    pub package: String,
    /// The version there is.
    pub version: String,
    /// Why not.
    pub why: String,
    /// The layer that brought the component.
    pub layer: usize,
    /// The file that names the component.
    pub path: String,
}

/// What could be said of an ecosystem.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Coverage {
    /// The ecosystem, with the release of a distribution: `Alpine:v3.19`.
    pub ecosystem: String,
    /// How its components are packaged.
    pub kind: Kind,
    /// How many components of it there are.
    pub components: usize,
    /// Whether they were looked up.
    pub status: CoverageStatus,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Whether components were looked up.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum CoverageStatus {
    /// There are advisories for it: what isn't found isn't known to be wrong.
    Matched,
    /// There are none: nothing was learnt.
    NoData,
    /// No database was given: nothing was learnt.
    NoDatabase,
    /// They are not looked up on purpose, such as headers of a kernel that doesn't run here.
    LeftOut,
}

impl Report {
    /// A report of an inventory before anything was looked up.
    #[must_use]
    pub fn new(image: ImageInfo, inventory: Inventory) -> Self {
        Self {
            version: REPORT_VERSION,
            image,
            database: None,
            os: inventory.os,
            engines: Vec::new(),
            layers: inventory.layers,
            findings: Vec::new(),
            undecided: Vec::new(),
            coverage: Vec::new(),
            components: inventory.components,
            unread: inventory.unread,
            unread_more: inventory.unread_more,
            gate: None,
        }
    }

    /// Reads a report that `verify scan --format json` printed. Nobody vouches for what it says.
    ///
    /// # Errors
    /// When it isn't one, is of another version, or has more components than an image may.
    pub fn from_json(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let expected = |why: serde_json::Error| format!("expected a report of a scan, got {why}");
        // First: of another version, the rest may be anything.
        let Version { version } = serde_json::from_slice(bytes).map_err(expected)?;
        if version != REPORT_VERSION {
            return Err(format!("expected a report of version {REPORT_VERSION}, got {version}"));
        }
        let report: Self = serde_json::from_slice(bytes).map_err(expected)?;
        let most = limits::COMPONENTS_MAX;
        match report.components.len().max(report.findings.len()) {
            count if count > most => {
                Err(format!("expected at most {most} components and findings, got {count}"))
            }
            _ => Ok(report),
        }
    }

    /// Whether a layer brought components that there was nothing to look up in: then finding none says little.
    #[must_use]
    pub fn has_gap(&self, layer: usize) -> bool {
        let gap = |kind: Kind| {
            let told = |one: &&Coverage| one.kind == kind;
            let unknown =
                |one: &Coverage| matches!(one.status, CoverageStatus::NoData | CoverageStatus::NoDatabase);
            self.coverage.iter().filter(told).any(unknown)
        };
        self.components.iter().any(|one| one.layer == layer && gap(one.kind))
            || self.unread.iter().any(|one| one.layer == layer)
    }

    /// The most severe first.
    pub(crate) fn sort_findings(&mut self) {
        self.findings.sort_by(|a, b| {
            let by_path = || (&a.package, &a.id, &a.path).cmp(&(&b.package, &b.id, &b.path));
            b.severity.cmp(&a.severity).then_with(by_path)
        });
    }
}

/// How many there are of each severity that count: each weakness of each source package once.
pub fn counts<'f>(findings: impl Iterator<Item = &'f Finding>) -> BTreeMap<Severity, usize> {
    let mut seen = BTreeSet::new();
    let mut counts: BTreeMap<Severity, usize> = BTreeMap::new();
    for one in findings.filter(|one| one.suppressed.is_none()) {
        let name = one.source_package.as_deref().unwrap_or(&one.package);
        if seen.insert((name, one.id.as_str())) {
            let count = counts.entry(one.severity).or_default();
            *count = count.saturating_add(1);
        }
    }
    counts
}
