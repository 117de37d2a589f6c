//! What others judged: verification summaries, OpenVEX, results of scanners.

use chrono::{DateTime, Utc};
use image_signatures::few;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{expect_few, read};
use crate::limits::ENTRIES_MAX;
use crate::refusal::Refusal;

/// That a verifier looked at an image and found so (SLSA 1.2, "Verification Summary Attestation").
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Vsa {
    /// Who verified. Whether the signer may speak for it is for whoever asks.
    pub verifier: String,
    /// When.
    pub time: Option<DateTime<Utc>>,
    /// What was verified: a name.
    pub resource: String,
    /// By which policy.
    pub policy: Option<String>,
    /// Whether it passed: `PASSED`, and nothing else.
    pub passed: bool,
    /// The levels that it was found to have.
    pub levels: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireVsa {
    verifier: Id,
    time_verified: Option<Value>,
    resource_uri: String,
    policy: Option<Uri>,
    verification_result: String,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    verified_levels: Vec<String>,
}

#[derive(Deserialize)]
struct Id {
    id: String,
}

#[derive(Deserialize)]
struct Uri {
    uri: Option<String>,
}

impl Vsa {
    pub(super) fn read(text: &str) -> Result<Self, Refusal> {
        const WHAT: &str = "a verification summary";
        let wire: WireVsa = read(WHAT, text)?;
        expect_few("a list of levels", wire.verified_levels.len())?;
        let passed = wire.verification_result == "PASSED";
        let time = wire.time_verified.map(serde_json::from_value::<DateTime<Utc>>).transpose();
        Ok(Self {
            verifier: wire.verifier.id,
            // A refusal is one, also where its time can't be read.
            time: if passed {
                time.map_err(|why| Refusal::malformed(WHAT, why))?
            } else {
                time.ok().flatten()
            },
            resource: wire.resource_uri,
            policy: wire.policy.and_then(|policy| policy.uri),
            passed,
            levels: wire.verified_levels,
        })
    }
}

/// What a verifier found (in-toto attestation, "Simple Verification Result" 0.1). It names no image but by its
/// digest, and can't say that anything failed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Svr {
    /// Who verified. Whether the signer may speak for it is for whoever asks.
    pub verifier: String,
    /// When.
    pub time: DateTime<Utc>,
    /// What holds of it.
    pub properties: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireSvr {
    verifier: Id,
    time_created: DateTime<Utc>,
    #[serde(deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    properties: Vec<String>,
}

impl Svr {
    pub(super) fn read(text: &str) -> Result<Self, Refusal> {
        let wire: WireSvr = read("a simple verification result", text)?;
        expect_few("a list of properties", wire.properties.len())?;
        Ok(Self { verifier: wire.verifier.id, time: wire.time_created, properties: wire.properties })
    }
}

/// Whether a document says that it is OpenVEX.
pub(super) fn has_context(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Document {
        #[serde(rename = "@context")]
        context: String,
    }
    let document = serde_json::from_str::<Document>(text);
    document.is_ok_and(|document| document.context.starts_with("https://openvex.dev/ns"))
}

/// Which vulnerabilities touch an image, and which don't (OpenVEX 0.2.0, or CSAF 2.0's profile VEX).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Vex {
    /// In which form it was said.
    pub format: VexFormat,
    /// Who says so. Whether the signer may speak for it is for whoever asks.
    pub author: String,
    /// When.
    pub timestamp: Option<String>,
    /// About each vulnerability.
    pub statements: Vec<VexStatement>,
}

/// The form of a VEX document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum VexFormat {
    /// OpenVEX.
    OpenVex,
    /// CSAF.
    Csaf,
}

/// What is said about one vulnerability.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VexStatement {
    /// Its name.
    pub vulnerability: String,
    /// Its other names.
    pub aliases: Vec<String>,
    /// `not_affected`, `affected`, `fixed` or `under_investigation`.
    pub status: String,
    /// Why it isn't affected.
    pub justification: Option<String>,
    /// When it was said last (RFC 3339): here, or else in the document.
    pub time: Option<DateTime<Utc>>,
    /// Of which products. None means: what the in-toto statement is about.
    pub products: Vec<VexProduct>,
}

/// What a VEX statement is about.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct VexProduct {
    /// Its names: its id, and its identifiers; package URLs, mostly.
    pub names: Vec<String>,
    /// Its SHA-256 in hex, where one is stated.
    pub sha256: Option<String>,
    /// Which parts of it. None means: all of it.
    pub parts: Vec<VexProduct>,
}

#[derive(Deserialize)]
struct WireVex {
    #[serde(default)]
    author: String,
    timestamp: Option<String>,
    last_updated: Option<String>,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    statements: Vec<WireVexStatement>,
}

#[derive(Deserialize)]
struct WireVexStatement {
    vulnerability: Value,
    status: String,
    justification: Option<String>,
    impact_statement: Option<String>,
    timestamp: Option<String>,
    last_updated: Option<String>,
    #[serde(default, deserialize_with = "few::<_, _, ENTRIES_MAX>")]
    products: Vec<Value>,
}

