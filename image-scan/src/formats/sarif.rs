//! SARIF 2.1.0 (OASIS), as code hosts show it: a rule for each advisory, a result for each finding.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{TOOL, TOOL_VERSION, is_page};
use crate::report::{Finding, Report, Severity};

/// The report as a SARIF log.
#[must_use]
pub fn sarif(report: &Report) -> Value {
    let mut rules: BTreeMap<&str, &Finding> = BTreeMap::new();
    for one in &report.findings {
        rules.entry(&one.id).or_insert(one);
    }
    let results = report.findings.iter().map(|one| result(one, report));
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": TOOL,
                "version": TOOL_VERSION,
                "rules": rules.into_values().map(rule).collect::<Vec<_>>(),
            } },
            "properties": {
                "image": report.image.reference,
                "digest": report.image.digest,
                "verified": report.image.verified,
                "database": report.database,
            },
            "results": results.collect::<Vec<_>>(),
        }],
    })
}

fn rule(one: &Finding) -> Value {
    let summary = one.summary.as_deref().unwrap_or(&one.id);
    let mut value = json!({
        "id": one.id,
        "shortDescription": { "text": format!("{}: {summary}", one.id) },
        "properties": { "security-severity": score(one), "tags": ["security", one.severity.name()] },
    });
    let first = one.references.iter().find(|url| url.starts_with("https://") && is_page(url));
    if let (Some(url), Some(members)) = (first, value.as_object_mut()) {
        members.insert("helpUri".into(), url.clone().into());
    }
    value
}

/// What code hosts sort by; where nobody gave a number, the middle of what the word stands for.
fn score(one: &Finding) -> String {
    let middle = match one.severity {
        Severity::Critical => 9.5,
        Severity::High => 8.0,
        Severity::Medium => 5.5,
        Severity::Low => 2.0,
        Severity::Negligible | Severity::Unknown => 0.0,
    };
    format!("{:.1}", one.score.unwrap_or(middle))
}

fn result(one: &Finding, report: &Report) -> Value {
    let fixed =
        one.fixed.as_ref().map_or_else(|| "no fix yet".to_owned(), |fixed| format!("fixed in {fixed}"));
    let layer = report.layers.get(one.layer).map_or("", |layer| layer.digest.as_str());
    let mut value = json!({
        "ruleId": one.id,
        "level": level(one.severity),
        "message": { "text": format!("{} {} ({fixed}), in layer {}", one.package, one.version, one.layer) },
        "locations": [{
            "physicalLocation": { "artifactLocation": { "uri": relative_reference(&one.path) } },
            "logicalLocations": [{ "fullyQualifiedName": format!("{}@{layer}", report.image.reference) }],
        }],
        "partialFingerprints": { "finding": format!("{}/{}/{}", one.id, one.purl, one.path) },
    });
    if let (Some(answer), Some(members)) = (&one.suppressed, value.as_object_mut()) {
        let why = json!([{ "kind": "external", "justification": answer.reason }]);
        members.insert("suppressions".into(), why);
    }
    value
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Negligible | Severity::Unknown => "note",
    }
}

/// A path as a relative reference (RFC 3986): what isn't plain is escaped.
#[must_use]
pub fn relative_reference(path: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(byte);
    path.trim_start_matches('/')
        .bytes()
        .map(|byte| match plain(&byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}
