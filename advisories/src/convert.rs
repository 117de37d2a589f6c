//! From an advisory of the schema to what is kept of it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::build::Lists;
use crate::ecosystem::{Channel, Ecosystem};
use crate::format::{Cve, Entry, Event, Place, Record};
use crate::severity::{self, Severity};
use crate::version::Order;
use crate::{limits, osv};

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

pub(crate) fn record(advisory: &osv::Advisory, source: &str, lists: &Lists) -> Record {
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

pub(crate) fn entry(
    advisory: &osv::Advisory,
    affected: &osv::Affected,
    of: &Channel,
    record: Place,
) -> Entry {
    // Commits can't be compared with versions.
    let ranges = affected.ranges.iter().flatten().filter(|range| range.kind != "GIT");
    Entry {
        record,
        channel: of.channel.clone(),
        level: severity::distribution(advisory, affected, &of.ecosystem.name),
        severity: severity::of_advisory(advisory, affected).or_else(|| severity::of_database(advisory)),
        binaries: binaries(affected),
        module: module(advisory).filter(|_| of.ecosystem.order() == Some(Order::Rpm)),
        ranges: ranges.map(events).collect(),
        versions: affected.versions.clone().unwrap_or_default(),
    }
}

fn events(range: &osv::Range) -> Vec<Event> {
    let pairs = range.events.iter().flatten();
    pairs.filter_map(|(kind, version)| Event::of(kind, version.as_str()?)).collect()
}

/// Ubuntu's list of binary packages, in either of its forms: `{NAME: VERSION}` or `{binary_name: NAME, …}`.
fn binaries(affected: &osv::Affected) -> Vec<String> {
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
