//! CycloneDX 1.6 (ECMA-424): components, and vulnerabilities that point to them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{TOOL, TOOL_VERSION, database, hex, is_page, uuid};
use crate::component::Component;
use crate::gate::Suppression;
use crate::report::{Finding, Report, Severity};

/// The report as a CycloneDX document. `made_at` is the time of it, in the form of RFC 3339.
#[must_use]
pub fn cyclonedx(report: &Report, made_at: &str) -> Value {
    let components: Vec<_> =
        report.components.iter().enumerate().map(|(at, one)| component(at, one, report)).collect();
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{}", uuid(report, made_at)),
        "version": 1,
        "metadata": {
            "timestamp": made_at,
            "tools": { "components": [{ "type": "application", "name": TOOL, "version": TOOL_VERSION }] },
            "component": {
                "type": "container",
                "bom-ref": report.image.manifest,
                "name": report.image.reference,
                "version": report.image.manifest,
                "hashes": [{ "alg": "SHA-256", "content": hex(&report.image.manifest) }],
            },
            "properties": [
                property("hallmark:verified", &report.image.verified.to_string()),
                property("hallmark:database", &database(report)),
            ],
        },
        "components": components,
        "vulnerabilities": vulnerabilities(report),
    })
}

fn reference(at: usize) -> String {
    format!("component-{at}")
}

fn component(at: usize, one: &Component, report: &Report) -> Value {
    let layer = report.layers.get(one.layer);
    let mut properties =
        vec![property("hallmark:layer", &one.layer.to_string()), property("hallmark:path", &one.path)];
    properties.extend(layer.map(|layer| property("hallmark:layer:diff-id", &layer.diff_id)));
    properties.extend(one.owner.as_ref().map(|owner| property("hallmark:owner", owner)));
    if let Some(source) = &one.source {
        properties.push(property("hallmark:source", &source.name));
        properties.push(property("hallmark:source:version", &source.version));
    }
    let mut value = json!({
        "type": "library",
        "bom-ref": reference(at),
        "name": one.name,
        "version": one.version,
        "properties": properties,
    });
    if let Some(members) = value.as_object_mut().filter(|_| !one.purl.is_empty()) {
        members.insert("purl".into(), one.purl.clone().into());
    }
    value
}

fn property(name: &str, value: &str) -> Value {
    json!({ "name": name, "value": value })
}

/// One for each advisory, with all components that it affects; those that somebody answers for apart, by their answer.
fn vulnerabilities(report: &Report) -> Vec<Value> {
    let references: BTreeMap<(&str, &str), usize> = report
        .components
        .iter()
        .enumerate()
        .map(|(at, one)| ((one.purl.as_str(), one.path.as_str()), at))
        .collect();
    let mut by_id: BTreeMap<(&str, &str, Option<&Suppression>), Vec<&Finding>> = BTreeMap::new();
    for one in &report.findings {
        by_id.entry((&one.id, &one.ecosystem, one.suppressed.as_ref())).or_default().push(one);
    }
    let place = |one: &Finding| references.get(&(one.purl.as_str(), one.path.as_str())).copied();
    by_id
        .values()
        .filter_map(|findings| {
            let first = findings.first()?;
            // What stands in a list of the standard's stands there once.
            let places: BTreeSet<(usize, &str)> =
                findings.iter().filter_map(|one| Some((place(one)?, one.version.as_str()))).collect();
            // Who leaves one aside says nothing of whether it is there.
            let is_answered = first.suppressed.as_ref().is_some_and(|answer| !answer.is_ignored());
            let status = if is_answered { "unaffected" } else { "affected" };
            let affects = places.into_iter().map(|(at, version)| {
                json!({ "ref": reference(at), "versions": [{ "version": version, "status": status }] })
            });
            Some(vulnerability(first, affects.collect()))
        })
        .collect()
}

fn vulnerability(first: &Finding, affects: Vec<Value>) -> Value {
    let mut rating = json!({ "severity": severity(first.severity) });
    if let Some(members) = rating.as_object_mut() {
        members.extend(first.score.map(|score| ("score".to_owned(), json!(score))));
        members.extend(first.vector.as_ref().map(|vector| ("vector".to_owned(), json!(vector))));
        let source = first.severity_source.as_ref();
        members.extend(source.map(|source| ("source".to_owned(), json!({ "name": source }))));
    }
    let aliases: BTreeSet<&String> = first.aliases.iter().collect();
    let aliases = aliases.into_iter().map(|id| json!({ "id": id, "source": { "name": "alias" } }));
    let advisories = first.references.iter().filter(|url| is_page(url)).map(|url| json!({ "url": url }));
    let mut value = json!({
        "id": first.id,
        "source": { "name": first.ecosystem },
        "references": aliases.collect::<Vec<_>>(),
        "ratings": [rating],
        "advisories": advisories.collect::<Vec<_>>(),
        "affects": affects,
    });
    if let Some(members) = value.as_object_mut() {
        members.extend(first.summary.as_ref().map(|summary| ("description".to_owned(), json!(summary))));
        let fixed = first.fixed.as_ref();
        members.extend(fixed.map(|fixed| ("recommendation".to_owned(), json!(format!("update to {fixed}")))));
        let answer = first.suppressed.as_ref();
        members.extend(answer.map(|answer| ("analysis".to_owned(), analysis(answer))));
    }
    value
}

/// Why it doesn't count. Whoever leaves it aside for a while says nothing of whether it is there.
fn analysis(answer: &Suppression) -> Value {
    let until = answer.expires.as_deref().map(|at| format!(", until {at}")).unwrap_or_default();
    let detail = format!("{} (by {}{until})", answer.reason, answer.by);
    match () {
        () if answer.is_ignored() => json!({ "response": ["will_not_fix"], "detail": detail }),
        () if answer.is_fixed() => json!({ "state": "resolved", "detail": detail }),
        () => json!({ "state": "not_affected", "detail": detail }),
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        // The schema's word for what is of no consequence.
        Severity::Negligible => "info",
        other => other.name(),
    }
}
