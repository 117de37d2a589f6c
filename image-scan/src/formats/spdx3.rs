//! SPDX 3.0.1, in JSON-LD: packages, what contains them, and what is known to be wrong with them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{TOOL, TOOL_VERSION, database, hex, uuid};
use crate::component::Component;
use crate::report::{Finding, Report};

/// The context that all documents of this version have; nobody has to fetch it to read one.
const CONTEXT: &str = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld";

/// The blank node of what all elements say of their making.
const CREATION: &str = "_:creation";

/// The report as an SPDX 3 document. `made_at` is the time of it, in the form of RFC 3339 and in UTC.
#[must_use]
pub fn spdx3(report: &Report, made_at: &str) -> Value {
    let ids = Ids(format!("urn:uuid:{}", uuid(report, made_at)));
    let image = ids.of("image");
    let mut elements = vec![ids.element("software_Package", "image", &image_members(report))];
    let components: Vec<String> = (0..report.components.len()).map(|at| format!("component-{at}")).collect();
    let packages = report.components.iter().zip(&components);
    elements.extend(packages.map(|(one, id)| ids.element("software_Package", id, &package(one, report))));
    if !components.is_empty() {
        let to: Vec<_> = components.iter().map(|id| ids.of(id)).collect();
        elements.push(ids.relationship("contains", "contains", &image, &to));
    }
    elements.extend(vulnerabilities(report, &ids));
    let all: Vec<Value> = elements.iter().filter_map(|element| element.get("spdxId").cloned()).collect();
    let sbom = json!({ "rootElement": [image], "element": all, "software_sbomType": ["analyzed"] });
    let document = json!({
        "name": report.image.reference,
        "rootElement": [ids.of("sbom")],
        "profileConformance": ["core", "software", "security"],
    });
    let tool = json!({ "name": format!("{TOOL} {TOOL_VERSION}") });
    let mut graph = vec![
        json!({
            "type": "CreationInfo",
            "@id": CREATION,
            "specVersion": "3.0.1",
            "created": made_at,
            "createdBy": [ids.of("agent")],
            "comment": database(report),
        }),
        ids.element("SoftwareAgent", "agent", &tool),
        ids.element("SpdxDocument", "document", &document),
        ids.element("software_Sbom", "sbom", &sbom),
    ];
    graph.extend(elements);
    json!({ "@context": CONTEXT, "@graph": graph })
}

/// Names of elements, of which each document has its own.
struct Ids(String);

impl Ids {
    fn of(&self, name: &str) -> String {
        format!("{}#{name}", self.0)
    }

    fn element(&self, kind: &str, name: &str, members: &Value) -> Value {
        let mut element = Map::new();
        element.insert("type".into(), kind.into());
        element.insert("spdxId".into(), self.of(name).into());
        element.insert("creationInfo".into(), CREATION.into());
        element.extend(
            members.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())),
        );
        Value::Object(element)
    }

    fn relationship(&self, name: &str, kind: &str, from: &str, to: &[String]) -> Value {
        let members =
            json!({ "from": from, "relationshipType": kind, "to": to, "completeness": "noAssertion" });
        self.element("Relationship", name, &members)
    }
}

fn image_members(report: &Report) -> Value {
    json!({
        "name": report.image.reference,
        "software_packageVersion": report.image.manifest,
        "software_primaryPurpose": "container",
        "verifiedUsing": [{ "type": "Hash", "algorithm": "sha256", "hashValue": hex(&report.image.manifest) }],
    })
}

fn package(one: &Component, report: &Report) -> Value {
    let layer = report.layers.get(one.layer).map_or("", |layer| layer.diff_id.as_str());
    let mut value = json!({
        "name": one.name,
        "software_packageVersion": one.version,
        "comment": format!("{} in layer {} ({layer})", one.path, one.layer),
    });
    let Some(members) = value.as_object_mut() else { return value };
    if !one.purl.is_empty() {
        members.insert("software_packageUrl".into(), one.purl.clone().into());
    }
    if let Some(source) = &one.source {
        let text = format!("built from {} {}", source.name, source.version);
        members.insert("software_sourceInfo".into(), text.into());
    }
    value
}

/// Each weakness once, and what has it.
fn vulnerabilities(report: &Report, ids: &Ids) -> Vec<Value> {
    let mut places: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    for (at, one) in report.components.iter().enumerate() {
        places.insert((&one.purl, &one.path, &one.name), at);
    }
    let (mut known, mut with): (BTreeMap<&str, &Finding>, BTreeMap<String, BTreeSet<&str>>) =
        Default::default();
    for one in &report.findings {
        known.entry(&one.id).or_insert(one);
        let place = places.get(&(one.purl.as_str(), one.path.as_str(), one.package.as_str()));
        let package = place.map_or_else(|| ids.of("image"), |at| ids.of(&format!("component-{at}")));
        with.entry(package).or_default().insert(&one.id);
    }
    let numbers: BTreeMap<&str, String> =
        known.keys().enumerate().map(|(at, id)| (*id, format!("vulnerability-{at}"))).collect();
    let mut elements: Vec<Value> = known
        .iter()
        .filter_map(|(id, one)| Some(ids.element("security_Vulnerability", numbers.get(id)?, &weakness(one))))
        .collect();
    elements.extend(with.iter().enumerate().map(|(at, (package, weaknesses))| {
        let to: Vec<_> = weaknesses.iter().filter_map(|id| Some(ids.of(numbers.get(id)?))).collect();
        ids.relationship(&format!("affected-{at}"), "hasAssociatedVulnerability", package, &to)
    }));
    elements
}

fn weakness(one: &Finding) -> Value {
    let names = std::iter::once(&one.id).chain(&one.aliases);
    let identifiers: Vec<Value> = names
        .map(|name| {
            let kind = if name.starts_with("CVE-") { "cve" } else { "securityOther" };
            json!({ "type": "ExternalIdentifier", "externalIdentifierType": kind, "identifier": name })
        })
        .collect();
    let mut value = json!({ "name": one.id, "externalIdentifier": identifiers });
    if let (Some(summary), Some(members)) = (&one.summary, value.as_object_mut()) {
        members.insert("summary".into(), summary.clone().into());
    }
    value
}
