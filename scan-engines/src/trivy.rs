//! Trivy: `trivy image --input OCI_DIR --format json`.

use image_scan::Foreign;
use serde::Deserialize;

use crate::answer::{Answer, BadAnswer, severity};

/// The form that is read: the only one since 2021.
const SCHEMA: u64 = 2;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Report {
    schema_version: u64,
    #[serde(default)]
    results: Option<Vec<Outcome>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Outcome {
    #[serde(default)]
    target: String,
    #[serde(default, rename = "Type")]
    kind: String,
    #[serde(default)]
    class: String,
    #[serde(default)]
    vulnerabilities: Option<Vec<Vulnerability>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Vulnerability {
    #[serde(rename = "VulnerabilityID")]
    id: String,
    #[serde(default, rename = "VendorIDs")]
    vendor_ids: Option<Vec<String>>,
    pkg_name: String,
    #[serde(default)]
    pkg_path: String,
    #[serde(default)]
    pkg_identifier: Option<Identifier>,
    #[serde(default)]
    installed_version: String,
    #[serde(default)]
    fixed_version: String,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    references: Option<Vec<String>>,
    #[serde(default)]
    layer: Option<Layer>,
}

#[derive(Deserialize)]
struct Identifier {
    #[serde(default, rename = "PURL")]
    purl: Option<String>,
}

#[derive(Deserialize)]
struct Layer {
    #[serde(default, rename = "DiffID")]
    diff_id: Option<String>,
}

/// Reads trivy's report.
///
/// # Errors
/// When it is something else.
pub fn parse(bytes: &[u8]) -> Result<Answer, BadAnswer> {
    let report: Report = serde_json::from_slice(bytes)?;
    if report.schema_version != SCHEMA {
        return Err(BadAnswer(format!("expected SchemaVersion {SCHEMA}, got {}", report.schema_version)));
    }
    let results = report.results.unwrap_or_default();
    let findings = results.into_iter().flat_map(|outcome| {
        let Outcome { target, kind, class, vulnerabilities } = outcome;
        vulnerabilities.unwrap_or_default().into_iter().map(move |one| {
            // Of the distribution's packages, the target is the image's name.
            let of_file = (class == "lang-pkgs" && target.contains(['/', '.'])).then(|| target.clone());
            Foreign {
                id: one.id,
                aliases: one.vendor_ids.unwrap_or_default(),
                ecosystem: kind.clone(),
                package: one.pkg_name,
                version: one.installed_version,
                fixed: Some(one.fixed_version).filter(|fixed| !fixed.is_empty()),
                severity: severity(&one.severity),
                summary: Some(one.title),
                references: one.references.unwrap_or_default(),
                path: Some(one.pkg_path).filter(|path| !path.is_empty()).or(of_file),
                purl: one.pkg_identifier.and_then(|identifier| identifier.purl),
                layer: one.layer.and_then(|layer| layer.diff_id),
            }
        })
    });
    Answer::new("trivy", None, None, findings.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let answer = parse(include_bytes!("../tests/answers/trivy.json")).unwrap();
        let [bash, a] = answer.findings.as_slice() else { panic!("{answer:?}") };
        assert_eq!((bash.id.as_str(), bash.package.as_str()), ("CVE-2026-7", "bash"));
        assert_eq!(bash.aliases, ["DSA-1-1"]);
        assert_eq!(bash.severity, Some(image_scan::Severity::Critical));
        assert_eq!(bash.path, None);
        assert_eq!(a.path.as_deref(), Some("opt/a-1.0.dist-info/METADATA"));
        assert!(parse(br#"{ "SchemaVersion": 2 }"#).unwrap().findings.is_empty());
    }

    #[test]
    fn what_is_no_report_is_an_error_and_not_clean() {
        for bytes in
            ["", "{}", "[]", "null", r#"{ "SchemaVersion": 1 }"#, r#"{ "SchemaVersion": 2, "Results": 1 }"#]
        {
            assert!(parse(bytes.as_bytes()).is_err(), "{bytes}");
        }
    }
}
