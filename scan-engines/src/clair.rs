//! Clair v4: what is sent to its HTTP API, and what comes back. Sending is the program's affair.

use std::collections::BTreeMap;

use image_scan::Foreign;
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, BadAnswer, severity};

/// Where a manifest is sent to, below the server's address.
pub const INDEX: &str = "indexer/api/v1/index_report";
/// Where the answer is, with the digest after it.
pub const REPORT: &str = "matcher/api/v1/vulnerability_report";

/// What Clair is asked to index: it fetches the layers itself.
#[derive(Debug, Serialize)]
pub struct Manifest {
    hash: String,
    layers: Vec<Layer>,
}

#[derive(Debug, Serialize)]
struct Layer {
    hash: String,
    uri: String,
    headers: BTreeMap<String, Vec<String>>,
}

impl Manifest {
    /// `layers`: each digest, and the address that Clair fetches it from.
    #[must_use]
    pub fn new(digest: &str, layers: impl IntoIterator<Item = (String, String)>) -> Self {
        let layer = |(hash, uri)| Layer { hash, uri, headers: BTreeMap::new() };
        Self { hash: digest.to_owned(), layers: layers.into_iter().map(layer).collect() }
    }
}

#[derive(Deserialize)]
struct IndexReport {
    manifest_hash: String,
    state: String,
    #[serde(default)]
    success: bool,
    #[serde(default)]
    err: String,
}

/// How far Clair is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Progress {
    /// It is still looking.
    Indexing,
    /// The report can be asked for.
    Indexed,
}

/// Reads the answer to a manifest that was sent, or to a question how far it is.
///
/// # Errors
/// When it is something else, about something else, or Clair couldn't read the image.
pub fn progress(bytes: &[u8], digest: &str) -> Result<Progress, BadAnswer> {
    let report: IndexReport = serde_json::from_slice(bytes)?;
    expect_digest(&report.manifest_hash, digest)?;
    match report.state.as_str() {
        "IndexFinished" if report.success && report.err.is_empty() => Ok(Progress::Indexed),
        "IndexError" | "IndexFinished" => {
            Err(BadAnswer(format!("it could not read the image: {}", crate::answer::line(&report.err))))
        }
        _ => Ok(Progress::Indexing),
    }
}

#[derive(Deserialize)]
struct Report {
    manifest_hash: String,
    packages: BTreeMap<String, Package>,
    #[serde(default)]
    environments: BTreeMap<String, Vec<Environment>>,
    vulnerabilities: BTreeMap<String, Vulnerability>,
    package_vulnerabilities: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    #[serde(default)]
    version: String,
}

#[derive(Deserialize)]
struct Environment {
    #[serde(default)]
    package_db: String,
    #[serde(default)]
    introduced_in: String,
}

#[derive(Deserialize)]
struct Vulnerability {
    name: String,
    #[serde(default)]
    updater: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    links: String,
    #[serde(default)]
    normalized_severity: String,
    #[serde(default)]
    fixed_in_version: String,
}

/// Reads a vulnerability report.
///
/// # Errors
/// When it is something else, about something else, or names what it doesn't have.
pub fn parse(bytes: &[u8], digest: &str) -> Result<Answer, BadAnswer> {
    let report: Report = serde_json::from_slice(bytes)?;
    expect_digest(&report.manifest_hash, digest)?;
    let mut findings = Vec::new();
    for (id, vulnerabilities) in &report.package_vulnerabilities {
        let missing = |what: &str| BadAnswer(format!("expected {what}, which it names, got none"));
        let package = report.packages.get(id).ok_or_else(|| missing("a package"))?;
        let place = report.environments.get(id).and_then(|places| places.first());
        for key in vulnerabilities {
            let one = report.vulnerabilities.get(key).ok_or_else(|| missing("a vulnerability"))?;
            if findings.len() > crate::FINDINGS_MAX {
                break;
            }
            // Of a name such as `RHSA-2026:1: bash update`, the first word is the advisory.
            let name = one.name.split_whitespace().next().unwrap_or_default().trim_end_matches(':');
            findings.push(Foreign {
                id: name.to_owned(),
                aliases: Vec::new(),
                ecosystem: one.updater.clone(),
                package: package.name.clone(),
                version: package.version.clone(),
                fixed: Some(one.fixed_in_version.clone()),
                severity: severity(&one.normalized_severity),
                summary: Some(one.description.clone()),
                references: one.links.split_whitespace().map(str::to_owned).collect(),
                path: place.map(|place| place.package_db.clone()).filter(|path| !path.is_empty()),
                purl: None,
                layer: place.map(|place| place.introduced_in.clone()),
            });
        }
    }
    Answer::new("clair", None, None, findings)
}

fn expect_digest(got: &str, expected: &str) -> Result<(), BadAnswer> {
    match got == expected {
        true => Ok(()),
        false => {
            let got = crate::answer::line(got);
            Err(BadAnswer(format!("expected an answer about {expected}, got one about {got:?}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";

    #[test]
    fn a_report_is_read() {
        let answer = parse(include_bytes!("../tests/answers/clair.json"), DIGEST).unwrap();
        let [one] = answer.findings.as_slice() else { panic!("{answer:?}") };
        assert_eq!((one.id.as_str(), one.package.as_str()), ("CVE-2026-7", "bash"));
        assert_eq!(one.fixed.as_deref(), Some("5.2.15-3"));
        assert_eq!(one.severity, Some(image_scan::Severity::High));
        assert_eq!(one.references, ["https://example.com/1", "https://example.com/2"]);
        assert_eq!(one.path.as_deref(), Some("var/lib/dpkg/status"));
    }

    #[test]
    fn what_is_about_something_else_is_an_error_and_not_clean() {
        let good = include_str!("../tests/answers/clair.json");
        let dangling = good.replace(r#""10": ["356835"]"#, r#""10": ["9"]"#);
        for bytes in ["", "{}", &good.replace("1111111", "2222222"), &dangling] {
            assert!(parse(bytes.as_bytes(), DIGEST).is_err(), "{bytes}");
        }
        let said = |state: &str| {
            let bytes = format!(r#"{{ "manifest_hash": "{DIGEST}", "state": "{state}", "success": true }}"#);
            progress(bytes.as_bytes(), DIGEST)
        };
        assert_eq!(said("ScanLayers"), Ok(Progress::Indexing));
        assert_eq!(said("IndexFinished"), Ok(Progress::Indexed));
        assert!(said("IndexError").is_err());
    }
}
