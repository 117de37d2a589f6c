//! Grype: `grype oci-dir:DIR -o json`.

use image_scan::Foreign;
use serde::Deserialize;

use crate::answer::{Answer, BadAnswer, severity};

#[derive(Deserialize)]
struct Report {
    matches: Vec<Match>,
    descriptor: Descriptor,
}

#[derive(Deserialize)]
struct Descriptor {
    name: String,
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    db: Option<Db>,
}

/// Of version 6 on, the age is in `status`.
#[derive(Deserialize)]
struct Db {
    #[serde(default)]
    built: Option<String>,
    #[serde(default)]
    status: Option<Status>,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    built: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Match {
    vulnerability: Vulnerability,
    #[serde(default)]
    related_vulnerabilities: Vec<Related>,
    artifact: Artifact,
}

#[derive(Deserialize)]
struct Vulnerability {
    id: String,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    urls: Vec<String>,
    #[serde(default)]
    fix: Option<Fix>,
}

#[derive(Deserialize)]
struct Related {
    id: String,
}

#[derive(Deserialize)]
struct Fix {
    #[serde(default)]
    versions: Vec<String>,
}

#[derive(Deserialize)]
struct Artifact {
    name: String,
    version: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    purl: Option<String>,
    #[serde(default)]
    locations: Vec<Place>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    path: String,
    #[serde(default, rename = "layerID")]
    layer_id: Option<String>,
}

/// Reads grype's report.
///
/// # Errors
/// When it is something else.
pub fn parse(bytes: &[u8]) -> Result<Answer, BadAnswer> {
    let report: Report = serde_json::from_slice(bytes)?;
    let Descriptor { name, version, db } = report.descriptor;
    if name != "grype" {
        return Err(BadAnswer(format!(
            "expected a report of grype, got one of {:?}",
            crate::answer::line(&name)
        )));
    }
    let built = db.and_then(|db| db.built.or(db.status?.built));
    let findings = report.matches.into_iter().map(|one| {
        let place = one.artifact.locations.into_iter().next();
        let (path, layer) = place.map_or((None, None), |place| (Some(place.path), place.layer_id));
        Foreign {
            id: one.vulnerability.id,
            aliases: one.related_vulnerabilities.into_iter().map(|related| related.id).collect(),
            ecosystem: one.artifact.kind,
            package: one.artifact.name,
            version: one.artifact.version,
            fixed: one.vulnerability.fix.and_then(|fix| fix.versions.into_iter().next()),
            severity: severity(&one.vulnerability.severity),
            summary: one.vulnerability.description,
            references: one.vulnerability.urls,
            path,
            purl: one.artifact.purl,
            layer,
        }
    });
    Answer::new("grype", version, built.map(|built| format!("database of {built}")), findings.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let answer = parse(include_bytes!("../tests/answers/grype.json")).unwrap();
        assert_eq!(answer.engine.version.as_deref(), Some("0.90.0"));
        assert_eq!(answer.engine.data.as_deref(), Some("database of 2026-01-02T00:00:00Z"));
        let [one] = answer.findings.as_slice() else { panic!("{answer:?}") };
        assert_eq!(
            (one.id.as_str(), one.aliases.as_slice()),
            ("GHSA-aaaa-bbbb-cccc", &["CVE-2026-8".to_owned()][..])
        );
        assert_eq!((one.package.as_str(), one.fixed.as_deref()), ("a", Some("1.1")));
        assert_eq!(one.path.as_deref(), Some("/opt/a-1.0.dist-info/METADATA"));
    }

    #[test]
    fn what_is_no_report_is_an_error_and_not_clean() {
        for bytes in
            ["", "{}", "[]", r#"{ "matches": [] }"#, r#"{ "matches": [], "descriptor": { "name": "x" } }"#]
        {
            assert!(parse(bytes.as_bytes()).is_err(), "{bytes}");
        }
    }
}