impl Vex {
    pub(super) fn read(text: &str) -> Result<Self, Refusal> {
        const STATUS: [&str; 4] = ["not_affected", "affected", "fixed", "under_investigation"];
        let wire: WireVex = read("an OpenVEX document", text)?;
        expect_few("a list of VEX statements", wire.statements.len())?;
        let malformed = |why: &str| Refusal::malformed("an OpenVEX document", why);
        let time = |text: &Option<String>| {
            text.as_deref().and_then(|text| DateTime::parse_from_rfc3339(text).ok()).map(|time| time.to_utc())
        };
        let written = time(&wire.last_updated).or_else(|| time(&wire.timestamp));
        let one = |statement: WireVexStatement| {
            let vulnerability = named(&statement.vulnerability, "name");
            let vulnerability = vulnerability.ok_or_else(|| malformed("a vulnerability without a name"))?;
            if !STATUS.contains(&statement.status.as_str()) {
                let (expected, got) = (STATUS.join(", "), statement.status);
                return Err(Refusal::Kind { what: "a status of", expected, got });
            }
            let aliases = statement.vulnerability.get("aliases").and_then(Value::as_array);
            let aliases =
                aliases.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
            let products = statement.products.iter().map(VexProduct::of).collect();
            let said = time(&statement.last_updated).or_else(|| time(&statement.timestamp)).or(written);
            let justification = statement.justification.or(statement.impact_statement);
            Ok(VexStatement {
                vulnerability,
                aliases,
                status: statement.status,
                justification,
                time: said,
                products,
            })
        };
        let statements = wire.statements.into_iter().map(one).collect::<Result<_, _>>()?;
        Ok(Self { format: VexFormat::OpenVex, author: wire.author, timestamp: wire.timestamp, statements })
    }
}

impl VexProduct {
    /// A product, or a part of one: a text, as version 0.0.1 has it, or an object.
    fn of(value: &Value) -> Self {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let identifiers = value.get("identifiers").and_then(Value::as_object);
        let identifiers = identifiers.into_iter().flat_map(|all| all.values()).filter_map(Value::as_str);
        let parts = value.get("subcomponents").and_then(Value::as_array);
        Self {
            names: named(value, "@id").into_iter().chain(identifiers.map(str::to_owned)).collect(),
            sha256: text(value.get("hashes").and_then(|hashes| hashes.get("sha-256"))),
            // A part has no parts of its own.
            parts: parts
                .into_iter()
                .flatten()
                .map(|part| Self { parts: Vec::new(), ..Self::of(part) })
                .collect(),
        }
    }
}

/// A text, as version 0.0.1 has it, or a member of an object.
fn named(value: &Value, member: &str) -> Option<String> {
    let text = value.as_str().or_else(|| value.get(member)?.as_str());
    text.map(str::to_owned)
}

/// What somebody had cosign attest in a form of their own (`cosign attest --type custom`).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Custom {
    /// How many bytes it has.
    pub bytes: usize,
    /// When cosign signed it (RFC 3339).
    pub timestamp: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireCustom {
    data: Box<RawValue>,
    timestamp: Option<String>,
}

impl Custom {
    pub(super) fn read(text: &str) -> Result<Self, Refusal> {
        let wire: WireCustom = read("a custom predicate of cosign", text)?;
        let data = wire.data.get();
        let bytes = serde_json::from_str::<String>(data).map_or_else(|_| data.len(), |text| text.len());
        Ok(Self { bytes, timestamp: wire.timestamp })
    }
}

/// What a scanner found, in cosign's form or in-toto's.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Vulnerabilities {
    /// Which scanner.
    pub scanner: String,
    /// When the scan ended (RFC 3339).
    pub finished: Option<String>,
    /// How many it found; cosign's form keeps the scanner's own result, in which they aren't counted.
    pub found: Option<usize>,
}

#[derive(Deserialize)]
struct WireVulnerabilities {
    scanner: Scanner,
    // The second name is that of in-toto's schema of 0.1, which isn't that of its specification.
    #[serde(alias = "scanMetadata")]
    metadata: Option<ScanMetadata>,
}

#[derive(Deserialize)]
struct Scanner {
    #[serde(default)]
    uri: String,
    result: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScanMetadata {
    scan_finished_on: Option<String>,
}

impl Vulnerabilities {
    pub(super) fn read(text: &str) -> Result<Self, Refusal> {
        let wire: WireVulnerabilities = read("a result of a scanner", text)?;
        Ok(Self {
            found: wire.scanner.result.as_ref().and_then(listed).map(Vec::len),
            scanner: wire.scanner.uri,
            finished: wire.metadata.and_then(|metadata| metadata.scan_finished_on),
        })
    }
}

/// What was found: a list, which in-toto's schema of 0.1 has within an object.
fn listed(result: &Value) -> Option<&Vec<Value>> {
    result.as_array().or_else(|| result.get("vulnerabilities")?.as_array())
}
