//! SPDX 2.3 (ISO/IEC 5962): packages, and what contains them.

use serde_json::{Value, json};

use super::{TOOL, TOOL_VERSION, database, hex, uuid};
use crate::component::Component;
use crate::report::Report;

/// What is known of nobody: who made it, and under which licence.
const NOT_SAID: &str = "NOASSERTION";

/// The report as an SPDX document. `made_at` is the time of it, in the form of RFC 3339 and in UTC.
#[must_use]
pub fn spdx(report: &Report, made_at: &str) -> Value {
    let image = json!({
        "SPDXID": "SPDXRef-image",
        "name": report.image.reference,
        "versionInfo": report.image.manifest,
        "primaryPackagePurpose": "CONTAINER",
        "downloadLocation": NOT_SAID,
        "filesAnalyzed": false,
        "checksums": [{ "algorithm": "SHA256", "checksumValue": hex(&report.image.manifest) }],
    });
    let packages = report.components.iter().enumerate().map(|(at, one)| package(at, one, report));
    let contains = (0..report.components.len()).map(|at| relationship("SPDXRef-image", "CONTAINS", &id(at)));
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": report.image.reference,
        "documentNamespace": format!("urn:uuid:{}", uuid(report, made_at)),
        "creationInfo": {
            "created": made_at,
            "creators": [format!("Tool: {TOOL}-{TOOL_VERSION}")],
            "comment": database(report),
        },
        "packages": std::iter::once(image).chain(packages).collect::<Vec<_>>(),
        "relationships": std::iter::once(relationship("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-image"))
            .chain(contains)
            .collect::<Vec<_>>(),
    })
}

fn id(at: usize) -> String {
    format!("SPDXRef-component-{at}")
}

fn relationship(from: &str, kind: &str, to: &str) -> Value {
    json!({ "spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to })
}

fn package(at: usize, one: &Component, report: &Report) -> Value {
    let layer = report.layers.get(one.layer).map_or("", |layer| layer.diff_id.as_str());
    let reference = json!({
        "referenceCategory": "PACKAGE-MANAGER",
        "referenceType": "purl",
        "referenceLocator": one.purl,
    });
    let references: Vec<_> = (!one.purl.is_empty()).then_some(reference).into_iter().collect();
    let mut value = json!({
        "SPDXID": id(at),
        "name": one.name,
        "versionInfo": one.version,
        "downloadLocation": NOT_SAID,
        "filesAnalyzed": false,
        "licenseConcluded": NOT_SAID,
        "licenseDeclared": NOT_SAID,
        "copyrightText": NOT_SAID,
        "comment": format!("{} in layer {} ({layer})", one.path, one.layer),
        "externalRefs": references,
    });
    if let (Some(source), Some(members)) = (&one.source, value.as_object_mut()) {
        members.insert("sourceInfo".into(), format!("built from {} {}", source.name, source.version).into());
    }
    value
}
