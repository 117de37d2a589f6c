//! From an advisory of the schema to what is kept of it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::build::Lists;
use crate::ecosystem::{Channel, Ecosystem};
use crate::format::{Cve, Entry, Event, Ranges, Record};
use crate::severity::{self, Severity};
use crate::version::Order;
use crate::{limits, osv, range};

/// Whether it says of itself that it is none: a CVE that was rejected.
pub(crate) fn is_rejected(advisory: &osv::Advisory) -> bool {
    says(advisory, &["** REJECT **", "** REJECTED **", "Rejected reason:", "REJECTED"])
}

fn says(advisory: &osv::Advisory, words: &[&str]) -> bool {
    [&advisory.summary, &advisory.details].into_iter().flatten().any(|text| {
        let text = text.trim_start();
        words.iter().any(|word| text.starts_with(word))
    })
}

pub(crate) fn record(advisory: &osv::Advisory, source: &str, lists: &Lists) -> Record<String> {
    let ecosystem = Ecosystem::parse(source);
    let listed = |names: &Option<Vec<String>>| names.clone().unwrap_or_default();
    let mut names = listed(&advisory.aliases);
    names.extend(listed(&advisory.upstream));
    if ecosystem.relates() {
        let related = listed(&advisory.related);
        names.extend(related.into_iter().filter(|name| name.starts_with("CVE-")));
    }
    names.push(advisory.id.clone());
    let names: BTreeSet<String> = names.into_iter().collect();
    let (cves, others): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| name.starts_with("CVE-"));
    let cve = |id: String| {
        let vector = lists.vectors.get(&id);
        let severity = vector.and_then(|vector| Severity::of_vector(vector, "CVSS of the CVE"));
        Cve { severity, exploited: lists.exploited.contains(&id), id }
    };
    let references = advisory.references.iter().flatten().map(|reference| &reference.url);
    Record {
        id: advisory.id.clone(),
        aliases: others.into_iter().filter(|name| *name != advisory.id).collect(),
        cves: cves.into_iter().map(cve).collect(),
        summary: summary(advisory),
        references: references.filter(|url| url.len() < 1024).take(limits::REFERENCES).cloned().collect(),
        disputed: says(advisory, &["** DISPUTED **"]),
    }
}

/// A line: the summary, or else where the details begin.
fn summary(advisory: &osv::Advisory) -> Option<String> {
    let text =
        [&advisory.summary, &advisory.details].into_iter().flatten().find(|text| !text.trim().is_empty())?;
    let line = text.trim().lines().next()?.trim();
    let cut: String = line.chars().filter(|c| !c.is_control()).take(limits::SUMMARY).collect();
    Some(if cut.chars().count() < limits::SUMMARY { cut } else { format!("{cut}…") })
}

/// What an advisory says of a package. Which list of its block has its binary packages is for the block to say.
pub(crate) fn entry<'a>(
    advisory: &'a osv::Advisory,
    affected: &'a osv::Affected,
    of: &'a Channel,
    words: &'a Words,
) -> Entry<&'a str> {
    let order = of.ecosystem.order();
    // Commits can't be compared with versions.
    let ranges = affected.ranges.iter().flatten().filter(|range| range.kind != "GIT");
    let ranges = Ranges::of(ranges.map(events));
    let listed = affected.versions.as_deref().unwrap_or_default();
    Entry {
        channel: of.channel.as_deref(),
        beside_plain: of.channel.is_some() && is_for_everybody(advisory, affected, of),
        level: severity::distribution(advisory, affected, &of.ecosystem.name),
        severity: words.severity.as_ref().map(|one| one.map(String::as_str)),
        binaries: None,
        module: words.module.as_deref().filter(|_| order == Some(Order::Rpm)),
        versions: match order {
            Some(order) => range::only_listed(order, listed, &ranges),
            None => listed.iter().map(String::as_str).collect(),
        },
        ranges,
    }
}

/// What of an entry isn't in the advisory as it is.
pub(crate) struct Words {
    severity: Option<Severity<String>>,
    module: Option<String>,
}

impl Words {
    pub(crate) fn of(advisory: &osv::Advisory, affected: &osv::Affected) -> Self {
        let severity = severity::of_advisory(advisory, affected).or_else(|| severity::of_database(advisory));
        Self { severity, module: module(advisory) }
    }
}

/// Whether an advisory says something of the same package for all who have the release.
fn is_for_everybody(advisory: &osv::Advisory, affected: &osv::Affected, of: &Channel) -> bool {
    let name = affected.package.as_ref().map(|package| package.name.as_str());
    let packages = advisory.affected.iter().flatten().filter_map(|one| one.package.as_ref());
    packages.filter(|package| Some(package.name.as_str()) == name).any(|package| {
        let other = Channel::parse(&package.ecosystem);
        let is_same = other.ecosystem == of.ecosystem || other.ecosystem == of.ecosystem.any_release();
        other.channel.is_none() && is_same
    })
}

fn events(range: &osv::Range) -> Vec<Event<&str>> {
    let pairs = range.events.iter().flatten();
    pairs.filter_map(|(kind, version)| Event::of(kind, version.as_str()?)).collect()
}

/// Ubuntu's list of binary packages, in either of its forms: `{NAME: VERSION}` or `{binary_name: NAME, …}`.
pub(crate) fn binaries(affected: &osv::Affected) -> Vec<String> {
    let list = affected.ecosystem_specific.as_ref().and_then(|specific| specific.get("binaries"));
    let mut names = BTreeSet::new();
    for binary in list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object) {
        match binary.get("binary_name").and_then(Value::as_str) {
            Some(name) => names.extend([name.to_owned()]),
            None => names.extend(binary.keys().cloned()),
        }
    }
    names.into_iter().collect()
}

/// `Important: nodejs:18 security update` is on one stream, `… idm:DL1 and idm:client …` on two, with a space between.
fn module(advisory: &osv::Advisory) -> Option<String> {
    let words = advisory.summary.as_deref()?.split_whitespace();
    let words = words.map(|word| word.trim_matches([',', ';', '(', ')']));
    let is_stream = |word: &&str| {
        word.split_once(':').is_some_and(|(name, stream)| !name.is_empty() && !stream.is_empty())
    };
    let streams: Vec<&str> = words.filter(is_stream).collect();
    (!streams.is_empty()).then(|| streams.join(" "))
}
