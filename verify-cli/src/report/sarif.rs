//! A verdict as a SARIF 2.1.0 log (OASIS): a rule for each kind of link, and a result for the one that broke.

use image_scan::formats::relative_reference;
use serde_json::{Value, json};
use verdict_report::{Report, Word};

/// The verdict as a log. A trusted image has no results; what could not be told is a warning.
pub(super) fn sarif(report: &Report) -> Value {
    let results: Vec<Value> = result(report).into_iter().collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "hallmark",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": results.iter().map(|one| rule(one.get("ruleId"))).collect::<Vec<_>>(),
            } },
            "properties": {
                "image": report.reference,
                "digest": report.digest,
                "verdict": report.verdict,
            },
            "results": results,
        }],
    })
}

fn rule(id: Option<&Value>) -> Value {
    json!({ "id": id, "shortDescription": { "text": "A link of the chain from root key to image holds" } })
}

fn result(report: &Report) -> Option<Value> {
    let level = match report.verdict {
        Word::Trusted => return None,
        Word::Refused => "error",
        Word::Unknown => "warning",
    };
    // Where the chain was not even begun, there is no link to name.
    let link = report.broken.as_ref();
    let stage = link.map_or("begin", |link| link.stage.name());
    let what = link.map(|link| &link.detail).or(report.error.as_ref()).map_or("no reason", String::as_str);
    let text = match &report.hint {
        Some(hint) => format!("{what}. Hint: {hint}"),
        None => what.to_owned(),
    };
    let subject = link.map_or("", |link| link.subject.as_str());
    Some(json!({
        "ruleId": format!("chain/{stage}"),
        "level": level,
        "message": { "text": text },
        "locations": [{
            "physicalLocation": { "artifactLocation": { "uri": relative_reference(&report.reference) } },
            "logicalLocations": [{ "fullyQualifiedName": report.reference }],
        }],
        "partialFingerprints": { "link": format!("{}/{stage}/{subject}", report.reference) },
    }))
}
