//! What plug-ins read and write: version 1 of the protocol, described in `docs/src/plugins.md`.

use image_scan::Foreign;
use serde::{Deserialize, Serialize};

use crate::answer::{Answer, BadAnswer, severity};

/// The version of the protocol.
pub const PROTOCOL: u32 = 1;

/// The most bytes of a description.
pub const DESCRIPTION_MAX: u64 = 64 * 1024;

/// What `PLUGIN describe` prints. Schema: `docs/schema/plugin-description.json`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Description {
    /// The version of the protocol: 1.
    pub protocol: u32,
    /// What the plug-in is called in reports: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// Its version.
    #[serde(default)]
    pub version: Option<String>,
    /// What it wants to look at.
    pub input: Input,
}

/// How a plug-in gets the image.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// As an OCI image layout with one image.
    OciLayout,
    /// As a folder that holds what a container of it would have.
    Root,
}

/// The file whose path `PLUGIN scan` gets. Schema: `docs/schema/plugin-request.json`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Request {
    /// The version of the protocol: 1.
    pub protocol: u32,
    /// The image's name, as it was asked for.
    pub reference: String,
    /// The digest of the manifest that is scanned.
    pub digest: String,
    /// Whether a chain of trust led to the digest.
    pub verified: bool,
    /// What `path` is.
    pub input: Input,
    /// The layout or the root folder.
    pub path: String,
    /// A folder to write in; the only one that is kept for the plug-in, and removed after it.
    pub scratch: String,
}

/// What `PLUGIN scan` prints. Schema: `docs/schema/plugin-answer.json`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PluginAnswer {
    /// The version of the protocol: 1.
    pub protocol: u32,
    /// The digest of the request, to show that the answer is to it.
    pub digest: String,
    /// What the plug-in knows of, and how old that is.
    #[serde(default)]
    pub data: Option<String>,
    /// What it found.
    pub findings: Vec<PluginFinding>,
}

/// A finding of a plug-in.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PluginFinding {
    /// The advisory: a CVE where it has one.
    pub id: String,
    /// Its other names.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Where it is from: `Debian:12`, `PyPI`.
    #[serde(default)]
    pub ecosystem: String,
    /// The package.
    pub package: String,
    /// The version there is.
    #[serde(default)]
    pub version: String,
    /// The first version that is mended.
    #[serde(default)]
    pub fixed: Option<String>,
    /// How bad it is: `critical`, `high`, `medium`, `low`, `negligible`; anything else is unknown.
    #[serde(default)]
    pub severity: String,
    /// What it is, in a line.
    #[serde(default)]
    pub summary: Option<String>,
    /// Where to read on: http and https addresses.
    #[serde(default)]
    pub references: Vec<String>,
    /// The file that names the package.
    #[serde(default)]
    pub path: Option<String>,
    /// The package URL.
    #[serde(default)]
    pub purl: Option<String>,
}

impl Description {
    /// Reads what `describe` printed.
    ///
    /// # Errors
    /// When it is something else, or of another version of the protocol.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadAnswer> {
        let description: Self = serde_json::from_slice(bytes)?;
        expect_protocol(description.protocol)?;
        let name = &description.name;
        let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > 64 || !name.bytes().all(good) || name == "hallmark" {
            return Err(BadAnswer(format!(
                "expected a name of its own, got {:?}",
                crate::answer::line(name)
            )));
        }
        Ok(description)
    }
}

/// Reads what `scan` printed, as the answer of `who` to a request about `digest`.
///
/// # Errors
/// When it is something else, or an answer to something else.
pub fn parse(bytes: &[u8], who: &Description, digest: &str) -> Result<Answer, BadAnswer> {
    let answer: PluginAnswer = serde_json::from_slice(bytes)?;
    expect_protocol(answer.protocol)?;
    if answer.digest != digest {
        let got = crate::answer::line(&answer.digest);
        return Err(BadAnswer(format!("expected an answer about {digest}, got one about {got:?}")));
    }
    let findings = answer.findings.into_iter().map(|one| Foreign {
        severity: severity(&one.severity),
        id: one.id,
        aliases: one.aliases,
        ecosystem: one.ecosystem,
        package: one.package,
        version: one.version,
        fixed: one.fixed,
        summary: one.summary,
        references: one.references,
        path: one.path,
        purl: one.purl,
        layer: None,
    });
    Answer::new(&who.name, who.version.clone(), answer.data, findings.collect())
}

fn expect_protocol(got: u32) -> Result<(), BadAnswer> {
    match got {
        PROTOCOL => Ok(()),
        got => Err(BadAnswer(format!("expected protocol {PROTOCOL}, got {got}"))),
    }
}
